"""What carries octets between elements: the one contract of the in-memory links and of the real sockets.

Everything here is synchronous on purpose: an element answers in the same turn of the loop in which the octets came,
and a connection that is still being made queues what is sent to it. Failures arrive as `FlowHandler.closed`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ims_core.errors import TransportError

if TYPE_CHECKING:
    from ims_core.transport.socket_lines import SocketLines

__all__ = [
    "HIGH_WATER_OCTETS",
    "LOW_WATER_OCTETS",
    "Address",
    "AddressBook",
    "BreakableFlow",
    "Flow",
    "FlowHandler",
    "Listener",
    "Network",
    "Tap",
    "TappedFlow",
    "Transport",
    "VoidFlow",
]

HIGH_WATER_OCTETS = 256 * 1024
"""A sender of long content stops when more than this waits in a flow: enough to keep a fast link busy."""
LOW_WATER_OCTETS = 64 * 1024
"""It goes on when no more than this is left."""


class Transport(enum.Enum):
    """Transport protocol, spelled as in a Via header (RFC 3261 §20.42)."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"

    __hash__ = object.__hash__  # members are single objects: several times faster than Enum's hash of the name

    @property
    def is_reliable(self) -> bool:
        return self is not Transport.UDP


@dataclass(frozen=True, slots=True)
class Address:
    """Transport address. *host* is an IP literal without brackets; port 0 asks a listener for any free port."""

    transport: Transport
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport.value.lower()}:{host}:{self.port}"


class AddressBook:
    """Which element owns which transport address; what the trace calls the two ends of a link.

    *tap*, if set, is asked before anything leaves a flow of this process; on sockets *lines*, if set, carry it then."""

    __slots__ = ("_names", "lines", "tap")

    def __init__(self) -> None:
        self._names: dict[Address, str] = {}
        self.tap: Tap | None = None
        self.lines: SocketLines | None = None

    def __contains__(self, address: Address) -> bool:
        return address in self._names

    def addresses(self) -> frozenset[Address]:
        """Those that have an owner now, both of listeners and of connections that were made from here."""
        return frozenset(self._names)

    def register(self, address: Address, name: str) -> None:
        self._names[address] = name

    def forget(self, address: Address) -> None:
        self._names.pop(address, None)

    def name_of(self, address: Address) -> str | None:
        """Name of the element, or None for a foreign peer."""
        return self._names.get(address)


class Flow(Protocol):
    """A connection, or a pair of UDP addresses (RFC 5626 §2), as one of its two ends sees it.

    `user` is a slot for the owner (its decoder, its registration). `send` never raises: what cannot be sent ends in
    `closed`. `close` ends the flow in order, after what was sent before; the end that calls it is not called back.
    On a datagram flow one `send` is one datagram, and flow control does nothing.

    Flow control is for owners of long content: who sends stops above `HIGH_WATER_OCTETS` of `backlog`, and goes on in
    `on_drained`; who cannot take more calls `pause`. An owner that does neither is held by a fixed bound alone.
    """

    local: Address
    remote: Address
    user: object | None
    is_bulk: bool
    """Set by the owner of long content: more is read at a time, at the cost of the other flows' turns."""
    on_opened: Callable[[Flow], None] | None
    """Called when a connection that this end asked for stands; never for accepted flows and datagrams."""
    on_drained: Callable[[Flow], None] | None
    """Called, not from within `send`, when a backlog above `HIGH_WATER_OCTETS` has come down to `LOW_WATER_OCTETS`."""
    on_finished: Callable[[Flow], None] | None
    """Called when the peer has said all, if set: the flow then stays open for answers until `close`, and for half a
    minute at most. Else it ends with that. In-memory links have no half-closed connections."""

    @property
    def is_open(self) -> bool:
        """False after `close`, after `closed`, or once the peer is known to be gone. True while connecting."""
        ...

    @property
    def backlog(self) -> int:
        """Octets that were sent here and have not left (sockets) or have not been received (in-memory links)."""
        ...

    def send(self, octets: bytes) -> None: ...

    def pause(self) -> None:
        """Stops reading: the peer's octets wait on his side. His end of the flow is not noticed until `resume`."""
        ...

    def resume(self) -> None:
        """Goes on reading, in a later turn of the loop."""
        ...

    def close(self) -> None: ...


class TappedFlow(Flow, Protocol):
    """A flow of this process, as a tap sees it."""

    def hand_in(self, octets: bytes) -> None:
        """The owner of this end gets *octets* in a later turn of the loop, as if the peer had sent them."""
        ...

    def lose(self, reason: str) -> None:
        """Breaks the connection for both ends; a pair of UDP addresses has none."""
        ...


@runtime_checkable
class BreakableFlow(Protocol):
    """A flow whose connection can be broken from here."""

    def lose(self, reason: str) -> None: ...


class Tap(Protocol):
    """Somebody on the line, for fault injection: sees what an end sends before it leaves."""

    def sending(self, flow: TappedFlow, octets: bytes) -> bool:
        """True if *octets* go no further by themselves: the tap has sent others in their place, or will, or none.

        What it sends on *flow* itself is asked about too. Called from within `Flow.send`, so it hands in nothing at
        once."""
        ...


class FlowHandler(Protocol):
    """The element at one end. Called by the network, never re-entered from within `send`.

    *name* is the element's name in the trace; networks register its addresses under it.
    """

    name: str

    def accepted(self, flow: Flow) -> None:
        """A peer connected, or the first datagram of a new remote address came."""
        ...

    def received(self, octets: bytes, flow: Flow) -> None:
        """A datagram, or some octets of the stream."""
        ...

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        """The flow ended; *error* is None for an orderly end. Octets that could not be delivered are lost with it."""
        ...


class VoidFlow:
    """What a closed element gets for a flow: one that was over before it began."""

    __slots__ = ("is_bulk", "local", "on_drained", "on_finished", "on_opened", "remote", "user")
    is_open = False
    backlog = 0

    def __init__(self, remote: Address) -> None:
        self.local = self.remote = remote
        self.user: object | None = None
        self.is_bulk = False
        self.on_opened: Callable[[Flow], None] | None = None
        self.on_drained: Callable[[Flow], None] | None = None
        self.on_finished: Callable[[Flow], None] | None = None

    def send(self, octets: bytes) -> None:
        """Goes nowhere."""

    def pause(self) -> None:
        """Reads nothing anyway."""

    def resume(self) -> None:
        """Has nothing to read."""

    def close(self) -> None:
        """Is closed."""


class Listener(Protocol):
    """Something that accepts flows. `address` carries the port that was really taken."""

    address: Address

    async def close(self) -> None: ...


class Network(Protocol):
    """A host's way to the others: `MemoryNetwork` or `SocketNetwork`."""

    book: AddressBook

    async def listen(self, address: Address, handler: FlowHandler) -> Listener:
        """Raises TransportError with one sentence that says what to do, such as for a port in use."""
        ...

    def connect(self, local_host: str, remote: Address, handler: FlowHandler, *, timeout_s: float = 10.0) -> Flow:
        """Opens a flow at once; what is sent before it stands is queued (bounded). A refusal or a time-out ends in
        `closed`.

        For UDP the flow leaves from the listener that *local_host* has for UDP with the same handler, if any.
        """
        ...

    def path_mtu(self, local_host: str, remote: Address) -> int | None:
        """Path MTU in octets where it is known (loopback, in-memory links), else None (RFC 3261 §18.1.1)."""
        ...

    async def close(self) -> None: ...
