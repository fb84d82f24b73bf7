"""The head of a message: its start line, its header lines with their keys, and how long its body is (RFC 3261 §7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ims_core.wire.sip.grammar import SipParseError, is_token
from ims_core.wire.sip.header_names import key_of_line
from ims_core.wire.sip.memo import Memo
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.shape import Order, order_of, shape_of

__all__ = [
    "BAD_LINE",
    "DEFAULT_LIMITS",
    "END_OF_HEAD",
    "TOO_MANY_LINES",
    "Limits",
    "build_message",
    "content_length",
    "join_folds",
    "key_or_none",
    "refusal",
    "split_head",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is parsed (digest §18): octets of a message, octets of its head, header fields."""

    max_message_octets: int = 262144
    max_header_octets: int = 16384
    max_headers: int = 200


DEFAULT_LIMITS: Final = Limits()
END_OF_HEAD: Final = b"\r\n\r\n"
BAD_LINE: Final = "RFC 3261 §7.3.1"  # the clause of a fault that leaves the other lines readable
TOO_MANY_LINES: Final = "RFC 3261 §21.5.7, sip.max_headers"  # and of one that leaves all of them readable

_STATUS_LINE = re.compile(
    r"SIP/2\.0 ([1-6][0-9]{2})(?: [^\r\n]*)?", re.I
)  # some stacks leave out the SP of an empty reason
_KNOWN_METHODS = frozenset(
    (
        *("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "MESSAGE"),
        *("SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER", "UPDATE", "PRACK", "INFO"),
    )
)
_MAX_LENGTH_DIGITS = 10
_MAX_ANSWERED_LINES = 256  # of a head that is refused: enough for what an answer copies


def split_head(head: str, limits: Limits) -> tuple[str, list[str], list[str]]:
    """The start line, the header lines (folds left inside) and the key of each. Raises SipParseError."""
    lines = head.split("\r\n")
    text = "".join(lines)
    if "\n" in text or "\r" in text:
        raise SipParseError("a CR or LF of its own in the header section", spec="RFC 3261 §7")
    if len(lines) > limits.max_headers:
        _refuse_too_many(lines, limits)
    start = lines.pop(0)
    keys = order_of(head, lines)
    if keys is not None:
        return start, lines, keys
    lines = join_folds(lines)
    return start, lines, [key_of_line(line) for line in lines]


def _refuse_too_many(lines: list[str], limits: Limits) -> None:
    """A field may be folded onto several lines, so those that continue one do not count."""
    fields = sum(line[:1] not in (" ", "\t") for line in lines) - 1
    if fields > limits.max_headers:
        fault = f"more than {limits.max_headers} header fields"
        raise SipParseError(fault, spec=TOO_MANY_LINES, status=513)


def join_folds(lines: list[str]) -> list[str]:
    """Lines with those that begin with white space joined to the one before (RFC 3261 §7.3.1), the breaks kept."""
    joined: list[list[str]] = []
    for line in lines:
        if joined and line[:1] in (" ", "\t"):
            joined[-1].append(line)
        else:
            joined.append([line])
    return ["\r\n".join(parts) for parts in joined]


def content_length(lines: list[str], keys: list[str]) -> int | None:
    """The number of body octets; None if it is not said, or said twice with different numbers. Raises SipParseError."""
    shape = keys.shape if type(keys) is Order else shape_of(keys)
    place = shape.first.get("content-length")
    if place is None:
        return None
    if "content-length" in shape.repeated:
        said = {_value_of(line) for line, key in zip(lines, keys, strict=True) if key == "content-length"}
        return _lengths[lines[place]] if len(said) == 1 else None
    return _lengths[lines[place]]


def _value_of(line: str) -> str:
    return line.partition(":")[2].strip(" \t\r\n")


def _read_length(line: str) -> int:
    text = _value_of(line)
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_LENGTH_DIGITS:
        raise SipParseError("not a Content-Length", raw=text, spec="RFC 3261 §20.14")
    return int(text)


_lengths: Memo[int] = Memo(_read_length)


def build_message(start: str, lines: list[str], keys: list[str], body: bytes, octets: bytes) -> Request | Response:
    """The message of these parts. Raises SipParseError if *start* is neither a request line nor a status line."""
    parts = start.split(" ")
    if len(parts) == 3 and parts[2] == "SIP/2.0" and parts[1] and (parts[0] in _KNOWN_METHODS or is_token(parts[0])):
        return Request(start, lines, keys, body, octets)
    if start[:4].upper() == "SIP/":
        if _STATUS_LINE.fullmatch(start) is None:
            raise SipParseError("not a status line of SIP/2.0", raw=start, spec="RFC 3261 §7.2")
        return Response(start, lines, keys, body, octets)
    is_versioned = len(parts) == 3 and is_token(parts[0]) and parts[1] and parts[2][:4].upper() == "SIP/"
    if not is_versioned:
        raise SipParseError("not a request line", raw=start, spec="RFC 3261 §7.1")
    if parts[2].upper() != "SIP/2.0":
        raise SipParseError("not SIP version 2.0", raw=start, spec="RFC 3261 §7.1", status=505)
    return Request(start, lines, keys, body, octets)


def refusal(head: str, fault: SipParseError) -> SipParseError:
    """*fault* with as much of the request in *head* as an answer needs, if it can be answered."""
    fault.request = _answerable(head)
    return fault


def _answerable(head: str) -> Request | None:
    """A request of the header lines that can be read, if it has a Via to send an answer by and is not an ACK."""
    start, *lines = head.split("\r\n", _MAX_ANSWERED_LINES)[:_MAX_ANSWERED_LINES]
    method, _, rest = start.strip().partition(" ")
    if not method or method == "ACK" or method.upper().startswith("SIP/") or "SIP/" not in rest.upper():
        return None
    fields = [(line, key_or_none(line)) for line in join_folds(lines)]
    kept = [(line, key) for line, key in fields if key is not None]
    if all(key != "via" for _, key in kept):
        return None
    uri = "".join(rest.split()[:-1]) or "sip:invalid.invalid"
    return Request(f"{method} {uri} SIP/2.0", [line for line, _ in kept], [key for _, key in kept], b"")


def key_or_none(line: str) -> str | None:
    """The key of a header line that can be read and repeated without harm."""
    bare = line.replace("\r\n", "")
    if "\0" in line or "\n" in bare or "\r" in bare:
        return None
    try:
        return key_of_line(line)
    except SipParseError:
        return None
