"""Octets to SIP messages: datagrams and streams (RFC 3261 §7, §18.3), and the check of what each needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from ims_core.wire.sip.address_headers import Contact, From, To
from ims_core.wire.sip.core_headers import ContentLength, MaxForwards
from ims_core.wire.sip.grammar import SipParseError, is_token
from ims_core.wire.sip.header_names import keys_of_lines, read_key
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import SipUri

__all__ = [
    "DEFAULT_LIMITS",
    "KeepAlive",
    "Limits",
    "SipParseError",
    "StreamDecoder",
    "StreamEvent",
    "check",
    "parse_datagram",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is parsed (digest §18): octets of a message, octets of its head, header fields."""

    max_message_octets: int = 262144
    max_header_octets: int = 16384
    max_headers: int = 200


DEFAULT_LIMITS: Final = Limits()

_END_OF_HEAD = b"\r\n\r\n"
_CR = 13
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) ([^\r\n]*)", re.I)
_KNOWN_METHODS = frozenset(
    (
        *("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "MESSAGE"),
        *("SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER", "UPDATE", "PRACK", "INFO"),
    )
)
_SINGLE = ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "expires", "event")
_CONTACT_MEANS_NOTHING = (
    "MESSAGE",
    "BYE",
    "CANCEL",
    "ACK",
    "PRACK",
)  # RFC 3428 §4: some handsets send one all the same


def parse_datagram(octets: bytes, limits: Limits = DEFAULT_LIMITS) -> Request | Response:
    """The one message of a datagram; octets after its Content-Length are dropped (RFC 3261 §18.3).

    Raises SipParseError, whose request is set if the sender can be answered."""
    if octets[:2] == b"\r\n":
        octets = octets.lstrip(b"\r\n")
    if len(octets) > limits.max_message_octets:
        raise _too_large(octets[: limits.max_header_octets], "message", limits.max_message_octets, 513)
    end = octets.find(_END_OF_HEAD)
    if end < 0:
        raise _failure(
            _decode(octets), SipParseError("the header section does not end", raw=octets, spec="RFC 3261 §7")
        )
    if end > limits.max_header_octets:
        raise _too_large(octets[:end], "header section", limits.max_header_octets, 513)
    return _datagram_message(octets, end, limits)


def _datagram_message(octets: bytes, end: int, limits: Limits) -> Request | Response:
    head = octets[:end].decode("utf-8", "surrogateescape")
    lines, keys = _split_head(head, limits)
    start = end + 4
    length = _content_length(lines, keys)
    if length is not None and start + length != len(octets):
        if start + length > len(octets):
            fault = SipParseError("Content-Length is larger than the datagram", raw=str(length), spec="RFC 3261 §18.3")
            raise _failure(head, fault)
        octets = octets[: start + length]
    return _message(head, lines, keys, octets[start:], octets)


