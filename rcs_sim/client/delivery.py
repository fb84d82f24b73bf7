"""The life of one outgoing one-to-one message (digest §8.3): transmission, retry, revocation, fallback, receipts.

Sans-IO. Inputs are outcomes and times; outputs are `Do` values, which the phone carries out in order. What to do is
decided by the tables of `rcs_sim.client.fallback`; what is shown by those of `rcs_sim.client.message_state`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from rcs_sim.client.chat_mode import ChatMode
from rcs_sim.client.fallback import (
    Column,
    Decision,
    FallbackReason,
    Outcome,
    RcsOutcome,
    Route,
    RouteDecision,
    Situation,
    Step,
    decide,
)
from rcs_sim.client.message_state import MessageInput, MessageState, MessageTransport, next_state
from rcs_sim.devices.policy import Consent

__all__ = ["Delivery", "DeliveryRules", "Do", "StateChange", "Waiting"]

MAX_COLLISIONS = (
    4  # of one message: that requests crossed is no failure of it, and tried again as RFC 3261 §14.1 (choice)
)


class Do(Enum):
    """What the phone has to do for a message."""

    SEND_RCS = auto()
    RESEND_RCS = (
        auto()
    )  # once more, as `Delivery.decision` says: redirected, authenticated, without an option or a type
    SEND_REVOKE = auto()
    SEND_SMS = auto()
    ASK_USER = auto()
    REGISTER = auto()  # make a new flow and an initial registration
    ROUTE_AGAIN = auto()  # what it waited for came or did not: choose the route anew


class Waiting(Enum):
    """What a message waits for."""

    NOTHING = auto()
    CAPABILITY = auto()
    ENCRYPTION = auto()  # set up, repaired, or converging (RCC.16 §5.5, §5.9)
    RECONNECT = auto()  # before the first transmission
    RECONNECT_TO_RETRY = auto()
    ANSWER = auto()  # of the transaction, which has a time limit of its own
    PAUSE = auto()
    RECEIPT = auto()
    REVOKE_ANSWER = auto()
    SMS = auto()
    CONSENT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRules:
    """Times in seconds and switches that all messages of a phone share.

    *revoke_timer_s* is ChatRevokeTimer, 0 switches the client mechanism off; *waits_for_revoke_answer* is cfsTrigger 1;
    *encryption_wait_s* is above the 90 s that a convergence may take (digest RCC.16 §5.9).
    """

    revoke_timer_s: float
    reconnect_guard_s: float
    capability_wait_s: float
    waits_for_revoke_answer: bool
    relies_on_store: bool
    consent: Consent
    revoke_answer_s: float = 30.0
    encryption_wait_s: float = 100.0


@dataclass(frozen=True, slots=True)
class StateChange:
    """One line of a message's history; *at* in seconds of the phone's clock."""

    at: float
    state: MessageState
    transport: MessageTransport
    reason: FallbackReason


_HOLDS = {
    FallbackReason.ASKING_CAPABILITY: Waiting.CAPABILITY,
    FallbackReason.RECONNECTING: Waiting.RECONNECT,
    FallbackReason.ENCRYPTION_BUSY: Waiting.ENCRYPTION,
    FallbackReason.CONVERGING: Waiting.ENCRYPTION,
    FallbackReason.FOCUS_ASKED: Waiting.ENCRYPTION,
}
_NO_MODES: frozenset[ChatMode] = frozenset()
_UNDECIDED = Decision(Step.NOTHING, FallbackReason.NONE)


class Delivery:
    """One outgoing message. *uniform* gives the random pauses; *can_revoke* arguments tell whether the client mechanism
    applies to the peer (`fallback.mechanism_of`); *mode* is the mode of RCS that carries it, or will."""

    __slots__ = (
        "_collisions",
        "_is_answer_overdue",
        "_is_link_up",
        "_is_sms_under_way",
        "_revokes_again",
        "_rules",
        "_uniform",
        "_used",
        "_was_accepted",
        "deadline",
        "decision",
        "has_waited_enough",
        "history",
        "may_fall_back",
        "mode",
        "reason",
        "state",
        "transport",
        "waiting",
        "was_rcs",
    )

    def __init__(
        self, rules: DeliveryRules, uniform: Callable[[float, float], float], now: float, *, may_fall_back: bool
    ) -> None:
        self._rules = rules
        self._uniform = uniform
        self.may_fall_back = may_fall_back
        self._used: frozenset[Step] = frozenset()
        self._collisions = 0
        self._was_accepted = False
        self._is_sms_under_way = False
        self._is_link_up = True
        self._revokes_again = False
        self._is_answer_overdue = False
        self.state = MessageState.QUEUED
        self.transport = MessageTransport.RCS
        self.was_rcs = False
        self.reason = FallbackReason.NONE
        self.decision = _UNDECIDED
        self.mode = ChatMode.PAGER
        self.waiting = Waiting.NOTHING
        self.has_waited_enough = False  # for encryption
        self.deadline: float | None = None
        self.history: list[StateChange] = [StateChange(now, self.state, self.transport, self.reason)]

    @property
    def may_be_sent_as_sms(self) -> bool:
        """Whether the user may still answer "send as text"."""
        return self.state is MessageState.FAILED and self.may_fall_back and not self._is_sms_under_way

    # ------------------------------------------------------------------------------------------------------ inputs

    def start(self, route: RouteDecision, now: float) -> list[Do]:
        """The route was chosen, for the first time or after a hold."""
        self.reason = route.reason
        match route.route:
            case Route.RCS:
                return self._submit_rcs(Do.SEND_RCS, now)
            case Route.SMS:
                return self._submit_sms(now)
            case Route.HOLD:
                return self._hold(_HOLDS[route.reason], now)
            case Route.ASK:
                return self._ask(now)
            case Route.REFUSE:
                return self._fail(now)

    def rcs_outcome(
        self,
        outcome: Outcome,
        now: float,
        *,
        can_revoke: bool,
        retry_after_s: float | None = None,
        column: Column = Column.PAGER,
        modes: frozenset[ChatMode] = _NO_MODES,
    ) -> list[Do]:
        """Final outcome of the MESSAGE transaction, the INVITE or the message session that carried it. *modes* are
        those that could carry it. Absorbed if a receipt has overtaken it."""
        is_awaited = self.waiting is Waiting.ANSWER
        if not is_awaited and not (column is Column.MSRP and outcome != 200 and self._is_sent_only()):
            return []
        return self._apply(self._decide(outcome, can_revoke, retry_after_s, column, modes), now, can_revoke, modes)

    def _is_sent_only(self) -> bool:
        """Whether a REPORT that says failed is the last that was heard of it (RFC 4975 §7.1.2)."""
        return self.state is MessageState.SENT and self.waiting in (Waiting.RECEIPT, Waiting.NOTHING)

    def delivered(self, now: float) -> list[Do]:
        """A delivered receipt, or a status report of an SMS, came."""
        return self._receipt(MessageInput.DELIVERED, now)

    def displayed(self, now: float) -> list[Do]:
        return self._receipt(MessageInput.DISPLAYED, now)

    def receipt_failed(self, now: float) -> list[Do]:
        """An IMDN says failed, forbidden or error (digest §5.1). Of what the network has made an SMS of it says that
        the SMS came to nothing, which nobody sends again by itself (choice)."""
        if self.state is MessageState.INTERWORKED:
            self.sms_failed(now)
            return []
        if self._is_sms_under_way or self.transport is MessageTransport.SMS or self._is_beyond_receipts():
            return []
        return self._apply(self._decide(RcsOutcome.RECEIPT_FAILED, False, None), now, False)

    def interworked(self, now: float) -> list[Do]:
        """The network delivers it as SMS (digest §5.1)."""
        if self.transport is MessageTransport.SMS or self._is_beyond_receipts():
            return []
        return self._apply(self._decide(RcsOutcome.INTERWORKED, False, None), now, False)

    def revoke_answered(self, is_success: bool, now: float) -> list[Do]:
        """MessageRevokeResponse, or the final failure of the request itself. A success counts however late it comes:
        the network has removed the message, and nobody else will deliver it."""
        is_late = is_success and self._is_answer_overdue and self.waiting is Waiting.NOTHING
        if self.waiting is not Waiting.REVOKE_ANSWER and not (is_late and self.state is MessageState.SENT):
            return []
        self._is_answer_overdue = self._revokes_again = False
        self._wait(Waiting.NOTHING, None)
        if is_success:
            self._advance(MessageInput.REVOKE_SUCCEEDED, now)
            if self._is_sms_under_way:  # cfsTrigger 0: it has gone out already
                return []
            return self._apply(self._decide(RcsOutcome.REVOKED, False, None), now, False)
        self._advance(MessageInput.REVOKE_FAILED, now)
        if self._was_accepted or self._is_sms_under_way:
            self.decision = self._decide(RcsOutcome.REVOKE_REFUSED, False, None)
            return []
        return self._submit_rcs(Do.SEND_RCS, now)  # 408 or 480 left it open whether anybody has it: send it once more

    def sms_accepted(self, now: float) -> None:
        """RP-ACK for all parts."""
        self._advance(MessageInput.FELL_BACK if self.was_rcs else MessageInput.ACCEPTED, now)
        if self.waiting is Waiting.SMS:
            self._wait(Waiting.NOTHING, None)

    def sms_failed(self, now: float) -> None:
        """RP-ERROR, no answer, or a status report that says failed."""
        self._is_sms_under_way = False
        self.reason = FallbackReason.SMS_REFUSED
        self._advance(MessageInput.REFUSED, now)
        self._wait(Waiting.NOTHING, None)

    def consent(self, now: float) -> list[Do]:
        """The user answers "send as text"."""
        return self._submit_sms(now) if self.may_be_sent_as_sms else []

    def link_lost(self) -> None:
        """The own flow is down: ChatRevokeTimer is held (digest §8.3). So is the wait for encryption (choice): nothing
        can be set up meanwhile."""
        self._is_link_up = False
        if self.waiting in (Waiting.RECEIPT, Waiting.ENCRYPTION):
            self.deadline = None

    def registered(self, now: float) -> list[Do]:
        """The own registration stands (again)."""
        self._is_link_up = True
        match self.waiting:
            case Waiting.RECONNECT | Waiting.ENCRYPTION:
                return [Do.ROUTE_AGAIN]
            case Waiting.RECONNECT_TO_RETRY:
                return self._submit_rcs(Do.RESEND_RCS, now)
            case Waiting.RECEIPT:
                self.deadline = now + self._rules.revoke_timer_s
                return []
            case Waiting.NOTHING if self._revokes_again and self.state is MessageState.SENT:
                self._revokes_again = False
                return self._revoke(now)
            case _:
                return []

    def capability_known(self) -> list[Do]:
        return [Do.ROUTE_AGAIN] if self.waiting is Waiting.CAPABILITY else []

    def try_again(self) -> list[Do]:
        """The user sends a failed message once more: as it is now the turn of the conversation, with the same id."""
        if self.state is not MessageState.FAILED or self._is_sms_under_way:
            return []
        self._used, self._collisions, self.has_waited_enough = frozenset(), 0, False
        return [Do.ROUTE_AGAIN]

    def encryption_moved(self) -> list[Do]:
        """The encryption of the conversation stands, or does not for now."""
        return [Do.ROUTE_AGAIN] if self.waiting is Waiting.ENCRYPTION else []

    def seal_again(self, reason: FallbackReason, now: float) -> list[Do]:
        """What was sealed reached nobody who can read it: it is sealed anew, as a message of its own (RCC.16 §10.3)."""
        if self.state in (MessageState.DELIVERED, MessageState.DISPLAYED, MessageState.FAILED):
            return []
        self.reason, self.transport = reason, MessageTransport.RCS
        self.has_waited_enough = self._is_sms_under_way = False
        self._wait(Waiting.ENCRYPTION, now + self._rules.encryption_wait_s)
        return [Do.ROUTE_AGAIN]

    def not_sealed(self, reason: FallbackReason, now: float) -> list[Do]:
        """It cannot be sealed: it fails, and goes nowhere in clear."""
        if self.state in (MessageState.DELIVERED, MessageState.DISPLAYED):
            return []
        self.reason = reason
        return self._fail(now)

    def next_deadline(self) -> float | None:
        return self.deadline

    def handle_deadline(self, now: float) -> list[Do]:
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline = None
        match self.waiting:
            case Waiting.CAPABILITY | Waiting.RECONNECT:
                return [Do.ROUTE_AGAIN]
            case Waiting.ENCRYPTION:
                self.has_waited_enough = True
                return [Do.ROUTE_AGAIN]
            case Waiting.PAUSE:
                return self._submit_rcs(Do.RESEND_RCS, now)
            case Waiting.RECEIPT:
                return self._revoke(now)
            case Waiting.REVOKE_ANSWER:
                return self._revoke_unanswered(now)
            case Waiting.RECONNECT_TO_RETRY:
                return self._give_up_rcs(now)
            case _:
                return []

    # --------------------------------------------------------------------------------------------------- decisions

    def _decide(
        self,
        outcome: Outcome,
        can_revoke: bool,
        retry_after_s: float | None,
        column: Column = Column.PAGER,
        modes: frozenset[ChatMode] = _NO_MODES,
    ) -> Decision:
        situation = Situation(
            used=self._used,
            can_wait=can_revoke and self._rules.relies_on_store,
            may_fall_back=self.may_fall_back,
            consent=self._rules.consent,
            modes=modes,
            retry_after_s=retry_after_s,
        )
        self.decision = decide(outcome, situation, column)
        return self.decision

    def _apply(
        self, decision: Decision, now: float, can_revoke: bool, modes: frozenset[ChatMode] = _NO_MODES
    ) -> list[Do]:
        self.reason = decision.reason
        self._collisions += decision.reason is FallbackReason.COLLISION
        if decision.reason is not FallbackReason.COLLISION or self._collisions >= MAX_COLLISIONS:
            self._used |= {decision.step}
        match decision.step:
            case Step.SENT:
                self._was_accepted = True
                self._advance(MessageInput.ACCEPTED, now)
                self._wait_for_receipt(now, can_revoke)
            case Step.WAIT:
                self._wait_for_receipt(now, can_revoke)
            case Step.SMS:
                return self._submit_sms(now)
            case Step.ASK:
                return self._ask(now)
            case Step.FAIL | Step.DECLINED:
                return self._fail(now)
            case Step.FOLLOW | Step.AUTHENTICATE | Step.DROP_OPTION:
                return self._submit_rcs(Do.RESEND_RCS, now)
            case Step.RETRY:
                self._wait(Waiting.PAUSE, now + self._uniform(*decision.pause_s))
            case Step.REGISTER | Step.RENEW_SECURITY:
                self._wait(Waiting.RECONNECT_TO_RETRY, now + self._rules.reconnect_guard_s)
                return [Do.REGISTER]
            case Step.INTERWORKED:
                self.transport = MessageTransport.SMS
                self._advance(MessageInput.INTERWORKED, now)
                self._wait(Waiting.NOTHING, None)
            case Step.REINVITE:
                return self._submit_rcs(Do.SEND_RCS, now)
            case Step.FEWER_TYPES:
                return self._submit_rcs(Do.RESEND_RCS, now)
            case Step.PAGER:
                self.mode = ChatMode.PAGER
                return self._submit_rcs(Do.SEND_RCS, now)
            case Step.LARGER_MODE:
                self.mode = ChatMode.SESSION if ChatMode.SESSION in modes else ChatMode.LARGE
                return self._submit_rcs(Do.SEND_RCS, now)
            case Step.NOTHING | Step.KEEP_WAITING:
                self._wait(Waiting.NOTHING, None)
        return []

    def _give_up_rcs(self, now: float) -> list[Do]:
        """No registration came back in time: what comes after the retry."""
        self._used |= {Step.REGISTER, Step.RENEW_SECURITY}
        return self._apply(self._decide(RcsOutcome.TIMED_OUT, False, None), now, False)

    def _hold(self, waiting: Waiting, now: float) -> list[Do]:
        limits = {
            Waiting.CAPABILITY: self._rules.capability_wait_s,
            Waiting.ENCRYPTION: self._rules.encryption_wait_s,
        }
        limit = limits.get(waiting, self._rules.reconnect_guard_s)
        is_running = waiting is Waiting.ENCRYPTION and self.waiting is waiting and self.deadline is not None
        self._wait(waiting, self.deadline if is_running else now + limit)
        return []

    def _submit_rcs(self, how: Do, now: float) -> list[Do]:
        self.was_rcs = True
        self._advance(MessageInput.SUBMITTED, now)
        self._wait(Waiting.ANSWER, None)
        return [how]

    def _submit_sms(self, now: float) -> list[Do]:
        self.transport = MessageTransport.SMS
        self._is_sms_under_way = True
        self._advance(MessageInput.SUBMITTED, now)
        self._wait(Waiting.SMS, None)
        return [Do.SEND_SMS]

    def _revoke(self, now: float) -> list[Do]:
        self.reason = FallbackReason.NO_RECEIPT
        self._advance(MessageInput.REVOKE_SENT, now)
        actions = [Do.SEND_REVOKE]
        is_sms_due = not self._rules.waits_for_revoke_answer and not self._is_sms_under_way and self.may_fall_back
        if is_sms_due and self._rules.consent is Consent.AUTOMATIC:
            actions += self._submit_sms(now)
        self._wait(Waiting.REVOKE_ANSWER, now + self._rules.revoke_answer_s)
        return actions

    def _revoke_unanswered(self, now: float) -> list[Do]:
        """As a failure, with one more try after the next registration (digest §5.4)."""
        is_first = Step.KEEP_WAITING not in self._used
        self._used |= {Step.KEEP_WAITING}
        actions = self.revoke_answered(False, now)
        self._is_answer_overdue, self._revokes_again = self._was_accepted, is_first
        return actions

    def _ask(self, now: float) -> list[Do]:
        self._advance(MessageInput.REFUSED, now)
        self._wait(Waiting.CONSENT, None)
        return [Do.ASK_USER]

    def _fail(self, now: float) -> list[Do]:
        self._advance(MessageInput.REFUSED, now)
        self._wait(Waiting.NOTHING, None)
        return []

    def _receipt(self, given: MessageInput, now: float) -> list[Do]:
        if (self.state, given) == (MessageState.QUEUED, given):
            return []  # nobody can have received what was not sent
        self._advance(given, now)
        if self.waiting is not Waiting.SMS:
            self._wait(Waiting.NOTHING, None)
        return []

    def _wait_for_receipt(self, now: float, can_revoke: bool) -> None:
        if can_revoke:
            self._wait(Waiting.RECEIPT, now + self._rules.revoke_timer_s if self._is_link_up else None)
        else:
            self._wait(Waiting.NOTHING, None)

    def _is_beyond_receipts(self) -> bool:
        return self.state in (MessageState.DELIVERED, MessageState.DISPLAYED, MessageState.QUEUED)

    def _wait(self, waiting: Waiting, deadline: float | None) -> None:
        self.waiting, self.deadline = waiting, deadline

    def _advance(self, given: MessageInput, now: float) -> None:
        after = next_state(self.state, given)
        if after is not self.state:
            self.state = after
            self.history.append(StateChange(now, after, self.transport, self.reason))
