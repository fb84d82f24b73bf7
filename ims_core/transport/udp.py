"""UDP on sockets: one reader callback per socket that drains a bounded number of datagrams."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable

from ims_core.errors import TransportError
from ims_core.transport.link import Address, AddressBook, Flow, FlowHandler, Transport

__all__ = ["UdpFlow", "UdpSocket"]

MAX_DATAGRAM_OCTETS = 65507  # UDP payload over IPv4
_DRAINED_AT_ONCE = 128  # datagrams per turn of the loop: others get their turn under a flood
_HELD_AT_ONCE = 16  # datagrams read before what they led to is sent
_READ_OCTETS = 65536
_QUEUED_DATAGRAMS = 4096  # while the kernel's buffer is full; beyond it datagrams are lost, as UDP may
_BUFFER_OCTETS = 4 * 1024 * 1024  # asked of the kernel, which may give less
_MAX_FLOWS = 100_000  # remote addresses remembered per socket
_FORGOTTEN_AT_ONCE = _MAX_FLOWS // 10

_SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class UdpFlow:
    """A pair of UDP addresses, seen from `local`."""

    __slots__ = (
        "_is_open",
        "_socket",
        "_to",
        "is_bulk",
        "last_used",
        "local",
        "on_drained",
        "on_finished",
        "on_opened",
        "remote",
        "user",
    )
    backlog = 0  # what waits belongs to the socket

    def __init__(self, udp: UdpSocket, remote: Address, to: _SocketAddress) -> None:
        self._socket = udp
        self._to = to
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
        if tap is None or not tap.sending(self, octets):
            self._socket.send(octets, self, self._to)

    def hand_in(self, octets: bytes) -> None:
        """As if it had come from the peer, in the next turn of the loop."""
        asyncio.get_running_loop().call_soon(self._socket.handed_in, octets, self)

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
        "_flows",
        "_held",
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
        self._flows: dict[_SocketAddress, UdpFlow] = {}
        self._queue: deque[tuple[bytes, UdpFlow, _SocketAddress]] = deque()
        self._held: list[tuple[bytes, UdpFlow, _SocketAddress]] | None = None  # a list while datagrams are being read
        self._tick = 0
        book.register(self.address, handler.name)
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def flow_to(self, remote: Address) -> UdpFlow:
        to = _socket_address(remote)
        return self._flows.get(to) or self._new_flow(to)

    def send(self, octets: bytes, flow: UdpFlow, to: _SocketAddress) -> None:
        """Sends one datagram; what the kernel cannot take now waits.

        While a burst is being read, its answers are held: each one that goes out wakes its receiver, who may take the
        processor from us in the middle of the burst."""
        if self._held is None:
            self._send_now(octets, flow, to)
        else:
            self._held.append((octets, flow, to))

    def _send_now(self, octets: bytes, flow: UdpFlow, to: _SocketAddress) -> None:
        if self._queue:
            self._wait(octets, flow, to)
            return
        try:
            self._socket.sendto(octets, to)
        except (BlockingIOError, InterruptedError):
            self._wait(octets, flow, to)
        except ConnectionError:
            pass  # an ICMP error of an earlier datagram on this socket; this one went or did not, as UDP may
        except OSError as error:
            reason = TransportError(f"cannot send {len(octets)} octets to {flow.remote}: {error.strerror}")
            self._loop.call_soon(flow.end, reason)

    def drop(self, flow: UdpFlow) -> None:
        """Forgets a flow; the socket of a single flow goes with it."""
        self._flows.pop(_socket_address(flow.remote), None)
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
        for _ in range(_DRAINED_AT_ONCE // _HELD_AT_ONCE):
            self._held = []
            try:
                is_drained = self._read_some()
            finally:
                self._send_held()
            if is_drained:
                return

    def _send_held(self) -> None:
        held, self._held = self._held, None
        for octets, flow, to in held or ():
            self._send_now(octets, flow, to)

    def _read_some(self) -> bool:
        """Hands on the next datagrams. True if there are no more for now."""
        receive, flows, handler = self._socket.recvfrom, self._flows, self.handler
        for _ in range(_HELD_AT_ONCE):
            try:
                octets, source = receive(_READ_OCTETS)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError as error:
                self._failed(error)
                return True
            flow = flows.get(source)
            if flow is None:
                flow = self._new_flow(source)
                self._call(handler.accepted, flow)
            self._tick = flow.last_used = self._tick + 1
            try:
                handler.received(octets, flow)
            except Exception as error:  # the edge: one bad turn of a handler must not stop the socket
                self._report(error)
            if self._socket.fileno() < 0:
                return True
        return False

    def _new_flow(self, to: _SocketAddress) -> UdpFlow:
        if len(self._flows) >= _MAX_FLOWS:
            self._forget_some()
        flow = self._flows[to] = UdpFlow(self, Address(Transport.UDP, to[0], to[1]), to)
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

    def _wait(self, octets: bytes, flow: UdpFlow, to: _SocketAddress) -> None:
        if not self._queue:
            self._loop.add_writer(self._socket.fileno(), self._writable)
        if len(self._queue) < _QUEUED_DATAGRAMS:
            self._queue.append((octets, flow, to))

    def _writable(self) -> None:
        waiting, self._queue = self._queue, deque()
        self._loop.remove_writer(self._socket.fileno())
        for octets, flow, to in waiting:
            self.send(octets, flow, to)

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


def _socket_address(remote: Address) -> _SocketAddress:
    return (remote.host, remote.port, 0, 0) if ":" in remote.host else (remote.host, remote.port)
