"""The proposals of an epoch, and those that a Commit covers (RFC 9420 §12.1, §12.2, §12.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex, ProposalType
from rcs_sim.mls.messages import Sender
from rcs_sim.mls.proposals import (
    Add,
    CustomProposal,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ProposalOrRef,
    ProposalRef,
    ReInit,
    Remove,
    Update,
)

__all__ = ["MAX_CACHED_PROPOSALS", "ProposalCache", "ProposalList", "QueuedProposal", "resolve_proposals"]

MAX_CACHED_PROPOSALS = 4096  # of one epoch: nobody fills the memory of a group that does not commit

_P = TypeVar("_P")
_PATH_TYPES = frozenset(
    {ProposalType.UPDATE, ProposalType.REMOVE, ProposalType.EXTERNAL_INIT, ProposalType.GROUP_CONTEXT_EXTENSIONS}
)


@dataclass(frozen=True, slots=True)
class QueuedProposal:
    """A proposal and who sent it. *reference* is None for one by value, whose sender is the committer."""

    proposal: Proposal
    sender: Sender
    reference: ProposalRef | None = None

    @property
    def proposal_type(self) -> ProposalType:
        return self.proposal.proposal_type

    def as_covered(self) -> ProposalOrRef:
        """As it stands in a Commit."""
        return self.proposal if self.reference is None else self.reference


class ProposalCache:
    """The verified proposals of an epoch in the order received, by reference."""

    __slots__ = ("_found",)

    def __init__(self, found: Mapping[ProposalRef, QueuedProposal] | None = None) -> None:
        self._found = dict(found or {})

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[QueuedProposal]:
        return iter(self._found.values())

    def get(self, reference: ProposalRef) -> QueuedProposal | None:
        return self._found.get(reference)

    def add(self, reference: ProposalRef, proposal: Proposal, sender: Sender) -> None:
        """Keeps a proposal. Raises MlsValidationError (VAL-801) if there are too many."""
        if reference not in self._found and len(self._found) >= MAX_CACHED_PROPOSALS:
            message = f"an epoch has more than {MAX_CACHED_PROPOSALS} proposals"
            raise MlsValidationError("VAL-801", message, spec="RFC 9420 §12.1")
        self._found[reference] = QueuedProposal(proposal, sender, reference)

    def drop(self, reference: ProposalRef) -> None:
        """Forgets a proposal that is not to be committed."""
        self._found.pop(reference, None)


@dataclass(frozen=True, slots=True)
class ProposalList:
    """The proposals that a Commit covers, in its order."""

    entries: tuple[QueuedProposal, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[QueuedProposal]:
        return iter(self.entries)

    def _of(self, kind: type[_P]) -> list[_P]:
        return [each.proposal for each in self.entries if isinstance(each.proposal, kind)]

    @property
    def adds(self) -> list[Add]:
        return self._of(Add)

    @property
    def removes(self) -> list[Remove]:
        return self._of(Remove)

    @property
    def psks(self) -> list[PreSharedKey]:
        return self._of(PreSharedKey)

    @property
    def reinits(self) -> list[ReInit]:
        return self._of(ReInit)

    @property
    def external_inits(self) -> list[ExternalInit]:
        return self._of(ExternalInit)

    @property
    def context_extensions(self) -> list[GroupContextExtensions]:
        return self._of(GroupContextExtensions)

    @property
    def updates(self) -> list[tuple[LeafIndex, Update]]:
        """Each Update with the leaf of its sender. Those of others than members are left out: ValSem112."""
        found = [(each.sender.leaf_index, each.proposal) for each in self.entries]
        return [(leaf, update) for leaf, update in found if leaf is not None and isinstance(update, Update)]

    @property
    def customs(self) -> list[tuple[CustomProposal, Sender]]:
        found = [(each.proposal, each.sender) for each in self.entries]
        return [(custom, sender) for custom, sender in found if isinstance(custom, CustomProposal)]

    def needs_path(self) -> bool:
        """Whether the types that RFC 9420 defines, or there being none, make an UpdatePath necessary (§12.4)."""
        return not self.entries or any(each.proposal_type in _PATH_TYPES for each in self.entries)


def resolve_proposals(covered: Sequence[ProposalOrRef], sender: Sender, cache: ProposalCache) -> ProposalList:
    """The proposals that a Commit of *sender* covers (RFC 9420 §12.4.2). Raises MlsValidationError (VAL-802)."""
    return ProposalList(tuple(_resolve(each, sender, cache) for each in covered))


def _resolve(covered: ProposalOrRef, sender: Sender, cache: ProposalCache) -> QueuedProposal:
    if not isinstance(covered, bytes):
        return QueuedProposal(covered, sender)
    found = cache.get(covered)
    if found is None:
        message = "a commit covers a proposal that was not received"
        raise MlsValidationError("VAL-802", message, spec="RFC 9420 §12.4.2", raw=covered)
    return found
