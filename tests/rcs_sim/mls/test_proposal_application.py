"""What proposals make of a group."""

from __future__ import annotations

from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.identifiers import ExtensionType, LeafIndex, LeafNodeSource
from rcs_sim.mls.messages import NEW_MEMBER_COMMIT, Sender
from rcs_sim.mls.proposal_application import apply_proposals
from rcs_sim.mls.proposal_list import ProposalList, QueuedProposal
from rcs_sim.mls.proposals import ExternalInit, GroupContextExtensions, Proposal, Remove
from rcs_sim.mls.seams import Seams
from tests.support.mls_groups import NOW_S, Party, established


def listed(*proposals: Proposal) -> ProposalList:
    return ProposalList(tuple(QueuedProposal(each, Sender.member(LeafIndex(0))) for each in proposals))


def test_removes_make_room_for_adds_and_extensions_are_replaced() -> None:
    alice, *_ = established("alice", "bob", "carol")
    dave, erin = Party("dave"), Party("erin")
    extension = Extension(ExtensionType(0xF001), b"x")
    proposals = listed(dave.add(), Remove(LeafIndex(1)), erin.add(), GroupContextExtensions((extension,)))
    applied = apply_proposals(alice.group.public, proposals, LeafIndex(0), None, Seams(), NOW_S)
    assert applied.new_leaves == (1, 3)
    assert [package.leaf_node.credential for _, package in applied.added] == [
        dave.client.credential,
        erin.client.credential,
    ]
    assert applied.removed == {1}
    assert applied.extensions == (extension,)
    assert alice.group.tree.member_count == 3
    assert applied.tree.member_count == 4


def test_a_member_that_is_removed_may_be_added_again_at_once() -> None:
    alice, bob, _ = established("alice", "bob", "carol")
    proposals = listed(Remove(LeafIndex(1)), bob.add())
    applied = apply_proposals(alice.group.public, proposals, LeafIndex(0), None, Seams(), NOW_S)
    assert applied.new_leaves == (1,)


def test_a_joiner_takes_the_first_free_leaf() -> None:
    alice, *_ = established("alice", "bob", "carol")
    leaf = Party("dave").client.unsigned_leaf(b"", LeafNodeSource.COMMIT)
    proposals = ProposalList((QueuedProposal(ExternalInit(bytes(32)), NEW_MEMBER_COMMIT),))
    applied = apply_proposals(alice.group.public, proposals, None, leaf, Seams(), NOW_S)
    assert applied.committer == 3
