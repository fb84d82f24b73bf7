"""What an application server knows of its users' devices from third-party registration (TS 24.229 §5.4.1.7)."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.store.record_table import RecordType

__all__ = ["REGISTERED_DEVICES", "StoredDevice", "StoredDevices"]


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """One device. *instance* is its `+sip.instance` without brackets, empty for a device that has none; *expires_at*
    and *seen_at* are seconds since the epoch, and the first is 0 for one that is not registered at present.

    *contact* is its Contact address, *tags* its feature tags as they stood in Contact."""

    instance: str
    gruu: str
    contact: str
    tags: str
    user_agent: str
    expires_at: float
    seen_at: float


@dataclass(frozen=True, slots=True)
class StoredDevices:
    """All devices of a user; *owner* is the identity key."""

    owner: str
    devices: tuple[StoredDevice, ...]


REGISTERED_DEVICES: RecordType[StoredDevices] = RecordType(
    "registered_devices", StoredDevices, lambda record: record.owner
)
