"""The clock that every node and phone is given; the virtual one lives in `virtual_loop`."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Clock"]


class Clock(Protocol):
    """Seconds since 1970-01-01T00:00:00Z, simulated or real. Deadlines are absolute values of this clock."""

    def now(self) -> float: ...
