"""The stateful proxy that every CSCF is (RFC 3261 §16): carries out what its decision core, a `Router`, decides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ims_core.errors import TransportError
from ims_core.nodes.decision import Answer, Decision, Defer, Forward, Persist, Put, Reject, Router
from ims_core.nodes.exchange import Exchange
from ims_core.nodes.request_check import check_request
from ims_core.store.record_table import Store, StoreError
from ims_core.trace import RecordKind, Trace
from ims_core.transport.background import Background
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, Network
from ims_core.transport.sip_stack import (
    ClientHandle,
    Hop,
    NameTable,
    Outcome,
    ServerTransaction,
    SipStack,
    StackConfig,
)
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response

__all__ = ["TIMER_C_S", "Proxy"]

_log = logging.getLogger(__name__)

TIMER_C_S: Final = 181.0  # RFC 3261 §16.6 step 11: more than three minutes; sip.timer_c_s


class Proxy:
    """Transaction user of one `SipStack`. Nothing that a peer sends raises out of it.

    *on_flow_closed* is told of every flow that ends."""

    def __init__(
        self,
        config: StackConfig,
        router: Router,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
        store: Store | None = None,
        timer_c_s: float = TIMER_C_S,
        on_flow_closed: Callable[[Flow], None] | None = None,
    ) -> None:
        self.stack = SipStack(config, self, network=network, clock=clock, tokens=tokens, trace=trace, names=names)
        self.background = Background(config.name)
        self._router = router
        self._clock = clock
        self._tokens = tokens
        self._store = store
        self._timer_c_s = timer_c_s
        self._on_flow_closed = on_flow_closed
        self._own_sent_by: tuple[str, ...] = ()
        self._sent: dict[str, Request] = {}  # what is being proxied, by the branch that it went out with
        self._invites: dict[tuple[str, str], Exchange] = {}
        self._accepted: dict[str, Callable[[Outcome], None]] = {}
        self._branch_prefix = f"z9hG4bK{tokens.word()}"
        self._branch_number = 0

    async def start(self) -> None:
        """Raises TransportError if an address cannot be had."""
        await self.background.start()
        try:
            await self.stack.start()
        except TransportError:
            await self.background.close()
            raise
        self._own_sent_by = tuple({f"{each.host}:{each.port}" for each in self.addresses()})

    async def close(self) -> None:
        await self.background.close()
        await self.stack.close()

    def addresses(self) -> list[Address]:
        """The addresses that the stack listens on, with their real ports."""
        own = []
        for transport in {address.transport for address in self.stack.config.listen}:
            own.append(self.stack.address(transport))
        return own

    # --- TransactionUser ---------------------------------------------------------------------------------------------

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        if request.method == "CANCEL":
            return self._cancel(request, server)
        try:
            decision = check_request(request, self._own_sent_by, self._router.supported_extensions, self._sent)
            if decision is None:
                if request.method == "INVITE" and server is not None:
                    server.respond(Response.to(request, 100))
                self._follow(self._router.route(request, flow, self._clock.now()), request, server)
                return None
        except SipParseError as error:
            self.report(request, error)
            decision = Reject(error.status)
        self._follow(decision, request, server)
        return None

    def stray_response(self, response: Response, flow: Flow) -> None:
        """A 2xx to INVITE once more, or of another fork, goes on to the caller; the rest is dropped (RFC 6026 §8.9)."""
        take = self._accepted.get(response.top_via.branch or "") if response.status // 100 == 2 else None
        if take is not None:
            take(response)

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        if self._on_flow_closed is not None:
            self._on_flow_closed(flow)

    def keep_alive(self, flow: Flow, pong: bool) -> None:
        """Answered by the stack."""

    # --- carrying out decisions --------------------------------------------------------------------------------------

    def _follow(self, decision: Decision, request: Request, server: ServerTransaction | None) -> None:
        if server is None:
            return self._follow_for_ack(decision)
        if isinstance(decision, Answer):
            if decision.is_stateless:
                server.respond_stateless(decision.response)
            else:
                server.respond(decision.response)
            if decision.actions:
                self.perform(decision.actions)
        elif isinstance(decision, Forward):
            self._forward(decision, request, server)
        elif isinstance(decision, Reject):
            server.respond(self.response_to(request, decision))
        elif isinstance(decision, Defer) and not self.background.spawn(self._defer(decision, request, server), "store"):
            server.respond(self.response_to(request, Reject(503)))
        return None

    def _forward(self, forward: Forward, request: Request, server: ServerTransaction) -> None:
        exchange = Exchange(self, server, self._timer_c_s)
        if exchange.is_invite:
            exchange.key = _transaction_key(request)
            self._invites[exchange.key] = exchange
        exchange.forward(forward)

    def _follow_for_ack(self, decision: Decision) -> None:
        """The ACK of a 2xx goes where its Route says and is never answered (RFC 3261 §16.11)."""
        if isinstance(decision, Forward):
            for target in decision.targets:
                self.stack.send_stateless(target.request, target.hop)

    async def _defer(self, deferred: Defer, request: Request, server: ServerTransaction) -> None:
        try:
            await self._write(deferred)
        except StoreError as error:
            _log.error("%s: %s", self.stack.name, error)
            server.respond(self.response_to(request, Reject(500)))
            return
        self._follow(deferred.then, request, server)

    async def _write(self, deferred: Defer) -> None:
        if self._store is None:
            return
        for write in deferred.writes:
            table = self._store.table(write.table)
            if isinstance(write, Put):
                await table.put(write.record)
            else:
                await table.delete(write.key)

    def write_later(self, deferred: Defer) -> None:
        """Stores what no request waits for: expiry, a dropped binding."""
        if self._store is not None and deferred.writes:
            self.background.spawn(self._write(deferred), "store")

    def _cancel(self, request: Request, server: ServerTransaction | None) -> None:
        """CANCEL (RFC 3261 §16.10).

        # DEVIATION: one that matches no INVITE here is not forwarded but answered 481: its branches were random."""
        if server is None:
            return
        exchange = self._invites.get(_transaction_key(request))
        server.respond(self.response_to(request, Reject(200 if exchange is not None else 481)))
        if exchange is not None:
            exchange.cancel(tuple(("Reason", text) for text in request.texts("Reason")))  # RFC 3326 §2

    # --- ExchangeOwner -----------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self._clock.now()

    def new_branch(self, received: Request) -> str:
        """Unique over all requests and runs; it leads back to *received*, should the request come again in a loop."""
        self._branch_number += 1
        branch = f"{self._branch_prefix}.{self._branch_number:x}"
        self._sent[branch] = received
        return branch

    def send(self, request: Request, hop: Hop, on_outcome: Callable[[Outcome], None], branch: str) -> ClientHandle:
        return self.stack.send_request(request, hop, on_outcome, branch=branch)

    def ended(self, branch: str) -> None:
        self._sent.pop(branch, None)

    def response_to(self, request: Request, rejection: Reject) -> Response:
        return Response.to(
            request, rejection.status, rejection.reason, to_tag=self._tokens.word(), headers=rejection.headers
        )

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(delay_s, callback).cancel

    def forget(self, exchange: Exchange) -> None:
        if exchange.key is not None:
            self._invites.pop(exchange.key, None)

    def respond_when_stored(self, writes: tuple[Persist, ...], server: ServerTransaction, response: Response) -> None:
        deferred = Defer(writes, Answer(response))
        if self._store is None:
            server.respond(response)
        elif not self.background.spawn(self._defer(deferred, server.request, server), "store"):
            server.respond(self.response_to(server.request, Reject(503)))

    def accepted(self, branch: str, take: Callable[[Outcome], None]) -> None:
        self._accepted[branch] = take
        self.call_later(self.stack.timers.timeout_s - 1, lambda: self._accepted.pop(branch, None))

    def perform(self, actions: tuple[object, ...]) -> None:
        if actions:
            self._router.perform(actions, self._clock.now())

    def report(self, message: Request | Response, error: SipParseError) -> None:
        if self.stack.trace.enabled:
            self.stack.trace.record(
                at=self._clock.now(),
                kind=RecordKind.ERROR,
                source=self.stack.name,
                protocol="SIP",
                summary=f"{message.summary()}: {error}",
                raw=message.encode(),
            )


def _transaction_key(request: Request) -> tuple[str, str]:
    """What a CANCEL has in common with its INVITE: branch and sent-by of the top Via (RFC 3261 §17.2.3)."""
    via = request.top_via
    return via.branch or request.call_id, via.sent_by
