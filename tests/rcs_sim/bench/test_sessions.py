"""The rows on chat sessions, with few messages and few phones."""

from __future__ import annotations

from rcs_sim.bench.row import Measured
from rcs_sim.bench.sessions import measure_idle, measure_session


def test_texts_in_a_session_have_a_gate_and_a_goal() -> None:
    heard: list[tuple[int, int]] = []
    (row,) = measure_session(1, lambda done, of: heard.append((done, of)), count=10)
    assert isinstance(row, Measured)
    assert (row.limit, row.goal, row.is_upper_limit) == (150.0, 300.0, False)
    assert row.value > 0
    assert heard == [(1, 1)]


def test_a_network_at_rest_costs_little() -> None:
    cpu, phone, session = measure_idle(1, lambda done, of: None, phones=4, sessions=2, rest_s=60.0)
    assert isinstance(cpu, Measured)
    assert isinstance(phone, Measured)
    assert isinstance(session, Measured)
    assert 0 <= cpu.value < 100
    assert cpu.limit == 5.0
    assert session.limit is None
