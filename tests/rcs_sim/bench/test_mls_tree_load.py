"""Commits and joining in populated groups."""

from __future__ import annotations

from rcs_sim.bench.mls_tree_load import measure


def test_both_sizes_and_the_join_have_figures() -> None:
    found = measure(3, 6, 2)
    assert set(found) == {"3", "6", "join"}
    assert all(value > 0 for figures in found.values() for value in figures.values())
