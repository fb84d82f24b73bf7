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
from tests.support.mls_groups import NOW_S, commit, deliver, established

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


@pytest.mark.parametrize("cut", [0, 1, 2, 100, -1])
def test_octets_that_are_no_snapshot_are_refused(cut: int) -> None:
    (alice,) = established("alice")
    octets = snapshot_public(PublicGroup.start(alice.group.group_info(with_tree=True)))
    for broken in (octets[:cut], b"\xff" + octets[1:]):
        with pytest.raises(TlsDecodeError):
            restore_public(broken)
