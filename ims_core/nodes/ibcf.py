"""IBCF: the border to the other carriers (TS 24.229 §5.10; digest §15.4, §17.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ims_core.nodes.border_policy import (
    NniPeer,
    clean_request,
    clean_response,
    hide_user_agent,
    identity_fault,
    is_forbidden,
)
from ims_core.nodes.decision import Decision, Forward, Reject, ResponseHook, Target
from ims_core.nodes.number_table import NumberTable
from ims_core.nodes.own_address import OwnAddress, top_route
from ims_core.nodes.proxy import Proxy
from ims_core.nodes.request_check import max_forwards_below
from ims_core.nodes.topology_hiding import TOKEN_BITS, HiddenRoutes
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, Network, Transport
from ims_core.transport.sip_stack import FailureReason, Hop, NameTable, Outcome, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.address_headers import RecordRoute, Route, To
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import SipUri, Uri, parse_uri

__all__ = ["Ibcf", "IbcfConfig", "IbcfCore", "NniPeer"]

_RECORD_ROUTED = frozenset(("INVITE", "SUBSCRIBE", "REFER"))


@dataclass(frozen=True, slots=True, kw_only=True)
class IbcfConfig:
    """*core_hosts* are the hosts of the own carrier; whoever is neither there nor a peer gets 403."""

    name: str
    home_domain: str
    listen: tuple[Address, ...]
    icscf: Address
    peers: tuple[NniPeer, ...] = ()
    core_hosts: frozenset[str] = frozenset()
    host_names: tuple[str, ...] = ()
    retry_after_s: int = 30
    hides_user_agent: bool = False


class IbcfCore:
    """Decision core. *new_token* makes topology-hiding tokens of 16 octets; *hop_of* is the name service.

    *nni_up* False: every request is refused with 503 and Retry-After, as an operator switches a link off."""

    supported_extensions = frozenset(("path", "gruu", "outbound"))

    def __init__(
        self,
        config: IbcfConfig,
        own: OwnAddress,
        numbers: NumberTable,
        *,
        hop_of: Callable[[Uri], Hop | None],
        new_token: Callable[[], str],
        now: Callable[[], float],
    ) -> None:
        self.config = config
        self.own = own
        self.nni_up = True
        self.hidden = HiddenRoutes(new_token)
        self.numbers = numbers
        self.now = now
        self._hop_of = hop_of
        self._peer_by_host = {host: peer for peer in config.peers for host in peer.hosts}
        self._peer_by_domain = {peer.domain.lower(): peer for peer in config.peers}

    # --- Router ------------------------------------------------------------------------------------------------------

    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        source = flow.remote.host
        peer = self._peer_by_host.get(source)
        if peer is None and source not in self.config.core_hosts:
            return Reject(403)
        request = self.own.undo_strict_routing(request)
        if is_forbidden(request):
            return Reject(403)
        if not self.nni_up:
            return self.unavailable()
        if peer is None:
            return self._leave(request, now)
        return self._arrive(request, peer, now)

    def perform(self, actions: tuple[object, ...], now: float) -> None:
        """There are none."""

    def unavailable(self) -> Reject:
        return Reject(503, headers=(("Retry-After", str(self.config.retry_after_s)),))

    # --- leaving -----------------------------------------------------------------------------------------------------

    def _leave(self, request: Request, now: float) -> Decision:
        token = self._own_token(request)
        if request.require(To).tag and (token is None or self.hidden.find(token, now) is None):
            return Reject(481)
        editor = request.edit().set("Max-Forwards", max_forwards_below(request))
        if token is not None:
            editor.pop("Route")
        is_initial = not request.require(To).tag
        peer, hop = self._next_carrier(request, 0 if token is None else 1)
        if peer is None:
            return Reject(404)
        if hop is None:
            return self.unavailable()
        clean_request(editor, request, own_domain=self.config.home_domain, peer=peer)
        if self.config.hides_user_agent:
            hide_user_agent(editor, request)
        editor.remove("Via")
        hidden: tuple[str, ...] = ()
        if request.has("Record-Route"):
            hidden = tuple(str(route) for route in request.get_all(RecordRoute))
            editor.remove("Record-Route")
        if is_initial and request.method in _RECORD_ROUTED:
            token = self.hidden.new_token()
            self.hidden.hide(token, hidden, now)
            editor.push("Record-Route", f"<{self.own.uri(token)}>")
        hook = _LeavingHook(self, request, peer, token or "", hidden if is_initial else ())
        return Forward((Target(editor.done(), hop),), hook)

    def _next_carrier(self, request: Request, own_routes: int) -> tuple[NniPeer | None, Hop | None]:
        """Within a dialog the next Route behind the own one tells, else the domain of the Request-URI."""
        routes = request.get_all(Route)[own_routes:]
        if routes:
            hop = self._hop_of(routes[0].uri)
            host = None if hop is None or hop.address is None else hop.address.host
            return (None if host is None else self._peer_by_host.get(host)), hop
        uri = request.request_uri
        if not isinstance(uri, SipUri):
            return None, None
        peer = self._peer_of_domain(uri.host.lower())
        return peer, None if peer is None else self._hop_of(parse_uri(peer.border_uri))

    def _peer_of_domain(self, host: str) -> NniPeer | None:
        """The peer with that home domain, or with a domain above it (``focus.ims.example``)."""
        peer = self._peer_by_domain.get(host) or self._peer_by_host.get(host)
        while peer is None and "." in host:
            host = host.partition(".")[2]
            peer = self._peer_by_domain.get(host)
        return peer

    # --- arriving ----------------------------------------------------------------------------------------------------

    def _arrive(self, request: Request, peer: NniPeer, now: float) -> Decision:
        if identity_fault(request, peer, self.numbers):
            return Reject(403)
        if request.require(To).tag:
            return self._arrive_in_dialog(request, peer, now)
        editor = request.edit().set("Max-Forwards", max_forwards_below(request)).remove("Route")
        clean_request(editor, request, own_domain=self.config.home_domain, peer=None)
        token = ""
        if request.method in _RECORD_ROUTED:
            token = self.hidden.new_token()
            self.hidden.hide(token, (), now)
            editor.push("Record-Route", f"<{self.own.uri(token)}>")
        hook = _ArrivingHook(self, request, peer, token, is_initial=True)
        return Forward((Target(editor.done(), Hop(address=self.config.icscf)),), hook)

    def _arrive_in_dialog(self, request: Request, peer: NniPeer, now: float) -> Decision:
        token = self._own_token(request)
        routes = None if token is None else self.hidden.find(token, now)
        if token is None or routes is None:
            return Reject(481)
        editor = request.edit().set("Max-Forwards", max_forwards_below(request)).pop("Route")
        clean_request(editor, request, own_domain=self.config.home_domain, peer=None)
        for route in reversed(routes):
            editor.push("Route", route)
        onward = editor.done()
        hop = self._hop_of(top_route(onward) or onward.request_uri)
        if hop is None:
            return Reject(404)
        hook = _ArrivingHook(self, request, peer, token, is_initial=False)
        return Forward((Target(onward, hop),), hook)

    def _own_token(self, request: Request) -> str | None:
        """The user part of an own top Route ("" without one); None if the top Route is not ours."""
        uri = top_route(request)
        return uri.user or "" if uri is not None and self.own.is_own(uri) else None


@dataclass(frozen=True, slots=True)
class _LeavingHook(ResponseHook):
    """Answers of the other carrier: the hidden Via and Record-Route entries come back."""

    core: IbcfCore
    request: Request
    peer: NniPeer
    token: str
    hidden: tuple[str, ...]

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        core = self.core
        editor.remove("Via")
        for text in reversed(self.request.texts("Via")):
            editor.push("Via", text)
        for route in self.hidden:
            editor.append("Record-Route", route)
        clean_response(editor, response, own_domain=core.config.home_domain, to_peer=False, icid=None)
        if identity_fault(response, self.peer, core.numbers):
            editor.remove("P-Asserted-Identity")
        _forget_ended(core, self.request, response, self.token)

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        """The other carrier cannot be reached: 503 with Retry-After (digest §15.4)."""
        is_broken = not isinstance(outcome, Response) and outcome.reason is FailureReason.TRANSPORT
        return self.core.unavailable() if is_broken else None


@dataclass(frozen=True, slots=True, kw_only=False)
class _ArrivingHook(ResponseHook):
    """Answers of the own carrier: its Record-Route entries go behind the token."""

    core: IbcfCore
    request: Request
    peer: NniPeer
    token: str
    is_initial: bool

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        core = self.core
        if response.has("Record-Route"):
            self._hide_routes(editor, response)
        icid = self.request.text("P-Charging-Vector")
        icid = None if icid is None else icid.partition(";")[0]
        clean_response(editor, response, own_domain=core.config.home_domain, to_peer=True, icid=icid)
        if core.config.hides_user_agent:
            hide_user_agent(editor, response)
        _forget_ended(core, self.request, response, self.token)

    def _hide_routes(self, editor: Editor[Response], response: Response) -> None:
        routes = [str(route) for route in response.get_all(RecordRoute)]
        place = next((index for index, route in enumerate(routes) if self.token and self.token in route), None)
        editor.remove("Record-Route")
        if not self.is_initial or place is None:
            return
        if response.status < 300:
            self.core.hidden.hide(self.token, tuple(reversed(routes[:place])), self.core.now())
        for route in routes[place:]:
            editor.append("Record-Route", route)


def _forget_ended(core: IbcfCore, request: Request, response: Response, token: str) -> None:
    if token and request.method == "BYE" and 200 <= response.status < 300:
        core.hidden.forget(token)


class Ibcf:
    """The node: core and stack."""

    def __init__(
        self,
        config: IbcfConfig,
        numbers: NumberTable,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
    ) -> None:
        self._config = config
        self._numbers = numbers
        self._clock = clock
        self._tokens = tokens
        self._names = names
        self._core: IbcfCore | None = None
        self._nni_up = True
        self.supported_extensions = IbcfCore.supported_extensions
        self._proxy = Proxy(
            StackConfig(name=config.name, listen=config.listen),
            self,
            network=network,
            clock=clock,
            tokens=tokens,
            trace=trace,
            names=names,
        )
        self.stack = self._proxy.stack

    @property
    def nni_up(self) -> bool:
        """Whether the links to the other carriers are in service."""
        return self._nni_up

    @nni_up.setter
    def nni_up(self, is_up: bool) -> None:
        self._nni_up = is_up
        if self._core is not None:
            self._core.nni_up = is_up

    async def start(self) -> None:
        """Raises TransportError."""
        await self._proxy.start()
        own = OwnAddress(self._proxy.addresses(), self._config.host_names, prefer=Transport.TCP)
        self._core = IbcfCore(
            self._config,
            own,
            self._numbers,
            hop_of=self._names.hop,
            new_token=self._new_token,
            now=self._clock.now,
        )
        self._core.nni_up = self._nni_up

    async def close(self) -> None:
        await self._proxy.close()

    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        return Reject(503) if self._core is None else self._core.route(request, flow, now)

    def perform(self, actions: tuple[object, ...], now: float) -> None:
        """There are none."""

    def _new_token(self) -> str:
        return self._tokens.word(TOKEN_BITS)
