from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct

import pytest

from ims_core.errors import ConnectionLost, ConnectTimeout
from ims_core.transport.link import HIGH_WATER_OCTETS, Address, Flow, Transport
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tcp import bind_socket
from tests.support.flows import Recorder
from tests.support.real_links import HOST, free_port, listen_at, until


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
async def test_a_refused_connection_ends_in_closed(network: SocketNetwork, transport: Transport) -> None:
    alice = Recorder("alice")
    flow = network.connect(HOST, Address(transport, HOST, free_port(socket.SOCK_STREAM)), alice)
    flow.send(b"x")
    await until(lambda: len(alice.ends) == 1)
    assert isinstance(alice.ends[0], ConnectTimeout)
    assert network.book.name_of(flow.local) is None


async def test_a_peer_that_does_not_read_is_dropped(network: SocketNetwork) -> None:
    with socket.create_server((HOST, 0)) as silent:
        alice = Recorder("alice")
        flow = network.connect(HOST, Address(Transport.TCP, HOST, silent.getsockname()[1]), alice)
        for _ in range(64):
            flow.send(bytes(1024 * 1024))
            await asyncio.sleep(0)
        await until(lambda: len(alice.ends) == 1)
        assert isinstance(alice.ends[0], ConnectionLost)
        assert "does not read" in str(alice.ends[0])