def _decode(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _split_head(head: str, limits: Limits) -> tuple[list[str], list[str]]:
    """Lines (the start line first, folds left inside) and the key of each header line."""
    lines = head.split("\r\n")
    breaks = len(lines) - 1
    if head.count("\n") != breaks or head.count("\r") != breaks:
        raise _failure(head, SipParseError("a CR or LF of its own in the header section", spec="RFC 3261 §7"))
    if "\n " in head or "\n\t" in head:
        lines = _join_folds(lines)
    if len(lines) > limits.max_headers + 1:
        raise _failure(
            head, SipParseError(f"more than {limits.max_headers} header fields", spec="RFC 3261 §21.5.7", status=513)
        )
    try:
        return lines, keys_of_lines(lines[1:])
    except SipParseError as fault:
        raise _failure(head, fault) from None


def _join_folds(lines: list[str]) -> list[str]:
    """Lines with those that begin with white space joined to the one before (RFC 3261 §7.3.1), the breaks kept."""
    joined: list[list[str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and len(joined) > 1:
            joined[-1].append(line)
        else:
            joined.append([line])
    return ["\r\n".join(parts) for parts in joined]


def _content_length(lines: list[str], keys: list[str]) -> int | None:
    """The number of body octets; None if it is not said, or said twice with different numbers (check refuses those)."""
    if "content-length" not in keys:
        return None
    place = keys.index("content-length") + 1
    text = _text_of(lines[place])
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_LENGTH_DIGITS:
        raise _failure("\r\n".join(lines), SipParseError("not a Content-Length", raw=text, spec="RFC 3261 §20.14"))
    if "content-length" in keys[place:]:
        more = {_text_of(line) for line, key in zip(lines[1:], keys, strict=True) if key == "content-length"}
        return int(text) if len(more) == 1 else None
    return int(text)


_MAX_LENGTH_DIGITS = 10
_BAD_LINE = "RFC 3261 §7.3.1"  # the clause that header_names names: one line is bad, the others can be read


def _text_of(line: str) -> str:
    return line.partition(":")[2].strip(" \t\r\n")


def _message(head: str, lines: list[str], keys: list[str], body: bytes, octets: bytes) -> Request | Response:
    start = lines.pop(0)
    if start[:4].upper() == "SIP/":
        if _STATUS_LINE.fullmatch(start) is None:
            raise SipParseError("not a status line of SIP/2.0", raw=start, spec="RFC 3261 §7.2")
        return Response(start, lines, keys, body, octets)
    parts = start.split(" ")
    if len(parts) == 3 and parts[2] == "SIP/2.0" and parts[1] and (parts[0] in _KNOWN_METHODS or is_token(parts[0])):
        return Request(start, lines, keys, body, octets)
    return _unusual_request(head, start, lines, keys, body, octets)


def _unusual_request(
    head: str, start: str, lines: list[str], keys: list[str], body: bytes, octets: bytes
) -> Request | Response:
    parts = start.split(" ")
    if len(parts) == 3 and is_token(parts[0]) and parts[1] and parts[2].upper().startswith("SIP/"):
        if parts[2].upper() == "SIP/2.0":
            return Request(start, lines, keys, body, octets)
        fault = SipParseError("not SIP version 2.0", raw=start, spec="RFC 3261 §7.1", status=505)
    else:
        fault = SipParseError("not a request line", raw=start, spec="RFC 3261 §7.1")
    raise _failure(head, fault)


def _failure(head: str, fault: SipParseError) -> SipParseError:
    """*fault* with as much of the request as an answer needs, if there is an answer."""
    fault.request = _answerable(head)
    return fault


def _too_large(octets: bytes, what: str, most: int, status: int) -> SipParseError:
    fault = SipParseError(f"the {what} is longer than {most} octets", spec="RFC 3261 §21.5.7", status=status)
    return _failure(_decode(octets), fault)


_MAX_ANSWERED_LINES = 256


def _answerable(head: str) -> Request | None:
    """A request of the header lines that can be read, if it has a Via to send an answer by and is not an ACK."""
    lines = _join_folds(head.split("\r\n", _MAX_ANSWERED_LINES)[:_MAX_ANSWERED_LINES])
    method, _, rest = lines[0].strip().partition(" ")
    if not is_token(method) or method == "ACK" or "SIP/" not in rest.upper():
        return None
    kept, keys = [], []
    for line in lines[1:]:
        key = _key_or_none(line)
        if key is not None:
            kept.append(line)
            keys.append(key)
    if "via" not in keys:
        return None
    uri = "".join(rest.split()[:-1]) or "sip:invalid.invalid"
    return Request(f"{method} {uri} SIP/2.0", kept, keys, b"")


def _key_or_none(line: str) -> str | None:
    name, colon, value = line.partition(":")
    if not colon or "\0" in line or value.replace("\r\n", "").count("\n") + value.replace("\r\n", "").count("\r"):
        return None
    try:
        return read_key(name)
    except SipParseError:
        return None


def check(message: Request | Response) -> None:
    """What every message needs, at once: the six mandatory headers, single ones single, their syntax, CSeq's method.

    Raises SipParseError, with the request if it can be answered. RFC 3261 §8.1.1, §8.2.2, §16.3 step 1."""
    try:
        _check_fields(message)
    except SipParseError as fault:
        if isinstance(message, Request) and message.method != "ACK" and message.has("via"):
            fault.request = message
        raise


def _check_fields(message: Request | Response) -> None:
    keys = message.names()
    for name in _SINGLE:
        if keys.count(name) > 1:
            raise SipParseError(f"more than one {name}", spec="RFC 3261 §7.3.1")
    cseq = message.cseq
    message.require(From)
    message.require(To)
    message.call_id  # noqa: B018  reading it is the check
    message.top_via  # noqa: B018  as above
    message.get(ContentLength)
    if isinstance(message, Request):
        _check_request(message, cseq.method)


def _check_request(request: Request, cseq_method: str) -> None:
    if cseq_method != request.method:
        raise SipParseError(f"CSeq of {cseq_method} in a {request.method}", spec="RFC 3261 §8.1.1.5")
    uri = request.request_uri
    if isinstance(uri, SipUri) and uri.headers is not None:
        raise SipParseError("a Request-URI with headers", raw=request.request_uri_text, spec="RFC 3261 §19.1.1")
    request.get(MaxForwards)
    if request.method not in _CONTACT_MEANS_NOTHING:
        request.get_all(Contact)


class KeepAlive(Enum):
    """CRLF keep-alives between messages of a stream (RFC 5626 §3.5.1)."""

    PING = "CRLF CRLF"
    PONG = "CRLF"


StreamEvent: TypeAlias = Request | Response | KeepAlive | SipParseError


class StreamDecoder:
    """Messages out of a stream of octets, cut anywhere, in linear time (RFC 3261 §18.3).

    A CRLF between messages is a PONG, two are a PING; a PING of which only the first half is there yet shows as a PONG
    and then a PING, because nothing tells whether a second half will come. After an error that is_fatal nothing more
    is decoded."""

    __slots__ = ("_buffer", "_head", "_is_lost", "_limits", "_searched", "_unpaired_crlf")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0  # the empty line does not begin before this
        self._head: _Head | None = None  # once it is complete
        self._unpaired_crlf = False
        self._is_lost = False

    def feed(self, octets: bytes) -> list[StreamEvent]:
        """What these octets complete, in order."""
        events: list[StreamEvent] = []
        if self._is_lost:
            return events
        self._buffer += octets
        while self._step(events):
            pass
        return events

    def _step(self, events: list[StreamEvent]) -> bool:
        """Takes the next thing off the buffer; False if it is not complete yet."""
        try:
            if self._head is None:
                if not self._buffer or self._buffer[0] == _CR:
                    return self._take_crlf(events)
                self._head = self._take_head()
                if self._head is None:
                    return False
            return self._take_message(self._head, events)
        except SipParseError as fault:
            fault.is_fatal = self._is_lost = True
            self._buffer.clear()
            events.append(fault)
            return False

    def _take_crlf(self, events: list[StreamEvent]) -> bool:
        buffer = self._buffer
        if bytes(buffer[:4]) in (b"", b"\r", b"\r\n\r"):
            return False
        if buffer[1:2] != b"\n":
            raise SipParseError("a CR of its own between messages", raw=bytes(buffer[:8]), spec="RFC 3261 §7")
        is_ping = buffer[2:4] == b"\r\n" and not self._unpaired_crlf
        events.append(KeepAlive.PING if is_ping or self._unpaired_crlf else KeepAlive.PONG)
        del buffer[: 4 if is_ping else 2]
        self._unpaired_crlf = not (is_ping or self._unpaired_crlf) and not buffer
        return True

    def _take_head(self) -> _Head | None:
        self._unpaired_crlf = False
        most = self._limits.max_header_octets
        end = self._buffer.find(_END_OF_HEAD, self._searched)
        if end > most or (end < 0 and len(self._buffer) > most + len(_END_OF_HEAD)):
            raise _too_large(bytes(self._buffer[:most]), "header section", most, 513)
        if end < 0:
            self._searched = max(0, len(self._buffer) - len(_END_OF_HEAD) + 1)
            return None
        return _read_head(_decode(bytes(self._buffer[:end])), end + len(_END_OF_HEAD), self._limits)

    def _take_message(self, head: _Head, events: list[StreamEvent]) -> bool:
        end = head.octets + head.length
        if len(self._buffer) < end:
            return False
        octets = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._head, self._searched = None, 0
        events.append(head.fault or _message_or_fault(head, octets))
        return True


@dataclass(frozen=True, slots=True)
class _Head:
    """The head of a message on a stream: where its body begins and how long it is."""

    text: str
    lines: list[str]
    keys: list[str]
    octets: int
    length: int
    fault: SipParseError | None = None


def _read_head(text: str, octets: int, limits: Limits) -> _Head:
    """The head, with its fault if only a line is bad. Raises SipParseError if framing is lost."""
    fault = None
    try:
        lines, keys = _split_head(text, limits)
    except SipParseError as refused:
        if refused.spec != _BAD_LINE:
            raise
        fault = refused
        lines = _join_folds(text.split("\r\n"))
        keys = [_key_or_none(line) or "" for line in lines[1:]]
    length = _content_length(lines, keys)
    if length is None:
        missing = SipParseError("no single Content-Length on a stream", raw=lines[0], spec="RFC 3261 §18.3")
        raise _failure(text, missing)
    if octets + length > limits.max_message_octets:
        most = limits.max_message_octets
        raise _failure(text, SipParseError(f"a message above {most} octets", spec="RFC 3261 §21.4.11", status=413))
    return _Head(text, lines, keys, octets, length, fault)


def _message_or_fault(head: _Head, octets: bytes) -> Request | Response | SipParseError:
    try:
        return _message(head.text, head.lines, head.keys, octets[head.octets :], octets)
    except SipParseError as fault:
        return fault
