"""A user of message session legs that notes what it is told, and settles what it is given."""

from __future__ import annotations

from ims_core.reference_points import LegEnd, MediaLeg
from ims_core.wire.msrp.session_events import MessageFailed, MessageReceived, Reported

__all__ = ["LegNotes"]


class LegNotes:
    """*settles_with*: the status for each received message, None to leave it open."""

    def __init__(self, settles_with: int | None = 200) -> None:
        self.settles_with = settles_with
        self.is_bound = False
        self.messages: list[MessageReceived] = []
        self.sent_ids: list[str] = []
        self.failures: list[MessageFailed] = []
        self.reports: list[Reported] = []
        self.ends: list[LegEnd] = []

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message in self.messages]

    def bound(self, leg: MediaLeg) -> None:
        self.is_bound = True

    def received(self, leg: MediaLeg, message: MessageReceived) -> None:
        self.messages.append(message)
        if self.settles_with is not None:
            leg.settle(message.delivery, self.settles_with)

    def sent(self, leg: MediaLeg, message_id: str) -> None:
        self.sent_ids.append(message_id)

    def failed(self, leg: MediaLeg, failure: MessageFailed) -> None:
        self.failures.append(failure)

    def reported(self, leg: MediaLeg, report: Reported) -> None:
        self.reports.append(report)

    def ended(self, leg: MediaLeg, end: LegEnd) -> None:
        self.ends.append(end)
