"""One handler, both worlds: h11 on in-memory links, aiohttp on sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ims_core.errors import TransportError
from ims_core.trace import ListSink, RecordKind, Trace
from ims_core.transport.http_memory import MAX_HTTP_BODY_OCTETS, MemoryHttpClient, MemoryHttpServer
from ims_core.transport.http_message import HttpClient, HttpRequest, HttpResponse
from ims_core.transport.http_sockets import SocketHttpClient, SocketHttpServer
from ims_core.transport.link import Address, AddressBook, Flow, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.name_table import NameTable
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock


async def _echo(request: HttpRequest) -> HttpResponse:
    if request.path == "/fail":
        raise RuntimeError("the handler broke")
    if request.path == "/slow":
        await asyncio.get_running_loop().create_future()
    seen = f"{request.method} {request.target} {request.header('X-MSISDN')} {request.cookie('a')}".encode()
    return HttpResponse(200, (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")), seen + b"|" + request.body)


@asynccontextmanager
async def _memory() -> AsyncIterator[tuple[HttpClient, str, ListSink]]:
    trace, sink, clock = Trace(), ListSink(), RealClock()
    trace.add_sink(sink)
    network = MemoryNetwork(clock, Tokens("http"))
    address = Address(Transport.TCP, "127.0.1.40", 80)
    server = MemoryHttpServer("red.acs", address, _echo, network=network, clock=clock, trace=trace)
    await server.start()
    names = NameTable()
    names.add("config.example", address)
    headers = (("X-MSISDN", "+1"),)
    client = MemoryHttpClient(
        "alice", "10.1.0.1", network=network, names=names, clock=clock, trace=trace, access_headers=headers
    )
    try:
        yield client, "http://config.example", sink
    finally:
        await server.close()
        await network.close()


@asynccontextmanager
async def _sockets() -> AsyncIterator[tuple[HttpClient, str, ListSink]]:
    trace, sink, clock, book = Trace(), ListSink(), RealClock(), AddressBook()
    trace.add_sink(sink)
    server = SocketHttpServer(
        "red.acs", Address(Transport.TCP, "127.0.0.1", 0), _echo, clock=clock, trace=trace, book=book
    )
    await server.start()
    client = SocketHttpClient("alice", clock=clock, trace=trace, book=book, access_headers=(("X-MSISDN", "+1"),))
    try:
        yield client, f"http://127.0.0.1:{server.address.port}", sink
    finally:
        await client.close()
        await server.close()


_WORLDS = pytest.mark.parametrize("world", [_memory, _sockets])


@_WORLDS
async def test_a_request_reaches_the_handler_and_its_answer_the_client(world) -> None:  # type: ignore[no-untyped-def]  # two context managers
    async with world() as (client, url, sink):
        fields = (("Cookie", "a=x"),)
        answer = await client.request(f"{url}/p%20q?x=1", method="POST", headers=fields, body=b"body", timeout_s=5)
    assert (answer.status, answer.body) == (200, b"POST /p%20q?x=1 +1 x|body")
    assert [cookie.value for cookie in answer.set_cookies()] == ["1", "2"]
    messages = [record for record in sink.records if record.kind is RecordKind.MESSAGE]
    sent = b"".join(record.raw for record in messages if record.target == "red.acs")
    assert sent.startswith(b"POST /p%20q?x=1 HTTP/1.1\r\n")
    assert sent.endswith(b"body")
    got = b"".join(record.raw for record in messages if record.source == "red.acs")
    assert got.startswith(b"HTTP/1.1 200")
    assert got.endswith(b"x|body")
    assert not any("x=1" in record.summary for record in sink.records)


@_WORLDS
async def test_a_handler_that_breaks_gives_a_500_and_the_server_goes_on(world) -> None:  # type: ignore[no-untyped-def]  # as above
    async with world() as (client, url, _):
        assert (await client.request(f"{url}/fail", timeout_s=5)).status == 500
        assert (await client.request(f"{url}/", timeout_s=5)).status == 200


@_WORLDS
async def test_a_body_past_the_bound_gets_413(world) -> None:  # type: ignore[no-untyped-def]  # as above
    async with world() as (client, url, _):
        body = bytes(MAX_HTTP_BODY_OCTETS + 1)
        try:
            status = (await client.request(f"{url}/", method="POST", body=body, timeout_s=10)).status
        except TransportError:
            status = 413  # the server closed while the body was still being sent
        assert status == 413
        assert (await client.request(f"{url}/", timeout_s=5)).status == 200


@_WORLDS
async def test_no_answer_in_time_is_a_transport_error(world) -> None:  # type: ignore[no-untyped-def]  # as above
    async with world() as (client, url, _):
        with pytest.raises(TransportError, match="no HTTP response"):
            await client.request(f"{url}/slow", timeout_s=0.05)


@_WORLDS
async def test_nobody_there_is_a_transport_error(world) -> None:  # type: ignore[no-untyped-def]  # as above
    async with world() as (client, _, _):
        with pytest.raises(TransportError):
            await client.request("http://127.0.0.1:1/", timeout_s=2)


class _Raw:
    """A peer that writes what it likes."""

    name = "mallory"

    def __init__(self) -> None:
        self.octets = b""
        self.ended = asyncio.get_running_loop().create_future()

    def accepted(self, flow: Flow) -> None: ...

    def received(self, octets: bytes, flow: Flow) -> None:
        self.octets += octets

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        self.ended.set_result(None)


_NEGATIVE_LENGTH = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"


@pytest.mark.parametrize(
    "octets",
    [b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 100_000, b"\x00\xff" * 40, _NEGATIVE_LENGTH],
)
async def test_garbage_is_refused_and_the_connection_closed(octets: bytes) -> None:
    clock, trace = RealClock(), Trace()
    sink = ListSink()
    trace.add_sink(sink)
    network = MemoryNetwork(clock, Tokens("http"))
    address = Address(Transport.TCP, "127.0.1.40", 80)
    server = MemoryHttpServer("red.acs", address, _echo, network=network, clock=clock, trace=trace)
    await server.start()
    peer = _Raw()
    network.connect("10.1.0.9", address, peer).send(octets)
    await asyncio.wait_for(peer.ended, 5)
    assert peer.octets.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505"))
    assert any(record.kind is RecordKind.ERROR for record in sink.records)
    await server.close()
    await network.close()
