"""The real world: UDP, TCP and TLS sockets behind the contract of `link`."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import resource
import socket
from functools import lru_cache

from ims_core.errors import SimulatorError, TransportError
from ims_core.transport.clock import Clock
from ims_core.transport.lab_ca import LabCa
from ims_core.transport.link import Address, AddressBook, Flow, FlowHandler, Listener, Transport
from ims_core.transport.listen_error import listen_error
from ims_core.transport.socket_lines import SocketLines
from ims_core.transport.tcp import StreamFlow, StreamListener, bind_socket, open_connection
from ims_core.transport.tls import TlsPolicy
from ims_core.transport.tokens import Tokens
from ims_core.transport.udp import UdpSocket
from ims_core.transport.virtual_loop import VirtualLoop

__all__ = ["SocketNetwork"]

_log = logging.getLogger(__name__)

_LOOPBACK_MTU_OCTETS = 65535
_CLOSING_TURNS = 4  # of the loop: what was accepted a moment ago becomes a connection, is closed, and closes its socket
_OTHER_FILES = 192  # beside connections: stores, traces, listeners, HTTP, and what is accepted and closed in one turn


class SocketNetwork:
    """Every element of this process that uses sockets. `book` knows the addresses of all of them."""

    def __init__(self, clock: Clock, lab_ca: LabCa | None = None, *, tls: TlsPolicy | None = None) -> None:
        self.clock = clock
        self.book = AddressBook()
        self.tls = tls or TlsPolicy(authority=lab_ca)
        self._listeners: list[StreamListener] = []
        self._udp: dict[UdpSocket, None] = {}
        self._udp_sources: dict[tuple[str, int], UdpSocket] = {}  # by host and id of the handler
        self._streams: dict[StreamFlow, None] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_crowded = False  # it was said once
        self._is_closed = False

    async def listen(self, address: Address, handler: FlowHandler) -> Listener:
        """Raises TransportError with one sentence that says what to do."""
        _refuse_virtual_time()
        try:
            if address.transport is Transport.UDP:
                return self._listen_udp(address, handler)
            return await self._listen_stream(address, handler)
        except OSError as error:
            raise listen_error(address, error) from error

    def connect(self, local_host: str, remote: Address, handler: FlowHandler, *, timeout_s: float = 10.0) -> Flow:
        _refuse_virtual_time()
        if remote.transport is Transport.UDP:
            return self._udp_flow(local_host, remote, handler)
        local, bound, failure = Address(remote.transport, local_host, 0), None, None
        try:
            bound = bind_socket(local_host)
            local = Address(remote.transport, local_host, bound.getsockname()[1])
            tls = self.tls.client_context(handler.name) if remote.transport is Transport.TLS else None
        except OSError as error:
            failure = listen_error(local, error)
        except TransportError as error:
            failure = error
        flow = StreamFlow(self, handler, local, remote, is_accepted=False)
        if failure is not None or bound is None:
            self._fail_soon(flow, bound, failure or TransportError("no socket"))
            return flow
        self.book.register(local, handler.name)
        self.flow_began(flow)
        work = open_connection(flow, bound, tls, timeout_s, self.book.lines)
        # Owned by this network: close() cancels what is still connecting, and each has its own time-out.
        task = asyncio.get_running_loop().create_task(work, name=f"{handler.name} connects to {remote}")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return flow

    def path_mtu(self, local_host: str, remote: Address) -> int | None:
        return _LOOPBACK_MTU_OCTETS if _is_loopback(remote.host) else None

    def lines(self, tokens: Tokens) -> SocketLines:
        """The lines between the hosts of this process, from now on; *tokens* seeds what they lose and how they vary."""
        if self.book.lines is None:
            self.book.lines = SocketLines(tokens)
            for flow in tuple(self._streams):
                flow.put_on_line(self.book.lines)
        return self.book.lines

    async def close(self) -> None:
        """Ends everything at once; handlers are not told."""
        self._is_closed = True
        for task in tuple(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for listener in self._listeners:
            await listener.close()
        for udp in tuple(self._udp):
            udp.close_now()
        if self.book.lines is not None:
            self.book.lines.close()
        for flow in tuple(self._streams):
            flow.close()
        self._listeners.clear()
        self._udp_sources.clear()
        for _ in range(_CLOSING_TURNS):
            await asyncio.sleep(0)

    # --- for the flows -----------------------------------------------------------------------------------------------

    def has_room(self) -> bool:
        if self._is_closed:
            return False
        if len(self._streams) < _most_streams():
            return True
        if not self._is_crowded:
            self._is_crowded = True
            _log.warning("%d connections are open: new ones are closed, for want of open files", len(self._streams))
        return False

    def flow_began(self, flow: StreamFlow) -> None:
        self._streams[flow] = None

    def flow_ended(self, flow: StreamFlow) -> None:
        if self._streams.pop(flow, False) is None and not flow.is_accepted:
            self.book.forget(flow.local)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _listen_udp(self, address: Address, handler: FlowHandler) -> UdpSocket:
        listener = self._open_udp(address, handler, None)
        self._udp_sources.setdefault((address.host, id(handler)), listener)
        return listener

    def _open_udp(self, address: Address, handler: FlowHandler, remote: Address | None) -> UdpSocket:
        opened = UdpSocket(address, handler, self.book, remote=remote, on_closed=self._udp_closed)
        self._udp[opened] = None
        return opened

    def _udp_closed(self, closed: UdpSocket) -> None:
        self._udp.pop(closed, None)
        key = (closed.address.host, id(closed.handler))
        if self._udp_sources.get(key) is closed:
            del self._udp_sources[key]

    async def _listen_stream(self, address: Address, handler: FlowHandler) -> StreamListener:
        tls = self.tls.server_context(handler.name, address.host) if address.transport is Transport.TLS else None
        listener = StreamListener(self, address, handler, self.book)
        await listener.open(tls)
        self._listeners.append(listener)
        return listener

    def _udp_flow(self, local_host: str, remote: Address, handler: FlowHandler) -> Flow:
        source = self._udp_sources.get((local_host, id(handler)))
        local = Address(Transport.UDP, local_host, 0) if source is None else source.address
        try:
            return (source or self._open_udp(local, handler, remote)).flow_to(remote)
        except OSError as error:
            failure = listen_error(local, error)
            if source is not None:
                failure = TransportError(f"cannot send to {remote}: {error.strerror or error}")
        flow = StreamFlow(self, handler, local, remote, is_accepted=False)
        self._fail_soon(flow, None, failure)
        return flow

    def _fail_soon(self, flow: StreamFlow, bound: socket.socket | None, error: TransportError) -> None:
        if bound is not None:
            bound.close()
        asyncio.get_running_loop().call_soon(flow.fail, error)


def _most_streams() -> int:
    """Connections that the limit of open files leaves room for; half of a small limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else max(soft - _OTHER_FILES, soft // 2)


def _refuse_virtual_time() -> None:
    if isinstance(asyncio.get_running_loop(), VirtualLoop):
        raise SimulatorError('sockets need real time: use rcs_sim.run(main, clock="real")')


@lru_cache(4096)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
