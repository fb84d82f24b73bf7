"""The SIP user agent of a phone: requests along its route set, answers to what comes (RFC 3261 §8, TS 24.229 §5.1.2A).

It knows nothing of messages. Services add a handler for each method that they serve; the registration tells it what the
network granted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from ims_core.errors import TransportError
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, Network, Transport
from ims_core.transport.name_table import Hop, NameTable
from ims_core.transport.sip_stack import (
    ClientHandle,
    FailureReason,
    Outcome,
    ServerTransaction,
    SipStack,
    StackConfig,
    TransactionFailure,
)
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.address_headers import Contact
from ims_core.wire.sip.core_headers import ContentType, Require
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.transaction import TimerConfig
from ims_core.wire.sip.uri import OtherUri, SipUri, Uri, parse_uri
from rcs_sim.client.account import Account, UnusableConfiguration
from rcs_sim.client.authenticator import Authenticator
from rcs_sim.client.binding import Binding
from rcs_sim.client.contact import contact_uri, session_tags
from rcs_sim.client.fallback import RcsOutcome
from rcs_sim.client.register_request import ALLOW
from rcs_sim.devices.policy import DevicePolicy

__all__ = [
    "DialogUser",
    "FinalOutcome",
    "FlowObserver",
    "RequestHandler",
    "UserAgent",
    "outcome_of",
    "redirection_of",
]

RequestHandler = Callable[[Request, ServerTransaction, Flow], None]
FinalOutcome = Callable[[Outcome, Request], None]
"""Gets the one final outcome, and the request as it was sent last."""

_SUPPORTED = frozenset(("path", "gruu", "outbound", "sec-agree", "timer", "100rel"))
_RPORT: tuple[tuple[str, str | None], ...] = (("rport", None),)
_IN_DIALOG_ONLY = frozenset(("BYE", "UPDATE", "PRACK", "INFO", "REFER"))
_OF_CALLS = frozenset(("INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "PRACK"))


class FlowObserver(Protocol):
    """Who cares about the flow to the network."""

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None: ...

    def pong_received(self, flow: Flow) -> None: ...


class DialogUser(Protocol):
    """Who has calls: all of them are its, the requests inside their dialogs too."""

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None: ...

    def stray_response(self, response: Response) -> None: ...


def outcome_of(outcome: Outcome) -> int | RcsOutcome:
    """The key of the decision tables for a final outcome."""
    if isinstance(outcome, TransactionFailure):
        return RcsOutcome.TIMED_OUT if outcome.reason is FailureReason.TIMEOUT else RcsOutcome.LINK_FAILED
    return outcome.status


class UserAgent:
    """One phone's end of Gm. Open from `open` to `close`; `granted` after each successful REGISTER."""

    __slots__ = (
        "_fixed",
        "_gruu",
        "_hop",
        "_own_flow",
        "_redirected_to",
        "_route",
        "account",
        "authenticator",
        "calls",
        "contact",
        "features",
        "handlers",
        "is_deaf",
        "observer",
        "policy",
        "security",
        "stack",
        "tokens",
        "wall_clock",
    )

    def __init__(
        self,
        policy: DevicePolicy,
        account: Account,
        authenticator: Authenticator,
        *,
        name: str,
        host: str,
        port: int,
        timers: TimerConfig,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
    ) -> None:
        """Will listen on *host* and *port* (0: any)."""
        self.policy = policy
        self.account = account
        self.authenticator = authenticator
        self.tokens = tokens
        self.wall_clock = clock  # what stamps messages: the phone's own, which may be wrong
        self.handlers: dict[str, RequestHandler] = {}
        self.observer: FlowObserver | None = None
        self.calls: DialogUser | None = None
        self.security: Callable[[], tuple[HeaderInput, ...]] = tuple
        self.contact = ""
        self.features = ""
        self._fixed: tuple[HeaderInput, ...] = ()
        self._route = ""
        self._gruu = ""
        self.is_deaf = False
        self._hop: Hop | None = None
        self._own_flow: Flow | None = None  # the one to the P-CSCF
        self._redirected_to: Address | None = None
        config = _stack_config(name, account.transport, host, port, timers, policy.registration.offers_keep_alive)
        self.stack = SipStack(config, self, network=network, clock=clock, tokens=tokens, trace=trace, names=names)

    async def open(self) -> None:
        """Listens. Raises TransportError."""
        await self.stack.start()

    async def close(self) -> None:
        """Ends flows and transactions."""
        self.is_deaf = True
        await self.stack.close()

    def fall_silent(self) -> None:
        """The battery is out: nothing is sent any more, and nothing that comes is answered."""
        self.is_deaf = True
        self.stack.deadlines.close()

    # --- what the registration tells ---------------------------------------------------------------------------------

    def proxy_hop(self, target: Uri | None = None) -> Hop:
        """The P-CSCF, or *target*. Raises UnusableConfiguration for a name that does not resolve."""
        if target is None and self._hop is not None:
            return self._hop
        account = self.account
        uri = target or parse_uri(account.proxy_uri)
        hop = self.stack.names.hop(uri)
        if hop is None:
            raise UnusableConfiguration(f"{uri} does not resolve to an address")
        if target is None and hop.address is not None and hop.address.transport is not account.transport:
            return Hop(Address(account.transport, hop.address.host, account.proxy_port))
        return hop

    def prepare_contact(self) -> str:
        """The Contact URI for a registration over the flow to the P-CSCF, which is opened if need be."""
        self._hop = None
        self._hop = self.proxy_hop()
        self._redirected_to = None
        flow = self._own_flow = self.stack.connect(self._hop)
        user = self.account.impi.partition("@")[0] or str(self.account.number).lstrip("+")
        self.contact = contact_uri(user, self.stack.sent_by(flow))
        return self.contact

    def granted(self, binding: Binding) -> None:
        """Route set and identity of what follows (digest §2.5)."""
        policy, account = self.policy.registration, self.account
        routes = [f"<{account.proxy_uri}>"] if policy.sends_proxy_route else []
        routes += binding.service_route if policy.uses_service_route else ()
        self._route = ", ".join(routes)
        identity = _dialable_identity(binding.associated, account.impu)
        headers: list[HeaderInput] = [("P-Preferred-Identity", f"<{identity}>")]
        if policy.access_network_info is not None:
            headers.append(("P-Access-Network-Info", policy.access_network_info))
        headers.append(("User-Agent", self.policy.user_agent))
        self._fixed = tuple(headers)
        self._gruu = binding.public_gruu or ""

    @property
    def contact_header(self) -> str:
        """Contact with instance and tags, for OPTIONS."""
        instance = f';+sip.instance="<{self.account.instance}>"' if self.account.instance else ""
        return f"<{self.contact}>{instance}{self.features}"

    @property
    def dialog_contact(self) -> str:
        """Contact of requests that make dialogs: the public GRUU where the registrar gave one (RFC 5627 §4.3)."""
        return f"<{self._gruu}>" if self._gruu else f"<{self.contact}>"

    @property
    def session_contact(self) -> str:
        """Contact in message sessions: with the instance, their service and what this device can do (digest §4.2)."""
        instance = f';+sip.instance="<{self.account.instance}>"' if self.account.instance else ""
        return f"{self.dialog_contact}{instance}{session_tags(self.policy)}"

    @property
    def dialog_headers(self) -> tuple[HeaderInput, ...]:
        """What requests inside a dialog have in common: all but the preferred identity."""
        return (*self._fixed[1:], *self.security())

    # --- requests ----------------------------------------------------------------------------------------------------

    def new_request(
        self,
        method: str,
        target: str,
        headers: Iterable[HeaderInput] = (),
        body: bytes = b"",
        content_type: ContentType | str | None = None,
        *,
        call_id: str = "",
    ) -> Request:
        """A request outside of dialogs to the URI *target*, along P-CSCF and Service-Route (digest §12 R07)."""
        tokens = self.tokens
        fields: list[HeaderInput] = [("Max-Forwards", "70")]
        if self._route:
            fields.append(("Route", self._route))
        fields += (
            ("From", f"<{self.account.impu}>;tag={tokens.word(48)}"),
            ("To", f"<{target}>"),
            ("Call-ID", call_id or tokens.word()),
            ("CSeq", f"1 {method}"),
            *self._fixed,
            *self.security(),
            *headers,
        )
        return Request.new(method, target, fields, body, content_type)

    def send(
        self, request: Request, on_final: FinalOutcome, *, target: Uri | None = None, authenticates: bool = True
    ) -> Flow:
        """Sends *request* to the P-CSCF (or *target*) and calls *on_final* once, never before this returns.

        A challenge is answered once if *authenticates*."""

        def settle(outcome: Outcome) -> None:
            if isinstance(outcome, Response):
                if outcome.status < 200:
                    return
                if authenticates and outcome.status in (401, 407):
                    again = self.authorized(request, outcome)
                    if again is not None:
                        self.send(again, on_final, target=target, authenticates=False)
                        return
            if not self.is_deaf:
                on_final(outcome, request)

        hop = self.proxy_hop(target)
        if target is not None and request.method == "REGISTER":
            self._redirected_to = hop.address  # this one is the P-CSCF then (digest §2.5, row 305)
        return self.stack.send_request(request, hop, settle).flow

    def send_in_call(
        self, request: Request, on_outcome: Callable[[Outcome], None], target: Uri | None = None
    ) -> ClientHandle:
        """Sends a request of a call: *on_outcome* gets its provisional responses too."""
        return self.stack.send_request(request, self.proxy_hop(target), on_outcome)

    def send_ack(self, ack: Request, target: Uri | None = None) -> None:
        """The ACK to a 2xx, which has no transaction."""
        if not self.is_deaf:
            self.stack.send_stateless(ack, self.proxy_hop(target))

    def authorized(self, request: Request, challenge: Response) -> Request | None:
        """*request* again, with the next CSeq and credentials for *challenge*; None if it cannot be answered."""
        uri, body = request.request_uri_text, request.body
        authenticator = self.authenticator.for_another_challenger()  # the registrar's challenge stays as it is
        answer = authenticator.answer(challenge, request.method, uri, self.tokens.word(), body)
        if answer is None:
            return None
        cseq = f"{request.cseq.number + 1} {request.method}"
        return request.edit().set("CSeq", cseq).set(answer.header, answer.value).done()

    # --- TransactionUser ---------------------------------------------------------------------------------------------

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        if self.is_deaf:
            return
        if not self._is_from_proxy(flow):
            self.stack.transport.report("refused: not from the P-CSCF of this phone", b"", flow)
            if server is not None:
                self.respond(server, 403)
            return
        if server is None:
            if self.calls is not None:
                self.calls.request_received(request, None, flow)
            return
        if request.method in self.policy.messaging.unanswered_methods:
            return
        if isinstance(request.request_uri, OtherUri):
            self.respond(server, 416)  # RFC 3261 §8.2.2.1
            return
        refused = _unsupported(request)
        if refused:
            self.respond(server, 420, (("Unsupported", ", ".join(refused)),))
            return
        handler = self.handlers.get(request.method)
        if handler is not None:
            handler(request, server, flow)
        elif self.calls is not None and request.method in _OF_CALLS:
            self.calls.request_received(request, server, flow)
        elif request.method == "CANCEL" or request.method in _IN_DIALOG_ONLY:
            self.respond(server, 481)
        else:
            self.respond(server, 405, (("Allow", ", ".join(sorted(self.handlers))),))

    def _is_from_proxy(self, flow: Flow) -> bool:
        """Whether *flow* leads to the P-CSCF: the flow that this phone opened to it, or one from its address.

        Where there is a security association the UE discards what comes outside of it (TS 24.229 §5.1.2A.2). Without
        ESP there is the address; a stranger gets 403, as he does from a P-CSCF (choice)."""
        if flow is self._own_flow:
            return True
        host, hop, redirected = flow.remote.host, self._hop, self._redirected_to
        if hop is not None and hop.address is not None and hop.address.host == host:
            return True
        if redirected is not None and redirected.host == host:
            return True
        return any(each.host == host for each in self.stack.names.addresses(self.account.proxy_host))

    def stray_response(self, response: Response, flow: Flow) -> None:
        if self.calls is not None and not self.is_deaf:
            self.calls.stray_response(response)

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        if self.observer is not None and not self.is_deaf:
            self.observer.flow_closed(flow, error)

    def keep_alive(self, flow: Flow, pong: bool) -> None:
        if pong and self.observer is not None and not self.is_deaf:
            self.observer.pong_received(flow)

    def respond(
        self,
        server: ServerTransaction,
        status: int,
        headers: Iterable[HeaderInput] = (),
        body: bytes = b"",
        content_type: ContentType | str | None = None,
    ) -> None:
        """Answers as this device does: most with a To tag, some without."""
        tag = server.to_tag(self.tokens) if self.policy.messaging.answers_with_to_tag else None
        server.respond(
            Response.to(server.request, status, to_tag=tag, headers=headers, body=body, content_type=content_type)
        )

    def respond_to_options(self, server: ServerTransaction) -> None:
        """200 with the own tags (digest §3.1)."""
        identity = self._fixed[:1]
        self.respond(server, 200, (*identity, ("Contact", self.contact_header), ("Allow", ALLOW)))


