"""What the trace keeps of MSRP connections: one record per frame, a long chunk in parts (style guide, section 9)."""

from __future__ import annotations

from ims_core.reference_points import reference_point
from ims_core.trace import RecordKind, Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, AddressBook, Flow
from ims_core.wire.msrp.message import MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder, MsrpParseError, Piece

__all__ = ["ConnectionTrace", "FrameTap", "MsrpTracer"]

MAX_RECORD_OCTETS = 1024 * 1024  # of a chunk in one record
_LONGEST_END_LINE = len("\r\n-------") + 64 + len("$\r\n")
_START = b"MSRP "
_FLAGS = (b"$\r\n", b"+\r\n", b"#\r\n")
_REMEMBERED_METHODS = 64  # of requests under way on a connection

Frame = MsrpRequest | MsrpResponse


class FrameTap:
    """Whole frames out of the octets of one direction. Never fails: what is no frame comes as it is."""

    __slots__ = ("_mark", "_octets", "_searched")

    def __init__(self) -> None:
        self._octets = bytearray()
        self._mark: bytes | None = None  # begins the end line of the frame under way
        self._searched = 0

    @property
    def is_empty(self) -> bool:
        return not self._octets

    def feed(self, octets: bytes) -> list[bytes]:
        """The frames, and parts of very long ones, that *octets* complete."""
        self._octets += octets
        found: list[bytes] = []
        while self._octets and (taken := self._length()):
            found.append(bytes(self._octets[:taken]))
            del self._octets[:taken]
            self._searched = 0
        return found

    def rest(self) -> bytes:
        """What has come of a frame whose end will not come."""
        rest, self._octets, self._mark = bytes(self._octets), bytearray(), None
        return rest

    def _length(self) -> int:
        """Of the frame or part in front; 0 if it is not complete."""
        octets = self._octets
        if self._mark is None:
            line_end = octets.find(b"\r\n")
            if line_end < 0:
                return len(octets) if len(octets) > MAX_RECORD_OCTETS else 0
            words = octets[:line_end].split(b" ", 2)
            if words[0] != _START.rstrip() or len(words) < 3:
                return len(octets)
            self._mark, self._searched = b"\r\n-------" + bytes(words[1]), line_end
        return self._seek_end(octets, self._mark)

    def _seek_end(self, octets: bytearray, mark: bytes) -> int:
        at = octets.find(mark, self._searched)
        while at >= 0:
            end = at + len(mark) + 3
            if octets[end - 3 : end] in _FLAGS:
                self._mark = None
                return end
            at = octets.find(mark, at + 1)
        self._searched = max(0, len(octets) - _LONGEST_END_LINE)
        return self._searched if len(octets) > MAX_RECORD_OCTETS else 0


class MsrpTracer:
    """Writes the records of one element."""

    __slots__ = ("_book", "_clock", "_name", "trace")

    def __init__(self, name: str, book: AddressBook, clock: Clock, trace: Trace) -> None:
        self._name, self._book, self._clock, self.trace = name, book, clock, trace

    def is_foreign(self, flow: Flow) -> bool:
        """Whether the far end traces nothing of what it sends."""
        return self._book.name_of(flow.remote) is None

    def message(self, flow: Flow, summary: str, octets: bytes, *, is_sent: bool) -> None:
        self._record(RecordKind.MESSAGE, flow, summary, octets, is_sent=is_sent)

    def error(self, flow: Flow, summary: str, octets: bytes = b"") -> None:
        """About something that came on *flow*."""
        if self.trace.enabled:
            self._record(RecordKind.ERROR, flow, summary, octets, is_sent=False)

    def _record(self, kind: RecordKind, flow: Flow, summary: str, octets: bytes, *, is_sent: bool) -> None:
        peer = self._book.name_of(flow.remote) or str(flow.remote)
        ends = (self._name, flow.local), (peer, flow.remote)
        (source, source_address), (target, target_address) = ends if is_sent else ends[::-1]
        self.trace.record(
            at=self._clock.now(),
            kind=kind,
            source=source,
            target=target,
            reference_point=reference_point(source, target),
            protocol="MSRP",
            summary=summary,
            raw=octets,
            transport=flow.local.transport.value,
            source_address=_host_port(source_address),
            target_address=_host_port(target_address),
        )


class ConnectionTrace:
    """The records of one connection; made when there is something to trace."""

    __slots__ = ("_flow", "_methods", "_received", "_sent", "_tracer", "is_foreign")

    def __init__(self, tracer: MsrpTracer, flow: Flow) -> None:
        self._tracer, self._flow = tracer, flow
        self.is_foreign = tracer.is_foreign(flow)
        self._sent, self._received = FrameTap(), FrameTap()
        self._methods: dict[str, str] = {}  # by transaction id, of what is no SEND: a response does not say

    def sent(self, octets: bytes, frame: Frame | None) -> None:
        """Octets that go out; *frame* is the message that they are or begin."""
        if frame is not None and self._sent.is_empty and _is_whole(octets, frame):
            self._tracer.message(self._flow, self._summary(frame), octets, is_sent=True)
            return
        for part in self._sent.feed(octets):
            self._tracer.message(self._flow, self._summary_of(part), part, is_sent=True)

    def received(self, octets: bytes) -> None:
        """Octets that a foreign peer sent."""
        for part in self._received.feed(octets):
            self._tracer.message(self._flow, self._summary_of(part), part, is_sent=False)

    def ended(self) -> None:
        """The connection is over: what was cut short is written, too."""
        for tap, is_sent in ((self._sent, True), (self._received, False)):
            rest = tap.rest()
            if rest:
                self._tracer.message(self._flow, f"{_first_line(rest)} (cut)", rest, is_sent=is_sent)

    def _summary_of(self, part: bytes) -> str:
        event = next(iter(FrameDecoder().feed(part)), None)
        if event is None or isinstance(event, MsrpParseError):
            return _first_line(part) if part.startswith(_START) else "(part of a frame)"
        if isinstance(event, Piece):
            return event.summary() if event.continuation is not None else f"{event.summary()} (begins)"
        return self._summary(event)

    def _summary(self, frame: Frame) -> str:
        if isinstance(frame, MsrpResponse):
            return f"{frame.summary()} ({self._methods.pop(frame.transaction_id, 'SEND')})"
        if frame.method not in ("SEND", "REPORT"):
            if len(self._methods) >= _REMEMBERED_METHODS:
                del self._methods[next(iter(self._methods))]
            self._methods[frame.transaction_id] = frame.method
        return frame.summary()

    def request_received(self, request: MsrpRequest) -> None:
        """A request that its sender traces; its method is wanted for our response."""
        if request.method not in ("SEND", "REPORT"):
            self._summary(request)


def _is_whole(octets: bytes, frame: Frame) -> bool:
    end = b"-------" + frame.transaction_id.encode("ascii", "replace")
    return octets[-3:] in _FLAGS and octets.endswith(end, 0, len(octets) - 3)


def _first_line(octets: bytes) -> str:
    return octets[:64].partition(b"\r\n")[0].decode("utf-8", "replace")


def _host_port(address: Address) -> str:
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"
