from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.message_state import MessageTransport
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import ALICE, BOB, World, subscriber


@pytest.mark.parametrize(
    ("t1", "t2", "t4", "seconds"), [(2000, 16000, 17000, 2.0), (500, 4000, 5000, 0.5), (0, 0, 0, 2.0)]
)
def test_sip_timers_are_those_of_the_document(t1: int, t2: int, t4: int, seconds: float) -> None:
    async def story(world: World) -> None:
        document = subscriber(ALICE, timer_t1_ms=t1, timer_t2_ms=t2, timer_t4_ms=t4)
        alice = world.phone("alice", ALICE, configuration=document)
        await alice.power_on()
        assert alice._ims is not None
        assert alice._ims.ua.stack.timers.t1_s == seconds

    play(story)


def test_without_options_discovery_nobody_is_asked_and_rcs_is_tried_first() -> None:
    async def story(world: World) -> None:
        alice = world.phone("alice", ALICE, configuration=subscriber(ALICE, default_discovery=2))
        bob = world.phone("bob", BOB)
        await alice.power_on()
        await bob.power_on()
        message = await (await alice.chat(BOB).send("Hello")).delivered(5)
        assert message.transport is MessageTransport.RCS
        assert world.core.of("OPTIONS", ALICE) == []

    play(story)


def test_a_message_that_was_under_way_when_the_phone_went_off_goes_on_when_it_is_on_again() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        await (await alice.chat(BOB).send("first")).delivered(5)
        world.core.never_answer("MESSAGE")
        message = await alice.chat(BOB).send("second")
        await asyncio.sleep(1)
        await alice.lose_power()
        await asyncio.sleep(600)
        await alice.power_on()
        await message.delivered(60)
        assert message.transport is MessageTransport.RCS

    play(story)
