"""Encrypted one-to-one conversations (RCC.16): texts from finger to receipt, and how long a lock takes."""

from __future__ import annotations

from rcs_sim.bench.processes import result_of_child
from rcs_sim.bench.row import Measured, OnRun, Unmeasured, median

__all__ = ["measure_encrypted", "measure_encrypted_set_up"]

_GATE, _GOAL = 100.0, 150.0  # messages a second of CPU time
_LEAST_SHARE = 0.5  # of the rate of the same message in plain RCS
_COUNTS = {"session": 1000, "pager": 150}  # in pager mode before the leaf is rotated: its Commit opens a session
_WITHIN_S = 600.0
_SET_UP_WITHIN_S = 3600.0


def measure_encrypted(repeat: int, on_run: OnRun) -> list[Measured | Unmeasured]:
    """Texts in an open session and in pager mode, each beside plain RCS in the same run."""
    found: list[Measured | Unmeasured] = []
    for index, (mode, count) in enumerate(_COUNTS.items()):
        runs = []
        for number in range(repeat):
            runs.append(result_of_child("rcs_sim.bench.encrypted_traffic", mode, count, within_s=_WITHIN_S))
            on_run(index * repeat + number + 1, len(_COUNTS) * repeat)
        found += _rows(mode, count, runs)
    return found


def _rows(mode: str, count: int, runs: list[dict[str, float]]) -> list[Measured | Unmeasured]:
    what = f"encrypted text ({mode}) and both signed receipts, phone to phone over both carriers"
    plain = median([count / run["plain_cpu_s"] for run in runs])
    method = f"{count} messages a run, suite 2, in-memory links, virtual time, trace off, 10 in flight"
    return [
        Measured(
            row="encrypted",
            what=what,
            value=median([count / run["cpu_s"] for run in runs]),
            unit="messages/s CPU",
            limit=_GATE,
            goal=_GOAL,
            is_upper_limit=False,
            wall=f"{median([count / run['wall_s'] for run in runs]):,.0f}/s",
            method=method,
        ),
        Measured(
            row="encrypted",
            what=f"the same ({mode}), as a share of plain RCS",
            value=median([run["plain_cpu_s"] / run["cpu_s"] for run in runs]),
            unit="of its rate",
            limit=_LEAST_SHARE,
            is_upper_limit=False,
            peer="plain RCS, messages/s CPU",
            peer_value=plain,
            method="plain RCS of the same run, the same phones and texts",
        ),
    ]


def measure_encrypted_set_up(repeat: int, on_run: OnRun, *, count: int = 1000) -> list[Measured | Unmeasured]:
    """*count* conversations, once: simulated time and memory do not vary."""
    found = result_of_child("rcs_sim.bench.encrypted_set_up", count, within_s=_SET_UP_WITHIN_S, on_run=on_run)
    method = f"{count:,} conversations between phones of two carriers, ten at a time, in one process; one run"
    return [
        Measured(
            row="encrypted-set-up",
            what="first text until it has left under a lock, 95th percentile",
            value=found["p95_s"],
            unit="s simulated",
            method=f"{method}; links of 30, 1 and 10 ms; median {found['p50_s']:.2f} s",
            details=found,
        ),
        Measured(
            row="encrypted-set-up",
            what="set-up of one conversation: claims, create, Welcome, first text",
            value=found["cpu_ms"],
            unit="ms CPU",
            method=method,
        ),
        Measured(
            row="encrypted-set-up",
            what="memory of the arbitrating server for one conversation",
            value=found["server_kb"],
            unit="kB",
            method="Python memory of a copy of what the servers keep of all of them",
        ),
    ]
