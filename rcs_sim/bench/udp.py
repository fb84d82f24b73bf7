"""UDP receive path: echo rate of our transport beside that of asyncio's DatagramProtocol, and beside the kernel's own
part of it: the same system calls in a loop that looks at no datagram."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.transport.datagrams import has_batches
from rcs_sim.bench.processes import BenchError, cpu_s_of_tree, python_child, result_of_child, running
from rcs_sim.bench.row import Measured, OnRun, Unmeasured, median

__all__ = ["measure_udp"]

_KINDS = ("ours", "asyncio", "calls")
_IN_FLIGHT = 32
_OCTETS = 1184  # the pager MESSAGE of the parser rows
_WARM_UP = 2000
_WITHIN_S = 60.0
_TIMES_FASTER = 3.0


@dataclass(frozen=True, slots=True)
class _Run:
    """Of one datagram that was echoed, in microseconds."""

    server_cpu_us: float
    load_cpu_us: float
    wall_us: float


def measure_udp(repeat: int, on_run: OnRun, *, count: int = 60_000) -> list[Measured | Unmeasured]:
    """*count* datagrams a run. The gate is on the server's CPU time: the wall rate counts the load's waits too."""
    runs: dict[str, list[_Run]] = {kind: [] for kind in (_KINDS if has_batches() else _KINDS[:2])}
    for number in range(repeat):
        for kind, of_kind in runs.items():
            of_kind.append(_run(kind, count))
        on_run(number + 1, repeat)
    ours, theirs, *calls = (_median(of_kind) for of_kind in runs.values())
    return [
        Measured(
            row="udp",
            what=f"echo of {_OCTETS} octets over UDP, {_IN_FLIGHT} in flight",
            value=ours.server_cpu_us,
            unit="µs CPU",
            limit=theirs.server_cpu_us / _TIMES_FASTER,
            peer="asyncio DatagramProtocol",
            peer_value=theirs.server_cpu_us,
            wall=f"{1e6 / ours.wall_us:,.0f}/s against {1e6 / theirs.wall_us:,.0f}/s",
            method=(
                f"{count} datagrams a run; server {ours.server_cpu_us / ours.wall_us:.0%} busy,"
                f" load {ours.load_cpu_us:.1f} µs CPU a datagram"
                + "".join(
                    f"; the system calls alone, without a line of code a datagram: {run.server_cpu_us:.2f} µs"
                    for run in calls
                )
            ),
            details={
                "rate_ratio": theirs.wall_us / ours.wall_us,
                "load_cpu_us": ours.load_cpu_us,
                "calls_alone_us": calls[0].server_cpu_us if calls else 0.0,
            },
        )
    ]


def _run(kind: str, count: int) -> _Run:
    with running(python_child("rcs_sim.bench.udp_echo", kind, _OCTETS)) as server:
        port = server.read_json()["port"]
        _drive(port, min(count, _WARM_UP))
        cpu_start = cpu_s_of_tree(server.pid)
        result = _drive(port, count)
        cpu = cpu_s_of_tree(server.pid) - cpu_start
    echoed = result["echoed"]
    if echoed < count:
        raise BenchError(f"the {kind} echo gave back {echoed:.0f} of {count} datagrams only")
    return _Run(cpu / echoed * 1e6, result["cpu_s"] / echoed * 1e6, result["wall_s"] / echoed * 1e6)


def _drive(port: int, count: int) -> dict[str, float]:
    return result_of_child("rcs_sim.bench.udp_load", port, count, _IN_FLIGHT, _OCTETS, within_s=_WITHIN_S)


def _median(runs: list[_Run]) -> _Run:
    return _Run(
        median([run.server_cpu_us for run in runs]),
        median([run.load_cpu_us for run in runs]),
        median([run.wall_us for run in runs]),
    )
