"""What became of a message, read from what the phones showed."""

from __future__ import annotations

import pytest

import rcs_sim
from ims_core.trace import ListSink
from rcs_sim.client.messages import SentMessage
from rcs_sim.scenario.documents import DemoRow
from rcs_sim.scenario.message_outcome import MessageOutcome, observe
from rcs_sim.scenario.simulation import Simulation

_BOB = "+12025550152"


def _observed(*, by_sms: bool = False, is_there: bool = True, reads: bool = True, asks: bool = False) -> MessageOutcome:
    async def main() -> MessageOutcome:
        sink = ListSink()
        async with Simulation("two-carriers-plain", sinks=[sink]) as sim:
            device = "ios" if asks else "android"
            alice = await sim.add_phone("alice", device)
            bob = await sim.add_phone("bob", "ios", "blue", msisdn=_BOB, reads_after_s=1.0 if reads else None)
            await (await alice.chat(_BOB).send("warm up")).delivered(within_s=5)
            if not is_there:
                await bob.power_off()
            first = len(sink.records)

            async def send() -> SentMessage:
                return await (alice.send_sms(_BOB, "hi") if by_sms else alice.chat(_BOB).send("hi"))

            return await observe(
                "m1",
                "hi",
                sender=alice,
                receiver=bob,
                send=send,
                clock=sim.clock,
                records=lambda: list(sink.records)[first:],
                within_s=120,
            )

    return rcs_sim.run(main, clock="virtual")


def _row(outcome: MessageOutcome) -> DemoRow:
    return outcome.row("column")


def test_a_message_that_was_read() -> None:
    outcome = _observed()
    row = _row(outcome)
    assert (row.transport, row.label, row.delivered, row.displayed, row.duplicates, row.reason) == (
        "rcs",
        "RCS",
        True,
        True,
        0,
        None,
    )
    assert 0 < row.seconds < 1
    assert row.wire_octets == outcome.wire_octets > 10_000
    assert [line.split()[2] for line in outcome.shown][:2] == ["alice", "bob"]


def test_a_message_that_was_not_read() -> None:
    row = _row(_observed(reads=False))
    assert (row.delivered, row.displayed) == (True, False)


def test_an_sms_is_smaller_and_never_displayed() -> None:
    row, rcs = _row(_observed(by_sms=True)), _row(_observed())
    assert (row.transport, row.delivered, row.displayed) == ("sms", True, False)
    assert row.reason == "the user chose SMS for this message"
    assert row.wire_octets < rcs.wire_octets


@pytest.mark.parametrize("asks", [False, True])
def test_a_message_that_nobody_got_was_carried_by_nothing(asks: bool) -> None:
    row = _row(_observed(is_there=False, asks=asks))
    assert (row.transport, row.label, row.delivered, row.seconds) == ("none", "", False, 0.0)
    assert row.reason == "no delivery receipt came in time"
