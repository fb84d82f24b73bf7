"""One atomic write per transition."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Remove
from rcs_sim.mls.public_state import VerifiedCommit
from rcs_sim.mls.stored_group import StoredGroup
from tests.support.mls_groups import GROUP_ID, NOW_S, Party, established


class Memory:
    """Keeps snapshots and counts writes."""

    def __init__(self) -> None:
        self.found: dict[bytes, bytes] = {}
        self.writes = 0

    def load(self, group_id: bytes) -> bytes | None:
        return self.found.get(group_id)

    def replace(self, group_id: bytes, snapshot: bytes) -> None:
        self.writes += 1
        self.found[group_id] = snapshot

    def delete(self, group_id: bytes) -> None:
        del self.found[group_id]


def stored(party: Party) -> tuple[Memory, StoredGroup]:
    memory = Memory()
    return memory, StoredGroup(party.group, memory)


def loaded(party: Party, memory: Memory) -> StoredGroup:
    return StoredGroup.load(memory, GROUP_ID, lambda _: party.client.signature_key, party.policy)


def test_a_message_that_was_read_is_not_read_again_after_a_crash() -> None:
    alice, bob = established("alice", "bob")
    memory, kept = stored(bob)
    message = MLSMessage.decode(alice.seal(b"hello"))
    kept.verify(message)
    assert memory.writes == 2
    with pytest.raises(MlsValidationError):
        loaded(bob, memory).verify(message)


def test_a_refused_message_writes_nothing() -> None:
    alice, bob = established("alice", "bob")
    memory, kept = stored(bob)
    octets = alice.seal(b"hello")
    with pytest.raises(MlsValidationError):
        kept.verify(MLSMessage.decode(octets[:-1] + bytes([octets[-1] ^ 1])))
    assert memory.writes == 1


def test_generations_are_not_used_twice_after_a_crash() -> None:
    alice, bob = established("alice", "bob")
    memory, kept = stored(alice)
    first = kept.seal(b"one", alice.random)
    again = loaded(alice, memory)
    second = again.seal(b"two", alice.random)
    assert bob.read(first.encode()).generation == 0
    assert bob.read(second.encode()).generation == 1


def test_commits_are_merged_cleared_and_end_the_group_of_who_is_removed() -> None:
    alice, bob = established("alice", "bob")
    memory, kept = stored(alice)
    kept.commit(CommitRequest(), alice.random, NOW_S)
    kept.clear_pending()
    pending = kept.commit(CommitRequest(proposals=(Remove(LeafIndex(1)),)), alice.random, NOW_S)
    of_bob, kept_by_bob = stored(bob)
    verified = kept_by_bob.verify(pending.message, NOW_S)
    assert isinstance(verified, VerifiedCommit)
    kept_by_bob.merge(kept_by_bob.stage_commit(verified, NOW_S))
    kept.merge_pending()
    assert loaded(alice, memory).group.epoch == 2
    with pytest.raises(LocalProtocolError):
        loaded(bob, of_bob)


def test_proposals_are_kept_and_dropped() -> None:
    alice, bob = established("alice", "bob")
    _, kept = stored(alice)
    _, of_bob = stored(bob)
    message = of_bob.propose(Remove(LeafIndex(0)), bob.random, now_s=NOW_S)
    kept.verify(message, NOW_S)
    (entry,) = kept.group.proposals
    assert entry.reference is not None
    kept.drop_proposal(entry.reference)
    assert len(kept.group.proposals) == 0
