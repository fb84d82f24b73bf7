"""Who awaits a REPORT about what was sent on: it goes hop by hop, as the far end gives it (digest §17.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.message import FailureReport
from ims_core.wire.msrp.session_events import MessageReceived, Reported
from rcs_sim.server.session_leg import SessionLeg

__all__ = ["ReportBook"]

_REMEMBERED = 64  # messages of one session; a REPORT follows soon or never

_Key: TypeAlias = tuple[bool, str]
"""Whether the message goes to the own user, and its Message-ID on that leg."""
_Origins: TypeAlias = Sequence[tuple[SessionLeg, Delivery]]


class _Awaited:
    __slots__ = ("missing", "origins")

    def __init__(self, origins: _Origins, missing: int) -> None:
        self.origins = origins
        self.missing = missing  # octets that no REPORT has been about


class ReportBook:
    """Of one session; it keeps no bodies."""

    __slots__ = ("_awaited",)

    def __init__(self) -> None:
        self._awaited: dict[_Key, _Awaited] = {}

    def expect(self, key: _Key, message: MessageReceived, origins: _Origins) -> None:
        """The message goes on, and came by *origins*; more of them may be added."""
        if not message.wants_report and message.delivery.head.failure_report is FailureReport.NO:
            return
        self._awaited[key] = _Awaited(origins, len(message.body))
        if len(self._awaited) > _REMEMBERED:
            del self._awaited[next(iter(self._awaited))]

    def forget(self, key: _Key) -> None:
        """It takes another way."""
        self._awaited.pop(key, None)

    def succeeded(self, key: _Key, report: Reported) -> None:
        """The far end has some of it, or all: told on when that is all (RFC 4975 §7.1.2 allows one per range)."""
        awaited = self._awaited.get(key)
        if awaited is None:
            return
        last = report.byte_range.end
        awaited.missing -= awaited.missing if last is None else last - report.byte_range.start + 1
        if awaited.missing <= 0:
            self._tell(key, 200)

    def failed(self, key: _Key, status: int) -> None:
        """The far end, or somebody on the way, has not got it after all."""
        self._tell(key, status)

    def _tell(self, key: _Key, status: int) -> None:
        awaited = self._awaited.pop(key, None)
        for leg, delivery in () if awaited is None else awaited.origins:
            leg.report(delivery, status)
