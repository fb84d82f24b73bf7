from __future__ import annotations

import socket

from ims_core.transport.link import Address, Flow, Transport
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


async def test_the_answers_to_a_burst_leave_in_order(network: SocketNetwork) -> None:
    alice, bob = Recorder("alice"), Recorder("bob", answer=bytes.upper)
    await listen_at(network, Transport.UDP, alice)
    flow = network.connect(HOST, await listen_at(network, Transport.UDP, bob), alice)
    for number in range(50):
        flow.send(b"x%d" % number)
    await until(lambda: len(alice.octets) == 50)
    assert alice.octets == [b"X%d" % number for number in range(50)]


class _Closing(Recorder):
    """Answers, then closes its flow at once."""

    def received(self, octets: bytes, flow: Flow) -> None:
        super().received(octets, flow)
        flow.close()


async def test_an_answer_before_the_end_of_its_flow_is_sent(network: SocketNetwork) -> None:
    alice, bob = _Closing("alice", answer=bytes.upper), Recorder("bob", answer=bytes.upper)
    flow = network.connect(HOST, await listen_at(network, Transport.UDP, bob), alice)  # a socket for this flow alone
    flow.send(b"x")
    await until(lambda: bob.octets == [b"x", b"X"])
    assert not flow.is_open
