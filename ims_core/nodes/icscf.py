"""I-CSCF: the entry of a home network, which asks the HSS for the S-CSCF (TS 24.229 §5.3; digest §15.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ims_core.cx import Cx, CxResult
from ims_core.nodes.decision import Decision, Forward, Reject, ResponseHook, Target
from ims_core.nodes.own_address import OwnAddress, top_route
from ims_core.nodes.proxy import Proxy
from ims_core.nodes.request_check import max_forwards_below
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, Network, Transport
from ims_core.transport.sip_stack import FailureReason, Hop, NameTable, Outcome, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.address_headers import To
from ims_core.wire.sip.auth_headers import Authorization
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import Uri, identity_key, parse_uri

__all__ = ["Icscf", "IcscfConfig", "IcscfCore", "server_uri"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IcscfConfig:
    """*name* is the element name (``red.icscf``)."""

    name: str
    home_domain: str
    listen: tuple[Address, ...]
    host_names: tuple[str, ...] = ()


# LIA and UAA results that are not a success (digest §15.2)
_REGISTER_REFUSALS = {
    CxResult.USER_UNKNOWN: 403,
    CxResult.IDENTITIES_DONT_MATCH: 403,
    CxResult.ROAMING_NOT_ALLOWED: 403,
    CxResult.AUTHORIZATION_REJECTED: 403,
    CxResult.UNABLE_TO_COMPLY: 480,
}
_REQUEST_REFUSALS = {
    CxResult.USER_UNKNOWN: 404,
    CxResult.IDENTITY_NOT_REGISTERED: 480,
    CxResult.UNABLE_TO_COMPLY: 504,
}


class IcscfCore:
    """Decision core. *hop_of* is the name service."""

    supported_extensions = frozenset(("path", "gruu", "outbound"))

    def __init__(self, config: IcscfConfig, own: OwnAddress, cx: Cx, hop_of: Callable[[Uri], Hop | None]) -> None:
        self._own = own
        self._cx = cx
        self._hop_of = hop_of
        self._home = (config.home_domain.lower(),)
        self._hook = _ServerHook()

    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        if request.method == "REGISTER":
            return self._route_register(request)
        if request.method == "ACK" or self._has_foreign_route(request):
            return Reject(403)  # nothing within a dialog comes here
        return self._route_initial(request)

    def perform(self, actions: tuple[object, ...], now: float) -> None:
        """There are none."""

    def _route_register(self, request: Request) -> Decision:
        """UAR, then to the S-CSCF, with its name as Request-URI."""
        credentials = request.get(Authorization)
        impi = None if credentials is None or not credentials.is_digest else credentials.get("username")
        key = identity_key(request.require(To).uri, self._home)
        visited = (request.text("P-Visited-Network-ID") or "").strip('"')
        answer = self._cx.user_authorization(impi, key, visited)
        if not answer.result.is_success:
            return Reject(_REGISTER_REFUSALS.get(answer.result, 480))
        if answer.scscf is None:
            return Reject(600)
        target = server_uri(answer.scscf)
        hop = self._hop_of(target)
        if hop is None:
            return Reject(504)
        editor = request.edit().set("Max-Forwards", max_forwards_below(request)).request_uri(target)
        if self._is_for_me(request):
            editor.pop("Route")
        return Forward((Target(editor.done(), hop),), self._hook)

    def _route_initial(self, request: Request) -> Decision:
        """LIR, then to the S-CSCF or to the application server of a service identity."""
        key = _lookup_key(request.request_uri_text, self._home)
        answer = self._cx.location_info(key) if key else None
        if answer is None or not answer.result.is_success:
            return Reject(404 if answer is None else _REQUEST_REFUSALS.get(answer.result, 404))
        target = server_uri(answer.scscf or answer.as_uri or "")
        hop = self._hop_of(target)
        if hop is None:
            return Reject(504)
        editor = request.edit().set("Max-Forwards", max_forwards_below(request))
        if self._is_for_me(request):
            editor.pop("Route")
        editor.push("Route", f"<{_loose(target)}>")
        return Forward((Target(editor.done(), hop),), self._hook)

    def _is_for_me(self, request: Request) -> bool:
        uri = top_route(request)
        return uri is not None and self._own.is_own(uri)

    def _has_foreign_route(self, request: Request) -> bool:
        return request.has("Route") and not self._is_for_me(request)


@lru_cache(8192)
def _lookup_key(request_uri: str, home: tuple[str, ...]) -> str:
    """What to ask the HSS for: the tel form of a number in the home domain, a GRUU without its parameters."""
    return identity_key(parse_uri(request_uri), home)


@lru_cache(256)
def server_uri(text: str) -> Uri:
    """The URI of a server that the HSS named: a URI, or a host name alone."""
    return parse_uri(text if text.startswith(("sip:", "sips:")) else f"sip:{text}")


@lru_cache(256)
def _loose(uri: Uri) -> str:
    text = str(uri)
    return text if ";lr" in text else f"{text};lr"


class _ServerHook(ResponseHook):
    __slots__ = ()

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        """The S-CSCF is down: 504 (digest §15.2)."""
        is_broken = not isinstance(outcome, Response) and outcome.reason is FailureReason.TRANSPORT
        return Reject(504) if is_broken else None


class Icscf:
    """The node: core and stack."""

    def __init__(
        self,
        config: IcscfConfig,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
        hss: Cx,
    ) -> None:
        self._config = config
        self._names = names
        self._hss = hss
        self._core: IcscfCore | None = None
        self.supported_extensions = IcscfCore.supported_extensions
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

    async def start(self) -> None:
        """Raises TransportError."""
        await self._proxy.start()
        own = OwnAddress(self._proxy.addresses(), self._config.host_names, prefer=Transport.TCP)
        self._core = IcscfCore(self._config, own, self._hss, self._names.hop)

    async def close(self) -> None:
        await self._proxy.close()

    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        return Reject(503) if self._core is None else self._core.route(request, flow, now)

    def perform(self, actions: tuple[object, ...], now: float) -> None:
        """There are none."""
