"""Registrar and stateful relay of a 1.1 kB MESSAGE over UDP: our S-CSCF alone beside one Kamailio worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rcs_sim.bench.registrar_rig import RigRow, measure_beside_kamailio, write_users
from rcs_sim.bench.registrars import Registrar
from rcs_sim.bench.row import Measured, OnRun, Unmeasured
from rcs_sim.bench.sipp import SippLoad, SippResult, answering_phone, free_udp_port, run_sipp

__all__ = ["measure_relay"]

_TIMES_KAMAILIO = 2.0
_WARM_UP = 300


def measure_relay(repeat: int, on_run: OnRun, *, count: int = 6000, rate: int = 2000) -> list[Measured | Unmeasured]:
    """*count* messages a run, *rate* a second, to one registered phone."""
    rig = RigRow(
        row="relay",
        what="stateful relay of a 1.1 kB MESSAGE over UDP",
        times=_TIMES_KAMAILIO,
        subscribers=1,
        count=count,
        rate=rate,
        prepare=lambda registrar, folder, calls_a_second: _prepare(registrar, folder, count, calls_a_second),
    )
    return measure_beside_kamailio(rig, repeat, on_run)


def _prepare(registrar: Registrar, folder: Path, count: int, rate: int) -> Callable[[], SippResult]:
    own, phone = free_udp_port(), free_udp_port()

    def load(scenario: str, calls: int, users: Path | None = None) -> SippLoad:
        return SippLoad(
            scenario=scenario, port=registrar.port, count=calls, rate=rate, local_port=own, contact_port=phone,
            users=users,
        )  # fmt: skip

    run_sipp(load("register.xml", 1, write_users(folder / "users.csv", 0, 1)), folder)

    def drive() -> SippResult:
        with answering_phone(phone, folder):
            return run_sipp(load("message.xml", count), folder)

    with answering_phone(phone, folder):
        run_sipp(load("message.xml", min(count, _WARM_UP)), folder)
    return drive
