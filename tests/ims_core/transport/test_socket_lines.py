"""Lines between real sockets on loopback: the links of the in-memory world, kept by UDP, TCP, TLS and HTTP.

Times are lower bounds only: what has to wait has waited, however slow the machine is.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ims_core.errors import ConnectionLost, ConnectTimeout
from ims_core.trace import Trace
from ims_core.transport.http_message import HttpRequest, HttpResponse
from ims_core.transport.http_sockets import SocketHttpClient, SocketHttpServer
from ims_core.transport.lab_ca import LabCa
from ims_core.transport.link import HIGH_WATER_OCTETS, Address, Flow, Transport
from ims_core.transport.link_table import LinkTable
from ims_core.transport.memory_link import LinkProfile
from ims_core.transport.socket_lines import OrderedLine, SocketLines
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, run
from tests.support.flows import Recorder
from tests.support.real_links import ALL, until

ALICE, BOB = "127.0.0.21", "127.0.0.22"
STREAMS = (Transport.TCP, Transport.TLS)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _links(network: SocketNetwork, seed: str = "seed") -> LinkTable:
    return network.lines(Tokens(seed)).links


async def _bob(network: SocketNetwork, transport: Transport) -> tuple[Recorder, Address]:
    bob = Recorder("bob")
    return bob, (await network.listen(Address(transport, BOB, 0), bob)).address


async def _joined(network: SocketNetwork, transport: Transport) -> tuple[Flow, Recorder, Recorder]:
    """A flow from alice to bob that stands, and what both have seen since."""
    alice, (bob, address) = Recorder("alice"), await _bob(network, transport)
    flow = network.connect(ALICE, address, alice)
    flow.send(b"hello")
    await until(lambda: bob.stream == b"hello")
    bob.flows[0].send(b"hello")
    await until(lambda: alice.stream == b"hello")
    alice.octets.clear()
    bob.octets.clear()
    return flow, alice, bob


@pytest.mark.parametrize("transport", ALL)
async def test_latency_holds_what_is_sent_on_a_flow_that_stands_and_ends_again(
    network: SocketNetwork, transport: Transport
) -> None:
    flow, alice, bob = await _joined(network, transport)
    end = _links(network).change_links(lambda *ends: replace(ends[2], latency_s=0.1))
    began = _now()
    flow.send(b"one")
    flow.send(b"two")
    await until(lambda: bob.stream == b"onetwo")
    assert _now() - began >= 0.1
    bob.flows[0].send(b"back")
    await until(lambda: alice.stream == b"back")
    assert _now() - began >= 0.2
    end()
    flow.send(b"three")
    await until(lambda: bob.stream == b"onetwothree")


@pytest.mark.parametrize("transport", ALL)
async def test_a_line_is_from_host_to_host_and_one_way(network: SocketNetwork, transport: Transport) -> None:
    flow, alice, bob = await _joined(network, transport)
    _links(network).set_link(ALICE, BOB, LinkProfile(is_up=False))
    flow.send(b"lost or late")
    bob.flows[0].send(b"the other way")
    other = network.connect(BOB, bob.flows[0].local, Recorder("carol"))
    other.send(b"from another host")
    await until(lambda: alice.stream == b"the other way" and bob.stream == b"from another host")


@pytest.mark.parametrize("transport", STREAMS)
async def test_a_stream_waits_for_a_link_that_is_down_in_order_and_with_its_end(
    network: SocketNetwork, transport: Transport
) -> None:
    flow, alice, bob = await _joined(network, transport)
    links = _links(network)
    links.cut(BOB)
    for number in range(5):
        flow.send(b"%d" % number)
    flow.close()
    assert flow.backlog == 0
    links.restore(BOB)
    await until(lambda: bob.ends == [None])
    assert bob.stream == b"01234"
    assert alice.ends == []


@pytest.mark.parametrize("transport", STREAMS)
async def test_backlog_counts_what_is_held(network: SocketNetwork, transport: Transport) -> None:
    flow, _, bob = await _joined(network, transport)
    links = _links(network)
    links.cut(BOB)
    drained = asyncio.Event()
    flow.on_drained = lambda _: drained.set()
    octets = b"x" * (2 * HIGH_WATER_OCTETS)
    flow.send(octets)
    assert flow.backlog == len(octets)
    links.restore(BOB)
    async with asyncio.timeout(10):
        await drained.wait()
    await until(lambda: bob.stream == octets)


@pytest.mark.parametrize("transport", STREAMS)
async def test_a_narrow_line_lets_through_so_much_and_nothing_is_lost(
    network: SocketNetwork, transport: Transport
) -> None:
    flow, _, bob = await _joined(network, transport)
    _links(network).change_links(lambda *ends: replace(ends[2], bandwidth_octets_per_s=100_000))
    began = _now()
    for number in range(10):
        flow.send(bytes([number]) * 2_000)
    await until(lambda: len(bob.stream) == 20_000)
    assert _now() - began >= 0.2
    assert bob.stream == b"".join(bytes([number]) * 2_000 for number in range(10))


@pytest.mark.parametrize("transport", STREAMS)
async def test_loss_jitter_and_reordering_cost_a_stream_time_and_nothing_else(
    network: SocketNetwork, transport: Transport
) -> None:
    flow, _, bob = await _joined(network, transport)
    _links(network).change_links(lambda *ends: replace(ends[2], loss=0.3, jitter_s=0.01, reorder=0.5, duplicate=0.5))
    sent = b"".join(b"%03d " % number for number in range(10))
    for number in range(10):
        flow.send(b"%03d " % number)
    await until(lambda: len(bob.stream) == len(sent))
    assert bob.stream == sent


@pytest.mark.parametrize("transport", STREAMS)
async def test_a_connection_opens_when_its_link_is_up(network: SocketNetwork, transport: Transport) -> None:
    bob, address = await _bob(network, transport)
    links = _links(network)
    links.cut(ALICE)
    opened = asyncio.Event()
    flow = network.connect(ALICE, address, Recorder("alice"))
    flow.on_opened = lambda _: opened.set()
    flow.send(b"first")
    other = network.connect(BOB, address, Recorder("carol"))
    other.send(b"by another way")
    await until(lambda: bob.stream == b"by another way")
    assert not opened.is_set()
    links.restore(ALICE)
    await until(lambda: opened.is_set() and bob.stream == b"by another wayfirst")


@pytest.mark.parametrize("transport", STREAMS)
async def test_connecting_over_a_cut_times_out(network: SocketNetwork, transport: Transport) -> None:
    alice, (bob, address) = Recorder("alice"), await _bob(network, transport)
    _links(network).cut(BOB)
    network.connect(ALICE, address, alice, timeout_s=0.05)
    await until(lambda: bool(alice.ends))
    assert isinstance(alice.ends[0], ConnectTimeout)
    assert bob.flows == []


@pytest.mark.parametrize("transport", STREAMS)
async def test_a_reset_host_loses_its_connections_at_both_ends(network: SocketNetwork, transport: Transport) -> None:
    _, alice, bob = await _joined(network, transport)
    _links(network).reset(ALICE)
    await until(lambda: bool(alice.ends and bob.ends))
    assert isinstance(alice.ends[0], ConnectionLost)


@pytest.mark.parametrize("transport", STREAMS)
async def test_a_closed_network_lets_go_of_all_that_waits(network: SocketNetwork, transport: Transport) -> None:
    flow, _, bob = await _joined(network, transport)
    _links(network).cut(BOB)
    flow.send(b"held")
    await network.close()
    assert not flow.is_open
    assert not bob.ends


async def test_a_peer_who_has_said_all_still_gets_what_is_on_the_line(network: SocketNetwork) -> None:
    bob, address = await _bob(network, Transport.TCP)
    links = _links(network)
    reader, writer = await asyncio.open_connection(address.host, address.port, local_addr=(ALICE, 0))
    writer.write(b"hello")
    await until(lambda: bob.stream == b"hello")
    links.cut(ALICE)
    bob.flows[0].send(b"the answer")
    writer.write_eof()
    other = network.connect(BOB, address, Recorder("carol"))
    other.send(b" and another")
    await until(lambda: bob.stream == b"hello and another")
    links.restore(ALICE)
    async with asyncio.timeout(10):
        assert await reader.read() == b"the answer"
    writer.close()


# ------------------------------------------------------------------------------------------------------------ datagrams


async def _datagrams(network: SocketNetwork, profile: LinkProfile, seed: str, count: int = 40) -> list[int]:
    """Numbers of those of *count* datagrams that arrive, in order of arrival; the last one comes on a sound link."""
    bob, address = await _bob(network, Transport.UDP)
    links = _links(network, seed)
    end = links.change_links(lambda source, target, link: profile if (source, target) == (ALICE, BOB) else link)
    flow = network.connect(ALICE, address, Recorder("alice"))
    for number in range(count):
        flow.send(b"%d" % number)
    end()
    if profile.reorder:  # held back a moment, but none is lost
        await until(lambda: len(bob.octets) == count)
    flow.send(b"end")
    await until(lambda: bob.octets[-1:] == [b"end"])
    return [int(octets) for octets in bob.octets[:-1]]


async def _two_runs(profile: LinkProfile, seeds: tuple[str, str]) -> list[list[int]]:
    arrived = []
    for seed in seeds:
        network = SocketNetwork(RealClock())
        arrived.append(await _datagrams(network, profile, seed))
        await network.close()
    return arrived


async def test_lost_datagrams_are_those_of_the_seed() -> None:
    same, again = await _two_runs(LinkProfile(loss=0.4), ("a", "a"))
    _, other = await _two_runs(LinkProfile(loss=0.4), ("a", "b"))
    assert same == again != other
    assert 5 < len(same) < 38
    assert same == sorted(same)


async def test_a_datagram_over_a_link_that_is_down_is_lost() -> None:
    network = SocketNetwork(RealClock())
    assert await _datagrams(network, LinkProfile(is_up=False), "a") == []
    await network.close()


async def test_duplicated_datagrams_come_twice() -> None:
    network = SocketNetwork(RealClock())
    arrived = await _datagrams(network, LinkProfile(duplicate=1.0), "a", 5)
    assert sorted(arrived) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    await network.close()


async def test_overtaken_datagrams_all_come() -> None:
    network = SocketNetwork(RealClock())
    arrived = await _datagrams(network, LinkProfile(reorder=0.5), "a", 20)
    assert sorted(arrived) == list(range(20)) != arrived
    await network.close()


async def test_a_datagram_that_comes_when_its_flow_is_closed_is_dropped(network: SocketNetwork) -> None:
    bob, address = await _bob(network, Transport.UDP)
    _links(network).change_links(lambda *ends: replace(ends[2], latency_s=0.01))
    flow = network.connect(ALICE, address, Recorder("alice"))
    flow.send(b"late")
    flow.close()
    other = network.connect(ALICE, address, Recorder("carol"))
    other.send(b"later")
    await until(lambda: bob.octets == [b"later"])


# ----------------------------------------------------------------------------------------------------------------- HTTP


class _Web:
    """A server at Bob's host and a client at Alice's."""

    def __init__(self, network: SocketNetwork, folder: Path | None = None) -> None:
        ca = None if folder is None else LabCa(folder)
        trace, clock = Trace(), RealClock()
        self.seen: list[str] = []
        self.server = SocketHttpServer(
            "blue.acs",
            Address(Transport.TCP if ca is None else Transport.TLS, BOB, 0),
            self._greet,
            clock=clock,
            trace=trace,
            book=network.book,
            tls=None if ca is None else ca.server_context("blue.acs", [BOB]),
        )
        tls = None if ca is None else ca.client_context()
        self.client = SocketHttpClient("alice", clock=clock, trace=trace, book=network.book, local_host=ALICE, tls=tls)
        self._scheme = "http" if ca is None else "https"

    async def _greet(self, request: HttpRequest) -> HttpResponse:
        self.seen.append(request.path)
        return HttpResponse(200, (), request.body or b"hello")

    async def get(self, path: str, timeout_s: float = 10, body: bytes = b"") -> bytes:
        url = f"{self._scheme}://{BOB}:{self.server.address.port}{path}"
        method = "POST" if body else "GET"
        return (await self.client.request(url, method=method, body=body, timeout_s=timeout_s)).body

    async def __aenter__(self) -> _Web:
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self.server.close()


@pytest.mark.parametrize("is_tls", [False, True])
async def test_http_goes_over_the_lines_both_ways(network: SocketNetwork, tmp_path: Path, is_tls: bool) -> None:
    links = _links(network)
    async with _Web(network, tmp_path if is_tls else None) as web:
        end = links.change_links(lambda *ends: replace(ends[2], latency_s=0.1))
        began = _now()
        assert await web.get("/slow") == b"hello"
        assert _now() - began >= 0.2
        end()
        octets = b"x" * 600_000
        links.change_links(lambda *ends: replace(ends[2], jitter_s=0.01, loss=0.01))
        assert await web.get("/large", body=octets) == octets


@pytest.mark.parametrize("is_tls", [False, True])
async def test_http_over_a_cut_times_out_and_the_server_sees_nothing_until_it_is_over(
    network: SocketNetwork, tmp_path: Path, is_tls: bool
) -> None:
    links = _links(network)
    async with _Web(network, tmp_path if is_tls else None) as web:
        links.cut(BOB)
        with pytest.raises(ConnectTimeout, match="no HTTP response"):
            await web.get("/unheard", timeout_s=0.1)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(web.get("/late"))
            assert web.seen == []
            links.restore(BOB)
        assert waiting.result() == b"hello"


async def test_http_loses_its_connections_with_its_host(network: SocketNetwork) -> None:
    links = _links(network)
    async with _Web(network) as web:
        links.cut(BOB)
        paths = [links.path(ALICE, BOB), links.path(BOB, ALICE)]
        reader, writer = await asyncio.open_connection(BOB, web.server.address.port, local_addr=(ALICE, 0))
        writer.write(b"GET /lost HTTP/1.1\r\nHost: bob\r\n\r\n")
        await until(lambda: all(path.flows for path in paths))
        links.reset(ALICE)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await until(lambda: not any(path.flows for path in paths))
        assert web.seen == []
        writer.close()


# ----------------------------------------------------------------------------------------- the line alone, on any clock


def test_a_line_keeps_its_order_whatever_the_link_does() -> None:
    async def story() -> None:
        lines = SocketLines(Tokens("seed"))
        lines.links.set_link(ALICE, BOB, LinkProfile(latency_s=1.0))
        got: list[bytes | None] = []
        line = OrderedLine(lines, ALICE, BOB)
        line.join(got.append, lambda _: None)
        for number in range(3):
            line.put(b"%d" % number)
            await asyncio.sleep(0.1)
        lines.links.cut(BOB)
        line.put(b"3")
        await asyncio.sleep(5)
        assert (got, line.octets) == ([], 4)
        lines.links.restore(BOB)
        await asyncio.sleep(0.5)
        lines.links.cut(BOB)
        line.put(None)
        await asyncio.sleep(5)
        lines.links.restore(BOB)
        await asyncio.sleep(2)
        assert got == [b"0", b"1", b"2", b"3", None]
        assert line.is_idle

    run(story)


def test_a_line_that_stays_down_for_thirty_seconds_is_lost_once() -> None:
    async def story() -> None:
        lines = SocketLines(Tokens("seed"))
        lost: list[str] = []
        line = OrderedLine(lines, ALICE, BOB)
        line.join(lambda _: None, lost.append)
        lines.links.cut(BOB)
        await asyncio.sleep(29)
        assert lost == []
        await asyncio.sleep(2)
        line.lose("again")
        assert lost == [f"link from {ALICE} to {BOB} down for 30 s"]

    run(story)


def test_a_line_that_loses_everything_is_given_up() -> None:
    async def story() -> None:
        lines = SocketLines(Tokens("seed"))
        lines.links.set_link("*", "*", LinkProfile(loss=1.0))
        lost: list[str] = []
        line = OrderedLine(lines, ALICE, BOB)
        line.join(lambda _: None, lost.append)
        line.put(b"x")
        await asyncio.sleep(60)
        assert lost == ["the peer does not answer"]

    run(story)
