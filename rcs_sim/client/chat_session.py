"""The life of one message session on a phone, chat or large message, made by either side (digest §4.5). Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from ims_core.errors import LocalProtocolError

__all__ = [
    "CHAT_SESSION",
    "CHAT_SESSION_IGNORED",
    "ChatSession",
    "SessionDo",
    "SessionEnd",
    "SessionInput",
    "SessionState",
    "SessionTimes",
]


class SessionState(Enum):
    IDLE = "idle"
    INVITING = "inviting"  # our INVITE is out
    RINGING = "ringing"  # 180, of either side
    CONNECTING = "connecting"  # offer and answer are known, the session is not bound yet
    OPEN = "open"
    CLOSING = "closing"  # no new messages; what is under way is waited for
    ENDED = "ended"

    __hash__ = object.__hash__  # members are single objects


class SessionInput(Enum):
    INVITE = auto()  # the user has something to send
    OFFER = auto()  # an INVITE came
    PROVISIONAL = auto()
    ANSWER = auto()  # 2xx, of either side
    REFUSED = auto()  # another final response, of either side, or none
    BOUND = auto()  # the MSRP peer has shown that it is there
    LEAVE = auto()  # not needed any more
    DRAINED = auto()  # nothing is under way
    OVERDUE = auto()  # the deadline of the state
    MEDIA_ENDED = auto()  # the MSRP side failed
    PEER_ENDED = auto()  # BYE or CANCEL, or the call is over for another reason

    __hash__ = object.__hash__


class SessionDo(Enum):
    """What is to be done on an arrow. Wherever the session ends, what it has not delivered is told its outcome."""

    NOTHING = auto()
    SEND_INVITE = auto()
    RING_OR_ANSWER = auto()
    CONNECT = auto()  # open the MSRP side, hand it what waits
    WATCH = auto()  # the session stands
    DRAIN = auto()
    HANG_UP = auto()  # CANCEL, 480 or BYE, whatever the call needs
    END = auto()  # the call is over already


_S, _I, _D = SessionState, SessionInput, SessionDo
_HANG_UP, _END = (_S.ENDED, _D.HANG_UP), (_S.ENDED, _D.END)

# digest §4.5. An absent pair is a mistake of our own.
CHAT_SESSION: Mapping[tuple[SessionState, SessionInput], tuple[SessionState, SessionDo]] = {
    (_S.IDLE, _I.INVITE): (_S.INVITING, _D.SEND_INVITE),
    (_S.IDLE, _I.OFFER): (_S.RINGING, _D.RING_OR_ANSWER),
    (_S.IDLE, _I.LEAVE): _END,
    (_S.INVITING, _I.PROVISIONAL): (_S.RINGING, _D.NOTHING),
    **{
        (state, given): arrow
        for state in (_S.INVITING, _S.RINGING)
        for given, arrow in {
            _I.ANSWER: (_S.CONNECTING, _D.CONNECT),
            _I.REFUSED: _END,
            _I.LEAVE: _HANG_UP,
            _I.OVERDUE: _HANG_UP,
            _I.MEDIA_ENDED: _HANG_UP,  # the own MSRP stack is of no use, or the network is gone
            _I.PEER_ENDED: _END,
        }.items()
    },
    (_S.CONNECTING, _I.BOUND): (_S.OPEN, _D.WATCH),
    (_S.CONNECTING, _I.LEAVE): (_S.CLOSING, _D.DRAIN),
    (_S.OPEN, _I.LEAVE): (_S.CLOSING, _D.DRAIN),
    (_S.CLOSING, _I.DRAINED): _HANG_UP,
    **{
        (state, given): arrow
        for state in (_S.CONNECTING, _S.OPEN, _S.CLOSING)
        for given, arrow in ((_I.OVERDUE, _HANG_UP), (_I.MEDIA_ENDED, _HANG_UP), (_I.PEER_ENDED, _END))
    },
}

CHAT_SESSION_IGNORED: frozenset[tuple[SessionState, SessionInput]] = frozenset(
    {
        (_S.RINGING, _I.PROVISIONAL),  # once more
        (_S.CONNECTING, _I.PROVISIONAL),  # overtaken by the 2xx
        (_S.OPEN, _I.BOUND),
        (_S.CLOSING, _I.BOUND),
        (_S.CLOSING, _I.LEAVE),
        *((state, _I.DRAINED) for state in (_S.CONNECTING, _S.OPEN)),
        *((_S.ENDED, given) for given in _I if given not in (_I.INVITE, _I.OFFER)),
    }
)


class SessionEnd(Enum):
    """Why a session is over, as the phone tells it."""

    NOT_NEEDED = "not needed any more"
    IDLE = "idle for too long"
    REPLACED = "replaced by a new session"
    GLARE = "both sides invited at once"
    DECLINED = "declined by the user"
    NOT_ANSWERED = "not answered in time"
    REFUSED = "refused"
    CANCELLED = "cancelled by the peer"
    PEER_LEFT = "ended by the peer"
    NOT_CONNECTED = "not connected"
    NOT_PROVEN = "fingerprint mismatch"
    LOST = "connection lost"
    LINK_DOWN = "this phone left the network"
    LINK_LOST = "connection to the network lost"
    UNUSABLE = "an answer that cannot be used"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTimes:
    """Seconds (digest §18). *idle_s* without content or receipts ends a session; *drain_s* is how long one that is left
    waits for its answers."""

    invite_guard_s: float = 32.0
    ringing_guard_s: float = 60.0
    connect_s: float = 10.0
    idle_s: float = 300.0
    drain_s: float = 30.0


class ChatSession:
    """One session along the table, with the one deadline that its state has."""

    __slots__ = ("_times", "deadline", "state")

    def __init__(self, times: SessionTimes) -> None:
        self._times = times
        self.state = SessionState.IDLE
        self.deadline: float | None = None

    @property
    def takes_messages(self) -> bool:
        """Whether a message may still be given to it."""
        return self.state not in (SessionState.CLOSING, SessionState.ENDED)

    @property
    def is_established(self) -> bool:
        return self.state in (SessionState.CONNECTING, SessionState.OPEN)

    def step(self, given: SessionInput, now: float) -> SessionDo:
        """Goes along one arrow. Raises LocalProtocolError if there is none."""
        if (self.state, given) in CHAT_SESSION_IGNORED:
            return SessionDo.NOTHING
        found = CHAT_SESSION.get((self.state, given))
        if found is None:
            raise LocalProtocolError(
                f"a session that is {self.state.value} cannot take {given.name}", spec="digest §4.5"
            )
        self.state, action = found
        seconds = self._longest()
        self.deadline = None if seconds is None else now + seconds
        return action

    def traffic(self, now: float) -> None:
        """Content or a receipt went through: TimerIdle begins anew."""
        if self.state is SessionState.OPEN:
            self.deadline = now + self._times.idle_s

    def handle_deadline(self, now: float, *, is_busy: bool) -> SessionDo:
        """OVERDUE if it is time. A session in which something *is_busy* is not idle."""
        if self.deadline is None or now < self.deadline:
            return SessionDo.NOTHING
        if is_busy and self.state is SessionState.OPEN:
            self.traffic(now)
            return SessionDo.NOTHING
        return self.step(SessionInput.OVERDUE, now)

    def _longest(self) -> float | None:
        times = self._times
        return {
            SessionState.INVITING: times.invite_guard_s,
            SessionState.RINGING: times.ringing_guard_s,
            SessionState.CONNECTING: times.connect_s,
            SessionState.OPEN: times.idle_s,
            SessionState.CLOSING: times.drain_s,
        }.get(self.state)
