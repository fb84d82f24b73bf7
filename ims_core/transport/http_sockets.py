"""HTTP on sockets: aiohttp servers and clients around the same handlers as the in-memory ones."""

from __future__ import annotations

import asyncio
import io
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict

from ims_core.errors import ConnectTimeout, TransportError
from ims_core.reference_points import reference_point
from ims_core.trace import RecordKind, Trace
from ims_core.transport.clock import Clock
from ims_core.transport.http_memory import MAX_HTTP_BODY_OCTETS
from ims_core.transport.http_message import (
    HeaderFields,
    HttpAnswerBroken,
    HttpHandler,
    HttpPeerUntrusted,
    HttpRequest,
    HttpResponse,
    HttpTimeout,
)
from ims_core.transport.link import Address, AddressBook, Transport
from ims_core.transport.listen_error import listen_error
from ims_core.transport.name_table import NameTable
from ims_core.transport.socket_lines import LineTransport, OrderedLine, SocketLines, break_connection

__all__ = ["SocketHttpClient", "SocketHttpServer", "most_connections"]

_log = logging.getLogger(__name__)
_peer_log = logging.getLogger(f"{__name__}.peer")  # aiohttp tells of each malformed request here, with a traceback
_peer_log.setLevel(logging.CRITICAL)  # the trace has the request and its 400; our own faults are logged above
_CLOSE_S = 1.0  # what is being answered when a server closes gets so long
_REQUEST_S = 20.0  # a connection has so long for its first request, and each body so long to come
_TLS_HANDSHAKE_S = 10.0
_LINGER_S = 1.0  # what a refused body still sends is thrown away for so long
_KEEP_ALIVE_S = 20.0  # ... and so long for each request after that
_MAX_CONNECTIONS = 1000  # of one server; a client opens a few, and eight servers share the files of a process
_SHARES = 8
_CONNECTIONS = 8  # of one client to one server


class _Tap(asyncio.Protocol):
    """Stands between a socket and aiohttp's protocol and traces the octets of both directions."""

    def __init__(self, inner: Any, server: SocketHttpServer) -> None:
        self._inner = inner
        self._server = server
        self._local = self._remote = ""
        self._is_refused = False
        self._transport: _TappedTransport | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._socket: asyncio.Transport | None = None
        self._requests: OrderedLine | None = None
        self._answers: LineTransport | None = None
        self._is_writing_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._is_refused = not self._server.admit(self)
        if self._is_refused:
            transport.abort()
            return
        self._patience = asyncio.get_running_loop().call_later(_REQUEST_S, transport.abort)
        self._local, self._remote = (_place(transport.get_extra_info(name)) for name in ("sockname", "peername"))
        self._transport = _TappedTransport(self._on_lines(transport), self._answered)
        self._inner.connection_made(self._transport)

    def _on_lines(self, transport: asyncio.Transport) -> asyncio.Transport:
        """Requests and answers go over the lines between the two hosts, where there are any."""
        own, peer = _host(self._local), _host(self._remote)
        lines = self._server.lines
        if lines is None or own == peer:
            return transport
        self._requests = OrderedLine(lines, peer, own)
        self._requests.join(self._came, self.lose)
        self._answers = LineTransport(transport, lines, own, peer)
        return self._answers

    @property
    def host(self) -> str:
        """Where the other side is."""
        return _host(self._remote)

    def give_way(self) -> None:
        """The server has no room left."""
        if self._socket is not None:
            self._socket.abort()

    def lose(self, reason: str) -> None:
        """The connection breaks."""
        if self._socket is not None:
            break_connection(self._socket)

    @property
    def transport(self) -> _TappedTransport | None:
        """What aiohttp was handed; None for a refused connection."""
        return self._transport

    def _answered(self, octets: bytes) -> None:
        self._stop_waiting()
        self._server.record(octets, self._local, self._remote, is_answer=True)

    def data_received(self, octets: bytes) -> None:
        if self._requests is not None:
            self._requests.put(octets)
        elif not self._is_refused:
            self._came(octets)

    def _came(self, octets: bytes | None) -> None:
        if octets is not None:
            self._server.record(octets, self._remote, self._local, is_answer=False)
            self._inner.data_received(octets)
        elif not self._inner.eof_received() and self._transport is not None:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_waiting()
        self._server.leave(self)
        if self._requests is not None and self._answers is not None:
            self._requests.leave()
            self._answers.gone()
        if not self._is_refused:
            self._inner.connection_lost(error)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def eof_received(self) -> bool | None:
        if self._requests is not None:
            self._requests.put(None)
            return True
        answer: bool | None = None if self._is_refused else self._inner.eof_received()
        return answer

    def pause_writing(self) -> None:
        if not self._is_writing_paused:  # both the socket and the line may be full
            self._is_writing_paused = True
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._is_writing_paused:
            self._is_writing_paused = False
            self._inner.resume_writing()


