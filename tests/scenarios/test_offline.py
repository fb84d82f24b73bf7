"""Offline, then back: what waited comes in order, with the time when it was written, and so do the receipts."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.message_state import MessageState, MessageTransport
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, received, scenario, texts


@scenario()
async def test_what_waited_comes_in_order_with_its_original_time(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    await bob.power_off()
    waiting = []
    for number in range(3):
        waiting.append(await alice.chat(BOB).send(f"while you were out {number}"))
        await asyncio.sleep(5)
    assert {message.state for message in waiting} == {MessageState.SENT}
    await bob.power_on()
    for message in waiting:
        await message.delivered(within_s=30)
    assert texts(bob) == ["warm up", *(message.text for message in waiting)]
    for sent, arrived in zip(waiting, received(bob)[1:], strict=True):
        assert arrived.date_time == sent.date_time
        assert arrived.sent_at == pytest.approx(sent.created_at, abs=0.01)
        assert arrived.conversation_id == sent.conversation_id
        assert arrived.transport is MessageTransport.RCS


@scenario()
async def test_the_sender_reads_202_accepted_while_the_message_waits(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    await bob.power_off()
    await alice.chat(BOB).send("later")
    await asyncio.sleep(1)
    answers = [record.summary for record in stage.sink.records if record.target == "alice"]
    assert "202 Accepted (MESSAGE)" in answers


@scenario()
async def test_receipts_for_a_sender_who_left_wait_for_him(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    await bob.power_off()
    message = await alice.chat(BOB).send("read this when you can")
    await asyncio.sleep(2)
    await alice.power_off()
    await bob.power_on()
    await asyncio.sleep(10)
    bob.chat(ALICE).read()
    assert texts(bob) == ["warm up", "read this when you can"]
    await asyncio.sleep(3600)
    assert message.state is MessageState.SENT
    await alice.power_on()
    await message.displayed(within_s=30)
    assert message.transport is MessageTransport.RCS


@scenario()
async def test_both_were_away_and_neither_loses_anything(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    await bob.power_off()
    first = await alice.chat(BOB).send("from alice")
    await asyncio.sleep(1)
    await alice.power_off()
    await bob.power_on()
    await asyncio.sleep(1)
    second = await bob.chat(ALICE).send("from bob")
    await asyncio.sleep(1)
    await bob.power_off()
    await asyncio.sleep(7200)
    await alice.power_on()
    await bob.power_on()
    await asyncio.sleep(60)
    assert (first.state, second.state) == (MessageState.DELIVERED, MessageState.DELIVERED)
    assert (texts(bob), texts(alice)) == (["warm up", "from alice"], ["from bob"])


@scenario()
async def test_a_phone_that_lost_its_power_gets_what_came_meanwhile(stage: Stage) -> None:
    """The network does not know yet that it is gone."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    await bob.lose_power()
    message = alice.chat(BOB).send("did you hear this?")
    await asyncio.sleep(300)
    await bob.power_on()
    await asyncio.sleep(120)
    assert stage.arrivals(bob) == ["warm up", "did you hear this?"]
    assert message.state is MessageState.DELIVERED


@scenario()
async def test_airplane_mode_keeps_what_came_and_sends_what_was_written(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    await bob.airplane(True)
    incoming = await alice.chat(BOB).send("in the air?")
    await asyncio.sleep(10)
    await bob.airplane(False)
    await incoming.delivered(within_s=30)
    assert stage.arrivals(bob) == ["warm up", "in the air?"]


@scenario()
async def test_a_hundred_messages_wait_and_come_in_order(stage: Stage) -> None:
    amy = await stage.phone("amy", AMY)
    alice = await stage.phone("alice", ALICE)
    await (await alice.chat(AMY).send("warm up")).delivered(within_s=5)
    await amy.power_off()
    for number in range(100):
        alice.chat(AMY).send(f"{number}")
    await asyncio.sleep(10)
    await amy.power_on()
    await asyncio.sleep(60)
    assert stage.arrivals(amy) == ["warm up", *(f"{number}" for number in range(100))]


@scenario()
async def test_airplane_mode_is_only_left_by_a_phone_that_is_in_it(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    before = len(stage.requests("REGISTER", "alice"))
    await alice.airplane(False)
    assert len(stage.requests("REGISTER", "alice")) == before
    assert stage.states(alice, "airplane mode") == []
    await alice.airplane(True)
    await alice.airplane(True)
    was_registered = [alice.is_registered]
    await alice.airplane(False)
    was_registered.append(alice.is_registered)
    assert was_registered == [False, True]
    assert stage.states(alice, "airplane mode") == ["on", "off"]
