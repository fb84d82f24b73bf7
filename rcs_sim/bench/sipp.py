"""SIPp as the load of a measurement: one scenario, a number of calls, and whether all of them succeeded."""

from __future__ import annotations

import csv
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from rcs_sim.bench.processes import BenchError, running

__all__ = ["FailedCalls", "SippLoad", "SippResult", "answering_phone", "find_program", "free_udp_port", "run_sipp"]

_HOST = "127.0.0.1"
_DAEMON_FOLDERS = "/usr/sbin:/usr/local/sbin"
_SPARE_S = 30.0  # beside the time that the calls take at their rate
_BUFFER_OCTETS = 4 << 20


class FailedCalls(BenchError):
    """A run in which a call failed does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SippLoad:
    """*count* calls of a scenario of this package, *rate* a second. *users* is the injection file of SIPp, if any."""

    scenario: str
    port: int
    count: int
    rate: int
    local_port: int
    contact_port: int
    users: Path | None = None

    @property
    def limit_s(self) -> float:
        return self.count / self.rate + _SPARE_S


@dataclass(frozen=True, slots=True)
class SippResult:
    """*retransmissions* are those of SIPp."""

    successful: int
    retransmissions: int
    elapsed_s: float


def find_program(name: str) -> str | None:
    """Path of an outside program; system daemons are not in everybody's PATH."""
    return shutil.which(name) or shutil.which(name, path=_DAEMON_FOLDERS)


def free_udp_port() -> int:
    """A port that nobody had a moment ago, for programs that cannot take port 0."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def run_sipp(load: SippLoad, folder: Path) -> SippResult:
    """Runs SIPp to its end. Raises FailedCalls if a call failed, BenchError if it did not get that far."""
    statistics = folder / "statistics.csv"
    statistics.unlink(missing_ok=True)  # of the load before
    with _scenario(load.scenario) as scenario:
        command = [*_command(scenario, load.local_port), f"{_HOST}:{load.port}"]
        command += ["-m", str(load.count), "-r", str(load.rate), "-l", "10000", "-key", "contact_port"]
        command += [str(load.contact_port), "-timeout", f"{load.limit_s:.0f}s", "-timeout_error"]
        command += ["-trace_stat", "-stf", str(statistics), "-fd", "1"]
        if load.users is not None:
            command += ["-inf", str(load.users)]
        _run(command, folder, load.limit_s, statistics)
    return _result(statistics, load)


def _run(command: Sequence[str], folder: Path, limit_s: float, statistics: Path) -> None:
    with running(command, cwd=folder, is_ours=False) as sipp:
        try:
            status = sipp.process.wait(limit_s + _SPARE_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"SIPp did not end within {limit_s + _SPARE_S:.0f} s") from None
        if status not in (0, 1) and not statistics.exists():  # 1: a call failed; with figures they tell
            raise BenchError(f"SIPp ended with status {status}: {sipp.printed}")


def _result(statistics: Path, load: SippLoad) -> SippResult:
    with statistics.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter=";"))
    if not rows:
        raise BenchError("SIPp wrote no statistics")
    last = rows[-1]
    successful, failed = int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
    if failed or successful < load.count:
        raise FailedCalls(f"{load.count - successful} of {load.count} calls failed at {load.rate}/s ({load.scenario})")
    elapsed_s = _seconds(last["CurrentTime"]) - _seconds(last["StartTime"])
    return SippResult(successful, int(last["Retransmissions(C)"]), elapsed_s)


def _seconds(text: str) -> float:
    """SIPp writes a time as date, time of day and seconds since 1970, with tabs between."""
    return float(text.rpartition("\t")[2])


@contextmanager
def answering_phone(port: int, folder: Path) -> Iterator[None]:
    """SIPp as the phone that takes every MESSAGE at *port*, until the block ends."""
    with _scenario("answer.xml") as scenario, running(_command(scenario, port), cwd=folder, is_ours=False):
        yield


def _command(scenario: Path, local_port: int) -> list[str]:
    program = find_program("sipp")
    if program is None:
        raise BenchError("sipp is not installed (Debian package sip-tester)")
    own = ["-i", _HOST, "-p", str(local_port), "-t", "u1", "-nostdin", "-buff_size", str(_BUFFER_OCTETS)]
    return [program, "-sf", str(scenario), *own]


@contextmanager
def _scenario(name: str) -> Iterator[Path]:
    with as_file(files("rcs_sim.bench") / "data" / name) as path:
        yield path
