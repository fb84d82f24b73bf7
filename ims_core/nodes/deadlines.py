"""Many deadlines, one timer: the sans-IO heap, and the alarm that wakes a node for the next of them."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from ims_core.transport.clock import Clock

__all__ = ["Alarm", "Deadlines"]

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """One deadline for each key, in seconds of the node's clock. Setting a key again moves it."""

    __slots__ = ("_at", "_heap", "_order", "has_changed")

    def __init__(self) -> None:
        self.has_changed = True  # since `next_deadline` was asked
        self._at: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0  # keys need not compare

    def set(self, key: K, at: float) -> None:
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, key))
        if key in self._at or self._heap[0][1] == self._order:
            self.has_changed = True
        self._at[key] = at
        if len(self._heap) > 64 + 4 * len(self._at):
            self._rebuild()

    def remove(self, key: K) -> None:
        self.has_changed = True
        self._at.pop(key, None)

    def next_deadline(self) -> float | None:
        """When to call `pop_due`; None = never."""
        self.has_changed = False
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # moved or removed since
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[K]:
        """The keys whose time has come, earliest first; they are forgotten."""
        due = []
        while (at := self.next_deadline()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            due.append(key)
        self.has_changed = True
        return due

    def _rebuild(self) -> None:
        self._heap = [(at, order, key) for order, (key, at) in enumerate(self._at.items())]
        self._order = len(self._heap)
        heapq.heapify(self._heap)


class Alarm:
    """Calls *ring* at the time that was last set, with one loop timer at most."""

    __slots__ = ("_at", "_clock", "_handle", "_ring")

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._at: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: float | None) -> None:
        """Rings at *at* seconds of the clock; None = never."""
        if at == self._at:
            return
        self.close()
        if at is not None:
            self._at = at
            delay_s = max(0.0, at - self._clock.now())
            self._handle = asyncio.get_running_loop().call_later(delay_s, self._fire)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._at = None

    def _fire(self) -> None:
        self._handle = self._at = None
        self._ring()
