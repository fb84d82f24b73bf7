from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ims_core.errors import ConnectionLost
from ims_core.transport.link import HIGH_WATER_OCTETS, LOW_WATER_OCTETS, Address, Flow, Transport
from ims_core.transport.memory import LinkProfile, MemoryNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from tests.support.flows import Recorder

_A, _B = "10.0.0.1", "10.0.0.2"
_TCP = Address(Transport.TCP, _B, 2855)


def _world(story: Callable[[MemoryNetwork], Awaitable[None]]) -> None:
    async def main() -> None:
        await story(MemoryNetwork(VirtualClock(), Tokens("seed")))

    run(main)


async def _connected(network: MemoryNetwork) -> tuple[Recorder, Flow, Recorder, Flow]:
    alice, bob = Recorder("alice"), Recorder("bob")
    await network.listen(_TCP, bob)
    flow = network.connect(_A, _TCP, alice)
    await asyncio.sleep(1)
    return alice, flow, bob, bob.flows[0]


def test_a_flow_tells_when_its_connection_stands() -> None:
    async def story(network: MemoryNetwork) -> None:
        opened: list[float] = []
        network.set_link("*", "*", LinkProfile(latency_s=0.5))
        await network.listen(_TCP, Recorder("bob"))
        flow = network.connect(_A, _TCP, Recorder("alice"))
        flow.on_opened = lambda _flow: opened.append(asyncio.get_running_loop().time())
        refused = network.connect(_A, Address(Transport.TCP, _B, 9), Recorder("alice"))
        refused.on_opened = flow.on_opened
        await asyncio.sleep(3)
        assert opened == [1.0]

    _world(story)


def test_a_paused_flow_reads_nothing_and_then_everything_in_order() -> None:
    async def story(network: MemoryNetwork) -> None:
        _, flow, bob, at_bob = await _connected(network)
        at_bob.pause()
        for word in (b"one ", b"two ", b"three "):
            flow.send(word)
        await asyncio.sleep(100)
        assert bob.octets == []
        assert flow.backlog == 14
        at_bob.resume()
        flow.send(b"four")
        assert bob.octets == [], "nothing may be delivered from within resume"
        await asyncio.sleep(1)
        assert bob.octets == [b"one ", b"two ", b"three ", b"four"]
        assert flow.backlog == 0

    _world(story)


def test_a_handler_may_pause_after_each_piece() -> None:
    class Careful(Recorder):
        def received(self, octets: bytes, flow: Flow) -> None:
            super().received(octets, flow)
            flow.pause()

    async def story(network: MemoryNetwork) -> None:
        bob = Careful("bob")
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, Recorder("alice"))
        for number in range(5):
            flow.send(bytes([number]))
        flow.close()
        for count in range(1, 6):
            await asyncio.sleep(1)
            assert bob.stream == bytes(range(count))
            assert bob.ends == [], "the end comes after the octets"
            bob.flows[0].resume()
            bob.flows[0].resume()
        await asyncio.sleep(1)
        assert bob.ends == [None]

    _world(story)


def test_the_sender_is_told_once_when_enough_was_read() -> None:
    async def story(network: MemoryNetwork) -> None:
        _, flow, bob, at_bob = await _connected(network)
        drained: list[int] = []
        flow.on_drained = lambda drained_flow: drained.append(drained_flow.backlog)
        at_bob.pause()
        for _ in range(HIGH_WATER_OCTETS // 1024 + 1):
            flow.send(bytes(1024))
        await asyncio.sleep(1)
        assert drained == []
        at_bob.resume()
        await asyncio.sleep(1)
        assert len(drained) == 1
        assert drained[0] <= LOW_WATER_OCTETS
        flow.send(b"little")
        await asyncio.sleep(1)
        assert len(drained) == 1, "only after a full flow"
        assert len(bob.stream) == (HIGH_WATER_OCTETS // 1024 + 1) * 1024 + 6

    _world(story)


def test_what_waits_for_a_connection_counts_as_backlog() -> None:
    async def story(network: MemoryNetwork) -> None:
        drained: list[Flow] = []
        await network.listen(_TCP, Recorder("bob"))
        flow = network.connect(_A, _TCP, Recorder("alice"))
        flow.on_drained = drained.append
        flow.send(bytes(HIGH_WATER_OCTETS + 1))
        assert flow.backlog == HIGH_WATER_OCTETS + 1
        await asyncio.sleep(1)
        assert (flow.backlog, drained) == (0, [flow])

    _world(story)


def test_a_flow_that_is_lost_while_paused_ends_at_once() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, flow, bob, at_bob = await _connected(network)
        at_bob.pause()
        flow.send(b"unread")
        await asyncio.sleep(1)
        network.reset(_B)
        assert isinstance(bob.ends[0], ConnectionLost)
        assert isinstance(alice.ends[0], ConnectionLost)
        at_bob.resume()
        await asyncio.sleep(1)
        assert bob.octets == []

    _world(story)


def test_datagrams_cannot_be_held_back() -> None:
    async def story(network: MemoryNetwork) -> None:
        bob = Recorder("bob")
        await network.listen(Address(Transport.UDP, _B, 5060), bob)
        flow = network.connect(_A, Address(Transport.UDP, _B, 5060), Recorder("alice"))
        flow.send(b"one")
        await asyncio.sleep(1)
        bob.flows[0].pause()
        flow.send(b"two")
        await asyncio.sleep(1)
        bob.flows[0].resume()
        assert bob.octets == [b"one", b"two"]
        assert flow.backlog == 0

    _world(story)
