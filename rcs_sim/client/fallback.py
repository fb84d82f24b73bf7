"""From RCS to SMS: a decision with a reason, read from tables (digest §8.2, §8.3, §8.6). Never an exception handler.

Nothing here sends or waits. `choose_route` says how a message starts, `decide` what an outcome leads to by the tables
of `rcs_sim.client.outcome_rules`, `LATCH` which technology the next message of a contact uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from rcs_sim.client.chat_mode import ChatMode, ModeDecision
from rcs_sim.client.outcome_rules import (
    MAX_RETRY_AFTER_S,
    CacheEffect,
    Column,
    FallbackReason,
    Outcome,
    RcsOutcome,
    Step,
    rule_of,
)
from rcs_sim.devices.policy import Consent

__all__ = [
    "LATCH",
    "CacheEffect",
    "Column",
    "Decision",
    "FallbackMechanism",
    "FallbackReason",
    "Latch",
    "LatchEvent",
    "Outcome",
    "OwnRcs",
    "RcsOutcome",
    "Route",
    "RouteContext",
    "RouteDecision",
    "Situation",
    "Step",
    "choose_route",
    "decide",
    "mechanism_of",
    "next_latch",
]


_R = FallbackReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a decision about one message depends on, besides the outcome.

    *used* are the steps that were taken before: each retry is made once. *can_wait* when the network stores for offline
    users and the message could be revoked; *modes* are those that could carry the message; *retry_after_s* from the
    response."""

    used: frozenset[Step] = frozenset()
    can_wait: bool
    may_fall_back: bool
    consent: Consent
    modes: frozenset[ChatMode] = frozenset()
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a message, and why. *hold_rcs_s* keeps RCS unused for so long (503 with Retry-After)."""

    step: Step
    reason: FallbackReason
    cache: CacheEffect = CacheEffect.KEEP
    pause_s: tuple[float, float] = (0.0, 0.0)
    hold_rcs_s: float = 0.0


_ONCE = frozenset(
    (
        *(Step.RETRY, Step.FOLLOW, Step.AUTHENTICATE, Step.DROP_OPTION, Step.RENEW_SECURITY, Step.REGISTER),
        *(Step.LARGER_MODE, Step.PAGER, Step.REINVITE, Step.FEWER_TYPES, Step.WAIT),
    )
)
_LARGER = frozenset((ChatMode.SESSION, ChatMode.LARGE))
_NEEDED_MODES: Mapping[Step, frozenset[ChatMode]] = {
    Step.LARGER_MODE: _LARGER,
    Step.REINVITE: _LARGER,
    Step.FEWER_TYPES: _LARGER,
    Step.PAGER: frozenset((ChatMode.PAGER,)),
}


def decide(outcome: Outcome, situation: Situation, column: Column = Column.PAGER) -> Decision:
    """The row of digest §8.6 applied to one message."""
    rule = rule_of(outcome, column)
    steps = [rule.step, rule.then, rule.last]
    pause, hold = rule.pause_s, 0.0
    if outcome == 503:
        after = situation.retry_after_s
        if after is not None and after <= MAX_RETRY_AFTER_S:
            pause = (after, after)
        else:
            steps, hold = steps[1:], after or 0.0
    step = next((step for step in steps if _is_possible(step, situation)), Step.SMS)
    if step is Step.SMS:
        step = _step_for_sms(situation)
    return Decision(step, rule.reason, rule.cache, pause, hold)


def _is_possible(step: Step, situation: Situation) -> bool:
    if step in _ONCE and step in situation.used:
        return False
    if step is Step.WAIT:
        return situation.can_wait
    needed = _NEEDED_MODES.get(step)
    return needed is None or not needed.isdisjoint(situation.modes)


def _step_for_sms(situation: Situation) -> Step:
    if not situation.may_fall_back:
        return Step.FAIL
    return {Consent.AUTOMATIC: Step.SMS, Consent.ASK: Step.ASK, Consent.NEVER: Step.FAIL}[situation.consent]


class FallbackMechanism(Enum):
    """Who turns an undelivered RCS message into an SMS (digest §8.1)."""

    NETWORK = auto()
    CLIENT = auto()
    NONE = auto()


def mechanism_of(
    *, peer_interworks: bool, peer_takes_revocations: bool, revoke_timer_s: float, is_group: bool = False
) -> FallbackMechanism:
    """``msgfallback`` means the network; else ``msgrevoke`` with a timer means the client; groups have none."""
    if is_group:
        return FallbackMechanism.NONE
    if peer_interworks:
        return FallbackMechanism.NETWORK
    return FallbackMechanism.CLIENT if peer_takes_revocations and revoke_timer_s > 0 else FallbackMechanism.NONE


# ------------------------------------------------------------------------------------------------------------ latching


class Latch(Enum):
    """Current technology of a contact, and what will release it (digest §8.2). UNKNOWN tries RCS first."""

    UNKNOWN = "unknown"
    RCS = "RCS"
    SMS = "SMS"  # the peer has no RCS
    SMS_UNTIL_REFRESH = "SMS until the next capability answer"
    SMS_UNTIL_ONLINE = "SMS until the peer is seen online"

    @property
    def is_sms(self) -> bool:
        return self not in (Latch.UNKNOWN, Latch.RCS)


class LatchEvent(Enum):
    ANSWERED_RCS_ONLINE = auto()  # capability answer 200 with a chat tag
    ANSWERED_RCS_OFFLINE = auto()  # the same from the server of an offline user (automata)
    ANSWERED_NOT_RCS = auto()  # capability answer without, 404
    INTERWORKED = auto()
    RCS_RECEIVED = auto()
    SMS_RECEIVED_WHILE_OFFLINE = auto()
    REVOKED_TO_SMS = auto()
    KNOWLEDGE_EXPIRED = auto()  # capInfoExpiry


_E = LatchEvent
_FROM_ANY: Mapping[LatchEvent, Latch] = {
    _E.ANSWERED_RCS_ONLINE: Latch.RCS,
    _E.ANSWERED_NOT_RCS: Latch.SMS,
    _E.INTERWORKED: Latch.SMS,
    _E.RCS_RECEIVED: Latch.RCS,
    _E.REVOKED_TO_SMS: Latch.SMS_UNTIL_ONLINE,
}

LATCH: Mapping[tuple[Latch, LatchEvent], Latch] = {
    **{(latch, event): after for latch in Latch for event, after in _FROM_ANY.items()},
    (Latch.UNKNOWN, _E.ANSWERED_RCS_OFFLINE): Latch.RCS,
    (Latch.RCS, _E.ANSWERED_RCS_OFFLINE): Latch.RCS,
    (Latch.SMS, _E.ANSWERED_RCS_OFFLINE): Latch.RCS,
    (Latch.SMS_UNTIL_REFRESH, _E.ANSWERED_RCS_OFFLINE): Latch.RCS,
    (Latch.SMS_UNTIL_ONLINE, _E.ANSWERED_RCS_OFFLINE): Latch.SMS_UNTIL_ONLINE,
    (Latch.UNKNOWN, _E.SMS_RECEIVED_WHILE_OFFLINE): Latch.SMS_UNTIL_REFRESH,
    (Latch.RCS, _E.SMS_RECEIVED_WHILE_OFFLINE): Latch.SMS_UNTIL_REFRESH,
    (Latch.SMS, _E.SMS_RECEIVED_WHILE_OFFLINE): Latch.SMS,
    (Latch.SMS_UNTIL_REFRESH, _E.SMS_RECEIVED_WHILE_OFFLINE): Latch.SMS_UNTIL_REFRESH,
    (Latch.SMS_UNTIL_ONLINE, _E.SMS_RECEIVED_WHILE_OFFLINE): Latch.SMS_UNTIL_ONLINE,
    **{(latch, _E.KNOWLEDGE_EXPIRED): Latch.UNKNOWN for latch in Latch if latch.is_sms},
    (Latch.UNKNOWN, _E.KNOWLEDGE_EXPIRED): Latch.UNKNOWN,
    (Latch.RCS, _E.KNOWLEDGE_EXPIRED): Latch.RCS,
}


def next_latch(latch: Latch, event: LatchEvent) -> Latch:
    return LATCH[latch, event]


# ------------------------------------------------------------------------------------------------------- how it starts


class OwnRcs(Enum):
    """The phone's own registration, as far as a message cares."""

    UP = auto()
    RECONNECTING = auto()  # lost less than reconnectGuardTimer ago
    DOWN = auto()
    JUST_BACK = auto()  # registered again less than reconnectGuardTimer ago, after a time without RCS
    ON_HOLD = auto()  # 503 with a long Retry-After


