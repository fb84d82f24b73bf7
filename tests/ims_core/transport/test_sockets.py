from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ims_core.errors import SimulatorError, TransportError
from ims_core.transport.link import Address, TappedFlow, Transport
from ims_core.transport.sip_stack import FailureReason, Hop
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.virtual_loop import RealClock, run
from ims_core.wire.sip.message import Response
from tests.support.flows import Recorder
from tests.support.real_links import ALL, HOST, free_port, listen_at, until
from tests.support.sip_pair import Element, config, make_request


@pytest.mark.parametrize("transport", ALL)
async def test_octets_go_both_ways(network: SocketNetwork, transport: Transport) -> None:
    alice, bob = Recorder("alice"), Recorder("bob", answer=bytes.upper)
    address = await listen_at(network, transport, bob)
    assert address.port != 0
    flow = network.connect(HOST, address, alice)
    assert flow.local.port != 0, "the own port is known before the connection stands"
    flow.send(b"one ")
    flow.send(b"two")
    await until(lambda: alice.stream == b"ONE TWO")
    assert bob.flows[0].remote == flow.local
    assert (network.book.name_of(flow.local), network.book.name_of(address)) == ("alice", "bob")
    assert network.path_mtu(HOST, address) == 65535
    assert network.path_mtu(HOST, Address(transport, "192.0.2.1", 5060)) is None
    flow.close()
    if transport.is_reliable:
        await until(lambda: bob.ends == [None])
    await until(lambda: network.book.name_of(flow.local) is None)
    assert not alice.ends


@pytest.mark.parametrize("transport", ALL)
async def test_a_tap_takes_and_answers_what_leaves(network: SocketNetwork, transport: Transport) -> None:
    class Tap:
        def sending(self, flow: TappedFlow, octets: bytes) -> bool:
            flow.hand_in(b"taken: " + octets)
            return True

    alice, bob = Recorder("alice"), Recorder("bob")
    address = await listen_at(network, transport, bob)
    network.book.tap = Tap()
    flow = network.connect(HOST, address, alice)
    flow.send(b"hello")
    assert alice.octets == []
    await until(lambda: alice.stream == b"taken: hello")
    network.book.tap = None
    flow.send(b"through")
    await until(lambda: bob.stream == b"through")


async def test_a_host_that_is_not_ours_ends_in_closed(network: SocketNetwork) -> None:
    alice = Recorder("alice")
    for transport in ALL:
        network.connect("192.0.2.1", Address(transport, HOST, 5060), alice)
    await until(lambda: len(alice.ends) == 3)
    assert "no address of this machine" in str(alice.ends[0])


@pytest.mark.parametrize("transport", ALL)
async def test_a_port_in_use_is_one_sentence_that_says_what_to_do(network: SocketNetwork, transport: Transport) -> None:
    address = await listen_at(network, transport, Recorder("bob"))
    with pytest.raises(TransportError, match=f"port {address.port} on 127.0.0.1 is in use: stop the other program"):
        await network.listen(address, Recorder("carol"))


async def test_a_foreign_address_is_told_clearly(network: SocketNetwork) -> None:
    with pytest.raises(TransportError, match="no address of this machine"):
        await network.listen(Address(Transport.TCP, "192.0.2.1", 0), Recorder("bob"))


def test_sockets_in_virtual_time_are_a_clear_error() -> None:
    async def main() -> None:
        with pytest.raises(SimulatorError, match="real time"):
            await SocketNetwork(RealClock()).listen(Address(Transport.UDP, HOST, 0), Recorder("bob"))

    run(main, clock="virtual")


# --- the stack on sockets ------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def bob(network: SocketNetwork) -> AsyncIterator[Element]:
    bob = Element(config("red.bob", HOST, *ALL, port=0), network, network.clock)
    await bob.stack.start()
    yield bob
    await bob.stack.close()


@pytest_asyncio.fixture
async def alice(network: SocketNetwork) -> AsyncIterator[Element]:
    alice = Element(config("alice", HOST), network, network.clock)
    await alice.stack.start()
    yield alice
    await alice.stack.close()


@pytest.mark.parametrize("transport", ALL)
@pytest.mark.parametrize("size", [0, 20000])
async def test_requests_are_answered_over_sockets(
    alice: Element, bob: Element, transport: Transport, size: int
) -> None:
    async with asyncio.timeout(10):
        for number in range(3):
            request = make_request(call_id=f"call-{number}", body=bytes(size))
            outcome = await alice.stack.request(request, bob.hop(transport))
            assert isinstance(outcome, Response)
            assert outcome.status == 200
        assert len(set(bob.flows)) == 1
        back = await bob.stack.request(make_request(call_id="back"), Hop(flow=bob.flows[0]))
        assert back.status == 200
        assert await alice.stack.ping(alice.stack.connect(bob.hop(transport)))
    assert bob.requests[0].top_via.port == bob.flows[0].remote.port


async def test_a_refused_connection_is_a_transport_failure(alice: Element) -> None:
    hop = Hop(Address(Transport.TCP, HOST, free_port(socket.SOCK_STREAM)))
    async with asyncio.timeout(10):
        [outcome] = [await alice.stack.request(make_request(), hop)]
    assert not isinstance(outcome, Response)
    assert outcome.reason is FailureReason.TRANSPORT


async def test_garbage_on_a_socket_closes_only_that_connection(bob: Element, network: SocketNetwork) -> None:
    address = bob.stack.address(Transport.TCP)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(b"\0\1\2 garbage\r\n\r\n" * 100)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    async with asyncio.timeout(10):
        alice = Element(config("alice", HOST), network, network.clock)
        assert (await alice.stack.request(make_request(), bob.hop(Transport.TCP))).status == 200
        await alice.stack.close()
