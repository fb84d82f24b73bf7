"""Whether a phone's own RCS may carry a message now (digest §8.2, §8.6): registration, its guard, holds, refusals."""

from __future__ import annotations

from collections import deque

from rcs_sim.client.fallback import OwnRcs

__all__ = ["OwnRcsState"]

REFUSALS_BEFORE_DOUBT = 3  # digest §8.6, row 403
REFUSAL_WINDOW_S = 600.0


class OwnRcsState:
    """*guard_s* is reconnectGuardTimer. After a loss messages are held for so long; after a longer time without RCS the
    phone goes back to RCS only so long after the registration (choice where the two readings meet)."""

    __slots__ = ("_held_until", "_lost_at", "_refusals", "_usable_at", "guard_s", "is_registered", "is_trying")

    def __init__(self) -> None:
        self.guard_s = 0.0
        self.is_registered = False
        self.is_trying = False  # a registration is under way
        self._lost_at: float | None = None
        self._usable_at = 0.0
        self._held_until = 0.0
        self._refusals: deque[float] | None = None

    def registered(self, now: float) -> None:
        if self.is_registered:
            return
        self.is_registered = True
        if self._lost_at is not None and now - self._lost_at >= self.guard_s:
            self._usable_at = now + self.guard_s
        self._lost_at = None

    def lost(self, now: float) -> None:
        """The registration is gone without the user wanting it."""
        if self.is_registered:
            self.is_registered, self._lost_at = False, now

    def ended(self) -> None:
        """The user switched the phone off, or RCS."""
        self.is_registered = self.is_trying = False
        self._lost_at = None

    def hold(self, until: float) -> None:
        """503 with a long Retry-After: no RCS before *until*."""
        self._held_until = max(self._held_until, until)

    def refused(self, now: float) -> bool:
        """A message got 403; True when that has happened too often in a short time: the configuration may be stale."""
        refusals = self._refusals
        if refusals is None:
            refusals = self._refusals = deque(maxlen=REFUSALS_BEFORE_DOUBT)
        refusals.append(now)
        if len(refusals) < REFUSALS_BEFORE_DOUBT or now - refusals[0] > REFUSAL_WINDOW_S:
            return False
        refusals.clear()
        return True

    def next_change(self, now: float) -> float | None:
        """When `state` changes by time alone."""
        times = [self._usable_at, self._held_until]
        if not self.is_registered and self._lost_at is not None:
            times.append(self._lost_at + self.guard_s)
        return min((each for each in times if each > now), default=None)

    def state(self, now: float) -> OwnRcs:
        if self.is_registered:
            if now < self._held_until:
                return OwnRcs.ON_HOLD
            return OwnRcs.JUST_BACK if now < self._usable_at else OwnRcs.UP
        if self._lost_at is not None and self.is_trying and now - self._lost_at < self.guard_s:
            return OwnRcs.RECONNECTING
        return OwnRcs.DOWN
