"""What a receiver merges by the rule of digest §8.3 is no loss, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import rcs_sim
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.concatenation import split_text
from ims_core.wire.sms.rpdu import Direction, RpData
from ims_core.wire.sms.sm_link import Forward, ForwardKind, Party, encode_frame
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import SmsDeliver, SmsSubmit
from rcs_sim.client.display import Shown, ShownEvent
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_copies import CopiesOfText
from rcs_sim.scenario.simulation import Simulation
from tests.support.oracle_traces import ALICE, BOB, TraceScript

_TEXT = "are you there?"
_CENTRE = Address.international("+12025550199")


def test_an_equal_text_by_sms_after_one_by_rcs_is_merged_by_the_phone_and_the_oracle_knows() -> None:
    async def main() -> tuple[list[str], list[str], list[bool]]:
        async with Simulation("two-carriers-plain") as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red", msisdn=ALICE)
            bob = await sim.add_phone("bob", device="android", carrier="blue", msisdn=BOB)
            screen: list[ShownEvent] = []
            bob.display.watchers.append(screen.append)
            await asyncio.sleep(1)
            await alice.chat(BOB).send(_TEXT).delivered(within_s=10)
            await asyncio.sleep(450)
            for _ in range(2):
                await alice.send_sms(BOB, _TEXT)
                await asyncio.sleep(20)
            copies = CopiesOfText(sim.oracle.readings)
            merged = [copies.is_merged(each, ["bob"]) for each in sim.oracle.messages]
            shown = [str(each.details["transport"]) for each in screen if each.what is Shown.MESSAGE]
            return shown, [each.why for each in sim.oracle.violations()], merged

    shown, violations, merged = rcs_sim.run(main, clock="virtual")
    assert shown == ["RCS", "SMS"]
    assert violations == []
    assert merged == [False, True, False]


def _by_sms(script: TraceScript, message_id: str) -> None:
    """It is written, goes by the circuit-switched link, and its sender sees that it has been delivered."""
    script.says("alice", message_id, _TEXT)
    content = split_text(_TEXT, reference=3)
    submit = SmsSubmit(
        message_reference=1,
        destination=Address.international(BOB),
        user_data=content.parts[0],
        data_coding=content.coding,
    )
    deliver = SmsDeliver(
        originator=Address.international(ALICE),
        timestamp=Timestamp.at(script.at),
        user_data=content.parts[0],
        data_coding=content.coding,
    )
    for source, target, direction, kind, octets in (
        ("alice", "red.smsc", Direction.FROM_MS, ForwardKind.MO, submit.encode()),
        ("red.smsc", "bob", Direction.TO_MS, ForwardKind.MT, deliver.encode()),
    ):
        rpdu = RpData(direction, 1, _CENTRE, octets).encode()
        frame = Forward(reference=1, kind=kind, rpdu=rpdu, originator=Party.msisdn(ALICE))
        script.crosses(source, target, encode_frame(frame), protocol="SM", reference_point="CS")
        if kind is ForwardKind.MO:
            script.tick("alice", "sent", message_id, transport="SMS")
    script.tick("alice", "delivered", message_id, transport="SMS")


def _by_rcs(script: TraceScript, message_id: str, *, is_shown: bool = True) -> None:
    script.says("alice", message_id, _TEXT)
    script.carries(message_id, _TEXT.encode())
    if is_shown:
        script.got("bob", message_id, _TEXT)
    script.tick("alice", "delivered", message_id)


def _lost(*steps: Callable[[TraceScript], None]) -> list[str]:
    script = TraceScript()
    script.label("bob", "RCS")
    for step in steps:
        step(script)
    return [each.message.id for each in Oracle(script.records).violations() if each.kind == "silent loss"]


def _waits(seconds: float) -> Callable[[TraceScript], None]:
    return lambda script: script.waits(seconds)


def _rcs(message_id: str) -> Callable[[TraceScript], None]:
    return lambda script: _by_rcs(script, message_id)


def _unseen(message_id: str) -> Callable[[TraceScript], None]:
    return lambda script: _by_rcs(script, message_id, is_shown=False)


def _sms(message_id: str) -> Callable[[TraceScript], None]:
    return lambda script: _by_sms(script, message_id)


def _wiped(script: TraceScript) -> None:
    script.state("bob", "phone", "wiped")


def test_a_text_whose_words_came_the_other_way_within_ten_minutes_is_no_loss() -> None:
    assert _lost(_rcs("a"), _waits(500), _sms("b")) == []


@pytest.mark.parametrize(
    ("steps", "lost"),
    [
        ((_rcs("a"), _waits(700), _sms("b")), ["b"]),
        ((_rcs("a"), _sms("b"), _waits(5), _sms("c")), ["c"]),
        ((_rcs("a"), _waits(5), _unseen("b")), ["b"]),
        ((_rcs("a"), _wiped, _waits(5), _sms("b")), ["b"]),
        ((_sms("b"),), ["b"]),
    ],
    ids=["eleven minutes later", "a copy is paired once", "the same way", "not on the screen any more", "alone"],
)
def test_anything_else_is_one(steps: tuple[Callable[[TraceScript], None], ...], lost: list[str]) -> None:
    assert _lost(*steps) == lost
