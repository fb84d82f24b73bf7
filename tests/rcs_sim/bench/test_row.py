"""What a figure says about its limit."""

from __future__ import annotations

from rcs_sim.bench.row import Measured, cpu_and_wall_us, median


def _measured(value: float, limit: float | None, *, is_upper: bool = True) -> Measured:
    return Measured(row="r", what="w", value=value, unit="u", limit=limit, is_upper_limit=is_upper)


def test_an_upper_limit_holds_up_to_its_value() -> None:
    assert _measured(2.0, 2.0).passes is True
    assert _measured(2.1, 2.0).passes is False


def test_a_lower_limit_holds_from_its_value_on() -> None:
    assert _measured(2.0, 2.0, is_upper=False).passes is True
    assert _measured(1.9, 2.0, is_upper=False).passes is False


def test_without_a_limit_there_is_no_verdict() -> None:
    assert _measured(2.0, None).passes is None


def test_the_median_is_not_moved_by_one_bad_run() -> None:
    assert median([1.0, 2.0, 900.0]) == 2.0


def test_every_step_of_every_run_is_taken() -> None:
    seen: list[int] = []
    cpu, wall = cpu_and_wall_us(seen.append, 3, 2)
    assert seen == [0, 1, 2, 0, 1, 2]
    assert cpu >= 0
    assert wall > 0
