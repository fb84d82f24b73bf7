"""TCP and TLS connections on sockets, as flows."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from ims_core.errors import ConnectionLost, ConnectTimeout, TransportError
from ims_core.transport.link import (
    HIGH_WATER_OCTETS,
    LOW_WATER_OCTETS,
    Address,
    AddressBook,
    Flow,
    FlowHandler,
)
from ims_core.transport.socket_lines import LineTransport, SocketLines, break_connection

__all__ = ["StreamFlow", "StreamListener", "StreamOwner", "bind_socket", "open_connection"]

_MAX_BACKLOG_OCTETS = 8 * 1024 * 1024  # unsent octets of one connection: beyond it the peer is taken for dead
_BACKLOG_CONNECTIONS = 1024
_ACCEPTED_AT_ONCE = 8  # per turn of the loop: asyncio goes on accepting, and complaining, when no file can be opened
_UNREAD_LIMIT_S = 60.0  # for a peer who reads nothing of what waits for him
_HALF_OPEN_S = 30.0  # for answers to a peer who has said all
_TLS_HANDSHAKE_S = 10.0
_TLS_CLOSE_S = 1.0
_READ_OCTETS = 16 * 1024  # per turn of the loop: under a flood the other connections get their turn
_READ_BUFFER = memoryview(bytearray(_READ_OCTETS))  # filled and emptied within one turn, so all flows share it
_BULK_READ_BUFFER = memoryview(bytearray(64 * 1024))  # the same for long content


class StreamOwner(Protocol):
    """The network that the flows of one host belong to."""

    book: AddressBook

    def has_room(self) -> bool:
        """Whether one more connection may be accepted."""
        ...

    def flow_began(self, flow: StreamFlow) -> None: ...

    def flow_ended(self, flow: StreamFlow) -> None: ...


class StreamFlow(asyncio.BufferedProtocol):
    """One end of a TCP or TLS connection.

    A peer who does not read what we answer is not read either. Only the accepting end does so: else two of our own
    could wait for each other for ever."""

    __slots__ = (
        "_error",
        "_half_open",
        "_handler",
        "_is_finished",
        "_is_full",
        "_is_open",
        "_is_paused",
        "_owner",
        "_patience",
        "_transport",
        "_unsent_before",
        "_waiting",
        "_waiting_octets",
        "is_accepted",
        "is_bulk",
        "local",
        "on_drained",
        "on_finished",
        "on_opened",
        "remote",
        "user",
    )

    def __init__(
        self, owner: StreamOwner, handler: FlowHandler, local: Address, remote: Address, *, is_accepted: bool
    ) -> None:
        self._owner, self._handler = owner, handler
        self.local, self.remote = local, remote
        self.user: object | None = None
        self.is_accepted = is_accepted
        self._is_open = True
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._waiting_octets = 0
        self._error: TransportError | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._unsent_before = 0  # when patience was last tested
        self._is_full = False  # above the high-water mark, and not yet down at the low one
        self._is_paused = False  # by the owner
        self.is_bulk = False
        self.on_opened: Callable[[Flow], None] | None = None
        self.on_drained: Callable[[Flow], None] | None = None
        self.on_finished: Callable[[Flow], None] | None = None
        self._is_finished = False  # the peer has said all
        self._half_open: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def backlog(self) -> int:
        transport = self._transport
        if transport is None:
            return self._waiting_octets
        return transport.get_write_buffer_size() if self._is_open else 0

    def send(self, octets: bytes) -> None:
        if not self._is_open:
            return
        tap = self._owner.book.tap
        if tap is not None and tap.sending(self, octets):
            return
        transport = self._transport
        if transport is None:
            self._waiting.append(octets)
            self._waiting_octets += len(octets)
            backlog = self._waiting_octets
            self._is_full = backlog > HIGH_WATER_OCTETS
        elif transport.is_closing():
            return  # the peer is gone; `connection_lost` comes in the next turn of the loop
        else:
            transport.write(octets)
            backlog = transport.get_write_buffer_size()
        if backlog > _MAX_BACKLOG_OCTETS:
            self._error = ConnectionLost(f"{self.remote} does not read: {backlog} octets were waiting")
            if transport is None:
                asyncio.get_running_loop().call_soon(self.fail, self._error)
            else:
                transport.abort()

    def hand_in(self, octets: bytes) -> None:
        """As if it had come from the peer, in the next turn of the loop."""
        asyncio.get_running_loop().call_soon(self._handed_in, octets)

    def _handed_in(self, octets: bytes) -> None:
        if self._is_open:
            self._call(self._handler.received, octets, self)

    def lose(self, reason: str) -> None:
        """Breaks the connection, as a network would; both ends are told by their sockets."""
        self._error = ConnectionLost(reason)
        if self._transport is None:
            asyncio.get_running_loop().call_soon(self.fail, self._error)
        else:
            break_connection(self._transport)

    def put_on_line(self, lines: SocketLines) -> None:
        """From now on what is sent here goes over the line to the peer's host, what was sent before has left."""
        transport = self._transport
        if transport is not None and not isinstance(transport, LineTransport) and self.local.host != self.remote.host:
            self._transport = LineTransport(transport, lines, self.local.host, self.remote.host)

    def pause(self) -> None:
        self._is_paused = True
        if self._transport is not None and self._is_open:
            self._transport.pause_reading()

    def resume(self) -> None:
        self._is_paused = False
        self._read_on()

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        if self._transport is not None:
            self._leave(self._transport)

    def fail(self, error: TransportError) -> None:
        """The connection was not made, or is given up."""
        was_open, self._is_open = self._is_open, False
        self._waiting.clear()
        self._owner.flow_ended(self)
        if self._transport is not None:
            self._transport.abort()
        if was_open:
            self._call(self._handler.closed, self, error)

    # --- from asyncio ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER_OCTETS, low=LOW_WATER_OCTETS)
        if self.is_accepted:
            if not self._owner.has_room():
                self._is_open = False
                transport.abort()
                return
            self._adopt_names(transport)
            self._take_line()
            self._owner.flow_began(self)
            self._call(self._handler.accepted, self)
            return
        if self._is_paused:
            transport.pause_reading()
        self._take_line()
        self._send_what_waited(self._transport)
        if not self._is_open:  # closed while it was being made
            self._leave(self._transport)
        elif self.on_opened is not None:
            self._call(self.on_opened, self)

    def _take_line(self) -> None:
        lines = self._owner.book.lines
        if lines is not None:
            self.put_on_line(lines)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BULK_READ_BUFFER if self.is_bulk else _READ_BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if not self._is_open:
            return
        octets = bytes((_BULK_READ_BUFFER if self.is_bulk else _READ_BUFFER)[:nbytes])
        try:
            self._handler.received(octets, self)
        except Exception as error:  # the edge: one bad turn of a handler must not end the connection
            self._report(error)

    def eof_received(self) -> bool:
        """The peer has said all. True keeps the flow open for answers; else asyncio closes it once he has read the
        rest. He gets a limited time for either."""
        transport = self._transport
        if transport is None or not self._is_open:
            return False
        if transport.get_write_buffer_size():
            self._watch()
        is_tls = transport.get_extra_info("sslcontext") is not None
        if not is_tls and isinstance(transport, LineTransport) and not transport.is_idle and self.on_finished is None:
            transport.close()  # after what is on the line
            return True
        if self.on_finished is None or is_tls:
            return False
        if not self._is_finished:
            self._is_finished = True
            self._half_open = asyncio.get_running_loop().call_later(_HALF_OPEN_S, self._leave, transport)
            self._call(self.on_finished, self)
        return True

    def pause_writing(self) -> None:
        self._is_full = True
        self._watch()
        if self.is_accepted and self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.backlog > LOW_WATER_OCTETS:
            return  # the line behind the socket is full still, and will tell
        self._stop_waiting()
        self._drained_soon()
        self._read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._half_open is not None:
            self._half_open.cancel()
        if isinstance(self._transport, LineTransport):
            self._transport.gone()
        was_open, self._is_open = self._is_open, False
        self._owner.flow_ended(self)
        if was_open:
            lost = None if exc is None else ConnectionLost(f"connection to {self.remote} lost: {exc}")
            self._call(self._handler.closed, self, self._error or lost)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _send_what_waited(self, transport: asyncio.Transport) -> None:
        waiting, self._waiting, self._waiting_octets = self._waiting, [], 0
        if waiting:
            transport.write(b"".join(waiting))
            if transport.get_write_buffer_size() <= HIGH_WATER_OCTETS:  # else `resume_writing` will come
                self._drained_soon()

    def _read_on(self) -> None:
        """Reads again, unless the owner or the peer's own slowness forbid it."""
        if self._transport is None or not self._is_open:
            return
        if not self._is_paused and not (self.is_accepted and self._is_full):
            self._transport.resume_reading()

    def _leave(self, transport: asyncio.Transport) -> None:
        """Closes once the rest is sent, for which the peer gets a limited time."""
        if transport.get_write_buffer_size():
            self._watch()
        transport.close()

    def _drained_soon(self) -> None:
        if self._is_full:
            self._is_full = False
            if self.on_drained is not None:
                asyncio.get_running_loop().call_soon(self._tell_drained)

    def _tell_drained(self) -> None:
        if self._is_open and self.on_drained is not None:
            self._call(self.on_drained, self)

    def _watch(self) -> None:
        """Begins to wait for the peer to read, for a limited time."""
        if self._transport is not None:
            self._stop_waiting()
            self._unsent_before = self._transport.get_write_buffer_size()
            self._patience = asyncio.get_running_loop().call_later(_UNREAD_LIMIT_S, self._lose_patience)

    def _lose_patience(self) -> None:
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() < self._unsent_before:  # slow, not dead
            self._watch()
            return
        self._error = ConnectionLost(f"{self.remote} has read nothing for {_UNREAD_LIMIT_S:g} s")
        self._transport.abort()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _adopt_names(self, transport: asyncio.Transport) -> None:
        name = transport.get_extra_info("peername") or ("0.0.0.0", 0)  # gone already
        self.remote = Address(self.local.transport, name[0], name[1])

    def _call(self, event: Callable[..., None], *arguments: object) -> None:
        try:
            event(*arguments)
        except Exception as error:  # the edge, as above
            self._report(error)

    def _report(self, error: Exception) -> None:
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": f"{self._handler.name} failed", "exception": error})