async def test_what_is_sent_to_a_peer_who_just_left_goes_nowhere_without_a_word(
    network: SocketNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    class Generous(Recorder):
        def received(self, octets: bytes, flow: Flow) -> None:
            super().received(octets, flow)
            for _ in range(1000):
                flow.send(b"answer")

    bob = Generous("bob")
    address = await listen_at(network, Transport.TCP, bob)
    for _ in range(5):
        with socket.create_connection((address.host, address.port)) as hasty:
            hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves with a RST
            hasty.sendall(b"question")
    await until(lambda: len(bob.ends) == 5)
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_a_peer_who_does_not_read_the_answers_is_not_read_and_goes_on_when_he_does(
    network: SocketNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = Recorder("bob", answer=lambda octets: octets * 300)
    address = await listen_at(network, Transport.TCP, bob)
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=1024)
    for _ in range(200):
        writer.write(b"question" * 100)
        await asyncio.sleep(0)
    await until(lambda: bob.flows[0].is_open and len(bob.stream) > 0)
    for _ in range(20):
        await asyncio.sleep(0.01)
    unanswered = 200 * 800 - len(bob.stream)
    assert unanswered > 0, "what is not read costs no memory of ours"
    while len(bob.stream) < 200 * 800:
        assert await reader.read(1 << 20)
    writer.close()
    await until(lambda: bob.ends != [])

    monkeypatch.setattr("ims_core.transport.tcp._UNREAD_LIMIT_S", 0.1)
    lazy = socket.create_connection((address.host, address.port))
    lazy.setblocking(False)
    for _ in range(200):
        with contextlib.suppress(BlockingIOError, ConnectionError):
            lazy.send(b"question" * 100)
        await asyncio.sleep(0)
    await until(lambda: len(bob.ends) == 2)
    assert "has read nothing" in str(bob.ends[1])
    lazy.close()


async def test_a_flow_tells_when_its_connection_stands_and_never_for_an_accepted_one(network: SocketNetwork) -> None:
    bob, opened = Recorder("bob"), list[Flow]()
    flow = network.connect(HOST, await listen_at(network, Transport.TCP, bob), Recorder("alice"))
    flow.on_opened = opened.append
    flow.send(b"early")
    assert flow.backlog == 5
    await until(lambda: bob.stream == b"early")
    assert opened == [flow]
    assert flow.backlog == 0


async def test_a_paused_flow_reads_nothing_until_it_is_resumed_and_its_sender_is_told_when_to_go_on(
    network: SocketNetwork,
) -> None:
    bob, drained = Recorder("bob"), list[Flow]()
    flow = network.connect(HOST, await listen_at(network, Transport.TCP, bob), Recorder("alice"))
    flow.on_drained = drained.append
    await until(lambda: len(bob.flows) == 1)
    bob.flows[0].pause()
    bob.flows[0].is_bulk = True
    sent = 0
    while flow.backlog <= HIGH_WATER_OCTETS:
        flow.send(bytes(65536))
        sent += 65536
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert (bob.octets, drained) == ([], [])
    bob.flows[0].resume()
    await until(lambda: len(bob.stream) == sent)
    assert drained == [flow]
    assert flow.backlog == 0
    assert max(map(len, bob.octets)) > 16 * 1024, "long content is read in long pieces"


async def test_a_flow_paused_before_it_stands_reads_nothing_and_hears_of_what_waited(network: SocketNetwork) -> None:
    alice, bob = Recorder("alice"), Recorder("bob", answer=lambda octets: octets[:5])
    drained = list[Flow]()
    flow = network.connect(HOST, await listen_at(network, Transport.TCP, bob), alice)
    flow.on_drained = drained.append
    flow.pause()
    flow.send(bytes(HIGH_WATER_OCTETS + 1))
    await until(lambda: len(bob.stream) == HIGH_WATER_OCTETS + 1)
    await until(lambda: drained == [flow])
    assert alice.octets == []
    flow.resume()
    await until(lambda: alice.octets != [])


async def test_closing_ends_though_the_peer_reads_nothing(
    network: SocketNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ims_core.transport.tcp._UNREAD_LIMIT_S", 0.1)
    with socket.create_server((HOST, 0)) as silent:
        flow = network.connect(HOST, Address(Transport.TCP, HOST, silent.getsockname()[1]), Recorder("alice"))
        while flow.backlog == 0 or network.book.name_of(flow.local) is None:
            flow.send(bytes(65536))
            await asyncio.sleep(0)
        flow.send(bytes(4 * 1024 * 1024))
        flow.close()
        flow.close()
        await until(lambda: network.book.name_of(flow.local) is None)


async def test_a_peer_who_reads_slowly_is_not_taken_for_dead(
    network: SocketNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ims_core.transport.tcp._UNREAD_LIMIT_S", 0.1)
    alice, bob = Recorder("alice"), Recorder("bob")
    flow = network.connect(HOST, await listen_at(network, Transport.TCP, bob), alice)
    await until(lambda: len(bob.flows) == 1)
    slow = bob.flows[0]
    size = 6 * 1024 * 1024
    slow.pause()
    flow.send(bytes(size))
    while len(bob.stream) < size:
        slow.resume()
        await asyncio.sleep(0.001)
        slow.pause()
        await asyncio.sleep(0.02)
    assert alice.ends == []


class _Polite(Recorder):
    """Answers a peer who has said all, if he waits for it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.finished: list[Flow] = []

    def accepted(self, flow: Flow) -> None:
        super().accepted(flow)
        flow.on_finished = self.finished.append


async def test_a_peer_who_has_said_all_can_still_be_answered(network: SocketNetwork) -> None:
    bob = _Polite("bob")
    address = await listen_at(network, Transport.TCP, bob)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(b"question")
    writer.write_eof()
    await until(lambda: len(bob.finished) == 1)
    flow = bob.finished[0]
    assert (bob.stream, bob.ends, flow.is_open) == (b"question", [], True)
    flow.pause()
    flow.resume()
    await asyncio.sleep(0.01)
    assert len(bob.finished) == 1
    flow.send(b"answer")
    flow.close()
    assert await reader.read() == b"answer"
    writer.close()


async def test_who_has_said_all_does_not_hold_a_connection_for_ever(
    network: SocketNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ims_core.transport.tcp._HALF_OPEN_S", 0.05)
    bob = _Polite("bob")
    address = await listen_at(network, Transport.TCP, bob)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write_eof()
    assert await reader.read() == b""
    await until(lambda: bob.ends == [None])
    assert len(bob.finished) == 1
    writer.close()


async def test_a_flow_closed_while_it_connects_still_delivers(network: SocketNetwork) -> None:
    bob = Recorder("bob")
    flow = network.connect(HOST, await listen_at(network, Transport.TCP, bob), Recorder("alice"))
    flow.send(b"early")
    flow.close()
    await until(lambda: bob.ends == [None])
    assert bob.stream == b"early"


async def test_a_handler_that_fails_keeps_its_connection(network: SocketNetwork) -> None:
    class Broken(Recorder):
        def received(self, octets: bytes, flow: Flow) -> None:
            super().received(octets, flow)
            raise ValueError("broken")

    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context["exception"]))
    for transport in (Transport.UDP, Transport.TCP):
        bob = Broken("bob")
        flow = network.connect(HOST, await listen_at(network, transport, bob), Recorder("alice"))
        for word in (b"one", b"two"):
            flow.send(word)
            await until(lambda bob=bob, word=word: bob.stream.endswith(word))  # type: ignore[misc]  # a closure
    assert len(reports) == 4


def test_a_socket_to_connect_from_does_not_wait_for_more_octets() -> None:
    with bind_socket("127.0.0.1") as bound:
        assert bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("turns", range(5))
async def test_who_connects_as_a_listener_closes_is_accepted_or_refused_and_never_left_open(
    network: SocketNetwork, turns: int
) -> None:
    """asyncio leaves a socket without an owner if its server closes between accepting it and making the connection."""
    bob = Recorder("bob")
    listener = await network.listen(Address(Transport.TCP, HOST, 0), bob)
    with socket.create_connection((HOST, listener.address.port)) as peer:
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.close()
        await network.close()
        gc.collect()
        peer.settimeout(5)
        with contextlib.suppress(ConnectionError):
            assert peer.recv(1) == b""
