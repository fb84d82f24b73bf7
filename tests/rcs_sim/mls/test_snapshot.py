"""Groups as octets."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.proposals import Remove
from rcs_sim.mls.snapshot import restore, snapshot
from tests.support.mls_groups import NOW_S, Party, commit, established, share, the_same_epoch


def reloaded(party: Party) -> None:
    octets = snapshot(party.group)
    party.group = restore(octets, lambda _: party.client.signature_key, party.policy)
    assert snapshot(party.group) == octets


def test_a_group_goes_on_from_its_octets_at_every_step() -> None:
    parties = alice, bob, carol = established("alice", "bob", "carol")
    early = carol.seal(b"early")
    for sender in (alice, bob, carol):
        commit(sender, [party for party in parties if party is not sender])
        for party in parties:
            reloaded(party)
        assert the_same_epoch(*parties)
    assert alice.read(early).application_data == b"early"
    assert bob.read(carol.seal(b"x")).application_data == b"x"


def test_a_pending_commit_survives() -> None:
    alice, bob, carol = established("alice", "bob", "carol")
    share(bob, (alice, carol), Remove(LeafIndex(2)))
    pending = alice.group.commit(CommitRequest(), alice.random, NOW_S)
    reloaded(alice)
    bob.follow(pending.message.encode())
    alice.group = alice.group.merge_pending()
    assert the_same_epoch(alice, bob)


def test_an_own_update_survives() -> None:
    alice, bob = established("alice", "bob")
    alice.keep(bob.group.propose_update(bob.random, now_s=NOW_S).encode())
    reloaded(bob)
    reloaded(alice)
    with pytest.raises(LocalProtocolError):
        bob.group.seal(b"x", bob.random)
    commit(alice, (bob,))
    assert the_same_epoch(alice, bob)
    reloaded(bob)
    assert alice.read(bob.seal(b"x")).application_data == b"x"


@pytest.mark.parametrize("cut", [0, 1, 2, 100, -1])
def test_octets_that_are_no_snapshot_are_refused(cut: int) -> None:
    (alice,) = established("alice")
    octets = snapshot(alice.group)
    with pytest.raises(TlsDecodeError):
        restore(octets[:cut], lambda _: alice.client.signature_key)
    with pytest.raises(TlsDecodeError):
        restore(b"\xff" + octets[1:], lambda _: alice.client.signature_key)
