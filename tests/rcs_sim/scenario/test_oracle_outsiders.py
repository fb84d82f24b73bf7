from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_outsiders import OutsideMessage
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.oracle_traces import SIP_WAY, TraceScript, sealed_octets

_HANDSETS = {"alice": "tcp:192.0.2.1:49152", "bob": "tcp:192.0.2.2:49152"}
_WAY = [_HANDSETS.get(name, name) for name in SIP_WAY]
_LEGACY = "application/vnd.google.rcs.encrypted"
_LONG = "From the old lighthouse it is five minutes along the water. " * 40


def _outsiders(records: Sequence[TraceRecord]) -> tuple[OutsideMessage, ...]:
    return Oracle(records).readings.outsiders


def as_others_see_it(records: Sequence[TraceRecord]) -> list[TraceRecord]:
    """What a network notes of phones that are no part of it: octets, and addresses in the place of names."""
    return [
        replace(
            record,
            source=_HANDSETS.get(record.source, record.source),
            target=_HANDSETS.get(record.target, record.target),
        )
        for record in records
        if record.kind is RecordKind.MESSAGE
    ]


def test_what_stood_in_clear_was_read_by_everybody_on_the_way() -> None:
    script = TraceScript()
    script.carries("x1", b"hello there", _WAY)
    (message,) = _outsiders(script.records)
    assert (message.sender, message.recipient, message.text) == (ALICE[1:], BOB[1:], "hello there")
    assert (message.verdict, message.readers) == ("readable", frozenset(_WAY))
    assert len(message.passages) == len(list(pairwise(_WAY)))


@pytest.mark.parametrize("content_type", ["message/mls", _LEGACY])
def test_what_is_sealed_nobody_read(content_type: str) -> None:
    script = TraceScript()
    script.carries("x1", sealed_octets("x1"), _WAY, content_type=content_type)
    (message,) = _outsiders(script.records)
    assert (message.verdict, message.readers, message.text) == ("sealed", frozenset(), "")


def test_what_only_claims_to_be_sealed_is_not_called_so() -> None:
    script = TraceScript()
    script.carries("x1", b"meet me at the harbour at eight, bring the maps" * 4, _WAY, content_type="message/mls")
    assert [each.verdict for each in _outsiders(script.records)] == ["undecided"]


def test_one_hop_in_clear_is_enough() -> None:
    script = TraceScript()
    script.seals("x1", _WAY[:4])
    script.carries("x1", b"hello there", _WAY[3:5])
    (message,) = _outsiders(script.records)
    assert (message.verdict, message.readers) == ("readable", frozenset(_WAY[3:5]))


@pytest.mark.parametrize("content_type", ["message/mls-rcs-client", "message/mls-rcs-server", "message/mls-rcs"])
def test_control_messages_are_nobodys_words(content_type: str) -> None:
    script = TraceScript()
    script.carries("x1", sealed_octets("x1"), _WAY, content_type=content_type)
    assert _outsiders(script.records) == ()


def test_receipts_and_typing_are_not_messages() -> None:
    script = TraceScript()
    imdn = b'<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>x1</message-id></imdn>'
    script.carries("r1", imdn, _WAY, content_type="message/imdn+xml")
    script.carries("t1", b"<isComposing/>", _WAY, content_type="application/im-iscomposing+xml")
    assert _outsiders(script.records) == ()


def test_messages_of_phones_of_the_trace_are_told_of_above() -> None:
    script = TraceScript()
    script.says("alice", "a", "hello")
    script.carries("a", b"hello")
    script.got("bob", "a", "hello")
    assert _outsiders(script.records) == ()


def test_the_table_and_the_operators_tell_of_them() -> None:
    script = TraceScript()
    script.carries("x1", b"[bold]hello\nthere", _WAY)
    script.seals("x2", _WAY)
    oracle = Oracle(script.records)
    assert oracle.operators() == {
        "blue": "blue could read 1 of 2 messages of other clients",
        "red": "red could read 1 of 2 messages of other clients",
    }
    document, text = oracle.document(), oracle.table()
    assert [each.verdict for each in document.outside] == ["readable", "sealed"]
    assert document.outside[0].records == list(range(3, 12))
    assert "no phone of this trace sent or showed a message" in text
    assert "[bold]hello there" in text
    assert "no violation" not in text, "nobody has claimed anything"


@pytest.mark.parametrize(
    ("network", "verdict"), [("two-carriers-plain", "readable"), ("two-carriers", "sealed")], ids=["plain", "encrypted"]
)
def test_the_network_alone_tells_who_could_read_what_real_phones_said(network: str, verdict: str) -> None:
    """By pager and in sessions, short and long; nothing else of a conversation with receipts, typing and set-up."""

    @scenario(network)
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice_and_bob()
        for phone, peer, text in ((alice, BOB, "one"), (bob, ALICE, "two"), (alice, BOB, _LONG), (bob, ALICE, "four")):
            await (await phone.chat(peer).send(text)).delivered(within_s=60)
        await asyncio.sleep(5)
        found = _outsiders(as_others_see_it(stage.sink.records))
        assert [each.verdict for each in found] == [verdict] * 4
        ends = (ALICE[1:], BOB[1:])
        assert [(each.sender, each.recipient) for each in found] == [ends, ends[::-1]] * 2
        assert [each.text for each in found] == (["one", "two", _LONG, "four"] if verdict == "readable" else [""] * 4)
        assert _outsiders(stage.sink.records) == (), "their phones are in this one"

    story()


def test_short_messages_of_others_are_listed_too() -> None:
    @scenario("two-carriers-plain")
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice_and_bob()
        for phone, peer in ((alice, BOB), (bob, ALICE)):
            await (await phone.chat(peer).send("by short message", as_sms=True)).delivered(within_s=60)
        found = _outsiders(as_others_see_it(stage.sink.records))
        assert [(each.media_type, each.text, each.verdict) for each in found] == [
            ("SMS", "by short message", "readable")
        ] * 2
        ends = (ALICE[1:], BOB[1:])
        assert [(each.sender, each.recipient) for each in found] == [ends, ends[::-1]]
        assert all({"red.smsc", "blue.smsc"} & each.readers for each in found)

    story()


def test_a_load_of_equal_texts_is_told_apart_by_their_ends() -> None:
    """Ten thousand texts "hello" of as many users: each is one message."""
    script = TraceScript()
    for number in range(10_000):
        octets = script.message(f"+1202555{number:05}", f"+1303555{number:05}", b"hello", "text/plain")
        script.crosses(_WAY[0], _WAY[1], octets)
        script.crosses(_WAY[1], _WAY[2], octets)
    found = _outsiders(script.records)
    assert len(found) == 10_000
    assert {len(each.passages) for each in found} == {2}
    assert (found[-1].sender, found[-1].recipient) == ("120255509999", "130355509999")
