"""Users register through the whole core."""

from __future__ import annotations

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.memory_core import measure


def test_a_subscription_and_a_registration_have_a_size() -> None:
    found = run(lambda: measure(4), clock="virtual")
    assert set(found) == {"subscription_kb", "registration_kb"}
