"""What `why` answers: for a lock that is missing, for a fallback, for a failure."""

from __future__ import annotations

import json

import pytest

from rcs_sim.scenario.oracle import UnknownMessage
from rcs_sim.scenario.oracle_documents import WhyDocument
from rcs_sim.scenario.why import Why
from tests.support.oracle_traces import SealedConversation, TraceScript

_TEXT = "meet me at the old harbour"


def test_a_message_that_fell_back_says_why_and_where() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.state("alice", "fallback", "wait", "a", reason="the peer cannot be reached")
    number = script.state("alice", "fallback", "sms", "a", reason="no delivery receipt came in time")
    script.tick("alice", "sent as SMS", "a", transport="SMS", reason="no delivery receipt came in time")
    script.got("bob", None, _TEXT, transport="SMS")
    explanation = Why(script.records).explain("m1")
    assert explanation.fell_back == f"no delivery receipt came in time (record {number})"
    assert explanation.failed is None


def test_a_message_that_its_user_sent_as_sms_did_not_fall() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.tick("alice", "sent", "a", transport="SMS")
    script.got("bob", None, _TEXT, transport="SMS")
    assert Why(script.records).explain("a").fell_back == "its user sent it as SMS"


def test_a_failure_has_the_reason_that_its_sender_saw() -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.state("alice", "encryption", "not sealed", "a", reason="no group")
    number = script.tick("alice", "failed", "a", reason="an encrypted conversation is never carried in clear")
    explanation = Why(script.records).explain("a")
    assert explanation.failed == f"an encrypted conversation is never carried in clear (record {number})"


def test_a_loss_says_where_it_was_seen_last() -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    last = script.seals("a", ("alice", "red.pcscf", "red.scscf"))[-1]
    script.tick("alice", "delivered", "a", scheme="mls")
    failed = Why(script.records).explain("a").failed
    assert failed is not None
    assert failed.startswith("lost: shown as delivered to its sender")
    assert failed.endswith(f"last seen at red.scscf (record {last})")


@pytest.mark.parametrize("mark", ["", "sent"])
def test_a_message_under_way_is_said_to_be(mark: str) -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.state("alice", "fallback", "hold", "a", reason="the capability of the peer is being asked for")
    if mark:
        script.seals("a", ("alice", "red.pcscf"))
        script.tick("alice", mark, "a", scheme="mls")
    failed = Why(script.records).explain("a").failed or ""
    assert ("nobody has shown it yet; last seen at red.pcscf" in failed) is bool(mark)
    assert ("it waits: hold: the capability" in failed) is not bool(mark)


def test_consent_is_why_there_is_no_lock() -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    number = script.state("alice", "consent", "given")
    script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT)
    script.tick("alice", "delivered", "a")
    assert Why(script.records).explain("a").no_lock == (
        f"consent: the user agreed to go on without encryption (record {number})"
    )


def test_all_messages_have_a_line_and_one_has_a_chain() -> None:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.tick("alice", "failed", "a", reason="the peer is gone")
    why = Why(script.records)
    first, second = why.text().splitlines()
    assert first == (
        "m1 alice to +12025550152 'the first one is sealed': displayed; RCS · encrypted; sealed on 9 hops;"
        " read by alice, bob"
    )
    assert second.startswith("m2 alice to +12025550152 'meet me at the old harbour': ")
    assert "failed: the peer is gone" in second
    chain = why.text("m1")
    assert "came as far as bob by SIP, sealed on 9 hops" in chain
    assert "✓" in chain


def test_the_json_is_what_was_written() -> None:
    why = Why(SealedConversation().records)
    document = why.document()
    assert WhyDocument.model_validate(json.loads(document.model_dump_json(by_alias=True))) == document
    assert [message.id for message in document.messages] == ["m1"]
    with pytest.raises(UnknownMessage, match="there is no message 'm9'"):
        why.document("m9")


def test_a_message_from_outside_is_explained_as_far_as_it_goes() -> None:
    script = TraceScript()
    script.got("bob", "x", _TEXT)
    explanation = Why(script.records).explain("x")
    assert explanation.no_lock == "nothing in this trace says why"
    assert explanation.failed is None


def test_a_trace_without_messages_says_so() -> None:
    assert Why([]).text() == "no phone of this trace sent or showed a message"


def test_an_sms_that_its_user_chose_has_no_lock_for_that_reason() -> None:
    script = TraceScript()
    script.says("alice", "a", "one, by SMS")
    number = script.state("alice", "fallback", "sms", "a", reason="the user chose SMS for this message")
    script.carries("a", b"one, by SMS")
    script.got("bob", None, "one, by SMS", transport="SMS")
    script.tick("alice", "delivered", "a", transport="SMS")
    no_lock = Why(script.records).explain("a").no_lock
    assert no_lock == f"decision: sms: the user chose SMS for this message (record {number})"
