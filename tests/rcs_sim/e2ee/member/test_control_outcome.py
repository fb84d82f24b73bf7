"""What a message of the server plane can come to: each outcome is reached by some test of the control plane."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.control_outcome import ControlOutcome, ControlRefusal, IgnoredWhy

_TESTS = Path(__file__).parent


def test_every_outcome_and_every_reason_to_ignore_is_reached() -> None:
    others = [path for path in _TESTS.glob("test_*.py") if path != Path(__file__)]
    text = "".join(path.read_text(encoding="utf-8") for path in others)
    for outcome in get_args(ControlOutcome):
        assert outcome.__name__ in text, outcome
    for why in IgnoredWhy:
        assert f"IgnoredWhy.{why.name}" in text, why


def test_a_refusal_is_told_as_an_invalid_commit_unless_it_says_otherwise() -> None:
    assert ControlRefusal("no").reason is ClientFailureReason.INVALID_COMMIT
    assert ControlRefusal("an impersonation", None).reason is None
