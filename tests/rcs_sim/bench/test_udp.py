"""The UDP row, with few datagrams."""

from __future__ import annotations

from rcs_sim.bench.row import Measured
from rcs_sim.bench.udp import measure_udp


def test_both_echoes_are_measured() -> None:
    heard: list[tuple[int, int]] = []
    (row,) = measure_udp(1, lambda done, of: heard.append((done, of)), count=200)
    assert isinstance(row, Measured)
    assert row.peer_value is not None
    assert row.limit is not None
    assert "/s against" in row.wall
    assert row.details["calls_alone_us"] >= 0
    assert heard == [(1, 1)]
