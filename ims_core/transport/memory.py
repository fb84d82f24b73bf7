"""The in-memory world: hosts joined by links that delay, lose, reorder and fail as told, with UDP and TCP semantics.

Octets are handed over by reference, always in a later turn of the loop than the one that sent them. The same seed
gives the same run. TLS is a name only here: its octets are not encrypted (design, decision 12).
"""

from __future__ import annotations

from collections.abc import Callable

from ims_core.errors import TransportError
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, AddressBook, Flow, FlowHandler, Transport
from ims_core.transport.link_table import LinkChange, LinkTable
from ims_core.transport.memory_link import DeliveryQueue, LinkProfile, Path
from ims_core.transport.memory_stream import MemoryStreamFlow
from ims_core.transport.tokens import Tokens

__all__ = ["LinkChange", "LinkProfile", "MemoryDatagramFlow", "MemoryListener", "MemoryNetwork", "MemoryStreamFlow"]

MAX_DATAGRAM_OCTETS = 65507  # UDP payload over IPv4
_PATH_MTU_OCTETS = 65535
_FIRST_EPHEMERAL_PORT, _LAST_PORT = 49152, 65535  # RFC 6335 §6


class MemoryDatagramFlow:
    """A pair of UDP addresses, seen from `local`."""

    __slots__ = (
        "_endpoint",
        "_is_open",
        "_network",
        "_path",
        "_peer",
        "is_bulk",
        "local",
        "on_drained",
        "on_finished",
        "on_opened",
        "remote",
        "user",
    )
    backlog = 0  # nothing waits

    def __init__(self, network: MemoryNetwork, endpoint: MemoryListener, remote: Address) -> None:
        self._network, self._endpoint = network, endpoint
        self.local, self.remote = endpoint.address, remote
        self.user: object | None = None
        self._path = network.path(self.local.host, remote.host)
        self._peer: MemoryDatagramFlow | None = None
        self._is_open = True
        self.is_bulk = False
        self.on_opened: Callable[[Flow], None] | None = None
        self.on_drained: Callable[[Flow], None] | None = None
        self.on_finished: Callable[[Flow], None] | None = None

    @property
    def is_open(self) -> bool:
        return self._is_open

    def send(self, octets: bytes) -> None:
        if not self._is_open:
            return
        tap = self._network.book.tap
        if tap is not None and tap.sending(self, octets):
            return
        queue = self._network.queue
        if len(octets) > MAX_DATAGRAM_OCTETS:
            queue.add(0.0, MemoryDatagramFlow.end, self, TransportError(f"no datagram holds {len(octets)} octets"))
            return
        path = self._path
        if not path.is_up:
            return
        for arrival in path.datagram_arrivals(len(octets), queue.time()):
            queue.add(arrival, MemoryDatagramFlow._arrived, self, octets)

    def hand_in(self, octets: bytes) -> None:
        """As if it had come from the peer, now."""
        self._network.queue.add(0.0, MemoryDatagramFlow._handed_in, self, octets)

    def lose(self, reason: str) -> None:
        """There is no connection to lose."""

    def _handed_in(self, octets: bytes) -> None:
        if self._is_open:
            self._endpoint.handler.received(octets, self)

    def pause(self) -> None:
        """Datagrams cannot be held back."""

    def resume(self) -> None:
        """Datagrams never stopped."""

    def close(self) -> None:
        self._is_open = False
        self._endpoint.drop(self)

    def end(self, error: TransportError | None) -> None:
        if self._is_open:
            self.close()
            self._endpoint.handler.closed(self, error)

    def _arrived(self, octets: bytes) -> None:
        if not self._path.is_up:
            return
        peer = self._peer
        if peer is None or not peer._is_open:
            endpoint = self._network.datagram_endpoint(self.remote)
            peer = self._peer = None if endpoint is None else endpoint.flow_from(self.local)
        if peer is not None:
            peer._endpoint.handler.received(octets, peer)


class MemoryListener:
    """A listening address. For UDP also the socket from which flows to other hosts leave."""

    __slots__ = ("_flows", "_network", "address", "handler", "is_connected")

    def __init__(
        self, network: MemoryNetwork, address: Address, handler: FlowHandler, *, is_connected: bool = False
    ) -> None:
        self._network, self.address, self.handler = network, address, handler
        self._flows: dict[Address, MemoryDatagramFlow] = {}
        self.is_connected = is_connected  # an ephemeral UDP socket: only its one remote address gets through

    def flow_to(self, remote: Address) -> MemoryDatagramFlow:
        flow = self._flows.get(remote)
        if flow is None:
            flow = self._flows[remote] = MemoryDatagramFlow(self._network, self, remote)
        return flow

    def flow_from(self, remote: Address) -> MemoryDatagramFlow | None:
        """The flow of a datagram that came from *remote*; a new one is announced to the handler."""
        flow = self._flows.get(remote)
        if flow is None and not self.is_connected:
            flow = self._flows[remote] = MemoryDatagramFlow(self._network, self, remote)
            self.handler.accepted(flow)
        return flow

    def drop(self, flow: MemoryDatagramFlow) -> None:
        self._flows.pop(flow.remote, None)
        if self.is_connected:
            self._network.stop_listening(self)

    async def close(self) -> None:
        """Stops listening. Accepted connections live on; UDP flows end, unheard."""
        self._network.stop_listening(self)
        for flow in tuple(self._flows.values()):
            flow.close()