class _TappedTransport(asyncio.Transport):
    """The transport that aiohttp is handed: tells *on_write* what it writes, and passes everything on."""

    def __init__(self, transport: asyncio.Transport, on_write: Callable[[bytes], None]) -> None:
        super().__init__()
        self._transport = transport
        self._on_write = on_write

    def write(self, octets: Any) -> None:
        self._on_write(bytes(octets))
        self._transport.write(octets)

    def writelines(self, pieces: Iterable[Any]) -> None:
        self.write(b"".join(pieces))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()

    def is_reading(self) -> bool:
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def write_eof(self) -> None:
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        return self._transport.can_write_eof()


class SocketHttpServer:
    """An aiohttp server on one address; TLS with *tls*."""

    def __init__(
        self,
        name: str,
        address: Address,
        handler: HttpHandler,
        *,
        clock: Clock,
        trace: Trace,
        book: AddressBook,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self._handler = handler
        self._clock = clock
        self._trace = trace
        self._book = book
        self._tls = tls
        self._connections: dict[_Tap, None] = {}  # in the order in which they came
        self._being_answered: set[asyncio.BaseTransport] = set()
        self._server = web.Server(
            self._handle,
            access_log=None,
            keepalive_timeout=_KEEP_ALIVE_S,
            lingering_time=_LINGER_S,
            logger=_peer_log,
        )
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises TransportError with one sentence that says what to do."""
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: _Tap(self._server(), self),
                self.address.host,
                self.address.port,
                ssl=self._tls,
                ssl_handshake_timeout=_TLS_HANDSHAKE_S if self._tls else None,
            )
        except OSError as error:
            raise listen_error(self.address, error) from error
        port = self._listener.sockets[0].getsockname()[1]
        self.address = Address(self.address.transport, self.address.host, port)
        self._book.register(self.address, self.name)

    async def close(self) -> None:
        self._book.forget(self.address)
        if self._listener is not None:
            self._listener.close()
        for transport in [each.transport for each in self._connections]:
            if transport is not None and transport not in self._being_answered:
                transport.abort()  # it waits for a request that may never come
        await self._server.shutdown(_CLOSE_S)

    @property
    def lines(self) -> SocketLines | None:
        """What is put between the hosts of this process, if anything is."""
        return self._book.lines

    def admit(self, connection: _Tap) -> bool:
        """Whether one more connection may be. Where there is no room one that still waits for its request gives way."""
        if len(self._connections) >= most_connections():
            waiting = self._longest_waiting()
            if waiting is None:
                return False
            self.leave(waiting)
            waiting.give_way()
        self._connections[connection] = None
        return True

    def _longest_waiting(self) -> _Tap | None:
        """Of the host that keeps most connections without a request, the first: whoever opens many loses his own."""
        waiting = [each for each in self._connections if each.transport not in self._being_answered]
        counts = Counter(each.host for each in waiting)
        return max(waiting, key=lambda each: counts[each.host], default=None)

    def leave(self, connection: _Tap) -> None:
        self._connections.pop(connection, None)

    def record(self, octets: bytes, source: str, target: str, *, is_answer: bool) -> None:
        """Traces what crossed one connection of this server."""
        if not self._trace.enabled:
            return
        peer_place = target if is_answer else source
        host, _, port = peer_place.rpartition(":")
        peer = self._book.name_of(Address(Transport.TCP, host.strip("[]"), int(port))) or f"tcp:{peer_place}"
        line = octets.partition(b"\r\n")[0].decode("latin-1", "replace").partition("?")[0]
        self._trace.record(
            at=self._clock.now(),
            kind=RecordKind.MESSAGE,
            source=self.name if is_answer else peer,
            target=peer if is_answer else self.name,
            reference_point=reference_point(self.name, peer),
            protocol="HTTP",
            summary=line[:120] if line[:1].isalpha() else "",
            raw=octets,
            transport=self.address.transport.value,
            source_address=source,
            target_address=target,
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            async with asyncio.timeout(_REQUEST_S):
                body = await self._read_body(request)
        except ValueError:
            return _refusal(413)
        except TimeoutError:
            return _refusal(408)
        except (ConnectionError, web.RequestPayloadError):  # gone in the middle of it, or malformed
            return _refusal(400)
        value = HttpRequest(
            method=request.method,
            target=request.raw_path,
            headers=tuple((name, text) for name, text in request.headers.items()),
            body=body,
            scheme="http" if self._tls is None else "https",
            peer=_place(request.transport.get_extra_info("peername")) if request.transport else "",
            client_names=_dns_names(request.transport.get_extra_info("peercert")) if request.transport else (),
        )
        response = await self._answer(value, request.transport)
        headers: CIMultiDict[str] = CIMultiDict(response.headers)
        return web.Response(status=response.status, headers=headers, body=response.body)

    async def _answer(self, request: HttpRequest, transport: asyncio.BaseTransport | None) -> HttpResponse:
        if transport is not None:
            self._being_answered.add(transport)
        try:
            return await self._handler(request)
        except Exception:  # the edge of a task: an error of the handler is logged, the client gets a 500
            _log.exception("%s: the handler of %s failed", self.name, request.path)
            return HttpResponse(500)
        finally:
            if transport is not None:
                self._being_answered.discard(transport)

    async def _read_body(self, request: web.BaseRequest) -> bytes:
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_HTTP_BODY_OCTETS:
                raise ValueError("body too large")
        return bytes(body)


def most_connections() -> int:
    """Of one server, as far as the open files of this process allow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(_MAX_CONNECTIONS, max(1, soft // _SHARES))


def _refusal(status: int) -> web.Response:
    return web.Response(status=status, headers={"Connection": "close"})


class SocketHttpClient:
    """One host's aiohttp client. *access_headers* are what the emulated access link adds to plain HTTP; host names
    stand in *names* before any other name service is asked.

    A foreign server is traced by message; our own trace themselves."""

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        trace: Trace,
        book: AddressBook,
        local_host: str | None = None,
        access_headers: HeaderFields = (),
        tls: ssl.SSLContext | None = None,
        names: NameTable | None = None,
        connections: int = _CONNECTIONS,
    ) -> None:
        """*connections* are those to one server at the same time: a slow one holds up nobody else's requests."""
        self.name = name
        self.access_headers = access_headers
        self._connections = connections
        self._names = names
        self._clock = clock
        self._trace = trace
        self._book = book
        self._local_host = local_host
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, url: str, *, method: str = "GET", headers: HeaderFields = (), body: bytes = b"", timeout_s: float
    ) -> HttpResponse:
        """Raises TransportError when no response came within *timeout_s* seconds."""
        fields: CIMultiDict[str] = CIMultiDict(headers)
        if url.lower().startswith("http:"):  # nobody on the way can add to what TLS protects
            fields.extend(self.access_headers)
        options: dict[str, Any] = {
            "allow_redirects": False,
            "headers": fields,
            "data": io.BytesIO(body) if body else None,
        }
        options["ssl"] = self._tls if self._tls is not None else True
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._opened().request(method, url, **options) as answer,
            ):
                octets = await answer.content.read(MAX_HTTP_BODY_OCTETS + 1)
                while not answer.content.at_eof() and len(octets) <= MAX_HTTP_BODY_OCTETS:
                    octets += await answer.content.read(MAX_HTTP_BODY_OCTETS)
                if len(octets) > MAX_HTTP_BODY_OCTETS:
                    raise HttpAnswerBroken("the body of the HTTP response is too large")
                response = HttpResponse(answer.status, tuple(answer.headers.items()), octets)
                self._trace_foreign(answer, body, response)
                return response
        except TimeoutError as error:
            raise HttpTimeout(f"no HTTP response from {_authority(url)} within {timeout_s:g} s") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise _failure(url, error) from error

    def _trace_foreign(self, answer: aiohttp.ClientResponse, body: bytes, response: HttpResponse) -> None:
        """Traces by message what a server that is not ours was asked and said; ours trace their octets themselves."""
        connection = answer.connection
        if not self._trace.enabled or connection is None or connection.transport is None:
            return
        local, remote = (_place(connection.transport.get_extra_info(name)) for name in ("sockname", "peername"))
        transport = Transport.TLS if answer.url.scheme == "https" else Transport.TCP
        host, _, port = remote.rpartition(":")
        if self._book.name_of(Address(transport, host.strip("[]"), int(port))) is not None:
            return
        target = answer.url.raw_path_qs
        asked = _head(f"{answer.method} {target} HTTP/1.1", answer.request_info.headers.items()) + body
        said = _head(f"HTTP/1.1 {response.status} {answer.reason or ''}", response.headers) + response.body
        server = f"{transport.value.lower()}:{remote}"
        for is_answer, raw in ((False, asked), (True, said)):
            self._trace.record(
                at=self._clock.now(),
                kind=RecordKind.MESSAGE,
                source=server if is_answer else self.name,
                target=self.name if is_answer else server,
                reference_point=reference_point(self.name, server),
                protocol="HTTP",
                summary=str(response.status) if is_answer else f"{answer.method} {answer.url.raw_path}",
                raw=raw,
                transport=transport.value,
                source_address=remote if is_answer else local,
                target_address=local if is_answer else remote,
            )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            local = (self._local_host, 0) if self._local_host else None
            resolver = None if self._names is None else _LabResolver(self._names)
            connector = aiohttp.TCPConnector(
                local_addr=local, force_close=True, limit=0, limit_per_host=self._connections, resolver=resolver
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True
            )
        return self._session


