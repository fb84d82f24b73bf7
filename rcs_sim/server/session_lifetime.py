"""How a chat session of the messaging server ends, as a table, and the clocks of one (digest §4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING

from rcs_sim.server.session_leg import SessionLeg
from rcs_sim.server.session_passage import Passage, PassageState

if TYPE_CHECKING:
    from rcs_sim.server.session_chat import ChatSession

__all__ = [
    "CHAT_IGNORED",
    "CHAT_TRANSITIONS",
    "ChatAction",
    "ChatInput",
    "ChatState",
    "Drain",
    "Farewell",
    "IdleWatch",
    "Parting",
    "Patience",
]


class ChatState(Enum):
    OPEN = auto()
    RETIRING = auto()  # replaced: ends when nothing is under way
    ENDING = auto()  # BYE is out; what is under way is being settled
    ENDED = auto()


class ChatInput(Enum):
    REPLACED = auto()  # a new session of the same pair stands
    END = auto()  # a side hung up or is gone, or the session is idle
    EMPTY = auto()  # nothing is under way any more
    TIME_UP = auto()  # of the wait for that


class ChatAction(Enum):
    WAIT = auto()  # until nothing is under way
    HANG_UP = auto()  # BYE to both sides, then as WAIT
    CLOSE = auto()
    GIVE_UP = auto()  # settle what is under way, then CLOSE


CHAT_TRANSITIONS: Mapping[tuple[ChatState, ChatInput], tuple[ChatState, ChatAction]] = {
    (ChatState.OPEN, ChatInput.REPLACED): (ChatState.RETIRING, ChatAction.WAIT),
    (ChatState.OPEN, ChatInput.END): (ChatState.ENDING, ChatAction.HANG_UP),
    (ChatState.RETIRING, ChatInput.END): (ChatState.ENDING, ChatAction.HANG_UP),
    (ChatState.RETIRING, ChatInput.EMPTY): (ChatState.ENDING, ChatAction.HANG_UP),
    (ChatState.RETIRING, ChatInput.TIME_UP): (ChatState.ENDING, ChatAction.HANG_UP),
    (ChatState.ENDING, ChatInput.EMPTY): (ChatState.ENDED, ChatAction.CLOSE),
    (ChatState.ENDING, ChatInput.TIME_UP): (ChatState.ENDED, ChatAction.GIVE_UP),
}
CHAT_IGNORED = frozenset(
    {
        (ChatState.OPEN, ChatInput.EMPTY),
        (ChatState.RETIRING, ChatInput.REPLACED),
        (ChatState.ENDING, ChatInput.END),
        (ChatState.ENDING, ChatInput.REPLACED),
        *((ChatState.ENDED, event) for event in ChatInput),
    }
)
"""An absent pair is illegal: an open session waits for nothing."""


class Patience:
    """How long a device has to take a message."""

    __slots__ = ("_leg", "_passage", "_session")

    def __init__(self, session: ChatSession, leg: SessionLeg, passage: Passage) -> None:
        self._session = session
        self._leg = leg
        self._passage = passage

    @property
    def is_over(self) -> bool:
        return self._passage.state is not PassageState.ON_LEG

    def expired(self, now: float) -> None:
        self._session.lost_patience(self._leg, self._passage, now)


class Drain:
    """How long what is under way has when a session ends, from the state on in which this was made."""

    __slots__ = ("_session", "_state")

    def __init__(self, session: ChatSession) -> None:
        self._session = session
        self._state = session.state

    @property
    def is_over(self) -> bool:
        return self._session.state is not self._state

    def expired(self, now: float) -> None:
        self._session.step(ChatInput.TIME_UP, now)


class IdleWatch:
    """When to look whether a session is idle."""

    __slots__ = ("_session",)

    def __init__(self, session: ChatSession) -> None:
        self._session = session

    @property
    def is_over(self) -> bool:
        return self._session.state is not ChatState.OPEN

    def expired(self, now: float) -> None:
        self._session.idle(now)


class Farewell:
    """How long a connection stays after our BYE, which has further to go than the end of the connection."""

    __slots__ = ("_leg",)

    def __init__(self, leg: SessionLeg) -> None:
        self._leg = leg

    @property
    def is_over(self) -> bool:
        return self._leg.is_media_over

    def expired(self, now: float) -> None:
        self._leg.close()


class Parting:
    """How long the BYE of a device that closed its connection may take."""

    __slots__ = ("_leg", "_session")

    def __init__(self, session: ChatSession, leg: SessionLeg) -> None:
        self._session = session
        self._leg = leg

    @property
    def is_over(self) -> bool:
        return self._session.state is ChatState.ENDED

    def expired(self, now: float) -> None:
        self._session.part(self._leg, now)
