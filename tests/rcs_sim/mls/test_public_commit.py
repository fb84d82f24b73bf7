"""The public half of a Commit."""

from __future__ import annotations

from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.proposals import Remove
from rcs_sim.mls.public_commit import context_after, follow_commit, provisional_context
from rcs_sim.mls.public_state import VerifiedCommit
from tests.support.mls_groups import NOW_S, established, received


def test_the_contexts_of_a_commit_differ_in_the_transcript_hash_alone() -> None:
    alice, bob, _ = established("alice", "bob", "carol")
    pending = alice.group.commit(CommitRequest(proposals=(Remove(LeafIndex(2)),)), alice.random, NOW_S)
    verified = bob.group.verify(received(bob, pending.message.encode()), NOW_S)
    assert isinstance(verified, VerifiedCommit)
    seams, public = bob.policy.seams, bob.group.public
    followed = follow_commit(public, verified, bob.group.proposals, seams, NOW_S)
    assert followed.path_context == provisional_context(public, followed.state.tree, followed.applied)
    assert followed.path_context.confirmed_transcript_hash == public.context.confirmed_transcript_hash
    assert followed.path_context.epoch == followed.state.epoch == 2
    assert followed.state.context == context_after(public, followed.path_context, verified.authenticated)
    assert followed.state.context == pending.staged.followed.state.context
    assert followed.state.tree.tree_hash() == followed.state.context.tree_hash
