"""TCP semantics of the in-memory world: one end of a connection (RFC 9293)."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ims_core.errors import ConnectionLost, ConnectTimeout, TransportError
from ims_core.transport.link import HIGH_WATER_OCTETS, LOW_WATER_OCTETS, Address, Flow, FlowHandler
from ims_core.transport.memory_link import STREAM_GIVES_UP_AFTER_S, Path

if TYPE_CHECKING:
    from ims_core.transport.memory import MemoryNetwork

__all__ = ["MemoryStreamFlow"]

MAX_BACKLOG_OCTETS = 128 * 1024 * 1024  # per direction of a stream: the largest file (100 MiB) fits in flight


class _State(enum.Enum):
    CONNECTING = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class _Sign(enum.Enum):
    """Segments without octets (RFC 9293 §3.1)."""

    SYN = enum.auto()
    SYN_ACK = enum.auto()
    FIN = enum.auto()
    RST = enum.auto()


_Segment = bytes | _Sign


class MemoryStreamFlow:
    """One end of an in-memory connection."""

    __slots__ = (
        "_backlog",
        "_handler",
        "_held",
        "_is_full",
        "_is_paused",
        "_last_arrival",
        "_network",
        "_path",
        "_peer",
        "_state",
        "_stopped",
        "_unread",
        "_waiting",
        "is_bulk",
        "local",
        "on_drained",
        "on_finished",
        "on_opened",
        "remote",
        "user",
    )

    def __init__(self, network: MemoryNetwork, handler: FlowHandler, local: Address, remote: Address) -> None:
        self._network, self._handler = network, handler
        self.local, self.remote = local, remote
        self.user: object | None = None
        self._state = _State.CONNECTING
        self._peer: MemoryStreamFlow | None = None
        self._path = network.path(local.host, remote.host)
        self._path.add(self)
        self._waiting: list[_Segment] | None = None  # sent before the connection stood
        self._held: list[_Segment] | None = None  # sent while the link was down
        self._stopped = 0  # of those: segments that were on their way when it went down, before all others
        self._backlog = 0  # octets on their way, waiting, held or not read
        self._is_full = False  # above the high-water mark, and not yet down at the low one
        self._last_arrival = 0.0
        self._is_paused = False
        self._unread: deque[_Segment] | None = None  # came while this end was paused
        self.is_bulk = False
        self.on_opened: Callable[[Flow], None] | None = None
        self.on_drained: Callable[[Flow], None] | None = None
        self.on_finished: Callable[[Flow], None] | None = None

    @property
    def is_open(self) -> bool:
        return self._state is not _State.CLOSED

    @property
    def backlog(self) -> int:
        return self._backlog

    def send(self, octets: bytes) -> None:
        tap = self._network.book.tap
        if tap is not None and self._state is not _State.CLOSED and tap.sending(self, octets):
            return
        if self._state is _State.OPEN:
            self._transmit(octets)
        elif self._state is _State.CONNECTING:
            self._wait(octets)
        if self._backlog > HIGH_WATER_OCTETS:
            self._is_full = True
            if self._backlog > MAX_BACKLOG_OCTETS:
                self._network.queue.add(0.0, MemoryStreamFlow.lose, self, f"{self.remote} does not read")

    def hand_in(self, octets: bytes) -> None:
        """As if it had come from the peer, now."""
        self._network.queue.add(0.0, MemoryStreamFlow._handed_in, self, octets)

    def _handed_in(self, octets: bytes) -> None:
        if self.is_open:
            self._handler.received(octets, self)

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if self._unread:
                self._network.queue.add(0.0, MemoryStreamFlow._read_on, self, None)

    def close(self) -> None:
        """Ends the flow in order, after what was sent before; the own handler is not called."""
        if self._state is _State.CLOSED:
            return
        was_open, self._state = self._state is _State.OPEN, _State.CLOSED
        if was_open:
            self._transmit(_Sign.FIN)
        else:
            self._wait(_Sign.FIN)
        self._leave_if_done()

    def open_to(self, timeout_s: float) -> None:
        """Sends the SYN of an active open (for the network)."""
        queue = self._network.queue
        self._transmit(_Sign.SYN)
        queue.add(queue.time() + timeout_s, MemoryStreamFlow._connect_expired, self, timeout_s)

    def accept(self, peer: MemoryStreamFlow) -> None:
        """Joins this passive end to the *peer* that asked for the connection, and tells the handler."""
        self._peer, peer._peer = peer, self
        self._state = _State.OPEN
        self._transmit(_Sign.SYN_ACK)
        self._handler.accepted(self)

    def refuse(self, path_back: Path) -> None:
        """Nothing listens at the far host: its RST comes back by *path_back*."""
        queue = self._network.queue
        arrival = path_back.segment_arrival(0, queue.time()) if path_back.is_up else None
        if arrival is not None:
            queue.add(arrival, MemoryStreamFlow._signalled, self, _Sign.RST)

    def end(self, error: TransportError | None) -> None:
        """Ends this end because of the peer or the network, and tells the handler."""
        was_open, self._state = self.is_open, _State.CLOSED
        self._held = self._waiting = self._unread = None
        self._stopped = 0
        self._leave_if_done()
        if was_open:
            self._handler.closed(self, error)

    def lose(self, reason: str) -> None:
        """Ends both ends."""
        for end in (self, self._peer):
            if end is not None:
                end.end(ConnectionLost(reason))

    def link_is_up(self) -> None:
        """Sends what was held while the link was down."""
        held, self._held, self._stopped = self._held, None, 0
        for segment in held or ():
            self._backlog -= _size(segment)
            self._transmit(segment)
        self._leave_if_done()

    def _wait(self, segment: _Segment) -> None:
        self._backlog += _size(segment)
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(segment)

    def _transmit(self, segment: _Segment) -> None:
        size = _size(segment)
        self._backlog += size
        if not self._path.is_up or self._held:
            if self._held is None:
                self._held = []
            self._held.append(segment)
            return
        queue = self._network.queue
        now = queue.time()
        arrival = self._path.segment_arrival(size, now)
        if arrival is None:
            queue.add(now + STREAM_GIVES_UP_AFTER_S, MemoryStreamFlow.lose, self, f"{self.remote} does not answer")
            return
        self._last_arrival = max(arrival, self._last_arrival)
        queue.add(self._last_arrival, MemoryStreamFlow._arrived, self, segment)

    def _arrived(self, segment: _Segment) -> None:
        """A segment of this end reaches the far host."""
        if not self._path.is_up:  # it was on its way when the link went down: TCP will repeat it
            if self._held is None:
                self._held = []
            self._held.insert(self._stopped, segment)
            self._stopped += 1
            return
        peer = self._peer
        if segment is _Sign.SYN:
            self._network.syn_arrived(self)
        elif peer is None:
            self._left(segment)
        elif (peer._is_paused or peer._unread) and segment is not _Sign.SYN_ACK:
            peer._leave_unread(segment)
        else:
            self._left(segment)
            peer._take(segment)

    def _left(self, segment: _Segment) -> None:
        """A segment of this end was read, or nobody is there to read it."""
        self._backlog -= _size(segment)
        if self._is_full and self._backlog <= LOW_WATER_OCTETS:
            self._is_full = False
            if self.on_drained is not None:
                self._network.queue.add(0.0, MemoryStreamFlow._tell_drained, self, None)

    def _tell_drained(self, _: None) -> None:
        if self.is_open and self.on_drained is not None:
            self.on_drained(self)

    def _take(self, segment: _Segment) -> None:
        """Reads a segment of the peer."""
        if not isinstance(segment, bytes):
            self._signalled(segment)
        elif self._state is _State.OPEN:
            self._handler.received(segment, self)

    def _leave_unread(self, segment: _Segment) -> None:
        if self._unread is None:
            self._unread = deque()
        self._unread.append(segment)

    def _read_on(self, _: None) -> None:
        """Reads what came while this end was paused, a segment a turn."""
        if self._is_paused or not self._unread:
            return
        segment = self._unread.popleft()
        if self._unread:
            self._network.queue.add(0.0, MemoryStreamFlow._read_on, self, None)
        if self._peer is not None:
            self._peer._left(segment)
        self._take(segment)

    def _signalled(self, sign: _Sign) -> None:
        if sign is _Sign.SYN_ACK:
            self._established()
        elif sign is _Sign.FIN:
            self.end(None)
        elif self._state is _State.CONNECTING:
            self.end(ConnectTimeout(f"{self.remote} refuses connections: nothing listens there"))
        else:
            self.end(ConnectionLost(f"connection to {self.remote} reset"))

    def _established(self) -> None:
        is_opened = self._state is _State.CONNECTING
        if is_opened:
            self._state = _State.OPEN
        elif self._waiting is None:  # the connection attempt was given up meanwhile
            self._transmit(_Sign.RST)
        waiting, self._waiting = self._waiting, None
        for segment in waiting or ():
            self._backlog -= _size(segment)
            self._transmit(segment)
        self._leave_if_done()
        if is_opened and self.on_opened is not None:
            self.on_opened(self)

    def _connect_expired(self, timeout_s: float) -> None:
        if self._state is _State.CONNECTING or self._waiting is not None:
            self.end(ConnectTimeout(f"{self.remote} did not answer within {timeout_s:g} s"))

    def _leave_if_done(self) -> None:
        if self._state is _State.CLOSED and not self._held and not self._waiting:
            self._path.remove(self)
            self._network.forget(self)


def _size(segment: _Segment) -> int:
    return len(segment) if isinstance(segment, bytes) else 0
