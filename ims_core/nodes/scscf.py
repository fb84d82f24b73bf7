"""S-CSCF: registrar, service control and routing of its users (TS 24.229 §5.4; digest §15.3)."""

from __future__ import annotations

import logging

from ims_core.cx import Cx, DeregistrationReason, UserProfile
from ims_core.nodes.application_servers import ApplicationServers
from ims_core.nodes.deadlines import Alarm
from ims_core.nodes.decision import Decision, Defer, Discard, Persist, Reject
from ims_core.nodes.delivery import Delivery
from ims_core.nodes.destination import Destinations
from ims_core.nodes.number_table import NumberTable
from ims_core.nodes.original_dialog import OriginalDialogs
from ims_core.nodes.own_address import OwnAddress, top_route
from ims_core.nodes.proxy import Proxy
from ims_core.nodes.reg_event import RegEventNotifier, SendNotify
from ims_core.nodes.registrar import NotifyWatchers, Registrar, TellServers, identity_key_of
from ims_core.nodes.scscf_config import ScscfConfig
from ims_core.nodes.served_user import RegSubscription, ServedUser
from ims_core.nodes.session_router import SessionRouter
from ims_core.nodes.third_party_register import third_party_register
from ims_core.service_profile import FilterCriteria
from ims_core.store.bindings import BINDINGS, REG_SUBSCRIPTIONS, binding_record_key
from ims_core.store.record_table import Store
from ims_core.trace import RecordKind, Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Flow, Network, Transport
from ims_core.transport.sip_stack import NameTable, Outcome, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import parse_uri

__all__ = ["Scscf", "ScscfConfig"]

_log = logging.getLogger(__name__)
_KEY_OCTETS = 16


