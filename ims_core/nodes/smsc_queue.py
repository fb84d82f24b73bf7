"""The queue of one destination in a service centre: one message on its way, the others behind it (TS 23.040 §3.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from ims_core.errors import LocalProtocolError
from ims_core.store.short_messages import MessageSource, ShortMessage, TransferKind
from ims_core.wire.sms.tpdu import SmsStatusReport, SmsSubmit

__all__ = [
    "IGNORED",
    "TABLE",
    "Destination",
    "DestinationKind",
    "DestinationQueue",
    "QueueAction",
    "QueueInput",
    "QueueState",
    "Reply",
    "StoredMessage",
]


class DestinationKind(Enum):
    NUMBER = auto()  # a subscriber, here or at another carrier
    SERVICE_CENTRE = auto()  # status reports for another carrier's subscribers
    APPLICATION = auto()  # status reports for an application


@dataclass(frozen=True, slots=True)
class Destination:
    """Who a queue is for."""

    kind: DestinationKind
    name: str

    @classmethod
    def of(cls, record: ShortMessage) -> Destination:
        """Status reports go to the application or service centre that handed the message in."""
        if record.kind is TransferKind.REPORT:
            if record.source is MessageSource.SERVICE_CENTRE:
                return cls(DestinationKind.SERVICE_CENTRE, record.source_name)
            if record.report_to:
                return cls(DestinationKind.APPLICATION, record.report_to)
        return cls(DestinationKind.NUMBER, record.destination)


class QueueState(Enum):
    """IDLE is empty; WAITING has message waiting data (MWD) set; MEMORY_FULL the memory capacity exceeded flag."""

    IDLE = auto()
    SENDING = auto()
    WAITING = auto()
    MEMORY_FULL = auto()


class QueueInput(Enum):
    MESSAGE = auto()  # one was added, or is left over
    DELIVERED = auto()  # RP-ACK
    REFUSED = auto()  # an RP-ERROR that trying again will not cure
    FAILED = auto()  # absent, no answer, or a temporary RP-ERROR, on every path
    MEMORY_EXCEEDED = auto()  # RP-ERROR 22
    ALERT = auto()  # the destination is present again
    MEMORY_AVAILABLE = auto()  # RP-SMMA
    TIMER = auto()
    EMPTIED = auto()  # the last message expired


class QueueAction(Enum):
    SEND = auto()  # the head, by the first path
    COMPLETE = auto()  # the head is done
    REJECT = auto()  # the head cannot be delivered
    SCHEDULE = auto()  # the next try
    SCHEDULE_LAST = auto()  # the next try after the longest interval (choice: should an RP-SMMA get lost)
    REMEMBER = auto()  # try at once should this attempt fail: the alert may have come too late for it
    REST = auto()


_S, _I, _A = QueueState, QueueInput, QueueAction

# Absent pair = illegal; IGNORED lists the pairs that change nothing.
TABLE: Mapping[tuple[QueueState, QueueInput], tuple[QueueState, QueueAction]] = {
    (_S.IDLE, _I.MESSAGE): (_S.SENDING, _A.SEND),
    (_S.SENDING, _I.DELIVERED): (_S.IDLE, _A.COMPLETE),
    (_S.SENDING, _I.REFUSED): (_S.IDLE, _A.REJECT),
    (_S.SENDING, _I.FAILED): (_S.WAITING, _A.SCHEDULE),
    (_S.SENDING, _I.MEMORY_EXCEEDED): (_S.MEMORY_FULL, _A.SCHEDULE_LAST),
    (_S.SENDING, _I.ALERT): (_S.SENDING, _A.REMEMBER),
    (_S.SENDING, _I.MEMORY_AVAILABLE): (_S.SENDING, _A.REMEMBER),
    (_S.WAITING, _I.MESSAGE): (_S.SENDING, _A.SEND),  # each message has its own first try (choice)
    (_S.WAITING, _I.ALERT): (_S.SENDING, _A.SEND),
    (_S.WAITING, _I.MEMORY_AVAILABLE): (_S.SENDING, _A.SEND),
    (_S.WAITING, _I.TIMER): (_S.SENDING, _A.SEND),
    (_S.WAITING, _I.EMPTIED): (_S.IDLE, _A.REST),
    (_S.MEMORY_FULL, _I.MEMORY_AVAILABLE): (_S.SENDING, _A.SEND),
    (_S.MEMORY_FULL, _I.TIMER): (_S.SENDING, _A.SEND),
    (_S.MEMORY_FULL, _I.EMPTIED): (_S.IDLE, _A.REST),
}
IGNORED = frozenset(
    {
        (_S.IDLE, _I.ALERT),
        (_S.IDLE, _I.MEMORY_AVAILABLE),
        (_S.SENDING, _I.MESSAGE),
        (_S.MEMORY_FULL, _I.MESSAGE),
        (_S.MEMORY_FULL, _I.ALERT),
    }
)


@dataclass(frozen=True, slots=True)
class Reply:
    """Where the answer to a submission goes: a FORWARD of *link*, or, with link None, the ticket of a local caller."""

    link: int | None
    reference: int
    rp_reference: int = 0


@dataclass(slots=True)
class StoredMessage:
    """A record with its parsed TPDU. *reply*: the submission is not answered yet."""

    record: ShortMessage
    tpdu: SmsSubmit | SmsStatusReport
    is_single_shot: bool = False
    reply: Reply | None = field(default=None)


class DestinationQueue:
    """Messages of one destination in order of acceptance, and the state of the head's delivery."""

    __slots__ = ("destination", "is_alerted", "messages", "paths", "state", "tries")

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.state = QueueState.IDLE
        self.messages: deque[StoredMessage] = deque()
        self.paths: list[int | str] = []  # still to be tried in this attempt: links, or names of peers
        self.tries = 0
        self.is_alerted = False

    def step(self, event: QueueInput) -> QueueAction | None:
        """What to do, None if nothing. Raises LocalProtocolError for an illegal input."""
        found = TABLE.get((self.state, event))
        if found is not None:
            self.state, action = found
            return action
        if (self.state, event) in IGNORED:
            return None
        raise LocalProtocolError(f"{event.name} in state {self.state.name}", spec="TS 23.040 §3.2")
