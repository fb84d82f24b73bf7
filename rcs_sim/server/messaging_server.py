"""Messaging server of a carrier (digest §15.5): a participating function on a SIP stack, with its store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial

from ims_core.cx import Sh
from ims_core.errors import LocalProtocolError, TransportError
from ims_core.store.deferred_messages import DEFERRED_MESSAGES, DELIVERY_CURSORS
from ims_core.store.record_table import Store, StoreError
from ims_core.store.registered_devices import REGISTERED_DEVICES
from ims_core.trace import RecordKind, Trace
from ims_core.transport.background import Background
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, Network
from ims_core.transport.sip_stack import (
    FailureReason,
    Hop,
    NameTable,
    Outcome,
    ServerTransaction,
    SipStack,
    StackConfig,
)
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import Route
from ims_core.wire.sip.message import Request, Response
from rcs_sim.server.interworking_link import InterworkingLink
from rcs_sim.server.messaging_actions import (
    Action,
    Errand,
    Exchange,
    Forget,
    Note,
    Persist,
    Respond,
    SendRequest,
    SubmitText,
)
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.server.participating_function import ParticipatingFunction

__all__ = ["MessagingServer"]

_log = logging.getLogger(__name__)


class MessagingServer:
    """The asyncio shell, to be started and closed once.

    *store* is open and stays the caller's; *smsc* is where the SM link goes if the network interworks; *blocked* maps
    identity keys of subscribers to those they block."""

    def __init__(
        self,
        config: MessagingServerConfig,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
        store: Store,
        subscribers: Sh,
        smsc: Address | None = None,
        blocked: Mapping[str, frozenset[str]] | None = None,
        stack_config: StackConfig | None = None,
    ) -> None:
        self.config = config
        self.core = ParticipatingFunction(config, subscribers, tokens, blocked=blocked)
        self.stack = SipStack(
            stack_config or StackConfig(name=config.name, listen=config.listen),
            self,
            network=network,
            clock=clock,
            tokens=tokens,
            trace=trace,
            names=names,
        )
        self._clock = clock
        self._trace = trace
        self._names = names
        self._store = store
        self._background = Background(config.name)
        self._open: dict[int, ServerTransaction] = {}
        self._last_exchange = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._is_closed = False
        self._link: InterworkingLink | None = None
        if smsc is not None:
            self._link = InterworkingLink(
                config,
                smsc,
                network=network,
                clock=clock,
                tokens=tokens,
                trace=trace,
                on_submitted=self._submitted,
                on_reported=self._reported,
            )

    async def start(self) -> None:
        """Reads the store and listens. Raises StoreError or TransportError with one sentence that says what to do."""
        messages = await self._store.table(DEFERRED_MESSAGES).load_all()
        cursors = await self._store.table(DELIVERY_CURSORS).load_all()
        devices = await self._store.table(REGISTERED_DEVICES).load_all()
        await self._background.start()
        await self.stack.start()
        self._execute(self.core.load(messages, cursors, devices, self._clock.now()))

    async def close(self) -> None:
        """Ends transactions, then waits a bounded time for what is being stored: also messages whose delivery this
        interrupts."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._link is not None:
            await self._link.close()
        await self.stack.close()
        await self._background.close()
        self._open.clear()

    # -- TransactionUser ---------------------------------------------------------------------------------------------

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        if server is None:
            return  # an ACK to a 2xx that this server never sent
        trusted_hosts = self.config.trusted_hosts
        if trusted_hosts and flow.remote.host not in trusted_hosts:
            self.stack.reply(server, 403)  # RFC 3325 §5: nobody else may assert an identity, or report a registration
            return
        if len(self._open) >= self.config.max_exchanges:
            retry = (("Retry-After", str(self.config.retry_after_s)),)
            self.stack.reply(server, 503, headers=retry)
            return
        self._last_exchange += 1
        exchange = Exchange(self._last_exchange)
        self._open[exchange] = server
        try:
            actions = self.core.handle_request(exchange, request, self._clock.now())
        except Exception:
            self._open.pop(exchange, None)
            raise  # to the stack, which traces it and answers 500
        self._execute(actions)

    def stray_response(self, response: Response, flow: Flow) -> None:
        """Of no transaction any more: dropped."""

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        """Flows are reopened when needed."""

    def keep_alive(self, flow: Flow, pong: bool) -> None:
        """Answered by the stack."""

    # -- actions -----------------------------------------------------------------------------------------------------

    def _execute(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Respond():
                    self._respond(action)
                case SendRequest():
                    self._send(action)
                case Note():
                    self._note(action)
                case Persist() | Forget():
                    self._background.spawn(self._keep(action), "store")
                case SubmitText():
                    self._submit(action)
        self._arm()

    def _respond(self, action: Respond) -> None:
        server = self._open.pop(action.exchange, None)
        if server is None or server.is_answered:
            return
        self.stack.reply(
            server,
            action.status,
            action.reason,
            headers=action.headers,
            body=action.body,
            content_type=action.content_type,
        )

    def _send(self, action: SendRequest) -> None:
        hop = self._next_hop(action.request)
        if self._is_closed:
            return
        if hop is None:
            _log.warning("%s: no address for the next hop of %s", self.config.name, action.request.summary())
            asyncio.get_running_loop().call_soon(self._finish, action.errand, 503, None)
            return
        try:
            self.stack.send_request(action.request, hop, partial(self._outcome, action.errand))
        except (LocalProtocolError, TransportError):
            _log.exception("%s: %s was not sent", self.config.name, action.request.summary())
            asyncio.get_running_loop().call_soon(self._finish, action.errand, 503, None)

    def _next_hop(self, request: Request) -> Hop | None:
        try:
            route = request.get(Route)
            return self._names.hop(request.request_uri if route is None else route)
        except SipParseError:
            return None

    def _outcome(self, errand: Errand, outcome: Outcome) -> None:
        if isinstance(outcome, Response):
            if outcome.status >= 200:
                self._finish(errand, outcome.status, outcome)
        else:
            self._finish(errand, 408 if outcome.reason is FailureReason.TIMEOUT else 503, None)

    def _finish(self, errand: Errand, status: int, response: Response | None) -> None:
        self._execute(self.core.handle_outcome(errand, status, response, self._clock.now()))

    async def _keep(self, action: Persist | Forget) -> None:
        table, error = self._store.table(action.record_type), None
        try:
            if isinstance(action, Persist):
                await table.put(action.record)
            else:
                await table.delete(action.key)
        except StoreError as failure:
            error = failure
            _log.error("%s: %s", self.config.name, failure)
            self._record(RecordKind.ERROR, Note("store failed", str(failure)))
        if action.errand is not None:
            self._execute(self.core.handle_stored(action.errand, error, self._clock.now()))

    def _submit(self, action: SubmitText) -> None:
        if self._link is None:
            asyncio.get_running_loop().call_soon(self._submitted, action.submission, False)
        else:
            self._link.submit(action)

    def _submitted(self, submission: str, is_accepted: bool) -> None:
        self._execute(self.core.handle_submission(submission, is_accepted, self._clock.now()))

    def _reported(self, submission: str, is_delivered: bool) -> None:
        self._execute(self.core.handle_report(submission, is_delivered, self._clock.now()))

    def _note(self, action: Note) -> None:
        if self._trace.enabled:
            self._record(RecordKind.STATE, action)

    def _record(self, kind: RecordKind, note: Note) -> None:
        self._trace.record(
            at=self._clock.now(),
            kind=kind,
            source=self.config.name,
            protocol="CPM",
            summary=note.summary,
            imdn_message_id=note.message_id,
            conversation_id=note.conversation_id,
            details={"reason": note.reason, "user": note.user} if note.user else {"reason": note.reason},
        )

    # -- the clock ---------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """One timer of the loop, for the next deadline of the core."""
        at = None if self._is_closed else self.core.next_deadline()
        if at is None or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at - self._clock.now()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._execute(self.core.handle_deadline(self._clock.now()))
