"""What a message of the server plane came to (RCC.16 §6.1.2, §6.2, §7.10)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.operations import PendingOperation
from rcs_sim.mls.identifiers import LeafIndex

__all__ = [
    "Adopted",
    "Advanced",
    "ControlOutcome",
    "ControlRefusal",
    "Converged",
    "GroupInfoReceived",
    "Ignored",
    "IgnoredWhy",
    "Joined",
    "NeedsServerState",
    "ParkedControl",
    "ProposalKept",
    "RemovedFromGroup",
]


@dataclass(frozen=True, slots=True)
class Adopted:
    """A request of ours was accepted, and its state is ours now."""

    operation: PendingOperation
    moment: Moment | None


@dataclass(frozen=True, slots=True)
class Converged:
    """All have the state of this request: what was held may go."""

    control_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A Welcome has brought a group. *lost* is what we had under way."""

    moment: Moment
    committer: str
    is_new_era: bool
    has_ended: bool
    lost: PendingOperation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """A commit of somebody else has begun an epoch. *has_ended* and *has_revived*: end_mls came or went with it.
    *deliveries* are MLSMessages(PrivateMessage) with keys, to be opened now; *leaf* is that of the committer."""

    moment: Moment
    committer: str
    leaf: LeafIndex
    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    has_ended: bool = False
    has_revived: bool = False
    lost: PendingOperation | None = None
    deliveries: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposalKept:
    """A proposal waits to be committed. *asks_for_end*: it is an end_mls proposal, for whose commit the downgrade is
    ours to claim."""

    sender: str
    asks_for_end: bool = False


@dataclass(frozen=True, slots=True)
class ParkedControl:
    """A commit of a moment that has not come: the ones before it are missing. *is_era_gap*: only a Welcome helps."""

    base: Moment
    is_era_gap: bool


@dataclass(frozen=True, slots=True)
class NeedsServerState:
    """A Welcome of an era that we are in: whether it is a replay only the server's authenticator tells. Pull, and give
    the message again with it."""

    moment: Moment


@dataclass(frozen=True, slots=True)
class RemovedFromGroup:
    """A commit took our leaf away. The group is gone here."""

    committer: str


@dataclass(frozen=True, slots=True)
class GroupInfoReceived:
    """The answer to an ordinary pull."""

    info: MlsGroupInfo


class IgnoredWhy(Enum):
    """Why nothing was done about a message."""

    OUR_OWN = auto()
    OLD = auto()
    """Of an epoch or era that is over, or applied before in a replay: an idempotent success."""
    NOT_OURS = auto()
    """An answer to no request that is under way, or a Welcome for another device."""
    SERVER_REMOVAL = auto()
    """A ServerRemove of a peer: removal is for the server's notification to say."""
    SIGNATURE = auto()
    """An rcs_signature, which is no proposal to keep."""
    UNKNOWN_PROPOSAL = auto()
    REPLAYED_WELCOME = auto()
    LOST_RACE = auto()
    """A group that loses against the one that is held, where nobody arbitrates."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing was done, and nothing is reported."""

    why: IgnoredWhy


@dataclass(frozen=True, slots=True)
class ControlRefusal:
    """A message of the server plane that was not taken; nothing has changed. *reason* is what its sender is told, None
    for an impersonation, about which nobody is told."""

    detail: str
    reason: ClientFailureReason | None = ClientFailureReason.INVALID_COMMIT
    rule: str = ""


ControlOutcome: TypeAlias = (
    Adopted
    | Converged
    | Joined
    | Advanced
    | ProposalKept
    | ParkedControl
    | NeedsServerState
    | RemovedFromGroup
    | GroupInfoReceived
    | Ignored
    | ControlRefusal
)
