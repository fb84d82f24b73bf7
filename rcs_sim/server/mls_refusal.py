"""A refusal of the focus: the check that failed, its reason token and detail (RCC.16 digest §6.4, §14.6)."""

from __future__ import annotations

from rcs_sim.e2ee.failure_reason import ServerFailureReason

__all__ = ["MlsRefused"]


class MlsRefused(Exception):
    """A check of §14.6 failed. *check* is its number in the table, 0 where the table has none; *detail* goes into
    ``sim.Detail``."""

    def __init__(self, check: int, reason: ServerFailureReason, detail: str = "") -> None:
        super().__init__(f"check {check}: {reason}{': ' if detail else ''}{detail}")
        self.check = check
        self.reason = reason
        self.detail = detail
