"""What crosses the border between carriers, and what stays (digest §17.1; TS 24.229 §5.10, RFC 3325)."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.nodes.header_group import HeaderGroup
from ims_core.nodes.number_table import NumberTable
from ims_core.wire.sip.address_headers import PAssertedIdentity
from ims_core.wire.sip.core_headers import Event
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.ims_headers import PChargingVector
from ims_core.wire.sip.message import Request, Response, SipMessage
from ims_core.wire.sip.uri import SipUri, TelUri, Uri, tel_of_sip

__all__ = ["NniPeer", "clean_request", "clean_response", "hide_user_agent", "identity_fault", "is_forbidden"]

_NEVER_CROSSES = HeaderGroup(
    *("P-Preferred-Identity", "P-Preferred-Service", "P-Charging-Function-Addresses", "P-Access-Network-Info"),
    *("P-Visited-Network-ID", "P-Served-User", "P-Called-Party-ID", "Path", "Service-Route", "P-Associated-URI"),
    *("Security-Client", "Security-Server", "Security-Verify", "Authorization", "Proxy-Authorization"),
)
_USER_AGENT = HeaderGroup("User-Agent", "Server")
_SMS = "application/vnd.3gpp.sms"
_FORBIDDEN_METHODS = frozenset(("REGISTER", "PUBLISH"))
_EVENT_METHODS = frozenset(("SUBSCRIBE", "NOTIFY"))
_FORBIDDEN_EVENTS = frozenset(("presence", "reg"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NniPeer:
    """Another carrier: its home domain, the *hosts* that its requests come from, and the host name of its border
    (``ibcf.<domain>`` by default), which the name service knows.

    Toward a peer that is not *is_trusted* a user who asks for privacy loses his P-Asserted-Identity (RFC 3325 §7)."""

    domain: str
    hosts: frozenset[str]
    border: str = ""
    is_trusted: bool = True

    @property
    def border_uri(self) -> str:
        return f"sip:{self.border or f'ibcf.{self.domain}'}"


def is_forbidden(request: Request) -> bool:
    """Whether a request may not cross at all: registration, presence, reg event, SMS (which goes SMSC to SMSC).

    Raises SipParseError."""
    if request.method in _FORBIDDEN_METHODS:
        return True
    if request.method in _EVENT_METHODS:
        event = request.get(Event)
        return event is not None and event.package.lower() in _FORBIDDEN_EVENTS
    content_type = request.content_type if request.method == "MESSAGE" else None
    return content_type is not None and content_type.type == _SMS


def identity_fault(request: Request | Response, peer: NniPeer, numbers: NumberTable) -> bool:
    """Whether some P-Asserted-Identity is not one of the peer's: neither his domain nor his numbers (digest §15.4)."""
    if not request.has("P-Asserted-Identity"):
        return False
    return not all(_is_of(asserted.uri, peer, numbers) for asserted in request.get_all(PAssertedIdentity))


def _is_of(uri: Uri, peer: NniPeer, numbers: NumberTable) -> bool:
    if isinstance(uri, SipUri):
        host = uri.host.lower()
        if host != peer.domain and not host.endswith(f".{peer.domain}"):
            return False
    elif isinstance(uri, TelUri):
        return uri.is_global and numbers.domain_of(uri.digits) == peer.domain
    number = tel_of_sip(uri)
    return number is None or not number.is_global or numbers.domain_of(number.digits) in (peer.domain, None)


def hide_user_agent(editor: Editor[Request] | Editor[Response], message: Request | Response) -> None:
    """Takes the names of the products away, where a carrier wants that."""
    _USER_AGENT.strip(editor, message)


def clean_request(editor: Editor[Request], request: Request, *, own_domain: str, peer: NniPeer | None) -> None:
    """The header policy for a request that leaves toward *peer*, or (None) has come in."""
    _NEVER_CROSSES.strip(editor, request)
    if peer is not None and not peer.is_trusted and "id" in _privacy(request):
        editor.remove("P-Asserted-Identity")
    vector = request.text("P-Charging-Vector") if request.has("P-Charging-Vector") else None
    if vector is not None:
        editor.set("P-Charging-Vector", _crossing_vector(vector, own_domain if peer is not None else None))


def clean_response(
    editor: Editor[Response], response: Response, *, own_domain: str, to_peer: bool, icid: str | None
) -> None:
    """The header policy for a response; one that goes back to the peer says whose network answered (``term-ioi``)."""
    _NEVER_CROSSES.strip(editor, response)
    if to_peer:
        vector = response.get(PChargingVector) if response.has("P-Charging-Vector") else None
        if vector is None and icid is not None:
            editor.append("P-Charging-Vector", f"{icid};term-ioi={own_domain}")
        elif vector is not None:
            params = vector.params.without("icid-generated-at").with_("term-ioi", own_domain)
            editor.set(PChargingVector(params))


def _crossing_vector(text: str, orig_ioi: str | None) -> str:
    """P-Charging-Vector without what is the own network's, and with its name where it leaves. Raises SipParseError."""
    if '"' in text or not text.startswith("icid-value="):
        params = PChargingVector.parse(text).params.without("icid-generated-at")
        return str(PChargingVector(params if orig_ioi is None else params.with_("orig-ioi", orig_ioi)))
    gone = ("icid-generated-at",) if orig_ioi is None else ("icid-generated-at", "orig-ioi")
    kept = [each for each in text.split(";") if each.partition("=")[0].strip().lower() not in gone]
    return ";".join(kept if orig_ioi is None else [*kept, f"orig-ioi={orig_ioi}"])


def _privacy(message: SipMessage) -> list[str]:
    return (message.text("Privacy") or "").lower().replace(";", " ").replace(",", " ").split()
