"""Third-party REGISTERs, which are sent again while a server does not answer (TS 24.229 §5.4.1.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ims_core.nodes.deadlines import Alarm, Deadlines
from ims_core.nodes.registrar import TellServers
from ims_core.nodes.served_user import ServedUser
from ims_core.service_profile import DefaultHandling, FilterCriteria
from ims_core.transport.clock import Clock

__all__ = ["ApplicationServers"]

FIRST_PAUSE_S = 30.0  # before it is told once more, then twice as long each time (choice)
LONGEST_PAUSE_S = 3600.0
END_OF_INTEREST_S = 86_400.0  # so long the end of a registration is told again
_Key = tuple[int, str]  # number of the user, name of the criterion


@dataclass(frozen=True, slots=True)
class _Untold:
    """What a server has not taken, and for how long it is of interest."""

    action: TellServers
    criterion: FilterCriteria
    pause_s: float
    until: float


class ApplicationServers:
    """Of one S-CSCF. *send* sends one server the REGISTER about a user, *remaining_s* says what is left of his
    registration, *ended* ends it for want of a server without which there is no service."""

    __slots__ = ("_alarm", "_clock", "_ended", "_pauses", "_remaining_s", "_send", "_under_way", "_untold")

    def __init__(
        self,
        clock: Clock,
        send: Callable[[TellServers, FilterCriteria], None],
        remaining_s: Callable[[ServedUser], int],
        ended: Callable[[ServedUser], None],
    ) -> None:
        self._clock, self._send, self._remaining_s, self._ended = clock, send, remaining_s, ended
        self._under_way: dict[_Key, TellServers] = {}
        self._untold: dict[_Key, _Untold] = {}
        self._pauses: Deadlines[_Key] = Deadlines()
        self._alarm = Alarm(clock, self._rang)

    def close(self) -> None:
        self._under_way.clear()
        self._alarm.close()

    def tell(self, action: TellServers) -> None:
        """What they are told now takes the place of what they have not taken."""
        for criterion in action.criteria:
            self._forget((action.user.number, criterion.name))
            self._tell(action, criterion)

    def _tell(self, action: TellServers, criterion: FilterCriteria) -> None:
        self._under_way[action.user.number, criterion.name] = action
        self._send(action, criterion)

    def answered(self, action: TellServers, criterion: FilterCriteria, *, is_taken: bool) -> None:
        """The final outcome of what was sent. Not of interest if the server has been told something else since."""
        key = action.user.number, criterion.name
        if self._under_way.get(key) is not action:
            return
        del self._under_way[key]
        if is_taken:
            self._forget(key)
        elif criterion.default_handling is DefaultHandling.SESSION_TERMINATED and action.user.is_registered:
            self._forget(key)
            self._ended(action.user)
        else:
            self._keep(key, action, criterion)

    def _keep(self, key: _Key, action: TellServers, criterion: FilterCriteria) -> None:
        """A server that cannot be reached may be back at any time, and would not know of the user before his next
        REGISTER, in days: it is told again (choice)."""
        now, before = self._clock.now(), self._untold.get(key)
        if before is None:
            until = now + (action.expires_s or END_OF_INTEREST_S)
            kept = _Untold(action, criterion, FIRST_PAUSE_S, until)
        else:
            kept = replace(before, pause_s=min(2 * before.pause_s, LONGEST_PAUSE_S))
        self._untold[key] = kept
        self._pauses.set(key, now + kept.pause_s)
        self._alarm.set(self._pauses.next_deadline())

    def _forget(self, key: _Key) -> None:
        if self._untold.pop(key, None) is not None:
            self._pauses.remove(key)
            self._alarm.set(self._pauses.next_deadline())

    def _rang(self) -> None:
        now = self._clock.now()
        for key in self._pauses.pop_due(now):
            untold = self._untold[key]
            action, user = untold.action, untold.action.user
            if now >= untold.until or user.is_registered is not bool(action.expires_s):
                del self._untold[key]
            else:
                self._tell(replace(action, expires_s=self._remaining_s(user)), untold.criterion)
        self._alarm.set(self._pauses.next_deadline())
