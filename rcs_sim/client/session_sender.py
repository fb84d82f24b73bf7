"""What a phone puts into its message sessions, and what becomes of it there (digest §4.6, §5.1, §5.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ims_core.wire.msrp.message import FailureReport
from ims_core.wire.msrp.session_events import OutgoingMessage
from ims_core.wire.sip.message import Response
from rcs_sim.client.capabilities import PeerTags
from rcs_sim.client.fallback import Column, Outcome
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.pager import compose_text, is_composing_document, wishes_about_change
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE
from rcs_sim.wire.iscomposing import IS_COMPOSING_CONTENT_TYPE

__all__ = [
    "Carried",
    "ContentCarried",
    "ControlCarried",
    "ReceiptCarried",
    "SessionOutcome",
    "SessionSender",
    "typing_message",
]


@dataclass(frozen=True, slots=True)
class SessionOutcome:
    """What became of a message in a session: *outcome* is a row of *column*; *response* the one to its INVITE, *tags*
    those of the peer's Contact. *is_by_connection*: the MSRP connection went, and nobody said why."""

    outcome: Outcome
    column: Column
    response: Response | None = None
    tags: PeerTags | None = None
    is_by_connection: bool = False


class Carried(Protocol):
    """Something that a session carries."""

    @property
    def body(self) -> bytes: ...

    def outgoing(self, msrp_id: str) -> OutgoingMessage: ...

    def settled(self, outcome: SessionOutcome) -> None:
        """Called once."""
        ...


class ContentCarried:
    """A message of the user."""

    __slots__ = ("_settled", "_wants_report", "body", "message")

    def __init__(
        self,
        message: SentMessage,
        body: bytes,
        settled: Callable[[SentMessage, SessionOutcome], None],
        *,
        wants_report: bool,
    ) -> None:
        self.message, self.body = message, body
        self._settled, self._wants_report = settled, wants_report

    def outgoing(self, msrp_id: str) -> OutgoingMessage:
        self.message.went_in_clear |= self.message.sealed is None
        return OutgoingMessage(msrp_id, CPIM_CONTENT_TYPE, self.body, success_report=self._wants_report)

    def settled(self, outcome: SessionOutcome) -> None:
        self._settled(self.message, outcome)


class ControlCarried:
    """A request of the encryption plane: the CPIM *body* (RCC.16 §4.1)."""

    __slots__ = ("_settled", "body")

    def __init__(self, body: bytes, settled: Callable[[SessionOutcome], None]) -> None:
        self.body, self._settled = body, settled

    def outgoing(self, msrp_id: str) -> OutgoingMessage:
        return OutgoingMessage(msrp_id, CPIM_CONTENT_TYPE, self.body)

    def settled(self, outcome: SessionOutcome) -> None:
        self._settled(outcome)


class ReceiptCarried:
    """A receipt. One that a session loses goes in pager mode."""

    __slots__ = ("_lost", "body")

    def __init__(self, body: bytes, lost: Callable[[], None]) -> None:
        self.body = body
        self._lost = lost

    def outgoing(self, msrp_id: str) -> OutgoingMessage:
        return OutgoingMessage(msrp_id, CPIM_CONTENT_TYPE, self.body, is_urgent=True)

    def settled(self, outcome: SessionOutcome) -> None:
        if outcome.outcome != 200:
            self._lost()


class SessionSender:
    """Composes for sessions: CPIM names nobody there (digest §4.3). *wishes* as in pager mode."""

    __slots__ = ("_settled", "_wants_report", "_wishes")

    def __init__(
        self, wishes: tuple[str, ...], settled: Callable[[SentMessage, SessionOutcome], None], *, wants_report: bool
    ) -> None:
        self._wishes, self._settled, self._wants_report = wishes, settled, wants_report

    def content(self, message: SentMessage) -> ContentCarried:
        body = compose_text(
            message.text,
            sender=ANONYMOUS_URI,
            recipient=ANONYMOUS_URI,
            message_id=message.wire_id,
            date_time=message.date_time,
            wishes=self._wishes if message.change is None else wishes_about_change(self._wishes),
            sealed=message.sealed,
            about=message.about,
        )
        return ContentCarried(message, body, self._settled, wants_report=self._wants_report)


def typing_message(msrp_id: str, *, is_active: bool, refresh_s: int, date_time: str) -> OutgoingMessage:
    """The is-composing document as it stands, not wrapped, for which nobody answers (digest §5.2)."""
    return OutgoingMessage(
        msrp_id,
        IS_COMPOSING_CONTENT_TYPE,
        is_composing_document(is_active=is_active, refresh_s=refresh_s, date_time=date_time),
        failure_report=FailureReport.NO,
        is_urgent=True,
    )
