"""Octets to SIP messages: datagrams and streams (RFC 3261 §7, §18.3), and the check of what each needs."""

from __future__ import annotations

from collections.abc import Iterable

from ims_core.wire.sip.address_headers import Contact, From, To, Via
from ims_core.wire.sip.core_headers import CallId, CSeq, MaxForwards
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.head import (
    DEFAULT_LIMITS,
    END_OF_HEAD,
    Limits,
    build_message,
    content_length,
    refusal,
    split_head,
)
from ims_core.wire.sip.header import Header
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.stream import KeepAlive, StreamDecoder, StreamEvent
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

_MANDATORY: tuple[type[Header], ...] = (From, To, CSeq, CallId, Via)
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
    end = octets.find(END_OF_HEAD)
    if end < 0 or end > limits.max_header_octets or len(octets) > limits.max_message_octets:
        raise _misframed(octets, end, limits)
    head = octets[:end].decode("utf-8", "surrogateescape")
    try:
        start, lines, keys = split_head(head, limits)
        length = content_length(lines, keys)
        body_start = end + 4
        if length is not None and body_start + length != len(octets):
            if body_start + length > len(octets):
                raise SipParseError(
                    "Content-Length is larger than the datagram", raw=str(length), spec="RFC 3261 §18.3"
                )
            octets = octets[: body_start + length]
        return build_message(start, lines, keys, octets[body_start:], octets)
    except SipParseError as refused:
        raise refusal(head, refused) from None


def _misframed(octets: bytes, end: int, limits: Limits) -> SipParseError:
    """The fault of a datagram that is too long, or has no empty line."""
    head = octets[: limits.max_header_octets if end < 0 else min(end, limits.max_header_octets)]
    if len(octets) > limits.max_message_octets:
        fault = SipParseError(
            f"a message above {limits.max_message_octets} octets", spec="RFC 3261 §21.5.7", status=513
        )
    elif end < 0 and len(octets) <= limits.max_header_octets:
        fault = SipParseError("the header section does not end", raw=octets, spec="RFC 3261 §7")
    else:
        most = limits.max_header_octets
        fault = SipParseError(f"a header section above {most} octets", spec="RFC 3261 §21.5.7", status=513)
    return refusal(head.decode("utf-8", "surrogateescape"), fault)


def check(message: Request | Response, sent: Request | None = None, *, has_sound_hop: bool = False) -> None:
    """What every message needs, at once: the mandatory headers, single ones single, their syntax, CSeq's method.

    *sent* is the request that a response answers: what comes back as it was sent is known to be sound. *has_sound_hop*
    tells that Via and CSeq of a request have been read. Raises SipParseError, with the request if it can be answered.
    RFC 3261 §8.1.1, §8.2.2, §16.3 step 1."""
    try:
        twice = message.shape.twice
        if twice is not None:
            raise SipParseError(f"more than one {twice}", spec="RFC 3261 §7.3.1")
        if sent is not None:
            if not message.echoes(sent):
                _require(message, message.not_echoed(sent, _MANDATORY))
        elif not has_sound_hop:
            _require(message, _MANDATORY)
        elif message.get(To) is None or not From.is_sound(message.text("from") or ""):  # most proxies need no From
            _require(message, (From, To))
        if isinstance(message, Request):
            _check_request(message, has_sound_hop)
    except SipParseError as fault:
        if isinstance(message, Request) and message.method != "ACK" and message.has("via"):
            fault.request = message
        raise


def _require(message: Request | Response, headers: Iterable[type[Header]]) -> None:
    for header in headers:
        if message.get(header) is None:
            raise SipParseError(f"no {header.NAME}", spec="RFC 3261 §8.1.1")


def _check_request(request: Request, has_sound_hop: bool) -> None:
    if has_sound_hop:
        _ = request.call_id
    elif request.cseq.method != request.method:
        fault = f"CSeq of {request.cseq.method} in a {request.method}"
        raise SipParseError(fault, spec="RFC 3261 §8.1.1.5")
    uri = request.request_uri
    if isinstance(uri, SipUri) and uri.headers is not None:
        raise SipParseError("a Request-URI with headers", raw=request.request_uri_text, spec="RFC 3261 §19.1.1")
    request.get(MaxForwards)
    if request.method not in _CONTACT_MEANS_NOTHING:
        request.get_all(Contact)
