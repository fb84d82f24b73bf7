"""Hostile MSRP on the sockets of live relays: no other session is harmed, everything is bounded, errors are traced."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rcs_sim
from ims_core.nodes.msrp_relay import MsrpRelay, MsrpRelayConfig
from ims_core.reference_points import Bridge, LegEnd, LegEndKind
from ims_core.trace import ListSink, RecordKind, Trace
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Transport
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock
from ims_core.wire.msrp.media import MsrpMedia, Setup
from ims_core.wire.msrp.message import MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder, MsrpParseError
from ims_core.wire.msrp.session_events import OutgoingMessage, SessionConfig
from ims_core.wire.msrp.uri import parse_msrp_uri
from rcs_sim.bench.resident import resident_kb
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.simulation import Simulation
from tests.support.msrp_attacks import frame, mutated, streams
from tests.support.msrp_legs import LegNotes
from tests.support.real_links import HOST, until

_ALICE, _BOB = "+12025550101", "+12025550152"
_LONG = "a text that is too long for pager mode, " * 60
_WITHIN_S = 60.0
_BIND_S = 1.0
_STUCK_S = 1.0  # a loop that works takes what waits in less
_STATUSES = {200, 400, 403, 408, 413, 415, 423, 481, 501, 506}
_OWN = "msrp://192.0.2.1:9/hostile;tcp"


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


async def _write(address: Address, octets: bytes, *, reads_for_s: float = 0.0) -> bytes:
    """Writes, and reads for a while what comes; then leaves without a word."""
    seen = b""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                writer.write(octets)
                await writer.drain()
                async with asyncio.timeout(reads_for_s):
                    while more := await reader.read(65536):
                        seen += more
            finally:
                writer.transport.abort()
    return seen


# ------------------------------------------------------------------------------------------- a network and two phones


def _addresses(sim: Simulation) -> list[Address]:
    return [
        carrier.msrp_relay.address(transport)
        for carrier in sim.lab.carriers.values()
        for transport in (Transport.TCP, Transport.TLS)
    ]


def _paths(sink: ListSink) -> list[tuple[str, str]]:
    """To-Path and From-Path of every session that the trace has seen: the attacker has them, too."""
    found: dict[tuple[str, str], None] = {}
    for record in sink.records:
        if record.protocol == "MSRP" and record.kind is RecordKind.MESSAGE and b"\r\nTo-Path: " in record.raw:
            lines = record.raw.split(b"\r\n", 3)[1:3]
            found[lines[0][9:].decode(), lines[1][11:].decode()] = None
    return list(found)


async def _attack(addresses: list[Address], paths: list[tuple[str, str]]) -> None:
    dice = random.Random(7)
    for octets in streams(paths, dice):
        await _write(dice.choice(addresses), octets)


async def _talk(alice: Phone, count: int) -> None:
    for number in range(count):
        message = await alice.chat(_BOB).send(_LONG if number % 4 == 3 else f"text {number}")
        await message.displayed(within_s=_WITHIN_S)
        assert message.transport is MessageTransport.RCS


def test_a_chat_session_stands_and_loses_nothing_while_both_relays_are_attacked(tmp_path: Path) -> None:
    async def main() -> None:
        escaped: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        sink = ListSink(limit=20_000)
        async with Simulation("two-carriers-plain", is_real=True, state=tmp_path, sinks=[sink]) as sim:
            alice = await sim.add_phone("alice", msisdn=_ALICE)
            bob = await sim.add_phone("bob", "ios", "blue", msisdn=_BOB, reads_after_s=0.05)
            await alice.chat(_BOB).send(_LONG).delivered(within_s=_WITHIN_S)
            paths = _paths(sink)
            assert len(paths) >= 6  # three connections, both ways
            async with asyncio.TaskGroup() as tasks:
                attack = tasks.create_task(_attack(_addresses(sim), paths))
                while not attack.done():
                    await _talk(alice, 4)
            assert alice.chat(_BOB).session == bob.chat(_ALICE).session == "open"
            sent = [message.text for message in alice.chat(_BOB).messages]
            assert [message.text for message in bob.chat(_ALICE).messages] == sent
            invites = [each for each in sink.records if each.summary.startswith("INVITE") and each.source == "alice"]
            assert len(invites) == 1
            refused = [record for record in sink.records if record.kind is RecordKind.ERROR]
            assert {record.protocol for record in refused} == {"MSRP"}
            assert len(refused) > 50
        assert escaped == []

    rcs_sim.run(main, clock="real")


# ---------------------------------------------------------------------------------------- a relay, and a session on it


class _BridgeNotes:
    def __init__(self) -> None:
        self.ends: list[LegEnd] = []

    def passed(self, bridge: Bridge, message_id: str) -> None:
        """The receiver's notes tell."""

    def bridge_ended(self, bridge: Bridge, end: LegEnd) -> None:
        self.ends.append(end)


