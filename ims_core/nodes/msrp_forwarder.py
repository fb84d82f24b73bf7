"""One direction of a relayed MSRP session: chunks go on to the next hop as they come (RFC 4976 §6.4, digest §17.3).

What a few reads brought of a chunk goes on as a chunk of its own, so that memory does not grow with the message: ranges
change, Message-ID and content do not. No I/O: octets leave by the two functions given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.message import (
    ByteRange,
    Continuation,
    FailureReport,
    MsrpRequest,
    MsrpResponse,
    can_use,
    report_of,
)
from ims_core.wire.msrp.parser import Piece
from ims_core.wire.msrp.uri import MsrpUri, encode_path

__all__ = ["ChunkForwarder", "ForwardPolicy", "Paths"]

WINDOW_OCTETS = 512 * 1024  # sent on and not answered yet: beyond it the sender waits for his 200
ANSWER_S = 30.0  # for the next hop to answer a chunk (RFC 4975 §7.1.2, msrp.response_s)
HOLD_S = 25.0  # below that: who holds an answer gives one before its sender gives up
PART_OCTETS = 64 * 1024  # of a chunk that goes on in several: as much as a read brings at most
PART_S = 0.5  # how long what came of a chunk may wait for more to go on with it
MAX_PASSAGES = 64  # messages under way in one direction

Path = tuple[MsrpUri, ...]
Paths = Callable[[MsrpRequest], tuple[Path, Path]]
"""To-Path and From-Path of a request on its next leg."""


class ForwardPolicy(Enum):
    """When the sender of a message is answered."""

    RELAY = auto()  # at once; a later failure is told by REPORT (RFC 4976 §6.4.1)
    ANCHOR = auto()  # the chunk that completes a message when the next hop has taken all of it


@dataclass(slots=True)
class _Passage:
    """One message under way. *status* is the first refusal of the next hop, 0 for none."""

    first: MsrpRequest
    failure_report: FailureReport
    unanswered: int = 0
    status: int = 0
    held: MsrpRequest | None = None
    held_until: float = 0.0
    is_told: bool = False


@dataclass(slots=True)
class _Sent:
    """A chunk that waits for its answer."""

    passage: _Passage
    octets: int
    due: float


class _Kept:
    """The last that came of a chunk. The small pieces of a fast sender are put together: each hop would cut them once
    more. Those of a slow one go on as they come, or the far end would lose patience."""

    __slots__ = ("_octets", "_parts", "_since", "_start", "head")

    def __init__(self, piece: Piece, now: float) -> None:
        self.head = piece.head
        self._start, self._parts = piece.start, [piece.octets]
        self._octets, self._since = len(piece.octets), now

    def takes(self, piece: Piece, now: float) -> bool:
        """Whether what follows may join; an end line alone always."""
        size = self._octets + len(piece.octets)
        return not piece.octets or (size <= PART_OCTETS and now - self._since < PART_S)

    def add(self, piece: Piece) -> None:
        self._parts.append(piece.octets)
        self._octets += len(piece.octets)

    def piece(self, flag: Continuation | None) -> Piece:
        octets = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        return Piece(self.head, self._start, octets, flag)


class ChunkForwarder:
    """*reply* sends octets back to where the chunks come from, *forward* to the next hop; *passed* is told the
    Message-ID of what went through whole.

    `is_congested` tells that the source should not be read for now."""

    __slots__ = (
        "_answer_paths",
        "_answered_from",
        "_answered_to",
        "_forward",
        "_held",
        "_in_flight",
        "_kept",
        "_passages",
        "_passed",
        "_path_lines",
        "_paths",
        "_paths_onward",
        "_policy",
        "_reply",
        "_sent",
        "_tokens",
        "_waiting",
    )

    def __init__(
        self,
        policy: ForwardPolicy,
        paths: Paths,
        tokens: Tokens,
        *,
        reply: Callable[[bytes], None],
        forward: Callable[[bytes], None],
        passed: Callable[[str], None] | None = None,
    ) -> None:
        self._policy = policy
        self._paths = paths
        self._tokens = tokens
        self._reply = reply
        self._forward = forward
        self._passed = passed
        self._passages: dict[str, _Passage] = {}
        self._held: dict[str, _Passage] = {}  # those of which a chunk waits for its answer, oldest first
        self._sent: dict[str, _Sent] = {}
        self._waiting: deque[MsrpRequest] = deque()  # complete chunks whose 200 waits for the window
        self._in_flight = 0
        self._kept: _Kept | None = None
        # What was written last: nearly all frames of a direction have the same paths.
        self._answered_to: Path = ()
        self._answered_from: Path = ()
        self._answer_paths = ""
        self._paths_onward: tuple[Path, Path] = (), ()
        self._path_lines = ""

    @property
    def is_congested(self) -> bool:
        return self._in_flight > 2 * WINDOW_OCTETS

    # -- from the source ---------------------------------------------------------------------------------------------

    def piece(self, piece: Piece, now: float) -> None:
        """Octets of a SEND. The last that came of a chunk wait for what follows, which may be its end alone."""
        passage = self._passage_of(piece.head)
        if passage.status:
            self._kept = None
        else:
            self._take(passage, piece, now)
        if piece.continuation is not None:
            self._frame_ended(passage, piece.head, piece.continuation, now)

    def refuse(self, piece: Piece, status: int, now: float) -> None:
        """A piece that does not go on: whatever is left of its message is answered with *status*."""
        passage = self._passage_of(piece.head)
        passage.status = passage.status or status
        self.piece(piece, now)

    def _take(self, passage: _Passage, piece: Piece, now: float) -> None:
        kept, self._kept = self._kept, None
        if kept is not None and kept.head is not piece.head:
            kept = None
        if kept is not None and not kept.takes(piece, now):
            self._send_on(passage, kept.piece(None), now)
            kept = None
        if kept is not None:
            kept.add(piece)
        if piece.continuation is None:
            self._kept = kept or _Kept(piece, now)
        else:
            self._send_on(passage, kept.piece(piece.continuation) if kept is not None else piece, now)

    def report(self, report: MsrpRequest) -> None:
        """A REPORT: on to the one whose message it is about. It gets no answer."""
        to_path, from_path = self._paths(report)
        self._forward(report.readdressed(self._tokens.word(64), to_path, from_path).encode())

    def _passage_of(self, head: MsrpRequest) -> _Passage:
        passage = self._passages.get(head.message_id)
        if passage is None:
            if len(self._passages) >= MAX_PASSAGES:
                self._passages.pop(next(iter(self._passages)))
            passage = self._passages[head.message_id] = _Passage(head, head.failure_report)
        return passage

    def _send_on(self, passage: _Passage, piece: Piece, now: float) -> None:
        head, octets = piece.head, piece.octets
        transaction_id = self._new_transaction_id(octets)
        byte_range = ByteRange(piece.start, piece.end, head.byte_range.total)
        flag = piece.continuation or Continuation.MORE
        self._forward(head.relayed_octets(transaction_id, self._lines_onward(head), byte_range, octets, flag))
        if passage.failure_report is FailureReport.YES:
            passage.unanswered += 1
            self._in_flight += len(octets)
            self._sent[transaction_id] = _Sent(passage, len(octets), now + ANSWER_S)

    def _lines_onward(self, head: MsrpRequest) -> str:
        paths = to_path, from_path = self._paths(head)
        if paths != self._paths_onward:
            self._paths_onward = paths
            self._path_lines = f"To-Path: {encode_path(to_path)}\r\nFrom-Path: {encode_path(from_path)}\r\n"
        return self._path_lines

    def _new_transaction_id(self, octets: bytes) -> str:
        while True:
            transaction_id = self._tokens.word(64)
            if can_use(transaction_id, octets):
                return transaction_id

    def _frame_ended(self, passage: _Passage, head: MsrpRequest, flag: Continuation, now: float) -> None:
        if flag is Continuation.MORE:
            if passage.status:
                self._answer(passage, head, passage.status)
            elif self._in_flight > WINDOW_OCTETS:
                self._waiting.append(head)
            else:
                self._answer(passage, head, 200)
        elif flag is Continuation.ABORTED:
            self._passages.pop(head.message_id, None)
            self._answer(passage, head, passage.status or 200)
        elif passage.status or self._policy is ForwardPolicy.RELAY or not passage.unanswered:
            self._complete(passage, head, passage.status or 200)
        else:
            passage.held, passage.held_until = head, now + HOLD_S
            self._held[head.message_id] = passage

    def _answer(self, passage: _Passage, head: MsrpRequest, status: int) -> None:
        """As its Failure-Report asks (RFC 4975 §7.1.2)."""
        wish = passage.failure_report
        if wish is FailureReport.YES or (wish is FailureReport.PARTIAL and status >= 300):
            self._reply(self._success(head) if status == 200 else MsrpResponse.to(head, status).encode())
        passage.is_told = passage.is_told or status >= 300

    def _success(self, head: MsrpRequest) -> bytes:
        """The 200 to a SEND (RFC 4975 §7.2)."""
        to_path, from_path = head.to_path, head.from_path
        if to_path is not self._answered_to or from_path is not self._answered_from:
            self._answered_to, self._answered_from = to_path, from_path
            self._answer_paths = f" 200 OK\r\nTo-Path: {from_path[0]}\r\nFrom-Path: {to_path[0]}\r\n-------"
        transaction_id = head.transaction_id
        return f"MSRP {transaction_id}{self._answer_paths}{transaction_id}$\r\n".encode("ascii")

    def _complete(self, passage: _Passage, head: MsrpRequest, status: int) -> None:
        """The chunk that ends a message, or gives it up, is answered."""
        self._passages.pop(head.message_id, None)
        self._answer(passage, head, status)
        if status < 300 and self._passed is not None:
            self._passed(head.message_id)

    # -- from the next hop -------------------------------------------------------------------------------------------

    def response(self, response: MsrpResponse) -> bool:
        """The answer to a chunk that was sent on. False for one that belongs to none."""
        sent = self._sent.pop(response.transaction_id, None)
        if sent is None:
            return False
        self._settled(sent, 0 if response.status < 300 else response.status)
        return True

    def failed(self, status: int) -> None:
        """The next hop is gone: nothing that it has not answered will be."""
        sent, self._sent = self._sent, {}
        for each in sent.values():
            self._settled(each, status)

    def _settled(self, sent: _Sent, status: int) -> None:
        passage = sent.passage
        passage.unanswered -= 1
        self._in_flight -= sent.octets
        if status and not passage.status:
            passage.status = status
            self._tell(passage)
        if passage.held is not None and (passage.status or not passage.unanswered):
            held, passage.held = passage.held, None
            self._held.pop(held.message_id, None)
            self._complete(passage, held, passage.status or 200)
        while self._waiting and self._in_flight <= WINDOW_OCTETS:
            head = self._waiting.popleft()
            self._answer(self._passages.get(head.message_id) or _Passage(head, head.failure_report), head, 200)

    def _tell(self, passage: _Passage) -> None:
        """A refusal that no answer to a chunk can carry any more is told by REPORT (RFC 4976 §6.4.1)."""
        if self._policy is not ForwardPolicy.RELAY or passage.is_told or passage.failure_report is FailureReport.NO:
            return
        passage.is_told = True
        report = report_of(passage.first, self._tokens.word(64), passage.status, passage.first.byte_range)
        self._reply(report.encode())

    # -- time --------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        for sent in self._sent.values():
            for held in self._held.values():
                return min(sent.due, held.held_until)
            return sent.due
        for held in self._held.values():
            return held.held_until
        return None

    def handle_deadline(self, now: float) -> None:
        """What the next hop left unanswered counts as 408."""
        late = [key for key, sent in self._sent.items() if sent.due <= now]
        for key in late:
            self._settled(self._sent.pop(key), 408)
        for key in [key for key, passage in self._held.items() if passage.held_until <= now]:
            passage = self._held.pop(key)
            passage.status = passage.status or 408
            held, passage.held = passage.held, None
            if held is not None:
                self._complete(passage, held, 408)
