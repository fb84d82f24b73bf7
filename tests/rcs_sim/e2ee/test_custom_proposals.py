"""RCC.16's proposals and the rules of eras, in groups whose members talk by octets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.custom_proposals import (
    RCS_CUSTOM_BODIES,
    end_mls_proposal,
    rcs_seams,
    rcs_signature_proposal,
    self_remove_proposal,
    server_remove_proposal,
    verify_era_is_kept,
    verify_era_may_follow,
    verify_metadata_is_kept,
)
from rcs_sim.e2ee.extension_bodies import (
    EndMlsForm,
    RcsExtensionType,
    end_mls_extension,
    era_extension,
    era_of,
    value_extension,
)
from rcs_sim.e2ee.leaf_capabilities import leaf_capabilities
from rcs_sim.e2ee.profile import lineage_like_profile
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension, Extensions
from rcs_sim.mls.external import join_externally
from rcs_sim.mls.identifiers import ExtensionType, LeafIndex
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.proposals import CustomProposal, GroupContextExtensions, Proposal, Remove, decode_proposal
from rcs_sim.mls.seams import AnyIdentity
from tests.support.mls_groups import NOW_S, Party, commit, deliver, share, the_same_epoch

_ERA = era_extension(1)
_ENDED = end_mls_extension(EndMlsForm.LITERAL)
_SUBJECT = value_extension(RcsExtensionType.SUBJECT_COMMITMENT, bytes(32))


def number_of(leaf: LeafNode) -> str:
    """Who is called bob.1 and bob.2 is one participant."""
    assert isinstance(leaf.credential, BasicCredential)
    return leaf.credential.identity.decode().partition(".")[0]


POLICY = MemberPolicy(seams=rcs_seams(AnyIdentity(), number_of))


def party(name: str) -> Party:
    made = Party(name, POLICY)
    made.client = replace(made.client, capabilities=leaf_capabilities(lineage_like_profile()))
    return made


def group(*names: str, extensions: Extensions = (_ERA,)) -> list[Party]:
    parties = [party(name) for name in names]
    parties[0].create(extensions=extensions)
    commit(parties[0], (), joiners=parties[1:])
    return parties


def refusal(sender: Party, *proposals: Proposal) -> str:
    """The rule by which a commit of *proposals* is refused, by its own sender first of all."""
    with pytest.raises(MlsValidationError) as error:
        sender.group.commit(CommitRequest(proposals=proposals, with_path=True), sender.random, NOW_S)
    return error.value.rule


def joined(newcomer: Party, host: Party, *proposals: Proposal) -> bytes:
    info = host.group.group_info(with_tree=True)
    made = join_externally(
        newcomer.client, info, newcomer.random, proposals=proposals, policy=newcomer.policy, now_s=NOW_S
    )
    newcomer.group = made.group
    return made.message.encode()


@pytest.mark.parametrize(
    ("proposal", "octets"),
    [
        (end_mls_proposal(), "f00100"),
        (rcs_signature_proposal(), "f002"),
        (self_remove_proposal(), "f003"),
        (server_remove_proposal(LeafIndex(258)), "f00400000102"),
    ],
)
def test_bodies_have_no_length_but_that_of_end_mls(proposal: CustomProposal, octets: str) -> None:
    assert proposal.encode() == bytes.fromhex(octets)
    assert decode_proposal(bytes.fromhex(octets), RCS_CUSTOM_BODIES) == proposal


def test_who_leaves_is_removed_by_whoever_commits() -> None:
    alice, bob, carol = group("alice", "bob", "carol")
    share(bob, (alice, carol), self_remove_proposal())
    deliver(carol.group.commit(CommitRequest(), carol.random, NOW_S), carol, (alice, bob))
    assert not bob.is_member
    assert the_same_epoch(alice, carol)


def test_who_comes_back_takes_its_old_leaf_out() -> None:
    alice, bob, carol = group("alice", "bob", "carol")
    octets = joined(bob, alice, self_remove_proposal())
    for member in (alice, carol):
        member.follow(octets)
    assert the_same_epoch(alice, bob, carol)
    assert alice.group.tree.member_count == 3


def test_a_self_remove_of_who_was_no_member_is_refused() -> None:
    (alice,) = group("alice")
    with pytest.raises(MlsValidationError, match="RCC-SELFREMOVE"):
        joined(party("bob"), alice, self_remove_proposal())


def test_a_participant_whose_key_changed_takes_all_its_stale_leaves_out() -> None:
    alice, first, _, carol = group("alice", "bob.1", "bob.2", "carol")
    octets = joined(first, alice, Remove(LeafIndex(1)), server_remove_proposal(LeafIndex(2)))
    for member in (alice, carol):
        member.follow(octets)
    assert the_same_epoch(alice, first, carol)
    assert alice.group.tree.member_count == 3


def test_a_server_remove_reaches_no_other_participant_and_needs_its_remove() -> None:
    alice, bob, carol = group("alice", "bob.1", "carol")
    for proposals in (
        (Remove(LeafIndex(1)), server_remove_proposal(LeafIndex(2))),
        (Remove(LeafIndex(1)), server_remove_proposal(LeafIndex(9))),
        (server_remove_proposal(LeafIndex(1)),),
    ):
        with pytest.raises(MlsValidationError, match="RCC-SERVERREMOVE"):
            joined(bob, alice, *proposals)
    assert refusal(carol, Remove(LeafIndex(1)), server_remove_proposal(LeafIndex(0))) == "RCC-SERVERREMOVE"


def test_leaves_without_a_number_are_nobody_s_to_take_out() -> None:
    seams = rcs_seams(AnyIdentity())
    alice, bob = party("alice"), party("bob")
    alice.create()
    commit(alice, (), joiners=[bob])
    bob.policy = MemberPolicy(seams=seams)
    with pytest.raises(MlsValidationError, match="RCC-SERVERREMOVE"):
        joined(bob, alice, Remove(LeafIndex(1)), server_remove_proposal(LeafIndex(0)))


def test_the_signature_of_a_receipt_is_never_committed() -> None:
    alice, _ = group("alice", "bob")
    assert refusal(alice, rcs_signature_proposal()) == "RCC-SIGNATURE"


def test_the_end_of_mls_is_committed_with_its_extension() -> None:
    alice, bob = group("alice", "bob")
    share(bob, (alice,), end_mls_proposal())
    deliver_end = CommitRequest(proposals=(GroupContextExtensions((_ERA, _ENDED)),))
    deliver(alice.group.commit(deliver_end, alice.random, NOW_S), alice, (bob,))
    assert the_same_epoch(alice, bob)
    alice, _ = group("alice", "bob")
    assert refusal(alice, end_mls_proposal()) == "RCC-ENDMLS"


def test_nobody_comes_into_a_group_whose_mls_has_ended() -> None:
    alice, _ = group("alice", "bob", extensions=(_ERA, _ENDED))
    with pytest.raises(MlsValidationError, match="RCC-ENDED"):
        joined(party("carol"), alice)


@pytest.mark.parametrize("extensions", [(), (era_extension(2),), (Extension(RcsExtensionType.ERA, b"\0\0\0\0\1"),)])
def test_the_era_of_a_group_neither_changes_nor_goes(extensions: Extensions) -> None:
    alice, _ = group("alice", "bob")
    assert refusal(alice, GroupContextExtensions(extensions)) == "RCC-ERA"


def test_a_group_without_an_era_may_get_its_first() -> None:
    alice, bob = group("alice", "bob", extensions=())
    commit(alice, (bob,), GroupContextExtensions((_ERA,)))
    assert era_of(bob.group.context.extensions) == 1
    for wrong in (era_extension(0), Extension(RcsExtensionType.ERA, b"\1")):
        with pytest.raises(MlsValidationError, match="RCC-ERA"):
            verify_era_is_kept((), (wrong,))


def test_committed_metadata_stays() -> None:
    verify_metadata_is_kept((_ERA, _SUBJECT), (_SUBJECT, _ERA))
    changed = value_extension(RcsExtensionType.SUBJECT_COMMITMENT, b"\1" * 32)
    for after in ((_ERA,), (_ERA, changed)):
        with pytest.raises(MlsValidationError, match="RCC-METADATA"):
            verify_metadata_is_kept((_ERA, _SUBJECT), after)


def test_a_new_era_keeps_everything_but_the_era_and_the_end() -> None:
    odd = Extension(ExtensionType(0xF020), b"\xff verbatim")
    verify_era_may_follow((_ERA, _SUBJECT, odd, _ENDED), (era_extension(2), _SUBJECT, odd))
    with pytest.raises(MlsValidationError, match="RCC-ADVANCE"):
        verify_era_may_follow((_ERA, odd), (era_extension(2), replace(odd, extension_data=b"framed anew")))
