"""A server's view: it follows what members do, and refuses what it can see to be wrong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from rcs_sim.mls.commit import Commit
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.external import join_externally
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.identifiers import Epoch, LeafIndex, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage, PublicMessage, Sender
from rcs_sim.mls.proposals import Remove
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from tests.support.forge import commit_of, public_message, signed
from tests.support.mls_groups import NOW_S, Party, commit, deliver, established

_PUBLIC = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE)
_SECRET_MODULES = ("group", "group_state", "key_schedule", "private_framing", "psk", "secret_tree", "treekem")


def started(party: Party) -> PublicGroup:
    info = GroupInfo.decode(party.group.group_info().encode())
    return PublicGroup.start(info, ratchet_tree=party.group.ratchet_tree(), now_s=NOW_S)


def followed(server: PublicGroup, octets: bytes) -> PublicGroup:
    verified = server.verify(MLSMessage.decode(octets), NOW_S)
    assert isinstance(verified, VerifiedCommit)
    return server.merge(server.stage_commit(verified, NOW_S))


def refused(server: PublicGroup, octets: bytes) -> str:
    with pytest.raises(MlsValidationError) as error:
        followed(server, octets)
    return error.value.rule


def test_it_follows_commits_joins_and_removals() -> None:
    alice, bob, carol = established("alice", "bob", "carol", policy=_PUBLIC)
    server = started(alice)
    server = followed(server, commit(bob, (alice, carol), joiners=[Party("dave", _PUBLIC)]))
    server = followed(server, commit(carol, (alice, bob), Remove(LeafIndex(0))))
    erin = Party("erin", _PUBLIC)
    info = bob.group.group_info(with_tree=True)
    joined = join_externally(erin.client, info, erin.random, policy=_PUBLIC, now_s=NOW_S)
    server.verify_group_info(info)
    server = followed(server, joined.message.encode())
    assert server.context == joined.group.context
    server.verify_group_info(joined.group.group_info())
    assert server.ratchet_tree() == joined.group.ratchet_tree()


def test_it_keeps_proposals_for_a_commit_by_reference() -> None:
    alice, bob, carol = established("alice", "bob", "carol", policy=_PUBLIC)
    server = started(alice)
    octets = bob.group.propose(Remove(LeafIndex(2)), bob.random, now_s=NOW_S).encode()
    verified = server.verify(MLSMessage.decode(octets), NOW_S)
    assert isinstance(verified, VerifiedProposal)
    server.add_proposal(verified)
    for party in (alice, carol):
        party.keep(octets)
    pending = alice.group.commit(CommitRequest(), alice.random, NOW_S)
    deliver(pending, alice, (bob, carol))
    assert followed(server, pending.message.encode()).context == alice.group.context


def test_it_refuses_impersonation_late_commits_and_broken_rules() -> None:
    alice, bob, carol = established("alice", "bob", "carol", policy=_PUBLIC)
    server = started(alice)
    as_bob = signed(alice, Commit((), None), sender=Sender.member(bob.group.own_leaf))
    assert refused(server, public_message(alice, as_bob)) == "ValSem010"
    assert refused(server, commit_of(alice, [Remove(LeafIndex(0))])) == "ValSem200"
    assert refused(server, commit_of(alice, [])) == "ValSem201"
    assert refused(server, alice.seal(b"x")) == "VAL-831"
    server = followed(server, octets := commit(alice, (bob, carol)))
    assert refused(server, octets) == "ValSem003"


def test_a_late_proposal_still_says_who_has_signed_it() -> None:
    """As the carrier of a signature: it can no longer be committed."""
    alice, bob, carol = established("alice", "bob", "carol", policy=_PUBLIC)
    server = started(alice)
    late = public_message(carol, signed(carol, Remove(LeafIndex(0))))
    as_bob = public_message(carol, signed(carol, Remove(LeafIndex(0)), sender=Sender.member(LeafIndex(1))))
    a_commit = public_message(carol, signed(carol, Commit((), None)))
    untagged = signed(carol, Remove(LeafIndex(0)))
    nobody = public_message(carol, signed(carol, Remove(LeafIndex(0)), sender=Sender.member(LeafIndex(3))))
    server = followed(server, commit(bob, (alice, carol), Remove(LeafIndex(2))))
    server = followed(server, commit(alice, (bob,)))
    found = server.verify(MLSMessage.decode(late), NOW_S)
    assert isinstance(found, VerifiedProposal)
    assert (found.epoch, found.sender, found.credential) == (1, Sender.member(LeafIndex(2)), None)
    with pytest.raises(MlsValidationError) as error:
        server.add_proposal(found)
    assert error.value.rule == "ValSem003"
    assert refused(server, as_bob) == "ValSem010"
    assert refused(server, a_commit) == "ValSem003"
    assert refused(server, nobody) == "ValSem004"
    assert refused(server, MLSMessage(PublicMessage(untagged.content, untagged.auth, b"")).encode()) == "ValSem007"


def test_valsem003_only_so_many_epochs_are_kept() -> None:
    alice, bob = established("alice", "bob", policy=_PUBLIC)
    info, tree = alice.group.group_info(), alice.group.ratchet_tree()
    servers = [PublicGroup.start(info, ratchet_tree=tree, kept_epochs=kept) for kept in (0, 1, 2)]
    late = public_message(bob, signed(bob, Remove(LeafIndex(0))))
    external = public_message(bob, signed(bob, Remove(LeafIndex(0)), sender=Sender.external(0)))
    for octets in (commit(alice, (bob,)), commit(bob, (alice,))):
        servers = [followed(server, octets) for server in servers]
    assert [len(server.past_epochs) for server in servers] == [0, 1, 2]
    assert [refused(server, late) for server in servers[:2]] == ["ValSem003", "ValSem003"]
    assert isinstance(servers[2].verify(MLSMessage.decode(late)), VerifiedProposal)
    assert refused(servers[2], external) == "ValSem003"
    ahead = signed(alice, Remove(LeafIndex(1)), epoch=Epoch(9))
    assert refused(servers[2], public_message(alice, ahead)) == "ValSem003"


def test_valsem007_a_member_has_a_membership_tag() -> None:
    alice, _ = established("alice", "bob", policy=_PUBLIC)
    made = signed(alice, Remove(LeafIndex(1)))
    with pytest.raises(MlsValidationError) as error:
        started(alice).verify(PublicMessage(made.content, made.auth, None))
    assert error.value.rule == "ValSem007"


def test_val833_a_group_info_is_of_the_present_epoch() -> None:
    alice, bob = established("alice", "bob", policy=_PUBLIC)
    server = started(alice)
    old = alice.group.group_info()
    server = followed(server, commit(bob, (alice,)))
    for info in (old, replace(alice.group.group_info(), confirmation_tag=b"other")):
        with pytest.raises(MlsValidationError) as error:
            server.verify_group_info(info)
        assert error.value.rule == "VAL-833"


def test_it_loads_no_module_that_knows_a_secret() -> None:
    """As the import contract says, in a process of its own."""
    program = "import sys, rcs_sim.mls.public_group; print(*(name for name in sys.modules if '.mls.' in name))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "rcs_sim.mls.public_group" in loaded
    assert not {f"rcs_sim.mls.{name}" for name in _SECRET_MODULES} & set(loaded)
