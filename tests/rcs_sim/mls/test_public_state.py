"""Whom a message is from, and the framing rules as a member applies them (ValSem002 to 011)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import Epoch, LeafIndex, SenderType, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage, PublicMessage, Sender
from rcs_sim.mls.proposals import Remove
from rcs_sim.mls.snapshot import restore, snapshot
from tests.support.forge import private_message, public_message, refusal, signed
from tests.support.mls_groups import NOW_S, Party, commit, established, received

_REMOVE = Remove(LeafIndex(1))


@pytest.fixture
def parties() -> list[Party]:
    """Of four, the last was removed: leaf 3 is blank."""
    alice, bob, carol, dave = established("alice", "bob", "carol", "dave")
    commit(alice, (bob, carol, dave), Remove(LeafIndex(3)))
    return [alice, bob, carol]


def test_valsem002_a_message_of_another_group_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    assert refusal(bob, public_message(alice, signed(alice, _REMOVE, group_id=b"other"))) == "ValSem002"
    private = signed(alice, b"x", group_id=b"other", wire_format=WireFormat.PRIVATE_MESSAGE)
    assert refusal(bob, private_message(alice, private)) == "ValSem002"


@pytest.mark.parametrize("epoch", [0, 3, 2**64 - 1])
def test_valsem003_a_message_of_an_epoch_that_is_not_kept_is_refused(parties: list[Party], epoch: int) -> None:
    alice, bob, _ = parties
    assert refusal(bob, public_message(alice, signed(alice, _REMOVE, epoch=Epoch(epoch)))) == "ValSem003"
    private = signed(alice, b"x", epoch=Epoch(epoch), wire_format=WireFormat.PRIVATE_MESSAGE)
    assert refusal(bob, private_message(alice, private)) == "ValSem003"


@pytest.mark.parametrize("leaf", [3, 4, 2**32 - 1])
def test_valsem004_a_sender_without_a_leaf_is_refused(parties: list[Party], leaf: int) -> None:
    alice, bob, _ = parties
    forged = signed(alice, _REMOVE, sender=Sender.member(LeafIndex(leaf)))
    assert refusal(bob, public_message(alice, forged)) == "ValSem004"


def test_valsem005_public_application_data_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    assert refusal(bob, public_message(alice, signed(alice, b"in the clear"))) == "ValSem005"


def test_valsem006_a_changed_private_message_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    octets = alice.seal(b"hello", b"beside")
    for place in range(40, len(octets), 7):
        assert refusal(bob, octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :])
    assert refusal(bob, octets.replace(b"beside", b"before")) == "ValSem006"
    assert bob.read(octets).application_data == b"hello"


def test_valsem007_a_member_without_membership_tag_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    made = signed(alice, _REMOVE)
    with pytest.raises(MlsValidationError) as refused:
        bob.group.verify(PublicMessage(made.content, made.auth, None), NOW_S)
    assert refused.value.rule == "ValSem007"


def test_valsem008_a_wrong_membership_tag_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    made = signed(alice, _REMOVE)
    assert refusal(bob, public_message(alice, made, membership_key=Secret(bytes(32)))) == "ValSem008"


def test_valsem009_a_commit_without_confirmation_tag_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    made = signed(alice, Commit((_REMOVE,), None))
    bare = replace(made, auth=replace(made.auth, confirmation_tag=None))
    with pytest.raises(MlsValidationError) as refused:
        bob.group.verify(PublicMessage(bare.content, bare.auth, b"tag"), NOW_S)
    assert refused.value.rule == "ValSem009"


def test_valsem010_a_member_cannot_speak_as_another(parties: list[Party]) -> None:
    alice, bob, carol = parties
    as_carol = Sender.member(carol.group.own_leaf)
    assert refusal(bob, public_message(alice, signed(alice, _REMOVE, sender=as_carol))) == "ValSem010"
    private = signed(alice, b"it is me", sender=as_carol, wire_format=WireFormat.PRIVATE_MESSAGE)
    assert refusal(bob, private_message(alice, private, as_leaf=carol.group.own_leaf)) == "ValSem010"
    assert bob.read(carol.seal(b"no, me")).application_data == b"no, me"


def test_valsem010_a_message_that_is_not_signed_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    made = signed(alice, b"x", wire_format=WireFormat.PRIVATE_MESSAGE)
    bare = replace(made, auth=replace(made.auth, signature=b""))
    assert refusal(bob, private_message(alice, bare)) == "ValSem010"


def test_valsem011_padding_that_is_not_zero_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    made = signed(alice, b"x", wire_format=WireFormat.PRIVATE_MESSAGE)
    assert refusal(bob, private_message(alice, made, padding=b"\0\0\1\0")) == "ValSem011"
    assert bob.read(private_message(alice, made, padding=bytes(9))).application_data == b"x"


def test_a_message_is_read_once_also_after_a_reload_and_from_a_past_epoch(parties: list[Party]) -> None:
    alice, bob, carol = parties
    first, late = alice.seal(b"first"), alice.seal(b"late")
    bob.read(first)
    assert refusal(bob, first) == "VAL-901"
    bob.group = restore(snapshot(bob.group), lambda _: bob.client.signature_key, bob.policy)
    assert refusal(bob, first) == "VAL-901"
    commit(carol, (alice, bob))
    assert refusal(bob, first) == "VAL-901"
    assert bob.read(late).application_data == b"late"
    assert refusal(bob, late) == "VAL-901"


def _with_other_data(octets: bytes) -> bytes:
    assert octets.count(b"beside") == 1
    return octets.replace(b"beside", b"before")


def test_changed_authenticated_data_is_refused_in_every_kind_of_message(parties: list[Party]) -> None:
    alice, bob, carol = parties
    public = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE)
    for policy, rule in ((alice.policy, "ValSem006"), (public, "ValSem008")):
        alice.group.policy = policy
        proposal = alice.group.propose(_REMOVE, alice.random, authenticated_data=b"beside", now_s=NOW_S)
        assert refusal(bob, _with_other_data(proposal.encode())) == rule
        request = CommitRequest(references=(), authenticated_data=b"beside")
        pending = alice.group.commit(request, alice.random, NOW_S)
        octets = pending.message.encode()
        assert refusal(bob, _with_other_data(octets)) == rule
        for party in (bob, carol):
            party.follow(octets)
        alice.group = alice.group.merge_pending()
    octets = alice.seal(b"hello", b"beside")
    assert refusal(bob, _with_other_data(octets)) == "ValSem006"
    assert bob.read(octets).authenticated_data == b"beside"


def test_a_member_cannot_change_the_authenticated_data_of_another(parties: list[Party]) -> None:
    """Though it can make the membership tag."""
    alice, bob, carol = parties
    made = signed(alice, _REMOVE)
    changed = replace(made, content=replace(made.content, authenticated_data=b"other"))
    assert refusal(bob, public_message(carol, changed)) == "ValSem010"


def test_handshakes_are_taken_once_too(parties: list[Party]) -> None:
    alice, bob, carol = parties
    proposal = alice.group.propose(_REMOVE, alice.random, now_s=NOW_S).encode()
    bob.keep(proposal)
    assert refusal(bob, proposal) == "VAL-901"
    carol.keep(proposal)
    octets = commit(carol, (alice, bob), with_path=False)
    assert not bob.is_member
    assert refusal(alice, octets) == "VAL-901"
    alice.group = restore(snapshot(alice.group), lambda _: alice.client.signature_key, alice.policy)
    assert refusal(alice, octets) == "VAL-901"


def test_a_generation_too_far_ahead_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    for _ in range(1026):
        octets = alice.seal(b"x")
    assert refusal(bob, octets) == "VAL-902"


def test_val810_who_is_outside_sends_no_commit_and_who_joins_no_proposal(parties: list[Party]) -> None:
    alice, bob, _ = parties
    for kind, content in ((SenderType.NEW_MEMBER_PROPOSAL, Commit((), None)), (SenderType.NEW_MEMBER_COMMIT, _REMOVE)):
        forged = signed(alice, content, sender=Sender(kind))
        assert refusal(bob, public_message(alice, forged)) == "VAL-810"


def test_val813_an_external_sender_that_is_not_listed_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    forged = signed(alice, _REMOVE, sender=Sender.external(0))
    assert refusal(bob, public_message(alice, forged)) == "VAL-813"


def test_val831_what_is_of_no_epoch_is_refused(parties: list[Party]) -> None:
    alice, bob, _ = parties
    with pytest.raises(MlsValidationError) as refused:
        bob.group.verify(MLSMessage(alice.group.group_info()))
    assert refused.value.rule == "VAL-831"


def test_a_tampered_commit_does_not_stand_in_the_way_of_the_genuine_one(parties: list[Party]) -> None:
    alice, bob, carol = parties
    octets = commit(alice, (carol,))
    for place in range(len(octets) - 1, 60, -97):
        assert refusal(bob, octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :])
    bob.follow(octets)
    assert bob.group.epoch_authenticator == alice.group.epoch_authenticator


def test_a_member_cannot_spoil_the_private_commit_of_another(parties: list[Party]) -> None:
    alice, bob, carol = parties
    pending = alice.group.commit(CommitRequest(), alice.random, NOW_S)
    genuine = carol.group.verify(received(carol, pending.message.encode()), NOW_S)
    stale = replace(genuine.authenticated, auth=replace(genuine.authenticated.auth, confirmation_tag=bytes(32)))
    assert refusal(bob, private_message(carol, stale, as_leaf=alice.group.own_leaf)) == "ValSem205"
    bob.follow(pending.message.encode())
