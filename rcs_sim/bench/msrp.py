"""Message sessions through our MSRP relay on loopback TCP: short messages, and long ones past both carriers' relays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from rcs_sim.bench.processes import Child, cpu_s_of_tree, python_child, running
from rcs_sim.bench.resident import peak_resident_kb, reset_peak_resident, resident_kb_of
from rcs_sim.bench.row import Measured, OnRun, Unmeasured, median

__all__ = ["measure_msrp", "measure_msrp_large"]

_OCTETS = 600
_IN_FLIGHT = 32
_GATE = 4000.0  # round trips a second
_WARM_UP = 500
_LARGE_OCTETS = 10_000_000
_LARGE_CHUNK_OCTETS = 64 * 1024
_LARGE_GATE = 40.0  # MB/s
_GROWTH_LIMIT_KB = 4096.0  # of a relay: less than half of the message that passes it
_WITHIN_S = 180.0


@dataclass(frozen=True, slots=True)
class _Run:
    """*load_cpu_s* is that of both ends together, *relay_cpu_s* that of each relay."""

    wall_s: float
    load_cpu_s: float
    relay_cpu_s: tuple[float, ...]
    memory_kb: tuple[tuple[int, int, int], ...]  # of each relay: before, at its peak, after


class _Rig:
    """Relays in a row and a load at both ends, each in a process of its own."""

    def __init__(self, load: Child, relays: list[Child]) -> None:
        self._load, self._relays = load, relays
        ends, sides = load.read_json(), [relay.read_json() for relay in relays]
        near_peers = [ends["near"], *[side["far"] for side in sides]]
        far_peers = [*[side["near"] for side in sides[1:]], ends["far"]]
        for relay, near, far in zip(relays, near_peers, far_peers, strict=False):
            relay.write_json({"near": near, "far": far})
        load.write_json({"near": sides[0]["near"], "far": sides[-1]["far"]})

    def exchange(self, messages: int, octets: int, in_flight: int) -> _Run:
        pids = [relay.pid for relay in self._relays]
        before = [(cpu_s_of_tree(pid), resident_kb_of(pid)) for pid in pids]
        for pid in pids:
            reset_peak_resident(pid)
        self._load.write_json({"messages": messages, "octets": octets, "in_flight": in_flight})
        found = self._load.read_json(_WITHIN_S)
        cpu = tuple(cpu_s_of_tree(pid) - earlier for pid, (earlier, _) in zip(pids, before, strict=True))
        memory = tuple(
            (earlier, peak_resident_kb(pid), resident_kb_of(pid))
            for pid, (_, earlier) in zip(pids, before, strict=True)
        )
        return _Run(found["wall_s"], found["cpu_s"], cpu, memory)


@contextmanager
def _rig(relays: int, chunk_octets: int) -> Iterator[_Rig]:
    with ExitStack() as stack:
        load = stack.enter_context(running(python_child("rcs_sim.bench.msrp_load", chunk_octets)))
        children = [stack.enter_context(running(python_child("rcs_sim.bench.msrp_relay_alone"))) for _ in range(relays)]
        yield _Rig(load, children)


def measure_msrp(repeat: int, on_run: OnRun, *, count: int = 10_000) -> list[Measured | Unmeasured]:
    """*count* messages a run with some in flight, a quarter of it strictly one by one."""
    many: list[_Run] = []
    single: list[_Run] = []
    one_by_one = max(1, count // 4)
    with _rig(1, 2048) as rig:
        rig.exchange(min(count, _WARM_UP), _OCTETS, _IN_FLIGHT)
        for number in range(repeat):
            many.append(rig.exchange(count, _OCTETS, _IN_FLIGHT))
            single.append(rig.exchange(one_by_one, _OCTETS, 1))
            on_run(number + 1, repeat)
    relay_us, load_us = _cpu_us(many, count)
    alone_us, alone_load_us = _cpu_us(single, one_by_one)
    return [
        Measured(
            row="msrp",
            what=f"MSRP SEND/200 of {_OCTETS} octets through our relay, {_IN_FLIGHT} in flight",
            value=median([count / run.wall_s for run in many]),
            unit="/s",
            limit=_GATE,
            is_upper_limit=False,
            wall=f"relay {relay_us:.0f} µs CPU, both ends {load_us:.0f}",
            method=(
                f"{count} messages a run; a round trip is SEND, relay, SEND, 200, relay, 200 over loopback TCP; the"
                " relay in one process, both ends (our sessions, every message settled) in another; the gate is on this"
                " pipelined rate by wall clock; no public figure exists"
            ),
            details={"relay_cpu_us": relay_us, "ends_cpu_us": load_us},
        ),
        Measured(
            row="msrp",
            what="the same strictly one by one",
            value=median([one_by_one / run.wall_s for run in single]),
            unit="/s",
            wall=f"relay {alone_us:.0f} µs CPU, both ends {alone_load_us:.0f}",
            method=f"{one_by_one} messages a run; four process switches a round trip",
            details={"relay_cpu_us": alone_us, "ends_cpu_us": alone_load_us},
        ),
    ]


def measure_msrp_large(repeat: int, on_run: OnRun, *, count: int = 10) -> list[Measured | Unmeasured]:
    """*count* messages a run, one after the other."""
    runs: list[_Run] = []
    with _rig(2, _LARGE_CHUNK_OCTETS) as rig:
        first = rig.exchange(1, _LARGE_OCTETS, 1)
        for number in range(repeat):
            runs.append(rig.exchange(count, _LARGE_OCTETS, 1))
            on_run(number + 1, repeat)
    megabytes = count * _LARGE_OCTETS / 1e6
    relay_us, load_us = _cpu_us(runs, megabytes)
    idle = [before for before, _, _ in first.memory_kb]
    peaks = [max(run.memory_kb[relay][1] for run in (first, *runs)) for relay in range(len(idle))]
    after = [after for _, _, after in runs[-1].memory_kb]
    return [
        Measured(
            row="msrp-large",
            what=f"message of {_LARGE_OCTETS // 1_000_000} MB through both carriers' relays",
            value=median([megabytes / run.wall_s for run in runs]),
            unit="MB/s",
            limit=_LARGE_GATE,
            is_upper_limit=False,
            wall=f"each relay {relay_us / 1e3:.1f} ms CPU a MB, both ends {load_us / 1e3:.1f}",
            method=(
                f"{count} messages a run, one after the other, in interruptible chunks of {_LARGE_CHUNK_OCTETS // 1024}"
                " KiB; two relays and both ends in three processes, loopback TCP"
            ),
            details={"relay_cpu_ms_per_mb": relay_us / 1e3, "ends_cpu_ms_per_mb": load_us / 1e3},
        ),
        Measured(
            row="msrp-large",
            what="growth of a relay while such messages pass",
            value=float(max(peak - before for before, peak in zip(idle, peaks, strict=True))),
            unit="kB",
            limit=_GROWTH_LIMIT_KB,
            wall=f"{_kb(idle)} before, {_kb(peaks)} at the peak, {_kb(after)} after",
            method=f"resident memory of both relays before the first message, at its peak and after {len(runs)} runs",
        ),
    ]


def _kb(sizes: list[int]) -> str:
    return " and ".join(f"{size:,} kB" for size in sizes)


def _cpu_us(runs: list[_Run], count: float) -> tuple[float, float]:
    """Median CPU of one relay and of both ends, for one of *count*, in microseconds."""
    relay = median([sum(run.relay_cpu_s) / len(run.relay_cpu_s) for run in runs])
    return relay / count * 1e6, median([run.load_cpu_s for run in runs]) / count * 1e6
