"""Short messages that a service centre holds until they are delivered or expired (TS 23.040 §3.2.1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from ims_core.store.record_table import RecordTable, RecordType

__all__ = ["SHORT_MESSAGES", "MessageSource", "ShortMessage", "ShortMessageStore", "TransferKind", "short_message_key"]


class TransferKind(enum.Enum):
    """What *tpdu* of a stored message is."""

    MESSAGE = "message"  # an SMS-SUBMIT, to be delivered as SMS-DELIVER or handed to another service centre
    REPORT = "report"  # an SMS-STATUS-REPORT


class MessageSource(enum.Enum):
    """Who handed the message in, and therefore who is told what became of it."""

    SUBSCRIBER = "subscriber"
    SERVICE_CENTRE = "service_centre"
    APPLICATION = "application"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortMessage:
    """One stored message. *number* grows over all messages of the service centre and never repeats; *originator* and
    *destination* are numbers with "+", or names (a destination that is a name is an application or a service centre).

    *submitted_at* holds the seven octets of TP-SCTS; *accepted_at* and *expires_at* are seconds since the epoch.
    *source_name* is the service centre or application of *source*; *identifier* is the previous holder's name for the
    transfer. *report_to* and *report_key* say which application gets the status report, and by which key."""

    number: int
    kind: TransferKind
    originator: str
    destination: str
    tpdu: bytes
    submitted_at: bytes
    accepted_at: float
    expires_at: float
    source: MessageSource = MessageSource.SUBSCRIBER
    source_name: str = ""
    identifier: str = ""
    report_to: str = ""
    report_key: str = ""


def short_message_key(number: int) -> str:
    """Key of a stored message; keys sort by number."""
    return f"{number:020d}"


SHORT_MESSAGES: RecordType[ShortMessage] = RecordType(
    "short_messages", ShortMessage, lambda message: short_message_key(message.number)
)
ShortMessageStore: TypeAlias = RecordTable[ShortMessage]
