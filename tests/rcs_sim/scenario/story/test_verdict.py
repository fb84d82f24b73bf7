"""Verdicts, and what they are worth together."""

from __future__ import annotations

from rcs_sim.scenario.story.verdict import EXIT_STATUS, ScenarioFailed, Verdict, worst


def test_the_worst_verdict_counts() -> None:
    assert worst([]) is Verdict.PASS
    assert worst([Verdict.PASS, Verdict.FAIL]) is Verdict.FAIL
    assert worst([Verdict.FAIL, Verdict.BROKEN, Verdict.PASS]) is Verdict.BROKEN
    assert [EXIT_STATUS[verdict] for verdict in Verdict] == [0, 1, 2]


def test_a_failure_says_what_was_expected_and_what_was_seen() -> None:
    assert (
        str(ScenarioFailed("label of bob at alice", "RCS", "SMS")) == "label of bob at alice: expected RCS; seen: SMS"
    )
