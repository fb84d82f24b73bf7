"""States of a message session and what leads from one to the next (RFC 4975 §5.4, §7).

RFC 4975 has no figure. CONNECTING is not among the states: the session begins when its connection stands.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import TypeAlias

__all__ = ["IGNORED", "TABLE", "Action", "Ignored", "Input", "State", "Table"]


class State(enum.IntEnum):
    """IntEnum, because each frame looks its action up by the number."""

    IDLE = 0  # no connection yet
    BINDING = enum.auto()  # the connection stands, the peer has not shown that it has the session
    OPEN = enum.auto()
    CLOSING = enum.auto()  # nothing new is taken, what is under way goes on
    CLOSED = enum.auto()  # ended by our side
    FAILED = enum.auto()  # cannot be used any more


class Input(enum.IntEnum):
    """What a session reacts to: its owner, frames of the peer, its clock, and what follows from these."""

    START_ACTIVE = 0  # we have connected
    START_PASSIVE = enum.auto()  # the peer has connected
    SUBMIT = enum.auto()  # a message to send
    SETTLE = enum.auto()  # what became of a received message, or a report about it
    WRITABLE = enum.auto()
    CLOSE = enum.auto()
    PEER_FINISHED = enum.auto()  # the peer has closed its half of the connection
    LOST = enum.auto()
    CHUNK = enum.auto()  # octets of a SEND
    EMPTY_SEND = enum.auto()  # a SEND without a body
    REPORT = enum.auto()
    OTHER_REQUEST = enum.auto()
    MALFORMED = enum.auto()
    RESPONSE = enum.auto()
    TIMER_BIND = enum.auto()
    TIMER_RESPONSE = enum.auto()
    TIMER_INCOMPLETE = enum.auto()
    BOUND = enum.auto()  # a frame has shown that the peer has the session
    UNUSABLE = enum.auto()  # a frame has shown that it has not, or that there will be no more frames
    DRAINED = enum.auto()  # nothing is under way


class Action(enum.Enum):
    """Method of the session that does it."""

    BIND = "_bind"
    AWAIT_BIND = "_await_bind"
    OPEN = "_open"
    QUEUE = "_queue"
    SEND = "_send"
    REFUSE_MESSAGE = "_refuse_message"
    SETTLE = "_settle"
    PUMP = "_pump"
    TAKE_CHUNK = "_take_chunk"
    TAKE_EMPTY_SEND = "_take_empty_send"
    TAKE_REPORT = "_take_report"
    REFUSE_METHOD = "_refuse_method"
    REFUSE_MALFORMED = "_refuse_malformed"
    TAKE_RESPONSE = "_take_response"
    REFUSE_SESSION = "_refuse_session"
    FORGET_INCOMPLETE = "_forget_incomplete"
    TIME_OUT = "_time_out"
    FAIL = "_fail"
    FAIL_TO_BIND = "_fail_to_bind"
    FAIL_WHILE_CLOSING = "_fail_while_closing"
    TIME_OUT_WHILE_CLOSING = "_time_out_while_closing"
    LOSE = "_lose"
    LOSE_AND_END = "_lose_and_end"
    LOSE_UNANSWERED = "_lose_unanswered"
    GO_ON = "_go_on"
    DRAIN = "_drain"


Table: TypeAlias = Mapping[tuple[State, Input], tuple[State, Action]]
Ignored: TypeAlias = frozenset[tuple[State, Input]]

_CONNECTED = (State.BINDING, State.OPEN, State.CLOSING)
_ENDED = (State.CLOSED, State.FAILED)
_FRAMES: Mapping[Input, Action] = {
    Input.CHUNK: Action.TAKE_CHUNK,
    Input.EMPTY_SEND: Action.TAKE_EMPTY_SEND,
    Input.REPORT: Action.TAKE_REPORT,
    Input.OTHER_REQUEST: Action.REFUSE_METHOD,
    Input.MALFORMED: Action.REFUSE_MALFORMED,
    Input.RESPONSE: Action.TAKE_RESPONSE,
}


def _same(states: Iterable[State], actions: Mapping[Input, Action]) -> Table:
    """Rows that do not leave their state."""
    return {(state, event): (state, action) for state in states for event, action in actions.items()}


# Absent pair = illegal: a fault of the owner; IGNORED lists what is absorbed. No frame of a peer is ever illegal once
# the session has begun.
TABLE: Table = {
    (State.IDLE, Input.START_ACTIVE): (State.BINDING, Action.BIND),
    (State.IDLE, Input.START_PASSIVE): (State.BINDING, Action.AWAIT_BIND),
    (State.IDLE, Input.SUBMIT): (State.IDLE, Action.QUEUE),
    (State.IDLE, Input.CLOSE): (State.CLOSED, Action.LOSE_AND_END),
    (State.IDLE, Input.LOST): (State.FAILED, Action.LOSE),
    **_same(_CONNECTED, _FRAMES),
    (State.BINDING, Input.SUBMIT): (State.BINDING, Action.SEND),
    (State.BINDING, Input.WRITABLE): (State.BINDING, Action.PUMP),
    (State.BINDING, Input.BOUND): (State.OPEN, Action.OPEN),
    (State.BINDING, Input.TIMER_BIND): (State.FAILED, Action.FAIL_TO_BIND),
    (State.BINDING, Input.TIMER_RESPONSE): (State.FAILED, Action.TIME_OUT),
    (State.BINDING, Input.UNUSABLE): (State.FAILED, Action.FAIL),
    (State.BINDING, Input.CLOSE): (State.CLOSING, Action.DRAIN),
    (State.BINDING, Input.PEER_FINISHED): (State.FAILED, Action.LOSE),
    (State.BINDING, Input.LOST): (State.FAILED, Action.LOSE),
    (State.OPEN, Input.SUBMIT): (State.OPEN, Action.SEND),
    (State.OPEN, Input.SETTLE): (State.OPEN, Action.SETTLE),
    (State.OPEN, Input.WRITABLE): (State.OPEN, Action.PUMP),
    (State.OPEN, Input.TIMER_RESPONSE): (State.FAILED, Action.TIME_OUT),
    (State.OPEN, Input.TIMER_INCOMPLETE): (State.OPEN, Action.FORGET_INCOMPLETE),
    (State.OPEN, Input.UNUSABLE): (State.FAILED, Action.FAIL),
    (State.OPEN, Input.CLOSE): (State.CLOSING, Action.DRAIN),
    (State.OPEN, Input.PEER_FINISHED): (State.CLOSING, Action.LOSE_UNANSWERED),
    (State.OPEN, Input.LOST): (State.FAILED, Action.LOSE),
    (State.CLOSING, Input.SUBMIT): (State.CLOSING, Action.REFUSE_MESSAGE),
    (State.CLOSING, Input.SETTLE): (State.CLOSING, Action.SETTLE),
    (State.CLOSING, Input.WRITABLE): (State.CLOSING, Action.PUMP),
    (State.CLOSING, Input.BOUND): (State.CLOSING, Action.GO_ON),
    (State.CLOSING, Input.TIMER_BIND): (State.CLOSED, Action.LOSE_AND_END),
    (State.CLOSING, Input.TIMER_RESPONSE): (State.CLOSED, Action.TIME_OUT_WHILE_CLOSING),
    (State.CLOSING, Input.TIMER_INCOMPLETE): (State.CLOSING, Action.FORGET_INCOMPLETE),
    (State.CLOSING, Input.UNUSABLE): (State.CLOSED, Action.FAIL_WHILE_CLOSING),
    (State.CLOSING, Input.PEER_FINISHED): (State.CLOSING, Action.LOSE_UNANSWERED),
    (State.CLOSING, Input.LOST): (State.CLOSED, Action.LOSE_AND_END),
    (State.CLOSING, Input.DRAINED): (State.CLOSED, Action.LOSE_AND_END),
    (State.FAILED, Input.CLOSE): (State.CLOSED, Action.LOSE_AND_END),
    **_same(
        _ENDED,
        {
            Input.SUBMIT: Action.REFUSE_MESSAGE,
            Input.CHUNK: Action.REFUSE_SESSION,
            Input.EMPTY_SEND: Action.REFUSE_SESSION,
            Input.OTHER_REQUEST: Action.REFUSE_SESSION,
        },
    ),
}
_ABSORBED_AT_THE_END = (
    *(Input.SETTLE, Input.WRITABLE, Input.PEER_FINISHED, Input.LOST),
    *(Input.REPORT, Input.MALFORMED, Input.RESPONSE),
)
IGNORED: Ignored = frozenset(
    {(state, event) for state in _ENDED for event in _ABSORBED_AT_THE_END}
    | {
        (State.IDLE, Input.WRITABLE),
        (State.OPEN, Input.BOUND),
        (State.CLOSING, Input.CLOSE),
        (State.CLOSED, Input.CLOSE),
    }
)
