"""Messages that an application server keeps until a user's devices have taken them (store and forward)."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.store.record_table import RecordType

__all__ = ["DEFERRED_MESSAGES", "DELIVERY_CURSORS", "DeferredMessage", "DeliveryCursor", "deferred_key"]


@dataclass(frozen=True, slots=True)
class DeferredMessage:
    """One message that waits. *owner* is the identity key of the user it is for; *order* is its number of arrival at
    the server, which grows over all users and never repeats; *octets* is the SIP request to deliver.

    It is for the devices in *instances*; empty means every device of the owner that asks before *expires_at* (seconds
    since the epoch)."""

    owner: str
    order: int
    octets: bytes
    stored_at: float
    expires_at: float
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryCursor:
    """How far one device has come: it has, or does not want, every message of *owner* up to *order*."""

    owner: str
    instance: str
    order: int


def deferred_key(owner: str, order: int) -> str:
    """Key of a deferred message; keys of one owner sort by order."""
    return f"{owner} {order:016d}"


DEFERRED_MESSAGES: RecordType[DeferredMessage] = RecordType(
    "deferred_messages", DeferredMessage, lambda message: deferred_key(message.owner, message.order)
)
DELIVERY_CURSORS: RecordType[DeliveryCursor] = RecordType(
    "delivery_cursors", DeliveryCursor, lambda cursor: f"{cursor.owner} {cursor.instance}"
)
