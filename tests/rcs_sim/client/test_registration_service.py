from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.message_state import MessageTransport
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import ALICE, BOB, CORE_HOST, World


def test_the_registration_is_refreshed_for_hours_r08() -> None:
    async def story(world: World) -> None:
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        await asyncio.sleep(4 * 3000 + 1)
        assert len(world.core.of("REGISTER")) == 2 + 4
        assert alice.is_registered
        await asyncio.sleep(86400)
        assert alice.is_registered

    play(story)


@pytest.mark.parametrize(
    ("event", "state", "registers"), [("deactivated", "registered", True), ("rejected", "refused", False)]
)
def test_a_notified_end_is_obeyed_r13(event: str, state: str, registers: bool) -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        before = len(world.core.of("REGISTER", ALICE))
        world.core.notify(ALICE, event)
        await asyncio.sleep(5)
        assert alice.registration is not None
        assert alice.registration.state.value == state
        assert (len(world.core.of("REGISTER", ALICE)) > before) is registers
        assert alice.is_registered is registers

    play(story)


def test_probation_registers_again_after_its_time_r13() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        world.core.notify(ALICE, "probation", retry_after=120)
        await asyncio.sleep(110)
        assert not alice.is_registered
        await asyncio.sleep(20)
        assert alice.is_registered

    play(story)


def test_a_refused_network_is_tried_again_with_back_off_r14() -> None:
    async def story(world: World) -> None:
        world.core.answers["REGISTER"].extend([503, 503, 503])
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        assert not alice.is_registered
        await asyncio.sleep(15 + 30 + 60 + 120)
        assert alice.is_registered
        assert any("lost: 503" in line for line in world.states("alice", "registration"))

    play(story)


def test_a_network_that_is_not_there_is_found_when_it_comes() -> None:
    async def story(world: World) -> None:
        world.network.cut(CORE_HOST)
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        assert not alice.is_registered
        await asyncio.sleep(600)
        world.network.restore(CORE_HOST)
        await asyncio.sleep(1900)
        assert alice.is_registered

    play(story)


def test_keep_alives_are_sent_only_if_the_via_came_back_with_a_value() -> None:
    async def story(world: World) -> None:
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        await asyncio.sleep(1000)
        assert world.core.pings == 0
        await alice.power_off()
        world.core.keep_s = 120
        await alice.power_on()
        await asyncio.sleep(1000)
        assert 8 <= world.core.pings <= 11

    play(story)


def test_without_a_pong_the_flow_has_failed_and_a_new_one_is_registered() -> None:
    async def story(world: World) -> None:
        world.core.keep_s = 120
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        before = len(world.core.of("REGISTER"))
        world.network.cut(CORE_HOST)
        await asyncio.sleep(140)
        assert not alice.is_registered
        world.network.restore(CORE_HOST)
        await asyncio.sleep(3600)
        assert alice.is_registered
        assert len(world.core.of("REGISTER")) > before
        assert any("flow" in line for line in world.states("alice", "registration"))

    play(story)


def test_a_flow_closed_by_the_network_is_replaced_at_once() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        world.core.stack.close_flow(world.core.bindings[ALICE].flow, "restart")
        await asyncio.sleep(2)
        assert alice.is_registered
        message = await (await alice.chat(BOB).send("Hello")).delivered(5)
        assert message.transport is MessageTransport.RCS

    play(story)
