"""MSRP frames as they leave an end: whole frames out of what is sent, whole messages out of chunks (RFC 4975 §5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ims_core.wire.msrp.header_fields import ByteRange
from ims_core.wire.msrp.message import Continuation, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder, MsrpParseError, Piece

__all__ = ["ChunkBook", "FrameCutter", "MsrpFrame", "read_frame", "rechunked"]

_START = re.compile(rb"MSRP ([-0-9A-Za-z.+%=]{1,64}) ")
_BEGUN = re.compile(rb"M(?:S(?:R(?:P(?: [-0-9A-Za-z.+%=]{0,64})?)?)?)?")
_MAX_HELD_OCTETS = 16 * 1024 * 1024  # of a frame or message that is not whole: beyond that it passes unseen

MsrpFrame = MsrpRequest | MsrpResponse


def read_frame(octets: bytes) -> MsrpFrame | None:
    """The one whole frame that *octets* are; None if they are something else."""
    events = FrameDecoder().feed(octets)
    pieces = [event for event in events if isinstance(event, Piece)]
    if pieces:
        continuation = pieces[-1].continuation
        if continuation is None or len(pieces) != len(events):
            return None
        return pieces[0].head.with_body(b"".join(piece.octets for piece in pieces), continuation)
    found = events[0] if len(events) == 1 else None
    return None if isinstance(found, MsrpParseError | Piece) else found


class FrameCutter:
    """One direction of a connection, from some moment on. What was under way before that passes as it is."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    @property
    def is_idle(self) -> bool:
        return not self._held

    def feed(self, octets: bytes) -> list[tuple[bool, bytes]]:
        """Parts in order: True for a whole frame, False for octets that are none."""
        octets = self._held + octets
        self._held = b""
        parts: list[tuple[bool, bytes]] = []
        while octets:
            start = _START.match(octets)
            if start is None:
                if _may_begin(octets):
                    self._held = octets
                else:
                    parts.append((False, octets))
                break
            end = _end_of(octets, start[1])
            if end < 0:
                if len(octets) > _MAX_HELD_OCTETS:
                    parts.append((False, octets))
                else:
                    self._held = octets
                break
            parts.append((True, octets[:end]))
            octets = octets[end:]
        return parts

    def rest(self) -> bytes:
        """What was held of a frame that is not whole."""
        held, self._held = self._held, b""
        return held


def _may_begin(octets: bytes) -> bool:
    """Whether more octets may make a frame of it."""
    return _BEGUN.fullmatch(octets) is not None


def _end_of(octets: bytes, transaction_id: bytes) -> int:
    """Where the frame ends; -1 if it is not whole."""
    mark = b"\r\n-------" + transaction_id
    place = octets.find(mark)
    while place >= 0:
        flag = place + len(mark)
        if octets[flag : flag + 1] in (b"$", b"+", b"#") and octets[flag + 1 : flag + 3] == b"\r\n":
            return flag + 3
        place = octets.find(mark, place + 1)
    return -1


@dataclass(frozen=True, slots=True)
class _Collected:
    frames: tuple[MsrpRequest, ...]
    octets: int


class ChunkBook:
    """Messages of one direction of which some chunks have come, in order (RFC 4975 §5.1)."""

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages: dict[str, _Collected] = {}

    @property
    def is_idle(self) -> bool:
        return not self._messages

    def add(self, frame: MsrpRequest) -> tuple[MsrpRequest, ...] | None:
        """The chunks of a message that *frame* ends, or it alone if it belongs to none; None if more have to come."""
        key = frame.message_id
        held = self._messages.pop(key, None)
        is_first = held is None and _start(frame) == 1
        frames = (*(() if held is None else held.frames), frame)
        octets = (0 if held is None else held.octets) + len(frame.body or b"")
        is_over = frame.continuation is not Continuation.MORE or octets > _MAX_HELD_OCTETS
        if is_over or (held is None and not is_first) or not key:
            return frames
        self._messages[key] = _Collected(frames, octets)
        return None

    def rest(self) -> tuple[MsrpRequest, ...]:
        """The chunks that are held."""
        held, self._messages = self._messages, {}
        return tuple(frame for message in held.values() for frame in message.frames)


def _start(frame: MsrpRequest) -> int:
    try:
        return frame.byte_range.start
    except MsrpParseError:
        return 0


def rechunked(frames: Sequence[MsrpRequest], content: bytes) -> bytes:
    """The same chunks with *content* in the place of theirs: each is answered by its own response."""
    parts, place = [], 0
    for number, frame in enumerate(frames, 1):
        is_last = number == len(frames)
        end = len(content) if is_last else min(len(content), place + len(frame.body or b""))
        part = content[place:end]
        span = ByteRange(place + 1, end, len(content))
        continuation = Continuation.COMPLETE if is_last else Continuation.MORE
        changed = frame.readdressed(
            frame.transaction_id, frame.to_path, frame.from_path, byte_range=span, body=part, continuation=continuation
        )
        parts.append(changed.encode())
        place = end
    return b"".join(parts)
