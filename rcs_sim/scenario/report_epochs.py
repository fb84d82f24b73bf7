"""MLS epochs of a trace's conversations over time, as phones and the servers in between had them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ims_core.trace import RecordKind, TraceRecord

__all__ = ["EpochChange", "epochs_of"]

_MACHINE = "encryption"
_AT_A_SERVER = re.compile(r"era (\d+), epoch (\d+)")


@dataclass(frozen=True, slots=True)
class EpochChange:
    """From *at* (seconds since the epoch of the simulation's clock) on, *element* stood there. *why* is its own word;
    *record* is the number of the record that says so."""

    at: float
    element: str
    era: int
    epoch: int
    why: str
    record: int

    @property
    def point(self) -> tuple[int, int]:
        return (self.era, self.epoch)


def epochs_of(records: Iterable[TraceRecord]) -> dict[str, list[EpochChange]]:
    """By conversation: each change of era or epoch at each element, in trace order."""
    found: dict[str, list[EpochChange]] = {}
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for record in records:
        point = _point(record)
        if point is None or record.conversation_id is None:
            continue
        key = (record.conversation_id, record.source)
        if last.get(key) == point:
            continue
        last[key] = point
        change = EpochChange(record.at, record.source, *point, record.summary, record.number)
        found.setdefault(record.conversation_id, []).append(change)
    return found


def _point(record: TraceRecord) -> tuple[int, int] | None:
    """Era and epoch that a STATE record tells, if it does."""
    if record.kind is not RecordKind.STATE:
        return None
    details = record.details
    if details.get("machine") == _MACHINE:
        era, epoch = details.get("era"), details.get("epoch")
        return (era, epoch) if isinstance(era, int) and isinstance(epoch, int) else None
    if not record.summary.startswith("focus accepted"):
        return None
    said = _AT_A_SERVER.search(str(details.get("reason", "")))
    return None if said is None else (int(said[1]), int(said[2]))
