"""Lines between sockets of this process: what leaves an end waits as long, and is lost as often, as its link says.

The links are those of `link_table`, the same as in memory. Streams keep their order and lose nothing (a lost segment
comes late, as TCP would repeat it); what is sent over a link that is down waits for it. Lines are above TLS. What a
foreign peer sends is not held, but for its HTTP requests: an HTTP server holds both directions.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from ims_core.transport.link import HIGH_WATER_OCTETS, LOW_WATER_OCTETS
from ims_core.transport.link_table import LinkTable
from ims_core.transport.memory_link import STREAM_GIVES_UP_AFTER_S, DeliveryQueue
from ims_core.transport.tokens import Tokens

__all__ = ["DatagramEnd", "LineTransport", "OrderedLine", "SocketLines", "break_connection"]

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class DatagramEnd(Protocol):
    """Where a datagram leaves."""

    def depart(self, octets: bytes) -> None: ...


class SocketLines:
    """All lines of one process. *tokens* seeds loss and jitter, per link."""

    def __init__(self, tokens: Tokens) -> None:
        self.queue = DeliveryQueue()
        self.links = LinkTable(tokens, self.queue)
        self.is_over = False

    def datagram(self, source: str, target: str, octets: bytes, end: DatagramEnd) -> None:
        """A datagram that *end* sends from host to host: leaves now, later, twice or not at all."""
        path = self.links.path(source, target)
        if not path.is_up or self.is_over:
            return
        now = self.queue.time()
        for arrival in path.datagram_arrivals(len(octets), now):
            if arrival <= now:
                end.depart(octets)
            else:
                self.queue.add(arrival, _depart, end, octets)

    async def handshake(self, source: str, target: str) -> None:
        """As long as the segments take that open a connection; for ever where they do not get through."""
        for one, other in ((source, target), (target, source)):
            await _crossed(OrderedLine(self, one, other))

    def close(self) -> None:
        """The network ends: what waits in streams leaves at once, and so does all that follows."""
        self.is_over = True
        for path in self.links.paths():
            for line in path.flows:
                line.hurry()
        self.queue.clear()


def _depart(end: DatagramEnd, octets: bytes) -> None:
    end.depart(octets)


async def _crossed(line: OrderedLine) -> None:
    """Until a segment has come over."""
    crossed = asyncio.Event()
    line.join(lambda _: crossed.set(), lambda _: None)
    try:
        line.put(b"")
        await crossed.wait()
    finally:
        line.leave()


class OrderedLine:
    """One direction of a stream, over the link from *source* to *target*."""

    __slots__ = ("_deliver", "_held", "_is_over", "_last_arrival", "_lines", "_lost", "_path", "_travelling", "octets")

    def __init__(self, lines: SocketLines, source: str, target: str) -> None:
        self._lines = lines
        self._path = lines.links.path(source, target)
        self._deliver: Callable[[bytes | None], None] | None = None
        self._lost: Callable[[str], None] | None = None
        self._travelling: deque[bytes | None] = deque()  # the first of them arrives first
        self._held: deque[bytes | None] = deque()  # for a link that is down
        self._last_arrival = 0.0
        self._is_over = False
        self.octets = 0  # on their way

    def join(self, deliver: Callable[[bytes | None], None], lost: Callable[[str], None]) -> None:
        """From now on *deliver* is given each segment in order, None at the end of the stream; *lost* is told why the
        connection cannot go on."""
        self._deliver, self._lost = deliver, lost
        self._path.add(self)

    @property
    def is_idle(self) -> bool:
        return not self._travelling and not self._held

    def put(self, segment: bytes | None) -> None:
        """Sends it on its way."""
        if self._is_over:
            return
        self.octets += 0 if segment is None else len(segment)
        if self._lines.is_over:
            self._arrive(segment)
        elif self._path.is_up and not self._held:
            self._send(segment)
        else:
            self._held.append(segment)

    def link_is_up(self) -> None:
        """Sends what was held while the link was down."""
        held, self._held = self._held, deque()
        for segment in held:
            self._send(segment)

    def lose(self, reason: str) -> None:
        """The connection is given up."""
        if not self._is_over:
            self.leave()
            if self._lost is not None:
                self._lost(reason)

    def hurry(self) -> None:
        """Delivers all that is on its way."""
        segments = [*self._travelling, *self._held]
        self._travelling.clear()
        self._held.clear()
        for segment in segments:
            self._arrive(segment)

    def leave(self) -> None:
        """Nothing is delivered any more."""
        self._is_over = True
        self._travelling.clear()
        self._held.clear()
        self.octets = 0
        self._path.remove(self)

    def _send(self, segment: bytes | None) -> None:
        queue = self._lines.queue
        now = queue.time()
        arrival = self._path.segment_arrival(0 if segment is None else len(segment), now)
        if arrival is None:
            queue.add(now + STREAM_GIVES_UP_AFTER_S, OrderedLine.lose, self, "the peer does not answer")
            return
        self._last_arrival = max(arrival, self._last_arrival)
        if self._last_arrival <= now and not self._travelling:
            self._arrive(segment)
            return
        self._travelling.append(segment)
        queue.add(self._last_arrival, OrderedLine._due, self, None)

    def _due(self, _: None) -> None:
        if self._is_over or not self._travelling:
            return
        segment = self._travelling.popleft()
        if self._path.is_up:
            self._arrive(segment)
        else:  # TCP will repeat it, before all that was sent later
            self._held.extendleft(reversed([segment, *self._travelling]))
            self._travelling.clear()

    def _arrive(self, segment: bytes | None) -> None:
        self.octets -= 0 if segment is None else len(segment)
        if self._deliver is not None:
            self._deliver(segment)


class LineTransport(asyncio.Transport):
    """Stands between a protocol and its connection: what is written goes over a line first, and so does the end.

    The protocol has a method ``lose(reason)``; it is told of a full and of a drained line as of a full connection."""

    def __init__(self, inner: asyncio.Transport, lines: SocketLines, source: str, target: str) -> None:
        super().__init__()
        self._inner = inner
        self._line = OrderedLine(lines, source, target)
        self._line.join(self._leave_line, self._lost)
        self._is_closing = self._is_full = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on the line."""
        return self._line.is_idle

    def gone(self) -> None:
        """The connection is over."""
        self._line.leave()

    # --- what is sent ------------------------------------------------------------------------------------------------

    def write(self, octets: Any) -> None:
        if self._is_closing or self._inner.is_closing():
            return
        self._line.put(bytes(octets))
        if not self._is_full and self.get_write_buffer_size() > HIGH_WATER_OCTETS:
            self._is_full = True
            self._protocol().pause_writing()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._line.put(None)

    def abort(self) -> None:
        self._is_closing = True
        self._line.leave()
        self._inner.abort()

    def is_closing(self) -> bool:
        return self._is_closing or self._inner.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._line.octets + self._inner.get_write_buffer_size()

    def _leave_line(self, segment: bytes | None) -> None:
        if segment is None:
            self._inner.close()
            self._line.leave()
            return
        self._inner.write(segment)
        if self._is_full and self.get_write_buffer_size() <= LOW_WATER_OCTETS:
            self._is_full = False
            self._protocol().resume_writing()

    def _lost(self, reason: str) -> None:
        self._protocol().lose(reason)

    def _protocol(self) -> Any:
        return self._inner.get_protocol()

    # --- the rest is the connection's --------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._inner.get_protocol()

    def is_reading(self) -> bool:
        return self._inner.is_reading()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._inner.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        return False


def break_connection(transport: asyncio.Transport) -> None:
    """Ends it without a word to the owner's peer but RST (RFC 9293 §3.5.1): what waits is lost."""
    bound = transport.get_extra_info("socket")
    if bound is not None:
        with suppress(OSError):  # it is closed already
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    transport.abort()
