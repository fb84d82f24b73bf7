"""The four transaction state machines as tables, in the order of their figures (RFC 3261 §17, RFC 6026, RFC 4320).

An absent pair is illegal: our own caller's mistake. Whatever a peer can cause is in a table or in its IGNORED set.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

__all__ = [
    "INVITE_CLIENT",
    "INVITE_CLIENT_IGNORED",
    "INVITE_SERVER",
    "INVITE_SERVER_IGNORED",
    "NON_INVITE_CLIENT",
    "NON_INVITE_CLIENT_IGNORED",
    "NON_INVITE_SERVER",
    "NON_INVITE_SERVER_IGNORED",
    "Action",
    "Ignored",
    "Input",
    "State",
    "Table",
]


class State(Enum):
    """States of all four machines, by their RFC names; INITIAL is before the first arrow of a figure."""

    INITIAL = auto()
    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()  # RFC 6026 §7
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()

    __hash__ = object.__hash__  # members are single objects: this is several times faster than Enum's hash of the name


class Input(Enum):
    """What happens to a transaction. Responses come from the network at a client, from the TU at a server."""

    START = auto()
    REQUEST = auto()  # the request once more
    ACK = auto()
    STATUS_1XX = auto()
    STATUS_2XX = auto()
    STATUS_408 = auto()  # told apart at the non-INVITE server only: RFC 4320 §4.2
    STATUS_3XX_6XX = auto()
    TRANSPORT_ERROR = auto()
    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_D = auto()
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_J = auto()
    TIMER_K = auto()
    TIMER_L = auto()
    TIMER_M = auto()
    TIMER_TRYING = auto()  # a 100 is due (RFC 3261 §17.2.1; RFC 4320 §4.1)
    TIMER_EXPIRY = auto()  # the TU has not answered before the client gave up (RFC 4320 §4.2)

    __hash__ = object.__hash__  # as for State


class Action(Enum):
    """What is done on an arrow. The value is the method of the transaction class that does it."""

    SEND_REQUEST = "_send_request"
    RESEND_REQUEST = "_resend_request"
    DELIVER = "_deliver"
    DELIVER_PROVISIONAL = "_deliver_provisional"
    ACCEPT = "_accept"
    ACKNOWLEDGE = "_acknowledge"
    ACKNOWLEDGE_AGAIN = "_acknowledge_again"
    COMPLETE = "_complete"
    DELIVER_REQUEST = "_deliver_request"
    SEND_TRYING = "_send_trying"
    SEND = "_send"
    SEND_SUCCESS = "_send_success"
    SEND_FAILURE = "_send_failure"
    SEND_FINAL = "_send_final"
    REPEAT_RESPONSE = "_repeat_response"
    RESEND_RESPONSE = "_resend_response"
    CONFIRM = "_confirm"
    REPORT_FAILURE = "_report_failure"
    FAIL = "_fail"
    TIME_OUT = "_time_out"
    END = "_end"


Table = Mapping[tuple[State, Input], tuple[State, Action]]
Ignored = frozenset[tuple[State, Input]]

_STATUSES = (Input.STATUS_1XX, Input.STATUS_2XX, Input.STATUS_3XX_6XX)


def _pairs(state: State, *inputs: Input) -> set[tuple[State, Input]]:
    return {(state, each) for each in inputs}


# RFC 3261 Figure 5, with the Accepted state of RFC 6026 §7.2
INVITE_CLIENT: Table = {
    (State.INITIAL, Input.START): (State.CALLING, Action.SEND_REQUEST),
    (State.CALLING, Input.TIMER_A): (State.CALLING, Action.RESEND_REQUEST),
    (State.CALLING, Input.TIMER_B): (State.TERMINATED, Action.TIME_OUT),
    (State.CALLING, Input.TRANSPORT_ERROR): (State.TERMINATED, Action.FAIL),
    (State.CALLING, Input.STATUS_1XX): (State.PROCEEDING, Action.DELIVER_PROVISIONAL),
    (State.CALLING, Input.STATUS_2XX): (State.ACCEPTED, Action.ACCEPT),
    (State.CALLING, Input.STATUS_3XX_6XX): (State.COMPLETED, Action.ACKNOWLEDGE),
    (State.PROCEEDING, Input.STATUS_1XX): (State.PROCEEDING, Action.DELIVER),
    (State.PROCEEDING, Input.STATUS_2XX): (State.ACCEPTED, Action.ACCEPT),
    (State.PROCEEDING, Input.STATUS_3XX_6XX): (State.COMPLETED, Action.ACKNOWLEDGE),
    (State.ACCEPTED, Input.STATUS_2XX): (State.ACCEPTED, Action.DELIVER),
    (State.ACCEPTED, Input.TIMER_M): (State.TERMINATED, Action.END),
    (State.COMPLETED, Input.STATUS_3XX_6XX): (State.COMPLETED, Action.ACKNOWLEDGE_AGAIN),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (State.TERMINATED, Action.FAIL),
    (State.COMPLETED, Input.TIMER_D): (State.TERMINATED, Action.END),
}
INVITE_CLIENT_IGNORED: Ignored = frozenset(
    _pairs(State.PROCEEDING, Input.TRANSPORT_ERROR)  # nothing is being sent: the answer may come another way
    | _pairs(State.ACCEPTED, Input.STATUS_1XX, Input.STATUS_3XX_6XX, Input.TRANSPORT_ERROR)
    | _pairs(State.COMPLETED, Input.STATUS_1XX, Input.STATUS_2XX)
    | _pairs(State.TERMINATED, *_STATUSES, Input.TRANSPORT_ERROR)
)

# RFC 3261 Figure 6
NON_INVITE_CLIENT: Table = {
    (State.INITIAL, Input.START): (State.TRYING, Action.SEND_REQUEST),
    (State.TRYING, Input.TIMER_E): (State.TRYING, Action.RESEND_REQUEST),
    (State.TRYING, Input.TIMER_F): (State.TERMINATED, Action.TIME_OUT),
    (State.TRYING, Input.TRANSPORT_ERROR): (State.TERMINATED, Action.FAIL),
    (State.TRYING, Input.STATUS_1XX): (State.PROCEEDING, Action.DELIVER),
    (State.TRYING, Input.STATUS_2XX): (State.COMPLETED, Action.COMPLETE),
    (State.TRYING, Input.STATUS_3XX_6XX): (State.COMPLETED, Action.COMPLETE),
    (State.PROCEEDING, Input.TIMER_E): (State.PROCEEDING, Action.RESEND_REQUEST),
    (State.PROCEEDING, Input.TIMER_F): (State.TERMINATED, Action.TIME_OUT),
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (State.TERMINATED, Action.FAIL),
    (State.PROCEEDING, Input.STATUS_1XX): (State.PROCEEDING, Action.DELIVER),
    (State.PROCEEDING, Input.STATUS_2XX): (State.COMPLETED, Action.COMPLETE),
    (State.PROCEEDING, Input.STATUS_3XX_6XX): (State.COMPLETED, Action.COMPLETE),
    (State.COMPLETED, Input.TIMER_K): (State.TERMINATED, Action.END),
}
NON_INVITE_CLIENT_IGNORED: Ignored = frozenset(
    _pairs(State.COMPLETED, *_STATUSES, Input.TRANSPORT_ERROR)
    | _pairs(State.TERMINATED, *_STATUSES, Input.TRANSPORT_ERROR)
)

# RFC 3261 Figure 7, with the Accepted state of RFC 6026 §7.1; transport errors end nothing (RFC 6026 §8.8)
INVITE_SERVER: Table = {
    (State.INITIAL, Input.START): (State.PROCEEDING, Action.DELIVER_REQUEST),
    (State.PROCEEDING, Input.TIMER_TRYING): (State.PROCEEDING, Action.SEND_TRYING),
    (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, Action.REPEAT_RESPONSE),
    (State.PROCEEDING, Input.STATUS_1XX): (State.PROCEEDING, Action.SEND),
    (State.PROCEEDING, Input.STATUS_2XX): (State.ACCEPTED, Action.SEND_SUCCESS),
    (State.PROCEEDING, Input.STATUS_3XX_6XX): (State.COMPLETED, Action.SEND_FAILURE),
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (State.PROCEEDING, Action.REPORT_FAILURE),
    (State.ACCEPTED, Input.STATUS_2XX): (State.ACCEPTED, Action.SEND),
    (State.ACCEPTED, Input.ACK): (State.ACCEPTED, Action.DELIVER),
    (State.ACCEPTED, Input.TRANSPORT_ERROR): (State.ACCEPTED, Action.REPORT_FAILURE),
    (State.ACCEPTED, Input.TIMER_L): (State.TERMINATED, Action.END),
    (State.COMPLETED, Input.REQUEST): (State.COMPLETED, Action.REPEAT_RESPONSE),
    (State.COMPLETED, Input.TIMER_G): (State.COMPLETED, Action.RESEND_RESPONSE),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (State.COMPLETED, Action.REPORT_FAILURE),
    (State.COMPLETED, Input.TIMER_H): (State.TERMINATED, Action.TIME_OUT),
    (State.COMPLETED, Input.ACK): (State.CONFIRMED, Action.CONFIRM),
    (State.CONFIRMED, Input.TIMER_I): (State.TERMINATED, Action.END),
}
INVITE_SERVER_IGNORED: Ignored = frozenset(
    _pairs(State.PROCEEDING, Input.ACK)
    | _pairs(State.ACCEPTED, Input.REQUEST)
    | _pairs(State.CONFIRMED, Input.REQUEST, Input.ACK, Input.TRANSPORT_ERROR)
    | _pairs(State.TERMINATED, Input.REQUEST, Input.ACK, Input.TRANSPORT_ERROR)
)

# RFC 3261 Figure 8. The only provisional response is the 100 that RFC 4320 §4.1 asks for at its time, so those of the
# TU are absorbed, as is its 408, which by §4.2 is never sent: the client finds out by itself.
NON_INVITE_SERVER: Table = {
    (State.INITIAL, Input.START): (State.TRYING, Action.DELIVER_REQUEST),
    (State.TRYING, Input.TIMER_TRYING): (State.PROCEEDING, Action.SEND_TRYING),
    (State.TRYING, Input.STATUS_2XX): (State.COMPLETED, Action.SEND_FINAL),
    (State.TRYING, Input.STATUS_3XX_6XX): (State.COMPLETED, Action.SEND_FINAL),
    (State.TRYING, Input.TIMER_EXPIRY): (State.TERMINATED, Action.TIME_OUT),
    (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, Action.REPEAT_RESPONSE),
    (State.PROCEEDING, Input.STATUS_2XX): (State.COMPLETED, Action.SEND_FINAL),
    (State.PROCEEDING, Input.STATUS_3XX_6XX): (State.COMPLETED, Action.SEND_FINAL),
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (State.TERMINATED, Action.FAIL),
    (State.PROCEEDING, Input.TIMER_EXPIRY): (State.TERMINATED, Action.TIME_OUT),
    (State.COMPLETED, Input.REQUEST): (State.COMPLETED, Action.REPEAT_RESPONSE),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (State.TERMINATED, Action.FAIL),
    (State.COMPLETED, Input.TIMER_J): (State.TERMINATED, Action.END),
}
NON_INVITE_SERVER_IGNORED: Ignored = frozenset(
    _pairs(State.TRYING, Input.REQUEST, Input.STATUS_1XX, Input.STATUS_408, Input.TRANSPORT_ERROR)
    | _pairs(State.PROCEEDING, Input.STATUS_1XX, Input.STATUS_408)
    # §17.2.2: the TU's second final response is discarded; where Timer J is 0 it comes after the end
    | _pairs(State.COMPLETED, *_STATUSES, Input.STATUS_408)
    | _pairs(State.TERMINATED, *_STATUSES, Input.STATUS_408, Input.REQUEST, Input.TRANSPORT_ERROR)
)