def _stack_config(
    name: str, transport: Transport, host: str, port: int, timers: TimerConfig, offers_keep_alive: bool
) -> StackConfig:
    """Phones listen where they can be reached without their flow; nobody calls a phone over TLS."""
    via: tuple[tuple[str, str | None], ...] = (("rport", None), ("keep", None)) if offers_keep_alive else _RPORT
    listen = (Address(transport, host, port),) if transport is not Transport.TLS else ()
    return StackConfig(name=name, listen=listen, timers=timers, via_params=via, local_host=host)


def _dialable_identity(associated: tuple[Uri, ...], registered: str) -> str:
    """The registered identity if the network has it, else the first with a number, else the default (digest §2.5)."""
    texts = [str(uri) for uri in associated]
    if not texts or registered in texts:
        return registered
    numbered = [
        text for text, uri in zip(texts, associated, strict=True) if isinstance(uri, SipUri) and "+" in (uri.user or "")
    ]
    return (numbered or texts)[0]


def _unsupported(request: Request) -> list[str]:
    try:
        required = request.get(Require)
    except SipParseError:
        return []
    return [token for token in required.tokens if token.lower() not in _SUPPORTED] if required is not None else []


def redirection_of(response: Response) -> Uri | None:
    """Where a 3xx points to."""
    try:
        contact = response.get(Contact)
    except SipParseError:
        return None
    return None if contact is None or contact.is_wildcard else contact.uri
