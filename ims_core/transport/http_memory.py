"""HTTP/1.1 as octets on in-memory links, by h11: the same handlers as on sockets, traced and deterministic."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import urlsplit

import h11

from ims_core.errors import ConnectionLost, ConnectTimeout, TransportError
from ims_core.reference_points import reference_point
from ims_core.trace import RecordKind, Trace
from ims_core.transport.background import Background
from ims_core.transport.clock import Clock
from ims_core.transport.http_message import (
    HeaderFields,
    HttpAnswerBroken,
    HttpHandler,
    HttpRequest,
    HttpResponse,
    HttpTimeout,
)
from ims_core.transport.link import Address, Flow, Listener, Network, Transport
from ims_core.transport.name_table import NameTable, is_ip_literal

__all__ = ["MAX_HTTP_BODY_OCTETS", "MemoryHttpClient", "MemoryHttpServer"]

_log = logging.getLogger(__name__)

MAX_HTTP_BODY_OCTETS = 4 * 1024 * 1024  # configuration documents have some 10 kB; files go to a content server
_MAX_HEAD_OCTETS = 64 * 1024


def _record(trace: Trace, clock: Clock, source: str, target: str, flow: Flow, octets: bytes, summary: str) -> None:
    if trace.enabled:
        trace.record(
            at=clock.now(),
            kind=RecordKind.MESSAGE,
            source=source,
            target=target,
            reference_point=reference_point(source, target),
            protocol="HTTP",
            summary=summary,
            raw=octets,
            transport=flow.local.transport.value,
            source_address=_place(flow.local),
            target_address=_place(flow.remote),
        )


def _place(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _fields(headers: Any) -> HeaderFields:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


class _Exchange:
    """The server's side of one connection."""

    __slots__ = ("body", "connection", "is_busy", "request")

    def __init__(self) -> None:
        self.connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_OCTETS)
        self.request: h11.Request | None = None
        self.body = bytearray()
        self.is_busy = False


class MemoryHttpServer:
    """Listens on one address. Bad requests get the status that h11 names; an error of the handler is a 500."""

    def __init__(
        self, name: str, address: Address, handler: HttpHandler, *, network: Network, clock: Clock, trace: Trace
    ) -> None:
        self.name = name
        self._asked = address
        self._handler = handler
        self._network = network
        self._clock = clock
        self._trace = trace
        self._tasks = Background(f"{name} http")
        self._listener: Listener | None = None

    @property
    def address(self) -> Address:
        return self._asked if self._listener is None else self._listener.address

    async def start(self) -> None:
        await self._tasks.start()
        self._listener = await self._network.listen(self._asked, self)

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()
        await self._tasks.close()

    def accepted(self, flow: Flow) -> None:
        flow.user = _Exchange()

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        flow.user = None

    def received(self, octets: bytes, flow: Flow) -> None:
        exchange = flow.user
        if not isinstance(exchange, _Exchange):
            return
        try:
            exchange.connection.receive_data(octets)
            self._read(exchange, flow)
        except h11.RemoteProtocolError as error:
            self._refuse(exchange, flow, error.error_status_hint, str(error))

    def _read(self, exchange: _Exchange, flow: Flow) -> None:
        while not exchange.is_busy:
            event = exchange.connection.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return
            if isinstance(event, h11.Request):
                if event.http_version not in (b"1.0", b"1.1"):
                    self._refuse(exchange, flow, 505, "HTTP version not supported")
                    return
                exchange.request = event
            elif isinstance(event, h11.Data):
                exchange.body += event.data
                if len(exchange.body) > MAX_HTTP_BODY_OCTETS:
                    self._refuse(exchange, flow, 413, "body too large")
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._dispatch(exchange, flow)

    def _dispatch(self, exchange: _Exchange, flow: Flow) -> None:
        received = exchange.request
        if received is None:
            return
        request = HttpRequest(
            method=received.method.decode("latin-1"),
            target=received.target.decode("latin-1"),
            headers=_fields(received.headers.raw_items()),
            body=bytes(exchange.body),
            scheme="http",
            peer=_place(flow.remote),
        )
        exchange.request, exchange.is_busy = None, True
        exchange.body.clear()
        self._tasks.spawn(self._answer(request, exchange, flow), "answer")

    async def _answer(self, request: HttpRequest, exchange: _Exchange, flow: Flow) -> None:
        try:
            response = await self._handler(request)
        except Exception:  # the edge of a task: an error of the handler is logged, the client gets a 500
            _log.exception("%s: the handler of %s failed", self.name, request.path)
            response = HttpResponse(500)
        if not flow.is_open:
            return
        self._send(exchange, flow, response)
        exchange.is_busy = False
        try:
            exchange.connection.start_next_cycle()
        except h11.LocalProtocolError:  # the client asked to close, or broke the protocol
            flow.close()
            return
        self._resume(exchange, flow)

    def _resume(self, exchange: _Exchange, flow: Flow) -> None:
        """A request that was pipelined behind the one just answered."""
        try:
            self._read(exchange, flow)
        except h11.RemoteProtocolError as error:
            self._refuse(exchange, flow, error.error_status_hint, str(error))

    def _send(self, exchange: _Exchange, flow: Flow, response: HttpResponse) -> None:
        names = {name.lower() for name, _ in response.headers}
        headers = [*response.headers]
        if "content-length" not in names:
            headers.append(("Content-Length", str(len(response.body))))
        events: tuple[Any, ...] = (
            h11.Response(status_code=response.status, headers=headers),
            h11.Data(data=response.body),
            h11.EndOfMessage(),
        )
        octets = b"".join(exchange.connection.send(event) or b"" for event in events)
        peer = self._network.book.name_of(flow.remote) or str(flow.remote)
        _record(self._trace, self._clock, self.name, peer, flow, octets, f"{response.status}")
        flow.send(octets)

    def _refuse(self, exchange: _Exchange, flow: Flow, status: int, reason: str) -> None:
        if self._trace.enabled:
            peer = self._network.book.name_of(flow.remote) or str(flow.remote)
            members = {"source": peer, "target": self.name, "protocol": "HTTP", "summary": reason}
            self._trace.record(at=self._clock.now(), kind=RecordKind.ERROR, **members)
        if exchange.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(exchange, flow, HttpResponse(status, (("Connection", "close"),)))
        flow.close()