class MemoryNetwork:
    """All hosts and links of one in-memory world. *tokens* seeds loss and jitter, per link."""

    def __init__(self, clock: Clock, tokens: Tokens) -> None:
        self.clock = clock
        self.book = AddressBook()
        self.queue = DeliveryQueue()
        self.links = LinkTable(tokens, self.queue)
        self._listeners: dict[Address, MemoryListener] = {}
        self._datagram_listeners: dict[tuple[str, int], MemoryListener] = {}
        self._datagram_sources: dict[tuple[str, int], MemoryListener] = {}  # by host and id of the handler
        self._next_port: dict[str, int] = {}

    async def listen(self, address: Address, handler: FlowHandler) -> MemoryListener:
        """Raises TransportError if the port is taken."""
        if address.port == 0:
            address = self._free_address(address.transport, address.host)
        if address in self._listeners:
            raise TransportError(
                f"port {address.port} on {address.host} is in use by {self.book.name_of(address)}: choose another one"
            )
        return self._bind(MemoryListener(self, address, handler))

    def connect(self, local_host: str, remote: Address, handler: FlowHandler, *, timeout_s: float = 10.0) -> Flow:
        if remote.transport is Transport.UDP:
            return self._datagram_flow(local_host, remote, handler)
        try:
            local = self._free_address(remote.transport, local_host)
        except TransportError as error:
            return self._stillborn(local_host, remote, handler, error)
        self.book.register(local, handler.name)
        flow = MemoryStreamFlow(self, handler, local, remote)
        flow.open_to(timeout_s)
        return flow

    def path_mtu(self, local_host: str, remote: Address) -> int | None:
        return _PATH_MTU_OCTETS

    async def close(self) -> None:
        """Ends everything at once; handlers are not told."""
        self.queue.clear()
        for path in self.links.paths():
            for flow in path.flows:
                flow.close()
        self._listeners.clear()
        self._datagram_listeners.clear()
        self._datagram_sources.clear()
        self.queue.clear()

    def set_link(self, source_host: str, target_host: str, profile: LinkProfile) -> None:
        """Rules one direction, as `LinkTable.set_link`."""
        self.links.set_link(source_host, target_host, profile)

    def link(self, source_host: str, target_host: str) -> LinkProfile:
        """The profile that rules this direction now."""
        return self.links.link(source_host, target_host)

    def change_links(self, change: LinkChange) -> Callable[[], None]:
        """Changes every profile from now on, as `LinkTable.change_links`."""
        return self.links.change_links(change)

    def cut(self, host: str) -> None:
        """Takes *host* off the network, both ways. Connections survive this for 30 s."""
        self.links.cut(host)

    def restore(self, host: str) -> None:
        self.links.restore(host)

    def reset(self, host: str) -> None:
        """Breaks every connection of *host*, as its restart would."""
        self.links.reset(host)

    def path(self, source_host: str, target_host: str) -> Path:
        """The path between two hosts (for the flows)."""
        return self.links.path(source_host, target_host)

    def syn_arrived(self, flow: MemoryStreamFlow) -> None:
        """A connection request reaches its target host (for the flows)."""
        listener = self._listeners.get(flow.remote)
        if listener is None:
            flow.refuse(self.path(flow.remote.host, flow.local.host))
            return
        MemoryStreamFlow(self, listener.handler, flow.remote, flow.local).accept(flow)

    def datagram_endpoint(self, address: Address) -> MemoryListener | None:
        return self._datagram_listeners.get((address.host, address.port))

    def forget(self, flow: MemoryStreamFlow) -> None:
        if flow.local not in self._listeners:
            self.book.forget(flow.local)

    def stop_listening(self, listener: MemoryListener) -> None:
        address = listener.address
        if self._listeners.pop(address, None) is None:
            return
        self.book.forget(address)
        if address.transport is Transport.UDP:
            self._datagram_listeners.pop((address.host, address.port), None)
            if self._datagram_sources.get((address.host, id(listener.handler))) is listener:
                del self._datagram_sources[address.host, id(listener.handler)]

    def _bind(self, listener: MemoryListener) -> MemoryListener:
        address = listener.address
        self._listeners[address] = listener
        if address.transport is Transport.UDP:
            self._datagram_listeners[address.host, address.port] = listener
            if not listener.is_connected:
                self._datagram_sources.setdefault((address.host, id(listener.handler)), listener)
        self.book.register(address, listener.handler.name)
        return listener

    def _stillborn(self, local_host: str, remote: Address, handler: FlowHandler, error: TransportError) -> Flow:
        flow = MemoryStreamFlow(self, handler, Address(remote.transport, local_host, 0), remote)
        self.queue.add(0.0, MemoryStreamFlow.end, flow, error)
        return flow

    def _datagram_flow(self, local_host: str, remote: Address, handler: FlowHandler) -> Flow:
        listener = self._datagram_sources.get((local_host, id(handler)))
        if listener is not None:
            return listener.flow_to(remote)
        try:
            local = self._free_address(Transport.UDP, local_host)
        except TransportError as error:
            return self._stillborn(local_host, remote, handler, error)
        return self._bind(MemoryListener(self, local, handler, is_connected=True)).flow_to(remote)

    def _free_address(self, transport: Transport, host: str) -> Address:
        """An unused ephemeral address of the host. Raises TransportError where every port is taken."""
        port = self._next_port.get(host, _FIRST_EPHEMERAL_PORT)
        for _ in range(_LAST_PORT - _FIRST_EPHEMERAL_PORT + 1):
            address = Address(transport, host, port)
            port = port + 1 if port < _LAST_PORT else _FIRST_EPHEMERAL_PORT
            if self.book.name_of(address) is None:
                self._next_port[host] = port
                return address
        raise TransportError(f"no free port is left on {host}: close some connections")
