"""Decision core of the P-CSCF (TS 24.229 §5.2; digest §15.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ims_core.nodes.access_table import Access, AccessTable
from ims_core.nodes.decision import Decision, Delete, Forward, Persist, Put, Reject, ResponseHook, Target
from ims_core.nodes.dialog_table import DialogTable, ProxiedDialog
from ims_core.nodes.flow_tokens import FlowKey, FlowTable
from ims_core.nodes.header_group import HeaderGroup
from ims_core.nodes.own_address import OwnAddress, top_route
from ims_core.nodes.pcscf_config import PcscfConfig
from ims_core.nodes.pcscf_register import contact_id, route_register
from ims_core.nodes.pcscf_responses import (
    DialogHook,
    DialogToUeHook,
    InviteFromCoreHook,
    InviteHook,
    ToCoreHook,
    ToUeHook,
)
from ims_core.nodes.request_check import check_required_here, max_forwards_below
from ims_core.nodes.security_agreement import SecurityAgreements, strip_agreement
from ims_core.store.bindings import ACCESS_FLOWS, StoredAccess
from ims_core.transport.link import Address, Flow, Transport
from ims_core.transport.sip_stack import Hop
from ims_core.wire.sip.address_headers import Contact, From, PPreferredIdentity, To
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import SipUri, Uri, parse_uri

__all__ = ["PcscfCore", "PcscfEffects"]

_RECORD_ROUTED = frozenset(("INVITE", "SUBSCRIBE", "REFER"))  # requests that can make a dialog
_NEEDS_DIALOG = frozenset(("BYE", "INFO", "INVITE", "UPDATE"))
# There are none outside a dialog (RFC 3261 §15, RFC 3262 §3, RFC 3311 §5.1, RFC 6086 §4.2.1)
_ONLY_IN_DIALOG = frozenset(("BYE", "INFO", "PRACK", "UPDATE"))
# Headers by which a UE could claim what only the network may say (RFC 3325 §7, RFC 6050 §4, RFC 5502)
_FORGEABLE = HeaderGroup(
    *("P-Asserted-Identity", "P-Preferred-Identity", "P-Asserted-Service", "P-Served-User", "P-Called-Party-ID"),
    *("P-Charging-Vector", "P-Charging-Function-Addresses", "P-Visited-Network-ID", "Path"),
)
# A UE is outside the trust domain, also as to where another one is (RFC 7315 §5.4)
_NOT_FOR_UE = HeaderGroup(
    *("P-Charging-Vector", "P-Charging-Function-Addresses", "P-Served-User", "P-Visited-Network-ID"),
    "P-Access-Network-Info",
)


@dataclass(frozen=True, slots=True)
class PcscfEffects:
    """What the core asks of its shell beside decisions."""

    hop_of: Callable[[Uri], Hop | None]
    flow_to: Callable[[Address], Flow]  # the UDP flow to an address
    write: Callable[[tuple[Persist, ...]], None]
    release: Callable[[ProxiedDialog, str], None]
    rearm: Callable[[], None]


class PcscfCore:
    """Decision core. *now* is the clock of the shell; *token_key* signs flow tokens, *run* tells this run's flows."""

    supported_extensions = frozenset(("sec-agree", "path", "outbound", "gruu"))

    def __init__(
        self,
        config: PcscfConfig,
        own: OwnAddress,
        effects: PcscfEffects,
        *,
        now: Callable[[], float],
        token_key: bytes,
        run: bytes,
        icid_prefix: str,
    ) -> None:
        self.config = config
        self.own = own
        self.now = now
        self.flows = FlowTable(token_key, run)
        self.accesses = AccessTable(config.home_domain)
        self.dialogs = DialogTable()
        self.agreements = SecurityAgreements(own.primary.port)
        self.effects = effects
        self._domain = config.home_domain.lower()
        self._icid_prefix = icid_prefix
        self._icid_number = 0
        self._hops: dict[str, Hop | None] = {}
        self.to_core = ToCoreHook()

    # --- Router ------------------------------------------------------------------------------------------------------

    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        request = self.own.undo_strict_routing(request)
        is_core = flow.remote.host in self.config.core_hosts
        if request.method == "REGISTER":
            return (
                Reject(403) if is_core and self._token_of_route(request) else route_register(self, request, flow, now)
            )
        token = self._token_of_route(request)
        if is_core and token and self.flows.key_of_token(token) != self.flows.key_of(flow):
            return self._to_ue(request, token, now)
        if self._is_for_myself(request):
            return self._answer_ping(request)
        return self._from_ue(request, flow, token, now)

    def perform(self, actions: tuple[object, ...], now: float) -> None:
        """There are none."""

    def serves_domain(self, uri: Uri) -> bool:
        """Whether a REGISTER to *uri* is for this network: its domain, or this P-CSCF's own address (choice: some SIP
        clients are configured with an address only)."""
        return isinstance(uri, SipUri) and (uri.host.lower() == self._domain or self.own.is_own(uri))

    def new_icid(self) -> str:
        """Unique over all requests and runs (RFC 7315 §4.6)."""
        self._icid_number += 1
        return f"{self._icid_prefix}{self._icid_number:x}"

    # --- registrations -----------------------------------------------------------------------------------------------

    def register(self, record: StoredAccess, flow_key: FlowKey) -> Persist | None:
        """A 200 to REGISTER granted *record*. Returns what has to be stored before that 200 goes on: a registration
        over UDP, since one over a connection does not outlive this process anyway."""
        self.accesses.put(Access(record, flow_key))
        self.agreements.keep(flow_key, record.expires_at)
        self.effects.rearm()
        put = Put(ACCESS_FLOWS, record)
        if isinstance(flow_key, Address):
            return put
        self.effects.write((put,))
        return None

    def restore(self, record: StoredAccess) -> bool:
        """Takes in a registration of an earlier run. False if its flow did not outlive that: it was a connection."""
        key = self.flows.key_of_token(record.token)
        if not isinstance(key, Address) or record.expires_at <= self.now():
            return False
        self.accesses.put(Access(record, key))
        return True

    def drop_accesses(self, flow_key: FlowKey, impu: str, contact: Contact | None) -> None:
        """De-registration over a flow: of that *contact*, or (None) of every contact of the user on it."""
        wanted = None if contact is None else contact_id(impu, contact)
        address = None if contact is None else contact.uri
        for access in self.accesses.of_flow(flow_key):
            if access.default_impu != impu:
                continue
            if (
                contact is None
                or access.contact_id == wanted
                or parse_uri(access.contact).same_as(address or contact.uri)
            ):
                self.end_access(access)

    def end_access(self, access: Access) -> None:
        """A registration is over: its dialogs are released (TS 24.229 §5.2.8.1)."""
        self.accesses.remove(access.contact_id)
        if not self.accesses.is_registered_flow(access.flow_key):
            self.agreements.forget(access.flow_key)
        self.effects.write((Delete(ACCESS_FLOWS, access.contact_id),))
        for dialog in self.dialogs.drop_all_of(access.contact_id):
            self.effects.release(dialog, access.token)

    def flow_closed(self, flow: Flow) -> None:
        """A connection is over, and with it what was agreed on it. The registrations over it live on: RFC 5626 §5.3."""
        key = self.flows.close(flow)
        if key is not None:
            self.agreements.forget(key)

    def handle_deadline(self, now: float) -> None:
        """Registrations and dialogs whose time is over."""
        for access in self.accesses.pop_due(now):
            self.end_access(access)
        for dialog in self.dialogs.pop_due(now):
            self.effects.release(dialog, dialog.key[3])

    def next_deadline(self) -> float | None:
        times = (self.accesses.deadlines.next_deadline(), self.dialogs.deadlines.next_deadline())
        return min((at for at in times if at is not None), default=None)

    # --- from the UE -------------------------------------------------------------------------------------------------

    def _from_ue(self, request: Request, flow: Flow, token: str, now: float) -> Decision:
        access, identity = self._sender(request, flow)
        if access is None:
            is_stray = request.method in _ONLY_IN_DIALOG
            return Reject(481) if is_stray else Reject(403, "Not registered on this flow")
        verdict = self.agreements.examine(access.flow_key, request, now)
        if verdict.status is not None and request.method != "ACK":
            return Reject(verdict.status, headers=(("Security-Server", verdict.server),))
        if request.require(To).tag:
            return self._in_dialog_from_ue(request, access, token)
        if request.method in _ONLY_IN_DIALOG:
            return Reject(481)
        return self._initial_from_ue(request, access, identity)

    def _initial_from_ue(self, request: Request, access: Access, identity: str) -> Decision:
        hop = self._hop_to_home(access.service_route)
        if hop is None:
            return Reject(504)
        editor = request.edit().set("Max-Forwards", max_forwards_below(request))
        _FORGEABLE.strip(editor, request)
        if access.service_route:
            editor.set("Route", access.service_route)  # also for clients that send none, or a wrong one (choice)
        else:
            editor.remove("Route")
        editor.append("P-Asserted-Identity", f"<{identity}>")
        editor.append("P-Charging-Vector", f"icid-value={self.new_icid()}")
        strip_agreement(editor, request)
        if request.method in _RECORD_ROUTED:
            editor.push("Record-Route", f"<{self._record_route(access)}>")
        hook = InviteHook(self, request, access.contact_id, access.token, True) if request.method == "INVITE" else None
        return Forward((Target(editor.done(), hop),), hook or self.to_core)

    def _in_dialog_from_ue(self, request: Request, access: Access, token: str) -> Decision:
        dialog = self.dialogs.find(request, token or access.token, self.now())
        if dialog is not None and not self._is_of(dialog, access):
            return Reject(481)  # it may not learn that others have one
        if dialog is None and request.method in _NEEDS_DIALOG:
            return Reject(481)
        editor = request.edit().set("Max-Forwards", max_forwards_below(request))
        _FORGEABLE.strip(editor, request)
        strip_agreement(editor, request)
        if dialog is not None:
            # what the UE sends has to be the route set of the dialog: it is replaced by it (choice)
            routes = dialog.callee_routes if dialog.is_ue_caller else dialog.caller_routes
            editor.remove("Route")
            for route in routes:
                editor.append("Route", route)
        else:
            for _ in range(self.own.routes_on_top(request)):
                editor.pop("Route")
        if request.method in _RECORD_ROUTED:
            editor.push("Record-Route", f"<{self._record_route(access)}>")
        onward = editor.done()
        hop = self.effects.hop_of(top_route(onward) or onward.request_uri)
        if hop is None:
            return Reject(481)  # the way there is part of the dialog
        return Forward((Target(onward, hop),), self._dialog_hook(request, dialog, access.token))

    def _is_of(self, dialog: ProxiedDialog, access: Access) -> bool:
        """Whether the user of *access* takes part in it here; perhaps over another contact than when it began."""
        owner = self.accesses.get(dialog.contact_id)
        return owner is None or owner.default_impu == access.default_impu

    def _sender(self, request: Request, flow: Flow) -> tuple[Access | None, str]:
        """The registration on this flow that sent *request*, and the identity to assert: the preferred one if it is
        registered, else the default (TS 24.229 §5.2.6.3). Of several users on a flow From tells which."""
        key = self.flows.key_of(flow)
        preferred = request.get(PPreferredIdentity) if request.has("P-Preferred-Identity") else None
        if preferred is not None:
            text = str(preferred.uri)
            access = self.accesses.by_identity(key, text)
            if access is not None:
                return access, self.accesses.identity_of(access, text) or access.default_impu
        access = self.accesses.by_identity(key, str(request.require(From).uri))
        if access is None:
            on_flow = self.accesses.of_flow(key)
            access = on_flow[0] if len(on_flow) == 1 else None
        return access, "" if access is None else access.default_impu

    # --- to the UE ---------------------------------------------------------------------------------------------------

    def _to_ue(self, request: Request, token: str, now: float) -> Decision:
        key = self.flows.key_of_token(token)
        dialog = self.dialogs.find(request, token, self.now()) if request.require(To).tag else None
        access = self.accesses.get(dialog.contact_id) if dialog is not None else self._access_of(key, request)
        if access is not None and dialog is not None:
            key = access.flow_key  # the UE may have come back over another flow meanwhile
        hop = None if key is None else self.hop_to_ue(key)
        if hop is None:
            hop = self._hop_to_contact(access)
        if hop is None:
            return Reject(430)
        editor = request.edit().set("Max-Forwards", max_forwards_below(request)).pop("Route")
        _NOT_FOR_UE.strip(editor, request)
        if "id" in (request.text("Privacy") or "").lower().replace(";", " ").split():
            editor.remove("P-Asserted-Identity")  # RFC 3325 §7: the UE is outside the trust domain
        if request.method in _RECORD_ROUTED:
            editor.push("Record-Route", f"<{self.own.uri(token, ';lr', self._transport_of(key))}>")
        hook = self._hook_to_ue(request, access, dialog, token)
        return Forward((Target(editor.done(), hop),), hook)

    def _hook_to_ue(
        self, request: Request, access: Access | None, dialog: ProxiedDialog | None, token: str
    ) -> ResponseHook:
        called = request.text("P-Called-Party-ID")
        if request.method == "INVITE" and dialog is None and access is not None:
            return InviteFromCoreHook(self, request, access.contact_id, token, False, called)
        if dialog is not None:
            return DialogToUeHook(self, request, access, token, called)
        return ToUeHook(self, request, access, called)

    def _access_of(self, key: FlowKey | None, request: Request) -> Access | None:
        """The registration that a terminating request is for: of several on the flow the one with that contact."""
        on_flow = () if key is None else self.accesses.of_flow(key)
        if len(on_flow) > 1:
            target = request.request_uri_text
            return next((access for access in on_flow if access.contact == target), None)
        return on_flow[0] if on_flow else None

    def hop_to_ue(self, key: FlowKey) -> Hop | None:
        flow = self.effects.flow_to(key) if isinstance(key, Address) else self.flows.connection(key)
        return Hop(flow=flow) if flow is not None and flow.is_open else None

    def _hop_to_contact(self, access: Access | None) -> Hop | None:
        """Where a UE without outbound listens, once its connection is gone (RFC 3261 §18.2.2 in spirit; choice).

        Only at the host that it registered from: a Contact may not point the P-CSCF at somebody else."""
        if access is None or access.has_outbound:
            return None
        uri = parse_uri(access.contact)
        if not isinstance(uri, SipUri) or uri.address != access.remote.host:
            return None
        port = uri.port or 5060
        return None if port == access.remote.port else Hop(address=Address(access.remote.transport, uri.address, port))

    # --- small questions ---------------------------------------------------------------------------------------------

    def _token_of_route(self, request: Request) -> str:
        """The flow token in an own top Route; "" if there is none."""
        uri = top_route(request)
        return uri.user or "" if uri is not None and self.own.is_own(uri) else ""

    def _is_for_myself(self, request: Request) -> bool:
        if request.method != "OPTIONS" or request.request_uri_text.find("@") >= 0:
            return False
        return self.own.is_own(request.request_uri)

    def _answer_ping(self, request: Request) -> Decision:
        """OPTIONS to the P-CSCF itself, by which SIP clients keep a flow alive (RFC 3261 §11.2)."""
        refusal = check_required_here(request, self.supported_extensions)
        if refusal is not None:
            return refusal
        return Reject(200, headers=(("Allow", "REGISTER, OPTIONS"), ("Supported", "path, outbound, gruu")))

    def _record_route(self, access: Access) -> str:
        return self.own.uri(access.token, ";lr", self._transport_of(access.flow_key))

    def _transport_of(self, key: FlowKey | None) -> Transport:
        """The transport that the UE can use toward this node; the core can use any."""
        if isinstance(key, Address):
            return key.transport
        flow = None if key is None else self.flows.connection(key)
        return Transport.TCP if flow is None else flow.remote.transport

    def _hop_to_home(self, service_route: str) -> Hop | None:
        """First hop of a Service-Route. There are few different ones."""
        hop = self._hops.get(service_route)
        if hop is None and service_route:
            first = Contact.parse(service_route.partition(",")[0])
            hop = self._hops[service_route] = self.effects.hop_of(first.uri)
        return hop if hop is not None or service_route else Hop(address=self.config.icscf)

    def _dialog_hook(self, request: Request, dialog: ProxiedDialog | None, token: str) -> ResponseHook:
        return self.to_core if dialog is None else DialogHook(self, request, dialog.key[3] or token)
