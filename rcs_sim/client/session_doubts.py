"""What the loss of an MSRP connection means for the messages on it: the session's end, or that of the own link.

A phone whose network goes loses its connections one after the other, in any order. A message that is sent again at once
would spend its second try (digest §8.6) on the same failure, so the phone looks a moment later who else is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rcs_sim.client.alarms import Alarm, Alarms
from rcs_sim.client.fallback import RcsOutcome
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.session_sender import SessionOutcome

__all__ = ["DOUBT_S", "SessionDoubts"]

DOUBT_S = 0.5  # (choice)


class SessionDoubts:
    """*settle* is called once for each message, with what became of it."""

    __slots__ = ("_alarm", "_alarms", "_settle", "_waiting")

    def __init__(self, alarms: Alarms, settle: Callable[[SentMessage, SessionOutcome], None]) -> None:
        self._alarms, self._settle = alarms, settle
        self._alarm: Alarm | None = None  # most phones never have a doubt
        self._waiting: dict[SentMessage, SessionOutcome] | None = None

    def lost(self, message: SentMessage, outcome: SessionOutcome) -> None:
        """The connection of the session that carried *message* is gone; *outcome* says so."""
        if self._waiting is None:
            self._waiting = {}
            self._alarm = self._alarm or self._alarms.new(lambda now: self._over())
            self._alarm.set(self._alarms.now() + DOUBT_S)
        self._waiting[message] = outcome

    def link_lost(self) -> None:
        """The own registration is gone too: it was the link."""
        self._over(RcsOutcome.LINK_FAILED)

    def forget(self) -> None:
        """The phone goes off: nothing has an outcome any more."""
        self._waiting = None
        if self._alarm is not None:
            self._alarm.set(None)

    def _over(self, instead: RcsOutcome | None = None) -> None:
        waiting = self._waiting or {}
        self.forget()
        for message, outcome in waiting.items():
            self._settle(message, outcome if instead is None else replace(outcome, outcome=instead))
