"""SIP messages out of a stream of octets (RFC 3261 §18.3) and the keep-alives between them (RFC 5626 §3.5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.head import (
    BAD_LINE,
    DEFAULT_LIMITS,
    END_OF_HEAD,
    TOO_MANY_LINES,
    Limits,
    build_message,
    content_length,
    join_folds,
    key_or_none,
    refusal,
    split_head,
)
from ims_core.wire.sip.message import Request, Response

__all__ = ["KeepAlive", "StreamDecoder", "StreamEvent"]

_CR = 13
_BLANK_FLOOD = re.compile(rb"(?:\r\n){17,}")  # no client is that many keep-alives behind


class KeepAlive(Enum):
    """CRLF keep-alives between messages of a stream (RFC 5626 §3.5.1)."""

    PING = "CRLF CRLF"
    PONG = "CRLF"


StreamEvent: TypeAlias = Request | Response | KeepAlive | SipParseError


@dataclass(frozen=True, slots=True)
class _Head:
    """The head of a message whose body is not complete yet: *octets* long, with *length* octets of body to come."""

    text: str
    start: str
    lines: list[str]
    keys: list[str]
    octets: int
    length: int
    fault: SipParseError | None = None


class StreamDecoder:
    """Messages out of a stream of octets, cut anywhere, in linear time (RFC 3261 §18.3).

    A CRLF between messages is a PONG, two are a PING; a PING of which only the first half is there yet shows as a PONG
    and then a PING, because nothing tells whether a second half will come. Who sends a PING says so with `ping_sent`,
    else the PONGs of a quiet stream would pair up. A flood of CRLFs that come at once is one PING. After an error that
    is_fatal nothing more is decoded."""

    __slots__ = ("_buffer", "_head", "_is_lost", "_limits", "_searched", "_unpaired_crlf")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0  # the empty line does not begin before this
        self._head: _Head | None = None  # once it is complete
        self._unpaired_crlf = False
        self._is_lost = False

    @property
    def is_between_messages(self) -> bool:
        """Whether nothing is held that waits for more octets."""
        return not self._buffer

    def ping_sent(self) -> None:
        """A PING of ours goes out: the next CRLF answers it, and is no second half of anything."""
        self._unpaired_crlf = False

    def feed(self, octets: bytes) -> list[StreamEvent]:
        """What these octets complete, in order."""
        events: list[StreamEvent] = []
        if self._is_lost:
            return events
        try:
            if not self._buffer and self._take_whole(octets, events):
                return events
            self._buffer += octets
            while self._step(events):
                pass
        except SipParseError as fault:
            fault.is_fatal = self._is_lost = True
            self._buffer.clear()
            events.append(fault)
        return events

    def _take_whole(self, octets: bytes, events: list[StreamEvent]) -> bool:
        """The usual case: what came is one whole message, which need not go through the buffer."""
        end, limits = octets.find(END_OF_HEAD), self._limits
        if not 0 < end <= limits.max_header_octets or octets[0] == _CR or len(octets) > limits.max_message_octets:
            return False
        body_start = end + len(END_OF_HEAD)
        try:
            start, lines, keys = split_head(_text_of(octets[:end]), limits)
            if content_length(lines, keys) != len(octets) - body_start:
                return False
            message = build_message(start, lines, keys, octets[body_start:], octets)
        except SipParseError:
            return False  # the long way says what is wrong with it
        self._unpaired_crlf = False
        events.append(message)
        return True

    def _step(self, events: list[StreamEvent]) -> bool:
        """Takes the next thing off the buffer; False if it is not complete. Raises SipParseError if framing is lost."""
        if self._head is None:
            if not self._buffer or self._buffer[0] == _CR:
                return self._take_crlf(events)
            self._head = self._take_head()
        return self._head is not None and self._take_message(self._head, events)

    def _take_crlf(self, events: list[StreamEvent]) -> bool:
        next_octets = bytes(self._buffer[:4])
        if next_octets in (b"", b"\r", b"\r\n\r"):
            return False
        if next_octets[:2] != b"\r\n":
            raise SipParseError("a CR of its own between messages", raw=next_octets[:2], spec="RFC 3261 §7")
        flood = _BLANK_FLOOD.match(self._buffer)
        if flood is not None:
            length, flood = flood.end(), None  # a match keeps the buffer from being cut
            del self._buffer[:length]
            self._unpaired_crlf = False
            events.append(KeepAlive.PING)
            return True
        is_whole_ping = next_octets == b"\r\n\r\n" and not self._unpaired_crlf
        events.append(KeepAlive.PING if is_whole_ping or self._unpaired_crlf else KeepAlive.PONG)
        del self._buffer[: 4 if is_whole_ping else 2]
        self._unpaired_crlf = events[-1] is KeepAlive.PONG and not self._buffer
        return True

    def _take_head(self) -> _Head | None:
        self._unpaired_crlf = False
        most = self._limits.max_header_octets
        end = self._buffer.find(END_OF_HEAD, self._searched)
        if end > most or (end < 0 and len(self._buffer) > most + len(END_OF_HEAD)):
            fault = SipParseError(f"a header section above {most} octets", spec="RFC 3261 §21.5.7", status=513)
            raise refusal(_text_of(self._buffer[:most]), fault)
        if end < 0:
            self._searched = max(0, len(self._buffer) - len(END_OF_HEAD) + 1)
            return None
        return _read_head(_text_of(self._buffer[:end]), end + len(END_OF_HEAD), self._limits)

    def _take_message(self, head: _Head, events: list[StreamEvent]) -> bool:
        end = head.octets + head.length
        if len(self._buffer) < end:
            return False
        octets = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._head, self._searched = None, 0
        events.append(head.fault or _message_or_fault(head, octets))
        return True


def _text_of(octets: bytes | bytearray) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _read_head(text: str, octets: int, limits: Limits) -> _Head:
    """The head; with its fault, if it still tells where the body ends. Raises SipParseError if framing is lost."""
    fault = None
    try:
        try:
            start, lines, keys = split_head(text, limits)
        except SipParseError as refused:
            if refused.spec not in (BAD_LINE, TOO_MANY_LINES):
                raise
            fault = refusal(text, refused)
            start, lines, keys = _readable_lines(text)
        length = content_length(lines, keys)
        if length is None:
            raise SipParseError("no single Content-Length on a stream", raw=start, spec="RFC 3261 §18.3")
        if octets + length > limits.max_message_octets:
            most = limits.max_message_octets
            raise SipParseError(f"a message above {most} octets", spec="RFC 3261 §21.4.11", status=413)
    except SipParseError as lost:
        raise refusal(text, lost) from None
    return _Head(text, start, lines, keys, octets, length, fault)


def _readable_lines(text: str) -> tuple[str, list[str], list[str]]:
    start, *lines = text.split("\r\n")
    fields = [(line, key_or_none(line)) for line in join_folds(lines)]
    return start, [line for line, key in fields if key is not None], [key for _, key in fields if key is not None]


def _message_or_fault(head: _Head, octets: bytes) -> Request | Response | SipParseError:
    try:
        return build_message(head.start, head.lines, head.keys, octets[head.octets :], octets)
    except SipParseError as fault:
        return refusal(head.text, fault)
