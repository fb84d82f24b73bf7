"""Coming in and speaking from outside."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.mls.client import capabilities_of
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import ExternalPub, ExternalSender, ExternalSenders
from rcs_sim.mls.external import external_pub_of, find_own_leaf, join_externally, propose_as_sender, propose_to_join
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage, Sender
from rcs_sim.mls.proposals import (
    CustomProposal,
    ExternalInit,
    GroupContextExtensions,
    Proposal,
    Remove,
    empty_body,
)
from rcs_sim.mls.seams import AnyIdentity, CommitScene, CustomEffect, CustomProposalRule, Seams
from tests.support.forge import refusal
from tests.support.mls_groups import (
    CUSTOM,
    GROUP_ID,
    NOW_S,
    SUITE,
    Party,
    commit,
    deliver,
    established,
    the_same_epoch,
)


def leaves_itself(_proposal: CustomProposal, sender: Sender, scene: CommitScene) -> CustomEffect:
    """SelfRemove: the member that sent it leaves; of who joins, the leaf that it had."""
    if sender.leaf_index is not None:
        return CustomEffect(removes=(sender.leaf_index,))
    assert scene.new_leaf is not None
    own = scene.identity.identity_of(scene.new_leaf.credential)
    found = [index for index, leaf in scene.tree.members() if scene.identity.identity_of(leaf.credential) == own]
    return CustomEffect(removes=tuple(found))


SELF_REMOVE = CustomProposalRule(
    proposal_type=CUSTOM, read_body=empty_body, needs_path=True, in_external_commit=True, apply=leaves_itself
)
POLICY = MemberPolicy(seams=Seams(custom_proposals={CUSTOM: SELF_REMOVE}))


def resynced(party: Party, host: Party, proposal: Proposal) -> bytes:
    info = host.group.group_info(with_tree=True)
    joined = join_externally(party.client, info, party.random, proposals=(proposal,), policy=party.policy, now_s=NOW_S)
    party.group = joined.group
    return joined.message.encode()


def test_a_member_that_lost_its_state_comes_back_by_an_external_commit() -> None:
    alice, bob, carol = established("alice", "bob", "carol")
    lost = find_own_leaf(alice.group.tree, bob.client, AnyIdentity())
    assert lost == 1
    octets = resynced(bob, alice, Remove(lost))
    for party in (alice, carol):
        party.follow(octets)
    assert the_same_epoch(alice, bob, carol)
    assert alice.group.tree.member_count == 3
    commit(carol, (alice, bob))
    assert the_same_epoch(alice, bob, carol)


def test_a_custom_proposal_takes_the_old_leaf_out_in_a_resync() -> None:
    alice, bob, carol = established("alice", "bob", "carol", policy=POLICY)
    octets = resynced(bob, carol, CustomProposal(CUSTOM, b""))
    for party in (alice, carol):
        party.follow(octets)
    assert the_same_epoch(alice, bob, carol)
    assert alice.group.tree.member_count == 3


def test_a_member_leaves_by_a_custom_proposal_that_another_commits() -> None:
    alice, bob, carol = established("alice", "bob", "carol", policy=POLICY)
    octets = bob.group.propose(CustomProposal(CUSTOM, b""), bob.random, now_s=NOW_S).encode()
    for party in (alice, carol):
        party.keep(octets)
    pending = carol.group.commit(CommitRequest(with_path=False), carol.random, NOW_S)
    deliver(pending, carol, (alice, bob))
    assert not bob.is_member
    assert the_same_epoch(alice, carol)


def test_a_new_member_proposes_itself() -> None:
    alice, bob = established("alice", "bob")
    carol = Party("carol")
    octets = propose_to_join(carol.key_package(), GROUP_ID, alice.group.epoch).encode()
    for party in (alice, bob):
        party.keep(octets)
    deliver(bob.group.commit(CommitRequest(), bob.random, NOW_S), bob, (alice,), (carol,))
    assert the_same_epoch(alice, bob, carol)


def test_valsem010_a_new_member_signs_with_the_key_of_its_key_package() -> None:
    alice, _ = established("alice", "bob")
    carol, dave = Party("carol"), Party("dave")
    keys = replace(carol.key_package(), signature_key=dave.client.signature_key)
    assert refusal(alice, propose_to_join(keys, GROUP_ID, alice.group.epoch).encode()) == "ValSem010"


def test_an_external_sender_that_the_group_lists_removes_a_member() -> None:
    key = SUITE.scheme.generate(Party("server").random)
    senders = ExternalSenders((ExternalSender(key.public, BasicCredential(b"server")),)).as_extension()
    alice, bob, carol = established("alice", "bob", "carol", extensions=(senders,))
    epoch = alice.group.epoch
    octets = propose_as_sender(SUITE, key, 0, GROUP_ID, epoch, Remove(LeafIndex(1))).encode()
    for party in (alice, bob, carol):
        party.keep(octets)
    deliver(carol.group.commit(CommitRequest(), carol.random, NOW_S), carol, (alice, bob))
    assert not bob.is_member
    assert the_same_epoch(alice, carol)


@pytest.mark.parametrize("proposal", [ExternalInit(bytes(32)), CustomProposal(CUSTOM, b"\0")])
def test_val805_an_external_sender_proposes_only_what_it_may(proposal: Proposal) -> None:
    key = SUITE.scheme.generate(Party("server").random)
    senders = ExternalSenders((ExternalSender(key.public, BasicCredential(b"server")),)).as_extension()
    alice, _ = established("alice", "bob", extensions=(senders,))
    assert refusal(alice, propose_as_sender(SUITE, key, 0, GROUP_ID, alice.group.epoch, proposal).encode()) == "VAL-805"
    change = GroupContextExtensions(())
    wrong = SUITE.scheme.generate(Party("nobody").random)
    octets = propose_as_sender(SUITE, wrong, 0, GROUP_ID, alice.group.epoch, change).encode()
    assert refusal(alice, octets) == "ValSem010"


def test_val829_a_group_info_is_signed_by_the_member_it_names() -> None:
    alice, bob = established("alice", "bob")
    info = alice.group.group_info(with_tree=True)
    carol = Party("carol")
    for forged in (replace(info, signer=bob.group.own_leaf), replace(info, signature=b"none")):
        with pytest.raises(MlsValidationError) as refused:
            join_externally(carol.client, forged, carol.random, now_s=NOW_S)
        assert refused.value.rule == "VAL-829"


def test_val834_a_group_info_without_external_pub_admits_nobody() -> None:
    (alice,) = established("alice")
    with pytest.raises(MlsValidationError) as refused:
        external_pub_of(alice.group.group_info(with_external_pub=False))
    assert refused.value.rule == "VAL-834"


def test_val835_an_external_pub_is_a_key() -> None:
    (alice,) = established("alice")
    info = _signed_with(alice, ExternalPub(b"none"))
    carol = Party("carol")
    with pytest.raises(MlsValidationError) as refused:
        join_externally(carol.client, info, carol.random, ratchet_tree=alice.group.ratchet_tree(), now_s=NOW_S)
    assert refused.value.rule == "VAL-835"


def _signed_with(party: Party, external_pub: ExternalPub) -> GroupInfo:
    return party.group.group_info(with_external_pub=False, extensions=(external_pub.as_extension(),))


def test_what_joins_has_the_capabilities_of_the_group() -> None:
    alice, bob = established("alice", "bob")
    carol = Party("carol")
    carol.client = replace(carol.client, capabilities=capabilities_of(carol.client.credential))
    info = alice.group.group_info(with_tree=True)
    joined = join_externally(carol.client, info, carol.random, now_s=NOW_S)
    bob.follow(MLSMessage.decode(joined.message.encode()).encode())
    assert bob.group.epoch_authenticator == joined.group.epoch_authenticator
