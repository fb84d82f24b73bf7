"""What a UAS looks at before it acts on a request (RFC 3261 §8.2); a proxy looks elsewhere (`nodes.request_check`).

The answer is None where the request may go on. An ACK is never answered: its sender drops what is refused here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ims_core.wire.sip.core_headers import (
    Accept,
    AcceptEncoding,
    Allow,
    AllowEvents,
    ContentDisposition,
    ContentEncoding,
    Event,
    Require,
    Unsupported,
    is_acceptable,
)
from ims_core.wire.sip.header import Header, TokenList
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import SipParseError, check

__all__ = ["STANDARD_METHODS", "Rejection", "has_own_via", "uas_check"]

# Methods that exist (IANA): one of them that is not served gets 405, another word 501 (RFC 3261 §8.2.1, §21.5.2)
STANDARD_METHODS = frozenset(
    (
        *("ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH"),
        *("REFER", "REGISTER", "SUBSCRIBE", "UPDATE"),
    )
)
_SERVED_SCHEMES = frozenset(("sip", "sips", "tel"))
_IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A final answer: *status*, the headers it must have, and the reason for the trace."""

    status: int
    reason: str
    headers: tuple[Header | tuple[str, str], ...] = ()

    def to(self, request: Request, *, to_tag: str) -> Response:
        """The response that says so."""
        return Response.to(request, self.status, to_tag=to_tag, headers=self.headers)


def uas_check(
    request: Request,
    *,
    supported: frozenset[str],
    methods: frozenset[str],
    content_types: frozenset[str],
    content_encodings: frozenset[str] = frozenset(),
    schemes: frozenset[str] = _SERVED_SCHEMES,
    events: frozenset[str] | None = None,
    answers_with: str | None = None,
) -> Rejection | None:
    """The inspection of RFC 3261 §8.2 in its order: 400, 405 or 501, 416, 420, 489, 415, 406.

    *content_types* are what is read, in lower case ("text/*" takes all of a kind); *events* the event packages, None
    where the caller looks itself; *answers_with* is the type of the body that a 2xx has to carry, if any."""
    try:
        check(request)
        return (
            _method_fault(request, methods)
            or _scheme_fault(request, schemes)
            or _extension_fault(request, Require, supported)
            or _event_fault(request, events)
            or _content_fault(request, content_types, content_encodings)
            or _accept_fault(request, answers_with)
        )
    except SipParseError as fault:
        return Rejection(fault.status, str(fault))


def has_own_via(response: Response, own_sent_by: Collection[str]) -> bool:
    """Whether a response came to the one that sent the request; others are dropped (RFC 3261 §18.1.2)."""
    return response.top_via.sent_by in own_sent_by


def _method_fault(request: Request, methods: frozenset[str]) -> Rejection | None:
    if request.method in methods:
        return None
    status = 405 if request.method in STANDARD_METHODS else 501
    return Rejection(status, f"{request.method} is not served here", (Allow(tuple(sorted(methods))),))


def _scheme_fault(request: Request, schemes: frozenset[str]) -> Rejection | None:
    scheme = request.request_uri.scheme.lower()
    return None if scheme in schemes else Rejection(416, f"scheme {scheme} in the Request-URI")


def _extension_fault(request: Request, header: type[TokenList], supported: frozenset[str]) -> Rejection | None:
    """RFC 3261 §8.2.2.3: neither ACK nor CANCEL is refused for an extension."""
    required = request.get(header)
    if required is None or request.method in ("ACK", "CANCEL"):
        return None
    unknown = tuple(token for token in required.tokens if token.lower() not in supported)
    if not unknown:
        return None
    return Rejection(420, f"{header.NAME} asks for {', '.join(unknown)}", (Unsupported(unknown),))


def _event_fault(request: Request, events: frozenset[str] | None) -> Rejection | None:
    if events is None or request.method not in ("SUBSCRIBE", "NOTIFY", "PUBLISH"):
        return None
    event = request.get(Event)
    if event is not None and event.package in events:
        return None
    reason = "no Event" if event is None else f"event package {event.package}"
    return Rejection(489, reason, (AllowEvents(tuple(sorted(events))),))


def _content_fault(request: Request, types: frozenset[str], encodings: frozenset[str]) -> Rejection | None:
    """RFC 3261 §8.2.3; a body that Content-Disposition calls optional is ignored, not refused."""
    if not request.body:
        return None
    disposition = request.get(ContentDisposition)
    if disposition is not None and (disposition.params.get("handling") or "").lower() == "optional":
        return None
    coding = request.get(ContentEncoding)
    unread = [] if coding is None else [name for name in coding.tokens if not _is_read_encoding(name, encodings)]
    if unread:
        readable = AcceptEncoding(tuple(sorted(encodings)) or (_IDENTITY,))
        return Rejection(415, f"Content-Encoding {', '.join(unread)}", (readable,))
    content_type = request.content_type
    if content_type is None:
        return Rejection(400, "a body without Content-Type (RFC 3261 §20.15)")
    if content_type.type in types or f"{content_type.type.partition('/')[0]}/*" in types:
        return None
    return Rejection(415, f"Content-Type {content_type.type}", (("Accept", ", ".join(sorted(types))),))


def _is_read_encoding(name: str, encodings: frozenset[str]) -> bool:
    return name.lower() == _IDENTITY or name.lower() in encodings


def _accept_fault(request: Request, answers_with: str | None) -> Rejection | None:
    """RFC 3261 §8.2.6, §21.4.7: without Accept, application/sdp is understood (§20.1)."""
    if answers_with is None or not request.has("Accept"):
        return None
    if is_acceptable(answers_with, request.get_all(Accept)):
        return None
    return Rejection(406, f"the answer would be {answers_with}, which Accept does not name")
