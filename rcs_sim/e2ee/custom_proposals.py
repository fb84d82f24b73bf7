"""RCC.16's proposal types, and the rules that they and the era bring into a group (§7.11.1, §7.11.7 to §7.11.9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.extension_bodies import RcsExtensionType, era_of, has_end_mls
from rcs_sim.mls.codec import CustomBodies, encode_u32
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extensions, find_extension
from rcs_sim.mls.identifiers import LeafIndex, ProposalType
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.messages import Sender
from rcs_sim.mls.proposal_list import ProposalList
from rcs_sim.mls.proposals import CustomProposal, empty_body, fixed_body, opaque_body
from rcs_sim.mls.seams import CommitScene, CustomEffect, CustomProposalRule, IdentityProvider, Seams

__all__ = [
    "RCS_CUSTOM_BODIES",
    "ParticipantOf",
    "RcsProposalType",
    "end_mls_proposal",
    "rcs_seams",
    "rcs_signature_proposal",
    "self_remove_proposal",
    "server_remove_proposal",
    "verify_end_mls_is_committed_whole",
    "verify_era_is_kept",
    "verify_era_may_follow",
    "verify_metadata_is_kept",
    "verify_nobody_joins_what_has_ended",
    "verify_server_remove_goes_with_remove",
]

ParticipantOf = Callable[[LeafNode], str]
"""Digits of the number that a leaf's certificate names, "" if it names none."""

_COMMITMENTS = (RcsExtensionType.ICON_COMMITMENT, RcsExtensionType.SUBJECT_COMMITMENT)


class RcsProposalType:
    """Proposal types of RCC.16; their numbers say nothing about the extension types with the same ones."""

    END_MLS: Final = ProposalType(0xF001)
    RCS_SIGNATURE: Final = ProposalType(0xF002)
    SELF_REMOVE: Final = ProposalType(0xF003)
    SERVER_REMOVE: Final = ProposalType(0xF004)


RCS_CUSTOM_BODIES: CustomBodies = MappingProxyType(
    {
        RcsProposalType.END_MLS: opaque_body,
        RcsProposalType.RCS_SIGNATURE: empty_body,
        RcsProposalType.SELF_REMOVE: empty_body,
        RcsProposalType.SERVER_REMOVE: fixed_body(4),
    }
)
"""How their bodies are delimited, for ``MLSMessage.decode``."""


def end_mls_proposal() -> CustomProposal:
    """0xF001 of v3.0, withdrawn in v4.0."""
    return CustomProposal.of_opaque(RcsProposalType.END_MLS, b"")


def rcs_signature_proposal() -> CustomProposal:
    """0xF002: carries the signature of a receipt (RCC.16 §7.11.7.1)."""
    return CustomProposal(RcsProposalType.RCS_SIGNATURE, b"")


def self_remove_proposal() -> CustomProposal:
    """0xF003: its sender leaves (RCC.16 §7.11.8.1)."""
    return CustomProposal(RcsProposalType.SELF_REMOVE, b"")


def server_remove_proposal(leaf: LeafIndex) -> CustomProposal:
    """0xF004: one more leaf of a participant that comes in anew (RCC.16 §7.11.9)."""
    return CustomProposal(RcsProposalType.SERVER_REMOVE, encode_u32(leaf))


# --- rules of lists and of GroupContexts ------------------------------------------------------------------------------


def verify_era_is_kept(before: Extensions, after: Extensions) -> None:
    """RCC-ERA: in a group the era neither changes nor goes; one without may get its first (RCC.16 §7.11.1)."""
    held = find_extension(before, RcsExtensionType.ERA)
    if held is not None and find_extension(after, RcsExtensionType.ERA) != held:
        message = f"a commit moves the era from {era_of(before)} to {era_of(after)}"
        raise MlsValidationError("RCC-ERA", message, spec="RCC.16 §7.11.1")
    if held is None and find_extension(after, RcsExtensionType.ERA) is not None and not era_of(after):
        raise MlsValidationError("RCC-ERA", "a commit brings in an era that is none", spec="RCC.16 §7.11.1")


def verify_end_mls_is_committed_whole(proposals: ProposalList, after: Extensions) -> None:
    """RCC-ENDMLS: the proposal 0xF001 is committed together with the extension 0xF002 (RCC.16 §9.1)."""
    proposed = any(each.proposal_type == RcsProposalType.END_MLS for each in proposals)
    if proposed and not has_end_mls(after):
        message = "a commit covers the end of MLS and does not end it"
        raise MlsValidationError("RCC-ENDMLS", message, spec="RCC.16 §9.1")


def verify_metadata_is_kept(before: Extensions, after: Extensions) -> None:
    """RCC-METADATA: the commitments to subject and icon stay (RCC.16 §8.3). Not asked of a commit that changes them."""
    for extension_type in _COMMITMENTS:
        held = find_extension(before, extension_type)
        if held is not None and find_extension(after, extension_type) != held:
            message = f"extension 0x{extension_type:04X} is changed or dropped"
            raise MlsValidationError("RCC-METADATA", message, spec="RCC.16 §8.3")


