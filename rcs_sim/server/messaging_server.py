"""Messaging server of a carrier (digest §15.5): a participating function on a SIP stack, with its store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from ims_core.cx import Sh
from ims_core.errors import LocalProtocolError, TransportError
from ims_core.reference_points import MediaAnchor
from ims_core.store.deferred_messages import DEFERRED_MESSAGES, DELIVERY_CURSORS
from ims_core.store.mls_conversations import MLS_CONTROL_MESSAGES, MLS_CONVERSATIONS
from ims_core.store.record_table import Store, StoreError
from ims_core.store.registered_devices import REGISTERED_DEVICES
from ims_core.trace import RecordKind, Trace
from ims_core.transport.background import Background
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, Network, Transport
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
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.custom_proposals import rcs_seams
from rcs_sim.mls.seams import Seams
from rcs_sim.server.interworking_link import InterworkingLink
from rcs_sim.server.messaging_actions import (
    Action,
    CallErrand,
    Errand,
    Exchange,
    Forget,
    Note,
    Persist,
    Release,
    Respond,
    RespondInCall,
    SendAck,
    SendCancel,
    SendInCall,
    SendRequest,
    SubmitText,
)
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.server.mls_trust import FocusIdentity, TrustSource
from rcs_sim.server.participating_function import ParticipatingFunction
from rcs_sim.server.session_media import SessionMedia
from rcs_sim.server.session_transport import CallTransport

__all__ = ["MessagingServer"]

_log = logging.getLogger(__name__)
_GOODBYES = 20  # sessions that are ended in one turn of the loop


class MessagingServer:
    """The asyncio shell, to be started and closed once.

    *store* is open and stays the caller's; *anchor* carries sessions, without which there are none; *smsc* is where the
    SM link goes if the network interworks; *blocked* maps identity keys of subscribers to those they block; *trust* has
    the roots of all vendors as they are at any time, without which encrypted conversations have no focus here."""

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
        anchor: MediaAnchor | None = None,
        smsc: Address | None = None,
        blocked: Mapping[str, frozenset[str]] | None = None,
        stack_config: StackConfig | None = None,
        trust: TrustSource | None = None,
    ) -> None:
        self.config = config
        media = None
        if anchor is not None:
            media = SessionMedia(anchor, now=clock.now, after=self._after_media, contact_address=self._contact_address)
        seams = _seams(config, trust)
        self.core = ParticipatingFunction(config, subscribers, tokens, blocked=blocked, media=media, seams=seams)
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
        self._open: dict[Exchange, ServerTransaction] = {}
        self._calls = CallTransport(self.stack, self._next_hop, self._progress, self._finish)
        self._last_exchange = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._is_closed = False
        self._shut_down: asyncio.Future[None] | None = None
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
        conversations, log = [], []
        if self.core.focus is not None:
            conversations = await self._store.table(MLS_CONVERSATIONS).load_all()
            log = await self._store.table(MLS_CONTROL_MESSAGES).load_all()
        await self._background.start()
        await self.stack.start()
        self._execute(self.core.load(messages, cursors, devices, self._clock.now()))
        self._execute(self.core.load_focus(conversations, log, self._clock.now()))

    async def end_sessions(self, within_s: float) -> None:
        """To be called before `close`: calls end with a reason and connections after what is under way, as far as that
        is done in time."""
        self._shut_down = asyncio.get_running_loop().create_future()
        has_more = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while has_more:
                    actions, has_more = self.core.shut_down(self._clock.now(), _GOODBYES)
                    self._execute(actions)
                    await asyncio.sleep(0)
                await self._shut_down

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
        trusted_hosts = self.config.trusted_hosts
        is_trusted = not trusted_hosts or flow.remote.host in trusted_hosts
        if server is None:
            if is_trusted and request.method == "ACK":
                self._execute(self.core.handle_ack(request, self._clock.now()))
            return
        if not is_trusted:
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
            actions = self._handle(exchange, request, server)
        except Exception:
            self._release(exchange)
            raise  # to the stack, which traces it and answers 500
        self._execute(actions)

    def _handle(self, exchange: Exchange, request: Request, server: ServerTransaction) -> list[Action]:
        now = self._clock.now()
        if request.method == "CANCEL":
            return self.core.handle_cancel(exchange, request, self._calls.cancelled_by(request), now)
        if request.method == "INVITE":
            self._calls.received(exchange, server)
        return self.core.handle_request(exchange, request, now)

    def stray_response(self, response: Response, flow: Flow) -> None:
        """Of no transaction any more, such as a 2xx to INVITE once more."""
        self._execute(self.core.handle_stray(response, self._clock.now()))

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
                case RespondInCall():
                    self._respond_in_call(action)
                case Release():
                    self._release(action.exchange)
                case SendInCall() | SendAck() | SendCancel():
                    if not self._is_closed:
                        self._calls.send(action)
                case Note():
                    self._note(action)
                case Persist() | Forget():
                    self._background.spawn(self._keep(action), "store")
                case SubmitText():
                    self._submit(action)
        self._arm()
        if self._shut_down is not None:
            self._look_whether_shut_down(self._shut_down)

    def _look_whether_shut_down(self, done: asyncio.Future[None]) -> None:
        if not self._calls.unanswered and not self.core.has_sessions and not done.done():
            done.set_result(None)

    def _respond(self, action: Respond) -> None:
        server = self._release(action.exchange)
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

    def _respond_in_call(self, action: RespondInCall) -> None:
        status, exchange = action.response.status, action.exchange
        server = self._open.get(exchange)
        if server is None:
            return
        is_kept = status < 200 or (server.request.method == "INVITE" and status < 300)
        if not is_kept:
            self._release(exchange)
        server.respond(action.response)

    def _release(self, exchange: Exchange) -> ServerTransaction | None:
        server = self._open.pop(exchange, None)
        if server is not None:
            self._calls.released(server)
        return server

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

    def _progress(self, errand: CallErrand, response: Response) -> None:
        self._execute(self.core.handle_progress(errand, response, self._clock.now()))

    # -- media -------------------------------------------------------------------------------------------------------

    def _after_media(self) -> None:
        """The anchor has told something: what was decided is carried out."""
        self._execute(self.core.context.outbox.take(self._clock.now()))

    def _contact_address(self) -> str:
        """For Contact: TCP if this server listens for it, as session descriptions do not fit into datagrams."""
        transports = {address.transport for address in self.config.listen}
        transport = Transport.TCP if Transport.TCP in transports else Transport.UDP
        address = self.stack.address(transport)
        host = f"[{address.host}]" if ":" in address.host else address.host
        return f"{host}:{address.port};transport={transport.value.lower()}"

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


def _seams(config: MessagingServerConfig, trust: TrustSource | None) -> Seams | None:
    """What the focus of encrypted conversations judges members by."""
    if trust is None or config.mls_rules is None:
        return None
    strictness = Strictness.STRICT if config.mls_rules.uses_strict_certificates else Strictness.TOLERANT
    return rcs_seams(FocusIdentity(trust, strictness), msisdn_of)
