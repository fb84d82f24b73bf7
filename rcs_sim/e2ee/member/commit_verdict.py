"""What became of a request to the focus, and what its sender does now (RCC.16 §6.1.2, §7.7.2.1).

Verdict numbers are the reference's; that a refusal maps to them by reason and ``sim.Detail`` is ours (choice).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from types import MappingProxyType

from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ServerRemedy, server_remedy

__all__ = ["NEXT_STEPS", "CommitVerdict", "FocusRefusal", "NextStep", "next_step_of", "verdict_of"]


class CommitVerdict(IntEnum):
    """How a request ended."""

    APPLIED = 0
    ERA_GAP = 1
    EXTERNAL_COMMIT_REFUSED = 2
    GROUP_ID_CHANGED = 3
    NOT_REGISTERED = 4
    NO_ANSWER = 5
    REJECTED = 6
    NOT_IN_GROUP = 7
    TERMINAL = 8
    """Ours: there is no such group any more, or it has ended (choice)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusRefusal:
    """A refusal as the focus sends it: *reason* is the token of the server reason, *detail* and *group_id* come from
    the headers ``sim.Detail`` and ``sim.Group-ID``, *server* is the state that it holds."""

    reason: str
    detail: str = ""
    group_id: bytes | None = None
    server: EpochIdentifier | None = None


class NextStep(Enum):
    """What the loser of a request does."""

    KEEP = auto()
    """Nothing: the request was taken."""
    RECONCILE = auto()
    """Rolled back: replay, or create anew one era above the server."""
    CREATE_AT_SERVER = auto()
    """Rolled back: the conversation lives under another group id. Wait for its Welcome, else a new era there."""
    OTHER_REPAIR = auto()
    """Rolled back: a member's external commit is not taken here."""
    ASK_SERVER = auto()
    """Kept as it is: who knows what became of it is the server."""
    APPLY_WINNER = auto()
    """Rolled back: apply what came first, then try again if it is still needed."""
    STOP = auto()
    """Kept as it is, and not tried again."""
    RETRY = auto()
    """Kept as it is: the same octets once more."""
    FORGET = auto()
    """Rolled back, and not tried again."""

    @property
    def rolls_back(self) -> bool:
        """Whether the pending operation is undone."""
        return self not in (NextStep.KEEP, NextStep.ASK_SERVER, NextStep.STOP, NextStep.RETRY)


NEXT_STEPS: Mapping[CommitVerdict, NextStep] = MappingProxyType(
    {
        CommitVerdict.APPLIED: NextStep.KEEP,
        CommitVerdict.ERA_GAP: NextStep.RECONCILE,
        CommitVerdict.EXTERNAL_COMMIT_REFUSED: NextStep.OTHER_REPAIR,
        CommitVerdict.GROUP_ID_CHANGED: NextStep.CREATE_AT_SERVER,
        CommitVerdict.NOT_REGISTERED: NextStep.ASK_SERVER,
        CommitVerdict.NO_ANSWER: NextStep.ASK_SERVER,
        CommitVerdict.REJECTED: NextStep.APPLY_WINNER,
        CommitVerdict.NOT_IN_GROUP: NextStep.STOP,
        CommitVerdict.TERMINAL: NextStep.FORGET,
    }
)

_BY_DETAIL: Mapping[tuple[str, str], CommitVerdict] = {
    ("invalid-commit", "external-commit-refused"): CommitVerdict.EXTERNAL_COMMIT_REFUSED,
    ("mismatched-rcs-group-state", "not-in-group"): CommitVerdict.NOT_IN_GROUP,
}
_TERMINAL = frozenset({"mls-group-not-found", "mls-group-has-end-mls"})


def verdict_of(refusal: FocusRefusal, own_group_id: bytes | None) -> CommitVerdict:
    """The verdict of a refusal. *own_group_id* is that of the request."""
    if refusal.reason == "incorrect-era":
        is_ours = refusal.group_id is None or refusal.group_id == own_group_id
        return CommitVerdict.ERA_GAP if is_ours else CommitVerdict.GROUP_ID_CHANGED
    if refusal.reason in _TERMINAL:
        return CommitVerdict.TERMINAL
    return _BY_DETAIL.get((refusal.reason, refusal.detail), CommitVerdict.REJECTED)


def next_step_of(refusal: FocusRefusal, verdict: CommitVerdict) -> NextStep:
    """What the loser does: by the verdict, but that the same octets go again where that is all it takes."""
    retries = server_remedy(refusal.reason) is ServerRemedy.RETRY_SAME_OCTETS
    return NextStep.RETRY if retries else NEXT_STEPS[verdict]
