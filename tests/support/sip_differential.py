"""Reads SIP messages with our parser and with the PyPI package `sipmessage`, which nobody here wrote, and compares."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import sipmessage

from ims_core.wire.sip.headers import (
    Authorization,
    Contact,
    CSeq,
    Expires,
    From,
    MaxForwards,
    MinExpires,
    RecordRoute,
    Require,
    Route,
    Supported,
    To,
    Unsupported,
    Via,
    WwwAuthenticate,
)
from ims_core.wire.sip.message import Request, Response, SipMessage
from ims_core.wire.sip.params import Params
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sip.uri import SipUri, TelUri, Uri

__all__ = ["KNOWN_DIFFERENCES", "compare"]


KNOWN_DIFFERENCES: Mapping[str, re.Pattern[str]] = {
    "it splits a quoted parameter at a semicolon inside": re.compile(r'"[^"]*;[^"]*"'),
}
"""What `sipmessage` refuses or reads wrongly, and what such a header value looks like."""


def compare(octets: bytes) -> set[str]:
    """Which of the known differences occur. Raises AssertionError where the two parsers differ otherwise."""
    ours = parse_datagram(octets)
    assert ours.encode() == octets
    theirs = sipmessage.Message.parse(octets)
    _compare_raw(ours, theirs)
    met = set()
    for name, read_ours, read_theirs in _PARTS:
        if not ours.has(name):
            continue
        known = _known(ours.texts(name))
        expected = read_ours(ours)
        if known is not None:
            met.add(known)
            continue
        try:
            found = read_theirs(theirs)
        except ValueError as error:
            raise AssertionError(f"{name}: sipmessage refuses what we read as {expected!r} in\n{octets!r}") from error
        assert expected == found, f"{name}: we read {expected!r}, sipmessage {found!r} in\n{octets!r}"
    return met


def _known(texts: tuple[str, ...]) -> str | None:
    found = (reason for reason, pattern in KNOWN_DIFFERENCES.items() for text in texts if pattern.search(text))
    return next(found, None)


def _compare_raw(ours: SipMessage, theirs: Any) -> None:
    """Start line, Call-ID, header fields in their order, body."""
    if isinstance(ours, Request):
        assert ours.method == theirs.method
        assert _uri(ours.request_uri) == _their_uri(theirs.uri)
    else:
        assert isinstance(ours, Response)
        assert (ours.status, ours.reason) == (theirs.code, theirs.phrase)
    assert ours.call_id == theirs.call_id
    for name in theirs.headers.keys():  # noqa: SIM118  it is no Mapping: iterating over it gives no names
        assert list(ours.texts(name)) == theirs.headers.getlist(name), name
    assert ours.body == theirs.body
    assert theirs.content_length in (None, len(ours.body))


def _addresses(header: Any) -> Callable[[SipMessage], Any]:
    def read(message: SipMessage) -> Any:
        return [(each.display_name or "", _uri(each.uri), _params(each.params)) for each in message.get_all(header)]

    return read


def _their_addresses(name: str) -> Callable[[Any], Any]:
    def read(message: Any) -> Any:
        found = getattr(message, name)
        each_one = found if isinstance(found, list) else [found]
        return [(each.name, _their_uri(each.uri), _their_params(each.parameters)) for each in each_one]

    return read


def _vias(message: SipMessage) -> Any:
    return [(via.transport, via.host, via.port, _params(via.params)) for via in message.get_all(Via)]


def _their_vias(message: Any) -> Any:
    return [(via.transport, via.host, via.port, _their_params(via.parameters)) for via in message.via]


def _uri(uri: Uri) -> tuple[object, ...]:
    if isinstance(uri, SipUri):
        user = None if uri.user is None else unquote(uri.user)
        return (uri.scheme, user, uri.password, uri.host, uri.port, _params(uri.params))
    assert isinstance(uri, TelUri)
    return ("tel", uri.number, None, "", None, _params(uri.params))


def _their_uri(uri: Any) -> tuple[object, ...]:
    return (uri.scheme, uri.user, uri.password, uri.host, uri.port, _their_params(uri.parameters))


def _params(params: Params) -> dict[str, str | None]:
    return {name: None if value is None else _plain(value) for name, value in params.pairs}


def _their_params(params: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: None if value is None else _plain(value) for name, value in params.items()}


def _plain(value: str) -> str:
    """Without quotes and escapes, which the two parsers keep or undo."""
    inner = value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if value.startswith('"') else value
    return unquote(inner)


def _credentials(header: Any) -> Callable[[SipMessage], Any]:
    def read(message: SipMessage) -> Any:
        value = message.require(header)
        return value.scheme, {name: value.get(name) for name, _ in value.parameters}

    return read


def _their_credentials(name: str) -> Callable[[Any], Any]:
    def read(message: Any) -> Any:
        value = getattr(message, name)
        return value.scheme, dict(value.parameters)

    return read


def _tokens(header: Any) -> Callable[[SipMessage], Any]:
    return lambda message: [token for each in message.get_all(header) for token in each.tokens]


def _their(name: str) -> Callable[[Any], Any]:
    return lambda message: getattr(message, name)


def _cseq(message: SipMessage) -> Any:
    cseq = message.require(CSeq)
    return cseq.number, cseq.method


def _content_type(message: SipMessage) -> Any:
    assert message.content_type is not None
    return message.content_type.type


_PARTS: Iterable[tuple[str, Callable[[SipMessage], Any], Callable[[Any], Any]]] = (
    ("Via", _vias, _their_vias),
    ("From", _addresses(From), _their_addresses("from_address")),
    ("To", _addresses(To), _their_addresses("to_address")),
    ("Contact", _addresses(Contact), _their_addresses("contact")),
    ("Route", _addresses(Route), _their_addresses("route")),
    ("Record-Route", _addresses(RecordRoute), _their_addresses("record_route")),
    ("CSeq", _cseq, lambda message: (message.cseq.sequence, message.cseq.method)),
    ("Max-Forwards", lambda message: message.require(MaxForwards).value, _their("max_forwards")),
    ("Expires", lambda message: message.require(Expires).seconds, _their("expires")),
    ("Min-Expires", lambda message: message.require(MinExpires).seconds, _their("min_expires")),
    ("Content-Type", _content_type, lambda message: str(message.content_type).partition(";")[0].lower()),
    ("Supported", _tokens(Supported), _their("supported")),
    ("Require", _tokens(Require), _their("require")),
    ("Unsupported", _tokens(Unsupported), _their("unsupported")),
    ("Authorization", _credentials(Authorization), _their_credentials("authorization")),
    ("WWW-Authenticate", _credentials(WwwAuthenticate), _their_credentials("www_authenticate")),
)
