"""The deadlines of one phone's machines on one timer of the loop, in the phone's own time."""

from __future__ import annotations

import math
from collections.abc import Callable

from ims_core.transport.clock import Clock
from ims_core.transport.deadlines import DeadlineHeap

__all__ = ["Alarm", "Alarms", "Calendar"]


class Alarm:
    """One deadline that can be moved. *ring* gets the time to hand to the machine: never before its deadline."""

    __slots__ = ("_alarms", "_at", "_ring", "armed", "due")

    def __init__(self, alarms: Alarms, ring: Callable[[float], None]) -> None:
        self._alarms = alarms
        self._ring = ring
        self._at = 0.0
        self.due = self.armed = math.inf

    def set(self, at: float | None) -> None:
        """*at* in seconds of the phone's clock; None takes the alarm away."""
        self._at = at or 0.0
        self._alarms.set(self, at)

    def deadline_came(self, now: float) -> None:
        if self._alarms.is_frozen:
            self._alarms.missed.append(self)
        else:
            self.ring()

    def ring(self) -> None:
        self._ring(max(self._alarms.now(), self._at))


class Calendar:
    """What a phone takes for the time of day, as a clock."""

    __slots__ = ("_alarms",)

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms

    def now(self) -> float:
        return self._alarms.wall()


class Alarms:
    """All alarms of a phone. While it is switched off none rings; those that were due ring when it is on again.

    `now` is time as it passes, by which all pauses and bounds are measured: it knows no jump. *skew_s* is how much the
    phone's calendar is ahead of the true one; what is stamped, and certificates, go by that (`wall`)."""

    __slots__ = ("_clock", "_heap", "calendar", "is_frozen", "missed", "skew_s")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap = DeadlineHeap()
        self.calendar = Calendar(self)
        self.is_frozen = False
        self.skew_s = 0.0
        self.missed: list[Alarm] = []

    def now(self) -> float:
        return self._clock.now()

    def wall(self) -> float:
        """Seconds since the epoch by the phone's calendar."""
        return self._clock.now() + self.skew_s

    def when(self, wall_s: float) -> float:
        """The time of `now` at which the calendar, as it goes for the moment, says *wall_s*."""
        return wall_s - self.skew_s

    def new(self, ring: Callable[[float], None]) -> Alarm:
        return Alarm(self, ring)

    def set(self, alarm: Alarm, at: float | None) -> None:
        self._heap.set(alarm, None if at is None else self._heap.time() + at - self.now())

    def started_anew(self) -> Alarms:
        """Those of a phone that was reset: what it had before never rings again."""
        fresh = Alarms(self._clock)
        fresh.skew_s, fresh.is_frozen = self.skew_s, self.is_frozen
        self.is_frozen = True
        return fresh

    def freeze(self) -> None:
        self.is_frozen = True

    def thaw(self) -> None:
        self.is_frozen = False
        missed, self.missed = self.missed, []
        for alarm in missed:
            if alarm.due == math.inf:  # not set anew in the meantime
                alarm.ring()
