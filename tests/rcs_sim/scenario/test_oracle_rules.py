"""The negative control: each of the five things that must not happen is seen where it happens, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_rules import ViolationKind
from tests.support.oracle_traces import SIP_WAY, SealedConversation, TraceScript, sealed_octets

_TEXT = "meet me at the old harbour"


def _found(script: TraceScript) -> list[tuple[str, str, str]]:
    violations = Oracle(script.records).violations()
    assert all(each.evidence and max(each.evidence) <= len(script.records) for each in violations)
    return [(each.kind.value, each.message.name, each.phone) for each in violations]


def test_what_is_as_it_should_be_is_no_violation() -> None:
    script = SealedConversation()
    script.send_sealed("two", _TEXT)
    assert _found(script) == []


def test_plain_messages_without_a_lock_are_no_violation() -> None:
    script = TraceScript()
    script.label("alice", "RCS")
    script.says("alice", "a", _TEXT)
    script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT)
    script.tick("alice", "displayed", "a")
    assert _found(script) == []


# --- lying lock -------------------------------------------------------------------------------------------------------


def test_a_lock_over_readable_octets_lies_on_both_phones() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    numbers = script.carries("a", _TEXT.encode())
    shown = script.got("bob", "a", _TEXT, scheme="mls")
    tick = script.tick("alice", "sent", "a", scheme="mls")
    assert _found(script) == [("lying lock", "m1", "alice"), ("lying lock", "m1", "bob")]
    first, second = Oracle(script.records).violations()
    assert first.evidence[:2] == (tick, numbers[0])
    assert second.evidence[0] == shown
    assert "red.pcscf" in first.why


def test_a_lock_lies_if_a_single_element_could_read_it() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.seals("a", SIP_WAY)
    script.carries("a", _TEXT.encode(), ("red.messaging_server", "red.peeker"))
    script.got("bob", "a", _TEXT, scheme="mls")
    script.tick("alice", "sent", "a", scheme="mls")
    assert _found(script) == [("lying lock", "m1", "alice"), ("lying lock", "m1", "bob")]
    assert Oracle(script.records).readers("a") == {"alice", "bob", "red.messaging_server", "red.peeker"}


def test_a_lock_over_something_that_was_never_sealed_lies() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.tick("alice", "sent", "a", scheme="mls")
    script.got("bob", "a", _TEXT, scheme="mls")
    assert _found(script) == [("lying lock", "m1", "alice"), ("lying lock", "m1", "bob")]


def test_a_label_with_a_lock_counts_where_the_message_says_nothing() -> None:
    script = TraceScript()
    script.label("alice", "RCS · encrypted", "mls")
    script.says("alice", "a", _TEXT)
    script.carries("a", _TEXT.encode(), SIP_WAY[:4])
    assert ("lying lock", "m1", "alice") in _found(script)


def test_a_plain_message_without_a_tick_has_no_lock_because_its_conversation_got_one_later() -> None:
    script = TraceScript()
    script.label("alice", "RCS")
    script.says("alice", "a", _TEXT)
    script.carries("a", _TEXT.encode(), SIP_WAY[:4])
    script.label("alice", "RCS · encrypted", "mls")
    assert _found(script) == []


def test_a_sealed_message_without_a_tick_misses_no_lock_if_its_conversation_got_one() -> None:
    script = TraceScript()
    script.label("alice", "RCS")
    script.says("alice", "a", _TEXT)
    script.label("alice", "RCS · encrypted", "mls")
    script.seals("a")
    script.got("bob", "a", _TEXT, scheme="mls")
    assert _found(script) == []


def test_a_message_under_a_lock_misses_none_because_encryption_ended_later() -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.seals("a")
    script.got("bob", "a", _TEXT, scheme="mls")
    script.state("alice", "consent", "given")
    script.label("alice", "RCS")
    assert _found(script) == []


def test_the_ends_may_read_what_has_a_lock() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.carries("a", _TEXT.encode(), ("alice", "bob"))
    script.seals("a")
    script.got("bob", "a", _TEXT, scheme="mls")
    script.tick("alice", "sent", "a", scheme="mls")
    assert _found(script) == []


def test_a_lock_that_is_gone_before_the_plain_copy_leaves_does_not_lie() -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.seals("a", SIP_WAY[:3])
    script.tick("alice", "sent", "a", scheme="mls")
    script.tick("alice", "failed", "a", scheme="mls")
    script.state("alice", "consent", "given")
    script.label("alice", "RCS")
    script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT)
    script.tick("alice", "delivered", "a")
    assert _found(script) == []


def test_a_lock_on_a_message_from_outside_is_judged_too() -> None:
    script = TraceScript()
    script.carries("x", _TEXT.encode(), ("tcp:192.0.2.1:5060", "blue.pcscf", "bob"))
    script.got("bob", "x", _TEXT, scheme="mls")
    assert [each[0] for each in _found(script)] == ["lying lock"]


# --- missing lock -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at_alice", "at_bob"), [(None, "mls"), ("mls", None), (None, None)])
def test_a_sealed_message_without_a_lock_is_seen_on_each_phone(at_alice: str | None, at_bob: str | None) -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.seals("a")
    script.got("bob", "a", _TEXT, scheme=at_bob)
    script.tick("alice", "displayed", "a", scheme=at_alice)
    expected = [name for name, scheme in (("alice", at_alice), ("bob", at_bob)) if scheme is None]
    assert _found(script) == [("missing lock", "m1", name) for name in expected]


def test_a_message_that_was_readable_somewhere_misses_no_lock() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.seals("a", SIP_WAY[:4])
    script.carries("a", _TEXT.encode(), SIP_WAY[3:])
    script.got("bob", "a", _TEXT)
    script.tick("alice", "displayed", "a")
    assert _found(script) == []


def test_a_sealed_message_that_failed_misses_no_lock() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.seals("a", SIP_WAY[:3])
    script.tick("alice", "failed", "a")
    assert _found(script) == []


# --- silent loss ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["delivered", "displayed"])
def test_a_receipt_for_what_was_never_shown_is_a_loss(mark: str) -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.seals("a")
    script.tick("alice", mark, "a", scheme="mls")
    assert _found(script) == [("silent loss", "m2", "alice")]


def test_a_message_that_nobody_speaks_of_again_is_a_loss_once_its_receiver_was_reached() -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.seals("a", SIP_WAY[:4])
    script.tick("alice", "sent", "a", scheme="mls")
    assert _found(script) == []
    assert [row.pending for row in Oracle(script.records).document().messages] == [False, True]
    script.waits(60)
    script.crosses("blue.pcscf", "bob", b"SIP/2.0 200 OK\r\n\r\n")
    assert _found(script) == [("silent loss", "m2", "alice")]


@pytest.mark.parametrize("mark", ["failed", ""])
def test_a_sender_who_sees_that_it_failed_or_waits_has_been_told(mark: str) -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    if mark:
        script.tick("alice", mark, "a")
    script.waits(60)
    script.crosses("blue.pcscf", "bob", b"SIP/2.0 200 OK\r\n\r\n")
    assert _found(script) == []


def test_nobody_knows_what_a_receiver_outside_the_trace_has_shown() -> None:
    script = TraceScript()
    script.add(
        script.records[0].kind.SHOWN,
        "alice",
        imdn_message_id="a",
        details={"what": "message", "peer": "+12025550177", "direction": "out", "text": _TEXT},
    )
    script.tick("alice", "delivered", "a")
    assert _found(script) == []


# --- duplicate --------------------------------------------------------------------------------------------------------


def test_a_message_that_is_shown_twice_is_a_duplicate() -> None:
    script = SealedConversation()
    shown = [record.number for record in script.records if record.source == "bob" and record.details.get("text")]
    again = script.got("bob", "one", "the first one is sealed", scheme="mls")
    assert _found(script) == [("duplicate", "m1", "bob")]
    assert Oracle(script.records).violations()[0].evidence == (*shown, again)


def test_copies_by_rcs_and_sms_are_duplicates() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT)
    script.got("bob", None, _TEXT, transport="SMS")
    script.tick("alice", "delivered", "a")
    assert _found(script) == [("duplicate", "m1", "bob")]


def test_copies_under_two_ids_are_duplicates() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT)
    script.got("bob", "b", _TEXT)
    script.tick("alice", "delivered", "a")
    assert _found(script) == [("duplicate", "m1", "bob")]


def test_the_same_words_said_twice_are_two_messages() -> None:
    script = TraceScript()
    for message_id in ("a", "b"):
        script.says("alice", message_id, "ok")
    script.got("bob", None, "ok", transport="SMS")
    script.got("bob", "b", "ok")
    for message_id in ("a", "b"):
        script.tick("alice", "delivered", message_id)
    assert _found(script) == []


# --- silent downgrade -------------------------------------------------------------------------------------------------


def _in_clear(script: TraceScript) -> None:
    script.says("alice", "a", _TEXT)
    script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT)
    script.tick("alice", "delivered", "a")


def test_plaintext_after_a_lock_is_a_downgrade() -> None:
    script = SealedConversation()
    _in_clear(script)
    assert _found(script) == [("silent downgrade", "m2", "alice")]


def test_a_label_that_merely_changes_does_not_excuse_it() -> None:
    script = SealedConversation()
    script.label("alice", "RCS")
    _in_clear(script)
    assert _found(script) == [("silent downgrade", "m2", "alice")]


@pytest.mark.parametrize(
    "end",
    [
        lambda script: script.state("alice", "consent", "given", reason="unencrypted"),
        lambda script: script.shows("alice", "tombstone", text="encryption ended"),
    ],
)
def test_consent_or_the_end_of_mls_before_it_is_no_downgrade(end: Callable[[TraceScript], int]) -> None:
    script = SealedConversation()
    end(script)
    _in_clear(script)
    assert _found(script) == []


def test_consent_after_the_plaintext_comes_too_late() -> None:
    script = SealedConversation()
    _in_clear(script)
    script.state("alice", "consent", "given")
    assert _found(script) == [("silent downgrade", "m2", "alice")]


def test_consent_from_before_the_lock_came_back_is_used_up() -> None:
    script = SealedConversation()
    script.state("alice", "consent", "given")
    script.label("alice", "RCS · encrypted", "mls")
    _in_clear(script)
    assert _found(script) == [("silent downgrade", "m2", "alice")]


@pytest.mark.parametrize("label", ["RCS", "RCS · encrypted"])
def test_what_was_on_its_way_when_the_lock_was_given_up_brings_no_lock_back(label: str) -> None:
    script = SealedConversation()
    script.state("alice", "consent", "given")
    script.label("alice", label, "mls" if "enc" in label else None)
    script.shows("alice", "message", "b", direction="in", text="sealed before", transport="RCS", scheme="mls")
    _in_clear(script)
    assert ("enc" in label) is any(each[0] == "silent downgrade" for each in _found(script))


def test_a_tick_that_comes_after_the_end_brings_no_lock_back() -> None:
    script = SealedConversation()
    script.says("alice", "b", "sealed before the end")
    script.seals("b")
    script.got("bob", "b", "sealed before the end", scheme="mls")
    script.state("alice", "consent", "given")
    script.label("alice", "RCS")
    script.tick("alice", "delivered", "b", scheme="mls")
    _in_clear(script)
    assert _found(script) == []


def test_a_message_that_waited_for_the_lock_promises_none_while_it_waits() -> None:
    script = TraceScript()
    for phone in ("alice", "bob"):
        script.label(phone, "RCS")
    script.says("alice", "a", _TEXT)
    script.says("alice", "b", "and this one waits for the lock")
    script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT)
    script.tick("alice", "delivered", "a")
    for phone in ("alice", "bob"):
        script.label(phone, "RCS · encrypted", "mls")
    script.seals("b")
    script.got("bob", "b", "and this one waits for the lock", scheme="mls")
    script.tick("alice", "delivered", "b", scheme="mls")
    assert _found(script) == []


def test_what_was_written_under_the_older_scheme_promises_no_mls_until_it_has_it() -> None:
    """The older scheme fails, both texts are sealed anew as MLS."""
    script = TraceScript()
    for phone in ("alice", "bob"):
        script.label(phone, "RCS · encrypted", "legacy")
    texts = {"a": _TEXT, "b": "and another"}
    for name, text in texts.items():
        script.says("alice", name, text)
    for name in texts:
        script.carries(name, sealed_octets(name), content_type="application/vnd.google.rcs.encrypted")
    for phone in ("alice", "bob"):
        script.label(phone, "RCS · encrypted", "mls")
    for name, text in texts.items():
        script.seals(name)
        script.got("bob", name, text, scheme="mls")
        script.tick("alice", "delivered", name, scheme="mls")
    assert _found(script) == []


def test_a_user_who_chose_sms_for_one_message_has_agreed_for_that_one() -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.state("alice", "fallback", "sms", "a", reason="the user chose SMS for this message")
    script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT)
    script.tick("alice", "delivered", "a", transport="SMS")
    assert _found(script) == []
    script.says("alice", "b", "and this was not chosen")
    script.carries("b", b"and this was not chosen")
    script.got("bob", "b", "and this was not chosen")
    script.tick("alice", "delivered", "b")
    assert _found(script) == [("silent downgrade", "m3", "alice")]


# --- a phone that was reset -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["wiped", "exchanged"])
def test_a_phone_that_was_reset_has_no_lock_to_keep(how: str) -> None:
    script = SealedConversation()
    script.state("alice", "phone", how)
    _in_clear(script)
    assert _found(script) == []


def test_a_phone_that_was_reset_shows_a_message_anew() -> None:
    script = SealedConversation()
    script.state("bob", "phone", "wiped")
    script.got("bob", "one", "the first one is sealed", scheme="mls")
    assert _found(script) == []
    script.got("bob", "one", "the first one is sealed", scheme="mls")
    assert _found(script) == [("duplicate", "m1", "bob")]


def test_nobody_can_be_told_by_a_phone_that_was_reset() -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.seals("a")
    script.tick("alice", "delivered", "a", scheme="mls")
    script.state("alice", "phone", "wiped")
    assert [each[0] for each in _found(script)] == []


def test_every_kind_of_violation_has_its_control_here() -> None:
    assert {kind.value for kind in ViolationKind} == {
        "lying lock",
        "missing lock",
        "silent loss",
        "duplicate",
        "silent downgrade",
    }
