"""A server's view as octets."""

from __future__ import annotations

import pytest

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.identifiers import CipherSuiteId, LeafIndex, ProtocolVersion, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import ReInit, Remove
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_snapshot import restore_public, snapshot_public
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from tests.support.mls_groups import NOW_S, Party, commit, deliver, established

_PUBLIC = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE)


def reloaded(server: PublicGroup) -> PublicGroup:
    octets = snapshot_public(server)
    found = restore_public(octets)
    assert snapshot_public(found) == octets
    return found


def followed(server: PublicGroup, octets: bytes) -> PublicGroup:
    verified = server.verify(MLSMessage.decode(octets), NOW_S)
    assert isinstance(verified, VerifiedCommit)
    return server.merge(server.stage_commit(verified, NOW_S))


def test_a_server_goes_on_from_its_octets() -> None:
    alice, bob, carol = established("alice", "bob", "carol", policy=_PUBLIC)
    server = reloaded(PublicGroup.start(alice.group.group_info(with_tree=True)))
    octets = bob.group.propose(Remove(LeafIndex(2)), bob.random, now_s=NOW_S).encode()
    verified = server.verify(MLSMessage.decode(octets), NOW_S)
    assert isinstance(verified, VerifiedProposal)
    server.add_proposal(verified)
    for party in (alice, carol):
        party.keep(octets)
    pending = alice.group.commit(CommitRequest(), alice.random, NOW_S)
    deliver(pending, alice, (bob, carol))
    server = reloaded(followed(reloaded(server), pending.message.encode()))
    plan = ReInit(b"new", ProtocolVersion.MLS10, CipherSuiteId(1), ())
    server = reloaded(followed(server, commit(bob, (alice,), plan, with_path=False)))
    assert server.context == alice.group.context
    assert server.reinit == plan


def test_past_epochs_go_with_it_whoever_has_left_since() -> None:
    alice, bob, carol = established("alice", "bob", "carol", policy=_PUBLIC)
    server = PublicGroup.start(alice.group.group_info(with_tree=True))
    late = carol.group.propose(Remove(LeafIndex(1)), carol.random, now_s=NOW_S)
    for octets in (commit(bob, (alice, carol), Remove(LeafIndex(2))), commit(alice, (bob,), joiners=[Party("dave")])):
        server = followed(server, octets)
    server = reloaded(server)
    assert isinstance(server.verify(late, NOW_S), VerifiedProposal)
    assert [past.context.epoch for past in server.past_epochs] == [1, 2]
    assert [len(past.signature_keys) for past in server.past_epochs] == [4, 2]


def test_a_snapshot_of_version_1_has_no_past() -> None:
    (alice,) = established("alice", policy=_PUBLIC)
    server = PublicGroup.start(alice.group.group_info(with_tree=True))
    octets = snapshot_public(server)
    assert octets[:2] == b"\x00\x02"
    assert octets[-1:] == b"\x00"
    found = restore_public(b"\x00\x01" + octets[2:-1])
    assert found.context == server.context
    assert found.past_epochs == ()


@pytest.mark.parametrize("cut", [0, 1, 2, 100, -1])
def test_octets_that_are_no_snapshot_are_refused(cut: int) -> None:
    (alice,) = established("alice")
    octets = snapshot_public(PublicGroup.start(alice.group.group_info(with_tree=True)))
    for broken in (octets[:cut], b"\xff" + octets[1:]):
        with pytest.raises(TlsDecodeError):
            restore_public(broken)
