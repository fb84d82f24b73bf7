from __future__ import annotations

import socket

from ims_core.transport.link import Address, Transport
from ims_core.transport.sockets import SocketNetwork
from tests.support.flows import Recorder
from tests.support.real_links import HOST, free_port, listen_at, until


async def test_a_udp_flow_leaves_from_the_listener_of_its_handler(network: SocketNetwork) -> None:
    alice, bob = Recorder("alice"), Recorder("bob", answer=bytes.upper)
    own, address = await listen_at(network, Transport.UDP, alice), await listen_at(network, Transport.UDP, bob)
    flow = network.connect(HOST, address, alice)
    assert flow.local == own
    assert network.connect(HOST, address, alice) is flow
    flow.send(b"x")
    await until(lambda: alice.octets == [b"X"])


async def test_a_flood_of_datagrams_is_read_in_turns(network: SocketNetwork) -> None:
    bob = Recorder("bob")
    address = await listen_at(network, Transport.UDP, bob)
    flow = network.connect(HOST, address, Recorder("alice"))
    for number in range(300):
        flow.send(b"%d" % number)
    await until(lambda: len(bob.octets) == 300)
    assert bob.octets == [b"%d" % number for number in range(300)]


async def test_what_udp_cannot_carry_ends_in_closed(network: SocketNetwork) -> None:
    alice = Recorder("alice")
    flow = network.connect(HOST, await listen_at(network, Transport.UDP, Recorder("bob")), alice)
    flow.send(bytes(70000))
    await until(lambda: len(alice.ends) == 1)
    assert "70000" in str(alice.ends[0])


async def test_an_unreachable_udp_port_is_told_to_the_flow_that_has_a_socket_of_its_own(network: SocketNetwork) -> None:
    alice = Recorder("alice")
    flow = network.connect(HOST, Address(Transport.UDP, HOST, free_port(socket.SOCK_DGRAM)), alice)
    flow.send(b"x")
    await until(lambda: len(alice.ends) == 1)
    assert not flow.is_open
