from __future__ import annotations

import pytest

from rcs_sim.client.outcome_rules import (
    INVITE_RULES,
    MSRP_RULES,
    PAGER_RULES,
    Column,
    RcsOutcome,
    Step,
    rule_of,
)


def test_a_status_without_a_row_is_read_as_its_class() -> None:
    assert rule_of(499) is PAGER_RULES[400]
    assert rule_of(599) is PAGER_RULES[500]
    assert rule_of(204) is PAGER_RULES[200]
    assert rule_of(499, Column.INVITE) is INVITE_RULES[400]
    assert rule_of(501, Column.MSRP) is MSRP_RULES[400]
    assert rule_of(299, Column.MSRP) is MSRP_RULES[200]


@pytest.mark.parametrize("outcome", list(RcsOutcome))
@pytest.mark.parametrize("column", list(Column))
def test_what_is_no_status_has_a_row_everywhere(column: Column, outcome: RcsOutcome) -> None:
    assert rule_of(outcome, column).step is not Step.SENT


def test_the_invite_column_is_the_pager_column_but_for_what_a_session_changes() -> None:
    changed = {outcome for outcome, rule in INVITE_RULES.items() if PAGER_RULES.get(outcome) is not rule}
    statuses = {401, 407, 413, 513, 415, 488, 606, 481, 486, 600}
    assert changed == {*statuses, RcsOutcome.NOT_ANSWERED}
