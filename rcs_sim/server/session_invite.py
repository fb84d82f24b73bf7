"""INVITEs that the messaging server reads and makes (digest §4.2, §4.5, §15.5, §19.3)."""

from __future__ import annotations

from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.feature_tags import AcceptContact
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import Contact, From, PAssertedService
from ims_core.wire.sip.message import HeaderInput, Request, Response
from rcs_sim.server.device_capabilities import CPM_LARGE, CPM_SESSION
from rcs_sim.server.device_registry import Device
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.relayed_request import accept_contact_of, aim, copied_headers, name_service, relay, supply_ids

__all__ = [
    "instance_of",
    "invite_for_device",
    "invite_for_message",
    "is_large",
    "is_of_group",
    "leg_headers",
    "onward_invite",
    "services_of",
    "session_ids",
    "with_ids",
]

_ICSI_TAG = "+g.3gpp.icsi-ref"
_OF_ONE_LEG = (  # each leg has its own
    "Session-Expires",
    "Min-SE",
    "Supported",
    "Require",
    "Proxy-Require",
    "Allow",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "MIME-Version",
    "Accept",
    "Accept-Encoding",
    "Request-Disposition",  # no-fork would forbid what a terminating function does
    "Expires",
    "Replaces",
    "Join",
)
_ANSWERS_OF_ONE_LEG = frozenset((*(name.lower() for name in _OF_ONE_LEG), "rseq", "unsupported", "path"))
_IDS = ("Conversation-ID", "Contribution-ID", "InReplyTo-Contribution-ID")


def services_of(request: Request) -> frozenset[str]:
    """The CPM services that a request is for, in lower case: P-Asserted-Service, else Accept-Contact (digest §17.1)."""
    try:
        named = [value.urn for value in request.get_all(PAssertedService)]
        if not named:
            accepted = request.get_all(AcceptContact)
            named = [
                value for accept in accepted for tag, values in accept.terms if tag == _ICSI_TAG for value in values
            ]
    except SipParseError:
        return frozenset()
    return frozenset(urn.lower() for urn in named if "oma.cpm." in urn.lower())


def is_large(request: Request) -> bool:
    """Whether the INVITE is for one large message (digest §4.1)."""
    services = services_of(request)
    return CPM_LARGE in services and CPM_SESSION not in services


def is_of_group(request: Request) -> bool:
    """Whether it comes from a conference focus (RFC 4579 §4.3)."""
    return any(";isfocus" in contact.lower().replace(" ", "") for contact in request.texts("Contact"))


def instance_of(request: Request) -> str:
    """The device that a request comes from, by `+sip.instance` of its Contact; empty if it does not say."""
    try:
        contact = request.get(Contact)
    except SipParseError:
        return ""
    text = None if contact is None else contact.params.get("+sip.instance")
    return (text or "").strip('"').removeprefix("<").removesuffix(">")


def session_ids(request: Request) -> tuple[HeaderInput, ...]:
    """The identifiers of a session, for the messages of it that go another way."""
    return tuple((name, text) for name in _IDS if (text := request.text(name)) is not None)


def leg_headers(response: Response) -> tuple[HeaderInput, ...]:
    """What an answer says that concerns the next leg too: reasons, warnings, times, identities."""
    return tuple(
        field
        for field in copied_headers(response)
        if not isinstance(field, tuple) or field[0].lower() not in _ANSWERS_OF_ONE_LEG
    )


def with_ids(request: Request, parties: tuple[str, str], context: PartContext) -> Request:
    """*request* with the identifiers that it lacks (real clients, row 9)."""
    editor = request.edit()
    supply_ids(request, editor, parties, context.tokens)
    name_service(request, editor, CPM_SESSION)
    return editor.done()


def onward_invite(invite: Request, context: PartContext) -> Editor[Request]:
    """*invite* as the first request of the next leg, but for Route, Contact and body. Raises SipParseError."""
    sender = invite.require(From)
    tagged = From(sender.display_name, sender.uri, sender.params.with_("tag", context.tokens.word()))
    return relay(invite, context.tokens, context.config.domain, strip=_OF_ONE_LEG).set(tagged).set("CSeq", "1 INVITE")


def invite_for_device(
    invite: Request, context: PartContext, device: Device, identity: str, route: str
) -> Editor[Request]:
    """The same for one device, by its pub-gruu, or by the *identity* of its user and its instance (digest §9.5)."""
    return aim(onward_invite(invite, context), device, identity).push("Route", route)


def invite_for_message(message: Request, context: PartContext, device: Device, identity: str) -> Editor[Request]:
    """A session that this server opens to a device to hand out *message*, a MESSAGE that it cannot take as such: in the
    name of its sender, with its identifiers (digest §4.8, §19.4). Raises SipParseError."""
    sender = message.require(From)
    tagged = From(sender.display_name, sender.uri, sender.params.with_("tag", context.tokens.word()))
    asserted = tuple(("P-Asserted-Identity", text) for text in message.texts("P-Asserted-Identity"))
    request = Request.new(
        "INVITE",
        identity,
        (
            ("Max-Forwards", "70"),
            tagged,
            ("To", f"<{identity}>"),
            ("Call-ID", f"{context.tokens.word()}@{context.config.domain}"),
            ("CSeq", "1 INVITE"),
            *asserted,
            ("P-Asserted-Service", CPM_SESSION),
            ("Accept-Contact", accept_contact_of(CPM_SESSION)),
            *session_ids(message),
        ),
    )
    return aim(request.edit(), device, identity).push("Route", context.terminating_route)
