"""The memory row, with few users."""

from __future__ import annotations

from rcs_sim.bench.memory import measure_encrypting_memory, measure_memory
from rcs_sim.bench.row import Measured


def test_users_and_phones_are_weighed() -> None:
    heard: list[tuple[int, int]] = []
    rows = measure_memory(1, lambda done, of: heard.append((done, of)), count=3)
    assert [row.unit for row in rows if isinstance(row, Measured)] == ["kB", "kB"]
    assert heard[-1] == (6, 6)


def test_phones_that_encrypt_are_weighed_with_and_without_a_conversation() -> None:
    rows = measure_encrypting_memory(1, lambda done, of: None, count=2)
    assert [row.limit for row in rows if isinstance(row, Measured)] == [None, None]
