"""What a focus of encrypted conversations keeps: public state, answers given, and the log of control messages."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.store.record_table import RecordType

__all__ = [
    "MLS_CONTROL_MESSAGES",
    "MLS_CONVERSATIONS",
    "StoredAnswer",
    "StoredControlMessage",
    "StoredConversation",
    "StoredFanOut",
    "control_message_key",
]


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer to a request of *sender* (digits) with the id *control_id*, whose octets hash to *digest*. *reason*
    is empty for an acceptance. The state is that of then, era 0 if there was none."""

    sender: str
    control_id: str
    digest: bytes
    reason: str
    detail: str
    era: int
    epoch: int
    authenticator: bytes
    group_id: bytes


@dataclass(frozen=True, slots=True)
class StoredFanOut:
    """A control message that has not reached every participant yet: *octets* as the others get them for the request of
    *requester*, the state that its headers name, and when it was accepted. *members* are those who are to get it."""

    requester: str
    members: tuple[str, ...]
    control_id: str
    conversation_id: str
    octets: bytes
    era: int
    authenticator: bytes
    at_s: int


@dataclass(frozen=True, slots=True)
class StoredConversation:
    """One conversation; *key* are the digits of both participants in ascending order. *group* is a snapshot of its
    public state; *authenticators* are those of the present era, the latest last; *next_message* is the number of the
    next control message. The last three are times in seconds since the epoch."""

    key: str
    era: int
    group: bytes
    group_info: bytes
    authenticators: tuple[bytes, ...]
    context_ids: tuple[str, ...]
    answers: tuple[StoredAnswer, ...]
    outstanding: tuple[StoredFanOut, ...]
    next_message: int
    eras_at_s: tuple[int, ...]
    epochs_at_s: tuple[int, ...]
    external_commits_at_s: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredControlMessage:
    """One entry of the log: *octets* as they were fanned out for the request *control_id*, and the state after it."""

    key: str
    number: int
    control_id: str
    octets: bytes
    era: int
    epoch: int
    authenticator: bytes
    at_s: int


def control_message_key(key: str, number: int) -> str:
    """Key of an entry of the log; those of one conversation sort by number."""
    return f"{key} {number:012d}"


MLS_CONVERSATIONS: RecordType[StoredConversation] = RecordType(
    "mls_conversations", StoredConversation, lambda record: record.key
)
MLS_CONTROL_MESSAGES: RecordType[StoredControlMessage] = RecordType(
    "mls_control_messages", StoredControlMessage, lambda record: control_message_key(record.key, record.number)
)
