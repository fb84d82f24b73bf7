"""A refusal says which check failed, and with which words."""

from __future__ import annotations

from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.server.mls_refusal import MlsRefused


def test_its_text_is_for_a_trace() -> None:
    refusal = MlsRefused(13, ServerFailureReason.MISMATCHED_RCS_GROUP_STATE, "tel:+1")
    assert str(refusal) == "check 13: mismatched-rcs-group-state: tel:+1"
    assert str(MlsRefused(7, ServerFailureReason.INCORRECT_ERA)) == "check 7: incorrect-era"
