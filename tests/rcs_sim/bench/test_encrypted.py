"""The rows on encrypted conversations, with few messages."""

from __future__ import annotations

from rcs_sim.bench import encrypted
from rcs_sim.bench.encrypted import measure_encrypted, measure_encrypted_set_up
from rcs_sim.bench.row import Measured


def test_texts_have_a_gate_a_goal_and_plain_rcs_beside_them(monkeypatch) -> None:
    monkeypatch.setattr(encrypted, "_COUNTS", {"session": 10, "pager": 10})
    heard: list[tuple[int, int]] = []
    rows = measure_encrypted(1, lambda done, of: heard.append((done, of)))
    assert heard == [(1, 2), (2, 2)]
    assert len(rows) == 4
    for rate, share in (rows[:2], rows[2:]):
        assert isinstance(rate, Measured)
        assert isinstance(share, Measured)
        assert (rate.limit, rate.goal, rate.is_upper_limit) == (100.0, 150.0, False)
        assert (share.limit, share.is_upper_limit) == (0.5, False)
        assert share.peer_value is not None
        assert rate.value > 0


def test_set_up_is_reported_without_a_limit() -> None:
    rows = measure_encrypted_set_up(1, lambda done, of: None, count=4)
    assert [row.limit for row in rows if isinstance(row, Measured)] == [None] * 3
