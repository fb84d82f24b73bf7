"""The SIP stack of one element: transactions over flows, for a transaction user (RFC 3261 §17, §18, RFC 6026).

The names of its parts can be imported from here. Everything but `start`, `close`, `request` and `ping` is synchronous:
an element answers in the turn of the loop in which the octets came.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from ims_core.errors import ConnectionLost, LocalProtocolError, TransportError
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Flow, Network, Transport
from ims_core.transport.name_table import Hop, NameTable
from ims_core.transport.sip_transactions import (
    ClientHandle,
    FailureReason,
    KeptAnswer,
    OnOutcome,
    Outcome,
    ServerExchange,
    ServerTransaction,
    TransactionFailure,
)
from ims_core.transport.sip_transport import SipTransport, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.headers import ContentType, RetryAfter, Via
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.parser import SipParseError, check
from ims_core.wire.sip.top_hop import TopHop, top_hop
from ims_core.wire.sip.transaction import (
    MAGIC_COOKIE,
    TransactionKey,
    cancelled_key,
    response_key,
    transaction_key,
)

__all__ = [
    "ClientHandle",
    "FailureReason",
    "Hop",
    "NameTable",
    "Outcome",
    "ServerTransaction",
    "SipStack",
    "StackConfig",
    "TransactionFailure",
    "TransactionUser",
]

_log = logging.getLogger(__name__)
_PONG_WITHIN_S = 10.0  # RFC 5626 §4.4.1


class TransactionUser(Protocol):
    """What stands on a stack: a proxy, a registrar, a UA."""

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        """A request; *server* is None for an ACK to a 2xx (RFC 6026). CANCEL comes with a transaction of its own:
        answer it, and then the INVITE that `SipStack.is_cancelled_by` tells."""
        ...

    def stray_response(self, response: Response, flow: Flow) -> None:
        """A response with the own Via on top that belongs to no transaction, or a 2xx to an INVITE once more."""
        ...

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None: ...

    def keep_alive(self, flow: Flow, pong: bool) -> None: ...


class SipStack:
    """Transport and transaction layer of one SIP element."""

    __slots__ = (
        "_by_flow",
        "_clients",
        "_pings",
        "_servers",
        "_stateless_secret",
        "_user",
        "clock",
        "config",
        "deadlines",
        "name",
        "names",
        "timers",
        "tokens",
        "trace",
        "transport",
    )

    def __init__(
        self,
        config: StackConfig,
        user: TransactionUser,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
    ) -> None:
        self.config, self.name, self.timers = config, config.name, config.timers
        self.clock, self.tokens, self.trace, self.names = clock, tokens, trace, names
        self.deadlines = DeadlineHeap()
        self.transport = SipTransport(config, self, network=network, clock=clock, trace=trace, deadlines=self.deadlines)
        self._user = user
        self._clients: dict[TransactionKey, ClientHandle] = {}
        self._servers: dict[TransactionKey, ServerExchange | KeptAnswer] = {}
        self._by_flow: dict[Flow, dict[ClientHandle, None]] = {}  # those whose connection may fail
        self._pings: dict[Flow, list[asyncio.Future[bool]]] = {}
        self._stateless_secret = tokens.octets(16)

    async def start(self) -> None:
        """Listens. Raises TransportError with one sentence that says what to do."""
        await self.transport.start()

    async def close(self) -> None:
        """Ends flows and transactions; requests still out fail."""
        await self.transport.close()
        for client in tuple(self._clients.values()):
            client.abandon(ConnectionLost(f"{self.name} is closed"))
        self._clients.clear()
        self._servers.clear()
        self._by_flow.clear()
        self.deadlines.close()
        for flow in tuple(self._pings):
            self._pong(flow, False)

    # --- for the transaction user ------------------------------------------------------------------------------------

    def address(self, transport: Transport) -> Address:
        """The own listening address with its real port. Raises LocalProtocolError if there is none."""
        return self.transport.address(transport)

    def sent_by(self, flow: Flow) -> Address:
        """The own address that the peer of *flow* is told, in Via and fit for Contact."""
        return self.transport.sent_by(flow)

    def connect(self, hop: Hop) -> Flow:
        """The open flow of a hop, or a new one."""
        return self.transport.flow_of(hop)

    def close_flow(self, flow: Flow, reason: str) -> None:
        """Ends a flow from this side; `flow_closed` is called."""
        self.transport.drop(flow, TransportError(reason))

    def send_request(
        self, request: Request, hop: Hop, on_outcome: OnOutcome, *, branch: str | None = None
    ) -> ClientHandle:
        """Sends *request* with the own Via on top, in a client transaction.

        *on_outcome* gets every provisional response and exactly one final outcome, never before this returns. Over UDP
        to an address whose path MTU is unknown a large request goes by TCP (RFC 3261 §18.1.1). Raises
        LocalProtocolError for ACK, which has no transaction, and for a branch that is in use."""
        if request.method == "ACK":
            raise LocalProtocolError("an ACK has no client transaction", spec="RFC 3261 §17.1.1.1")
        branch = branch or self.new_branch()
        key = TransactionKey(f"{branch} {request.method}")
        if key in self._clients:
            raise LocalProtocolError(f"branch {branch} is in use", spec="RFC 3261 §8.1.1.7")
        flow, sent, fallback = self._route(request, hop, branch)
        client = ClientHandle(self, key, sent, flow, on_outcome, fallback)
        size = len(sent.encode())
        if not flow.is_open:
            self._fail_soon(client, ConnectionLost(f"the flow to {flow.remote} is closed"))
        elif not self.transport.can_carry(size, flow):
            self._fail_soon(client, TransportError(f"no datagram holds {size} octets"))
        else:
            self.client_begins(client)
        return client

    async def request(self, request: Request, hop: Hop) -> Outcome:
        """Sends *request* and waits for its final outcome. Cancelling the wait cancels an INVITE."""
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def settle(outcome: Outcome) -> None:
            is_final = not isinstance(outcome, Response) or outcome.status >= 200
            if is_final and not waiter.done():
                waiter.set_result(outcome)

        client = self.send_request(request, hop, settle)
        try:
            return await waiter
        except asyncio.CancelledError:
            client.cancel()
            raise

    def send_stateless(self, message: Request | Response, hop: Hop) -> None:
        """Sends without a transaction: the ACK to a 2xx, what a stateless proxy forwards.

        A request without the own Via on top gets one with a new branch."""
        flow = self.transport.flow_of(hop)
        if isinstance(message, Request) and not self._has_own_via(message, flow):
            message = message.edit().push("Via", self.transport.via_text(flow, self.new_branch())).done()
        self.transport.send(message.encode(), flow)

    def new_branch(self) -> str:
        return MAGIC_COOKIE + self.tokens.word()

    def reply(
        self,
        server: ServerTransaction,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[HeaderInput] = (),
        body: bytes = b"",
        content_type: ContentType | str | None = None,
    ) -> None:
        """Answers as a UAS: the response of RFC 3261 §8.2.6 with our To tag."""
        tag = None if status == 100 else server.to_tag(self.tokens)
        server.respond(
            Response.to(
                server.request, status, reason, to_tag=tag, headers=headers, body=body, content_type=content_type
            )
        )

    def is_cancelled_by(self, server: ServerTransaction, cancel: Request) -> bool:
        """Whether *cancel* is about the INVITE of *server* (RFC 3261 §9.2)."""
        return server.key == cancelled_key(cancel)

    def has_invite_for(self, cancel: Request) -> bool:
        """Whether *cancel* is about an INVITE transaction of this stack; else it is answered 481 (RFC 3261 §9.2)."""
        return cancelled_key(cancel) in self._servers

    def send_keep_alive(self, flow: Flow) -> None:
        """Sends a ping, CRLF CRLF (RFC 5626 §3.5.1); the pong comes as `TransactionUser.keep_alive`."""
        self.transport.send_keep_alive(flow)

    async def ping(self, flow: Flow, *, timeout_s: float = _PONG_WITHIN_S) -> bool:
        """Whether the other end of *flow* answers a ping within *timeout_s* (RFC 5626 §4.4.1)."""
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pings.setdefault(flow, []).append(waiter)
        self.send_keep_alive(flow)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError:
            return False
        finally:
            waiters = self._pings.get(flow)
            if waiters is not None and waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._pings[flow]

    @property
    def open_transactions(self) -> tuple[int, int]:
        """How many client and server transactions there are."""
        return len(self._clients), len(self._servers)

    # --- from the transport layer ------------------------------------------------------------------------------------

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        try:
            if isinstance(message, Request):
                self._request_received(message, flow)
            else:
                self._response_received(message, flow)
        except SipParseError as fault:
            if isinstance(message, Response):
                self.transport.report(f"response dropped: {fault}", message.encode(), flow)
                return
            if fault.request is None and message.method != "ACK" and message.has("via"):
                fault.request = message
            self.transport.refuse(fault, flow)

    def request_refused(self, fault: SipParseError, flow: Flow) -> None:
        if fault.request is not None:
            self._answer_stateless(fault.request, flow, fault.status)

    def keep_alive_received(self, flow: Flow, pong: bool) -> None:
        if pong:
            self._pong(flow, True)
        self._guard(flow, self._user.keep_alive, flow, pong)

    def flow_ended(self, flow: Flow, error: TransportError | None) -> None:
        self._pong(flow, False)
        if flow.local.transport.is_reliable:
            clients = tuple(self._by_flow.pop(flow, ()))
        else:
            clients = tuple(client for client in self._clients.values() if client.flow is flow) if error else ()
        for client in clients:
            client.flow_failed(error)
        self._guard(flow, self._user.flow_closed, flow, error)

    def awaits(self, flow: Flow) -> bool:
        return bool(self._by_flow.get(flow))

    # --- from the transactions ---------------------------------------------------------------------------------------

    def client_begins(self, client: ClientHandle) -> None:
        self._clients[client.key] = client
        if client.flow.local.transport.is_reliable:
            self._by_flow.setdefault(client.flow, {})[client] = None
        client.start()

    def client_ended(self, client: ClientHandle) -> None:
        if self._clients.get(client.key) is client:
            del self._clients[client.key]
        clients = self._by_flow.get(client.flow)
        if clients is not None:
            clients.pop(client, None)
            if not clients:
                del self._by_flow[client.flow]

    def server_begins(self, server: ServerExchange | KeptAnswer) -> None:
        self._servers[server.key] = server

    def server_ended(self, server: ServerExchange | KeptAnswer) -> None:
        self._servers.pop(server.key, None)

    def tell_outcome(self, client: ClientHandle, on_outcome: OnOutcome, outcome: Outcome) -> None:
        self._guard(client.flow, on_outcome, outcome)

    def tell_stray(self, response: Response, flow: Flow) -> None:
        self._guard(flow, self._user.stray_response, response, flow)

    def tell_ack(self, ack: Request, flow: Flow) -> None:
        self._guard(flow, self._user.request_received, ack, None, flow)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _route(self, request: Request, hop: Hop, branch: str) -> tuple[Flow, Request, Address | None]:
        """The flow for *request*, the request with the Via for it, and the UDP address that was given up for size."""
        transport = self.transport
        address = hop.address
        if address is None or address.transport is not Transport.UDP:
            flow = transport.flow_of(hop)
            return flow, request.below_via(transport.via_text(flow, branch)), None
        flow = transport.connect(address)
        sent = request.below_via(transport.via_text(flow, branch))
        if not transport.is_too_large(len(sent.encode()), address):
            return flow, sent, None
        flow = transport.connect(Address(Transport.TCP, address.host, address.port))
        return flow, request.below_via(transport.via_text(flow, branch)), address

    def _response_received(self, response: Response, flow: Flow) -> None:
        client = self._clients.get(response_key(response))
        check(response, None if client is None else client.request)
        if client is not None:
            client.receive(response)
        elif self.transport.is_own(response.top_via, flow):
            self.tell_stray(response, flow)
        else:
            self.transport.report("response dropped: its top Via is not ours", response.encode(), flow)

    def _request_received(self, request: Request, flow: Flow) -> None:
        remote = flow.remote
        hop = top_hop(request, remote.host, remote.port)
        key = transaction_key(request) if hop is None else hop[0]
        known = self._servers.get(key)
        if known is not None:
            known.receive(request)
            return
        check(request, has_sound_hop=hop is not None)
        if hop is None:
            request = self._marked(request, flow)
        elif hop[1]:
            request.mark_top_via(hop[1])
        if request.method == "ACK":
            self.tell_ack(request, flow)
        elif len(self._servers) >= self.config.max_transactions:
            self.transport.report("overload: refused", b"", flow)
            self._answer_stateless(request, flow, 503, RetryAfter(self.config.overload_retry_after_s))
        else:
            is_source = hop is not None and hop[2] and remote.transport is Transport.UDP
            way_back = flow if is_source else self._way_back(request, hop, flow)
            self._hand_on(ServerTransaction(self, key, request, way_back, flow), request, flow)

    def _marked(self, request: Request, flow: Flow) -> Request:
        """With the source that it came from in a top Via that is written in an unusual way."""
        via = request.top_via
        marked = via.with_received(flow.remote.host, flow.remote.port)
        return request if marked is via else request.with_top_via(marked)

    def _way_back(self, request: Request, hop: TopHop | None, flow: Flow) -> Flow | str:
        """The flow for the response, or the top Via that tells it when there is something to send: the stream that the
        request came on may have ended by then."""
        remote = flow.remote
        if remote.transport is not Transport.UDP:
            return f"Via: {request.top_via}" if hop is None else request.first_lines("via", "cseq")[0]
        return self.transport.way_back(request.top_via, flow)

    def _hand_on(self, server: ServerTransaction, request: Request, flow: Flow) -> None:
        if request.method == "INVITE":
            server.begin()  # a CANCEL has to find it
        try:
            self._user.request_received(request, server, flow)
        except Exception as error:
            self._user_failed(error, flow)
            if not server.is_answered:
                self.reply(server, 500)
        if not server.is_answered:
            server.await_answer()

    def _answer_stateless(self, request: Request, flow: Flow, status: int, *headers: HeaderInput) -> None:
        """Answers without a transaction, so with a tag that repeats for the same request (RFC 3261 §8.2.7)."""
        try:
            via = request.top_via
            marked = via.with_received(flow.remote.host, flow.remote.port)
            request = request.edit().pop(Via).push(marked).done()
            back = self.transport.way_back(marked, flow)
        except SipParseError:  # its Via is what is wrong with it
            back = flow
        identity = "\n".join((*request.texts("Via"), *request.texts("Call-ID"), *request.texts("CSeq")))
        octets = identity.encode("utf-8", "surrogateescape")
        tag = hashlib.blake2s(octets, key=self._stateless_secret, digest_size=8).hexdigest()
        self.transport.send(Response.to(request, status, to_tag=tag, headers=headers).encode(), back)

    def _fail_soon(self, client: ClientHandle, error: TransportError) -> None:
        """A request that cannot be sent: the outcome comes after `send_request` has returned."""
        self._clients[client.key] = client
        client.start()  # into the void: only its state counts
        asyncio.get_running_loop().call_soon(client.flow_failed, error)

    def _has_own_via(self, request: Request, flow: Flow) -> bool:
        via = request.get(Via)
        return via is not None and self.transport.is_own(via, flow)

    def _pong(self, flow: Flow, is_alive: bool) -> None:
        for waiter in self._pings.pop(flow, ()):
            if not waiter.done():
                waiter.set_result(is_alive)

    def _guard(self, flow: Flow, call: Callable[..., None], *arguments: object) -> bool:
        """Calls the transaction user. What it raises must not cost the other messages of this turn: traced, logged."""
        try:
            call(*arguments)
        except Exception as error:
            self._user_failed(error, flow)
            return False
        return True

    def _user_failed(self, error: Exception, flow: Flow) -> None:
        _log.exception("%s: the transaction user failed", self.name)
        self.transport.report(f"the transaction user failed: {error!r}", b"", flow)
