from __future__ import annotations

import asyncio

from rcs_sim.client.alarms import Alarms
from rcs_sim.client.circuit_switched import CircuitSwitchedLink
from rcs_sim.client.display import Display
from tests.rcs_sim.client.stories import play
from tests.support.stub_core import World
from tests.support.stub_smsc import SMSC_ADDRESS, StubSmsc


def _link(world: World) -> CircuitSwitchedLink:
    alarms, display = Alarms(world.clock), Display("alice", world.clock, world.trace)
    return CircuitSwitchedLink(
        "alice",
        "001012025550101",
        "192.0.2.11",
        SMSC_ADDRESS,
        alarms,
        display,
        network=world.network,
        clock=world.clock,
        trace=world.trace,
    )


def test_a_phone_attaches_and_detaches() -> None:
    async def story(world: World) -> None:
        smsc, link = StubSmsc(world), _link(world)
        await smsc.start()
        assert await link.attach(10)
        assert link.msisdn == "+12025550101"
        link.detach()
        await asyncio.sleep(1)
        assert smsc.links == {}
        await smsc.close()

    play(story)


def test_without_a_service_centre_it_goes_on_trying_and_gives_messages_back() -> None:
    async def story(world: World) -> None:
        link, given_back = _link(world), []
        link.answered = given_back.append
        assert not await link.attach(1)
        link.send(b"\x00")
        assert given_back == [None]
        smsc = StubSmsc(world)
        await smsc.start()
        await asyncio.sleep(31)
        assert link.is_attached
        link.detach()
        await smsc.close()

    play(story)


def test_lost_power_tells_nobody() -> None:
    async def story(world: World) -> None:
        smsc, link = StubSmsc(world), _link(world)
        await smsc.start()
        await link.attach(10)
        records = len(world.sink.records)
        link.lost()
        await asyncio.sleep(60)
        assert list(smsc.links) == ["+12025550101"]
        assert len(world.sink.records) == records
        assert await link.attach(10)
        link.detach()
        await smsc.close()

    play(story)
