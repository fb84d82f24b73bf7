"""The size of a member, counted."""

from __future__ import annotations

from rcs_sim.bench.mls_member_memory import measure


def test_more_members_and_larger_leaves_take_more() -> None:
    few, many, larger = measure(4), measure(12), measure(12, 500)
    for name in few:
        assert few[name] < many[name] < larger[name]
