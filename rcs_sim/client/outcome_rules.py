"""What the outcome of a transmission leads to, as tables: the columns of digest §8.6 for one-to-one messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

__all__ = [
    "INVITE_RULES",
    "MAX_RETRY_AFTER_S",
    "MSRP_RULES",
    "PAGER_RULES",
    "CacheEffect",
    "Column",
    "FallbackReason",
    "Outcome",
    "OutcomeRule",
    "RcsOutcome",
    "Step",
    "rule_of",
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
    NOT_ANSWERED = "the peer did not answer the invitation in time"
    MEDIA_FAILED = "the message session could not be connected"
    SESSION_LOST = "the message session ended before the message was acknowledged"
    NOT_PROVEN = "the certificate of the message session is not the one that was signalled"
    ENCRYPTED_ONLY = "an encrypted conversation is never carried in clear"
    ENCRYPTION_BUSY = "the encryption of the conversation is being set up or repaired"
    CONVERGING = "everybody has to have the last change of the encrypted conversation first"
    TOO_MANY_WAIT = "as many messages as there is room for wait for the encrypted conversation already"
    NO_ENCRYPTION_STATE = "this phone has lost the keys of an encrypted conversation"
    FOCUS_ASKED = "the network is asked whether the conversation is encrypted"
    LOCKED_OUT = "the conversation is encrypted, or may be, and this phone is not in it"
    ENCRYPTION_ENDED = "the encryption of the conversation has ended"
    ENCRYPTION_UNAVAILABLE = "this phone cannot encrypt now"
    NO_ENCRYPTION_IDENTITY = "this phone has no valid certificate for encryption"
    WENT_IN_CLEAR = "it went out in clear before the conversation was encrypted, and a lock on it now would lie"
    UNEXPECTED_MEMBER = "the encrypted conversation has an unexpected member"
    NOT_DECRYPTED = "the peer could not read it"
    ENCRYPTION_REFUSED = "the network refused the encrypted message"
    NOT_OFFERED = "this phone has no such feature"
    PEER_WITHOUT_FEATURE = "the phone of the peer has no such feature"
    NOT_AUTHOR = "only who wrote a message changes it"
    TOO_LATE = "the message was written too long ago"
    RECALLED = "the message that it is about was recalled"
    NO_TARGET = "the message that it is about has no identifier"


class RcsOutcome(Enum):
    """Outcomes of an RCS message other than a status code."""

    TIMED_OUT = auto()  # timer F, RFC 3261 §8.1.3.1
    LINK_FAILED = auto()  # connect failure, transport error
    RECEIPT_FAILED = auto()  # IMDN failed, error, forbidden
    INTERWORKED = auto()  # IMDN interworking notification
    REVOKED = auto()
    REVOKE_REFUSED = auto()
    NOT_ANSWERED = auto()  # an INVITE within its guard times (digest §4.5)
    NOT_CONNECTED = auto()  # MSRP connect or TLS failure
    SESSION_LOST = auto()  # the session ended before the MSRP 200 came
    NOT_PROVEN = auto()  # fingerprint mismatch (RFC 8122 §5)


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
    PAGER = auto()  # the same message in pager mode
    REINVITE = auto()  # once, in a new session
    FEWER_TYPES = auto()  # once, in a session whose offer has fewer types
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
    """One row of digest §8.6. *then*, and after it *last*, apply when a step has been used up or cannot be taken.
    *pause_s* is the range of the random pause before a retry."""

    reason: FallbackReason
    step: Step
    then: Step = Step.SMS
    last: Step = Step.SMS
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
    487: OutcomeRule(_R.CANCELLED, Step.SMS),  # not by us (choice): what we cancel is settled before its answer comes
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

# What a message session changes of the column: an INVITE carries no message that a network could hold.
INVITE_RULES: Mapping[Outcome, OutcomeRule] = {
    **PAGER_RULES,
    401: OutcomeRule(_R.NOT_AUTHENTICATED, Step.SMS),  # the call has answered the challenge already
    407: OutcomeRule(_R.NOT_AUTHENTICATED, Step.SMS),
    413: OutcomeRule(_R.TOO_LARGE, Step.SMS),
    513: OutcomeRule(_R.TOO_LARGE, Step.SMS),
    415: OutcomeRule(_R.CONTENT_REFUSED, Step.FEWER_TYPES, then=Step.PAGER),
    488: OutcomeRule(_R.CONTENT_REFUSED, Step.FEWER_TYPES, then=Step.PAGER),
    606: OutcomeRule(_R.CONTENT_REFUSED, Step.FEWER_TYPES, then=Step.PAGER),
    481: OutcomeRule(_R.SESSION_LOST, Step.REINVITE),
    486: OutcomeRule(_R.PEER_BUSY, Step.PAGER, then=Step.WAIT, cache=_C.RCS),
    600: OutcomeRule(_R.PEER_BUSY, Step.PAGER, then=Step.WAIT, cache=_C.RCS),
    RcsOutcome.NOT_ANSWERED: OutcomeRule(_R.NOT_ANSWERED, Step.PAGER),  # (choice): the network is there, the user not
}

# Once the session stands: status codes of MSRP (RFC 4975 §10), and what may happen to the session.
MSRP_RULES: Mapping[Outcome, OutcomeRule] = {
    200: OutcomeRule(_R.NONE, Step.SENT, cache=_C.RCS),
    400: OutcomeRule(_R.MALFORMED, Step.SMS),
    403: OutcomeRule(_R.FORBIDDEN, Step.SMS),
    413: OutcomeRule(_R.TOO_LARGE, Step.SMS),
    415: OutcomeRule(_R.CONTENT_REFUSED, Step.SMS),
    408: OutcomeRule(_R.SESSION_LOST, Step.REINVITE),
    481: OutcomeRule(_R.SESSION_LOST, Step.REINVITE),
    506: OutcomeRule(_R.SESSION_LOST, Step.REINVITE),
    RcsOutcome.SESSION_LOST: OutcomeRule(_R.SESSION_LOST, Step.REINVITE),
    RcsOutcome.NOT_CONNECTED: OutcomeRule(_R.MEDIA_FAILED, Step.REINVITE, then=Step.PAGER),
    RcsOutcome.NOT_PROVEN: OutcomeRule(_R.NOT_PROVEN, Step.FAIL),
    RcsOutcome.LINK_FAILED: PAGER_RULES[RcsOutcome.LINK_FAILED],
    RcsOutcome.TIMED_OUT: PAGER_RULES[RcsOutcome.TIMED_OUT],
}


class Column(Enum):
    """What an outcome is the outcome of."""

    PAGER = auto()  # the MESSAGE, and what happens to a message whatever carried it
    INVITE = auto()
    MSRP = auto()

    __hash__ = object.__hash__  # members are single objects


_TABLES: Mapping[Column, Mapping[Outcome, OutcomeRule]] = {
    Column.PAGER: PAGER_RULES,
    Column.INVITE: INVITE_RULES,
    Column.MSRP: MSRP_RULES,
}


def rule_of(outcome: Outcome, column: Column = Column.PAGER) -> OutcomeRule:
    """The row of *outcome*. A status without a row is treated as the x00 of its class (RFC 3261 §8.1.3.2), in MSRP as
    400, any 2xx as 200."""
    table = _TABLES[column]
    rule = table.get(outcome)
    if rule is not None:
        return rule
    if isinstance(outcome, RcsOutcome):
        return PAGER_RULES.get(outcome) or table.get(RcsOutcome.SESSION_LOST) or PAGER_RULES[RcsOutcome.TIMED_OUT]
    return table.get(outcome // 100 * 100) or table[400]
