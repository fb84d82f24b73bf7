"""Every message of the session row gets to "displayed", in one session."""

from __future__ import annotations

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.session_traffic import measure


def test_time_is_counted() -> None:
    found = run(lambda: measure(12), clock="virtual")
    assert found["cpu_s"] > 0
    assert found["wall_s"] > 0
