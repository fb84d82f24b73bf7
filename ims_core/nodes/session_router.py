"""Sessions and standalone requests through an S-CSCF (TS 24.229 §5.4.3; digest §15.3, §16)."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.cx import Cx, CxResult
from ims_core.nodes.decision import Decision, Forward, Reject, ResponseHook, Target
from ims_core.nodes.delivery import Delivery
from ims_core.nodes.destination import Destination, DestinationKind, Destinations
from ims_core.nodes.header_group import HeaderGroup
from ims_core.nodes.original_dialog import OriginalDialogs
from ims_core.nodes.own_address import OwnAddress, top_route
from ims_core.nodes.reg_event import RegEventNotifier
from ims_core.nodes.registrar import Registrar
from ims_core.nodes.request_check import check_required_here, max_forwards_below
from ims_core.nodes.scscf_config import ScscfConfig
from ims_core.nodes.served_user import ServedUser
from ims_core.service_profile import DefaultHandling, FilterCriteria, SessionCase
from ims_core.transport.link import Flow
from ims_core.transport.sip_stack import FailureReason, Hop, Outcome
from ims_core.wire.sip.address_headers import PAssertedIdentity, PServedUser, To
from ims_core.wire.sip.core_headers import Event
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.ims_headers import PPreferredService
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import SipUri, Uri, parse_uri

__all__ = ["SessionRouter"]

_RECORD_ROUTED = frozenset(("INVITE", "SUBSCRIBE", "REFER"))
_ALLOW = "REGISTER, SUBSCRIBE, OPTIONS"  # what is answered here
_EXTENSIONS = frozenset(("path", "gruu", "outbound"))
_SMS = "application/vnd.3gpp.sms"
_CLAIMS = HeaderGroup("P-Asserted-Identity", "P-Asserted-Service", "P-Served-User")
_IN_DIALOG = "dlg"  # user part of the own Record-Route
_ORIGINATING = "orig"  # of the Service-Route
_TERMINATING = "term"  # of what an own server delivers without criteria (digest §16)
_LIA_REFUSALS = {
    CxResult.USER_UNKNOWN: 404,
    CxResult.IDENTITY_NOT_REGISTERED: 480,
    CxResult.UNABLE_TO_COMPLY: 504,
}


class SessionRouter:
    """Decision core for everything but REGISTER."""

    def __init__(
        self,
        config: ScscfConfig,
        own: OwnAddress,
        registrar: Registrar,
        reg_event: RegEventNotifier,
        delivery: Delivery,
        destinations: Destinations,
        dialogs: OriginalDialogs,
        *,
        cx: Cx,
        hop_of: Callable[[Uri], Hop | None],
    ) -> None:
        self._config = config
        self._own = own
        self._registrar = registrar
        self._reg_event = reg_event
        self._delivery = delivery
        self._destinations = destinations
        self._dialogs = dialogs
        self._cx = cx
        self._hop_of = hop_of
        self._hops: dict[str, Hop | None] = {}  # of the few servers that criteria name
        self._record_route = f"<{own.uri(_IN_DIALOG)}>"
        self._border_route = "" if config.ibcf is None else f"<sip:ibcf.{config.home_domain};lr>"

    # --- Router ------------------------------------------------------------------------------------------------------

    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        request = self._own.undo_strict_routing(request)
        uri = top_route(request)
        host = flow.remote.host
        if uri is None or not self._own.is_own(uri):
            return self._route_without_own(request, host, has_route=uri is not None, now=now)
        word = uri.user or ""
        if request.require(To).tag and word != _TERMINATING:
            return self._in_dialog(request, now) if self._is_trusted(host) else Reject(403)
        if word == _IN_DIALOG:
            return Reject(403)
        editor = self._onward(request).pop("Route")
        if not self._is_trusted(host):
            _CLAIMS.strip(editor, request)
            return Reject(403) if word else self._terminate(editor.done(), host, now)
        if word == _ORIGINATING:
            return self._originate(editor, request, host, now)
        if word == _TERMINATING:
            if host not in self._config.server_hosts:
                return Reject(403)
            return self._deliver_for_server(editor.done(), now)
        if word:
            return self._back_from_server(editor, request, word, now)
        return self._terminate(editor.done(), host, now)

    def _route_without_own(self, request: Request, host: str, *, has_route: bool, now: float) -> Decision:
        if has_route:
            return Reject(403)  # this is no open relay
        if self._own.is_own(request.request_uri):
            return self._to_myself(request, now)
        if request.require(To).tag:
            return Reject(481 if request.method != "ACK" else 400)
        editor = self._onward(request)
        if not self._is_trusted(host):
            _CLAIMS.strip(editor, request)
        return self._terminate(editor.done(), host, now)

    def _to_myself(self, request: Request, now: float) -> Decision:
        """Requests that name this node: within a reg event subscription, or a ping."""
        if request.method == "SUBSCRIBE" and request.require(To).tag:
            return self._reg_event.refresh(request, now)
        if request.method == "OPTIONS":
            refusal = check_required_here(request, _EXTENSIONS)
            if refusal is not None:
                return refusal
            return Reject(200, headers=(("Allow", _ALLOW), ("Supported", "path, gruu, outbound")))
        return Reject(481 if request.require(To).tag else 405, headers=(("Allow", _ALLOW),))

    def _onward(self, request: Request) -> Editor[Request]:
        return request.edit().set("Max-Forwards", max_forwards_below(request))

    def _is_trusted(self, host: str) -> bool:
        return not self._config.trusted_hosts or host in self._config.trusted_hosts

    def _in_dialog(self, request: Request, now: float) -> Decision:
        """By Route, without criteria. Two own entries in a row are one hop: both parties are served here."""
        editor = self._onward(request)
        for _ in range(self._own.routes_on_top(request)):
            editor.pop("Route")
        onward = editor.done()
        target = top_route(onward)
        if target is None and self._own.is_own(onward.request_uri):
            return self._to_myself(onward, now)
        hop = self._hop_of(target or onward.request_uri)
        if hop is None:
            return Reject(481)  # the way there is part of the dialog
        return Forward((Target(self._record_routed(onward), hop),))

    # --- originating -------------------------------------------------------------------------------------------------

    def _originate(self, editor: Editor[Request], request: Request, host: str, now: float) -> Decision:
        is_server = host in self._config.server_hosts
        served, is_unregistered_case = self._served_identity(request, is_server)
        if served is None:
            return Reject(403)
        user = self._registrar.users.get(self._destinations.key_of(served))
        if user is None and is_server:
            user = self._registrar.user_of(self._destinations.key_of(served))
            if user is None:  # a service of its own, such as the IP-SM-GW: no user, no criteria
                return self._route_out(self._record_routed(editor.done()), host, now)
        if user is None or user.is_barred or not (user.is_registered or is_unregistered_case):
            return Reject(403)
        if request.method == "SUBSCRIBE" and _is_reg_event(request):
            return self._subscribe(request, user, is_server, now)
        refusal = self._assert_service(editor, request, user)
        if refusal is not None:
            return refusal
        self._assert_second_identity(editor, request, user)
        if request.has("P-Served-User"):
            editor.remove("P-Served-User")
        return self._next_service(self._record_routed(editor.done()), user, SessionCase.ORIGINATING, 0, host, now)

    def _served_identity(self, request: Request, is_server: bool) -> tuple[Uri | None, bool]:
        """P-Served-User of a server (RFC 5502), else P-Asserted-Identity; whether he may be unregistered."""
        if is_server and request.has("P-Served-User"):
            served = request.require(PServedUser)
            return served.uri, (served.params.get("regstate") or "reg").lower() == "unreg"
        asserted = request.get(PAssertedIdentity) if request.has("P-Asserted-Identity") else None
        return (None if asserted is None else asserted.uri), False

    def _assert_service(self, editor: Editor[Request], request: Request, user: ServedUser) -> Reject | None:
        """P-Preferred-Service: subscribed becomes P-Asserted-Service, another is refused (TS 24.229 §5.4.3.2)."""
        if not request.has("P-Preferred-Service"):
            return None
        preferred = [service.urn.lower() for service in request.get_all(PPreferredService)]  # RFC 8141 §3.1
        if not all(urn in user.services for urn in preferred):
            return Reject(403, headers=(("Warning", '399 scscf "Service not subscribed"'),))
        editor.remove("P-Preferred-Service").set("P-Asserted-Service", ", ".join(preferred))
        return None

    def _assert_second_identity(self, editor: Editor[Request], request: Request, user: ServedUser) -> None:
        texts = request.texts("P-Asserted-Identity")
        if len(texts) != 1 or "," in texts[0]:
            return
        other = user.other_identity(request.require(PAssertedIdentity).uri)
        if other is not None:
            editor.append("P-Asserted-Identity", f"<{other}>")

    def _record_routed(self, request: Request) -> Request:
        """With the own Record-Route, if it can make a dialog."""
        if request.method not in _RECORD_ROUTED:
            return request
        return request.edit().push("Record-Route", self._record_route).done()

    def _subscribe(self, request: Request, user: ServedUser, is_server: bool, now: float) -> Decision:
        """The reg event is answered here, for the user himself and for own servers."""
        target = self._destinations.of(request.request_uri_text)
        watched = user if target.key in user.keys else None
        if watched is None and is_server:
            watched = self._registrar.user_of(target.key)
        return Reject(403) if watched is None else self._reg_event.subscribe(request, watched, now)

    # --- criteria ----------------------------------------------------------------------------------------------------

    def _next_service(
        self, request: Request, user: ServedUser, case: SessionCase, place: int, host: str, now: float
    ) -> Decision:
        """To the server of the next criterion that holds, or on when there is none."""
        found = user.criteria.first_match(request, case, place)
        if found is None:
            if case is SessionCase.ORIGINATING:
                return self._route_out(request, host, now)
            return self._delivery.deliver(request, user, self._destinations.of(request.request_uri_text), now)
        criterion, next_place = found
        hook = _ServerHook(self, request, user, case, criterion, next_place, host)
        hop = self._server_hop(criterion.as_uri)
        if hop is None:
            return hook.default_handling(None, now) or Reject(503)
        back = self._own.uri(self._dialogs.encode(user.number, case, next_place))
        editor = request.edit().push("Route", f"<{back}>").push("Route", f"<{_loose(criterion.as_uri)}>")
        editor.set("P-Served-User", _served_user(user, case))
        return Forward((Target(editor.done(), hop),), hook)

    def _server_hop(self, as_uri: str) -> Hop | None:
        hop = self._hops.get(as_uri)
        if hop is None:
            hop = self._hops[as_uri] = self._hop_of(parse_uri(as_uri))
        return hop

    def _back_from_server(self, editor: Editor[Request], request: Request, word: str, now: float) -> Decision:
        """From a server, by the original dialog identifier: the criteria behind the one that sent it there."""
        dialog = self._dialogs.decode(word)
        user = None if dialog is None else self._registrar.users.by_number(dialog.user)
        if dialog is None or user is None:
            return Reject(404)
        if request.has("P-Served-User"):
            editor.remove("P-Served-User")
        request = self._record_routed(editor.done())
        if dialog.case is SessionCase.ORIGINATING:
            return self._next_service(request, user, dialog.case, dialog.next_place, "", now)
        target = self._destinations.of(request.request_uri_text)
        if target.key not in user.keys:  # the server sent it on to somebody else
            return self._route_out(request, "", now)
        return self._next_service(request, user, dialog.case, dialog.next_place, "", now)

    # --- after the originating services ------------------------------------------------------------------------------

    def _route_out(self, request: Request, host: str, now: float) -> Decision:
        target = self._destinations.of(request.request_uri_text)
        if target.kind is DestinationKind.UNKNOWN:
            return Reject(404)
        if target.kind is DestinationKind.FOREIGN:
            return self._to_border(request, target)
        return self._to_own(request, target, host, now)

    def _to_border(self, request: Request, target: Destination) -> Decision:
        if self._config.ibcf is None:
            return Reject(404)
        editor = request.edit().request_uri(target.request_uri).push("Route", self._border_route)
        return Forward((Target(editor.done(), Hop(address=self._config.ibcf)),))

    def _to_own(self, request: Request, target: Destination, host: str, now: float) -> Decision:
        """The own carrier: a user is served here at once, without the I-CSCF (choice); a service has its server."""
        answer = self._cx.location_info(target.key) if target.key else None
        if answer is None or not answer.result.is_success:
            return Reject(404 if answer is None else _LIA_REFUSALS.get(answer.result, 404))
        if answer.as_uri is None:
            return self._serve(request, target, host, now)
        hop = self._server_hop(answer.as_uri)
        if hop is None:
            return Reject(504)
        editor = request.edit().push("Route", f"<{_loose(answer.as_uri)}>")
        return Forward((Target(editor.done(), hop),))

    # --- terminating -------------------------------------------------------------------------------------------------

    def _terminate(self, request: Request, host: str, now: float) -> Decision:
        """A request for a user of this S-CSCF, from the I-CSCF or a server."""
        target = self._destinations.of(request.request_uri_text)
        if target.kind is not DestinationKind.OWN or not target.key:
            return Reject(404)
        return self._serve(self._record_routed(request), target, host, now)

    def _serve(self, request: Request, target: Destination, host: str, now: float) -> Decision:
        user = self._registrar.user_of(target.key)
        if user is None or user.is_barred:
            return Reject(404)
        if self._is_forbidden_sms(request, host):
            return Reject(403)
        if user.is_registered:
            return self._next_service(request, user, SessionCase.TERMINATING, 0, host, now)
        if not user.criteria.has_unregistered_services():
            return Reject(480)
        return self._next_service(request, user, SessionCase.TERMINATING_UNREGISTERED, 0, host, now)

    def _deliver_for_server(self, request: Request, now: float) -> Decision:
        """What an own server delivers without criteria, such as deferred messages (digest §16)."""
        target = self._destinations.of(request.request_uri_text)
        user = self._registrar.user_of(target.key) if target.kind is DestinationKind.OWN else None
        if user is None or user.is_barred:
            return Reject(404)
        return self._delivery.deliver(self._record_routed(request), user, target, now)

    def _is_forbidden_sms(self, request: Request, host: str) -> bool:
        """Terminating SMS is the IP-SM-GW's alone (digest §16), whether it comes directly or by the I-CSCF."""
        if request.method != "MESSAGE" or not request.has("Content-Type"):
            return False
        content_type = request.content_type
        if content_type is None or content_type.type != _SMS or host in self._config.sms_hosts:
            return False
        asserted = request.get(PAssertedIdentity) if self._is_trusted(host) else None
        name = asserted.uri.host.lower() if asserted is not None and isinstance(asserted.uri, SipUri) else ""
        return not self._is_gateway(name)

    def _is_gateway(self, host: str) -> bool:
        hop = self._hop_of(parse_uri(f"sip:{host}")) if host.endswith(self._config.home_domain.lower()) else None
        return hop is not None and hop.address is not None and hop.address.host in self._config.sms_hosts


