from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ims_core.errors import ConnectionLost, ConnectTimeout, LocalProtocolError, TransportError
from ims_core.transport.link import Address, Flow, TappedFlow, Transport
from ims_core.transport.memory import LinkProfile, MemoryNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from tests.support.flows import Recorder

_A, _B = "10.0.0.1", "10.0.0.2"
_TCP = Address(Transport.TCP, _B, 5060)
_UDP = Address(Transport.UDP, _B, 5060)


def _world(story: Callable[[MemoryNetwork], Awaitable[None]], seed: str = "seed") -> None:
    async def main() -> None:
        await story(MemoryNetwork(VirtualClock(), Tokens(seed)))

    run(main)


def _now() -> float:
    return asyncio.get_running_loop().time()


class Clocked(Recorder):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.times: list[float] = []

    def received(self, octets: bytes, flow: Flow) -> None:
        super().received(octets, flow)
        self.times.append(round(_now(), 6))


def test_a_stream_carries_octets_both_ways_in_order() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob", answer=bytes.upper)
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, alice)
        for word in (b"one ", b"two ", b"three"):
            flow.send(word)
        assert not bob.octets, "nothing may be delivered from within send"
        await asyncio.sleep(1)
        assert bob.stream == b"one two three"
        assert alice.stream == b"ONE TWO THREE"
        assert bob.flows[0].remote == flow.local
        assert network.book.name_of(flow.local) == "alice"
        assert network.book.name_of(_TCP) == "bob"

    _world(story)


def test_a_datagram_makes_a_flow_that_answers_go_back_on() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob", answer=bytes.upper)
        await network.listen(_UDP, bob)
        listener = await network.listen(Address(Transport.UDP, _A, 5060), alice)
        flow = network.connect(_A, _UDP, alice)
        flow.send(b"hi")
        await asyncio.sleep(1)
        assert flow.local == listener.address, "a UDP flow leaves from the listener with the same handler"
        assert (bob.octets, alice.octets) == ([b"hi"], [b"HI"])
        assert network.connect(_A, _UDP, alice) is flow
        assert alice.flows == [], "the answer belongs to a flow that is known"

    _world(story)


def test_a_connected_datagram_socket_hears_only_its_peer() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob, mallory = Recorder("alice"), Recorder("bob", answer=bytes.upper), Recorder("mallory")
        await network.listen(_UDP, bob)
        flow = network.connect(_A, _UDP, alice)
        network.connect("10.0.0.9", flow.local, mallory).send(b"spam")
        flow.send(b"hi")
        await asyncio.sleep(1)
        assert alice.octets == [b"HI"]
        flow.close()
        assert network.book.name_of(flow.local) is None

    _world(story)


def test_nobody_listening_refuses_streams_and_swallows_datagrams() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice = Recorder("alice")
        network.set_link("*", "*", LinkProfile(latency_s=0.5))
        flow = network.connect(_A, _TCP, alice)
        network.connect(_A, _UDP, alice).send(b"lost")
        await asyncio.sleep(0.99)
        assert flow.is_open
        await asyncio.sleep(0.02)
        assert not flow.is_open
        assert isinstance(alice.ends[0], ConnectTimeout)
        assert "refuses" in str(alice.ends[0])
        assert len(alice.ends) == 1

    _world(story)


def test_latency_bandwidth_and_equal_due_times_are_honoured() -> None:
    async def story(network: MemoryNetwork) -> None:
        bob = Clocked("bob")
        network.set_link(_A, _B, LinkProfile(latency_s=0.1, bandwidth_octets_per_s=1000))
        await network.listen(_UDP, bob)
        flow = network.connect(_A, _UDP, Recorder("alice"))
        for size in (100, 200, 300):
            flow.send(bytes(size))
        await asyncio.sleep(2)
        assert bob.times == [0.2, 0.4, 0.7]

    _world(story)