class Scscf:
    """The node: decision cores, stack, timer. Implements `UserStateObserver` toward the HSS."""

    def __init__(
        self,
        config: ScscfConfig,
        numbers: NumberTable,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
        hss: Cx,
        store: Store | None = None,
    ) -> None:
        self._config = config
        self._numbers = numbers
        self._clock = clock
        self._tokens = tokens
        self._trace = trace
        self._names = names
        self._hss = hss
        self._store = store
        self._alarm = Alarm(clock, self._handle_deadline)
        self._home = (config.home_domain.lower(),)
        self._third_party_tag = tokens.word()
        self._third_party_cseq = 0
        self._registrar: Registrar | None = None
        self._servers = ApplicationServers(clock, self._tell, self._left_s, self._without_service)
        self._proxy = Proxy(
            StackConfig(name=config.name, listen=config.listen),
            self,
            network=network,
            clock=clock,
            tokens=tokens,
            trace=trace,
            names=names,
            store=store,
        )
        self.stack = self._proxy.stack
        self.supported_extensions = frozenset(("path", "gruu", "outbound"))

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises TransportError, StoreError."""
        await self._proxy.start()
        config, tokens = self._config, self._tokens
        self._own = own = OwnAddress(self._proxy.addresses(), config.host_names, prefer=Transport.TCP)
        self._registrar = Registrar(
            config,
            self._hss,
            service_route=f"<{own.uri('orig')}>",
            octets=tokens.octets,
            new_tag=tokens.word,
            is_durable=self._store is not None,
        )
        self._reg_event = RegEventNotifier(
            own.uri(params=""),
            new_tag=tokens.word,
            longest_s=config.subscription_s,
            is_durable=self._store is not None,
        )
        self._sessions = SessionRouter(
            config,
            own,
            self._registrar,
            self._reg_event,
            Delivery(self._registrar, self._names.hop, self._after),
            Destinations(config.home_domain, self._numbers),
            OriginalDialogs(tokens.octets(_KEY_OCTETS)),
            cx=self._hss,
            hop_of=self._names.hop,
        )
        self._hss.observe(self)
        await self.restore()

    async def close(self) -> None:
        self._hss.forget_observer(self)
        self._alarm.close()
        await self._proxy.close()
        self._servers.close()

    async def restore(self) -> None:
        """Takes in the bindings of an earlier run, and who watches them. Raises StoreError."""
        if self._store is None:
            return
        table = self._store.table(BINDINGS)
        for record in sorted(await table.load_all(), key=lambda each: each.registered_at):
            if not self.registrar.restore(record, self._clock.now()):
                await table.delete(binding_record_key(record.owner, record.key))
        for record in await self._store.table(REG_SUBSCRIPTIONS).load_all():
            self._reg_event.restore(record, self.registered_user(record.owner), self._clock.now())
        self._write_pending()
        self._rearm()

    @property
    def registrar(self) -> Registrar:
        """Raises RuntimeError before `start`."""
        if self._registrar is None:
            raise RuntimeError("the S-CSCF has not been started")
        return self._registrar

    # --- Router ------------------------------------------------------------------------------------------------------

    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        if self._registrar is None:
            return Reject(503)
        if request.method != "REGISTER":
            return self._sessions.route(request, flow, now)
        decision = self._registrar.register(request, now)
        if self._registrar.deadlines.has_changed:
            self._rearm()
        return decision

    def perform(self, actions: tuple[object, ...], now: float) -> None:
        for action in actions:
            match action:
                case TellServers():
                    self._servers.tell(action)
                case NotifyWatchers(user, changes, ended):
                    wait_s = self._config.probation_s
                    self.perform(self._reg_event.changed(user, changes, ended, now, wait_s), now)
                case SendNotify(subscription, request):
                    self._send_notify(subscription, request)
                case _:
                    raise TypeError(f"no such action: {action!r}")
        self._write_pending()
        self._rearm()

    def _write_pending(self) -> None:
        """What became of subscriptions, which nobody waits for."""
        writes = self._reg_event.take_writes()
        if writes:
            self._proxy.write_later(Defer(writes, Discard()))

    # --- operator and HSS --------------------------------------------------------------------------------------------

    def registered_user(self, impu: str) -> ServedUser | None:
        """The user with *impu* if he is registered. Raises SipParseError if *impu* is no URI."""
        user = self.registrar.users.get(identity_key_of(impu, self._home))
        return user if user is not None and user.is_registered else None

    def registration_termination(self, impu: str, reason: DeregistrationReason) -> bool:
        """Ends the registration of *impu* (TS 24.229 §5.4.1.5): NOTIFY, third-party REGISTER, bindings removed."""
        try:
            user = self.registered_user(impu)
        except SipParseError:
            return False
        if user is None:
            return False
        self._trace_state(f"{user.default_impu} deregistered by the network: {reason.value}")
        self._after(*self.registrar.deregister(user, reason, self._clock.now()))
        return True

    def push_profile(self, profile: UserProfile) -> None:
        self.registrar.take_profile(profile)

    # --- actions -----------------------------------------------------------------------------------------------------

    def _after(self, actions: tuple[object, ...], writes: tuple[Persist, ...]) -> None:
        """Actions and writes that no request waits for."""
        self._proxy.write_later(Defer(writes, Discard()))
        self.perform(actions, self._clock.now())

    def _tell(self, action: TellServers, criterion: FilterCriteria) -> None:
        """Third-party REGISTER to one server. To is a SIP IMPU where there is one (TS 24.229 §5.4.1.7)."""
        user, hop = action.user, self._names.hop(parse_uri(criterion.as_uri))
        if hop is None:
            _log.warning("%s: no address for %s", self._config.name, criterion.as_uri)
            self._servers.answered(action, criterion, is_taken=True)  # there is nobody who could be told again
            return
        self._third_party_cseq += 1
        request = third_party_register(
            criterion.as_uri.removesuffix(";lr"),
            scscf_uri=self._own.uri(params=""),
            impu=user.sip_impu() or user.default_impu,
            expires_s=action.expires_s,
            call_id=f"3p-{user.number:x}-{criterion.name}-{self._third_party_tag}",
            cseq=self._third_party_cseq,
            tag=self._third_party_tag,
            register=action.register,
            answer=action.answer,
        )
        self.stack.send_request(request, hop, _ThirdPartyAnswer(self, action, criterion))

    def third_party_answered(self, action: TellServers, criterion: FilterCriteria, *, is_taken: bool) -> None:
        """The final answer of a server to a third-party REGISTER, or that there was none (TS 24.229 §5.4.1.7)."""
        if not is_taken:
            user = action.user
            _log.info("%s: %s did not answer for %s", self._config.name, criterion.as_uri, user.default_impu)
        self._servers.answered(action, criterion, is_taken=is_taken)

    def _left_s(self, user: ServedUser) -> int:
        return self.registrar.remaining_s(user, self._clock.now())

    def _without_service(self, user: ServedUser) -> None:
        self.registration_termination(user.default_impu, DeregistrationReason.DEACTIVATED)

    def _send_notify(self, subscription: RegSubscription, request: Request) -> None:
        hop = self._names.hop(top_route(request) or request.request_uri)
        if hop is None:
            subscription.notifier.notify_timed_out()
            return
        self.stack.send_request(request, hop, lambda outcome: self._notify_answered(subscription, outcome))

    def _notify_answered(self, subscription: RegSubscription, outcome: Outcome) -> None:
        self._reg_event.notify_answered(subscription, outcome)
        self._write_pending()

    # --- timers ------------------------------------------------------------------------------------------------------

    def _rearm(self) -> None:
        ours, theirs = self.registrar.deadlines, self._reg_event.deadlines
        if not (ours.has_changed or theirs.has_changed):
            return
        at, other = ours.next_deadline(), theirs.next_deadline()
        self._alarm.set(other if at is None or (other is not None and other < at) else at)

    def _handle_deadline(self) -> None:
        now = self._clock.now()
        self._after(*self.registrar.handle_deadline(now))
        self.perform(self._reg_event.handle_deadline(now), now)

    def _trace_state(self, summary: str) -> None:
        if self._trace.enabled:
            self._trace.record(at=self._clock.now(), kind=RecordKind.STATE, source=self._config.name, summary=summary)


class _ThirdPartyAnswer:
    """Takes the answer to one third-party REGISTER."""

    __slots__ = ("_action", "_criterion", "_scscf")

    def __init__(self, scscf: Scscf, action: TellServers, criterion: FilterCriteria) -> None:
        self._scscf, self._action, self._criterion = scscf, action, criterion

    def __call__(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Response) or outcome.status >= 200:
            is_taken = isinstance(outcome, Response) and outcome.status < 300
            self._scscf.third_party_answered(self._action, self._criterion, is_taken=is_taken)
