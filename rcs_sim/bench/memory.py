"""Memory of a registered user in the network, and of an emulated phone, each in a process of its own."""

from __future__ import annotations

from rcs_sim.bench.processes import result_of_child
from rcs_sim.bench.row import Measured, OnRun, Unmeasured

__all__ = ["measure_encrypting_memory", "measure_memory"]

_CORE_LIMIT_KB = 8.0
_PHONE_LIMIT_KB = 40.0
_WITHIN_S = 1800.0


def measure_memory(repeat: int, on_run: OnRun, *, count: int = 10_000) -> list[Measured | Unmeasured]:
    """*count* users, then as many phones. One run of each: memory does not vary as time does."""
    core = result_of_child(
        "rcs_sim.bench.memory_core", count, within_s=_WITHIN_S, on_run=lambda done, of: on_run(done, 2 * of)
    )
    phone = result_of_child(
        "rcs_sim.bench.memory_phones", count, within_s=_WITHIN_S, on_run=lambda done, of: on_run(of + done, 2 * of)
    )
    user_kb = core["subscription_kb"] + core["registration_kb"]
    return [
        Measured(
            row="memory",
            what="registered user in the core and the servers",
            value=user_kb,
            unit="kB",
            limit=_CORE_LIMIT_KB,
            method=f"growth of the process by {count:,} users provisioned and registered over one connection; one run",
            details=core,
        ),
        Measured(
            row="memory",
            what="emulated phone",
            value=max(0.0, phone["phone_kb"] - core["registration_kb"]),
            unit="kB",
            limit=_PHONE_LIMIT_KB,
            method=f"growth of the process by {count:,} registered phones that came little by little (250 each 140 s of"
            " simulated time; a burst costs more), less the registration in the core; one run",
            details=phone,
        ),
    ]


def measure_encrypting_memory(repeat: int, on_run: OnRun, *, count: int = 1000) -> list[Measured | Unmeasured]:
    """*count* phones, by twos in one conversation. One run, as above."""
    found = result_of_child("rcs_sim.bench.memory_encrypting", count, within_s=_WITHIN_S, on_run=on_run)
    method = f"growth of the process by {count:,} phones, half on each carrier, with servers and key service; one run"
    return [
        Measured(
            row="memory-encrypted",
            what="phone that encrypts, with its share of the network: enrolled",
            value=found["enrolled_kb"],
            unit="kB",
            method=f"{method}; certificate, key packages there and here, no conversation",
        ),
        Measured(
            row="memory-encrypted",
            what="the same at rest with one conversation",
            value=found["enrolled_kb"] + found["conversation_kb"],
            unit="kB",
            method="one MLS group of two phones of two carriers, one text delivered in it; two servers arbitrate",
            details=found,
        ),
    ]
