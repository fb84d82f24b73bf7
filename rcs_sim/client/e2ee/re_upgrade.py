"""The return of encryption by itself, after an end that this user has not asked for (digest RCC.16 §7.4, re-upgrade).

Who has ended it had the consent of a user, so a device does this only if its profile says so.
"""

from __future__ import annotations

from collections.abc import Callable

from rcs_sim.client.alarms import Alarm
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.e2ee.member.budgets import revive_delay_s

__all__ = ["STABLE_S", "ReUpgrade"]

STABLE_S = 24 * 3600.0  # of encryption after which attempts count anew


class _Course:
    """Of one conversation: *attempts* since it was stable, and since when it is encrypted."""

    __slots__ = ("alarm", "attempts", "encrypted_at", "is_given_up", "is_waiting")

    def __init__(self, alarm: Alarm) -> None:
        self.alarm = alarm
        self.attempts = 0
        self.encrypted_at: float | None = None
        self.is_given_up = False
        self.is_waiting = False


class ReUpgrade:
    """Of one phone. *revive* brings encryption back, as if its user wanted that."""

    __slots__ = ("_context", "_courses", "_revive")

    def __init__(self, context: E2eeContext, revive: Callable[[EncryptedThread], None]) -> None:
        self._context, self._revive = context, revive
        self._courses: dict[EncryptedThread, _Course] = {}

    def given_up(self, thread: EncryptedThread, *, is_given_up: bool) -> None:
        """The user of this phone has ended it, or wants it back."""
        course = self._course(thread)
        course.is_given_up = is_given_up
        if is_given_up:
            self._stop(course)

    def encrypted(self, thread: EncryptedThread) -> None:
        """It stands, or stands again."""
        if self._context.profile.reupgrades_by_itself:
            course = self._course(thread)
            self._stop(course)
            course.is_given_up = False
            course.encrypted_at = course.encrypted_at or self._context.messenger.alarms.now()

    def ended(self, thread: EncryptedThread) -> None:
        """It has ended: by the peer, or because nothing else was possible."""
        if not self._context.profile.reupgrades_by_itself:
            return
        course, now = self._course(thread), self._context.messenger.alarms.now()
        if course.is_given_up or course.is_waiting:
            return
        if course.encrypted_at is not None and now - course.encrypted_at >= STABLE_S:
            course.attempts = 0
        course.encrypted_at, course.is_waiting = None, True
        course.alarm.set(now + revive_delay_s(course.attempts))

    def _rang(self, thread: EncryptedThread) -> None:
        course = self._course(thread)
        course.is_waiting = False
        if thread.has_ended and not course.is_given_up:
            course.attempts += 1
            self._context.note(thread, "re-upgrade", f"attempt {course.attempts}")
            self._revive(thread)
            self.ended(thread)  # until it is encrypted again, however long that takes

    def _stop(self, course: _Course) -> None:
        course.is_waiting = False
        course.alarm.set(None)

    def _course(self, thread: EncryptedThread) -> _Course:
        found = self._courses.get(thread)
        if found is None:
            found = self._courses[thread] = _Course(self._context.messenger.alarms.new(lambda now: self._rang(thread)))
        return found
