"""MSRP frames out of a stream of octets, in linear time and bounded memory (RFC 4975 §5.1, §7, §9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from ims_core.wire.msrp.header_fields import is_method, is_transaction_id
from ims_core.wire.msrp.message import (
    Continuation,
    Field,
    MsrpMessage,
    MsrpParseError,
    MsrpRequest,
    MsrpResponse,
    header_key,
)
from ims_core.wire.msrp.uri import MsrpUriError

__all__ = ["DEFAULT_LIMITS", "FrameDecoder", "Limits", "MsrpEvent", "MsrpParseError", "Piece"]

_CRLF: Final = b"\r\n"
_EMPTY_LINE: Final = b"\r\n\r\n"
_LONGEST_START_LINE: Final = 1024  # octets after the transaction id: a method, or a status and its comment
# req-start = "MSRP" SP transact-id SP method CRLF;  resp-start has a status and comment there. An id of any length up
# to 64 still frames; if it is not one of RFC 4975 that is a 400 and no reason to lose the connection (choice).
_START = re.compile(rb"MSRP ([-0-9A-Za-z.+%%=]{1,64}) [^\r]{0,%d}\r\n" % _LONGEST_START_LINE)
_LONGEST_START = len("MSRP ") + 64 + 1 + _LONGEST_START_LINE + len(_CRLF)
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_CONTROLS: Final = bytes(code for code in (*range(32), 127) if code != 9)  # utf8text has HTAB and none of these
_ONCE: Final = ("to-path", "from-path", "message-id", "byte-range")

_FLAGS: Final[Mapping[bytes, Continuation]] = {each.value.encode() + _CRLF: each for each in Continuation}
_BEGUN_FLAGS: Final = frozenset(flag[:length] for flag in _FLAGS for length in range(3))


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is parsed: octets of a head, octets of the body of anything but a SEND.

    RFC 4975 §7.1 allows 10240 for the latter; a SEND has no bound, because its octets are not kept."""

    max_head_octets: int = 16384
    max_body_octets: int = 65536


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets of a SEND, in the order of the chunk: all of it, or what has come so far.

    *head* is the same object in all pieces of a chunk and has no body; *start* is where the octets belong in the
    message, counted from 1; *continuation* is that of the chunk in its last piece, None before."""

    head: MsrpRequest
    start: int
    octets: bytes
    continuation: Continuation | None

    @property
    def end(self) -> int:
        """Where the last octet belongs; *start* less one if there is none."""
        return self.start + len(self.octets) - 1

    def summary(self) -> str:
        """One line for a trace or a ladder."""
        flag = "" if self.continuation is None else f" {self.continuation.value}"
        return f"{self.head.summary()}{flag}"


_Message: TypeAlias = MsrpRequest | MsrpResponse
MsrpEvent: TypeAlias = Piece | MsrpRequest | MsrpResponse | MsrpParseError


class _Body:
    """A body under way, and the line that will end it. *head* is None if it is skipped, because it was refused."""

    __slots__ = ("_collected", "_head", "_limit", "_position", "mark")

    def __init__(self, head: _Message | None, mark: bytes, limit: int) -> None:
        self._head = head
        self.mark = mark
        self._limit = limit
        self._position = _position_of(head)
        self._collected = bytearray()

    def take(self, octets: bytes, continuation: Continuation | None, events: list[MsrpEvent]) -> None:
        head = self._head
        if head is None:
            return
        if self._position:
            assert isinstance(head, MsrpRequest)
            events.append(Piece(head, self._position, octets, continuation))
            self._position += len(octets)
            return
        self._collected += octets
        if len(self._collected) > self._limit:
            self._head = None
            self._collected = bytearray()
            events.append(_too_large(head, self._limit))
        elif continuation is not None:
            events.append(head.with_body(bytes(self._collected), continuation))


class FrameDecoder:
    """MSRP frames out of a stream, cut anywhere.

    The octets of a SEND come as `Piece`s, as soon as they cannot be part of its end line; all else comes whole. A
    request that is malformed, but framed, is an MsrpParseError in its place, and what follows is read; after one that
    is_fatal nothing more is decoded. Empty lines between frames are skipped (choice)."""

    __slots__ = ("_body", "_is_lost", "_limits", "_rest", "_searched")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._rest = b""  # a head that is not complete, or what may be the beginning of an end line
        self._searched = 0  # neither the end line of that head nor an empty line begins before this
        self._body: _Body | None = None
        self._is_lost = False

    @property
    def is_between_frames(self) -> bool:
        """Whether nothing is held or under way: a connection that closes now has lost nothing."""
        return not self._rest and self._body is None

    def feed(self, octets: bytes) -> list[MsrpEvent]:
        """What these octets complete, in order."""
        events: list[MsrpEvent] = []
        if self._is_lost:
            return events
        if self._rest:
            octets = self._rest + octets
        try:
            self._rest = octets[self._take_all(octets, events) :]
        except MsrpParseError as fault:
            fault.is_fatal = self._is_lost = True
            self._rest, self._body = b"", None
            events.append(fault)
        return events

    def _take_all(self, octets: bytes, events: list[MsrpEvent]) -> int:
        """Takes what is complete; gives the place of what is not. Raises MsrpParseError if framing is lost."""
        place = 0
        while place < len(octets):
            body = self._body
            after = (
                self._take_frame(octets, place, events) if body is None else self._go_on(body, octets, place, events)
            )
            if after == place:
                break
            place = after
        return place

    def _go_on(self, body: _Body, octets: bytes, place: int, events: list[MsrpEvent]) -> int:
        at, flag = _seek_end(octets, place, body.mark)
        if flag is not None:
            body.take(octets[place:at], flag, events)
            self._body = None
            return at + len(body.mark) + 3
        if at > place:
            body.take(octets[place:at], None, events)
        return at

    def _take_frame(self, octets: bytes, place: int, events: list[MsrpEvent]) -> int:
        found = _START.match(octets, place)
        if found is None:
            return _between_frames(octets, place)
        line_end = found.end() - len(_CRLF)
        mark = b"\r\n-------" + found[1]
        searched = max(line_end, place + self._searched)
        at, flag = _seek_end(octets, searched, mark)
        # The empty line may be followed by the end line at once: the body is empty and lacks its CRLF (choice).
        head_end = octets.find(_EMPTY_LINE, searched, len(octets) if flag is None else at + len(_CRLF))
        if head_end < 0:
            unread = min(at, len(octets) - 3) if flag is None else at
            self._check_head(octets, place, unread)
            if flag is None:
                self._searched = max(0, unread - place)
                return place
            events.append(_read_head(octets[place:at], octets[place:at], flag))
        else:
            self._check_head(octets, place, head_end)
            if flag is None and len(octets) < head_end + len(_CRLF) + len(mark) + 3:
                self._searched = head_end - place
                return place
            at = self._begin_body(octets, (place, head_end), (at, flag), mark, events)
        self._searched = 0
        return at if self._body is not None else at + len(mark) + 3

    def _begin_body(
        self,
        octets: bytes,
        head: tuple[int, int],
        end: tuple[int, Continuation | None],
        mark: bytes,
        events: list[MsrpEvent],
    ) -> int:
        """Reads the *head* between two places and its body if *end* has a flag; gives the place of what is not read."""
        place, head_end = head
        at, flag = end
        start = head_end + len(_EMPTY_LINE)
        if flag is not None:
            start = min(start, at)
        message: _Message | MsrpParseError | None = _read_head(octets[place:head_end], octets[place:start], None)
        if isinstance(message, MsrpParseError):
            events.append(message)
            message = None
        body = _Body(message, mark, self._limits.max_body_octets)
        if flag is None:
            self._body = body
            return start
        body.take(octets[start:at], flag, events)
        return at

    def _check_head(self, octets: bytes, place: int, end: int) -> None:
        most = self._limits.max_head_octets
        if end - place > most:
            raise MsrpParseError(f"a head above {most} octets", raw=octets[place : place + 64], spec="RFC 4975 §7.3")


def _seek_end(octets: bytes, start: int, mark: bytes) -> tuple[int, Continuation | None]:
    """The place of the end line and its flag; without a flag, the place from which octets may begin one."""
    size = len(mark)
    at = octets.find(mark, start)
    while at >= 0:
        after = octets[at + size : at + size + 3]
        flag = _FLAGS.get(after)
        if flag is not None or after in _BEGUN_FLAGS:
            return at, flag
        at = octets.find(mark, at + 1)
    at = octets.find(b"\r", max(start, len(octets) - size + 1))
    while at >= 0:
        if mark.startswith(octets[at:]):
            return at, None
        at = octets.find(b"\r", at + 1)
    return len(octets), None


def _between_frames(octets: bytes, place: int) -> int:
    """The place after empty lines, or the same if a start line is not complete. Raises MsrpParseError."""
    empty = _EMPTY_LINES.match(octets, place)
    if empty is not None:
        return empty.end()
    begun = octets[place : place + _LONGEST_START]
    if begun == b"\r":
        return place
    is_begun = begun.startswith(b"MSRP ") or b"MSRP ".startswith(begun)
    if not is_begun or _CRLF in begun or len(begun) == _LONGEST_START:
        raise MsrpParseError("not the start line of an MSRP message", raw=begun[:64], spec="RFC 4975 §9")
    return place


def _read_head(lines: bytes, head: bytes, flag: Continuation | None) -> _Message | MsrpParseError:
    """The message of these *lines*, whose octets are *head*; without *flag* its body follows."""
    start, *rest = lines.decode("utf-8", "surrogateescape").split("\r\n")
    fields, values, fault = _read_fields(rest)
    if len(lines) != len(lines.translate(None, _CONTROLS)) + 2 * len(rest):
        fault = fault or MsrpParseError("a control character in a head", raw=lines[:64], spec="RFC 4975 §9")
    _, transaction_id, what = start.split(" ", 2)
    if "0" <= what[:1] <= "9":
        return _read_response(transaction_id, what, fields, values, head, flag, fault)
    request = MsrpRequest.received(transaction_id, what, fields, values, head, flag)
    fault = fault or _fault_of_start(transaction_id, what) or _fault_of_request(request)
    if fault is None:
        return request
    if what != "REPORT" and _fault_of_paths(request) is None:  # nobody answers a REPORT (RFC 4975 §7.1.2)
        fault.head = request
    return fault


def _read_response(
    transaction_id: str,
    what: str,
    fields: list[Field],
    values: dict[str, str],
    head: bytes,
    flag: Continuation | None,
    fault: MsrpParseError | None,
) -> MsrpResponse | MsrpParseError:
    digits, space, comment = what.partition(" ")
    if len(digits) != 3 or not (digits.isascii() and digits.isdigit()):
        return MsrpParseError("not a status line", raw=what[:64], spec="RFC 4975 §9")
    text = comment if space else None
    response = MsrpResponse.received(transaction_id, int(digits), text, fields, values, head, flag)
    return fault or _fault_of_paths(response) or response


def _read_fields(lines: list[str]) -> tuple[list[Field], dict[str, str], MsrpParseError | None]:
    """The header fields that can be read, the first value of each key, and what is wrong with a line."""
    fields: list[Field] = []
    values: dict[str, str] = {}
    fault = None
    for line in lines:
        name, colon, value = line.partition(":")
        key = header_key(name) if colon else None
        if key is None:
            fault = fault or MsrpParseError("not a header field", raw=line[:64], spec="RFC 4975 §9")
            continue
        value = value.strip(" \t")
        fields.append((name, value))
        if key not in values:
            values[key] = value
        elif key in _ONCE:
            fault = fault or MsrpParseError(f"{name} twice", spec="RFC 4975 §9")
    return fields, values, fault


def _fault_of_start(transaction_id: str, method: str) -> MsrpParseError | None:
    if not is_transaction_id(transaction_id):
        return MsrpParseError("not a transaction id", raw=transaction_id, spec="RFC 4975 §9")
    if not is_method(method):
        return MsrpParseError("not a method", raw=method[:64], spec="RFC 4975 §9")
    return None


def _fault_of_paths(message: MsrpMessage) -> MsrpParseError | None:
    try:
        is_complete = bool(message.to_path and message.from_path)
    except MsrpUriError as fault:
        return MsrpParseError("no To-Path and From-Path that can be read", raw=fault.raw, spec="RFC 4975 §9")
    assert is_complete
    return None


def _fault_of_request(request: MsrpRequest) -> MsrpParseError | None:
    fault = _fault_of_paths(request)
    if fault is not None or request.method not in ("SEND", "REPORT"):
        return fault
    if not request.message_id and (request.has_body or request.method == "REPORT"):
        return MsrpParseError("no Message-ID", spec="RFC 4975 §7.1.1")
    try:
        _ = request.byte_range
    except MsrpParseError as malformed:
        return malformed
    return None


def _position_of(head: _Message | None) -> int:
    """Where the first octet of a SEND belongs in its message, 0 for all else."""
    return head.byte_range.start if isinstance(head, MsrpRequest) and head.method == "SEND" else 0


def _too_large(head: _Message, limit: int) -> MsrpParseError:
    fault = MsrpParseError(f"a body above {limit} octets", spec="RFC 4975 §7.1", status=413)
    if isinstance(head, MsrpRequest) and head.method != "REPORT":
        fault.head = head
    return fault