class _Scene:
    """A relay with a bridge between two of our phones, and with what it has for the attacker."""

    def __init__(self) -> None:
        self.network, self.clock = SocketNetwork(RealClock()), RealClock()
        self.sink, self.trace = ListSink(limit=20_000), Trace()
        self.trace.add_sink(self.sink)
        listen = (Address(Transport.TCP, HOST, 0), Address(Transport.TLS, HOST, 0))
        config = MsrpRelayConfig(name="red.msrp_relay", listen=listen, bind_s=_BIND_S, connect_s=_BIND_S)
        self.relay = MsrpRelay(config, network=self.network, clock=self.clock, tokens=Tokens("relay"), trace=self.trace)
        phone = MsrpStackConfig(name="phones", listen=(Address(Transport.TCP, HOST, 0),))
        self.phones = MsrpStack(
            phone, network=self.network, clock=self.clock, tokens=Tokens("phones"), trace=self.trace
        )
        self.deadlines = DeadlineHeap()
        self.notes = LegNotes(), LegNotes()
        self.bridge_notes = _BridgeNotes()
        self.sent = 0
        self.alice: MsrpChannel
        self.bob: MsrpChannel

    async def start(self) -> None:
        await self.relay.start()
        await self.phones.start()
        tokens = Tokens("channels")
        self.alice, self.bob = (
            MsrpChannel(self.phones, notes, tokens, self.deadlines, SessionConfig()) for notes in self.notes
        )
        bridge = self.relay.bridge(self.bridge_notes)
        offer, answer = (
            bridge.far.media(is_tls=False, setup=Setup.ACTPASS),
            self.bob.media(is_tls=False, setup=Setup.PASSIVE),
        )
        self.bob.open(answer, offer, is_offerer=False)
        bridge.far.open(offer, answer, is_offerer=True)
        offer, answer = (
            self.alice.media(is_tls=False, setup=Setup.ACTPASS),
            bridge.near.media(is_tls=False, setup=Setup.PASSIVE),
        )
        bridge.near.open(answer, offer, is_offerer=False)
        self.alice.open(offer, answer, is_offerer=True)
        self.paths = [(str(bridge.near.path), str(self.alice.path)), (str(bridge.far.path), str(self.bob.path))]

    def address(self, transport: Transport = Transport.TCP) -> Address:
        return self.relay.address(transport)

    def session_for_attacker(self, notes: LegNotes, max_octets: int = 100_000) -> str:
        """A leg of the relay that waits for him; its URI."""
        leg = self.relay.leg(notes, max_octets=max_octets)
        local = leg.media(is_tls=False, setup=Setup.PASSIVE)
        own = parse_msrp_uri(_OWN)
        remote = MsrpMedia(host=HOST, port=9, is_tls=False, path=(own,), setup=Setup.ACTIVE, has_cema=True)
        leg.open(local, remote, is_offerer=False)
        return str(leg.path)

    async def still_works(self) -> None:
        """A message each way gets through, whole."""
        for channel, notes in ((self.alice, self.notes[1]), (self.bob, self.notes[0])):
            self.sent += 1
            body = f"message {self.sent} ".encode() * 400
            channel.send(OutgoingMessage(f"m{self.sent}", "text/plain", body))
            await until(lambda notes=notes, body=body: body in notes.bodies[-1:])  # type: ignore[misc]  # bound early

    def errors(self) -> list[str]:
        return [record.summary for record in self.sink.records if record.kind is RecordKind.ERROR]

    async def close(self) -> None:
        await self.phones.close()
        await self.relay.close()
        self.deadlines.close()
        await self.network.close()


