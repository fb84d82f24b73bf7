"""The public half of a Commit: the tree and the GroupContext that it makes (RFC 9420 §12.4.1, §12.4.2).

A member adds the secrets to it, a server has no more than this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rcs_sim.mls.commit import Commit
from rcs_sim.mls.commit_validation import (
    verify_committer_stays_itself,
    verify_external_commit_has_path,
    verify_path_is_there,
)
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import Epoch, LeafIndex, SenderType
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.leaf_validation import verify_leaf_has_required_capabilities, verify_leaf_supports_extensions
from rcs_sim.mls.messages import AuthenticatedContent
from rcs_sim.mls.proposal_application import AppliedProposals, apply_proposals
from rcs_sim.mls.proposal_list import ProposalCache, resolve_proposals
from rcs_sim.mls.proposal_validation import required_capabilities, verify_leaf_body
from rcs_sim.mls.public_path import MergedPath, merge_path
from rcs_sim.mls.public_state import PublicState, VerifiedCommit
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import Seams
from rcs_sim.mls.transcript import confirmed_transcript_hash, interim_transcript_hash
from rcs_sim.mls.tree_validation import verify_credential_types

__all__ = ["FollowedCommit", "context_after", "follow_commit", "provisional_context", "verify_path_leaf"]


@dataclass(frozen=True, slots=True)
class FollowedCommit:
    """A Commit that keeps all rules that can be seen without a secret. *path_context* is the GroupContext to which the
    path secrets are bound, *state* the public half of the new epoch."""

    applied: AppliedProposals
    merged: MergedPath | None
    path_context: GroupContext
    state: PublicState


def provisional_context(state: PublicState, tree: RatchetTree, applied: AppliedProposals) -> GroupContext:
    """The GroupContext of the new epoch, with the transcript hash of the old one still (RFC 9420 §12.4.1)."""
    return replace(
        state.context,
        epoch=Epoch(state.epoch + 1),
        tree_hash=tree.tree_hash(),
        extensions=applied.extensions,
    )


def context_after(state: PublicState, provisional: GroupContext, signed: AuthenticatedContent) -> GroupContext:
    """The GroupContext of the new epoch. *signed* may lack the confirmation tag."""
    interim, signature = state.interim_transcript_hash, signed.auth.signature
    confirmed = confirmed_transcript_hash(state.suite, interim, signed.wire_format, signed.content, signature)
    return replace(provisional, confirmed_transcript_hash=confirmed)


def follow_commit(
    state: PublicState, verified: VerifiedCommit, cache: ProposalCache, seams: Seams, now_s: int | None
) -> FollowedCommit:
    """What *verified* makes of the epoch *state*, with the proposals in *cache*. The confirmation tag is for those who
    have secrets to verify. Raises MlsValidationError, or TlsDecodeError."""
    commit, committer = verified.commit, verified.sender.leaf_index
    if verified.sender.sender_type is SenderType.NEW_MEMBER_COMMIT:
        verify_external_commit_has_path(commit)
    new_leaf = None if committer is not None or commit.path is None else commit.path.leaf_node
    proposals = resolve_proposals(commit.proposals, verified.sender, cache)
    applied = apply_proposals(state, proposals, committer, new_leaf, seams, now_s)
    verify_path_is_there(commit.path, seams.is_path_required(proposals))
    merged = _merged(state, commit, applied, committer, seams, now_s)
    tree = applied.tree if merged is None else merged.tree
    provisional = provisional_context(state, tree, applied)
    context = context_after(state, provisional, verified.authenticated)
    return FollowedCommit(applied, merged, provisional, _state_after(state, context, tree, verified))


def _merged(
    state: PublicState,
    commit: Commit,
    applied: AppliedProposals,
    committer: LeafIndex | None,
    seams: Seams,
    now_s: int | None,
) -> MergedPath | None:
    if commit.path is None:
        return None
    before = None if committer is None else state.tree.leaf(committer)
    verify_path_leaf(state, commit.path.leaf_node, before, applied, seams, now_s)
    merged = merge_path(applied.tree, applied.committer, commit.path, state.group_id, applied.new_leaves)
    verify_credential_types(merged.tree)
    return merged


def verify_path_leaf(
    state: PublicState,
    leaf: LeafNode,
    before: LeafNode | None,
    applied: AppliedProposals,
    seams: Seams,
    now_s: int | None,
) -> None:
    """The rules of the leaf in a path which concern neither tree nor signature (RFC 9420 §7.3). *before* is what it
    replaces, None in an external Commit."""
    verify_leaf_body(state.suite, leaf, now_s)
    verify_leaf_has_required_capabilities(leaf, required_capabilities(applied.extensions))
    verify_leaf_supports_extensions(leaf, [each.extension_type for each in applied.extensions])
    if before is not None:
        verify_committer_stays_itself(before, leaf, seams.identity)
    if before is None or (before.credential, before.signature_key) != (leaf.credential, leaf.signature_key):
        seams.identity.verify_credential(leaf.credential, leaf.signature_key, now_s)


def _state_after(state: PublicState, context: GroupContext, tree: RatchetTree, verified: VerifiedCommit) -> PublicState:
    tag = verified.authenticated.auth.confirmation_tag
    if not tag:
        raise MlsValidationError("ValSem009", "a commit has no confirmation tag", spec="RFC 9420 §6.1")
    interim = interim_transcript_hash(state.suite, context.confirmed_transcript_hash, tag)
    return PublicState(state.suite, context, tree, interim, tag)
