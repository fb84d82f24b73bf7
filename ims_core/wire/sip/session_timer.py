"""Session timers: how long a session is believed in, and which side keeps it alive (RFC 4028).

`SessionTimer` negotiates with both kinds of peer, those that know the extension and those that do not, and says when a
refresh is due and when the session has to be given up. Its owner sends the UPDATE, the re-INVITE or the BYE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import Final, TypeAlias, TypeVar

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.core_headers import MinSe, Require, SessionExpires, Supported
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.header import Header
from ims_core.wire.sip.message import Request, Response, SipMessage
from ims_core.wire.sip.params import NO_PARAMS
from ims_core.wire.sip.uas import Rejection

__all__ = [
    "MIN_SESSION_S",
    "SESSION_TIMER",
    "SESSION_TIMER_IGNORED",
    "TIMER_OPTION",
    "SessionExpired",
    "SessionRefreshDue",
    "SessionTimer",
    "SessionTimerConfig",
    "SessionTimerInput",
    "SessionTimerOutput",
    "SessionTimerState",
]

TIMER_OPTION: Final = "timer"
"""The option tag (RFC 4028 §11.1)."""
MIN_SESSION_S: Final = 90
"""No session interval is smaller, and it is what a missing Min-SE means (RFC 4028 §5)."""

_LONGEST_MIN_SE_S: Final = 86_400  # a 422 that asks for more than a day is taken as a refusal (choice)
_LEAD_S: Final = 32  # the BYE goes out this long before the end, or a third of the interval (RFC 4028 §10)
_SHORTEST_RETRY_S: Final = 5.0  # a refresh that failed is not repeated faster, whatever is left of the interval
_POSTPONE_S: Final = 4.0  # longer than a wait after glare (RFC 3261 §14.1), which may be what is in the way

H = TypeVar("H", bound=Header)


class SessionTimerState(Enum):
    """Who has to do what (RFC 4028 §7.4, §10)."""

    OFF = auto()  # nothing has been agreed yet
    REFRESHER = auto()  # we refresh, at half of the interval
    REFRESHING = auto()  # our refresh is out
    WATCHER = auto()  # the peer refreshes
    OVER = auto()


class SessionTimerInput(Enum):
    GRANT_LOCAL = auto()  # a 2xx to INVITE or UPDATE that makes us the refresher
    GRANT_PEER = auto()  # one that makes the peer the refresher
    DUE = auto()
    POSTPONED = auto()  # the owner cannot send now
    FAILED = auto()  # a final answer that leaves the session as it was
    UNANSWERED = auto()  # no answer, from a peer that has to give one
    TOLERATED = auto()  # no answer, from a peer of whom none is expected
    EXPIRED = auto()
    STOP = auto()


_RUNNING: Final = (SessionTimerState.REFRESHER, SessionTimerState.REFRESHING, SessionTimerState.WATCHER)

# RFC 4028 §7.2, §7.4, §9, §10
SESSION_TIMER: Mapping[tuple[SessionTimerState, SessionTimerInput], SessionTimerState] = {
    **{
        (state, event): after
        for state in (SessionTimerState.OFF, *_RUNNING)
        for event, after in (
            (SessionTimerInput.GRANT_LOCAL, SessionTimerState.REFRESHER),
            (SessionTimerInput.GRANT_PEER, SessionTimerState.WATCHER),
            (SessionTimerInput.STOP, SessionTimerState.OVER),
        )
    },
    **{(state, SessionTimerInput.EXPIRED): SessionTimerState.OVER for state in _RUNNING},
    (SessionTimerState.REFRESHER, SessionTimerInput.DUE): SessionTimerState.REFRESHING,
    (SessionTimerState.WATCHER, SessionTimerInput.DUE): SessionTimerState.REFRESHING,  # the peer forgets: we do it
    (SessionTimerState.REFRESHING, SessionTimerInput.POSTPONED): SessionTimerState.REFRESHER,
    (SessionTimerState.REFRESHING, SessionTimerInput.FAILED): SessionTimerState.REFRESHER,
    (SessionTimerState.REFRESHING, SessionTimerInput.TOLERATED): SessionTimerState.REFRESHER,
    (SessionTimerState.REFRESHING, SessionTimerInput.UNANSWERED): SessionTimerState.OVER,
}
_OUTCOMES: Final = (
    *(SessionTimerInput.POSTPONED, SessionTimerInput.FAILED, SessionTimerInput.TOLERATED, SessionTimerInput.UNANSWERED),
)
SESSION_TIMER_IGNORED: frozenset[tuple[SessionTimerState, SessionTimerInput]] = frozenset(
    {
        # a refresh of the peer has overtaken ours
        *((state, event) for state in (SessionTimerState.REFRESHER, SessionTimerState.WATCHER) for event in _OUTCOMES),
        *((SessionTimerState.OFF, event) for event in _OUTCOMES),
        *(
            (SessionTimerState.OVER, event)
            for event in SessionTimerInput
            if event not in (SessionTimerInput.DUE, SessionTimerInput.EXPIRED)
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTimerConfig:
    """What this side asks for. Raises LocalProtocolError for intervals that RFC 4028 §4, §5 do not allow."""

    interval_s: int = 1800
    min_se_s: int = MIN_SESSION_S
    prefers_refreshing: bool = False
    """As UAS: whether we refresh where the UAC supports the extension and leaves the choice to us."""
    tolerates_silence: bool = False
    """Whether a session lives on when the peer, who announced the extension, neither refreshes nor answers refreshes
    (real clients, rows 9, 10). At the end of an interval the refresh is then ours."""
    keeps_time: bool = True
    """False for a device that agrees to session timers, but neither refreshes a session nor ends one (real clients,
    row 9)."""

    def __post_init__(self) -> None:
        if not MIN_SESSION_S <= self.min_se_s <= self.interval_s:
            raise LocalProtocolError("expected 90 <= Min-SE <= session interval", spec="RFC 4028 §5")


@dataclass(frozen=True, slots=True)
class SessionRefreshDue:
    """Time for an UPDATE or a re-INVITE (RFC 4028 §7.4)."""


@dataclass(frozen=True, slots=True)
class SessionExpired:
    """Nobody refreshed the session, or the refresher got no answer: time for a BYE (RFC 4028 §10)."""


SessionTimerOutput: TypeAlias = SessionRefreshDue | SessionExpired


class SessionTimer:
    """The session timer at one end of a call (RFC 4028). A peer without the extension is refreshed by us: proxies
    between count on it, but a session with such a peer never expires here (§7.2)."""

    __slots__ = (
        "_config",
        "_expires_at",
        "_has_peer_timer",
        "_interval_s",
        "_min_se_s",
        "_refresh_at",
        "_state",
    )

    def __init__(self, config: SessionTimerConfig) -> None:
        self._config = config
        self._state = SessionTimerState.OFF
        self._interval_s = config.interval_s
        self._min_se_s = config.min_se_s
        self._has_peer_timer = False
        self._refresh_at = inf
        self._expires_at = inf

    @property
    def state(self) -> SessionTimerState:
        return self._state

    @property
    def interval_s(self) -> int:
        """The session interval that was agreed, before that the one that we ask for."""
        return self._interval_s

    @property
    def has_peer_timer(self) -> bool:
        """Whether the peer itself said that it supports the extension."""
        return self._has_peer_timer

    @property
    def is_silence_fatal(self) -> bool:
        """Whether a session ends if the peer does not answer a refresh (§10). A peer without the extension owes none,
        and some never answer UPDATE (real clients, row 10)."""
        return self._has_peer_timer and not self._config.tolerates_silence

    # --- as UAC ------------------------------------------------------------------------------------------------------

    def take_over(self, request: Request) -> None:
        """The owner wrote Session-Expires or Min-SE into its INVITE itself: they count. Raises SipParseError."""
        session, least = request.get(SessionExpires), request.get(MinSe)
        if least is not None:
            self._min_se_s = max(least.seconds, MIN_SESSION_S)
        self._interval_s = max(self._interval_s if session is None else session.seconds, self._min_se_s)

    def request_fields(self) -> tuple[Header, ...]:
        """Session-Expires and Min-SE of an INVITE or UPDATE (§7.1, §7.4). Inside a session they name the refresher."""
        is_watching = self._state is SessionTimerState.WATCHER
        params = NO_PARAMS
        if self._state is not SessionTimerState.OFF:
            params = params.with_("refresher", "uas" if is_watching else "uac")
        session = SessionExpires(self._interval_s, params)
        return (session,) if self._min_se_s == MIN_SESSION_S else (session, MinSe(self._min_se_s))

    def receive_success(self, response: Response, now: float) -> None:
        """A 2xx to our INVITE or UPDATE (§7.2). Without Session-Expires nothing expires, and we refresh.

        A malformed value counts as absent. Require is no sign of the peer: a proxy may have put it there (§8.2)."""
        session = _readable(response, SessionExpires)
        supported = _readable(response, Supported)
        is_peer_refresher = session is not None and session.refresher == "uas"
        self._has_peer_timer = is_peer_refresher or (supported is not None and TIMER_OPTION in supported)
        if session is not None:
            self._interval_s = max(session.seconds, MIN_SESSION_S)
        self._begin(is_peer_refresher, session is not None and self._has_peer_timer, now)

    def receive_too_small(self, response: Response) -> bool:
        """A 422: whether to ask again, which `request_fields` then does with the larger interval (§7.3)."""
        least = _readable(response, MinSe)
        if least is None or least.seconds > _LONGEST_MIN_SE_S:
            return False
        if least.seconds <= min(self._min_se_s, self._interval_s):
            return False
        self._min_se_s = max(self._min_se_s, least.seconds)
        self._interval_s = max(self._interval_s, self._min_se_s)
        return True

    # --- as UAS ------------------------------------------------------------------------------------------------------

    def refusal(self, request: Request) -> Rejection | None:
        """422 to an INVITE or UPDATE whose interval is too small, if the UAC knows what that means (§9).

        Raises SipParseError, to be answered with 400, for a header that `grant` could not read."""
        session, _, is_announced = request.get(SessionExpires), request.get(MinSe), _announces(request)
        if session is None or session.seconds >= self._config.min_se_s or not is_announced:
            return None
        return Rejection(422, f"a session interval of {session.seconds} s", (MinSe(self._config.min_se_s),))

    def grant(self, request: Request, now: float) -> tuple[Header, ...]:
        """What goes into the 2xx to an INVITE or UPDATE that `refusal` let pass: Table 2 of §9. The session runs from
        here."""
        session = request.get(SessionExpires)
        is_announced = self._has_peer_timer = _announces(request)
        self._interval_s = self._granted_interval(session, request.get(MinSe))
        is_peer_refresher = is_announced and self._makes_peer_refresh(session)
        self._begin(is_peer_refresher, is_announced, now)
        params = NO_PARAMS.with_("refresher", "uac" if is_peer_refresher else "uas")
        granted = SessionExpires(self._interval_s, params)
        return (Require((TIMER_OPTION,)), granted) if is_announced else (granted,)

    def _granted_interval(self, session: SessionExpires | None, least: MinSe | None) -> int:
        """What was asked for. Less than our minimum comes only from a UAC without the extension: raised, as proxies do
        and erratum 1687 wants of a UAS too (choice)."""
        floor_s = max(self._config.min_se_s, 0 if least is None else min(least.seconds, _LONGEST_MIN_SE_S))
        self._min_se_s = max(self._min_se_s, floor_s)
        return max(self._config.interval_s if session is None else session.seconds, floor_s)

    def _makes_peer_refresh(self, session: SessionExpires | None) -> bool:
        asked = None if session is None else session.refresher
        if asked in ("uac", "uas"):
            return asked == "uac"
        return not self._config.prefers_refreshing

    # --- the clock ---------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        earliest = min(self._refresh_at, self._expires_at)
        return None if earliest == inf else earliest

    def handle_deadline(self, now: float) -> list[SessionTimerOutput]:
        """The time to refresh, or to give up."""
        if self._expires_at <= now:
            return self._expire(SessionTimerInput.EXPIRED)
        if self._refresh_at <= now:
            self._refresh_at = inf
            self._step(SessionTimerInput.DUE)
            return [SessionRefreshDue()]
        return []

    def postpone(self, now: float) -> None:
        """The refresh that is due cannot be sent: another transaction is in the way."""
        if self._step(SessionTimerInput.POSTPONED):
            self._refresh_at = now + _POSTPONE_S

    def refresh_failed(self, now: float) -> None:
        """A final answer other than 2xx, 408 and 481: the session goes on, with one more try in the middle of the time
        that is left."""
        if self._step(SessionTimerInput.FAILED):
            left_s = self._interval_s if self._expires_at == inf else self._expires_at - now
            self._refresh_at = now + left_s / 2 if left_s / 2 >= _SHORTEST_RETRY_S else inf

    def refresh_unanswered(self, now: float) -> list[SessionTimerOutput]:
        """408, or nothing at all: the end with a peer that has to answer (§10), else the next try at its time."""
        if self.is_silence_fatal:
            return self._expire(SessionTimerInput.UNANSWERED)
        if self._step(SessionTimerInput.TOLERATED):
            self._refresh_at = now + self._interval_s / 2
        return []

    def stop(self) -> None:
        """The session is over for another reason."""
        self._step(SessionTimerInput.STOP)
        self._refresh_at = self._expires_at = inf

    def _begin(self, is_peer_refresher: bool, can_expire: bool, now: float) -> None:
        event = SessionTimerInput.GRANT_PEER if is_peer_refresher else SessionTimerInput.GRANT_LOCAL
        if not self._step(event):
            return
        self._expires_at = self._refresh_at = inf
        if not self._config.keeps_time:
            return
        interval_s = self._interval_s
        last_moment = now + interval_s - min(_LEAD_S, interval_s / 3)
        can_expire = can_expire and not self._config.tolerates_silence
        if can_expire:
            self._expires_at = last_moment
        if not is_peer_refresher:
            self._refresh_at = now + interval_s / 2
        elif not can_expire:  # where silence is tolerated we refresh what the peer should have
            self._refresh_at = last_moment

    def _expire(self, event: SessionTimerInput) -> list[SessionTimerOutput]:
        if not self._step(event):
            return []
        self._refresh_at = self._expires_at = inf
        return [SessionExpired()]

    def _step(self, event: SessionTimerInput) -> bool:
        """False if the input is ignored. Raises LocalProtocolError if it is illegal."""
        if (self._state, event) in SESSION_TIMER_IGNORED:
            return False
        after = SESSION_TIMER.get((self._state, event))
        if after is None:
            text = f"a session timer in {self._state.name} cannot take {event.name}"
            raise LocalProtocolError(text, spec="RFC 4028")
        self._state = after
        return True


def _announces(request: Request) -> bool:
    """Whether the UAC supports the extension (RFC 4028 §7.1)."""
    found = (request.get(Supported), request.get(Require))
    return any(tokens is not None and TIMER_OPTION in tokens for tokens in found)


def _readable(message: SipMessage, header: type[H]) -> H | None:
    """A header of a response, where nobody can be told that it is malformed."""
    try:
        return message.get(header)
    except SipParseError:
        return None
