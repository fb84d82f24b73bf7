"""The pager row, with few messages."""

from __future__ import annotations

from rcs_sim.bench.pager import measure_pager
from rcs_sim.bench.row import Measured


def test_a_rate_comes_out() -> None:
    (row,) = measure_pager(1, lambda done, of: None, count=5)
    assert isinstance(row, Measured)
    assert row.value > 0
    assert not row.is_upper_limit
    assert row.goal is not None
