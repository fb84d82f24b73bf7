"""One row of the benchmark table, and how a figure becomes a median."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BenchRow", "Measured", "OnRun", "Unmeasured", "cpu_and_wall_us", "median"]

OnRun = Callable[[int, int], None]  # called when a run is over: how many of how many are done


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One figure. *limit* is what the project asks of itself, from *peer* where one is compared; both in *unit*."""

    row: str
    what: str
    value: float
    unit: str
    limit: float | None = None
    is_upper_limit: bool = True
    peer: str = ""
    peer_value: float | None = None
    wall: str = ""
    method: str = ""
    goal: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def passes(self) -> bool | None:
        """Whether the limit holds; None without one."""
        if self.limit is None:
            return None
        return self.value <= self.limit if self.is_upper_limit else self.value >= self.limit


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A row that could not be measured here, and why. *is_broken*: what it needs is there and does not work."""

    row: str
    reason: str
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class BenchRow:
    """A measurement by name. *measure* gets the number of runs of which the median counts, and what hears of each."""

    name: str
    title: str
    measure: Callable[[int, OnRun], Sequence[Measured | Unmeasured]]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def cpu_and_wall_us(step: Callable[[int], object], count: int, repeat: int) -> tuple[float, float]:
    """Median CPU and wall time in microseconds of one *step*, called with 0 to *count* - 1, over *repeat* runs."""
    cpu, wall = [], []
    for _ in range(repeat):
        gc.collect()
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        for index in range(count):
            step(index)
        cpu.append((time.process_time() - cpu_start) / count * 1e6)
        wall.append((time.perf_counter() - wall_start) / count * 1e6)
    return median(cpu), median(wall)
