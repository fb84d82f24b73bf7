"""Verdicts of requests (RCC.16 §6.1.2, §7.7.2.1)."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.e2ee.member.commit_verdict import (
    NEXT_STEPS,
    CommitVerdict,
    FocusRefusal,
    NextStep,
    next_step_of,
    verdict_of,
)

_OURS = b"our group"


@pytest.mark.parametrize(
    ("refusal", "verdict"),
    [
        (FocusRefusal(reason="incorrect-era"), CommitVerdict.ERA_GAP),
        (FocusRefusal(reason="incorrect-era", group_id=_OURS), CommitVerdict.ERA_GAP),
        (FocusRefusal(reason="incorrect-era", group_id=b"another"), CommitVerdict.GROUP_ID_CHANGED),
        (
            FocusRefusal(reason="invalid-commit", detail="external-commit-refused"),
            CommitVerdict.EXTERNAL_COMMIT_REFUSED,
        ),
        (FocusRefusal(reason="invalid-commit", detail="proposal"), CommitVerdict.REJECTED),
        (FocusRefusal(reason="mismatched-rcs-group-state", detail="not-in-group"), CommitVerdict.NOT_IN_GROUP),
        (FocusRefusal(reason="mismatched-rcs-group-state", detail="tel:+1"), CommitVerdict.REJECTED),
        (FocusRefusal(reason="mls-group-not-found"), CommitVerdict.TERMINAL),
        (FocusRefusal(reason="mls-group-has-end-mls"), CommitVerdict.TERMINAL),
        (FocusRefusal(reason="a reason of tomorrow"), CommitVerdict.REJECTED),
    ],
)
def test_a_refusal_has_its_verdict(refusal: FocusRefusal, verdict: CommitVerdict) -> None:
    assert verdict_of(refusal, _OURS) is verdict


def test_every_reason_has_a_verdict_and_every_verdict_a_step() -> None:
    assert set(NEXT_STEPS) == set(CommitVerdict)
    for reason in ServerFailureReason:
        assert verdict_of(FocusRefusal(reason=reason), _OURS) in CommitVerdict


def test_only_a_transient_error_sends_the_same_octets_again() -> None:
    retried = [
        reason
        for reason in ServerFailureReason
        if next_step_of(FocusRefusal(reason=reason), CommitVerdict.REJECTED) is NextStep.RETRY
    ]
    assert retried == [ServerFailureReason.TRANSIENT_ERROR]


def test_a_silent_outcome_is_never_rolled_back_blindly() -> None:
    kept = [verdict for verdict, step in NEXT_STEPS.items() if not step.rolls_back]
    assert kept == [
        CommitVerdict.APPLIED,
        CommitVerdict.NOT_REGISTERED,
        CommitVerdict.NO_ANSWER,
        CommitVerdict.NOT_IN_GROUP,
    ]
