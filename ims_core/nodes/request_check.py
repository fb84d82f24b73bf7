"""What every proxy checks before it routes a request (RFC 3261 §16.3, digest §15)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ims_core.nodes.decision import Reject
from ims_core.wire.sip.address_headers import Via
from ims_core.wire.sip.core_headers import MaxForwards, ProxyRequire, Require
from ims_core.wire.sip.header import TokenList
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import OtherUri

__all__ = [
    "DEFAULT_MAX_FORWARDS",
    "check_request",
    "check_required_here",
    "is_same_place",
    "max_forwards_below",
    "own_branches",
]

DEFAULT_MAX_FORWARDS = 70  # RFC 3261 §16.6 step 3
_BELOW = ("0", *[str(value) for value in range(255)])  # what each Max-Forwards becomes


def check_request(
    request: Request, own_sent_by: Collection[str], supported: frozenset[str], sent: Mapping[str, Request]
) -> Reject | None:
    """What to refuse *request* with, or None. *own_sent_by* are the own ``host:port`` of Via, in lower case; *sent* are
    the requests that are being proxied, as they came, by the branches that they went out with.

    Raises SipParseError for a malformed header on the way."""
    if isinstance(request.request_uri, OtherUri):
        return Reject(416)
    forwards = request.get(MaxForwards)
    if forwards is not None and forwards.value == 0:
        return Reject(483)
    for branch in own_branches(request, own_sent_by) if sent else ():
        before = sent.get(branch)
        if before is not None and is_same_place(request, before):
            return Reject(482)
    return _check_required(request, ProxyRequire, supported) if "proxy-require" in request.shape.first else None


def check_required_here(request: Request, supported: frozenset[str]) -> Reject | None:
    """What to refuse a request with that this node itself answers as UAS (RFC 3261 §8.2.2.3), or None.

    Raises SipParseError."""
    return _check_required(request, Require, supported)


def _check_required(request: Request, header: type[TokenList], supported: frozenset[str]) -> Reject | None:
    required = request.get(header)
    unknown = [] if required is None else [tag for tag in required.tokens if tag.lower() not in supported]
    if unknown and request.method not in ("ACK", "CANCEL"):
        return Reject(420, headers=(("Unsupported", ", ".join(unknown)),))
    return None


def max_forwards_below(request: Request) -> str:
    """Max-Forwards for the next hop: one less, or 70 where there was none. Raises SipParseError."""
    forwards = request.get(MaxForwards)
    return str(DEFAULT_MAX_FORWARDS) if forwards is None else _BELOW[forwards.value]


def is_same_place(one: Request, other: Request) -> bool:
    """Whether two copies of a request were to go to the same place: then the second is a loop, else a spiral
    (RFC 3261 §16.3 step 4, RFC 5393 §4.2)."""
    return one.request_uri_text == other.request_uri_text and one.texts("Route") == other.texts("Route")


def own_branches(request: Request, own_sent_by: Collection[str]) -> list[str]:
    """The branches of Via entries that this node put there: the request was here before."""
    for text in request.texts("Via"):
        for own in own_sent_by:
            if own in text:
                return [via.branch or "" for via in request.get_all(Via) if via.sent_by in own_sent_by]
    return []
