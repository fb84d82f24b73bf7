"""Several devices of one subscriber: each gets each message once, whatever the others do."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from tests.scenarios.stage import ALICE, BOB, Stage, scenario


async def _bobs(stage: Stage) -> tuple[Phone, Phone, Phone]:
    """Alice, and Bob's phone and tablet."""
    alice, bob = await stage.alice_and_bob()
    tablet = await stage.phone("tablet", BOB, "android")
    await asyncio.sleep(1)
    return alice, bob, tablet


@scenario()
async def test_each_device_shows_the_message_once_and_the_sender_sees_it_delivered_once(stage: Stage) -> None:
    alice, bob, tablet = await _bobs(stage)
    message = await alice.chat(BOB).send("to all of you")
    await message.delivered(within_s=5)
    await asyncio.sleep(60)
    assert stage.arrivals(bob) == ["to all of you"]
    assert stage.arrivals(tablet) == ["to all of you"]
    assert [change.state for change in message.history].count(MessageState.DELIVERED) == 1


@scenario()
async def test_a_second_device_does_not_end_the_registration_of_the_first(stage: Stage) -> None:
    _, bob, tablet = await _bobs(stage)
    assert bob.registration is not None
    assert tablet.registration is not None
    first, second = bob.registration.binding, tablet.registration.binding
    assert first is not None
    assert second is not None
    assert first.public_gruu != second.public_gruu
    await asyncio.sleep(7200)
    assert bob.is_registered
    assert tablet.is_registered


@scenario()
async def test_a_device_that_was_off_gets_its_own_copy_when_it_is_back(stage: Stage) -> None:
    alice, bob, tablet = await _bobs(stage)
    await tablet.lose_power()
    for number in range(3):
        await (await alice.chat(BOB).send(f"{number}")).delivered(within_s=60)
        await asyncio.sleep(5)
    await tablet.power_on()
    await asyncio.sleep(120)
    assert stage.arrivals(bob) == ["0", "1", "2"]
    assert stage.arrivals(tablet) == ["0", "1", "2"]


@scenario()
async def test_what_waited_for_the_subscriber_reaches_both_devices(stage: Stage) -> None:
    alice, bob, tablet = await _bobs(stage)
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    await tablet.power_off()
    await bob.power_off()
    message = await alice.chat(BOB).send("for whoever comes first")
    await asyncio.sleep(5)
    await bob.power_on()
    await message.delivered(within_s=20)
    assert stage.arrivals(bob)[1:] == ["for whoever comes first"]
    await tablet.power_on()
    await asyncio.sleep(60)
    assert stage.arrivals(tablet).count("for whoever comes first") <= 1


@scenario()
async def test_the_display_on_one_device_is_enough_for_the_sender(stage: Stage) -> None:
    alice, bob, tablet = await _bobs(stage)
    message = await alice.chat(BOB).send("seen?")
    await message.delivered(within_s=5)
    tablet.chat(ALICE).read()
    await message.displayed(within_s=5)
    bob.chat(ALICE).read()
    await asyncio.sleep(5)
    assert message.state is MessageState.DISPLAYED


@scenario()
@pytest.mark.parametrize("first", ["alice", "pad"])
async def test_either_device_of_the_sender_gets_the_answer(stage: Stage, first: str) -> None:
    alice, bob = await stage.alice_and_bob()
    pad = await stage.phone("pad", ALICE)
    await asyncio.sleep(1)
    sender = {"alice": alice, "pad": pad}[first]
    await (await sender.chat(BOB).send("who hears the answer?")).delivered(within_s=5)
    await (await bob.chat(ALICE).send("both of you")).delivered(within_s=5)
    await asyncio.sleep(5)
    assert stage.arrivals(alice) == ["both of you"]
    assert stage.arrivals(pad) == ["both of you"]
    assert set(stage.errors()) <= {"481: no such session"}  # the device that came second and connected before its BYE


@scenario()
async def test_short_messages_are_for_the_device_with_the_sim(stage: Stage) -> None:
    alice, bob, tablet = await _bobs(stage)
    await alice.send_sms(BOB, "to the phone").delivered(within_s=30)
    await bob.send_sms(ALICE, "from the phone").delivered(within_s=30)
    message = tablet.send_sms(ALICE, "from the tablet")
    await message.final(within_s=60)
    assert message.state is MessageState.FAILED
    assert (stage.arrivals(bob), stage.arrivals(tablet)) == (["to the phone"], [])
    assert stage.arrivals(alice) == ["from the phone"]
