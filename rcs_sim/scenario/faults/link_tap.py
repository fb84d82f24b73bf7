"""On the line: sees whole messages that elements of this process send, and does with them what rules say.

It acts on what our own elements send, with whatever they send it to; MSRP is seen above its TLS. What a foreign peer
sends is not seen, nor is HTTP on sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ims_core.transport.link import Address, AddressBook, TappedFlow
from ims_core.wire.msrp.message import MsrpRequest
from rcs_sim.scenario.faults.msrp_frames import ChunkBook, FrameCutter, read_frame
from rcs_sim.scenario.faults.passing import Line, Passing, TapRule

__all__ = ["LinkTap"]

_HTTP_STARTS = (b"GET ", b"POST ", b"PUT ", b"DELETE ", b"HEAD ", b"HTTP/1.1 ", b"HTTP/1.0 ")
_SMSC = ".smsc"  # whose links carry nothing but short messages
_FIRST_LINE = 4096  # octets in which the first line of a SIP message ends


class LinkTap:
    """The tap of one simulation: on the links from the first rule to the last one."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book
        self._rules: dict[int, TapRule] = {}
        self._made = 0
        self._tags = 0
        self._is_passing = False
        self._cutters: dict[TappedFlow, FrameCutter] = {}
        self._chunks: dict[TappedFlow, ChunkBook] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    def add(self, lines: Iterable[Line], apply: Callable[[Passing], bytes | None]) -> Callable[[], None]:
        """A further rule, after those before it; call the result to end it."""
        self._made += 1
        number = self._made
        self._rules[number] = TapRule(frozenset(lines), apply)
        self._book.tap = self

        def end() -> None:
            if self._rules.pop(number, None) is not None:
                self._let_go()

        return end

    def _let_go(self) -> None:
        """Nothing is held for which there is no rule any more."""
        lines = self._wanted()
        if Line.CONTENT not in lines:
            for flow, book in self._chunks.items():
                for frame in book.rest():
                    self.pass_on(flow, frame.encode())
            self._chunks.clear()
        if not lines & {Line.CONTENT, Line.MSRP}:
            for flow, cutter in self._cutters.items():
                self.pass_on(flow, cutter.rest())
            self._cutters.clear()
        if not self._rules and self._book.tap is self:
            self._book.tap = None

    def _wanted(self) -> frozenset[Line]:
        return frozenset(line for rule in self._rules.values() for line in rule.lines)

    # --- for what passes ---------------------------------------------------------------------------------------------

    def name_of(self, address: Address) -> str:
        """What the trace calls the owner of *address*."""
        return self._book.name_of(address) or str(address)

    def tag(self) -> str:
        """A new tag for To."""
        self._tags += 1
        return f"fault{self._tags}"

    def pass_on(self, flow: TappedFlow, octets: bytes) -> None:
        """Sends *octets* on *flow*; no rule sees them."""
        was_passing, self._is_passing = self._is_passing, True
        try:
            if octets:
                flow.send(octets)
        finally:
            self._is_passing = was_passing

    def later(self, after_s: float, work: Callable[[], None]) -> None:
        """Does *work* then, whether the rule has ended or not."""

        def due() -> None:
            self._timers.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_later(after_s, due)
        self._timers.add(timer)

    def close(self) -> None:
        """Nothing comes later any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # --- Tap ---------------------------------------------------------------------------------------------------------

    def sending(self, flow: TappedFlow, octets: bytes) -> bool:
        if self._is_passing:
            return False
        wanted = self._wanted()
        left: bytes | None = octets
        if Line.OCTETS in wanted:
            left = self._ask(Passing(self, flow, octets, Line.OCTETS))
        if left is None:
            return True
        if wanted - {Line.OCTETS}:
            left = self._seen(flow, left, wanted)
        if left is octets:
            return False
        self.pass_on(flow, left)
        return True

    def _seen(self, flow: TappedFlow, octets: bytes, wanted: frozenset[Line]) -> bytes:
        """What goes on of *octets*."""
        if octets.startswith(b"MSRP ") or flow in self._cutters:
            return self._frames_seen(flow, octets) if wanted & {Line.MSRP, Line.CONTENT} else octets
        line = self._line_of(flow, octets)
        if line is None:
            return octets
        left = self._ask(Passing(self, flow, octets, line)) if line in wanted else octets
        if left and line is Line.SIP and Line.CONTENT in wanted and left.startswith(b"MESSAGE "):
            left = self._ask(Passing(self, flow, left, Line.CONTENT))
        return left or b""

    def _line_of(self, flow: TappedFlow, octets: bytes) -> Line | None:
        if octets.startswith(b"SIP/2.0 ") or octets[:_FIRST_LINE].partition(b"\r\n")[0].endswith(b" SIP/2.0"):
            return Line.SIP
        if octets.startswith(_HTTP_STARTS):
            return Line.HTTP
        ends = (self.name_of(flow.local), self.name_of(flow.remote))
        return Line.SM if any(name.endswith(_SMSC) for name in ends) else None

    def _frames_seen(self, flow: TappedFlow, octets: bytes) -> bytes:
        cutter = self._cutters.pop(flow, None) or FrameCutter()
        parts = [self._frame_seen(flow, part) if is_frame else part for is_frame, part in cutter.feed(octets)]
        if not cutter.is_idle:
            self._cutters[flow] = cutter
        left = b"".join(parts)
        return octets if left == octets else left

    def _frame_seen(self, flow: TappedFlow, octets: bytes) -> bytes:
        wanted = self._wanted()
        left: bytes | None = octets
        if Line.MSRP in wanted:
            left = self._ask(Passing(self, flow, octets, Line.MSRP))
        if not left or Line.CONTENT not in wanted:
            return left or b""
        frame = read_frame(left)
        if not isinstance(frame, MsrpRequest) or frame.method != "SEND" or not frame.body:
            return left
        book = self._chunks.pop(flow, None) or ChunkBook()
        chunks = book.add(frame)
        if not book.is_idle:
            self._chunks[flow] = book
        if chunks is None:
            return b""
        whole = left if len(chunks) == 1 else b"".join(chunk.encode() for chunk in chunks)
        return self._ask(Passing(self, flow, whole, Line.CONTENT, chunks)) or b""

    def _ask(self, passing: Passing) -> bytes | None:
        """Every rule of that line in turn, each with what the one before has left."""
        for rule in tuple(self._rules.values()):
            if passing.line not in rule.lines:
                continue
            left = rule.apply(passing)
            if left is None:
                return None
            if left is not passing.octets:
                passing = self.changed(passing, left)
        return passing.octets

    def changed(self, passing: Passing, octets: bytes) -> Passing:
        """The same on its way, with other octets."""
        frames = passing.frames
        if frames:
            read = [read_frame(part) for is_frame, part in FrameCutter().feed(octets) if is_frame]
            frames = tuple(frame for frame in read if isinstance(frame, MsrpRequest))
        return Passing(self, passing.flow, octets, passing.line, frames)