class _ServerHook(ResponseHook):
    """A request at an application server: default handling when that does not answer (digest §9.2)."""

    __slots__ = ("_case", "_criterion", "_host", "_is_proceeding", "_next_place", "_request", "_router", "_user")

    def __init__(
        self,
        router: SessionRouter,
        request: Request,
        user: ServedUser,
        case: SessionCase,
        criterion: FilterCriteria,
        next_place: int,
        host: str,
    ) -> None:
        self._router = router
        self._request = request
        self._user = user
        self._case = case
        self._criterion = criterion
        self._next_place = next_place
        self._host = host
        self._is_proceeding = False

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        if 100 < response.status < 200:
            self._is_proceeding = True

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        if isinstance(outcome, Response) and not (outcome.status == 408 or 500 <= outcome.status < 600):
            return None
        return None if self._is_proceeding else self.default_handling(outcome, now)

    def default_handling(self, outcome: Outcome | None, now: float) -> Decision | None:
        """On with the next criterion, or the end: 408 for INVITE, else 504, as nobody answers a late 408 (RFC 4320)."""
        if self._criterion.default_handling is DefaultHandling.SESSION_CONTINUED:
            return self._router._next_service(self._request, self._user, self._case, self._next_place, self._host, now)
        if outcome is None or isinstance(outcome, Response):
            return None
        if outcome.reason is FailureReason.TIMEOUT:
            return Reject(408 if self._request.method == "INVITE" else 504)
        return Reject(503)


def _served_user(user: ServedUser, case: SessionCase) -> str:
    """P-Served-User toward a server (RFC 5502 §4)."""
    state = "reg" if user.is_registered and case is not SessionCase.TERMINATING_UNREGISTERED else "unreg"
    word = "orig" if case is SessionCase.ORIGINATING else "term"
    return f"<{user.default_impu}>;sescase={word};regstate={state}"


def _is_reg_event(request: Request) -> bool:
    event = request.get(Event)
    return event is not None and event.package.lower() == "reg"


def _loose(uri: str) -> str:
    return uri if ";lr" in uri else f"{uri};lr"
