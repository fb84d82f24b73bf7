"""Budgets of a device."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.member import budgets
from rcs_sim.e2ee.member.budgets import Budget, RollingBudget, retry_delay_s, revive_delay_s

_NOW_S = 1_790_000_000


def test_the_numbers_are_those_of_the_profile() -> None:
    assert Budget(5, 86_400) == budgets.SELF_HEALS == budgets.ERA_ADVANCES_PER_DAY
    assert Budget(2, 3600) == budgets.ERA_ADVANCES_PER_HOUR == budgets.RESENDS_PER_PEER
    assert Budget(3, 21_600) == budgets.REBUILDS
    assert Budget(50, 86_400) == budgets.EXTERNAL_COMMITS
    assert Budget(4, 600) == budgets.CLAIMS_PER_PEER
    assert Budget(8, 200) == budgets.SERVER_READS


def test_a_use_comes_back_when_its_window_has_gone_by() -> None:
    budget = RollingBudget(Budget(2, 100))
    assert [budget.take(_NOW_S), budget.take(_NOW_S + 50), budget.take(_NOW_S + 99)] == [True, True, False]
    assert budget.next_free_s(_NOW_S + 99) == _NOW_S + 100
    assert [budget.take(_NOW_S + 100), budget.take(_NOW_S + 100)] == [True, False]
    budget.clear()
    assert budget.is_left(_NOW_S + 100)


@given(st.lists(st.integers(0, 50), max_size=60))
def test_no_window_ever_holds_more_uses_than_its_limit(pauses_s: list[int]) -> None:
    budget, now_s, uses = RollingBudget(Budget(3, 60)), _NOW_S, list[int]()
    for pause_s in pauses_s:
        now_s += pause_s
        budget = RollingBudget.decode(budget.encode())
        if budget.take(now_s):
            uses.append(now_s)
        assert sum(now_s - 60 < each for each in uses) <= 3


def test_retries_get_slower() -> None:
    assert [retry_delay_s(attempt) for attempt in range(1, 7)] == [30, 30, 30, 300, 600, 900]


def test_the_way_back_to_encryption_gets_longer_up_to_a_bound() -> None:
    assert [revive_delay_s(attempts) for attempts in (0, 1, 8, 9, 1000)] == [60, 120, 15_360, 15_360, 15_360]
