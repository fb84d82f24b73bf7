"""Phones of the memory row are registered, or the row fails."""

from __future__ import annotations

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.memory_phones import measure


def test_a_phone_has_a_size() -> None:
    found = run(lambda: measure(3), clock="virtual")
    assert set(found) == {"phone_kb"}