class StreamListener:
    """A listening TCP or TLS address."""

    __slots__ = ("_book", "_owner", "_server", "address", "handler")

    def __init__(self, owner: StreamOwner, address: Address, handler: FlowHandler, book: AddressBook) -> None:
        self._owner, self.address, self.handler, self._book = owner, address, handler, book
        self._server: asyncio.Server | None = None

    async def open(self, tls: ssl.SSLContext | None) -> None:
        """Raises OSError."""
        listening = _listening_socket(self.address)
        self._server = await asyncio.get_running_loop().create_server(
            self._new_flow,
            sock=listening,
            ssl=tls,
            backlog=_ACCEPTED_AT_ONCE,
            ssl_handshake_timeout=_TLS_HANDSHAKE_S if tls else None,
            ssl_shutdown_timeout=_TLS_CLOSE_S if tls else None,
        )
        listening.listen(_BACKLOG_CONNECTIONS)  # what waits in the kernel; asyncio has one number for both
        port = self._server.sockets[0].getsockname()[1]
        self.address = Address(self.address.transport, self.address.host, port)
        self._book.register(self.address, self.handler.name)

    async def close(self) -> None:
        """Stops listening. Accepted connections live on: also those of this turn of the loop, which asyncio would leave
        open without an owner if its server closed under them."""
        server, self._server = self._server, None
        if server is not None:
            self._book.forget(self.address)
            for listening in server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            await asyncio.sleep(0)
            server.close()

    def _new_flow(self) -> StreamFlow:
        return StreamFlow(self._owner, self.handler, self.address, self.address, is_accepted=True)


