"""The rows on message sessions, with few messages."""

from __future__ import annotations

from rcs_sim.bench.msrp import measure_msrp, measure_msrp_large
from rcs_sim.bench.row import Measured


def test_round_trips_are_counted_in_flight_and_one_by_one() -> None:
    heard: list[tuple[int, int]] = []
    rows = measure_msrp(1, lambda done, of: heard.append((done, of)), count=80)
    many, single = rows
    assert isinstance(many, Measured)
    assert isinstance(single, Measured)
    assert many.value > 0
    assert (many.limit, many.is_upper_limit) == (4000.0, False)
    assert single.limit is None
    assert "pipelined" in many.method
    assert heard == [(1, 1)]


def test_a_long_message_passes_both_relays_and_leaves_them_as_they_were() -> None:
    speed, growth = measure_msrp_large(1, lambda done, of: None, count=1)
    assert isinstance(speed, Measured)
    assert isinstance(growth, Measured)
    assert speed.value > 0
    assert growth.passes
    assert growth.wall.count("kB") == 6
