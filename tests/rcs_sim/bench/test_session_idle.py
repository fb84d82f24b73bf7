"""Sessions of the idle row stay open for as long as it rests, or the row fails."""

from __future__ import annotations

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.session_idle import measure


def test_phones_and_sessions_have_a_size_and_rest_has_a_price() -> None:
    found = run(lambda: measure(4, 2, 1000.0), clock="virtual")
    assert set(found) == {"phone_kb", "session_kb", "idle_cpu_s"}
    assert found["idle_cpu_s"] > 0