def _listening_socket(address: Address) -> socket.socket:
    """Bound; it names its protocol, so that asyncio sets TCP_NODELAY on what it accepts. Raises OSError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address.host, address.port))
    except OSError:
        bound.close()
        raise
    return bound


def bind_socket(local_host: str) -> socket.socket:
    """A socket to connect from, so that its port is known at once. Raises OSError."""
    bound = socket.socket(socket.AF_INET6 if ":" in local_host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        # asyncio does this only for sockets whose protocol number is given; Nagle would hold each answer for 40 ms.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind((local_host, 0))
    except OSError:
        bound.close()
        raise
    return bound


async def open_connection(
    flow: StreamFlow,
    bound: socket.socket,
    tls: ssl.SSLContext | None,
    timeout_s: float,
    lines: SocketLines | None = None,
) -> None:
    """Connects *flow*, over *lines* if there are any; it tells its handler if that fails."""
    loop, remote = asyncio.get_running_loop(), flow.remote
    try:
        async with asyncio.timeout(timeout_s):
            if lines is not None and flow.local.host != remote.host:
                await lines.handshake(flow.local.host, remote.host)
            await loop.sock_connect(bound, (remote.host, remote.port))
            await loop.create_connection(
                lambda: flow,
                sock=bound,
                ssl=tls,
                server_hostname=remote.host if tls else None,
                ssl_shutdown_timeout=_TLS_CLOSE_S if tls else None,
            )
    except TimeoutError:
        bound.close()
        flow.fail(ConnectTimeout(f"{remote} did not answer within {timeout_s:g} s"))
    except ssl.SSLCertVerificationError as error:
        bound.close()
        flow.fail(ConnectTimeout(f"{remote} shows a certificate that is not trusted: {error.verify_message}"))
    except OSError as error:
        bound.close()
        flow.fail(ConnectTimeout(f"cannot connect to {remote}: {error.strerror or error}"))
    except asyncio.CancelledError:
        bound.close()
        raise