def verify_era_may_follow(before: Extensions, after: Extensions) -> None:
    """RCC-ADVANCE: a new era keeps every extension of the old one but the era, and end_mls by the kind of the advance
    (RCC.16 §8.3)."""
    free = (RcsExtensionType.ERA, RcsExtensionType.END_MLS)
    for held in before:
        if held.extension_type not in free and held not in after:
            message = f"a new era drops or changes extension 0x{held.extension_type:04X}"
            raise MlsValidationError("RCC-ADVANCE", message, spec="RCC.16 §8.3")


def verify_server_remove_goes_with_remove(proposals: ProposalList) -> None:
    """RCC-SERVERREMOVE: a ServerRemove takes out further leaves beside the one of a Remove (RCC.16 §10.1.1)."""
    types = {each.proposal_type for each in proposals}
    if RcsProposalType.SERVER_REMOVE in types and ProposalType.REMOVE not in types:
        message = "a ServerRemove without the Remove that it goes with"
        raise MlsValidationError("RCC-SERVERREMOVE", message, spec="RCC.16 §10.1.1")


def verify_nobody_joins_what_has_ended(scene: CommitScene) -> None:
    """RCC-ENDED: there is no external Commit to a group whose MLS has ended: it would encrypt again (RCC.16 §9.1.1)."""
    if scene.committer is None and has_end_mls(scene.extensions):
        message = "an external commit to a group whose MLS has ended"
        raise MlsValidationError("RCC-ENDED", message, spec="RCC.16 §9.1.1")


def _verify_proposals(proposals: ProposalList, scene: CommitScene) -> None:
    changes = proposals.context_extensions
    after = changes[-1].extensions if changes else scene.extensions
    verify_era_is_kept(scene.extensions, after)
    verify_end_mls_is_committed_whole(proposals, after)
    verify_server_remove_goes_with_remove(proposals)
    verify_nobody_joins_what_has_ended(scene)


# --- what the proposals do --------------------------------------------------------------------------------------------


def _no_signature(_proposal: CustomProposal, _sender: Sender, _scene: CommitScene) -> CustomEffect:
    message = "a commit covers the signature of a receipt"
    raise MlsValidationError("RCC-SIGNATURE", message, spec="RCC.16 §7.11.7")


def _self_remove(_proposal: CustomProposal, sender: Sender, scene: CommitScene) -> CustomEffect:
    """Of a member: its leaf. By value in an external Commit: the older leaf of who comes in (RCC.16 §7.11.8)."""
    if sender.leaf_index is not None:
        return CustomEffect(removes=(sender.leaf_index,))
    if scene.new_leaf is None:
        raise MlsValidationError("RCC-SELFREMOVE", "a SelfRemove of no member", spec="RCC.16 §7.11.8")
    wanted = scene.identity.identity_of(scene.new_leaf.credential)
    for index, leaf in scene.tree.members():
        if scene.identity.identity_of(leaf.credential) == wanted:
            return CustomEffect(removes=(index,))
    raise MlsValidationError("RCC-SELFREMOVE", "a SelfRemove of who was no member", spec="RCC.16 §7.11.8")


def _server_remove(participant_of: ParticipantOf) -> Callable[..., CustomEffect]:
    def apply(proposal: CustomProposal, _sender: Sender, scene: CommitScene) -> CustomEffect:
        """Only in the external Commit of the same participant: elsewhere the server's notification is what removes
        (RCC.16 §9.5.1, §10.1.1)."""
        removed = LeafIndex(int.from_bytes(proposal.body, "big"))
        old = scene.tree.leaf(removed)
        new = scene.new_leaf
        digits = "" if new is None or old is None else participant_of(old)
        if not digits or new is None or participant_of(new) != digits:
            message = f"leaf {removed} is not its sender's to remove"
            raise MlsValidationError("RCC-SERVERREMOVE", message, spec="RCC.16 §7.11.9")
        return CustomEffect(removes=(removed,))

    return apply


def _rules(participant_of: ParticipantOf) -> Mapping[int, CustomProposalRule]:
    end_mls = CustomProposalRule(proposal_type=RcsProposalType.END_MLS, read_body=opaque_body, needs_path=True)
    signature = CustomProposalRule(
        proposal_type=RcsProposalType.RCS_SIGNATURE, read_body=empty_body, apply=_no_signature
    )
    self_remove = CustomProposalRule(
        proposal_type=RcsProposalType.SELF_REMOVE,
        read_body=empty_body,
        needs_path=True,
        in_external_commit=True,
        by_reference_in_external_commit=True,
        apply=_self_remove,
    )
    server_remove = CustomProposalRule(
        proposal_type=RcsProposalType.SERVER_REMOVE,
        read_body=fixed_body(4),
        needs_path=True,
        in_external_commit=True,
        apply=_server_remove(participant_of),
    )
    rules = (end_mls, signature, self_remove, server_remove)
    return MappingProxyType({int(rule.proposal_type): rule for rule in rules})


def rcs_seams(identity: IdentityProvider, participant_of: ParticipantOf = msisdn_of) -> Seams:
    """What RCC.16 gives to an MLS group of either view: identities, its proposal types, and its rules for Commits."""
    return Seams(identity=identity, custom_proposals=_rules(participant_of), verify_proposals=_verify_proposals)
