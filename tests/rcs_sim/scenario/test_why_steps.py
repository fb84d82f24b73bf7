"""A gate is passed, stopped or noted as the fact behind it says; what is known is what was known at the time."""

from __future__ import annotations

from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.why_facts import Fact, FactKind, TraceFacts
from rcs_sim.scenario.why_steps import LEGACY, GateOutcome, Known, as_told, outcome_of, step_of
from tests.support.oracle_traces import BOB, TraceScript


def _fact(*, is_good: bool | None, reason: str = "") -> Fact:
    return Fact(FactKind.STATE, 7, 1.5, "alice", "as it was noted", word="refused", reason=reason, is_good=is_good)


def test_a_fact_that_judges_nothing_is_a_note() -> None:
    outcomes = [step_of("focus", _fact(is_good=is_good)).outcome for is_good in (True, False, None)]
    assert outcomes == [GateOutcome.PASSED, GateOutcome.STOPPED, GateOutcome.NOTE]
    assert [outcome_of(is_good=True), outcome_of(is_good=False)] == outcomes[:2]


def test_a_step_is_where_and_when_its_fact_was() -> None:
    step = step_of("focus", _fact(is_good=True), "in other words")
    assert (step.number, step.at, step.element, step.says) == (7, 1.5, "alice", "in other words")
    assert [as_told(_fact(is_good=True)), as_told(_fact(is_good=True, reason="late"))] == ["refused", "refused: late"]


def test_what_came_later_was_not_known() -> None:
    script = TraceScript()
    script.says("alice", "a", "one")
    first = script.state("alice", "encryption", "encrypted", peer=BOB)
    second = script.state("alice", "encryption", "ended", peer=BOB)
    script.state("alice", LEGACY, "ready")
    oracle = Oracle(script.records)
    facts = TraceFacts(oracle.readings.screens.phones)
    for record in script.records:
        facts.read(record)
    message = oracle.find("a")
    assert [Known(message, facts, until).is_established for until in (first - 1, first, second)] == [False, True, False]
    known = Known(message, facts, 2**62)
    assert known.own("ready", machine=LEGACY) is not None
    assert known.own("ready") is None
    assert known.refusal("a") is None
    assert known.unanswered() is None
