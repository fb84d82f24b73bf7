"""Where an application joins in: identities, rules of its own for Commits, custom proposals, storage.

Nothing here knows a secret of a group; what only members decide (padding, wire formats, PSKs) is in member_policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from rcs_sim.mls.codec import CustomBodies, ReadBody
from rcs_sim.mls.credential import Credential
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.identifiers import LeafIndex, ProposalType
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.messages import Sender
from rcs_sim.mls.proposal_list import ProposalList
from rcs_sim.mls.proposals import CustomProposal, opaque_body
from rcs_sim.mls.ratchet_tree import RatchetTree

__all__ = [
    "AnyIdentity",
    "CommitScene",
    "CustomEffect",
    "CustomProposalRule",
    "GroupStorage",
    "IdentityProvider",
    "Seams",
    "no_effect",
]


class IdentityProvider(Protocol):
    """The Authentication Service (RFC 9420 §5.3.1)."""

    def verify_credential(self, credential: Credential, signature_key: bytes, now_s: int | None) -> None:
        """Raises MlsValidationError unless *credential* vouches for *signature_key* at *now_s*, seconds since 1970; of
        no particular time if that is None."""

    def identity_of(self, credential: Credential) -> bytes:
        """Octets that are the same for the same client."""

    def is_successor(self, before: Credential, after: Credential) -> bool:
        """Whether *after* may take the place of *before* in an Update, Commit or resync (RFC 9420 §5.3.1)."""


class AnyIdentity:
    """Takes every credential for what it says. A successor says the same."""

    __slots__ = ()

    def verify_credential(self, credential: Credential, signature_key: bytes, now_s: int | None) -> None:
        """Accepts."""

    def identity_of(self, credential: Credential) -> bytes:
        """The encoded credential."""
        return credential.encode()

    def is_successor(self, before: Credential, after: Credential) -> bool:
        """Whether both are equal."""
        return before == after


@dataclass(frozen=True, slots=True)
class CommitScene:
    """What there is to look at when a Commit is judged. *tree* and *extensions* are those before it; *committer* is
    None in an external Commit, and *new_leaf* the leaf in its path then."""

    tree: RatchetTree
    extensions: Extensions
    sender: Sender
    committer: LeafIndex | None
    new_leaf: LeafNode | None
    identity: IdentityProvider


@dataclass(frozen=True, slots=True)
class CustomEffect:
    """What a custom proposal does: members that leave, and a new list of GroupContext extensions if it is not None."""

    removes: tuple[LeafIndex, ...] = ()
    extensions: Extensions | None = None


Apply = Callable[[CustomProposal, Sender, CommitScene], CustomEffect]


def no_effect(_proposal: CustomProposal, _sender: Sender, _scene: CommitScene) -> CustomEffect:
    """A proposal whose meaning is the application's alone."""
    return CustomEffect()


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomProposalRule:
    """A proposal type of the application. *apply* may raise MlsValidationError. *extensions* in its effect are what
    the proposals before it have left, which is what *scene* shows."""

    proposal_type: ProposalType
    read_body: ReadBody = opaque_body
    needs_path: bool = False
    by_external_sender: bool = False
    in_external_commit: bool = False
    by_reference_in_external_commit: bool = False
    apply: Apply = no_effect


def _accept(_proposals: ProposalList, _scene: CommitScene) -> None:
    """The policy of who has none."""


def _is_path_free(_proposals: ProposalList) -> bool:
    return False


def _no_rules() -> Mapping[int, CustomProposalRule]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """What an application gives to a group of either view. *verify_proposals* raises MlsValidationError on a Commit
    that it does not want; *needs_path* asks for a path where RFC 9420 does not."""

    identity: IdentityProvider = field(default_factory=AnyIdentity)
    custom_proposals: Mapping[int, CustomProposalRule] = field(default_factory=_no_rules)
    verify_proposals: Callable[[ProposalList, CommitScene], None] = _accept
    needs_path: Callable[[ProposalList], bool] = _is_path_free

    def custom_bodies(self) -> CustomBodies:
        """How the bodies of the custom proposals are read, for ``MLSMessage.decode``."""
        return {number: rule.read_body for number, rule in self.custom_proposals.items()}

    def is_path_required(self, proposals: ProposalList) -> bool:
        """Whether a Commit that covers *proposals* has an UpdatePath (RFC 9420 §12.4)."""
        rules = (self.custom_proposals.get(custom.proposal_type) for custom, _ in proposals.customs)
        by_custom = any(rule is not None and rule.needs_path for rule in rules)
        return proposals.needs_path() or by_custom or self.needs_path(proposals)


class GroupStorage(Protocol):
    """Keeps one octet string per group. A write replaces it whole or not at all."""

    def load(self, group_id: bytes) -> bytes | None:
        """What was written last, None if there is nothing."""

    def replace(self, group_id: bytes, snapshot: bytes) -> None:
        """Writes in one step."""

    def delete(self, group_id: bytes) -> None:
        """Drops the group."""
