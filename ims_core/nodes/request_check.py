"""What every proxy checks before it routes a request (RFC 3261 §16.3, digest §15)."""

from __future__ import annotations

import zlib
from collections.abc import Collection

from ims_core.nodes.decision import Reject
from ims_core.wire.sip.address_headers import Via
from ims_core.wire.sip.core_headers import MaxForwards, ProxyRequire
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import OtherUri

__all__ = ["DEFAULT_MAX_FORWARDS", "check_request", "loop_mark", "max_forwards_below"]

DEFAULT_MAX_FORWARDS = 70  # RFC 3261 §16.6 step 3


def check_request(request: Request, own_sent_by: Collection[str], supported: frozenset[str]) -> Reject | None:
    """What to refuse *request* with, or None. *own_sent_by* are the own ``host:port`` of Via, in lower case.

    Raises SipParseError for a malformed header on the way."""
    if isinstance(request.request_uri, OtherUri):
        return Reject(416)
    forwards = request.text("Max-Forwards")
    if forwards is not None and forwards != "70" and MaxForwards.parse(forwards).value == 0:
        return Reject(483)
    if _is_loop(request, own_sent_by):
        return Reject(482)
    required = request.get(ProxyRequire) if request.has("Proxy-Require") else None
    unknown = [] if required is None else [tag for tag in required.tokens if tag.lower() not in supported]
    if unknown and request.method not in ("ACK", "CANCEL"):
        return Reject(420, headers=(("Unsupported", ", ".join(unknown)),))
    return None


def max_forwards_below(request: Request) -> str:
    """Max-Forwards for the next hop: one less, or 70 where there was none. Raises SipParseError."""
    text = request.text("Max-Forwards")
    return str(DEFAULT_MAX_FORWARDS if text is None else MaxForwards.parse(text).value - 1)


def loop_mark(request: Request) -> str:
    """Fingerprint of what routes a request: it comes back the same only in a loop (RFC 3261 §16.6 step 8).

    It ends the branch of the own Via. A spiral (another Request-URI or Route) has another mark."""
    text = "\n".join((request.request_uri_text, *request.texts("Route")))
    return f"{zlib.crc32(text.encode('utf-8', 'surrogateescape')):08x}"


def _is_loop(request: Request, own_sent_by: Collection[str]) -> bool:
    texts = request.texts("Via")
    if not any(own in text.lower() for text in texts for own in own_sent_by):
        return False
    mark = loop_mark(request)
    return any(via.sent_by in own_sent_by and (via.branch or "").endswith(mark) for via in request.get_all(Via))
