"""Requests that the messaging server makes: of those it received, and on behalf of a user (digest §15.5, §16, §19).

A stateful UA-like relay: new Call-ID, same identities, same Conversation-ID and Contribution-ID, same body."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime

from ims_core.errors import LocalProtocolError
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.grammar import SipParseError, quote
from ims_core.wire.sip.headers import MaxForwards, Route
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import TelUri, Uri, parse_uri, tel_of_sip
from rcs_sim.server.device_capabilities import CPM_MSG
from rcs_sim.server.device_registry import Device
from rcs_sim.server.messaging_config import CpimFrom
from rcs_sim.server.pager_content import ContentKind, PagerContent
from rcs_sim.wire.cpim import ANONYMOUS_URI, CORE, CpimMessage, CpimParseError, compose_cpim
from rcs_sim.wire.cpim_header import USUAL_PREFIXES, write_header

__all__ = [
    "accept_contact_of",
    "aim",
    "as_service",
    "conversation_id",
    "copied_headers",
    "cpim_for_client",
    "ids_of",
    "make_request",
    "max_forwards_of",
    "name_service",
    "relay",
    "rfc3339",
    "route_of_dialog",
    "supply_ids",
    "to_device",
    "wrap_bare_body",
]

_ALWAYS_STRIPPED = (
    "Via",
    "Route",
    "Record-Route",
    "Contact",
    "P-Preferred-Identity",
    "P-Preferred-Service",
    "P-Served-User",
    "P-Called-Party-ID",
    "Authorization",
    "Proxy-Authorization",
)
_NOT_COPIED = frozenset(
    ("via", "from", "to", "call-id", "cseq", "content-length", "content-type", "record-route", "route", "contact")
)
_DEFAULT_MAX_FORWARDS = 70
_BLANK_LINE = re.compile(rb"\n\r?\n")


def max_forwards_of(request: Request) -> int:
    """Hops that are left; 70 if the header is missing or unreadable."""
    try:
        found = request.get(MaxForwards)
    except SipParseError:
        return _DEFAULT_MAX_FORWARDS
    return _DEFAULT_MAX_FORWARDS if found is None else found.value


def route_of_dialog(request: Request) -> str | None:
    """The Route value below our own: the S-CSCF with its original dialog identifier (digest §15.3). None if absent."""
    try:
        routes = request.get_all(Route)
    except SipParseError:
        return None
    return str(routes[1]) if len(routes) > 1 else None


def relay(request: Request, tokens: Tokens, domain: str, *, strip: tuple[str, ...] = ()) -> Editor[Request]:
    """*request* as it leaves this server, but for its Route: a new Call-ID, one hop less, and without what concerned
    the hops before."""
    return (
        request.edit()
        .remove(*_ALWAYS_STRIPPED, *strip)
        .set("Call-ID", f"{tokens.word()}@{domain}")
        .set("Max-Forwards", str(max(0, max_forwards_of(request) - 1)))
    )


def supply_ids(request: Request, editor: Editor[Request], parties: tuple[str, str], tokens: Tokens) -> None:
    """Conversation-ID and Contribution-ID for a client that sent none. The first is the same for both directions of a
    pair of users, the second is new (digest §4.2; real clients, row 9)."""
    if not request.has("Conversation-ID"):
        editor.set("Conversation-ID", conversation_id(parties))
    if not request.has("Contribution-ID"):
        editor.set("Contribution-ID", tokens.uuid())


def ids_of(request: Request, parties: tuple[str, str]) -> tuple[HeaderInput, ...]:
    """Conversation-ID of a request, the one that `supply_ids` gives if it has none."""
    return (("Conversation-ID", request.text("Conversation-ID") or conversation_id(parties)),)


def conversation_id(parties: tuple[str, str]) -> str:
    """A UUID that stands for a pair of identity keys."""
    digest = hashlib.sha256("\0".join(sorted(parties)).encode("utf-8", "surrogateescape")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def to_device(
    template: Request, *, identity: str, device: Device, route: str, call_id: str, body: bytes | None = None
) -> Request:
    """A copy of *template* for one device (digest §19.2 step 9, §19.4 step 4)."""
    editor = aim(template.edit(), device, identity).push("Route", route).set("Call-ID", call_id)
    return editor.done() if body is None else editor.body(body).done()


def aim(editor: Editor[Request], device: Device, identity: str) -> Editor[Request]:
    """Sends a request to one device: by its pub-gruu; without one by the *identity* of its user, and by its instance id
    if it has that (digest §9.5). One that has neither gets what those that have one may not take (RFC 3841 §7.2.3)."""
    editor.request_uri(device.gruu or identity)
    if device.instance and not device.gruu:
        editor.append("Accept-Contact", f"*;{_instance_tag(device.instance)};require;explicit")
    for other in () if device.instance else device.others:
        editor.append("Reject-Contact", f"*;{_instance_tag(other)}")
    return editor


def _instance_tag(instance: str) -> str:
    return f"+sip.instance={quote(f'<{instance}>')}"


def cpim_for_client(octets: bytes, mode: CpimFrom, sender: Uri | None) -> bytes | None:
    """The body with the asserted identity in CPIM From and the usual prefixes, for clients that need it (real clients,
    row 6). None if it stays as it is."""
    if mode is CpimFrom.KEEP or sender is None:
        return None
    try:
        cpim = CpimMessage.parse(octets).with_from(_bare(sender))
        return _with_usual_prefixes(cpim) or cpim.raw
    except (CpimParseError, LocalProtocolError):
        return None


def _bare(uri: Uri) -> str:
    return f"tel:{uri.digits}" if isinstance(uri, TelUri) else str(uri)


def _with_usual_prefixes(cpim: CpimMessage) -> bytes | None:
    """The headers written again with the prefix ``imdn`` if they have another one. Raises LocalProtocolError."""
    end = _BLANK_LINE.search(cpim.raw)
    if end is None or b"imdn.Message-ID:" in cpim.raw[: end.start()] or cpim.message_id is None:
        return None
    prefixes, declared = {CORE: ""}, ""
    for namespace in dict.fromkeys(header.namespace for header in cpim.headers if header.namespace != CORE):
        prefix = USUAL_PREFIXES.get(namespace, f"n{len(prefixes)}")
        prefixes[namespace] = f"{prefix}."
        declared += f"NS: {prefix} <{namespace}>\r\n"
    lines = [f"{prefixes[header.namespace]}{write_header(header)}\r\n" for header in cpim.headers]
    lines.insert(next(at for at, header in enumerate(cpim.headers) if header.namespace != CORE), declared)
    return f"{''.join(lines)}\r\n".encode() + cpim.raw[end.end() :]


def wrap_bare_body(editor: Editor[Request], content: PagerContent, tokens: Tokens, now: float) -> None:
    """Puts the bare body of a plain SIP client into CPIM, so that servers and phones of RCS take it (real clients, row
    6 and linphonec)."""
    is_receipt = content.kind is ContentKind.RECEIPT
    octets = compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=tokens.uuid(),
        date_time=rfc3339(now),
        body=content.body,
        content_type=content.media_type,
        content_disposition="notification" if is_receipt else None,
    )
    editor.remove("Content-Encoding", "Content-Disposition").body(octets, "message/cpim")


def name_service(request: Request, editor: Editor[Request], icsi: str) -> None:
    """P-Asserted-Service and Accept-Contact for a client that named no service, so that the other side's criteria see
    what it is."""
    if not request.has("P-Asserted-Service") and not request.has("Accept-Contact"):
        editor.set("P-Asserted-Service", icsi).set("Accept-Contact", accept_contact_of(icsi))


def accept_contact_of(icsi: str) -> str:
    """Accept-Contact for a service (digest §4.2)."""
    return f'*;+g.3gpp.icsi-ref="{icsi.replace(":", "%3A")}"'


def make_request(
    *,
    target: Uri,
    sender: str,
    is_registered: bool,
    body: bytes,
    route: str,
    tokens: Tokens,
    domain: str,
    icsi: str = CPM_MSG,
    ids: tuple[HeaderInput, ...] = (),
) -> Request:
    """A MESSAGE that this server sends on behalf of its user *sender* (digest §16): receipts, revoke responses.

    Where no device of the user is registered the header says so (choice): else the S-CSCF refuses it as that of an
    unregistered originator (digest §15.3)."""
    return Request.new(
        "MESSAGE",
        target,
        (
            ("Route", route),
            ("Max-Forwards", str(_DEFAULT_MAX_FORWARDS)),
            ("From", f"<{sender}>;tag={tokens.word(48)}"),
            ("To", f"<{target}>"),
            ("Call-ID", f"{tokens.word()}@{domain}"),
            ("CSeq", "1 MESSAGE"),
            ("P-Served-User", f"<{sender}>;sescase=orig;regstate={'reg' if is_registered else 'unreg'}"),
            ("P-Asserted-Identity", f"<{sender}>"),
            ("P-Asserted-Service", icsi),
            ("Accept-Contact", accept_contact_of(icsi)),
            *ids,
        ),
        body,
        "message/cpim",
    )


def as_service(request: Request, service: str, identity: str) -> Request:
    """*request* of this server itself, in the name of a user: by its own *service* identity, so that no criteria of the
    user bring it back here (digest §16). It asserts the number beside the user's *identity*, as the S-CSCF would."""
    editor = request.edit().set("P-Served-User", f"<{service}>;sescase=orig;regstate=reg")
    tel = tel_of_sip(parse_uri(identity))
    if tel is not None and tel.is_global and not identity.startswith("tel:"):
        editor.append("P-Asserted-Identity", f"<tel:{tel.digits}>")
    return editor.done()


def copied_headers(response: Response) -> tuple[HeaderInput, ...]:
    """The headers of an answer that go on to the other side of the relay."""
    names = response.names()
    if len(names) == len(_NOT_COPIED.intersection(names)):
        return ()
    return tuple(field for name, field in zip(names, response.fields(), strict=True) if name not in _NOT_COPIED)


def rfc3339(now: float) -> str:
    """*now* as RFC 3339 timestamp in UTC, in milliseconds."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
