"""States of a message that the user sent, as the phone shows them (digest §5.3). They never go backwards."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from ims_core.errors import LocalProtocolError

__all__ = ["IGNORED", "MESSAGE_STATES", "MessageInput", "MessageState", "MessageTransport", "next_state"]


class MessageTransport(Enum):
    """What carried a message, and the word for it in a label."""

    RCS = "RCS"
    SMS = "SMS"


class MessageState(Enum):
    """``queued -> sending -> sent -> delivered -> displayed``, and the side exits."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    DISPLAYED = "displayed"
    FAILED = "failed"
    REVOKING = "revoking"
    REVOKED = "revoked"
    SENT_AS_SMS = "sent-as-sms"
    INTERWORKED = "interworked"


class MessageInput(Enum):
    SUBMITTED = auto()  # handed to a transport, also again
    ACCEPTED = auto()  # 2xx, RP-ACK for a message that was an SMS from the start
    REFUSED = auto()  # given up
    DELIVERED = auto()  # IMDN, or status report of an SMS
    DISPLAYED = auto()
    INTERWORKED = auto()
    REVOKE_SENT = auto()
    REVOKE_SUCCEEDED = auto()
    REVOKE_FAILED = auto()
    FELL_BACK = auto()  # RP-ACK for a message that RCS did not carry


_S, _I = MessageState, MessageInput

_LATE_RECEIPTS = {_I.DELIVERED: _S.DELIVERED, _I.DISPLAYED: _S.DISPLAYED}

_ROWS: Mapping[MessageState, Mapping[MessageInput, MessageState]] = {
    _S.QUEUED: {_I.SUBMITTED: _S.SENDING, _I.REFUSED: _S.FAILED},
    _S.SENDING: {
        _I.SUBMITTED: _S.SENDING,
        _I.ACCEPTED: _S.SENT,
        _I.REFUSED: _S.FAILED,
        _I.INTERWORKED: _S.INTERWORKED,
        _I.REVOKE_SENT: _S.REVOKING,  # after 408 or 480, when the network may hold it all the same
        _I.FELL_BACK: _S.SENT_AS_SMS,
        **_LATE_RECEIPTS,  # a receipt may overtake the 200
    },
    _S.SENT: {
        _I.SUBMITTED: _S.SENT,  # again, by SMS or after a failed revocation
        _I.REFUSED: _S.FAILED,
        _I.INTERWORKED: _S.INTERWORKED,
        _I.REVOKE_SENT: _S.REVOKING,
        _I.REVOKE_SUCCEEDED: _S.REVOKED,  # an answer that came after its time
        _I.FELL_BACK: _S.SENT_AS_SMS,
        **_LATE_RECEIPTS,
    },
    _S.REVOKING: {
        _I.SUBMITTED: _S.REVOKING,  # cfsTrigger 0: the SMS does not wait for the answer
        _I.REVOKE_SENT: _S.REVOKING,
        _I.REVOKE_SUCCEEDED: _S.REVOKED,
        _I.REVOKE_FAILED: _S.SENT,
        _I.REFUSED: _S.FAILED,
        _I.INTERWORKED: _S.INTERWORKED,
        _I.FELL_BACK: _S.SENT_AS_SMS,
        **_LATE_RECEIPTS,
    },
    _S.REVOKED: {_I.SUBMITTED: _S.REVOKED, _I.REFUSED: _S.FAILED, _I.FELL_BACK: _S.SENT_AS_SMS, **_LATE_RECEIPTS},
    _S.SENT_AS_SMS: {_I.REFUSED: _S.FAILED, **_LATE_RECEIPTS},
    _S.INTERWORKED: {_I.REFUSED: _S.FAILED, **_LATE_RECEIPTS},
    # A user who taps "send again" starts it anew; a receipt proves that the failure was none.
    _S.FAILED: {_I.SUBMITTED: _S.SENDING, **_LATE_RECEIPTS},
    _S.DELIVERED: {_I.DISPLAYED: _S.DISPLAYED},
    _S.DISPLAYED: {},
}

MESSAGE_STATES: Mapping[tuple[MessageState, MessageInput], MessageState] = {
    (state, given): after for state, row in _ROWS.items() for given, after in row.items()
}

IGNORED: frozenset[tuple[MessageState, MessageInput]] = frozenset(
    {(state, given) for state in (_S.DELIVERED, _S.DISPLAYED) for given in _I if given is not _I.SUBMITTED}
    | {(_S.SENT, _I.ACCEPTED), (_S.SENT, _I.REVOKE_FAILED)}
    | {(_S.REVOKED, given) for given in (_I.INTERWORKED, _I.REVOKE_SUCCEEDED, _I.REVOKE_FAILED, _I.ACCEPTED)}
    | {(_S.REVOKING, _I.ACCEPTED)}
    | {
        (state, given)
        for state in (_S.SENT_AS_SMS, _S.INTERWORKED, _S.FAILED)
        for given in (_I.ACCEPTED, _I.INTERWORKED, _I.FELL_BACK, _I.REVOKE_SUCCEEDED, _I.REVOKE_FAILED)
    }
    | {(_S.FAILED, _I.REFUSED)}
    | {(_S.SENDING, _I.REVOKE_SUCCEEDED), (_S.SENDING, _I.REVOKE_FAILED)}
) - frozenset(MESSAGE_STATES)
"""Late answers and late receipts: absorbed, because what they say is older than what is known."""


def next_state(state: MessageState, given: MessageInput) -> MessageState:
    """The state after *given*; the same for what is absorbed. Raises LocalProtocolError for an illegal pair."""
    after = MESSAGE_STATES.get((state, given))
    if after is not None:
        return after
    if (state, given) in IGNORED:
        return state
    raise LocalProtocolError(f"a message that is {state.value} cannot take {given.name}", spec="digest §5.3")