@contextlib.asynccontextmanager
async def _scene() -> AsyncIterator[_Scene]:
    """At its end the session of the others stands as it did, and nothing has raised."""
    escaped: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    scene = _Scene()
    try:
        await scene.start()
        await scene.still_works()
        yield scene
        await scene.still_works()
        assert scene.bridge_notes.ends == []
        assert [notes.failures for notes in scene.notes] == [[], []]
        assert [notes.ends for notes in scene.notes] == [[], []]
    finally:
        await scene.close()
    assert escaped == []


def _in_scene(story: Callable[[_Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        async with _scene() as scene:
            await story(scene)

    rcs_sim.run(main, clock="real")


@pytest.mark.parametrize("seed", range(4))
def test_random_frames_are_answered_as_the_rfc_says_or_end_their_connection(seed: int) -> None:
    async def story(scene: _Scene) -> None:
        dice = random.Random(seed)
        own = scene.session_for_attacker(LegNotes())
        seen: set[int] = set()
        for _ in range(80):
            to, sender = dice.choice([*scene.paths, (own, _OWN)])
            octets = b"".join(mutated(frame(to, sender), dice) for _ in range(dice.randrange(1, 4)))
            for event in FrameDecoder().feed(await _write(scene.address(), octets, reads_for_s=0.05)):
                assert not isinstance(event, MsrpParseError)
                if isinstance(event, MsrpResponse):
                    seen.add(event.status)
        assert seen <= _STATUSES
        assert {481, 506} <= seen
        await scene.still_works()

    _in_scene(story)


def test_a_stranger_who_names_a_session_of_others_cannot_speak_in_it() -> None:
    async def story(scene: _Scene) -> None:
        for to, sender in scene.paths:
            answer = await _write(scene.address(), frame(to, sender, b"it is me"), reads_for_s=0.2)
            assert b" 506 " in answer
            answer = await _write(
                scene.address(), frame(to.replace(";tcp", "x;tcp"), sender, b"it is me"), reads_for_s=0.2
            )
            assert b" 481 " in answer
        assert b"it is me" not in b"".join(scene.notes[0].bodies + scene.notes[1].bodies)
        assert sum("506" in error for error in scene.errors()) == 2
        assert sum("481" in error for error in scene.errors()) == 2

    _in_scene(story)


def test_connections_that_bind_nothing_are_closed_in_time_however_many() -> None:
    halves = (b"", b"MSRP ", b"\r\n", b"MSRP tid00001 SEND\r\nTo-Path: msrp", frame("msrp://h/x;tcp", _OWN)[:-9])

    async def story(scene: _Scene) -> None:
        standing = scene.relay.stack.connection_count
        flood = []
        for number in range(200):
            address = scene.address(Transport.TLS if number % 4 == 0 else Transport.TCP)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(halves[number % len(halves)])
            flood.append((reader, writer))
        await scene.still_works()
        for reader, writer in flood:
            async with asyncio.timeout(10 * _BIND_S):
                with contextlib.suppress(ConnectionError):
                    while await reader.read(65536):
                        pass
            writer.transport.abort()
        await until(lambda: scene.relay.stack.connection_count == standing)
        assert sum("no session was bound" in error for error in scene.errors()) > 100

    _in_scene(story)


async def _write_until_stuck(writer: asyncio.StreamWriter, octets: bytes) -> None:
    """Fails if the other end takes everything."""
    async with asyncio.timeout(20):
        while True:
            writer.write(octets)
            try:
                await asyncio.wait_for(writer.drain(), _STUCK_S)
            except TimeoutError:
                return


def test_who_never_reads_his_answers_is_not_read_and_costs_no_more_than_that() -> None:
    async def story(scene: _Scene) -> None:
        notes = LegNotes()
        to, address = scene.session_for_attacker(notes), scene.address()
        octets = b"".join(frame(to, _OWN, b"x", transaction_id=f"tid{number:05}") for number in range(1000))
        with socket.socket() as small:
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.setblocking(False)
            await asyncio.get_running_loop().sock_connect(small, (address.host, address.port))
            _, writer = await asyncio.open_connection(sock=small, limit=1)
            await _write_until_stuck(writer, octets)
            taken = len(notes.messages)
            await scene.still_works()
            assert len(notes.messages) == taken
            writer.transport.abort()

    _in_scene(story)


def test_a_message_that_never_ends_is_refused_and_none_of_it_kept() -> None:
    async def story(scene: _Scene) -> None:
        notes = LegNotes()
        to = scene.session_for_attacker(notes, max_octets=100_000)
        head = frame(to, _OWN, b"", lines=("Byte-Range: 1-*/*",)).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        answer = await _write(scene.address(), head + bytes(20_000_000), reads_for_s=1.0)
        assert answer.startswith(b"MSRP tid00001 413 ")
        assert answer.count(b" 413 ") == 1
        assert notes.messages == []

    _in_scene(story)


def test_a_flood_of_messages_that_nobody_settles_is_held_at_its_source() -> None:
    async def story(scene: _Scene) -> None:
        notes = LegNotes(settles_with=None)
        to, address = scene.session_for_attacker(notes), scene.address()
        octets = b"".join(
            frame(to, _OWN, bytes(10_000), transaction_id=f"tid{number:05}").replace(b"m-hostile", b"m-%d" % number)
            for number in range(1000)
        )
        _, writer = await asyncio.open_connection(address.host, address.port)
        await _write_until_stuck(writer, octets)
        assert 0 < len(notes.messages) < 600
        await scene.still_works()
        writer.transport.abort()

    _in_scene(story)


@pytest.mark.parametrize("wish", ["yes", "no"])
def test_a_far_end_that_does_not_read_holds_its_sender_and_nobody_else(wish: str) -> None:
    async def story(scene: _Scene) -> None:
        bridge = scene.relay.bridge(scene.bridge_notes)
        own = parse_msrp_uri(_OWN)
        peer = MsrpMedia(host=HOST, port=9, is_tls=False, path=(own,), setup=Setup.ACTIVE, has_cema=True)
        address, uris = scene.address(), []
        for side in (bridge.near, bridge.far):
            local = side.media(is_tls=False, setup=Setup.PASSIVE)
            side.open(local, peer, is_offerer=False)
            uris.append(str(local.path[0]))
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await asyncio.get_running_loop().sock_connect(deaf, (address.host, address.port))
            await asyncio.get_running_loop().sock_sendall(deaf, frame(uris[1], _OWN, None))
            _, writer = await asyncio.open_connection(address.host, address.port)
            before = resident_kb()
            lines = ("Byte-Range: 1-60000/60000", f"Failure-Report: {wish}")
            await _write_until_stuck(writer, frame(uris[0], _OWN, bytes(60_000), lines=lines) * 20)
            assert resident_kb() - before < 30_000
            await scene.still_works()
        await until(lambda: len(scene.bridge_notes.ends) == 1)  # he has gone
        assert scene.bridge_notes.ends.pop().kind is LegEndKind.LOST
        writer.transport.abort()

    _in_scene(story)
