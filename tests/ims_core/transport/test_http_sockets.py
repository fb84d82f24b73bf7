"""The aiohttp server against peers that are not polite. What both worlds have in common is in test_http.py."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ims_core.errors import ConnectTimeout
from ims_core.trace import Trace
from ims_core.transport import http_sockets
from ims_core.transport.http_message import HttpRequest, HttpResponse
from ims_core.transport.http_sockets import SocketHttpClient, SocketHttpServer, most_connections
from ims_core.transport.lab_ca import LabCa
from ims_core.transport.link import Address, AddressBook, Transport
from ims_core.transport.name_table import NameTable
from ims_core.transport.virtual_loop import RealClock

_POLITE = b"GET /polite HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
_WITHIN_S = 10.0

Idle = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _greet(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, (), b"hello " + request.path.encode())


@asynccontextmanager
async def _server() -> AsyncIterator[Address]:
    server = SocketHttpServer(
        "red.acs",
        Address(Transport.TCP, "127.0.0.1", 0),
        _greet,
        clock=RealClock(),
        trace=Trace(),
        book=AddressBook(),
    )
    await server.start()
    try:
        yield server.address
        assert (await _answer_to(server.address, _POLITE)).endswith(b"hello /polite")
    finally:
        await server.close()


async def _answer_to(address: Address, octets: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(octets)
        async with asyncio.timeout(_WITHIN_S):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400"),
        (b"\x00\xff" * 40 + b"\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 50_000 + b"\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n" + bytes(6_000_000), b"413"),
    ],
)
async def test_bad_requests_are_refused_without_a_word_in_the_log(
    octets: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with _server() as address:
        answer = await _answer_to(address, octets)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 " + status, b"HTTP/1.0 " + status))
    assert caplog.records == []


async def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_no_word_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with _server() as address:
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
    assert caplog.records == []


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf",
        _POLITE.replace(b"Connection: close\r\n", b"") + b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
    ],
    ids=["nothing", "half a head", "half a body", "half of a second request"],
)
async def test_a_request_that_does_not_get_complete_ends_its_connection(
    beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_sockets, "_REQUEST_S", 0.2)
    monkeypatch.setattr(http_sockets, "_KEEP_ALIVE_S", 0.2)
    async with _server() as address:
        await _answer_to(address, beginning)


_HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "


async def _idle(address: Address, count: int, host: str = "127.0.0.9") -> list[Idle]:
    """So many connections from *host*, with half of a head each."""
    opened = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(address.host, address.port, local_addr=(host, 0))
        writer.write(_HALF_A_HEAD)
        opened.append((reader, writer))
    await asyncio.sleep(0.05)
    return opened


async def _closed(connections: list[Idle]) -> None:
    for _, writer in connections:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_connections_are_bounded_and_whoever_waits_longest_for_his_request_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_sockets, "_MAX_CONNECTIONS", 3)
    async with _server() as address:
        idle = await _idle(address, 3)
        assert (await _answer_to(address, _POLITE)).endswith(b"hello /polite")
        with contextlib.suppress(ConnectionError):
            assert await idle[0][0].read() == b""  # the first one, and no other
        idle[1][1].write(b"now\r\n\r\n")
        assert (await idle[1][0].readline()).startswith(b"HTTP/1.1 200")
        await _closed(idle)


async def test_the_host_that_keeps_most_connections_waiting_loses_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sockets, "_MAX_CONNECTIONS", 4)
    async with _server() as address:
        slow = await _idle(address, 1, "127.0.0.8")
        idle = await _idle(address, 20)
        slow[0][1].write(b"but here\r\n\r\n")
        assert (await slow[0][0].readline()).startswith(b"HTTP/1.1 200")
        await _closed([*slow, *idle])


async def test_requests_that_are_being_answered_give_way_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sockets, "_MAX_CONNECTIONS", 2)
    is_free = asyncio.Event()

    async def answer(request: HttpRequest) -> HttpResponse:
        if request.path == "/slow":
            await is_free.wait()
        return await _greet(request)

    server = SocketHttpServer(
        "red.kds", Address(Transport.TCP, "127.0.0.1", 0), answer, clock=RealClock(), trace=Trace(), book=AddressBook()
    )
    await server.start()
    slow = _POLITE.replace(b"polite", b"slow")
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_answer_to(server.address, slow)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert await _answer_to(server.address, _POLITE) == b""
        is_free.set()
    assert all(each.result().endswith(b"hello /slow") for each in asked)
    await server.close()


@pytest.mark.parametrize(("files", "most"), [(80, 10), (1024, 128), (8000, 1000), (10**6, 1000), (-1, 1000), (4, 1)])
def test_the_bound_leaves_files_to_the_others(files: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert most_connections() == most


async def test_a_server_closes_at_once_whatever_its_clients_wait_for() -> None:
    loop, half_a_body = asyncio.get_running_loop(), b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"
    writers = []
    async with _server() as address:
        for beginning in (b"", b"GET / HTTP/1.1\r\n", half_a_body):
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(beginning)
            writers.append(writer)
        await asyncio.sleep(0.05)
        started = loop.time()
    assert loop.time() - started < 0.9  # the handlers' grace is a second
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_server_that_asks_for_certificates_tells_whose_it_was_and_clients_know_the_labs_names(
    tmp_path: Path,
) -> None:
    ca, seen, names = LabCa(tmp_path), list[HttpRequest](), NameTable()

    async def handle(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse(204)

    server = SocketHttpServer(
        "blue.kds",
        Address(Transport.TLS, "127.0.0.1", 0),
        handle,
        clock=RealClock(),
        trace=Trace(),
        book=AddressBook(),
        tls=ca.server_context("kds.blue", ["kds.blue"], requires_client_certificate=True),
    )
    await server.start()
    names.add("kds.blue", server.address)
    client = SocketHttpClient(
        "red.kds",
        clock=RealClock(),
        trace=Trace(),
        book=AddressBook(),
        tls=ca.client_context("kds.red"),
        names=names,
    )
    try:
        answer = await client.request(f"https://kds.blue:{server.address.port}/x", timeout_s=_WITHIN_S)
        assert answer.status == 204
        assert (seen[0].scheme, seen[0].client_names) == ("https", ("kds.red",))
        names.add("kds.green", server.address)
        with pytest.raises(ConnectTimeout, match="certificate"):
            await client.request(f"https://kds.green:{server.address.port}/x", timeout_s=_WITHIN_S)
    finally:
        await client.close()
        await server.close()


async def test_a_server_without_tls_knows_no_names() -> None:
    seen: list[HttpRequest] = []

    async def handle(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse(204)

    server = SocketHttpServer(
        "red.kds",
        Address(Transport.TCP, "127.0.0.1", 0),
        handle,
        clock=RealClock(),
        trace=Trace(),
        book=AddressBook(),
    )
    await server.start()
    await _answer_to(server.address, _POLITE)
    await server.close()
    assert seen[0].client_names == ()


async def test_a_server_that_is_silent_holds_up_no_request_to_another() -> None:
    met: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda reader, writer: met.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    client = SocketHttpClient("c", clock=RealClock(), trace=Trace(), book=AddressBook(), connections=2)
    try:
        async with _server() as polite, asyncio.TaskGroup() as tasks:
            waiting = [
                tasks.create_task(_ends(client.request(f"http://127.0.0.1:{port}/", timeout_s=60))) for _ in range(5)
            ]
            url = f"http://{polite.host}:{polite.port}/polite"
            assert (await client.request(url, timeout_s=_WITHIN_S)).status == 200
            assert len(met) <= 2
            for task in waiting:
                task.cancel()
    finally:
        await client.close()
        silent.close()
        for writer in met:
            writer.close()


async def _ends(asked: Awaitable[HttpResponse]) -> None:
    with contextlib.suppress(ConnectTimeout):
        await asked
