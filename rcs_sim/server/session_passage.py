"""A message of a session on its way from one leg to the other, or to where else it can be delivered (digest §17.3).

Its sender gets the MSRP 200 of its last chunk when somebody else is answerable for it: the next leg has answered 200,
or it is in the store. So a process that is killed loses nothing that was answered with 200."""

from __future__ import annotations

from enum import Enum, auto

from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.message import MsrpRequest
from ims_core.wire.msrp.session_events import MessageReceived, OutgoingMessage
from ims_core.wire.msrp.uri import parse_path
from rcs_sim.server.device_offer import OfferInput, verdict_of
from rcs_sim.server.pager_content import ContentKind, PagerContent
from rcs_sim.server.session_leg import SessionLeg

__all__ = ["Passage", "PassageState", "outgoing_of", "status_for_sender", "unanswered"]

_MSRP_STATUSES = frozenset((400, 403, 408, 413, 415, 481))
_NOWHERE = parse_path("msrp://anonymous.invalid:2855/invite;tcp")
_LARGEST_URGENT_OCTETS = 2048  # receipts and typing go between the chunks of other messages


class PassageState(Enum):
    """Who has the message."""

    ON_LEG = auto()  # the next leg, which has not answered yet
    ELSEWHERE = auto()  # the terminating delivery: devices by MESSAGE, or the store
    OVER = auto()  # its sender is answered


class Passage:
    """*waiting* are the legs and deliveries to be settled: several if the sender repeats the message, perhaps in
    another session, while the first is on its way."""

    __slots__ = ("content", "is_told_by_receipt", "message", "state", "waiting")

    def __init__(self, leg: SessionLeg, message: MessageReceived, content: PagerContent) -> None:
        self.message = message
        self.content = content
        self.waiting: list[tuple[SessionLeg, Delivery]] = [(leg, message.delivery)]
        self.state = PassageState.ON_LEG
        self.is_told_by_receipt = False  # nothing of MSRP can tell its sender that it failed: an IMDN does

    @property
    def message_id(self) -> str:
        """imdn.Message-ID; empty for what has none."""
        return self.content.message_id

    def join(self, leg: SessionLeg, delivery: Delivery) -> None:
        """The same message once more."""
        self.waiting.append((leg, delivery))

    def settle(self, status: int, *, reports: bool = True) -> None:
        """Answers its sender. *reports*: nobody further on will send the REPORT that he may want."""
        self.state = PassageState.OVER
        waiting, self.waiting = self.waiting, []
        for leg, delivery in waiting:
            leg.settle(delivery, status, reports=reports)


def outgoing_of(message: MessageReceived, content: PagerContent, message_id: str) -> OutgoingMessage:
    """The message for the next leg: reports are asked for as they were, content is as it came (S16)."""
    return OutgoingMessage(
        message_id,
        message.content_type,
        message.body,
        success_report=message.wants_report,
        failure_report=message.delivery.head.failure_report,
        is_urgent=content.kind is not ContentKind.CHAT and len(message.body) <= _LARGEST_URGENT_OCTETS,
    )


def unanswered(message_id: str, content_type: str, body: bytes) -> MessageReceived:
    """A message that came in another way than by MSRP: nobody waits for an answer to it. The next leg is asked for one
    all the same, so that its refusal is known."""
    head = MsrpRequest(message_id, "SEND", _NOWHERE, _NOWHERE, (("Message-ID", message_id),))
    return MessageReceived(message_id, content_type, body, False, Delivery(head, 0, len(body)))


def status_for_sender(status: int) -> int:
    """The MSRP status for a final SIP or MSRP status of what became of a message (RFC 4975 §10). That nobody is there
    is 408, after which the phone invites anew and learns more; what else MSRP cannot tell is 403 (choice)."""
    if 200 <= status < 300:
        return 200
    if status in _MSRP_STATUSES:
        return status
    return 408 if verdict_of(status) is OfferInput.ABSENT else 403
