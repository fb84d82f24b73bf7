"""Long outages pass in little real time, and nothing is lost in them."""

from __future__ import annotations

import asyncio
import time

import pytest

from rcs_sim.client.message_state import MessageState, MessageTransport
from tests.scenarios.stage import ALICE, BOB, Stage, scenario

_DAY_S = 86400.0
_CPU_S = 2.0


@scenario()
@pytest.mark.parametrize("element", ["red.pcscf", "red.scscf", "blue.pcscf", "alice", "bob"])
async def test_half_an_hour_takes_under_two_seconds_of_work_and_loses_nothing(stage: Stage, element: str) -> None:
    await _outage(stage, element, 1800.0)


@scenario(is_read_by_others=False)
@pytest.mark.parametrize("element", ["red.pcscf", "bob"])
async def test_three_days_take_under_two_seconds_of_work_and_lose_nothing(stage: Stage, element: str) -> None:
    await _outage(stage, element, 3 * _DAY_S)


async def _outage(stage: Stage, element: str, outage_s: float) -> None:
    started = time.process_time()
    alice, bob = await stage.alice_and_bob(reads_after_s=1.0)
    await (await alice.chat(BOB).send("before")).displayed(within_s=5)
    async with stage.sim.partition(element):
        await asyncio.sleep(outage_s / 2)
        during = alice.chat(BOB).send("during")
        await asyncio.sleep(outage_s / 2)
    await asyncio.sleep(3600)
    if during.state is MessageState.FAILED:
        during.send_as_sms()
    await asyncio.sleep(3600)
    alice.chat(BOB)  # opened: the phone asks what the peer can do now
    await asyncio.sleep(5)
    after = await alice.chat(BOB).send("after")
    await after.displayed(within_s=60)
    assert after.transport is MessageTransport.RCS
    assert stage.arrivals(bob).count("during") == (0 if during.state is MessageState.FAILED else 1)
    assert stage.arrivals(bob)[0] == "before"
    assert stage.arrivals(bob)[-1] == "after"
    assert time.process_time() - started < _CPU_S


@scenario(is_read_by_others=False)
async def test_a_message_that_was_stored_for_longer_than_its_carrier_keeps_it_is_gone_and_its_sender_knows(
    stage: Stage,
) -> None:
    """Store and forward lasts seven days. The sender's phone took it back long before, and sent an SMS."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("before")).delivered(within_s=5)
    await bob.power_off()
    message = await alice.chat(BOB).send("too late")
    await asyncio.sleep(9 * _DAY_S)
    await bob.power_on()
    await asyncio.sleep(3600)
    assert stage.arrivals(bob) == ["before"]
    assert message.state is MessageState.FAILED


@scenario()
async def test_flapping_links_lose_nothing_and_double_nothing(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    said = []
    for number in range(40):
        element = ("red.pcscf", "blue.pcscf", "alice", "bob", "red.ibcf")[number % 5]
        await stage.sim.cut(element)
        said.append(alice.chat(BOB).send(f"{number}"))
        await asyncio.sleep(7 * (number % 6) + 0.05)
        await stage.sim.restore(element)
        await asyncio.sleep(13 * (number % 4))
    await asyncio.sleep(2 * 3600)
    arrived = stage.arrivals(bob)
    assert len(set(arrived)) == len(arrived)
    for message in said:
        assert (message.text in arrived) or message.state is MessageState.FAILED, message.history
        assert not (message.text not in arrived and message.state is MessageState.DELIVERED)


@scenario(is_read_by_others=False)
async def test_ten_days_of_nothing_cost_nearly_nothing(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    started = time.process_time()
    await asyncio.sleep(10 * _DAY_S)
    assert time.process_time() - started < 2 * _CPU_S
    assert alice.is_registered
    await (await alice.chat(BOB).send("still there?")).delivered(within_s=10)
    assert ALICE in str(bob.chats[0].peer)


@scenario()
async def test_a_message_that_was_taken_back_while_the_answer_could_not_come_goes_as_sms_when_it_can(
    stage: Stage,
) -> None:
    """Requests toward red do not get in, those of red get out: blue takes the message back and cannot say so."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("before")).delivered(within_s=5)
    await bob.lose_power()
    await asyncio.sleep(4000)
    async with stage.sim.partition("red.icscf"):
        message = alice.chat(BOB).send("taken back")
        await asyncio.sleep(1800)
    await asyncio.sleep(2 * 3600)
    await bob.power_on()
    await message.delivered(within_s=3600)
    assert message.transport is MessageTransport.SMS
    assert stage.arrivals(bob) == ["before", "taken back"]
