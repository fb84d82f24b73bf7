"""The messages that are measured are sealed and read."""

from __future__ import annotations

from rcs_sim.bench.mls_message_load import measure
from rcs_sim.bench.mls_rs import is_installed


def test_each_stack_has_its_figures() -> None:
    found = measure(10)
    names = {"ours_1", "ours_2", "primitives_2"} | ({"mls_rs"} if is_installed() else set())
    assert set(found) == names
    assert all(figures["encrypt_us"] > 0 and figures["decrypt_us"] > 0 for figures in found.values())
