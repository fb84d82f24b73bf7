"""What comes of a run: the verdict, and why."""

from __future__ import annotations

from enum import StrEnum

from ims_core.errors import SimulatorError

__all__ = ["EXIT_STATUS", "ScenarioFailed", "Verdict", "worst"]


class Verdict(StrEnum):
    """Of a run, and of all of them."""

    PASS = "pass"
    FAIL = "fail"  # something that was expected did not come true
    BROKEN = "broken"  # it could not be found out


EXIT_STATUS = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.BROKEN: 2}


class ScenarioFailed(SimulatorError):
    """An expectation did not come true. *about* is what it was about: a message, a label, a phone."""

    def __init__(self, about: str, expected: str, seen: str) -> None:
        super().__init__(f"{about}: expected {expected}; seen: {seen}")
        self.about, self.expected, self.seen = about, expected, seen


def worst(verdicts: list[Verdict]) -> Verdict:
    """That of several runs together."""
    return max(verdicts, key=EXIT_STATUS.__getitem__, default=Verdict.PASS)
