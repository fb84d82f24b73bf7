"""Our S-CSCF and one Kamailio worker under the same load from SIPp: CPU time of a call, as a median of clean runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rcs_sim.bench.processes import BenchError, cpu_s_of_tree
from rcs_sim.bench.registrars import Registrar, StartRegistrar, kamailio, own_scscf
from rcs_sim.bench.row import Measured, OnRun, Unmeasured, median
from rcs_sim.bench.sipp import FailedCalls, SippResult, find_program

__all__ = ["RigRow", "measure_beside_kamailio", "write_users"]

_ATTEMPTS = 3  # each at half the rate of the one before
_RETRANSMITTED = 0.01  # of the calls, in a clean run


@dataclass(frozen=True, slots=True, kw_only=True)
class RigRow:
    """One row. *prepare* warms a registrar up and gives the load to measure; *times* bounds us in units of Kamailio's
    figure; *subscribers* are provisioned; *rate* is that of the calls, a second."""

    row: str
    what: str
    times: float
    subscribers: int
    count: int
    rate: int
    prepare: Callable[[Registrar, Path, int], Callable[[], SippResult]]  # registrar, scratch folder, calls a second


@dataclass(frozen=True, slots=True)
class _Run:
    cpu_us: float
    rate: float
    retransmissions: int


def measure_beside_kamailio(rig: RigRow, repeat: int, on_run: OnRun) -> list[Measured | Unmeasured]:
    """Alternates the two, so that a slow minute of the machine hits both."""
    if find_program("sipp") is None:
        return [Unmeasured(rig.row, "sipp is not installed (Debian package sip-tester)")]
    with_peer = find_program("kamailio") is not None
    ours: list[_Run] = []
    theirs: list[_Run] = []
    for number in range(repeat):
        ours.append(_clean_run(rig, own_scscf))
        if with_peer:
            theirs.append(_clean_run(rig, kamailio))
        on_run(number + 1, repeat)
    return [_measured(rig, ours, theirs)]


def _clean_run(rig: RigRow, start: StartRegistrar) -> _Run:
    """A run without failed calls and with next to no retransmissions, which would be counted as work; on a machine too
    busy for that, the one with the fewest."""
    runs: list[_Run] = []
    failure = BenchError("no attempt was made")
    for attempt in range(_ATTEMPTS):
        try:
            runs.append(_run(rig, start, max(1, rig.rate >> attempt)))
        except FailedCalls as error:
            failure = error
            continue
        if runs[-1].retransmissions <= rig.count * _RETRANSMITTED:
            break
    if not runs:
        raise failure
    return min(runs, key=lambda run: run.retransmissions)


def _run(rig: RigRow, start: StartRegistrar, rate: int) -> _Run:
    with TemporaryDirectory(prefix="rcs-sim-bench-") as name, start(Path(name), rig.subscribers) as registrar:
        drive = rig.prepare(registrar, Path(name), rate)
        cpu_start = cpu_s_of_tree(registrar.pid)
        result = drive()
        cpu = cpu_s_of_tree(registrar.pid) - cpu_start
    return _Run(cpu / result.successful * 1e6, result.successful / result.elapsed_s, result.retransmissions)


def _measured(rig: RigRow, ours: list[_Run], theirs: list[_Run]) -> Measured:
    peer = median([run.cpu_us for run in theirs]) if theirs else None
    return Measured(
        row=rig.row,
        what=rig.what,
        value=median([run.cpu_us for run in ours]),
        unit="µs CPU",
        limit=None if peer is None else rig.times * peer,
        peer="Kamailio, one worker" if theirs else "kamailio is not installed",
        peer_value=peer,
        wall=f"{median([run.rate for run in ours]):,.0f}/s driven",
        method=f"{rig.count} calls of SIPp a run, none failed; user and system time of all processes of the server",
        details={
            "retransmissions": sum(run.retransmissions for run in ours),
            "peer_retransmissions": sum(run.retransmissions for run in theirs),
        },
    )


def write_users(path: Path, first: int, count: int) -> Path:
    """The injection file for users *first* to *first* + *count* - 1: name, and what SIPp computes Digest from."""
    lines = (f"user{n};[authentication username=user{n} password=bench]" for n in range(first, first + count))
    path.write_text("\n".join(("SEQUENTIAL", *lines)) + "\n", encoding="ascii")
    return path