def test_what_is_sent_before_a_connection_stands_is_delivered_and_so_is_what_precedes_a_close() -> None:
    async def story(network: MemoryNetwork) -> None:
        network.set_link("*", "*", LinkProfile(latency_s=0.2))
        alice, bob = Recorder("alice"), Recorder("bob")
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, alice)
        flow.send(b"early")
        flow.close()
        assert not flow.is_open
        flow.send(b"too late")
        await asyncio.sleep(2)
        assert bob.octets == [b"early"]
        assert bob.ends == [None]
        assert alice.ends == []
        assert network.book.name_of(flow.local) is None

    _world(story)


def test_a_cut_shorter_than_thirty_seconds_only_delays_a_stream() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob")
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, alice)
        await asyncio.sleep(1)
        network.cut(_B)
        flow.send(b"one ")
        flow.send(b"two")
        await asyncio.sleep(29)
        assert not bob.octets
        network.restore(_B)
        await asyncio.sleep(30)
        assert bob.stream == b"one two"
        assert flow.is_open
        assert not alice.ends

    _world(story)


def test_what_was_on_its_way_when_a_link_went_down_stays_before_what_was_sent_later() -> None:
    async def story(network: MemoryNetwork) -> None:
        bob = Recorder("bob")
        network.set_link(_A, _B, LinkProfile(latency_s=1.0))
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, Recorder("alice"))
        await asyncio.sleep(5)
        for number in range(3):
            flow.send(b"%d" % number)
            await asyncio.sleep(0.1)
        network.cut(_B)
        flow.send(b"3")
        await asyncio.sleep(5)
        flow.send(b"4")
        network.restore(_B)
        await asyncio.sleep(0.5)
        network.cut(_B)
        flow.send(b"5")
        await asyncio.sleep(5)
        network.restore(_B)
        await asyncio.sleep(5)
        assert bob.stream == b"012345"

    _world(story)


def test_a_longer_cut_ends_both_ends() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob")
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, alice)
        await asyncio.sleep(1)
        network.cut(_B)
        flow.send(b"never seen")
        await asyncio.sleep(30.1)
        assert [type(error) for error in (*alice.ends, *bob.ends)] == [ConnectionLost, ConnectionLost]
        network.restore(_B)
        await asyncio.sleep(1)
        assert not bob.octets

    _world(story)


def test_connecting_over_a_cut_times_out_and_nothing_is_left_behind() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob")
        await network.listen(_TCP, bob)
        network.cut(_B)
        network.connect(_A, _TCP, alice, timeout_s=5)
        await asyncio.sleep(4.9)
        assert not alice.ends
        await asyncio.sleep(0.2)
        assert isinstance(alice.ends[0], ConnectTimeout)
        network.restore(_B)
        await asyncio.sleep(60)
        assert not bob.flows
        assert len(alice.ends) == 1

    _world(story)


def test_an_answer_that_comes_after_the_time_out_resets_the_other_end() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob")
        await network.listen(_TCP, bob)
        network.set_link("*", "*", LinkProfile(latency_s=3))
        network.connect(_A, _TCP, alice, timeout_s=5)
        await asyncio.sleep(60)
        assert isinstance(alice.ends[0], ConnectTimeout)
        assert isinstance(bob.ends[0], ConnectionLost)

    _world(story)


def test_datagrams_are_lost_while_the_link_is_down_even_on_their_way() -> None:
    async def story(network: MemoryNetwork) -> None:
        bob = Recorder("bob")
        network.set_link("*", "*", LinkProfile(latency_s=1))
        await network.listen(_UDP, bob)
        flow = network.connect(_A, _UDP, Recorder("alice"))
        flow.send(b"on its way")
        await asyncio.sleep(0.5)
        network.cut(_A)
        flow.send(b"while down")
        await asyncio.sleep(5)
        network.restore(_A)
        flow.send(b"after")
        await asyncio.sleep(5)
        assert bob.octets == [b"after"]

    _world(story)


def test_a_reset_host_loses_its_connections_at_once() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob")
        await network.listen(_TCP, bob)
        network.connect(_A, _TCP, alice)
        await asyncio.sleep(1)
        network.reset(_B)
        assert [type(error) for error in (*alice.ends, *bob.ends)] == [ConnectionLost, ConnectionLost]

    _world(story)


