"""The two ends of an INVITE dialog usage as tables (RFC 3261 §9, §13, §15; state names of RFC 5407 §2 where it has
them).

An absent pair is illegal: our own caller's mistake. Whatever a peer can cause is in a table or in its IGNORED set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto

__all__ = [
    "INCOMING_CALL",
    "INCOMING_CALL_IGNORED",
    "OUTGOING_CALL",
    "OUTGOING_CALL_IGNORED",
    "CallAction",
    "CallIgnored",
    "CallInput",
    "CallState",
    "CallTable",
]


class CallState(Enum):
    PREPARATIVE = auto()  # the INVITE is out, or has come; nobody has said anything to it
    EARLY = auto()  # a provisional response
    CANCEL_DUE = auto()  # to be cancelled as soon as a provisional response comes (RFC 3261 §9.1)
    CANCELLING = auto()  # CANCEL is out, the INVITE has no final response yet
    MORATORIUM = auto()  # a 2xx without its ACK
    LEAVING = auto()  # to be ended as soon as the ACK comes: the callee may not send BYE before (RFC 3261 §15)
    ESTABLISHED = auto()
    MORTAL = auto()  # our BYE is out
    ENDED = auto()  # RFC 5407: Morgue

    __hash__ = object.__hash__  # members are single objects: faster than Enum's hash of the name


class CallInput(Enum):
    # from the owner
    INVITE = auto()  # the INVITE goes out: the first one, or again with credentials or a longer session interval
    RING = auto()
    ANSWER = auto()
    REFUSE = auto()
    CONFIRM = auto()  # the answer to the offer that came in the 2xx
    HANG_UP = auto()
    # from the peer, to our INVITE
    STATUS_1XX = auto()
    STATUS_2XX = auto()  # of a dialog that has had none before
    OFFER_2XX = auto()  # the same, with an offer that the owner has to answer
    STATUS_3XX_6XX = auto()  # or no final response at all
    # from the peer
    CANCEL = auto()
    ACK = auto()
    BYE = auto()
    # from clocks, and from answers to requests inside the dialog
    NO_ACK = auto()
    NO_PRACK = auto()
    NO_FINAL = auto()  # to an INVITE that was cancelled (RFC 3261 §9.1)
    GONE = auto()  # 481: the peer does not know the call
    SILENT = auto()  # 408, or nothing at all
    EXPIRED = auto()  # the session timer
    BYE_DONE = auto()  # BYE has its final answer, or none came

    __hash__ = object.__hash__  # as for CallState


class CallAction(Enum):
    """What is done on an arrow, besides what the input itself brings."""

    NOTHING = auto()
    SEND_INVITE = auto()
    TELL_RINGING = auto()
    TELL_REFUSED = auto()
    TELL_ANSWERED = auto()  # the owner has to answer the offer
    ESTABLISH = auto()  # ACK, and tell
    ACKNOWLEDGE = auto()  # ACK with the owner's answer
    NOTE_CANCEL = auto()
    SEND_CANCEL = auto()
    ACK_AND_BYE = auto()
    END_FORK = auto()  # a 2xx of another branch, or too late: ACK and BYE, and nothing else changes
    SEND_PROVISIONAL = auto()
    SEND_SUCCESS = auto()
    SEND_FAILURE = auto()
    TELL_CONFIRMED = auto()
    NOTE_BYE = auto()
    SEND_BYE = auto()
    END = auto()


CallTable = Mapping[tuple[CallState, CallInput], tuple[CallState, CallAction]]
CallIgnored = frozenset[tuple[CallState, CallInput]]

_S, _I, _A = CallState, CallInput, CallAction
_UNANSWERED = (_S.PREPARATIVE, _S.EARLY)
_SUCCESS = (_I.STATUS_2XX, _I.OFFER_2XX)


def _pairs(state: CallState, inputs: Iterable[CallInput]) -> set[tuple[CallState, CallInput]]:
    return {(state, event) for event in inputs}


# RFC 3261 §15, RFC 4028 §10: the same at both ends once the call stands
_STANDING: CallTable = {
    (_S.ESTABLISHED, _I.HANG_UP): (_S.MORTAL, _A.SEND_BYE),
    (_S.ESTABLISHED, _I.EXPIRED): (_S.MORTAL, _A.SEND_BYE),
    (_S.ESTABLISHED, _I.SILENT): (_S.MORTAL, _A.SEND_BYE),
    (_S.ESTABLISHED, _I.NO_ACK): (_S.MORTAL, _A.SEND_BYE),  # to our 2xx to a re-INVITE (RFC 3261 §14.2)
    (_S.ESTABLISHED, _I.BYE): (_S.ENDED, _A.END),
    (_S.ESTABLISHED, _I.GONE): (_S.ENDED, _A.END),
    (_S.MORTAL, _I.BYE): (_S.ENDED, _A.END),  # the two BYE cross (RFC 5407 §3.2)
    (_S.MORTAL, _I.BYE_DONE): (_S.ENDED, _A.END),
}
_OF_OWNER_WHEN_OVER = (_I.RING, _I.ANSWER, _I.REFUSE, _I.CONFIRM, _I.HANG_UP)  # the owner has not heard of it yet
_OF_CLOCKS = (_I.NO_ACK, _I.NO_PRACK, _I.NO_FINAL, _I.GONE, _I.SILENT, _I.EXPIRED, _I.BYE_DONE)
_STANDING_IGNORED: CallIgnored = frozenset(
    # an offer of the peer that the owner answers was withdrawn meanwhile, or the one that we had to answer is gone
    _pairs(_S.ESTABLISHED, (_I.ANSWER, _I.REFUSE, _I.CONFIRM))
    | _pairs(_S.ESTABLISHED, (_I.CANCEL, _I.ACK, _I.NO_PRACK, _I.NO_FINAL, _I.BYE_DONE))
    | _pairs(_S.MORTAL, (*_OF_OWNER_WHEN_OVER, _I.CANCEL, _I.ACK))
    | _pairs(_S.MORTAL, (event for event in _OF_CLOCKS if event is not _I.BYE_DONE))
    | _pairs(_S.ENDED, (*_OF_OWNER_WHEN_OVER, _I.CANCEL, _I.ACK, _I.BYE, *_OF_CLOCKS))
)

# RFC 3261 §9.1, §13.2, RFC 5407 §3.1
OUTGOING_CALL: CallTable = {
    **{
        (state, event): arrow
        for state in _UNANSWERED
        for event, arrow in {
            _I.INVITE: (_S.PREPARATIVE, _A.SEND_INVITE),
            _I.STATUS_1XX: (_S.EARLY, _A.TELL_RINGING),
            _I.STATUS_2XX: (_S.ESTABLISHED, _A.ESTABLISH),
            _I.OFFER_2XX: (_S.MORATORIUM, _A.TELL_ANSWERED),
            _I.STATUS_3XX_6XX: (_S.ENDED, _A.TELL_REFUSED),
        }.items()
    },
    (_S.PREPARATIVE, _I.HANG_UP): (_S.CANCEL_DUE, _A.NOTE_CANCEL),
    (_S.PREPARATIVE, _I.BYE): (_S.CANCEL_DUE, _A.NOTE_CANCEL),
    (_S.EARLY, _I.HANG_UP): (_S.CANCELLING, _A.SEND_CANCEL),
    (_S.EARLY, _I.BYE): (_S.CANCELLING, _A.SEND_CANCEL),  # of a callee that may not; or the 2xx before it is lost
    (_S.CANCEL_DUE, _I.STATUS_1XX): (_S.CANCELLING, _A.SEND_CANCEL),
    **{
        (state, event): (_S.MORTAL, _A.ACK_AND_BYE)  # CANCEL crosses the 2xx (RFC 5407 §3.1)
        for state in (_S.CANCEL_DUE, _S.CANCELLING)
        for event in _SUCCESS
    },
    **{
        (state, event): (_S.ENDED, _A.END)
        for state in (_S.CANCEL_DUE, _S.CANCELLING)
        for event in (_I.STATUS_3XX_6XX, _I.NO_FINAL)
    },
    (_S.MORATORIUM, _I.CONFIRM): (_S.ESTABLISHED, _A.ACKNOWLEDGE),
    (_S.MORATORIUM, _I.HANG_UP): (_S.MORTAL, _A.ACK_AND_BYE),
    (_S.MORATORIUM, _I.EXPIRED): (_S.MORTAL, _A.ACK_AND_BYE),
    (_S.MORATORIUM, _I.BYE): (_S.ENDED, _A.END),
    (_S.MORATORIUM, _I.GONE): (_S.ENDED, _A.END),
    **_STANDING,
    **{
        (state, event): (state, _A.END_FORK)
        for state in (_S.MORATORIUM, _S.ESTABLISHED, _S.MORTAL, _S.ENDED)
        for event in _SUCCESS
    },
}
OUTGOING_CALL_IGNORED: CallIgnored = frozenset(
    _STANDING_IGNORED
    | _pairs(_S.CANCEL_DUE, (_I.HANG_UP, _I.BYE))
    | _pairs(_S.CANCELLING, (_I.HANG_UP, _I.BYE, _I.STATUS_1XX))
    | _pairs(_S.MORATORIUM, (_I.STATUS_1XX, _I.STATUS_3XX_6XX, _I.CANCEL, _I.ACK))
    | _pairs(_S.ESTABLISHED, (_I.STATUS_1XX, _I.STATUS_3XX_6XX))
    | _pairs(_S.MORTAL, (_I.STATUS_1XX, _I.STATUS_3XX_6XX))
    | _pairs(_S.ENDED, (_I.STATUS_1XX, _I.STATUS_3XX_6XX))
    # there is no server transaction that could be cancelled or acknowledged
    | {(state, event) for state in (*_UNANSWERED, _S.CANCEL_DUE, _S.CANCELLING) for event in (_I.CANCEL, _I.ACK)}
)

# RFC 3261 §9.2, §13.3, §15.1.2, RFC 3262 §3
INCOMING_CALL: CallTable = {
    **{
        (state, event): arrow
        for state in _UNANSWERED
        for event, arrow in {
            _I.RING: (_S.EARLY, _A.SEND_PROVISIONAL),
            _I.ANSWER: (_S.MORATORIUM, _A.SEND_SUCCESS),
            _I.REFUSE: (_S.ENDED, _A.SEND_FAILURE),
            _I.HANG_UP: (_S.ENDED, _A.SEND_FAILURE),
            _I.CANCEL: (_S.ENDED, _A.SEND_FAILURE),
            _I.BYE: (_S.ENDED, _A.SEND_FAILURE),
        }.items()
    },
    (_S.EARLY, _I.NO_PRACK): (_S.ENDED, _A.SEND_FAILURE),
    (_S.MORATORIUM, _I.ACK): (_S.ESTABLISHED, _A.TELL_CONFIRMED),
    (_S.MORATORIUM, _I.NO_ACK): (_S.MORTAL, _A.SEND_BYE),
    (_S.MORATORIUM, _I.HANG_UP): (_S.LEAVING, _A.NOTE_BYE),
    (_S.MORATORIUM, _I.EXPIRED): (_S.LEAVING, _A.NOTE_BYE),
    (_S.MORATORIUM, _I.SILENT): (_S.LEAVING, _A.NOTE_BYE),
    (_S.MORATORIUM, _I.BYE): (_S.ENDED, _A.END),
    (_S.MORATORIUM, _I.GONE): (_S.ENDED, _A.END),
    (_S.LEAVING, _I.ACK): (_S.MORTAL, _A.SEND_BYE),
    (_S.LEAVING, _I.NO_ACK): (_S.MORTAL, _A.SEND_BYE),
    (_S.LEAVING, _I.BYE): (_S.ENDED, _A.END),
    (_S.LEAVING, _I.GONE): (_S.ENDED, _A.END),
    **_STANDING,
}
INCOMING_CALL_IGNORED: CallIgnored = frozenset(
    _STANDING_IGNORED
    | {(state, _I.ACK) for state in _UNANSWERED}  # it has the number of our INVITE, but we have sent no 2xx
    | _pairs(_S.MORATORIUM, (_I.REFUSE, _I.CANCEL, _I.NO_PRACK))  # CANCEL crosses the 2xx: no effect (RFC 3261 §9.2)
    | _pairs(_S.LEAVING, (*_OF_OWNER_WHEN_OVER, _I.CANCEL, _I.NO_PRACK, _I.SILENT, _I.EXPIRED))
)
