"""Failures told and failures heard: who is told that a message was not readable, and what a report is answered with
(RCC.16 §10.2, §10.3, §11.1).

Numbers of attempts and pauses are the reference's (choice).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.budgets import RESENDS_PER_PEER, RollingBudget

__all__ = ["DueReport", "FailureReports", "PeerFailures", "ReportVerdict"]

_K = TypeVar("_K")
_V = TypeVar("_V")

MAX_REPORTS_PER_MESSAGE = 5
MAX_QUEUED = 512  # messages of one conversation that wait to be reported
MAX_NOT_TAKEN = 64  # of those whose last report the network did not take; the oldest go first
SAME_REPORT_S = 30  # identical reports within so many seconds are one
REPEATS_UNTIL_REPAIR = 2
REPEAT_WINDOW_S = 3600
FAILURES_UNTIL_STOP = 3
STOP_S = 24 * 3600
MAX_REMEMBERED = 1024  # reports and roots that are remembered


@dataclass(frozen=True, slots=True)
class DueReport:
    """A message to be reported to its sender, for this time the *attempt*."""

    message_id: str
    sender: str
    reason: ClientFailureReason
    attempt: int


class FailureReports:
    """What could not be read. It is reported once no repair is under way, and not if it became readable. A last report
    that nobody has taken is kept for when the peer is there again: he would never learn of it (choice)."""

    __slots__ = ("_not_taken", "_queued", "_told")

    def __init__(self) -> None:
        self._queued: dict[str, tuple[str, ClientFailureReason]] = {}
        self._not_taken: dict[str, str] = {}
        self._told: dict[str, int] = {}

    def add(self, message_id: str, sender: str, reason: ClientFailureReason) -> None:
        """Queues a message; one that was reported too often already is dropped."""
        if self._told.get(message_id, 0) < MAX_REPORTS_PER_MESSAGE and len(self._queued) < MAX_QUEUED:
            self._queued[message_id] = (sender, reason)

    def resolve(self, message_id: str) -> None:
        """The message was read after all."""
        self._queued.pop(message_id, None)
        self._told.pop(message_id, None)
        self._not_taken.pop(message_id, None)

    def not_taken(self, due: DueReport) -> None:
        """The network did not deliver it."""
        if due.attempt >= MAX_REPORTS_PER_MESSAGE:
            self._not_taken[due.message_id] = due.sender
            if len(self._not_taken) > MAX_NOT_TAKEN:
                del self._not_taken[next(iter(self._not_taken))]

    def tell_anew(self, reason: ClientFailureReason) -> bool:
        """The peer is there again: what he was never told is queued once more, with the *reason* of now. Whether there
        is any."""
        kept, self._not_taken = self._not_taken, {}
        for message_id, sender in kept.items():
            self._told[message_id] = MAX_REPORTS_PER_MESSAGE - 1
            self.add(message_id, sender, reason)
        return bool(kept)

    def __len__(self) -> int:
        return len(self._queued)

    def flush(self, *, is_healing: bool) -> Iterator[DueReport]:
        """What to report now: nothing while a repair is under way."""
        if is_healing:
            return
        queued, self._queued = self._queued, {}
        for message_id, (sender, reason) in queued.items():
            attempt = self._told.pop(message_id, 0) + 1
            self._told[message_id] = attempt
            _trim(self._told)
            yield DueReport(message_id, sender, reason, attempt)


class ReportVerdict(Enum):
    """What to do about a report of a peer."""

    DUPLICATE = auto()
    NOT_A_MEMBER = auto()
    RESEND = auto()
    REPAIR = auto()
    """Two repeats within the hour: the group is repaired instead."""
    EXHAUSTED = auto()
    """No resend is left for this peer for now: the message fails visibly."""
    STOPPED = auto()
    """Three failures in a row: nothing is done by itself for a day."""


class PeerFailures:
    """Reports of one peer."""

    __slots__ = ("_failed_s", "_failures_in_a_row", "_repeats_s", "_reports_s", "_resends", "_stopped_until_s")

    def __init__(self) -> None:
        self._resends = RollingBudget(RESENDS_PER_PEER)
        self._reports_s: dict[tuple[str, str], int] = {}
        self._repeats_s: dict[str, list[int]] = {}
        self._failures_in_a_row = 0
        self._failed_s = 0
        self._stopped_until_s = 0

    def on_report(
        self, reporter_is_member: bool, root_message_id: str, reason: str, now_s: int, report_of: str | None = None
    ) -> ReportVerdict:
        """What the report that *root_message_id*, or its resend *report_of*, was not readable is answered with."""
        if not reporter_is_member:
            return ReportVerdict.NOT_A_MEMBER
        if self.is_repeated(report_of or root_message_id, reason, now_s):
            return ReportVerdict.DUPLICATE
        return self._remedy(root_message_id, now_s)

    def is_repeated(self, message_id: str, reason: str, now_s: int) -> bool:
        """Whether the same was reported about it within 30 s; if not, it is now."""
        last_s = self._reports_s.get((message_id, reason))
        if last_s is not None and now_s - last_s < SAME_REPORT_S:
            return True
        self._reports_s[message_id, reason] = now_s
        _trim(self._reports_s)
        return False

    def _remedy(self, root_message_id: str, now_s: int) -> ReportVerdict:
        if now_s < self._stopped_until_s:
            return ReportVerdict.STOPPED
        is_of_old = now_s - self._failed_s >= STOP_S  # those of another day are no part of this row (choice)
        self._failures_in_a_row = 1 if is_of_old else self._failures_in_a_row + 1
        self._failed_s = now_s
        if self._failures_in_a_row > FAILURES_UNTIL_STOP:
            self._stopped_until_s, self._failures_in_a_row = now_s + STOP_S, 0
            return ReportVerdict.STOPPED
        repeats = [each for each in self._repeats_s.get(root_message_id, ()) if now_s - each < REPEAT_WINDOW_S]
        self._repeats_s[root_message_id] = [*repeats, now_s]
        _trim(self._repeats_s)
        if len(repeats) >= REPEATS_UNTIL_REPAIR:
            return ReportVerdict.REPAIR
        return ReportVerdict.RESEND if self._resends.take(now_s) else ReportVerdict.EXHAUSTED

    def on_delivered(self) -> None:
        """The peer has read something."""
        self._failures_in_a_row = 0


def _trim(kept: dict[_K, _V]) -> None:
    """Drops the oldest entry of too many."""
    if len(kept) > MAX_REMEMBERED:
        del kept[next(iter(kept))]
