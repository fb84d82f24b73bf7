"""Chat sessions: texts in an open one across both carriers, and a large network at rest with many of them."""

from __future__ import annotations

from rcs_sim.bench.processes import result_of_child
from rcs_sim.bench.row import Measured, OnRun, Unmeasured, median

__all__ = ["measure_idle", "measure_session"]

_GATE = 150.0  # messages a second of CPU time
_GOAL = 300.0
_WITHIN_S = 300.0
_PHONE_LIMIT_KB = 48.0  # 8 of the network and 40 of the phone, as the row "memory" has them
_IDLE_LIMIT = 5.0  # percent of a core
_REST_S = 900.0  # simulated: every session is refreshed once (half of Session-Expires, RFC 4028)
_IDLE_WITHIN_S = 3600.0


def measure_session(repeat: int, on_run: OnRun, *, count: int = 1000) -> list[Measured | Unmeasured]:
    """*count* messages a run."""
    runs = []
    for number in range(repeat):
        runs.append(result_of_child("rcs_sim.bench.session_traffic", count, within_s=_WITHIN_S))
        on_run(number + 1, repeat)
    return [
        Measured(
            row="session",
            what="text in an open session and both receipts, phone to phone over both carriers",
            value=median([count / run["cpu_s"] for run in runs]),
            unit="messages/s CPU",
            limit=_GATE,
            goal=_GOAL,
            is_upper_limit=False,
            wall=f"{median([count / run['wall_s'] for run in runs]):,.0f}/s",
            method=f"{count} messages a run in one process, in-memory links, virtual time, trace off, 10 in flight",
        )
    ]


def measure_idle(
    repeat: int, on_run: OnRun, *, phones: int = 10_000, sessions: int = 1000, rest_s: float = _REST_S
) -> list[Measured | Unmeasured]:
    """*phones* and, between two of them each, *sessions*. One run, as memory does not vary."""
    found = result_of_child(
        "rcs_sim.bench.session_idle", phones, sessions, rest_s, within_s=_IDLE_WITHIN_S, on_run=on_run
    )
    return [
        Measured(
            row="idle",
            what=f"CPU of {phones:,} registered phones at rest, {sessions:,} sessions open",
            value=found["idle_cpu_s"] / rest_s * 100,
            unit="% of a core",
            limit=_IDLE_LIMIT,
            method=(
                f"CPU time of {rest_s:g} simulated seconds: keep-alives, re-registrations, session refreshes; both"
                " carriers and all phones in one process, in-memory links, virtual time, trace off; one run"
            ),
            details=found,
        ),
        Measured(
            row="idle",
            what="registered phone with its share of the network",
            value=found["phone_kb"],
            unit="kB",
            limit=_PHONE_LIMIT_KB,
            method=f"growth of the process by {phones:,} phones, half on each carrier; one run",
        ),
        Measured(
            row="idle",
            what="open chat session across both carriers",
            value=found["session_kb"],
            unit="kB",
            method=(
                f"growth of the process by {sessions:,} sessions: two phones, two servers and two relays have both ends"
                " of three dialogs and three connections each, and a text of 2,000 octets was sent; they came"
                " little by little (100 each 140 s of simulated time; a burst costs more); one run"
            ),
        ),
    ]
