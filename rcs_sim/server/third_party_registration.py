"""Third-party REGISTER of the S-CSCF (TS 24.229 §5.4.1.7): who is registered, with which devices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import Contact, Expires, FeatureSet, To
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sip.uri import SipUri, parse_uri
from rcs_sim.server.device_capabilities import NO_FEATURES, features_of_text, text_of
from rcs_sim.server.served_users import key_of_uri
from rcs_sim.wire.multipart import Multipart, MultipartParseError

__all__ = ["Binding", "ThirdPartyRegistration", "read_third_party_registration"]

_DEFAULT_EXPIRES_S = 3600
_MAX_BINDINGS = 64  # of one user; the S-CSCF itself allows fewer


@dataclass(frozen=True, slots=True)
class Binding:
    """One Contact. *instance* is empty where there is no `+sip.instance`; *features* is None where nobody said them;
    *call_id* is that of the message it was in."""

    instance: str
    gruu: str
    contact: str
    user_agent: str
    expires_s: int
    features: FeatureSet | None
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class ThirdPartyRegistration:
    """What the S-CSCF reports of the user with the identity key *user*.

    *is_over*: no device is left. *registering* is the binding that the embedded REGISTER made, refreshed or (with 0
    seconds) removed; *bindings* are all that the embedded 200 lists; None where that response was not embedded."""

    user: str
    is_over: bool
    registering: tuple[Binding, ...]
    bindings: tuple[Binding, ...] | None


def read_third_party_registration(request: Request) -> ThirdPartyRegistration:
    """Raises SipParseError if To or Expires cannot be read. An embedded message that cannot be read is left out."""
    expires = request.get(Expires)
    seconds = _DEFAULT_EXPIRES_S if expires is None else expires.seconds
    register, response = _embedded(request)
    registering = _bindings_of(register, seconds) if register is not None else ()
    bindings = None if response is None else _bindings_of(response, seconds)
    return ThirdPartyRegistration(key_of_uri(request.require(To).uri), seconds == 0, registering, bindings)


def _embedded(request: Request) -> tuple[Request | None, Response | None]:
    """The UE's REGISTER and its 200, whichever are there."""
    register, response = None, None
    for octets in _embedded_octets(request):
        try:
            message = parse_datagram(octets.lstrip(b"\r\n"))
        except SipParseError:
            continue
        if isinstance(message, Response):
            response = message if 200 <= message.status < 300 else response
        elif message.method == "REGISTER":
            register = message
    return register, response


def _embedded_octets(request: Request) -> Iterable[bytes]:
    content_type = request.text("Content-Type") or ""
    if content_type.lower().startswith("message/sip"):
        return [request.body]
    try:
        parts = Multipart.parse(content_type, request.body).walk()
        return [part.body for part in parts if part.content_type.essence == "message/sip"]
    except MultipartParseError:
        return []


def _bindings_of(message: Request | Response, default_s: int) -> tuple[Binding, ...]:
    try:
        header = message.get(Expires)
        contacts = message.get_all(Contact)[:_MAX_BINDINGS]
    except SipParseError:
        return ()
    seconds = default_s if header is None else header.seconds
    user_agent = message.text("User-Agent") or "" if isinstance(message, Request) else ""
    call_id = message.text("Call-ID") or ""
    return tuple(_binding(contact, seconds, user_agent, call_id) for contact in contacts)


def _binding(contact: Contact, default_s: int, user_agent: str, call_id: str) -> Binding:
    features = FeatureSet.of_contact(contact).without("+sip.instance") or NO_FEATURES
    return Binding(
        contact.instance or "",
        _sound_uri(contact.params.get("pub-gruu") or ""),
        str(contact.uri),
        user_agent,
        default_s if contact.expires is None else contact.expires,
        features_of_text(text_of(features)) if features else None,
        call_id,
    )


def _sound_uri(text: str) -> str:
    """*text* if it is a SIP URI, else nothing: it becomes a Request-URI."""
    try:
        return text if text and isinstance(parse_uri(text), SipUri) else ""
    except SipParseError:
        return ""