def test_loss_and_duplication_have_the_rate_that_was_asked_for() -> None:
    async def story(network: MemoryNetwork) -> None:
        bob = Recorder("bob")
        network.set_link(_A, _B, LinkProfile(loss=0.25, duplicate=0.5))
        await network.listen(_UDP, bob)
        flow = network.connect(_A, _UDP, Recorder("alice"))
        for number in range(4000):
            flow.send(b"%d" % number)
        await asyncio.sleep(1)
        assert 4000 * 0.75 * 1.5 * 0.95 < len(bob.octets) < 4000 * 0.75 * 1.5 * 1.05
        assert 2900 < len(set(bob.octets)) < 3100

    _world(story)


def test_reordering_changes_the_order_of_datagrams_and_never_of_a_stream() -> None:
    async def story(network: MemoryNetwork) -> None:
        bob = Recorder("bob")
        network.set_link("*", "*", LinkProfile(latency_s=0.05, jitter_s=0.02, reorder=0.3, loss=0.2, duplicate=0.1))
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, Recorder("alice"))
        words = [b"%04d" % number for number in range(200)]
        for word in words:
            flow.send(word)
            await asyncio.sleep(0.01)
        await asyncio.sleep(60)
        assert bob.octets == words
        await network.listen(_UDP, bob)
        bob.octets.clear()
        network.set_link("*", "*", LinkProfile(reorder=0.3))
        datagrams = network.connect(_A, _UDP, Recorder("alice"))
        for word in words:
            datagrams.send(word)
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)
        assert sorted(bob.octets) == words
        assert bob.octets != words

    _world(story)


def test_a_stream_over_a_link_that_loses_everything_is_given_up() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob")
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, alice)
        await asyncio.sleep(1)
        network.set_link(_A, _B, LinkProfile(loss=1))
        flow.send(b"x")
        await asyncio.sleep(31)
        assert isinstance(alice.ends[0], ConnectionLost)

    _world(story)


def test_the_same_seed_repeats_and_another_does_not() -> None:
    def arrivals(seed: str) -> list[tuple[float, bytes]]:
        bob = Clocked("bob")

        async def story(network: MemoryNetwork) -> None:
            network.set_link("*", "*", LinkProfile(latency_s=0.1, jitter_s=0.1, loss=0.2, reorder=0.2, duplicate=0.2))
            await network.listen(_UDP, bob)
            flow = network.connect(_A, _UDP, Recorder("alice"))
            for number in range(100):
                flow.send(b"%d" % number)
            await asyncio.sleep(5)

        _world(story, seed)
        return list(zip(bob.times, bob.octets, strict=True))

    assert arrivals("7") == arrivals("7")
    assert arrivals("7") != arrivals("8")


def test_the_more_exact_link_rule_wins() -> None:
    async def story(network: MemoryNetwork) -> None:
        network.set_link("*", _B, LinkProfile(latency_s=1))
        network.set_link(_A, "*", LinkProfile(latency_s=2))
        assert network.link(_A, _B).latency_s == 2
        network.set_link(_A, _B, LinkProfile(latency_s=3))
        assert network.link(_A, _B).latency_s == 3
        assert network.link("x", _B).latency_s == 1
        assert network.link("x", "y").latency_s == 0
        network.cut(_B)
        assert not network.link(_A, _B).is_up
        assert network.link(_A, "y").is_up

    _world(story)


def test_a_taken_port_is_refused_and_a_freed_one_is_not() -> None:
    async def story(network: MemoryNetwork) -> None:
        listener = await network.listen(_TCP, Recorder("bob"))
        with pytest.raises(TransportError, match="in use by bob"):
            await network.listen(_TCP, Recorder("carol"))
        await network.listen(_UDP, Recorder("bob"))
        await listener.close()
        await network.listen(_TCP, Recorder("carol"))
        free = await network.listen(Address(Transport.TCP, _B, 0), Recorder("dave"))
        assert free.address.port >= 49152
        assert network.path_mtu(_A, _TCP) == 65535

    _world(story)