class _LabResolver(AbstractResolver):
    """Names of the lab first; others go to the system's name service."""

    def __init__(self, names: NameTable) -> None:
        self._names = names
        self._others = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        known = self._names.addresses(host)
        if not known:
            return await self._others.resolve(host, port, family)
        address = known[0].host
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)]

    async def close(self) -> None:
        await self._others.close()


def _dns_names(certificate: Any) -> tuple[str, ...]:
    """dNSName entries of a peer's certificate, as the ssl module gives it; none without a trusted certificate."""
    found = (certificate or {}).get("subjectAltName", ())
    return tuple(value for kind, value in found if kind == "DNS")


def _head(start: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")


def _failure(url: str, error: Exception) -> TransportError:
    """What *error*, of aiohttp, means for the one who asked."""
    text = f"no HTTP response from {_authority(url)}: {error}"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return HttpAnswerBroken(text)
    return HttpPeerUntrusted(text) if _is_of_tls(url, error) else ConnectTimeout(text)


def _is_of_tls(url: str, error: Exception) -> bool:
    """Whether TLS failed: by an alert of the other side, by what we think of its certificate, or by an end in the
    middle of the handshake, which is all that some implementations say."""
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        return True
    is_cut_off = isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionResetError)
    return is_cut_off and url.lower().startswith("https:")


def _authority(url: str) -> str:
    return url.partition("?")[0]


def _host(place: str) -> str:
    return place.rpartition(":")[0].strip("[]")


def _place(pair: Any) -> str:
    if not pair:
        return "127.0.0.1:0"
    return f"[{pair[0]}]:{pair[1]}" if ":" in pair[0] else f"{pair[0]}:{pair[1]}"
