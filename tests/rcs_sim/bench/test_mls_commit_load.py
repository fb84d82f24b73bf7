"""The Commits that are measured are made and followed."""

from __future__ import annotations

from rcs_sim.bench.mls_commit_load import measure
from rcs_sim.bench.mls_rs import is_installed


def test_each_stack_has_its_figures() -> None:
    found = measure(8, 3)
    assert set(found) == {"ours_1", "ours_2"} | ({"mls_rs"} if is_installed() else set())
    assert all(figures["create_ms"] > 0 and figures["process_ms"] > 0 for figures in found.values())
