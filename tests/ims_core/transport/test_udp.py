from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence

import pytest

from ims_core.transport import udp
from ims_core.transport.datagrams import Datagrams, Key, PlainDatagrams, SocketAddress
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


class _Reluctant:
    """Datagrams of a kernel that has no room for the first writes."""

    def __init__(self, others: Datagrams, refusals: int, error: type[OSError] = BlockingIOError) -> None:
        self._others, self._refusals, self._error = others, refusals, error

    def key_of(self, to: SocketAddress) -> Key:
        return self._others.key_of(to)

    def address_of(self, key: Key) -> SocketAddress:
        return self._others.address_of(key)

    def read(self) -> Sequence[tuple[bytes, Key]]:
        return self._others.read()

    def write(self, datagrams: Sequence[tuple[bytes, Key]]) -> int:
        if self._refusals:
            self._refusals -= 1
            raise self._error
        return self._others.write(datagrams[:3])  # takes some of them


@pytest.fixture(params=["batched", "plain"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sockets of the test use the fastest way of this system, or one call a datagram."""
    if request.param == "plain":
        monkeypatch.setattr(udp, "datagrams_of", PlainDatagrams)


@pytest.fixture
def reluctant(monkeypatch: pytest.MonkeyPatch, kind: None) -> None:
    """Also, the kernel refuses the first writes."""
    fastest = udp.datagrams_of
    monkeypatch.setattr(udp, "datagrams_of", lambda bound: _Reluctant(fastest(bound), refusals=3))


async def _echo(network: SocketNetwork, count: int) -> tuple[list[bytes], list[bytes]]:
    alice, bob = Recorder("alice"), Recorder("bob", answer=bytes.upper)
    await listen_at(network, Transport.UDP, alice)
    flow = network.connect(HOST, await listen_at(network, Transport.UDP, bob), alice)
    sent = [b"x%d" % number for number in range(count)]
    for octets in sent:
        flow.send(octets)
    await until(lambda: len(alice.octets) == count)
    return bob.octets, alice.octets


async def test_answers_wait_in_order_for_a_kernel_without_room(network: SocketNetwork, reluctant: None) -> None:
    heard, answers = await _echo(network, 300)
    assert heard == [b"x%d" % number for number in range(300)]
    assert answers == [octets.upper() for octets in heard]


async def test_both_ways_echo_a_burst_in_order(network: SocketNetwork, kind: None) -> None:
    heard, answers = await _echo(network, 300)
    assert answers == [octets.upper() for octets in heard]


async def test_what_waits_is_bounded_and_the_loss_is_said_once(
    network: SocketNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fastest = udp.datagrams_of
    monkeypatch.setattr(udp, "datagrams_of", lambda bound: _Reluctant(fastest(bound), refusals=1 << 30))
    monkeypatch.setattr(udp, "_QUEUED_DATAGRAMS", 20)
    alice, bob = Recorder("alice"), Recorder("bob", answer=bytes.upper)
    await listen_at(network, Transport.UDP, alice)
    flow = network.connect(HOST, await listen_at(network, Transport.UDP, bob), alice)
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            flow.send(b"x")
        await until(lambda: len(bob.octets) == 100)
    assert len([record for record in caplog.records if "more are lost" in record.message]) == 1


class _Swelling(Recorder):
    """Answers with what no datagram holds, then with what came."""

    def received(self, octets: bytes, flow: Flow) -> None:
        super().received(octets, flow)
        if octets == b"x1":
            flow.send(bytes(70000))


async def test_an_answer_that_no_datagram_holds_does_not_stop_the_others(network: SocketNetwork, kind: None) -> None:
    alice, bob = Recorder("alice"), _Swelling("bob", answer=bytes.upper)
    await listen_at(network, Transport.UDP, alice)
    flow = network.connect(HOST, await listen_at(network, Transport.UDP, bob), alice)
    for number in range(4):
        flow.send(b"x%d" % number)
    await until(lambda: len(alice.octets) == 4 and len(bob.ends) == 1)
    assert alice.octets == [b"X0", b"X1", b"X2", b"X3"]
    assert "70000" in str(bob.ends[0])


class _Leaving(Recorder):
    """Closes its element's sockets when it has heard some."""

    def __init__(self, name: str, network: SocketNetwork) -> None:
        super().__init__(name)
        self._network = network

    def received(self, octets: bytes, flow: Flow) -> None:
        super().received(octets, flow)
        flow.send(octets.upper())
        if len(self.octets) == 3:
            for socket_of in tuple(self._network._udp):
                if socket_of.handler is self:
                    socket_of.close_now()


async def test_a_socket_that_is_closed_while_it_is_read_has_sent_its_answers(
    network: SocketNetwork, kind: None
) -> None:
    alice, bob = Recorder("alice"), _Leaving("bob", network)
    await listen_at(network, Transport.UDP, alice)
    flow = network.connect(HOST, await listen_at(network, Transport.UDP, bob), alice)
    for number in range(10):
        flow.send(b"x%d" % number)
    await until(lambda: len(alice.octets) == 3)
    assert (bob.octets, alice.octets) == ([b"x0", b"x1", b"x2"], [b"X0", b"X1", b"X2"])


async def test_others_have_their_turn_under_a_flood(network: SocketNetwork, kind: None) -> None:
    bob = Recorder("bob")
    flow = network.connect(HOST, await listen_at(network, Transport.UDP, bob), Recorder("alice"))
    for _ in range(1000):
        flow.send(b"x")
    turns: list[int] = []
    while sum(turns) < 1000 and len(turns) < 10_000:
        before = len(bob.octets)
        await asyncio.sleep(0)  # one turn of the loop
        turns.append(len(bob.octets) - before)
    assert max(turns) <= 128
    assert sum(turns) == 1000


async def test_a_peer_that_is_gone_is_told_to_the_flow_also_when_sending_notices(
    network: SocketNetwork, kind: None
) -> None:
    alice = Recorder("alice")
    flow = network.connect(HOST, Address(Transport.UDP, HOST, free_port(socket.SOCK_DGRAM)), alice)
    flow.send(b"x")
    flow.send(b"y")  # the answer to the first is there by now, on loopback
    await until(lambda: len(alice.ends) == 1)
    assert "not reachable" in str(alice.ends[0])
    assert os.strerror(111) in str(alice.ends[0])


async def test_an_address_of_another_family_ends_in_closed(network: SocketNetwork) -> None:
    alice = Recorder("alice")
    await listen_at(network, Transport.UDP, alice)
    flow = network.connect(HOST, Address(Transport.UDP, "::1", 5060), alice)
    flow.send(b"x")
    await until(lambda: len(alice.ends) == 1)
    assert "cannot send to udp:[::1]:5060" in str(alice.ends[0])
