"""The MLS rows, with few messages and small groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcs_sim.bench.mls import measure_mls_commits, measure_mls_members, measure_mls_messages, measure_mls_trees
from rcs_sim.bench.mls_rs import is_installed
from rcs_sim.bench.row import Measured, Unmeasured


def _heard(_done: int, _of: int) -> None:
    """Nobody looks."""


def _measured(rows: list[Measured | Unmeasured]) -> list[Measured]:
    assert all(isinstance(row, Measured) and row.value > 0 for row in rows)
    return [row for row in rows if isinstance(row, Measured)]


def test_messages_stand_beside_their_primitives_and_a_peer_that_is_absent_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RCS_SIM_TS_MLS", str(tmp_path))
    rows = _measured(measure_mls_messages(1, _heard, count=25))
    assert len(rows) == 6
    primitives, mls_rs, ts_mls = rows[:3]
    assert primitives.limit == pytest.approx(2.0 * (primitives.peer_value or 0))
    assert rows[3].limit == pytest.approx(1.7 * (rows[3].peer_value or 0))
    assert (mls_rs.limit is not None) == is_installed()
    assert (ts_mls.limit, ts_mls.peer_value) == (None, None)
    assert ts_mls.peer == "ts-mls is not installed"


def test_commits_stand_beside_mls_rs_where_it_is() -> None:
    create, process = _measured(measure_mls_commits(1, _heard, members=6, samples=2))
    if is_installed():
        assert create.limit == create.peer_value
        assert process.limit == pytest.approx((process.peer_value or 0) / 2)
    else:
        assert create.limit is process.limit is None
        assert "not installed" in create.peer


def test_trees_grow_and_are_joined() -> None:
    create, process, join = _measured(measure_mls_trees(1, _heard, small=4, large=8, samples=2))
    assert create.limit == pytest.approx(2 * (create.peer_value or 0))
    assert process.limit == pytest.approx(2 * (process.peer_value or 0))
    assert join.passes


def test_a_member_has_a_size() -> None:
    rows = _measured(measure_mls_members(1, _heard, members=4))
    assert [row.limit for row in rows] == [150.0, 60.0, None, None]
    assert rows[2].value > rows[0].value
