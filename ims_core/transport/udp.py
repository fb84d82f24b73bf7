"""UDP on sockets: one reader callback per socket that drains a bounded number of datagrams."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ims_core.errors import TransportError
from ims_core.transport.datagrams import AT_ONCE, Key, SocketAddress, datagrams_of
from ims_core.transport.link import Address, AddressBook, Flow, FlowHandler, Transport

__all__ = ["UdpFlow", "UdpSocket"]

MAX_DATAGRAM_OCTETS = 65507  # UDP payload over IPv4
_DRAINED_AT_ONCE = 128  # datagrams per turn of the loop: others get their turn under a flood
_QUEUED_DATAGRAMS = 4096  # while the kernel's buffer is full; beyond it datagrams are lost, as UDP may
_BUFFER_OCTETS = 4 * 1024 * 1024  # asked of the kernel, which may give less
_MAX_FLOWS = 100_000  # remote addresses remembered per socket
_FORGOTTEN_AT_ONCE = _MAX_FLOWS // 10

_Waiting = tuple[bytes, "UdpFlow"]
_log = logging.getLogger(__name__)


class UdpFlow:
    """A pair of UDP addresses, seen from `local`."""

    __slots__ = (
        "_is_open",
        "_socket",
        "is_bulk",
        "key",
        "last_used",
        "local",
        "on_drained",
        "on_finished",
        "on_opened",
        "remote",
        "to",
        "user",
    )
    backlog = 0  # what waits belongs to the socket

    def __init__(self, udp: UdpSocket, remote: Address, to: SocketAddress, key: Key) -> None:
        self._socket = udp
        self.to, self.key = to, key
        self._is_open = True
        self.local, self.remote = udp.address, remote
        self.user: object | None = None
        self.is_bulk = False
        self.on_opened: Callable[[Flow], None] | None = None
        self.on_drained: Callable[[Flow], None] | None = None
        self.on_finished: Callable[[Flow], None] | None = None
        self.last_used = 0

    @property
    def is_open(self) -> bool:
        return self._is_open

    def send(self, octets: bytes) -> None:
        if not self._is_open:
            return
        tap = self._socket.book.tap
        if tap is not None and tap.sending(self, octets):
            return
        lines = self._socket.book.lines
        if lines is None:
            self._socket.send(octets, self)
        else:
            lines.datagram(self.local.host, self.remote.host, octets, self)

    def depart(self, octets: bytes) -> None:
        """A datagram that has come over its line."""
        if self._is_open:
            self._socket.send(octets, self)

    def hand_in(self, octets: bytes) -> None:
        """As if it had come from the peer, in the next turn of the loop."""
        asyncio.get_running_loop().call_soon(self._socket.handed_in, octets, self)

    def lose(self, reason: str) -> None:
        """There is no connection to lose."""

    def pause(self) -> None:
        """Datagrams cannot be held back."""

    def resume(self) -> None:
        """Datagrams never stopped."""

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._socket.drop(self)

    def end(self, error: TransportError | None) -> None:
        """Ends the flow and tells the handler."""
        if self._is_open:
            self.close()
            self._socket.handler.closed(self, error)


class UdpSocket:
    """One bound socket: a listener, or the end of a single flow if *remote* is given."""

    __slots__ = (
        "_datagrams",
        "_flows",
        "_held",
        "_is_losing",
        "_loop",
        "_on_closed",
        "_queue",
        "_remote",
        "_socket",
        "_tick",
        "address",
        "book",
        "handler",
    )

    def __init__(
        self,
        address: Address,
        handler: FlowHandler,
        book: AddressBook,
        *,
        remote: Address | None = None,
        on_closed: Callable[[UdpSocket], None],
    ) -> None:
        """Binds and begins to read. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self.handler, self.book, self._remote, self._on_closed = handler, book, remote, on_closed
        self._socket = _bound_socket(address, remote)
        self.address = Address(Transport.UDP, address.host, self._socket.getsockname()[1])
        self._datagrams = datagrams_of(self._socket)
        self._flows: dict[Key, UdpFlow] = {}
        self._queue: deque[_Waiting] = deque()
        self._held: list[_Waiting] | None = None  # a list while datagrams are being read
        self._is_losing = False  # it was said once
        self._tick = 0
        book.register(self.address, handler.name)
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def flow_to(self, remote: Address) -> UdpFlow:
        """Raises OSError if *remote* is no address that this socket can send to."""
        to = _socket_address(remote)
        key = self._datagrams.key_of(to)
        return self._flows.get(key) or self._new_flow(key, to)

    def send(self, octets: bytes, flow: UdpFlow) -> None:
        """Sends one datagram; what the kernel cannot take now waits.

        While a burst is being read, its answers are held: they leave in one system call, and each one that goes out
        wakes its receiver, who may take the processor from us in the middle of the burst."""
        if self._held is not None:
            self._held.append((octets, flow))
        elif self._queue:
            self._wait(((octets, flow),))
        else:
            self._send_now(octets, flow)

    def _send_now(self, octets: bytes, flow: UdpFlow) -> None:
        try:
            self._socket.sendto(octets, flow.to)
        except (BlockingIOError, InterruptedError):
            self._wait(((octets, flow),))
        except OSError as error:
            self._not_sent(octets, flow, error)

    def _not_sent(self, octets: bytes, flow: UdpFlow, error: OSError) -> None:
        """An ICMP error is of an earlier datagram; this one did not go, as UDP may. It comes to the flow in a later
        turn, as nobody is called from within `send`."""
        if isinstance(error, ConnectionError):
            self._loop.call_soon(self._failed, error)
            return
        reason = TransportError(f"cannot send {len(octets)} octets to {flow.remote}: {error.strerror}")
        self._loop.call_soon(flow.end, reason)

    def drop(self, flow: UdpFlow) -> None:
        """Forgets a flow; the socket of a single flow goes with it."""
        self._flows.pop(flow.key, None)
        if self._remote is not None:
            self.close_now()

    async def close(self) -> None:
        """Stops listening; its flows end, unheard."""
        self.close_now()

    def close_now(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._send_held()
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self.book.forget(self.address)
        self._on_closed(self)
        for flow in tuple(self._flows.values()):
            flow.close()

    def handed_in(self, octets: bytes, flow: UdpFlow) -> None:
        """A tap says that the peer of *flow* has sent *octets*."""
        if flow.is_open:
            self._call(self.handler.received, octets, flow)

    def _readable(self) -> None:
        for _ in range(_DRAINED_AT_ONCE // AT_ONCE):
            try:
                found = self._datagrams.read()
            except OSError as error:
                self._failed(error)
                return
            self._held = []
            try:
                self._hand_on(found)
            finally:
                self._send_held()
            if len(found) < AT_ONCE or self._socket.fileno() < 0:
                return

    def _hand_on(self, found: Sequence[tuple[bytes, Key]]) -> None:
        """What is left when a handler closes the socket is lost with it."""
        flows, handler = self._flows, self.handler
        for octets, source in found:
            flow = flows.get(source)
            if flow is None:
                flow = self._new_flow(source, self._datagrams.address_of(source))
                self._call(handler.accepted, flow)
            self._tick = flow.last_used = self._tick + 1
            try:
                handler.received(octets, flow)
            except Exception as error:  # the edge: one bad turn of a handler must not stop the socket
                self._report(error)
            if self._socket.fileno() < 0:
                return

    def _send_held(self) -> None:
        """Sends the answers of a burst in their order; one that cannot go does not stop the others."""
        held, self._held = self._held or [], None
        if self._queue:
            self._wait(held)
            return
        if len(held) == 1:
            self._send_now(*held[0])
            return
        first = 0
        while first < len(held):
            try:
                first += self._datagrams.write([(octets, flow.key) for octets, flow in held[first : first + AT_ONCE]])
            except (BlockingIOError, InterruptedError):
                self._wait(held[first:])
                return
            except OSError as error:
                self._not_sent(*held[first], error)
                first += 1

    def _new_flow(self, key: Key, to: SocketAddress) -> UdpFlow:
        if len(self._flows) >= _MAX_FLOWS:
            self._forget_some()
        flow = self._flows[key] = UdpFlow(self, Address(Transport.UDP, to[0], to[1]), to, key)
        flow.last_used = self._tick
        return flow

    def _forget_some(self) -> None:
        oldest = sorted(self._flows.values(), key=lambda flow: flow.last_used)[:_FORGOTTEN_AT_ONCE]
        for flow in oldest:
            self._call(flow.end, None)

    def _failed(self, error: OSError) -> None:
        """An ICMP error came back (RFC 3261 §18.4). It tells the remote of a single flow; a listener's it does not."""
        if self._remote is None:
            return
        for flow in tuple(self._flows.values()):
            self._call(flow.end, TransportError(f"{flow.remote} is not reachable: {error.strerror}"))

    def _wait(self, datagrams: Iterable[_Waiting]) -> None:
        for datagram in datagrams:
            if not self._queue:
                self._loop.add_writer(self._socket.fileno(), self._writable)
            if len(self._queue) < _QUEUED_DATAGRAMS:
                self._queue.append(datagram)
            elif not self._is_losing:
                self._is_losing = True
                _log.warning("%s: %d datagrams wait to be sent: more are lost", self.address, len(self._queue))

    def _writable(self) -> None:
        waiting, self._queue = self._queue, deque()
        self._loop.remove_writer(self._socket.fileno())
        self._held = list(waiting)
        self._send_held()

    def _call(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            call(*arguments)
        except Exception as error:  # the edge, as above
            self._report(error)

    def _report(self, error: Exception) -> None:
        self._loop.call_exception_handler({"message": f"{self.handler.name} failed", "exception": error})


def _bound_socket(address: Address, remote: Address | None) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_OCTETS)
        bound.bind((address.host, address.port))
        if remote is not None:
            bound.connect((remote.host, remote.port))
    except OSError:
        bound.close()
        raise
    return bound


def _socket_address(remote: Address) -> SocketAddress:
    return (remote.host, remote.port, 0, 0) if ":" in remote.host else (remote.host, remote.port)
