"""Incoming messages out of their chunks, in any order (RFC 4975 §7.3.1)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Final, TypeAlias

from ims_core.wire.msrp.message import Continuation, MsrpRequest
from ims_core.wire.msrp.parser import Piece

__all__ = ["Aborted", "ChunkRefused", "Complete", "Reassembled", "Reassembler"]

_BAD: Final = 400
_STOP: Final = 413  # RFC 4975 §10.5: stop sending this message
_MAX_MESSAGES: Final = 32  # a session has one content message and some receipts under way
_MAX_GAPS: Final = 65536  # separate stretches of one message: more than 100 MB of chunks of 2048 in any order
_REMEMBERED_REFUSALS: Final = 64


@dataclass(frozen=True, slots=True)
class Complete:
    """A message of which every octet is here. *head* is that of the chunk that completed it."""

    message_id: str
    content_type: str | None
    body: bytes
    total: int
    head: MsrpRequest


@dataclass(frozen=True, slots=True)
class Aborted:
    """The sender gave the message up with ``#``: what had come is thrown away."""

    message_id: str


@dataclass(frozen=True, slots=True)
class ChunkRefused:
    """A chunk that cannot be taken: answer it with *status*. Its message is thrown away."""

    message_id: str
    status: int
    why: str


Reassembled: TypeAlias = Complete | Aborted | ChunkRefused


