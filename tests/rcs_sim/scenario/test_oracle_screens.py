"""What phones showed is kept by message, by conversation and in order."""

from __future__ import annotations

from ims_core.trace import RecordKind
from rcs_sim.scenario.oracle_screens import Screens
from tests.support.oracle_traces import BOB, SealedConversation, TraceScript


def _screens(script: TraceScript) -> Screens:
    screens = Screens()
    for record in script.records:
        screens.read(record)
    return screens


def test_messages_have_the_names_of_their_order_and_all_their_ticks() -> None:
    script = TraceScript()
    script.says("alice", "a", "one")
    script.says("bob", "b", "two")
    script.tick("alice", "sent", "a")
    script.tick("alice", "failed", "a", reason="the peer is gone")
    script.tick("bob", "delivered", "a")  # not its sender
    first, second = _screens(script).sent
    assert [(each.name, each.id, each.phone, each.text) for each in (first, second)] == [
        ("m1", "a", "alice", "one"),
        ("m2", "b", "bob", "two"),
    ]
    assert [(tick.what, tick.reason) for tick in first.ticks] == [("sent", ""), ("failed", "the peer is gone")]
    assert (first.mark, second.mark) == ("failed", "")


def test_the_same_message_on_two_screens_of_its_user_is_one() -> None:
    script = TraceScript()
    script.says("alice", "a", "one")
    script.add(
        RecordKind.SHOWN,
        "tablet",
        imdn_message_id="a",
        details={"what": "message", "peer": BOB, "direction": "out", "text": "one"},
    )
    assert len(_screens(script).sent) == 1


def test_a_label_holds_until_the_next() -> None:
    script = TraceScript()
    first = script.label("alice", "RCS")
    second = script.label("alice", "RCS · encrypted", "mls")
    screens = _screens(script)
    assert screens.label_at("alice", BOB, first) is None
    label = screens.label_at("alice", BOB, second)
    assert label is not None
    assert not label.has_lock
    label = screens.label_at("alice", BOB, second + 1)
    assert label is not None
    assert label.has_lock
    assert screens.labels("bob", BOB) == []


def test_a_tick_says_whether_there_is_a_lock_if_it_says_anything() -> None:
    script = TraceScript()
    script.says("alice", "a", "one")
    script.tick("alice", "sent", "a", scheme="legacy")
    script.tick("alice", "sent", "a")
    script.tick("alice", "sent", "a", transport="")
    script.tick("alice", "sent", "a", label="RCS · encrypted")
    (message,) = _screens(script).sent
    assert [tick.has_lock for tick in message.ticks] == [True, False, None, True]


def test_what_ends_encryption_is_found_for_the_conversation_that_it_ends() -> None:
    script = SealedConversation()
    script.state("alice", "consent", "given")
    script.state("bob", "encryption", "ended")
    script.says("alice", "a", "one")
    screens = _screens(script)
    assert [way.what for way in screens.ways_out(screens.sent[-1])] == ["the user agreed to go on without encryption"]


def test_details_of_any_form_are_read_without_an_error() -> None:
    script = TraceScript()
    for details in ({}, {"what": 7, "peer": None}, {"what": "message", "text": ["x"]}, {"machine": {}}):
        script.add(RecordKind.SHOWN, "alice", details=details)
        script.add(RecordKind.STATE, "alice", details=details)
    assert _screens(script).phones == ("alice",)


def test_a_phone_with_another_sim_has_another_number_from_then_on() -> None:
    screens = _screens(SealedConversation())
    screens.is_number_of("alice", "1", 5)
    screens.is_number_of("alice", "1", 7)
    screens.is_number_of("alice", "2", 9)
    screens.is_number_of("bob", "1", 12)
    assert [screens.number("alice", at) for at in (1, 5, 8, 9, 20)] == ["1", "1", "1", "2", "2"]
    assert screens.number("nobody", 3) == ""
