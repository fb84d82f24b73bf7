"""The messages that leave a phone: routes them and carries out what their machines decide (digest §8.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ims_core.errors import LocalProtocolError
from ims_core.transport.sip_stack import Outcome
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.message import Response
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.capabilities import CapabilityCache, Knowledge, Occasion, PeerTags
from rcs_sim.client.chat_mode import ChatMode, ModeDecision, choose_mode, possible_modes
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.delivery import Do, Waiting
from rcs_sim.client.discovery import Discovery, is_stored_nowhere, retry_after_of, tags_of
from rcs_sim.client.display import Display, Shown
from rcs_sim.client.encryption import Encryption, Scheme, SealDecision, SealStep
from rcs_sim.client.fallback import (
    Column,
    FallbackReason,
    Latch,
    LatchEvent,
    OwnRcs,
    RcsOutcome,
    Route,
    RouteContext,
    RouteDecision,
    Step,
    choose_route,
    next_latch,
)
from rcs_sim.client.identity import ContactKey, is_number, is_reachable
from rcs_sim.client.message_maker import MessageMaker
from rcs_sim.client.message_rules import can_revoke, capability_times, delivery_rules, mode_rules
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import SentMessage, label_of
from rcs_sim.client.narration import CFS_TIMER, show_sent, show_tick, trace_decision, trace_route
from rcs_sim.client.own_changes import follow_change
from rcs_sim.client.own_rcs import OwnRcsState
from rcs_sim.client.pager_sender import PagerSender
from rcs_sim.client.sealing import PLAIN, anew, held_or_refused, is_spent, must_stay_sealed, seal, sealing_of, with_room
from rcs_sim.client.session_doubts import SessionDoubts
from rcs_sim.client.session_sender import SessionOutcome
from rcs_sim.client.session_service import SessionService
from rcs_sim.client.sms_service import SmsService
from rcs_sim.client.user_agent import outcome_of, redirection_of
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["Messenger"]

MAX_OUTGOING = 4096  # messages whose receipts are still understood; older ones are history
_UNCONFIGURED = RcsConfiguration()
_NO_MODES: frozenset[ChatMode] = frozenset()
_CARRIES = frozenset((Do.SEND_RCS, Do.RESEND_RCS, Do.SEND_SMS))
_SETTLED = (MessageState.DELIVERED, MessageState.DISPLAYED, MessageState.FAILED)
_LATCH_OF = {Knowledge.UNKNOWN: Latch.UNKNOWN, Knowledge.RCS: Latch.RCS, Knowledge.NOT_RCS: Latch.SMS}


class Messenger:
    """The sending side of one phone, and owner of its conversations. *pager*, *sessions* and *discovery* are None
    without RCS."""

    __slots__ = (
        "_active",
        "_configuration_doubted",
        "_doubts",
        "_label_alarm",
        "_modes",
        "_outgoing",
        "_refusal",
        "_register_anew",
        "alarms",
        "capabilities",
        "conversations",
        "discovery",
        "display",
        "encryption",
        "maker",
        "own",
        "pager",
        "policy",
        "sessions",
        "sms",
        "tokens",
    )

    def __init__(
        self,
        policy: DevicePolicy,
        alarms: Alarms,
        tokens: Tokens,
        display: Display,
        *,
        register_anew: Callable[[], None],
        configuration_doubted: Callable[[], None],
    ) -> None:
        self.policy = policy
        self.alarms = alarms
        self.tokens = tokens
        self.display = display
        self._register_anew = register_anew
        self._configuration_doubted = configuration_doubted
        self._modes = mode_rules(_UNCONFIGURED, policy)
        rules = delivery_rules(_UNCONFIGURED, policy)
        self.maker = MessageMaker(policy, alarms, tokens, rules, consented=self._consented, retried=self._retried)
        self.capabilities = CapabilityCache(capability_times(_UNCONFIGURED, policy))
        self.own = OwnRcsState()
        self.pager: PagerSender | None = None
        self.sessions: SessionService | None = None
        self.discovery: Discovery | None = None
        self.encryption: Encryption | None = None
        self.sms: SmsService
        self.conversations: dict[ContactKey, Conversation] = {}
        self._label_alarm = alarms.new(lambda now: self.refresh_labels())
        self._refusal: Response | None = None
        self._outgoing: dict[str, SentMessage] = {}
        self._active: dict[SentMessage, None] = {}
        self._doubts = SessionDoubts(alarms, self._session_settled)

    # --- the phone's state -------------------------------------------------------------------------------------------

    def configure(self, document: RcsConfiguration) -> None:
        """A configuration is in force."""
        self._modes = mode_rules(document, self.policy)
        self.maker.rules = delivery_rules(document, self.policy)
        self.capabilities.set_times(capability_times(document, self.policy))
        self.own.guard_s = float(document.reconnect_guard_s)

    def registered(self) -> None:
        """The own registration stands (again): what was held goes on."""
        now = self.alarms.now()
        for message in tuple(self._active):
            self._run(message, message.delivery.registered(now))
        self.refresh_labels()

    def connection_gone(self) -> None:
        """The phone was switched off: what was on its way has no outcome any more."""
        self._doubts.forget()
        self.capabilities.no_answers_come()
        for message in tuple(self._active):
            self._lost_under_way(message)

    def link_lost(self) -> None:
        """The own registration is gone: ChatRevokeTimer stands still."""
        for message in self._active:
            message.delivery.link_lost()
            self._arm(message)
        self._doubts.link_lost()
        self.refresh_labels()

    # --- conversations -----------------------------------------------------------------------------------------------

    def conversation(self, peer: ContactKey, conversation_id: str = "") -> Conversation:
        """The thread with *peer*; a new one takes *conversation_id*, or a UUID of our own."""
        found = self.conversations.get(peer)
        if found is None:
            found = self.conversations[peer] = Conversation(peer, conversation_id or self.tokens.uuid())
            found.latch = _LATCH_OF[self.capabilities.entry(peer).knowledge]
        return found

    def label(self, conversation: Conversation) -> str:
        """What the next message of the conversation would be."""
        if conversation.is_encrypted:
            return label_of(MessageTransport.RCS, self.scheme(conversation))
        route = choose_route(self._context(conversation, self._mode(conversation), may_fall_back=True, is_asking=False))
        return "SMS" if route.route in (Route.SMS, Route.ASK) else "RCS"

    def scheme(self, conversation: Conversation) -> Scheme | None:
        """That of a conversation that is shown as encrypted."""
        return None if self.encryption is None else self.encryption.scheme_of(conversation)

    def mark_encrypted(self, conversation: Conversation, *, is_encrypted: bool) -> None:
        """Sets or clears the mark "shown as encrypted", which the label follows. Who was told of an end sees what it
        is now, though he may never have opened the conversation."""
        has_ended, conversation.is_encrypted = conversation.is_encrypted and not is_encrypted, is_encrypted
        if is_encrypted:  # from now on nothing of it becomes an SMS, what is under way neither
            for message in self._active:
                message.delivery.may_fall_back &= message.conversation is not conversation
            for message in self.sessions.take_back_plain(conversation.peer) if self.sessions is not None else ():
                self.lock_came(message)
            self.sms.take_back(conversation.peer)
        self._show_label(conversation, is_told=has_ended)

    def encryption_moved(self, conversation: Conversation) -> None:
        """The encryption of the conversation stands, or it is clear that it does not for now."""
        for message in tuple(self._active):
            if message.conversation is conversation:
                self._run(message, message.delivery.encryption_moved())

    def seal_again(self, message: SentMessage, reason: FallbackReason) -> None:
        """Nobody could read it, or the network refused it: it is sealed anew and has a new id (RCC.16 §10.3)."""
        if message.state not in _SETTLED:
            self._outgoing[anew(message, self.maker.new_id())] = message
            self._active[message] = None
            self._run(message, message.delivery.seal_again(reason, self.alarms.now()))

    def hand_over_again(self, message: SentMessage, reason: FallbackReason) -> None:
        """The network could not deal with it for the moment: the same octets go out once more, under the same id."""
        if message.state not in _SETTLED and message.sealed is not None:
            self._run(message, message.delivery.seal_again(reason, self.alarms.now()))

    def not_sealed(self, message: SentMessage, reason: FallbackReason) -> None:
        """It failed as an encrypted message: it is shown as failed, and goes nowhere in clear."""
        self._run(message, message.delivery.not_sealed(reason, self.alarms.now()))

    def open(self, conversation: Conversation) -> None:
        """The user opens it: the label is shown and the peer's capability is asked for if that is due."""
        conversation.is_open = True
        self._expire(conversation)
        if self.discovery is not None and self.policy.capability.asks_on_open and self.own.is_registered:
            self.discovery.ask_if_due(conversation.peer, Occasion.OPEN)
        self._show_label(conversation)

    def latch(self, conversation: Conversation, event: LatchEvent) -> None:
        """Something was learned about which technology the peer can be reached by."""
        before = conversation.latch
        conversation.latch = next_latch(before, event)
        if conversation.latch is not before:
            self.display.state(
                "latch",
                conversation.latch.value,
                reason=event.name.lower().replace("_", " "),
                peer=conversation.peer,
                conversation_id=conversation.id,
            )
            self._show_label(conversation)

    def capability_learned(self, peer: ContactKey, event: LatchEvent | None) -> None:
        """A capability answer came, or the peer asked."""
        conversation = self.conversations.get(peer)
        if conversation is None:
            return
        if event is not None:
            self.latch(conversation, event)
        for message in tuple(self._active):
            if message.conversation is conversation:
                self._run(message, message.delivery.capability_known())
        if self.encryption is not None:
            self.encryption.capability_learned(conversation)

    def _expire(self, conversation: Conversation) -> None:
        event = self.capabilities.expire(conversation.peer, self.alarms.now())
        if event is not None:
            self.latch(conversation, event)

    def refresh_labels(self) -> None:
        """The phone's own state has changed, or a guard is over."""
        self._label_alarm.set(self.own.next_change(self.alarms.now()))
        for conversation in self.conversations.values():
            self._show_label(conversation)

    def _show_label(self, conversation: Conversation, *, is_told: bool = False) -> None:
        if not (conversation.is_open or conversation.shown_label[0] or is_told):
            return
        label, scheme = self.label(conversation), None
        if conversation.is_encrypted:
            scheme = self.scheme(conversation)
        if (label, scheme) != conversation.shown_label:
            conversation.shown_label = label, scheme
            identity = conversation.id
            self.display.show(Shown.LABEL, conversation.peer, conversation_id=identity, label=label, scheme=scheme)

    # --- sending -----------------------------------------------------------------------------------------------------

    def send_text(self, conversation: Conversation, text: str, *, as_sms: bool | None = None) -> SentMessage:
        """A text of the user. *as_sms*: the user's choice for this message, None to leave it to the phone.

        Raises LocalProtocolError for an empty text."""
        if not text:
            raise LocalProtocolError("an empty text", spec="RCC.07 §3.2.1")
        if conversation.own_typing is not None:
            conversation.own_typing.message_sent()
        message = self.maker.new(conversation, text)
        self.send(message, as_sms=as_sms)
        return message

    def send(
        self, message: SentMessage, *, as_sms: bool | None = None, refusal: FallbackReason = FallbackReason.NONE
    ) -> None:
        """What the user wants to go out: a text, or a change to one. With a *refusal* it fails at once, and its user
        sees why."""
        conversation = message.conversation
        if message.change is None:
            conversation.add(message)
        self._remember(message)
        show_sent(self.display, message)
        if not is_reachable(conversation.peer):
            refusal = FallbackReason.NOT_ELIGIBLE
        if refusal is FallbackReason.NONE:
            self._ask_before(conversation)
            self._route(message, as_sms=as_sms, may_wait=True)
        else:
            self._run(message, message.delivery.start(RouteDecision(Route.REFUSE, refusal), self.alarms.now()))

    def find(self, message_id: str) -> SentMessage | None:
        """The message of ours that a receipt is about."""
        return self._outgoing.get(message_id)

    def without_receipt(self, conversation: Conversation) -> list[SentMessage]:
        """What the network has taken and nobody has receipted, the oldest first."""
        return [each for each in self._active if each.conversation is conversation and each.state is MessageState.SENT]

    def _retried(self, message: SentMessage) -> None:
        if is_spent(message):
            self._outgoing[anew(message, self.maker.new_id())] = message
        self._active[message] = None
        self._run(message, message.delivery.try_again())

    def _remember(self, message: SentMessage) -> None:
        self._outgoing[message.id] = message
        self._active[message] = None
        if len(self._outgoing) > MAX_OUTGOING:
            oldest = self._outgoing.pop(next(iter(self._outgoing)))
            self._active.pop(oldest, None)

    def _ask_before(self, conversation: Conversation) -> None:
        self._expire(conversation)
        policy = self.policy.capability
        is_unknown = self.capabilities.entry(conversation.peer).knowledge is Knowledge.UNKNOWN
        if self.discovery is None or not self.own.is_registered:
            return
        if policy.asks_on_send or (policy.asks_on_open and is_unknown):
            self.discovery.ask_if_due(conversation.peer, Occasion.SEND)

    def _route(self, message: SentMessage, *, as_sms: bool | None = None, may_wait: bool) -> None:
        conversation = message.conversation
        entry = self.capabilities.entry(conversation.peer)
        waits = may_wait and self.policy.capability.answer_wait_s > 0
        mode = self._mode(conversation, message)
        sealing = sealing_of(message, self.encryption)
        decision = choose_route(
            self._context(
                conversation,
                mode,
                may_fall_back=message.delivery.may_fall_back,
                is_asking=waits and entry.is_asking and entry.knowledge is Knowledge.UNKNOWN,
                as_sms=as_sms,
                sealing=sealing,
            )
        )
        decision = with_room(decision, message, self._active)
        if decision.route is Route.RCS and sealing.step is SealStep.SEAL:
            decision = seal(message, self.encryption, self.display)
            mode = self._mode(conversation, message)
            if not mode.is_available:
                decision = RouteDecision(Route.REFUSE, FallbackReason.NEEDS_SESSION)
        if decision.route is Route.RCS:
            message.delivery.mode = mode.mode
        else:
            trace_route(self.display, message, decision, mode)
        self._run(message, message.delivery.start(decision, self.alarms.now()))

    def _context(
        self,
        conversation: Conversation,
        mode: ModeDecision,
        *,
        may_fall_back: bool,
        is_asking: bool,
        as_sms: bool | None = None,
        sealing: SealDecision = PLAIN,
    ) -> RouteContext:
        return RouteContext(
            own=OwnRcs.DOWN if self.pager is None else self.own.state(self.alarms.now()),
            latch=conversation.latch,
            mode=mode,
            may_fall_back=may_fall_back,
            consent_when_down=self.policy.fallback.consent_when_rcs_down,
            chosen_sms=as_sms,
            is_asking=is_asking,
            is_encrypted=conversation.is_encrypted,
            has_number=is_number(conversation.peer),
            sealing=held_or_refused(sealing),
        )

    @property
    def is_session_only(self) -> bool:
        """Whether nothing but sessions carries what the user writes."""
        return self._modes.is_session_only

    def _mode(self, conversation: Conversation, message: SentMessage | None = None) -> ModeDecision:
        """The mode for *message*, or for a short one."""
        has_session = self.sessions is not None and self.sessions.has_session(conversation.peer)
        is_size_of_use = message is not None and not has_session and not self.is_session_only
        octets = self._size_of(message) if message is not None and is_size_of_use else 0
        return choose_mode(octets, self._modes, has_session=has_session)

    def _size_of(self, message: SentMessage) -> int:
        """Octets of the CPIM in pager mode."""
        return 0 if self.pager is None else len(self.pager.compose(message))

    # --- carrying out ------------------------------------------------------------------------------------------------

    def _run(self, message: SentMessage, actions: Iterable[Do]) -> None:
        for action in actions:
            self._do(action, message)
        state = message.state
        if state is not message.shown_state:
            message.shown_state = state
            follow_change(message)
            show_tick(self.display, message)
            if state in (MessageState.DISPLAYED, MessageState.DELIVERED):
                self._active.pop(message, None)
                message.cpim = b""
            message.changed()
        self._arm(message)

    def _do(self, action: Do, message: SentMessage) -> None:
        pager, sessions = self.pager, self.sessions
        if action in _CARRIES and not self._is_fit_to_go(message, action):
            return
        match action:
            case Do.SEND_RCS | Do.RESEND_RCS if pager is None or not self._may_send(action):
                self._lost_under_way(message)
            case Do.SEND_RCS | Do.RESEND_RCS if message.delivery.mode is not ChatMode.PAGER:
                self._send_in_session(message, sessions, is_again=action is Do.RESEND_RCS)
            case Do.SEND_RCS if pager is not None:
                pager.send(message)
            case Do.RESEND_RCS if pager is not None:
                pager.resend(message)
            case Do.SEND_REVOKE:
                trace_decision(self.display, message, CFS_TIMER)
                if pager is not None:
                    pager.revoke(message)
            case Do.SEND_SMS:
                self.sms.submit(message.conversation.peer, message.shown_text or message.text, message)
            case Do.REGISTER:
                self._register_anew()
            case Do.ROUTE_AGAIN:
                self._route(message, may_wait=False)
            case _:
                pass  # ASK_USER: it is shown as failed, with the question

    def _is_fit_to_go(self, message: SentMessage, action: Do) -> bool:
        """The last gate: what must stay sealed goes sealed, or fails visibly, whichever way led here (RCC.16 §7.2)."""
        is_sealed = message.sealed is not None and action is not Do.SEND_SMS
        if not is_sealed and must_stay_sealed(message):
            self.not_sealed(message, FallbackReason.ENCRYPTED_ONLY)
        elif not is_sealed and message.conversation.is_encrypted:
            self.lock_came(message)
        else:
            is_by_pager = message.delivery.mode is ChatMode.PAGER and self.pager is not None and self._may_send(action)
            message.went_in_clear |= not is_sealed and action is not Do.SEND_SMS and is_by_pager
            return True
        return False

    def lock_came(self, message: SentMessage, *, is_certain: bool = True) -> None:
        """What was on its way in clear goes no further (RCC.16 §7.2): sealed, or failed if it may have been read. Where
        the lock is not certain it is decided about anew."""
        if message.went_in_clear and is_certain:
            self.not_sealed(message, FallbackReason.WENT_IN_CLEAR)
        else:
            self._run(message, message.delivery.seal_again(FallbackReason.ENCRYPTION_BUSY, self.alarms.now()))

    def _may_send(self, action: Do) -> bool:
        """What is sent again waits for the registration if that was lost since: a request outside of it gets 403."""
        return action is Do.SEND_RCS or self.own.is_registered

    def _send_in_session(self, message: SentMessage, sessions: SessionService | None, *, is_again: bool) -> None:
        if sessions is None:
            self._lost_under_way(message)
            return
        step, response = message.delivery.decision.step, message.last_response
        is_redirected = is_again and step is Step.FOLLOW and response is not None
        sessions.send(
            message,
            is_large=message.delivery.mode is ChatMode.LARGE,
            has_fewer_types=is_again and step is Step.FEWER_TYPES,
            target=redirection_of(response) if is_redirected and response is not None else None,
        )

    def _arm(self, message: SentMessage) -> None:
        deadline = message.delivery.next_deadline()
        if message.alarm is None:
            if deadline is None:
                return
            message.alarm = self.alarms.new(lambda now: self._run(message, message.delivery.handle_deadline(now)))
        message.alarm.set(deadline)

    def _lost_under_way(self, message: SentMessage) -> None:
        self._run(message, message.delivery.rcs_outcome(RcsOutcome.LINK_FAILED, self.alarms.now(), can_revoke=False))

    # --- outcomes of RCS ---------------------------------------------------------------------------------------------

    def answered(self, message: SentMessage, outcome: Outcome) -> None:
        """The final outcome of a MESSAGE with content."""
        response = outcome if isinstance(outcome, Response) else None
        told = tags_of(response) if response is not None and response.has("contact") else None
        narrated = "no answer" if response is None else str(response.status)
        self._rcs_answered(message, SessionOutcome(outcome_of(outcome), Column.PAGER, response, told), narrated)

    def session_outcome(self, message: SentMessage, outcome: SessionOutcome) -> None:
        """What became of a message in a session, or of the INVITE for it."""
        settle = self._doubts.lost if outcome.is_by_connection else self._session_settled
        settle(message, outcome)

    def _session_settled(self, message: SentMessage, outcome: SessionOutcome) -> None:
        key = outcome.outcome
        message.last_response = outcome.response
        narrated = f"{outcome.column.name} {key if isinstance(key, int) else key.name.lower().replace('_', ' ')}"
        self._rcs_answered(message, outcome, narrated)

    def _rcs_answered(self, message: SentMessage, answer: SessionOutcome, narrated: str) -> None:
        outcome, response = answer.outcome, answer.response
        now, delivery = self.alarms.now(), message.delivery
        if response is not None and response.status == 403 and response is not self._refusal:
            self._refusal = response  # one INVITE may have been for several messages
            if self.own.refused(now):
                self._configuration_doubted()
        before = delivery.decision
        is_void = response is not None and is_stored_nowhere(response)  # nothing that a revocation could reach
        actions = delivery.rcs_outcome(
            outcome,
            now,
            can_revoke=not is_void and message.change is None and self._can_revoke(message, answer.tags),
            retry_after_s=retry_after_of(response) if response is not None and response.status >= 300 else None,
            column=answer.column,
            modes=possible_modes(self._size_of(message), self._modes) if outcome not in (200, 202) else _NO_MODES,
        )
        decision = delivery.decision
        if decision is not before:
            event = self.capabilities.learn(message.conversation.peer, decision.cache, now)
            if event is not None:
                self.latch(message.conversation, event)
            if decision.hold_rcs_s:
                self.own.hold(now + decision.hold_rcs_s)
                self.refresh_labels()
            if decision.step is not Step.SENT:
                trace_decision(self.display, message, narrated)
        self._run(message, actions)

    def _can_revoke(self, message: SentMessage, told: PeerTags | None) -> bool:
        known = self.capabilities.entry(message.conversation.peer).tags
        timer_s = self.maker.rules.revoke_timer_s
        return can_revoke(is_sealed=message.sealed is not None, known=known, told=told, revoke_timer_s=timer_s)

    def revoke_answered(self, message: SentMessage, *, is_success: bool) -> None:
        """MessageRevokeResponse, or a request that nobody took."""
        now, before = self.alarms.now(), message.delivery.decision
        actions = message.delivery.revoke_answered(is_success, now)
        if message.delivery.decision is not before:
            self.capabilities.learn(message.conversation.peer, message.delivery.decision.cache, now)
            trace_decision(self.display, message, "revoke success" if is_success else "revoke failure")
        self._run(message, actions)

    # --- receipts ----------------------------------------------------------------------------------------------------

    def delivered(self, message: SentMessage) -> None:
        """By IMDN or status report."""
        self._run(message, message.delivery.delivered(self.alarms.now()))

    def displayed(self, message: SentMessage) -> None:
        """By IMDN."""
        self._run(message, message.delivery.displayed(self.alarms.now()))

    def receipt_failed(self, message: SentMessage) -> None:
        """An IMDN says failed, forbidden or error."""
        before = message.delivery.decision
        actions = message.delivery.receipt_failed(self.alarms.now())
        if message.delivery.decision is not before:
            trace_decision(self.display, message, "IMDN failed")
        self._run(message, actions)

    def interworked(self, message: SentMessage) -> None:
        """An IMDN says that the network made an SMS of it."""
        now, before = self.alarms.now(), message.delivery.decision
        actions = message.delivery.interworked(now)
        if message.delivery.decision is not before:
            self.capabilities.learn(message.conversation.peer, message.delivery.decision.cache, now)
            self.latch(message.conversation, LatchEvent.INTERWORKED)
            trace_decision(self.display, message, "IMDN interworking")
        self._run(message, actions)

    # --- SMS ---------------------------------------------------------------------------------------------------------

    def sms_accepted(self, message: SentMessage) -> None:
        """The service centre has it."""
        was_revoked = any(change.state is MessageState.REVOKED for change in message.history)
        message.delivery.sms_accepted(self.alarms.now())
        if was_revoked:
            self.latch(message.conversation, LatchEvent.REVOKED_TO_SMS)
        self._run(message, ())

    def sms_delivered(self, message: SentMessage) -> None:
        """Status reports say so; one may overtake the answer of the service centre."""
        if message.delivery.waiting is Waiting.SMS:
            self.sms_accepted(message)
        self.delivered(message)

    def sms_failed(self, message: SentMessage) -> None:
        """The service centre refused it, nobody answered, or a status report says that it failed."""
        message.delivery.sms_failed(self.alarms.now())
        self._run(message, ())

    def _consented(self, message: SentMessage) -> None:
        if message.offers_sms:  # the question may be older than the lock of its conversation
            self._run(message, message.delivery.consent(self.alarms.now()))
