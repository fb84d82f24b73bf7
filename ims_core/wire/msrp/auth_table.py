"""States of a client that a relay lets in, and what leads from one to the next (RFC 4976 §5.1)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

__all__ = ["IGNORED", "TABLE", "Action", "AuthState", "Ignored", "Input", "Table"]


class AuthState(enum.Enum):
    IDLE = enum.auto()
    ASKING = enum.auto()  # an AUTH is on its way, with or without credentials
    GRANTED = enum.auto()
    REFRESHING = enum.auto()  # granted still, and asking again
    FAILED = enum.auto()


class Input(enum.Enum):
    START = enum.auto()
    LOST = enum.auto()  # the connection to the relay, and with it what was granted
    STATUS_2XX = enum.auto()
    STATUS_401 = enum.auto()
    STATUS_423 = enum.auto()
    STATUS_OTHER = enum.auto()
    TIMER_RESPONSE = enum.auto()
    TIMER_REFRESH = enum.auto()
    UNUSABLE = enum.auto()  # a response that nothing can be made of


class Action(enum.Enum):
    """Method of the client that does it."""

    BEGIN = "_begin"
    ASK_AGAIN = "_ask_again"
    GRANT = "_grant"
    ANSWER_CHALLENGE = "_answer_challenge"
    ADJUST = "_adjust"
    REFUSE = "_refuse"
    TIME_OUT = "_time_out"
    FAIL = "_fail"
    FORGET = "_forget"


Table: TypeAlias = Mapping[tuple[AuthState, Input], tuple[AuthState, Action]]
Ignored: TypeAlias = frozenset[tuple[AuthState, Input]]

# Absent pair = illegal: a fault of the owner.
TABLE: Table = {
    (AuthState.IDLE, Input.START): (AuthState.ASKING, Action.BEGIN),
    (AuthState.FAILED, Input.START): (AuthState.ASKING, Action.BEGIN),
    **{
        (state, event): row
        for state in (AuthState.ASKING, AuthState.REFRESHING)
        for event, row in {
            Input.STATUS_2XX: (AuthState.GRANTED, Action.GRANT),
            Input.STATUS_401: (state, Action.ANSWER_CHALLENGE),
            Input.STATUS_423: (state, Action.ADJUST),
            Input.STATUS_OTHER: (AuthState.FAILED, Action.REFUSE),
            Input.TIMER_RESPONSE: (AuthState.FAILED, Action.TIME_OUT),
            Input.UNUSABLE: (AuthState.FAILED, Action.FAIL),
            Input.LOST: (AuthState.IDLE, Action.FORGET),
        }.items()
    },
    (AuthState.GRANTED, Input.TIMER_REFRESH): (AuthState.REFRESHING, Action.ASK_AGAIN),
    (AuthState.GRANTED, Input.UNUSABLE): (AuthState.FAILED, Action.FAIL),
    (AuthState.GRANTED, Input.LOST): (AuthState.IDLE, Action.FORGET),
    (AuthState.FAILED, Input.LOST): (AuthState.IDLE, Action.FORGET),
}
IGNORED: Ignored = frozenset({(AuthState.IDLE, Input.LOST)})
