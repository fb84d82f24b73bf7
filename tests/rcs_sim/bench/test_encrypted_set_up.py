"""Every conversation that is timed has its lock."""

from __future__ import annotations

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.encrypted_set_up import measure


def test_time_and_memory_are_told() -> None:
    found = run(lambda: measure(4), clock="virtual")
    assert 0 < found["p50_s"] <= found["p95_s"] < 10
    assert found["cpu_ms"] > 0
    assert found["server_kb"] >= 0