class _Refusal(Exception):
    """Carries status and reason out of `_Message`."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class _Message:
    """One message under way. *have* are the stretches that are here, as alternating starts and ends, counted from 0,
    in order and apart from each other."""

    __slots__ = ("content_type", "have", "is_ended", "octets", "total")

    def __init__(self) -> None:
        self.content_type: str | None = None
        self.octets = bytearray()
        self.have: list[int] = []
        self.total: int | None = None
        self.is_ended = False  # a chunk with "$" has come

    def is_complete(self) -> bool:
        return self.is_ended and (self.have == [0, self.total] or (self.total == 0 and not self.have))

    def settle_total(self, total: int | None) -> None:
        """Raises _Refusal if it is another one than before, or less than what is here."""
        if total is None or total == self.total:
            return
        if self.total is not None:
            raise _Refusal(_BAD, f"total {total} after {self.total}")
        if self.have and self.have[-1] > total:
            raise _Refusal(_BAD, f"octets beyond the total of {total} have come before")
        self.total = total

    def put(self, start: int, octets: bytes) -> int:
        """Octets at *start*, over what may be there (RFC 4975 §7.3.1: the later ones win). Gives the growth."""
        end = start + len(octets)
        here = self.octets
        before = len(here)
        if start == len(here):
            here += octets
        else:
            if start > len(here):
                here += bytes(start - len(here))
            here[start:end] = octets
        self._mark(start, end)
        return len(here) - before

    def _mark(self, start: int, end: int) -> None:
        have = self.have
        if have and have[-1] == start:
            have[-1] = end
        elif start < end:
            left, right = bisect_left(have, start), bisect_right(have, end)
            # An even place is outside of every stretch, an odd one within or at the edge of one that is joined.
            have[left:right] = [start] * (left % 2 == 0) + [end] * (right % 2 == 0)


class Reassembler:
    """The messages of one session.

    Pieces come in any order and may overlap. A message has at most *max_octets*; all that are under way together have
    at most twice that, and *max_messages*: what goes beyond is refused with 413. Nothing expires by itself: `forget`
    drops a message whose rest will not come."""

    __slots__ = ("_held", "_max_messages", "_max_octets", "_messages", "_refused", "_refused_head")

    def __init__(self, max_octets: int, max_messages: int = _MAX_MESSAGES) -> None:
        self._max_octets = max_octets
        self._max_messages = max_messages
        self._messages: dict[str, _Message] = {}
        self._held = 0
        self._refused: dict[str, ChunkRefused] = {}  # messages whose further chunks get the same answer
        self._refused_head: MsrpRequest | None = None  # the chunk that has had its answer and still comes

    @property
    def held_octets(self) -> int:
        """Octets of all messages under way, gaps included."""
        return self._held

    @property
    def under_way(self) -> tuple[str, ...]:
        """Message-IDs of which something has come, oldest first."""
        return tuple(self._messages)

    def forget(self, message_id: str) -> None:
        """Throws away what has come of a message."""
        message = self._messages.pop(message_id, None)
        if message is not None:
            self._held -= len(message.octets)
        self._refused.pop(message_id, None)

    def add(self, piece: Piece) -> Reassembled | None:
        """What the piece completes. A chunk that is refused is so once, with its first piece at fault."""
        message_id = piece.head.message_id
        flag = piece.continuation
        if piece.head is self._refused_head:
            return self._skip(message_id, flag)
        if flag is Continuation.ABORTED:
            self.forget(message_id)
            return Aborted(message_id)
        known = self._refused.get(message_id)
        if known is not None:
            return self._refuse(piece, known)
        try:
            message = self._take(piece)
        except _Refusal as refusal:
            self.forget(message_id)
            return self._refuse(piece, ChunkRefused(message_id, refusal.status, refusal.why))
        if flag is None or not message.is_complete():
            return None
        self.forget(message_id)
        return Complete(message_id, message.content_type, bytes(message.octets), len(message.octets), piece.head)

    def _skip(self, message_id: str, flag: Continuation | None) -> Aborted | None:
        if flag is not None:
            self._refused_head = None
        if flag in (Continuation.COMPLETE, Continuation.ABORTED):
            self._refused.pop(message_id, None)
        return Aborted(message_id) if flag is Continuation.ABORTED else None

    def _refuse(self, piece: Piece, refused: ChunkRefused) -> ChunkRefused:
        """Remembered until the sender has ended the message."""
        self._refused_head = piece.head if piece.continuation is None else None
        self._refused.pop(refused.message_id, None)
        if piece.continuation is not Continuation.COMPLETE:
            if len(self._refused) >= _REMEMBERED_REFUSALS:
                self._refused.pop(next(iter(self._refused)))
            self._refused[refused.message_id] = refused
        return refused

    def _take(self, piece: Piece) -> _Message:
        """Raises _Refusal."""
        message_id = piece.head.message_id
        message = self._messages.get(message_id)
        if message is None:
            if len(self._messages) >= self._max_messages:
                raise _Refusal(_STOP, "too many messages under way")
            message = self._messages[message_id] = _Message()
        if message.content_type is None:
            message.content_type = piece.head.content_type
        self._check(message, piece)
        self._held += message.put(piece.start - 1, piece.octets)
        if len(message.have) > 2 * _MAX_GAPS:
            raise _Refusal(_STOP, "too many gaps")
        return message

    def _check(self, message: _Message, piece: Piece) -> None:
        """Raises _Refusal if the piece disagrees with its range, or the range with the message (digest §4.6)."""
        byte_range = piece.head.byte_range
        is_last = piece.continuation is not None
        end = byte_range.end
        if end is not None and (piece.end > end or (is_last and piece.end != end)):
            raise _Refusal(_BAD, f"the octets of a chunk are not those of its range {byte_range}")
        message.settle_total(byte_range.total)
        if piece.continuation is Continuation.COMPLETE:
            message.settle_total(piece.end)
            message.is_ended = True
        if message.total is not None and piece.end > message.total:
            raise _Refusal(_BAD, f"octets beyond the total of {message.total}")
        largest = max(piece.end, message.total or 0)
        if largest > self._max_octets:
            raise _Refusal(_STOP, f"a message above {self._max_octets} octets")
        if self._held + max(0, piece.end - len(message.octets)) > 2 * self._max_octets:
            raise _Refusal(_STOP, "too many octets under way")
