"""What each Commit of a member has in it, and when it may be made at all (RCC.16 §7.11.2, §9.1, §9.4, §9.5).

All of them have a path but for an add. Extensions of the group are merged, never written anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rcs_sim.e2ee.certificate_floor import CertificateState, floor_state
from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.custom_proposals import RcsProposalType
from rcs_sim.e2ee.extension_bodies import (
    DowngradeReason,
    RcsExtensionType,
    end_mls_extension,
    replace_extension,
    without_extensions,
)
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.group_start import welcome_extensions
from rcs_sim.e2ee.member.operations import E2eeRefused, SealRefusal
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.proposals import Add, CustomProposal, GroupContextExtensions, Remove

__all__ = [
    "add_plan",
    "asks_for_end",
    "end_mls_plan",
    "extension_plan",
    "rekey_plan",
    "remove_leaves_plan",
    "remove_plan",
    "revive_plan",
    "self_update_plan",
    "stale_members",
    "sweep_plan",
]

_UPDATE_SPEC = "RCC.16 §9.5.3"


def _refuse(message: str, spec: str, numbers: Iterable[str] = ()) -> E2eeRefused:
    return E2eeRefused(SealRefusal.NOT_ALLOWED, message, spec=spec, numbers=frozenset(numbers))


def _check_not_ended(group: EncryptedGroup) -> None:
    """Nothing is refreshed in a group that has ended: that would encrypt it again."""
    if group.is_downgraded:
        raise E2eeRefused(SealRefusal.DOWNGRADED, "this group has ended MLS", spec="RCC.16 §9.1.1")


def rekey_plan(group: EncryptedGroup) -> CommitRequest:
    """Fresh keys for our leaf and its path; covers what proposals there are."""
    _check_not_ended(group)
    return CommitRequest()


def sweep_plan(group: EncryptedGroup) -> CommitRequest:
    """Covers all proposals that wait. Those that ask for the end of MLS are for `end_mls_plan` to cover."""
    _check_not_ended(group)
    if not len(group.group.proposals):
        raise _refuse("no proposal waits", "RFC 9420 §12.4")
    return CommitRequest()


def asks_for_end(group: EncryptedGroup) -> bool:
    """Whether an end_mls proposal waits, which is committed together with the extension (RCC.16 §9.1)."""
    found = (each.proposal for each in group.group.proposals)
    return any(isinstance(each, CustomProposal) and each.proposal_type == RcsProposalType.END_MLS for each in found)


def end_mls_plan(group: EncryptedGroup, reason: DowngradeReason) -> CommitRequest:
    """Brings in end_mls, in the form of the profile."""
    _check_not_ended(group)
    ending = end_mls_extension(group.setting.profile.end_mls_form, reason)
    return extension_plan(replace_extension(group.group.context.extensions, ending))


def revive_plan(group: EncryptedGroup) -> CommitRequest:
    """Takes end_mls away."""
    if not group.is_downgraded:
        raise _refuse("this group has not ended MLS", "RCC.16 §9.2")
    kept = without_extensions(group.group.context.extensions, (RcsExtensionType.END_MLS,))
    return extension_plan(kept)


def extension_plan(extensions: Extensions) -> CommitRequest:
    """The GroupContext gets this list of extensions."""
    return CommitRequest(proposals=(GroupContextExtensions(extensions),))


def stale_members(group: EncryptedGroup, now_s: int) -> frozenset[str]:
    """Numbers with a leaf whose certificate is not good for 30 days more. Any of them blocks every commit of others."""
    members = (leaf for _, leaf in group.group.tree.members())
    return frozenset(
        msisdn_of(leaf) for leaf in members if floor_state(leaf.credential, now_s) is not CertificateState.OK
    )


def self_update_plan(group: EncryptedGroup, now_s: int) -> CommitRequest:
    """Our leaf gets the certificate that we have now (RCC.16 §9.5.3). Raises E2eeRefused: the leaf has it already, it
    is inside the floor (A.4.1.5), or another member is."""
    _check_not_ended(group)
    identity = group.setting.identity
    if not group.has_stale_own_leaf:
        raise _refuse("our leaf has this certificate already", _UPDATE_SPEC)
    if floor_state(identity.credential, now_s) is not CertificateState.OK:
        raise _refuse("our certificate is inside the floor", "RCC.16 A.4.1.5", (identity.msisdn,))
    own = group.group.own_leaf
    others = [
        msisdn_of(leaf)
        for index, leaf in group.group.tree.members()
        if index != own and floor_state(leaf.credential, now_s) is not CertificateState.OK
    ]
    if others:
        raise _refuse("a certificate of another member is inside the floor", "RCC.16 A.4.3.1", others)
    return CommitRequest(client=group.setting.client)


def add_plan(group: EncryptedGroup, packages: Sequence[KeyPackage]) -> CommitRequest:
    """All devices of the participants that come in, in one Commit (RCC.16 §9.5)."""
    _check_not_ended(group)
    if not packages:
        raise _refuse("nobody is to be added", "RCC.16 §9.5")
    token = group.continuity_token
    return CommitRequest(
        proposals=tuple(map(Add, packages)),
        with_path=False,
        welcome_extensions=welcome_extensions(group.setting, token, group.welcome_extensions),
    )


def remove_plan(group: EncryptedGroup, numbers: Iterable[str]) -> CommitRequest:
    """Every leaf of the participants that go, by certified number (RCC.16 §9.5.1)."""
    _check_not_ended(group)
    leaves = [leaf for number in sorted(set(numbers)) for leaf in group.roster.leaves_of(number)]
    if not leaves or group.group.own_leaf in leaves:
        raise _refuse("nobody is to be removed, or we ourselves", "RCC.16 §9.5.1", numbers)
    return CommitRequest(proposals=tuple(map(Remove, leaves)))


def remove_leaves_plan(group: EncryptedGroup, leaves: Iterable[LeafIndex]) -> CommitRequest:
    """Devices of our own that are gone, and no participant with them: who has no other leaf stays (digest RCC.16
    §14.10)."""
    _check_not_ended(group)
    number, gone = group.own_number, sorted(set(leaves))
    if not gone or group.group.own_leaf in gone or any(group.roster.leaves.get(leaf) != number for leaf in gone):
        raise _refuse("no device of ours is to be removed, or this one", "RCC.16 §10.1.1", (number,))
    return CommitRequest(proposals=tuple(map(Remove, gone)))
