"""What is timed is sealed on one network and plain on the other, in the mode that was asked for."""

from __future__ import annotations

import pytest

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.encrypted_traffic import measure


@pytest.mark.parametrize("mode", ["pager", "session"])
def test_both_are_timed(mode: str) -> None:
    found = run(lambda: measure(mode, 12), clock="virtual")
    assert set(found) == {"cpu_s", "wall_s", "plain_cpu_s", "plain_wall_s"}
    assert all(value > 0 for value in found.values())
