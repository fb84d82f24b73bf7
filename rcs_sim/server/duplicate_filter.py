"""What has been seen from a sender before, by imdn.Message-ID (P06): bounded in number and in time."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto
from typing import TypeAlias

__all__ = ["DuplicateFilter", "MessageKey", "Sighting"]

MessageKey: TypeAlias = tuple[str, str, str]
"""Identity key of the sender, imdn.Message-ID, identity key of the recipient."""


class Sighting(Enum):
    """What became of a message."""

    ACCEPTED = auto()  # delivered, stored or interworked
    REVOKED = auto()  # removed on request of its sender


class DuplicateFilter:
    """Remembers up to *size* messages for *memory_s* seconds; the oldest go first."""

    __slots__ = ("_memory_s", "_seen", "_size")

    def __init__(self, memory_s: float, size: int) -> None:
        self._memory_s = memory_s
        self._size = size
        # a plain dict looks for its oldest entry behind all those that were deleted before
        self._seen: OrderedDict[MessageKey, tuple[float, Sighting]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def get(self, key: MessageKey, now: float) -> Sighting | None:
        """What is known of the message; None for one that is new."""
        found = self._seen.get(key)
        return None if found is None or found[0] + self._memory_s <= now else found[1]

    def put(self, key: MessageKey, sighting: Sighting, now: float) -> None:
        """Notes it as the newest."""
        seen = self._seen
        seen[key] = (now, sighting)
        seen.move_to_end(key)
        while len(seen) > self._size or next(iter(seen.values()))[0] + self._memory_s <= now:
            seen.popitem(last=False)
