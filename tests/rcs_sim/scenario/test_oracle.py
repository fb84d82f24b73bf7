"""The oracle on whole runs: the conversations of two phones, as they are and with one thing changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rcs_sim
from ims_core.errors import SimulatorError
from ims_core.trace import ListSink, RecordKind, TraceRecord
from rcs_sim.scenario.oracle import Oracle, UnknownMessage
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.why import Why
from tests.support.oracle_traces import SealedConversation

_TEXTS = ("Hi Bob, are we still on for tonight?", "ok", "a long way " * 200)
_NETWORK = "two-carriers-plain"


@cache
def _run() -> tuple[TraceRecord, ...]:
    """Alice says three things, the last too long for pager mode; the second goes as SMS."""
    sink = ListSink()

    async def main() -> None:
        async with Simulation(_NETWORK, sinks=[sink]) as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red", reads_after_s=0.5)
            await sim.add_phone("bob", device="ios", carrier="blue", msisdn="+12025550152", reads_after_s=0.5)
            await asyncio.sleep(2)
            for text, is_sms in zip(_TEXTS, (False, True, False), strict=True):
                chat = alice.chat("+12025550152")
                message = await (alice.send_sms("+12025550152", text) if is_sms else chat.send(text))
                await message.delivered(within_s=60)
                await asyncio.sleep(2)

    rcs_sim.run(main, clock="virtual")
    return tuple(sink.records)


Doctor = Callable[[TraceRecord], Sequence[TraceRecord]]


def _doctored(change: Doctor) -> Oracle:
    records = [each for record in _run() for each in change(record)]
    return Oracle(replace(record, number=number) for number, record in enumerate(records, 1))


def _kinds(oracle: Oracle) -> list[tuple[str, str]]:
    return [(each.kind.value, each.message.name) for each in oracle.violations()]


def _is_of(record: TraceRecord, phone: str, what: str, text: str | None = None) -> bool:
    return (
        record.kind is RecordKind.SHOWN
        and record.source == phone
        and record.details.get("what") == what
        and text in (None, record.details.get("text"))
    )


def test_a_run_as_it_is_has_no_violation_and_names_its_readers() -> None:
    oracle = Oracle(_run())
    assert oracle.violations() == []
    assert [message.text for message in oracle.messages] == list(_TEXTS)
    assert {"alice", "bob", "red.messaging_server", "blue.pcscf"} <= oracle.readers("m1")
    assert {"alice", "bob", "red.smsc", "blue.smsc"} <= oracle.readers("m2")
    assert {"alice", "bob", "red.msrp_relay", "blue.msrp_relay"} == oracle.readers("m3")
    assert oracle.operators()["red"] == "red could read all 3 messages"


def test_a_lock_painted_on_plain_messages_lies() -> None:
    def paint(record: TraceRecord) -> list[TraceRecord]:
        if _is_of(record, "bob", "message", _TEXTS[0]):
            return [replace(record, details={**record.details, "scheme": "mls"})]
        return [record]

    assert _kinds(_doctored(paint)) == [("lying lock", "m1")]


def test_a_screen_that_stays_empty_is_a_loss() -> None:
    oracle = _doctored(lambda record: [] if _is_of(record, "bob", "message", _TEXTS[2]) else [record])
    assert _kinds(oracle) == [("silent loss", "m3")]


@pytest.mark.parametrize("text", _TEXTS)
def test_a_screen_that_shows_it_again_shows_a_duplicate(text: str) -> None:
    oracle = _doctored(lambda record: [record, record] if _is_of(record, "bob", "message", text) else [record])
    assert _kinds(oracle) == [("duplicate", f"m{_TEXTS.index(text) + 1}")]


def test_plaintext_after_a_painted_label_is_a_downgrade() -> None:
    def paint(record: TraceRecord) -> list[TraceRecord]:
        if _is_of(record, "alice", "label"):
            return [replace(record, details={**record.details, "label": "RCS · encrypted", "scheme": "mls"})]
        return [record]

    found = _kinds(_doctored(paint))
    assert {each for each in found if each[0] == "silent downgrade"} == {
        ("silent downgrade", "m1"),
        ("silent downgrade", "m3"),
    }


def test_scrambled_octets_under_a_plain_label_miss_a_lock() -> None:
    def scramble(record: TraceRecord) -> list[TraceRecord]:
        length = len(_TEXTS[0])
        return [replace(record, raw=record.raw.replace(_TEXTS[0].encode(), b"\x9c" * length))]

    def retyped(record: TraceRecord) -> list[TraceRecord]:
        (changed,) = scramble(record)
        return [replace(changed, raw=changed.raw.replace(b"text/plain;charset=UTF-8", b"application/sealed-thing"))]

    assert _kinds(_doctored(retyped)) == [("missing lock", "m1"), ("missing lock", "m1")]


_MEMBERS = ("what", "peer", "direction", "text", "transport", "scheme", "label", "machine", "state", "reason")
_WORDS = ("message", "sent", "delivered", "label", "out", "in", "mls", "RCS · encrypted", "consent", "given")
_DETAILS = st.dictionaries(
    st.sampled_from(_MEMBERS), st.one_of(st.sampled_from(_WORDS), st.none(), st.integers()), max_size=8
)
_RECORDS = st.builds(
    TraceRecord,
    number=st.integers(0, 30),
    at=st.floats(0, 1e6),
    kind=st.sampled_from(RecordKind),
    source=st.sampled_from(["alice", "bob", "red.pcscf", "red.smsc", "red.kds"]),
    target=st.sampled_from(["alice", "bob", "red.pcscf", "red.smsc"]),
    reference_point=st.sampled_from(["Gm", "CS", ""]),
    protocol=st.sampled_from(["SIP", "MSRP", "SM", "HTTP", ""]),
    raw=st.binary(max_size=60),
    imdn_message_id=st.sampled_from(["a", "b", None]),
    conversation_id=st.sampled_from(["c", None]),
    details=_DETAILS,
)


@settings(max_examples=100)
@given(st.lists(_RECORDS, max_size=25))
def test_any_records_are_judged_and_explained(records: list[TraceRecord]) -> None:
    why = Why(records)
    assert why.oracle.table()
    assert why.text()
    assert len(why.document().messages) == len(why.oracle.messages) == len(why.oracle.document().messages)


def test_a_message_has_several_names() -> None:
    oracle = Oracle(SealedConversation().records)
    message = oracle.messages[0]
    for name in ("m1", "one", "the first one is sealed", message):
        assert oracle.find(name) is message
    with pytest.raises(UnknownMessage, match=r"there is no message 'm7' in this trace; there are: m1 'the first one"):
        oracle.readers("m7")


def test_a_simulation_has_an_oracle_of_what_happened_so_far() -> None:
    async def main() -> None:
        async with Simulation(_NETWORK) as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red")
            await sim.add_phone("bob", device="ios", carrier="blue", msisdn="+12025550152")
            assert sim.oracle.messages == ()
            message = await alice.send_sms("+12025550152", "hello")
            await message.delivered(within_s=60)
            assert {"alice", "bob", "red.smsc", "blue.smsc"} <= sim.oracle.readers(message)
            assert sim.oracle is sim.oracle
            assert sim.oracle.violations() == []
        async with Simulation(_NETWORK, keeps_records=False) as sim:
            with pytest.raises(SimulatorError, match="no records are kept"):
                _ = sim.oracle

    rcs_sim.run(main, clock="virtual")
