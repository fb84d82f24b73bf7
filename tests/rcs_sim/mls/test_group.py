"""A member's view of a group."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import LeafIndex, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.private_framing import padme
from rcs_sim.mls.proposals import Remove
from tests.support.forge import refusal
from tests.support.mls_groups import NOW_S, Party, commit, deliver, established, share, the_same_epoch


@pytest.mark.parametrize("suite", range(1, 8))
def test_a_group_is_made_and_read_in_each_suite(suite: int) -> None:
    alice, bob, carol = established("alice", "bob", "carol", suite=CipherSuite.of(suite))
    assert the_same_epoch(alice, bob, carol)
    sealed = bob.seal(b"hello", b"beside")
    for reader in (alice, carol):
        read = reader.read(sealed)
        assert (read.application_data, read.authenticated_data, read.sender.leaf_index) == (b"hello", b"beside", 1)


def test_public_handshakes_lead_to_the_same_epoch() -> None:
    policy = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE, padding=padme)
    alice, bob, carol = established("alice", "bob", "carol", policy=policy)
    dave = Party("dave", policy)
    commit(bob, (alice, carol), joiners=[dave])
    commit(carol, (alice, bob, dave))
    assert the_same_epoch(alice, bob, carol, dave)


def test_a_removed_member_cannot_read_on() -> None:
    alice, bob, carol = established("alice", "bob", "carol")
    before = bob.group
    commit(alice, (bob, carol), Remove(LeafIndex(1)))
    assert not bob.is_member
    bob.group = before
    assert refusal(bob, alice.seal(b"x")) == "ValSem003"
    assert the_same_epoch(alice, carol)


def test_proposals_by_reference_are_committed_by_another() -> None:
    alice, bob, carol = established("alice", "bob", "carol")
    dave = Party("dave")
    share(alice, (bob, carol), dave.add())
    octets = bob.group.propose_update(bob.random, now_s=NOW_S).encode()
    for other in (alice, carol):
        other.keep(octets)
    pending = carol.group.commit(CommitRequest(), carol.random, NOW_S)
    deliver(pending, carol, (alice, bob), (dave,))
    assert the_same_epoch(alice, bob, carol, dave)


def test_a_pending_commit_is_cleared_when_another_wins() -> None:
    alice, bob = established("alice", "bob")
    alice.group.commit(CommitRequest(), alice.random, NOW_S)
    with pytest.raises(LocalProtocolError):
        alice.group.commit(CommitRequest(), alice.random, NOW_S)
    commit(bob, (alice,))
    assert the_same_epoch(alice, bob)
    assert alice.group.pending is None
