"""From RCS to SMS: a decision with a reason, read from tables (digest §8.2, §8.3, §8.6). Never an exception handler.

Nothing here sends or waits. `choose_route` says how a message starts, `decide` what an outcome leads to, `LATCH` which
technology the next message of a contact uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from rcs_sim.client.chat_mode import ChatMode, ModeDecision
from rcs_sim.devices.policy import Consent

__all__ = [
    "LATCH",
    "PAGER_RULES",
    "CacheEffect",
    "Decision",
    "FallbackMechanism",
    "FallbackReason",
    "Latch",
    "LatchEvent",
    "Outcome",
    "OutcomeRule",
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
    "pager_rule",
]


class FallbackReason(Enum):
    """Why a message left RCS, was held, or failed. The values are what traces and users read."""

    NONE = "delivered by RCS"
    USER_CHOSE_SMS = "the user chose SMS for this message"
    LATCHED_TO_SMS = "the contact is latched to SMS"
    PEER_NOT_RCS = "the peer is not an RCS user"
    OWN_RCS_DOWN = "this phone has no RCS registration"
    RECONNECTING = "this phone is about to register again"
    JUST_RECONNECTED = "this phone has only just registered again"
    NOT_PROVISIONED = "the configuration allows no RCS messages"
    ASKING_CAPABILITY = "the capability of the peer is being asked for"
    NEEDS_SESSION = "the text needs a chat session"
    RCS_ON_HOLD = "the network asked for a pause"
    REDIRECTED = "the request was redirected"
    MALFORMED = "the network calls the request malformed"
    NOT_AUTHENTICATED = "the network does not accept the credentials"
    FORBIDDEN = "the network forbids it"
    PEER_UNREACHABLE = "the peer cannot be reached"
    GONE = "the peer is gone"
    TOO_LARGE = "the message is too large"
    CONTENT_REFUSED = "the content is not accepted"
    EXTENSION_REFUSED = "a protocol extension is not accepted"
    SECURITY_REFUSED = "the security agreement has to be renewed"
    FLOW_GONE = "the flow to the network is gone"
    LOOPED = "the request looped"
    PEER_BUSY = "the peer or its server is busy"
    CANCELLED = "cancelled"
    COLLISION = "the request collided with another"
    SERVER_FAILED = "a server failed"
    SERVER_UNAVAILABLE = "a server is out of service"
    NETWORK_TIMED_OUT = "a server did not get an answer in time"
    DECLINED = "the peer declined"
    NO_RESPONSE = "the network gave no answer"
    LINK_FAILED = "the connection to the network failed"
    NO_RECEIPT = "no delivery receipt came in time"
    RECEIPT_SAYS_FAILED = "a receipt says that it was not delivered"
    INTERWORKED = "the network delivered it as SMS"
    REVOKED = "the network took the message back"
    REVOKE_REFUSED = "the network cannot take the message back"
    USER_DECIDES = "the user is asked"
    SMS_REFUSED = "the short message was refused"
    NOT_ELIGIBLE = "this kind of message never goes as SMS"


class RcsOutcome(Enum):
    """Outcomes of an RCS message other than a status code."""

    TIMED_OUT = auto()  # timer F, RFC 3261 §8.1.3.1
    LINK_FAILED = auto()  # connect failure, transport error
    RECEIPT_FAILED = auto()  # IMDN failed, error, forbidden
    INTERWORKED = auto()  # IMDN interworking notification
    REVOKED = auto()
    REVOKE_REFUSED = auto()


Outcome = int | RcsOutcome


class Step(Enum):
    """What to do next with the message."""

    SENT = auto()  # accepted: start ChatRevokeTimer where the client mechanism applies
    SMS = auto()
    ASK = auto()  # show "not delivered, send as text?"
    FAIL = auto()
    DECLINED = auto()
    NOTHING = auto()
    WAIT = auto()  # for the receipt or ChatRevokeTimer
    FOLLOW = auto()  # once, to the Contact of the redirection
    AUTHENTICATE = auto()  # retry once with credentials
    DROP_OPTION = auto()  # retry once without the refused option tag
    RENEW_SECURITY = auto()  # initial registration, then retry
    REGISTER = auto()  # new flow and registration, retry once if that succeeds within reconnectGuardTimer
    RETRY = auto()  # after a pause
    LARGER_MODE = auto()  # session or large mode
    INTERWORKED = auto()
    KEEP_WAITING = auto()


class CacheEffect(Enum):
    """What an outcome teaches about the peer."""

    KEEP = auto()
    RCS = auto()
    RCS_OFFLINE = auto()
    NOT_RCS = auto()
    OFFLINE = auto()  # contact state only


@dataclass(frozen=True, slots=True)
class OutcomeRule:
    """One row of digest §8.6, column 1:1 pager. *then* applies when *step* has been used up or cannot be taken.
    *pause_s* is the range of the random pause before a retry."""

    reason: FallbackReason
    step: Step
    then: Step = Step.SMS
    cache: CacheEffect = CacheEffect.KEEP
    pause_s: tuple[float, float] = (0.0, 0.0)


_R, _C = FallbackReason, CacheEffect

PAGER_RULES: Mapping[Outcome, OutcomeRule] = {
    200: OutcomeRule(_R.NONE, Step.SENT, cache=_C.RCS),
    202: OutcomeRule(_R.NONE, Step.SENT, cache=_C.RCS),
    300: OutcomeRule(_R.REDIRECTED, Step.FAIL),
    302: OutcomeRule(_R.REDIRECTED, Step.FOLLOW),
    305: OutcomeRule(_R.REDIRECTED, Step.FOLLOW),
    400: OutcomeRule(_R.MALFORMED, Step.SMS),
    401: OutcomeRule(_R.NOT_AUTHENTICATED, Step.AUTHENTICATE),
    407: OutcomeRule(_R.NOT_AUTHENTICATED, Step.AUTHENTICATE),
    403: OutcomeRule(_R.FORBIDDEN, Step.SMS),
    404: OutcomeRule(_R.PEER_NOT_RCS, Step.SMS, cache=_C.NOT_RCS),
    604: OutcomeRule(_R.PEER_NOT_RCS, Step.SMS, cache=_C.NOT_RCS),
    405: OutcomeRule(_R.PEER_NOT_RCS, Step.SMS, cache=_C.NOT_RCS),
    501: OutcomeRule(_R.PEER_NOT_RCS, Step.SMS, cache=_C.NOT_RCS),
    408: OutcomeRule(_R.PEER_UNREACHABLE, Step.WAIT, cache=_C.RCS_OFFLINE),
    410: OutcomeRule(_R.GONE, Step.FAIL),
    413: OutcomeRule(_R.TOO_LARGE, Step.LARGER_MODE),
    513: OutcomeRule(_R.TOO_LARGE, Step.LARGER_MODE),
    415: OutcomeRule(_R.CONTENT_REFUSED, Step.SMS),
    488: OutcomeRule(_R.CONTENT_REFUSED, Step.SMS),
    606: OutcomeRule(_R.CONTENT_REFUSED, Step.SMS),
    420: OutcomeRule(_R.EXTENSION_REFUSED, Step.DROP_OPTION),
    421: OutcomeRule(_R.SECURITY_REFUSED, Step.RENEW_SECURITY),
    494: OutcomeRule(_R.SECURITY_REFUSED, Step.RENEW_SECURITY),
    430: OutcomeRule(_R.FLOW_GONE, Step.REGISTER),
    480: OutcomeRule(_R.PEER_UNREACHABLE, Step.WAIT, cache=_C.RCS_OFFLINE),
    482: OutcomeRule(_R.LOOPED, Step.SMS),
    483: OutcomeRule(_R.LOOPED, Step.SMS),
    486: OutcomeRule(_R.PEER_BUSY, Step.RETRY, then=Step.WAIT, cache=_C.RCS, pause_s=(1.0, 3.0)),
    600: OutcomeRule(_R.PEER_BUSY, Step.RETRY, then=Step.WAIT, cache=_C.RCS, pause_s=(1.0, 3.0)),
    487: OutcomeRule(_R.CANCELLED, Step.NOTHING),
    491: OutcomeRule(_R.COLLISION, Step.RETRY, pause_s=(2.1, 4.0)),
    500: OutcomeRule(_R.SERVER_FAILED, Step.RETRY, pause_s=(1.0, 3.0)),
    502: OutcomeRule(_R.SERVER_FAILED, Step.RETRY, pause_s=(1.0, 3.0)),
    503: OutcomeRule(_R.SERVER_UNAVAILABLE, Step.RETRY),  # only within `MAX_RETRY_AFTER_S`
    504: OutcomeRule(_R.NETWORK_TIMED_OUT, Step.REGISTER),
    603: OutcomeRule(_R.DECLINED, Step.DECLINED, cache=_C.RCS),
    RcsOutcome.TIMED_OUT: OutcomeRule(_R.NO_RESPONSE, Step.REGISTER),
    RcsOutcome.LINK_FAILED: OutcomeRule(_R.LINK_FAILED, Step.REGISTER),
    RcsOutcome.RECEIPT_FAILED: OutcomeRule(_R.RECEIPT_SAYS_FAILED, Step.SMS),
    RcsOutcome.INTERWORKED: OutcomeRule(_R.INTERWORKED, Step.INTERWORKED, cache=_C.NOT_RCS),
    RcsOutcome.REVOKED: OutcomeRule(_R.NO_RECEIPT, Step.SMS, cache=_C.OFFLINE),
    RcsOutcome.REVOKE_REFUSED: OutcomeRule(_R.REVOKE_REFUSED, Step.KEEP_WAITING),
}

MAX_RETRY_AFTER_S = 5.0  # digest §8.6, row 503: a longer pause goes to SMS at once and holds RCS


def pager_rule(outcome: Outcome) -> OutcomeRule:
    """The row of *outcome*. A status without a row is treated as the x00 of its class (RFC 3261 §8.1.3.2)."""
    rule = PAGER_RULES.get(outcome)
    if rule is not None or isinstance(outcome, RcsOutcome):
        return rule or PAGER_RULES[RcsOutcome.TIMED_OUT]
    return PAGER_RULES.get(outcome // 100 * 100, PAGER_RULES[400])


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a decision about one message depends on, besides the outcome.

    *can_retry* is False once the one retry was made; *can_wait* when the network stores for offline users and the
    message could be revoked; *retry_after_s* from the response."""

    can_retry: bool
    can_wait: bool
    may_fall_back: bool
    consent: Consent
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a message, and why. *hold_rcs_s* keeps RCS unused for so long (503 with Retry-After)."""

    step: Step
    reason: FallbackReason
    cache: CacheEffect = CacheEffect.KEEP
    pause_s: tuple[float, float] = (0.0, 0.0)
    hold_rcs_s: float = 0.0


_RETRIES = frozenset((Step.RETRY, Step.FOLLOW, Step.AUTHENTICATE, Step.DROP_OPTION, Step.RENEW_SECURITY, Step.REGISTER))
_NEEDS_A_LATER_BUILD = frozenset((Step.LARGER_MODE,))


def decide(outcome: Outcome, situation: Situation) -> Decision:
    """The row of digest §8.6 applied to one message."""
    rule = pager_rule(outcome)
    step, pause, hold = rule.step, rule.pause_s, 0.0
    if outcome == 503:
        after = situation.retry_after_s
        if after is not None and after <= MAX_RETRY_AFTER_S:
            pause = (after, after)
        else:
            step, hold = rule.then, after or 0.0
    if (step in _RETRIES and not situation.can_retry) or step in _NEEDS_A_LATER_BUILD:
        step = rule.then
    if step is Step.WAIT and not situation.can_wait:
        step = Step.SMS
    if step is Step.SMS:
        step = _step_for_sms(situation)
    return Decision(step, rule.reason, rule.cache, pause, hold)


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
    nothing that speaks for SMS counts then, such as that the contact has announced no RCS."""

    own: OwnRcs
    latch: Latch
    mode: ModeDecision
    may_fall_back: bool
    consent_when_down: Consent
    chosen_sms: bool | None = None
    is_asking: bool = False
    is_encrypted: bool = False
    has_number: bool = True


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
    return RouteDecision(Route.RCS, _R.NONE)


def _sms_or(context: RouteContext, reason: FallbackReason, consent: Consent) -> RouteDecision:
    if context.is_encrypted or not context.may_fall_back:
        return RouteDecision(Route.REFUSE, _R.NOT_ELIGIBLE)
    routes = {Consent.AUTOMATIC: Route.SMS, Consent.ASK: Route.ASK, Consent.NEVER: Route.REFUSE}
    return RouteDecision(routes[consent], reason)
