"""Commits made ready to be merged."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.proposals import Remove
from rcs_sim.mls.public_state import VerifiedCommit
from rcs_sim.mls.snapshot import snapshot
from rcs_sim.mls.staging import StagedCommit
from tests.rcs_sim.mls.test_proposal_validation import own_update
from tests.support.forge import commit_of, refusal
from tests.support.mls_groups import NOW_S, Party, established, received, share


def staged(party: Party, octets: bytes) -> StagedCommit:
    found = party.group.verify(received(party, octets), NOW_S)
    assert isinstance(found, VerifiedCommit)
    return party.group.stage_commit(found, NOW_S)


def test_staging_changes_nothing_and_tells_what_would() -> None:
    alice, bob, carol = established("alice", "bob", "carol")
    dave = Party("dave")
    request = CommitRequest(proposals=(Remove(LeafIndex(1)), dave.add()))
    octets = alice.group.commit(request, alice.random, NOW_S).message.encode()
    of_carol = staged(carol, octets)
    assert (of_carol.committer, of_carol.removed, of_carol.added) == (0, {1}, (1,))
    assert not of_carol.is_self_removed
    assert carol.group.epoch == 1
    assert of_carol.after is not None
    assert of_carol.after.public.epoch == 2
    of_bob = staged(bob, octets)
    assert of_bob.is_self_removed
    with pytest.raises(LocalProtocolError):
        bob.group.merge(of_bob)


def test_a_staged_commit_is_merged_where_it_was_staged_only() -> None:
    alice, bob, carol = established("alice", "bob", "carol")
    first = staged(carol, alice.group.commit(CommitRequest(), alice.random, NOW_S).message.encode())
    second = staged(carol, bob.group.commit(CommitRequest(), bob.random, NOW_S).message.encode())
    before = snapshot(carol.group)
    after = carol.group.merge(first)
    with pytest.raises(LocalProtocolError):
        after.merge(second)
    assert snapshot(carol.group) == before


def test_val830_an_update_of_ours_whose_key_is_lost_is_not_committed() -> None:
    alice, bob = established("alice", "bob")
    share(bob, (alice,), own_update(bob))  # made aside of the group, which does not have its key
    reference = next(iter(bob.group.proposals)).reference
    assert reference is not None
    pending = alice.group.commit(CommitRequest(), alice.random, NOW_S)
    assert refusal(bob, pending.message.encode()) == "VAL-830"
    assert refusal(bob, commit_of(alice, [reference])) == "ValSem201"