class Route(Enum):
    RCS = auto()
    SMS = auto()
    HOLD = auto()
    ASK = auto()
    REFUSE = auto()


@dataclass(frozen=True, slots=True)
class RouteDecision:
    route: Route
    reason: FallbackReason


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteContext:
    """What the start of a message depends on. *chosen_sms* is the user's choice for this draft; *is_asking* while the
    first capability answer of the contact is awaited. A contact without a number (*has_number*) cannot be sent an SMS:
    nothing that speaks for SMS counts then, such as that the contact has announced no RCS. *sealing* holds or refuses
    what RCS could carry in clear only (RCC.16 §7.2)."""

    own: OwnRcs
    latch: Latch
    mode: ModeDecision
    may_fall_back: bool
    consent_when_down: Consent
    chosen_sms: bool | None = None
    is_asking: bool = False
    is_encrypted: bool = False
    has_number: bool = True
    sealing: RouteDecision | None = None


_OWN_REASONS: Mapping[OwnRcs, FallbackReason] = {
    OwnRcs.DOWN: _R.OWN_RCS_DOWN,
    OwnRcs.JUST_BACK: _R.JUST_RECONNECTED,
    OwnRcs.ON_HOLD: _R.RCS_ON_HOLD,
}


def choose_route(context: RouteContext) -> RouteDecision:
    """Algorithm of digest §8.3 up to the first transmission."""
    if context.chosen_sms:
        return _sms_or(context, _R.USER_CHOSE_SMS, Consent.AUTOMATIC)
    if context.own is OwnRcs.RECONNECTING:
        return RouteDecision(Route.HOLD, _R.RECONNECTING)
    if context.own in _OWN_REASONS and (context.has_number or context.own is not OwnRcs.JUST_BACK):
        return _sms_or(context, _OWN_REASONS[context.own], context.consent_when_down)
    if context.mode.mode is ChatMode.SMS:
        return _sms_or(context, _R.NOT_PROVISIONED, Consent.AUTOMATIC)
    if context.latch.is_sms and context.chosen_sms is None and context.has_number:
        reason = _R.PEER_NOT_RCS if context.latch is Latch.SMS else _R.LATCHED_TO_SMS
        return _sms_or(context, reason, Consent.AUTOMATIC)
    if not context.mode.is_available:
        return RouteDecision(Route.REFUSE, _R.NEEDS_SESSION)
    if context.is_asking:
        return RouteDecision(Route.HOLD, _R.ASKING_CAPABILITY)
    return context.sealing or RouteDecision(Route.RCS, _R.NONE)


def _sms_or(context: RouteContext, reason: FallbackReason, consent: Consent) -> RouteDecision:
    if context.is_encrypted:
        return RouteDecision(Route.REFUSE, _R.ENCRYPTED_ONLY)
    if not context.may_fall_back:
        return RouteDecision(Route.REFUSE, _R.NOT_ELIGIBLE)
    routes = {Consent.AUTOMATIC: Route.SMS, Consent.ASK: Route.ASK, Consent.NEVER: Route.REFUSE}
    return RouteDecision(routes[consent], reason)
