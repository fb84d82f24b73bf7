"""Copies that carry no identifier belong to a message by words, numbers and time."""

from __future__ import annotations

from ims_core.wire.sms.address import Address
from ims_core.wire.sms.concatenation import split_text
from ims_core.wire.sms.rpdu import Direction, RpData
from ims_core.wire.sms.sm_link import Forward, ForwardKind, Party, encode_frame
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import SmsDeliver, SmsSubmit
from rcs_sim.scenario.oracle import Oracle
from tests.support.oracle_traces import ALICE, BOB, TraceScript

_CENTRE = Address.international("+12025550199")


def _sms(script: TraceScript, text: str, source: str, target: str, *, sender: str = ALICE, peer: str = BOB) -> None:
    """By the circuit-switched link, in as many parts as it takes."""
    content = split_text(text, reference=3)
    for number, part in enumerate(content.parts):
        if source in ("alice", "bob"):
            tpdu = SmsSubmit(
                message_reference=number,
                destination=Address.international(peer),
                user_data=part,
                data_coding=content.coding,
            ).encode()
            direction, kind = Direction.FROM_MS, ForwardKind.MO
        else:
            tpdu = SmsDeliver(
                originator=Address.international(sender),
                timestamp=Timestamp.at(1772446500),
                user_data=part,
                data_coding=content.coding,
            ).encode()
            direction, kind = Direction.TO_MS, ForwardKind.MT
        rpdu = RpData(direction, number, _CENTRE, tpdu).encode()
        frame = Forward(reference=number, kind=kind, rpdu=rpdu, originator=Party.msisdn(sender))
        script.crosses(source, target, encode_frame(frame), protocol="SM", reference_point="CS")


def test_an_sms_of_the_same_words_between_the_same_numbers_is_its_copy() -> None:
    script = TraceScript()
    script.says("alice", "a", "ok")
    _sms(script, "ok", "alice", "red.smsc")
    _sms(script, "ok", "red.smsc", "bob")
    assert Oracle(script.records).readers("a") == {"alice", "red.smsc", "bob"}


def test_a_long_sms_is_read_from_its_parts() -> None:
    script, text = TraceScript(), "along the water to the fish market " * 8
    script.says("alice", "a", text)
    _sms(script, text, "alice", "red.smsc")
    assert Oracle(script.records).readers("a") == {"alice", "red.smsc"}


def test_an_sms_of_other_numbers_is_not() -> None:
    script = TraceScript()
    script.says("alice", "a", "ok")
    script.seals("a")
    _sms(script, "ok", "red.smsc", "bob", sender="+12025550177")
    assert Oracle(script.records).verdict("a") == "sealed"


def test_of_two_alike_the_one_that_went_by_sms_is_meant() -> None:
    script = TraceScript()
    script.says("alice", "a", "ok")
    script.seals("a")
    script.says("alice", "b", "ok")
    _sms(script, "ok", "alice", "red.smsc")
    script.tick("alice", "sent", "b", transport="SMS")
    _sms(script, "ok", "red.smsc", "bob")
    oracle = Oracle(script.records)
    assert oracle.verdict("a") == "sealed"
    assert oracle.readers("b") == {"alice", "red.smsc", "bob"}


def test_an_older_one_that_its_phone_sends_as_sms_later_is_told_apart() -> None:
    script = TraceScript()
    script.says("alice", "a", "ok")
    script.says("alice", "b", "ok")
    script.seals("b")
    script.tick("alice", "sent", "b", scheme="mls")
    _sms(script, "ok", "alice", "red.smsc")
    script.tick("alice", "sent as SMS", "a", transport="SMS")
    _sms(script, "ok", "red.smsc", "bob")
    oracle = Oracle(script.records)
    assert oracle.readers("a") == {"alice", "red.smsc", "bob"}
    assert oracle.verdict("b") == "sealed"


def test_stray_words_that_two_messages_have_are_nobodys() -> None:
    script, text = TraceScript(), "meet me at the old harbour"
    for message_id in ("a", "b"):
        script.says("alice", message_id, text)
        script.seals(message_id)
    script.crosses("red.messaging_server", "red.archive", b"log: " + text.encode(), protocol="HTTP")
    oracle = Oracle(script.records)
    assert [oracle.verdict(name) for name in ("a", "b")] == ["undecided", "undecided"]
    assert oracle.readers("a") == {"alice"}


def test_words_that_are_part_of_a_longer_message_are_nobodys() -> None:
    script, text = TraceScript(), "meet me at the old harbour"
    script.says("alice", "a", text)
    script.seals("a")
    script.says("bob", "b", f"{text}? no, at the new one")
    script.crosses("red.messaging_server", "red.archive", f"log: {text}? no, at the new one".encode(), protocol="HTTP")
    oracle = Oracle(script.records)
    assert oracle.verdict("a") == "undecided"
    assert "red.archive" in oracle.readers("b")


def test_a_text_that_came_by_sms_is_the_message_that_left_by_sms() -> None:
    script = TraceScript()
    script.says("alice", "a", "ok")
    script.tick("alice", "failed", "a")
    script.says("alice", "b", "ok")
    _sms(script, "ok", "alice", "red.smsc")
    script.tick("alice", "sent", "b", transport="SMS")
    _sms(script, "ok", "red.smsc", "bob")
    shown = script.got("bob", None, "ok", transport="SMS")
    script.tick("alice", "delivered", "b", transport="SMS")
    oracle = Oracle(script.records)
    assert [[each.number for each in message.showings] for message in oracle.messages] == [[], [shown]]
    assert oracle.violations() == []
