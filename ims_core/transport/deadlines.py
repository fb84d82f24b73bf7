"""Many deadlines on one timer of the event loop."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from typing import Protocol

__all__ = ["Deadline", "DeadlineHeap"]

_DEAD_WORTH_A_SWEEP = 2  # entries of ended items: each holds a message, and there may be ten thousand phones


class Deadline(Protocol):
    """An item of the heap. `due` and `armed` belong to the heap; both begin as ``math.inf``."""

    due: float  # loop time; inf = none
    armed: float  # when the heap will look at the item next

    def deadline_came(self, now: float) -> None:
        """Called once `due` has come, with `due` back at inf."""
        ...


class DeadlineHeap:
    """Calls its items when they are due. Moving or cancelling a deadline leaves its old entry to be skipped later."""

    __slots__ = ("_dead", "_heap", "_loop", "_number", "_timer", "_timer_due", "time")

    time: Callable[[], float]
    """Loop time in seconds."""

    def __init__(self) -> None:
        self.time = self._first_time
        self._heap: list[tuple[float, int, Deadline]] = []
        self._number = 0
        self._dead = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf

    def _first_time(self) -> float:
        """Each message asks for the time: from now on the loop itself."""
        loop = self._loop = asyncio.get_running_loop()
        self.time = loop.time
        return loop.time()

    def set(self, item: Deadline, due: float | None) -> None:
        """Gives *item* the deadline *due*, loop time, in place of the one it had; None takes it away."""
        if due is None:
            if item.due != math.inf:
                self._take_away(item)
            return
        if item.due == math.inf and item.armed != math.inf:
            self._dead -= 1  # its old entry serves again
        item.due = due
        if due >= item.armed:
            return
        item.armed = due
        self._number += 1
        heapq.heappush(self._heap, (due, self._number, item))
        if due < self._timer_due:
            self._arm(due)

    def _take_away(self, item: Deadline) -> None:
        heap = self._heap
        item.due = math.inf
        if heap and heap[-1][2] is item and heap[-1][0] == item.armed:  # nothing is below the last entry of a heap
            heap.pop()
            item.armed = math.inf
            return
        self._dead += 1
        if self._dead > _DEAD_WORTH_A_SWEEP and 2 * self._dead > len(heap):
            self._sweep()

    def __len__(self) -> int:
        """Entries, the ones to be skipped included."""
        return len(self._heap)

    def close(self) -> None:
        """Forgets every deadline."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = None, math.inf
        self._heap.clear()

    def _arm(self, due: float) -> None:
        loop = self._loop or asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = loop.call_at(due, self._fire), due

    def _fire(self) -> None:
        self._timer, self._timer_due = None, math.inf
        now, heap, last = self.time(), self._heap, self._number
        try:  # what is set meanwhile has its turn after everything else that is ready
            while heap and heap[0][0] <= now and heap[0][1] <= last:
                when, _, item = heapq.heappop(heap)
                if item.armed == when:  # else an earlier entry took its place
                    self._look_at(item, now)
        finally:  # an item that raises must not stop the others' clocks
            if heap and heap[0][0] < self._timer_due:
                self._arm(heap[0][0])

    def _look_at(self, item: Deadline, now: float) -> None:
        item.armed = math.inf
        if item.due <= now:
            item.due = math.inf
            item.deadline_came(now)
        elif item.due == math.inf:
            self._dead -= 1
        else:
            self.set(item, item.due)

    def _sweep(self) -> None:
        alive: list[tuple[float, int, Deadline]] = []
        for entry in self._heap:
            when, _, item = entry
            if item.armed != when:
                continue
            if item.due == math.inf:
                item.armed = math.inf
            else:
                alive.append(entry)
        heapq.heapify(alive)
        self._heap[:] = alive
        self._dead = 0
