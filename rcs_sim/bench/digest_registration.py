"""Registration with Digest (401, then 200) over UDP: our S-CSCF alone beside one Kamailio worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rcs_sim.bench.registrar_rig import RigRow, measure_beside_kamailio, write_users
from rcs_sim.bench.registrars import Registrar
from rcs_sim.bench.row import Measured, OnRun, Unmeasured
from rcs_sim.bench.sipp import SippLoad, SippResult, free_udp_port, run_sipp

__all__ = ["measure_digest_registration"]

_TIMES_KAMAILIO = 2.5
_WARM_UP = 200


def measure_digest_registration(
    repeat: int, on_run: OnRun, *, count: int = 4000, rate: int = 1000
) -> list[Measured | Unmeasured]:
    """*count* different users a run, *rate* registrations a second."""
    warm_up = min(count, _WARM_UP)
    rig = RigRow(
        row="digest",
        what="registration with Digest: 401, then 200",
        times=_TIMES_KAMAILIO,
        subscribers=count + warm_up,
        count=count,
        rate=rate,
        prepare=lambda registrar, folder, calls_a_second: _prepare(registrar, folder, warm_up, count, calls_a_second),
    )
    return measure_beside_kamailio(rig, repeat, on_run)


def _prepare(registrar: Registrar, folder: Path, warm_up: int, count: int, rate: int) -> Callable[[], SippResult]:
    own = free_udp_port()

    def load(first: int, calls: int) -> SippLoad:
        return SippLoad(
            scenario="register.xml", port=registrar.port, count=calls, rate=rate, local_port=own, contact_port=own,
            users=write_users(folder / f"users-{first}.csv", first, calls),
        )  # fmt: skip

    run_sipp(load(0, warm_up), folder)
    measured = load(warm_up, count)
    return lambda: run_sipp(measured, folder)