def test_a_handler_that_fails_costs_nobody_else_anything() -> None:
    class Broken(Recorder):
        def received(self, octets: bytes, flow: Flow) -> None:
            raise ValueError("broken element")

    async def story(network: MemoryNetwork) -> None:
        reports: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
        bob = Recorder("bob")
        await network.listen(_UDP, bob)
        await network.listen(Address(Transport.UDP, _B, 5061), Broken("broken"))
        network.connect(_A, Address(Transport.UDP, _B, 5061), Recorder("alice")).send(b"x")
        network.connect(_A, _UDP, Recorder("alice")).send(b"y")
        await asyncio.sleep(1)
        assert bob.octets == [b"y"]
        assert isinstance(reports[0]["exception"], ValueError)

    _world(story)


def test_a_datagram_that_is_too_large_ends_in_closed() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice = Recorder("alice")
        network.connect(_A, _UDP, alice).send(bytes(70000))
        assert not alice.ends
        await asyncio.sleep(1)
        assert "70000" in str(alice.ends[0])

    _world(story)


def test_closing_the_network_ends_everything() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob")
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, alice)
        await asyncio.sleep(1)
        await network.close()
        assert not flow.is_open
        flow.send(b"x")
        await asyncio.sleep(100)
        assert not bob.octets
        assert not alice.ends

    _world(story)


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"latency_s": -1.0}, {"bandwidth_octets_per_s": 0.0}])
def test_an_impossible_link_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LocalProtocolError):
        LinkProfile(**wrong)  # type: ignore[arg-type]  # is_up is a bool and not in these


class _OnTheLine:
    """A tap that loses what has a given word in it, answers it, and sees the rest."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def sending(self, flow: TappedFlow, octets: bytes) -> bool:
        self.seen.append(octets)
        if b"secret" in octets:
            flow.hand_in(b"taken")
            return True
        return False


@pytest.mark.parametrize("address", [_TCP, _UDP])
def test_a_tap_sees_what_leaves_and_can_take_and_answer_it(address: Address) -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Recorder("bob")
        await network.listen(address, bob)
        network.book.tap = tap = _OnTheLine()
        flow = network.connect(_A, address, alice)
        flow.send(b"in clear")
        flow.send(b"a secret")
        assert alice.octets == [], "nothing may be delivered from within send"
        await asyncio.sleep(1)
        assert bob.stream == b"in clear"
        assert alice.stream == b"taken"
        network.book.tap = None
        flow.send(b", secret")
        await asyncio.sleep(1)
        assert bob.stream == b"in clear, secret"
        assert tap.seen == [b"in clear", b"a secret"]
        flow.close()
        flow.send(b"closed")
        assert tap.seen == [b"in clear", b"a secret"]

    _world(story)


def test_links_are_changed_one_after_the_other_and_back_in_any_order() -> None:
    async def story(network: MemoryNetwork) -> None:
        network.set_link(_A, _B, LinkProfile(latency_s=0.1))
        slower = network.change_links(lambda source, target, link: replace(link, latency_s=link.latency_s + 1))
        down = network.change_links(lambda source, target, link: replace(link, is_up=source != _A))
        assert network.link(_A, _B) == LinkProfile(latency_s=1.1, is_up=False)
        assert network.link(_B, _A) == LinkProfile(latency_s=1.0)
        slower()
        slower()
        assert network.link(_A, _B) == LinkProfile(latency_s=0.1, is_up=False)
        down()
        assert network.link(_A, _B) == LinkProfile(latency_s=0.1)

    _world(story)


def test_a_change_of_links_counts_for_connections_that_stand() -> None:
    async def story(network: MemoryNetwork) -> None:
        alice, bob = Recorder("alice"), Clocked("bob")
        await network.listen(_TCP, bob)
        flow = network.connect(_A, _TCP, alice)
        flow.send(b"1")
        await asyncio.sleep(1)
        end = network.change_links(lambda source, target, link: replace(link, latency_s=2.0))
        flow.send(b"2")
        await asyncio.sleep(3)
        end()
        flow.send(b"3")
        await asyncio.sleep(1)
        assert bob.times == [0.0, 3.0, 4.0]

    _world(story)


def test_the_book_knows_who_has_an_address() -> None:
    async def story(network: MemoryNetwork) -> None:
        await network.listen(_TCP, Recorder("bob"))
        assert _TCP in network.book
        assert _UDP not in network.book
        assert network.book.addresses() == frozenset({_TCP})

    _world(story)
