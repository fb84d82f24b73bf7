"""Pager messages from phone to phone across both carriers, with both receipts."""

from __future__ import annotations

from rcs_sim.bench.processes import result_of_child
from rcs_sim.bench.row import Measured, OnRun, Unmeasured, median

__all__ = ["measure_pager"]

_GATE = 150.0  # messages a second of CPU time
_GOAL = 250.0
_WITHIN_S = 300.0


def measure_pager(repeat: int, on_run: OnRun, *, count: int = 1000) -> list[Measured | Unmeasured]:
    """*count* messages a run."""
    runs = []
    for number in range(repeat):
        runs.append(result_of_child("rcs_sim.bench.pager_traffic", count, within_s=_WITHIN_S))
        on_run(number + 1, repeat)
    return [
        Measured(
            row="pager",
            what="pager MESSAGE and both receipts, phone to phone over both carriers",
            value=median([count / run["cpu_s"] for run in runs]),
            unit="messages/s CPU",
            limit=_GATE,
            goal=_GOAL,
            is_upper_limit=False,
            wall=f"{median([count / run['wall_s'] for run in runs]):,.0f}/s",
            method=f"{count} messages a run in one process, in-memory links, virtual time, trace off, 10 in flight",
        )
    ]
