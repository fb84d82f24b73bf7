"""REGISTER through the P-CSCF (TS 24.229 §5.2.2): what is added on the way in, and what its answers leave here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ims_core.nodes.decision import Decision, Forward, Persist, Reject, ResponseHook, Target
from ims_core.nodes.flow_tokens import FlowKey
from ims_core.nodes.header_group import HeaderGroup
from ims_core.nodes.request_check import max_forwards_below
from ims_core.nodes.security_agreement import asks_for_agreement, strip_agreement
from ims_core.store.bindings import StoredAccess
from ims_core.transport.link import Flow, Transport
from ims_core.transport.sip_stack import Hop, Outcome
from ims_core.wire.sip.address_headers import Contact, PAssociatedUri, ServiceRoute, To, Via
from ims_core.wire.sip.auth_headers import Authorization, WwwAuthenticate
from ims_core.wire.sip.core_headers import Expires
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import SipUri

if TYPE_CHECKING:
    from ims_core.nodes.pcscf_core import PcscfCore

__all__ = ["contact_id", "route_register"]

# What a UE may not tell the home network about itself: the P-CSCF says it (TS 24.229 §5.2.2)
_FORGEABLE = ("Route", "Path", "P-Charging-Vector", "P-Charging-Function-Addresses", "P-Visited-Network-ID",
              "P-Asserted-Identity", "P-Asserted-Service", "P-Served-User")  # fmt: skip
_TO_CORE_ONLY = HeaderGroup("P-Charging-Vector", "P-Charging-Function-Addresses")


def route_register(core: PcscfCore, request: Request, flow: Flow, now: float) -> Decision:
    """Sends a REGISTER of a UE to the I-CSCF of its home domain. Raises SipParseError."""
    if not core.serves_domain(request.request_uri):
        return Reject(504)  # no way to that home network
    if request.has("Security-Client") or request.has("Security-Verify") or core.config.requires_agreement:
        refusal, server, is_protected = _agree(core, request, flow, now)
        if refusal is not None:
            return refusal
    else:
        server, is_protected = "", False
    flow_key = core.flows.key_of(flow)
    token = core.flows.token_of(flow_key)
    editor = request.edit().set("Max-Forwards", max_forwards_below(request)).remove(*_FORGEABLE)
    editor.push("Path", f"<{core.own.uri(token, ';lr;ob')}>")
    editor.append("P-Visited-Network-ID", f'"{core.config.home_domain}"')
    editor.append("P-Charging-Vector", f"icid-value={core.new_icid()}")
    strip_agreement(editor, request)
    _require_path(editor, request)
    authorization = request.get(Authorization)
    if authorization is not None and authorization.is_digest:
        offers_agreement = request.has("Security-Client")
        protection = _protection(core, authorization, flow, flow_key, is_protected, offers_agreement)
        editor.set(authorization.with_("integrity-protected", protection))
    hook = _RegisterHook(core, request, flow_key, token, flow, server)
    return Forward((Target(editor.done(), Hop(address=core.config.icscf)),), hook)


def _agree(core: PcscfCore, request: Request, flow: Flow, now: float) -> tuple[Reject | None, str, bool]:
    """Refusal, Security-Server for the 401, and whether Security-Verify was right."""
    if not request.has("Security-Client") and not request.has("Security-Verify"):
        return Reject(421, headers=(("Require", "sec-agree"),)), "", False
    if not asks_for_agreement(request):
        return Reject(400, "sec-agree is not in Require"), "", False
    verdict = core.agreements.examine_register(core.flows.key_of(flow), request, now)
    if verdict.status is not None:
        return Reject(verdict.status, headers=(("Security-Server", verdict.server),)), "", False
    return None, verdict.server, verdict.is_protected


def _require_path(editor: Editor[Request], request: Request) -> None:
    """Require: path, beside what the UE requires but sec-agree (RFC 3327 §5.1)."""
    required = [token for text in request.texts("Require") for token in text.replace(",", " ").split()]
    kept = [token for token in required if token.lower() not in ("sec-agree", "path")]
    editor.set("Require", ", ".join([*kept, "path"]))


def _protection(
    core: PcscfCore,
    authorization: Authorization,
    flow: Flow,
    flow_key: FlowKey,
    is_protected: bool,
    offers_agreement: bool,
) -> str:
    """The integrity-protected parameter (TS 24.229 §5.2.2): how the leg to the UE is secured.

    A REGISTER that offers ipsec-3gpp is of AKA, whether or not its empty credentials say so."""
    if is_protected:
        return "yes"
    is_known = core.accesses.is_registered_flow(flow_key)
    if flow.remote.transport is Transport.TLS:
        return "tls-yes" if is_known else "tls-connected"
    if offers_agreement or (authorization.get("algorithm") or "").upper().startswith("AKA"):
        return "no"
    return "ip-assoc-yes" if is_known else "ip-assoc-pending"


@dataclass(frozen=True, slots=True)
class _RegisterHook(ResponseHook):
    core: PcscfCore
    request: Request
    flow_key: FlowKey
    token: str
    flow: Flow
    security_server: str
    writes: list[Persist] = field(default_factory=list)

    def take_writes(self) -> tuple[Persist, ...]:
        writes = tuple(self.writes)
        self.writes.clear()
        return writes

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        _TO_CORE_ONLY.strip(editor, response)
        if response.status == 401:
            self._forward_challenge(editor, response)
        elif 200 <= response.status < 300:
            self._promise_pongs(editor, response)
            self._note(response)

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        """No answer from home is 504 (TS 24.229 §5.2.2)."""
        return None if isinstance(outcome, Response) else Reject(504)

    def _forward_challenge(self, editor: Editor[Response], response: Response) -> None:
        challenges = [each.without("ck", "ik") for each in response.get_all(WwwAuthenticate)]
        editor.remove("WWW-Authenticate")
        for challenge in challenges:
            editor.append(challenge)
        if self.security_server:
            editor.append("Security-Server", self.security_server)

    def _promise_pongs(self, editor: Editor[Response], response: Response) -> None:
        """A UE that offered ``keep`` learns how often to send its keep-alives (RFC 6223 §4.3)."""
        via = self.request.top_via
        if via.params.has("keep") and not via.params.get("keep"):
            kept = Via(via.transport, via.host, via.port, via.params.with_("keep", str(self.core.config.keep_s)))
            editor.pop(Via).push(kept)

    def _note(self, response: Response) -> None:
        """Stores or removes what the 200 says about this UE's contacts."""
        core, now = self.core, self.core.now()
        impus = tuple(str(each.uri) for each in response.get_all(PAssociatedUri))
        impus = impus or (str(self.request.require(To).uri),)
        contacts = self.request.get_all(Contact)
        if any(contact.is_wildcard for contact in contacts):
            return core.drop_accesses(self.flow_key, impus[0], None)
        granted = response.get_all(Contact)
        for contact in contacts:
            lifetime_s = self._lifetime_s(contact, granted, response)
            if lifetime_s <= 0:
                core.drop_accesses(self.flow_key, impus[0], contact)
            else:
                record = self._record(contact, impus, response, now + lifetime_s)
                write = core.register(record, self.flow_key)
                self.writes.extend(() if write is None else (write,))
        return None

    def _record(self, contact: Contact, impus: tuple[str, ...], response: Response, until: float) -> StoredAccess:
        remote = self.flow.remote
        return StoredAccess(
            token=self.token,
            contact_id=contact_id(impus[0], contact),
            transport=remote.transport.value,
            remote_host=remote.host,
            remote_port=remote.port,
            contact=str(contact.uri),
            impus=impus,
            service_route=", ".join(str(route) for route in response.get_all(ServiceRoute)),
            expires_at=until,
            has_outbound=contact.reg_id is not None and contact.instance is not None,
        )

    def _lifetime_s(self, contact: Contact, granted: tuple[Contact, ...], response: Response) -> int:
        """Seconds that the registrar gave this contact; 0 if its binding is gone."""
        for each in granted:
            if each.uri == contact.uri or each.uri.same_as(contact.uri):
                if each.expires is not None:
                    return each.expires
                expires = response.get(Expires)
                return 3600 if expires is None else expires.seconds  # RFC 3261 §10.3 step 7
        return 0


def contact_id(impu: str, contact: Contact) -> str:
    """What tells one UE's registration from those of the user's other devices."""
    uri = contact.uri
    place = f"{uri.user}@{uri.host}:{uri.port}" if isinstance(uri, SipUri) else str(uri)
    return f"{impu} {contact.instance or place}"