class _Call:
    """The client's side of one connection, which carries one request."""

    def __init__(self, name: str, connection: h11.Connection, done: asyncio.Future[HttpResponse]) -> None:
        self.name = name
        self._connection = connection
        self._done = done
        self._response: h11.Response | None = None
        self._body = bytearray()

    def accepted(self, flow: Flow) -> None:
        """Never: this end connects."""

    def received(self, octets: bytes, flow: Flow) -> None:
        try:
            self._connection.receive_data(octets)
            self._read()
        except h11.RemoteProtocolError as error:
            self._fail(HttpAnswerBroken(f"the HTTP response from {flow.remote} cannot be read: {error}"))

    def _read(self) -> None:
        while True:
            event = self._connection.next_event()
            if isinstance(event, h11.Response):
                self._response = event
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_HTTP_BODY_OCTETS:
                    self._fail(HttpAnswerBroken("the body of the HTTP response is too large"))
                    return
            elif isinstance(event, h11.EndOfMessage) and self._response is not None:
                response = self._response
                if not self._done.done():
                    fields = _fields(response.headers.raw_items())
                    self._done.set_result(HttpResponse(response.status_code, fields, bytes(self._body)))
                return
            elif not isinstance(event, h11.InformationalResponse):
                return

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        if not self._done.done() and self._response is not None:
            self.received(b"", flow)  # a response that ends with its connection ends here
        self._fail(error or ConnectionLost(f"{flow.remote} closed the connection before the HTTP response ended"))

    def _fail(self, error: TransportError) -> None:
        if not self._done.done():
            self._done.set_exception(error)


class MemoryHttpClient:
    """A phone's HTTP client. *access_headers* are what the emulated access link adds, such as X-MSISDN."""

    def __init__(
        self,
        name: str,
        local_host: str,
        *,
        network: Network,
        names: NameTable,
        clock: Clock,
        trace: Trace,
        access_headers: HeaderFields = (),
    ) -> None:
        self.name = name
        self.access_headers = access_headers
        self._local_host = local_host
        self._network = network
        self._names = names
        self._clock = clock
        self._trace = trace

    async def request(
        self, url: str, *, method: str = "GET", headers: HeaderFields = (), body: bytes = b"", timeout_s: float
    ) -> HttpResponse:
        """Raises TransportError when no response came within *timeout_s* seconds."""
        parts = urlsplit(url)
        address = self._resolve(parts.scheme, parts.hostname or "", parts.port)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = h11.Connection(h11.CLIENT)
        done: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        call = _Call(self.name, connection, done)
        flow = self._network.connect(self._local_host, address, call, timeout_s=timeout_s)
        try:
            octets = self._encode(connection, method, target, parts.netloc.rpartition("@")[2], headers, body)
            server = self._network.book.name_of(address) or str(address)
            _record(
                self._trace, self._clock, self.name, server, flow, octets, f"{method} {parts.path or '/'}"
            )  # no query: it may carry a token
            flow.send(octets)
            async with asyncio.timeout(timeout_s):
                return await done
        except TimeoutError as error:
            raise HttpTimeout(f"no HTTP response from {address} within {timeout_s:g} s") from error
        finally:
            flow.close()

    def _resolve(self, scheme: str, host: str, port: int | None) -> Address:
        if scheme != "http":
            raise ConnectTimeout(f"in-memory links carry no {scheme or 'nameless scheme'}: TLS is for sockets")
        known = () if is_ip_literal(host) else self._names.addresses(host)
        if not known and not is_ip_literal(host):
            raise ConnectTimeout(f"no address for {host!r}")
        return Address(Transport.TCP, known[0].host if known else host, port or 80)

    def _encode(
        self, connection: h11.Connection, method: str, target: str, host: str, headers: HeaderFields, body: bytes
    ) -> bytes:
        fields = [("Host", host), *headers, *self.access_headers, ("Connection", "close")]
        if body:
            fields.append(("Content-Length", str(len(body))))
        events: list[Any] = [h11.Request(method=method, target=target, headers=fields)]
        if body:
            events.append(h11.Data(data=body))
        events.append(h11.EndOfMessage())
        return b"".join(connection.send(event) or b"" for event in events)
