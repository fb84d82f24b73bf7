"""What the proposals of a Commit make of a group (RFC 9420 §12.3), once they have kept all rules (§12.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from rcs_sim.mls.commit_validation import (
    verify_committer_is_not_removed,
    verify_committer_stays_itself,
    verify_external_commit_has_no_references,
    verify_external_commit_types,
    verify_external_init_is_single,
    verify_external_init_is_there,
    verify_external_removes_are_single,
    verify_external_removes_own,
)
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.identifiers import LeafIndex, LeafNodeSource, ResumptionPskUsage
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.leaf_validation import verify_leaf_encryption_key, verify_leaf_signature, verify_leaf_source
from rcs_sim.mls.messages import NEW_MEMBER_COMMIT, Sender
from rcs_sim.mls.proposal_list import ProposalList
from rcs_sim.mls.proposal_validation import (
    verify_added_clients,
    verify_added_encryption_keys,
    verify_added_init_keys,
    verify_added_signature_keys,
    verify_committer_does_not_update,
    verify_context_extension_bodies,
    verify_context_extensions_are_single,
    verify_context_extensions_are_supported,
    verify_context_extensions_do_not_repeat,
    verify_key_package,
    verify_key_package_supports_group,
    verify_leaf_body,
    verify_leaf_changes_once,
    verify_no_external_init,
    verify_proposal_sender,
    verify_proposal_types_are_supported,
    verify_psk_nonce,
    verify_psk_usage,
    verify_psks_are_single,
    verify_reinit_is_alone,
    verify_reinit_version,
    verify_removed_are_members,
    verify_update_encryption_keys,
    verify_update_senders,
    verify_update_supports_group,
    verify_updated_signature_keys,
)
from rcs_sim.mls.proposals import (
    Add,
    CustomProposal,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    Update,
)
from rcs_sim.mls.public_state import PublicState
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import CommitScene, IdentityProvider, Seams
from rcs_sim.mls.tree_validation import verify_credential_types

__all__ = ["AppliedProposals", "apply_proposals", "verify_proposal"]


@dataclass(frozen=True, slots=True)
class AppliedProposals:
    """*tree* and *extensions* after the proposals. *committer* is the place of the sender there; in an external Commit
    a leaf without keys holds it. *added* are in the order of the Adds."""

    proposals: ProposalList
    tree: RatchetTree
    extensions: Extensions
    committer: LeafIndex
    added: tuple[tuple[LeafIndex, KeyPackage], ...]
    removed: frozenset[LeafIndex]
    updated: tuple[LeafIndex, ...]

    @property
    def new_leaves(self) -> tuple[LeafIndex, ...]:
        return tuple(leaf for leaf, _ in self.added)


def verify_proposal(
    proposal: Proposal,
    sender: Sender,
    state: PublicState,
    seams: Seams,
    now_s: int | None,
    psk_usage: ResumptionPskUsage = ResumptionPskUsage.APPLICATION,
    leaving: Collection[LeafIndex] = (),
) -> None:
    """The rules of one proposal (RFC 9420 §12.1). *leaving* are removed by the Commit that has it. Raises
    MlsValidationError, or TlsDecodeError."""
    custom = [number for number, rule in seams.custom_proposals.items() if rule.by_external_sender]
    verify_update_senders(proposal, sender)
    verify_proposal_sender(proposal, sender, custom)
    match proposal:
        case Add(key_package=key_package):
            _verify_key_package(key_package, state, seams, now_s)
        case Update(leaf_node=leaf):
            _verify_update(leaf, LeafIndex(sender.index or 0), state, seams, now_s)
        case Remove(removed=removed):
            verify_removed_are_members(state.tree, [removed])
        case PreSharedKey(psk=psk):
            verify_psk_nonce(state.suite, psk)
            verify_psk_usage(psk, psk_usage)
        case ReInit():
            verify_reinit_version(proposal)
        case GroupContextExtensions(extensions=extensions):
            verify_context_extensions_do_not_repeat(extensions)
            verify_context_extension_bodies(extensions)
        case ExternalInit():
            pass
        case CustomProposal():
            verify_proposal_types_are_supported(state.tree, [proposal.proposal_type], leaving)


def _verify_key_package(key_package: KeyPackage, state: PublicState, seams: Seams, now_s: int | None) -> None:
    leaf = key_package.leaf_node
    verify_key_package(state.suite, key_package, now_s)
    seams.identity.verify_credential(leaf.credential, leaf.signature_key, now_s)


def _verify_update(leaf: LeafNode, sender: LeafIndex, state: PublicState, seams: Seams, now_s: int | None) -> None:
    before = state.tree.leaf(sender)
    assert before is not None  # the sender was found by it
    verify_leaf_source(leaf, LeafNodeSource.UPDATE)
    verify_leaf_body(state.suite, leaf, now_s)
    verify_leaf_encryption_key(state.suite, leaf)
    verify_leaf_signature(state.suite, leaf, state.group_id, sender)
    verify_committer_stays_itself(before, leaf, seams.identity)
    if before.credential != leaf.credential or before.signature_key != leaf.signature_key:
        seams.identity.verify_credential(leaf.credential, leaf.signature_key, now_s)


def apply_proposals(
    state: PublicState,
    proposals: ProposalList,
    committer: LeafIndex | None,
    new_leaf: LeafNode | None,
    seams: Seams,
    now_s: int | None,
    psk_usage: ResumptionPskUsage = ResumptionPskUsage.APPLICATION,
) -> AppliedProposals:
    """The group after *proposals*, which a member, *committer*, commits, or somebody who joins with *new_leaf*. Those
    by reference were verified when they came. Raises MlsValidationError, or TlsDecodeError."""
    sender = NEW_MEMBER_COMMIT if committer is None else Sender.member(committer)
    scene = CommitScene(state.tree, state.context.extensions, sender, committer, new_leaf, seams.identity)
    if committer is not None and not proposals:  # a path alone: there is nothing that a rule is about
        seams.verify_proposals(proposals, scene)
        return AppliedProposals(proposals, state.tree, scene.extensions, committer, (), frozenset(), ())
    _verify_list(state, proposals, scene, seams)
    leaving = frozenset(remove.removed for remove in proposals.removes)
    for each in proposals:
        if each.reference is None:
            verify_proposal(each.proposal, each.sender, state, seams, now_s, psk_usage, leaving)
    seams.verify_proposals(proposals, scene)
    removed, extensions = _effects(proposals, scene, seams)
    verify_leaf_changes_once([*(leaf for leaf, _ in proposals.updates), *removed])
    verify_removed_are_members(state.tree, removed)
    if committer is not None:
        verify_committer_is_not_removed(committer, removed)
    applied = _applied(scene, proposals, removed, extensions)
    _verify_result(state, applied, seams.identity)
    return applied


def _applied(
    scene: CommitScene, proposals: ProposalList, removed: list[LeafIndex], extensions: Extensions
) -> AppliedProposals:
    """The tree after the proposals, in the order of RFC 9420 §12.3; who joins by the Commit takes a place at last."""
    leaves = {leaf: update.leaf_node for leaf, update in proposals.updates}
    packages = [add.key_package for add in proposals.adds]
    added = [package.leaf_node for package in packages]
    if scene.new_leaf is not None:
        added.append(replace(scene.new_leaf, encryption_key=b"", signature_key=b""))
    tree, places = scene.tree.with_changes(leaves, removed, added)
    return AppliedProposals(
        proposals=proposals,
        tree=tree,
        extensions=extensions,
        committer=places[-1] if scene.committer is None else scene.committer,
        added=tuple(zip(places[: len(packages)], packages, strict=True)),
        removed=frozenset(removed),
        updated=tuple(leaves),
    )


def _verify_list(state: PublicState, proposals: ProposalList, scene: CommitScene, seams: Seams) -> None:
    if scene.committer is None:
        _verify_external(proposals, scene, seams)
    else:
        verify_committer_does_not_update(proposals, scene.committer)
        verify_no_external_init(proposals)
    leaving = frozenset(remove.removed for remove in proposals.removes)
    verify_proposal_types_are_supported(state.tree, [each.proposal_type for each in proposals], leaving)
    verify_added_init_keys(proposals.adds)
    verify_psks_are_single([each.psk for each in proposals.psks])
    verify_context_extensions_are_single(proposals.context_extensions)
    verify_reinit_is_alone(proposals)


def _verify_external(proposals: ProposalList, scene: CommitScene, seams: Seams) -> None:
    assert scene.new_leaf is not None
    verify_external_commit_has_no_references(proposals, seams.custom_proposals)
    verify_external_init_is_there(proposals)
    verify_external_init_is_single(proposals)
    verify_external_commit_types(proposals, seams.custom_proposals)
    verify_external_removes_are_single(proposals)
    verify_external_removes_own(proposals, scene.tree, scene.new_leaf, seams.identity)


def _effects(proposals: ProposalList, scene: CommitScene, seams: Seams) -> tuple[list[LeafIndex], Extensions]:
    """Who leaves, and the extensions of the new GroupContext: of the proposals of RFC 9420, then of custom ones."""
    removed = [remove.removed for remove in proposals.removes]
    extensions = scene.extensions
    for change in proposals.context_extensions:
        extensions = change.extensions
    for custom, sender in proposals.customs:
        rule = seams.custom_proposals.get(custom.proposal_type)
        if rule is not None:
            effect = rule.apply(custom, sender, replace(scene, extensions=extensions))
            removed += effect.removes
            extensions = extensions if effect.extensions is None else effect.extensions
    return removed, extensions


def _verify_result(state: PublicState, applied: AppliedProposals, identity: IdentityProvider) -> None:
    """The rules of new leaves among the others, and of those others under new extensions (RFC 9420 §7.3)."""
    adds, tree, extensions = applied.proposals.adds, applied.tree, applied.extensions
    verify_added_signature_keys(adds, tree)
    verify_added_encryption_keys(adds, tree)
    verify_added_clients(adds, tree, identity)
    updated = list(_leaves(tree, applied.updated))
    verify_update_encryption_keys(updated, state.tree, tree)
    verify_updated_signature_keys(updated, tree)
    if extensions != state.context.extensions:
        verify_context_extensions_do_not_repeat(extensions)
    for add in adds:
        verify_key_package_supports_group(add.key_package, extensions)
    for leaf in updated:
        verify_update_supports_group(leaf, extensions)
    if extensions != state.context.extensions:
        verify_context_extensions_are_supported(tree, extensions)
    verify_credential_types(tree)


def _leaves(tree: RatchetTree, places: Iterable[LeafIndex]) -> Iterable[LeafNode]:
    return (leaf for leaf in map(tree.leaf, places) if leaf is not None)
