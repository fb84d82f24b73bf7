"""The secret half of an epoch and what is kept of past ones."""

from __future__ import annotations

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_state import find_psk_secret, psk_lookup
from rcs_sim.mls.identifiers import Epoch, LeafIndex, ResumptionPskUsage, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.proposals import Remove
from rcs_sim.mls.psk_id import ResumptionPskID
from rcs_sim.mls.public_state import VerifiedProposal
from tests.support.forge import public_message, refusal, signed
from tests.support.mls_groups import NOW_S, SUITE, commit, established, received


def test_past_epochs_are_kept_for_as_many_as_the_policy_says() -> None:
    alice, bob = established("alice", "bob", policy=MemberPolicy(past_epochs=2))
    sealed = []
    for _ in range(4):
        sealed.append(alice.seal(b"x"))
        commit(alice, (bob,))
    assert [past.context.epoch for past in bob.group.past_epochs] == [3, 4]
    assert refusal(bob, sealed[0]) == refusal(bob, sealed[1]) == "ValSem003"
    assert bob.read(sealed[2]).application_data == bob.read(sealed[3]).application_data == b"x"


def test_without_past_epochs_nothing_old_is_read() -> None:
    alice, bob = established("alice", "bob", policy=MemberPolicy(past_epochs=0))
    octets = alice.seal(b"x")
    commit(alice, (bob,))
    assert refusal(bob, octets) == "ValSem003"


def test_a_proposal_of_a_past_epoch_is_verified_and_cannot_be_committed() -> None:
    policy = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE)
    alice, bob, carol = established("alice", "bob", "carol", policy=policy)
    octets = public_message(alice, signed(alice, Remove(LeafIndex(1))))
    forged = public_message(alice, signed(alice, Remove(LeafIndex(1)), key=bob.client.signature_key))
    commit(carol, (alice, bob), Remove(LeafIndex(0)))
    found = bob.group.verify(received(bob, octets), NOW_S)
    assert isinstance(found, VerifiedProposal)
    assert (found.epoch, found.sender.leaf_index) == (1, 0)
    with pytest.raises(MlsValidationError) as refused:
        bob.group.add_proposal(found)
    assert refused.value.rule == "ValSem003"
    assert refusal(bob, forged) == "ValSem010"


def test_a_commit_of_a_past_epoch_is_too_late() -> None:
    alice, bob = established("alice", "bob")
    octets = commit(alice, (bob,))
    assert refusal(bob, octets) in {"ValSem003", "VAL-901"}


def test_valsem400_resumption_psks_are_kept_for_a_bounded_number_of_epochs() -> None:
    alice, bob = established("alice", "bob", policy=MemberPolicy(resumption_epochs=3))
    for _ in range(5):
        commit(alice, (bob,))
    assert [epoch for epoch, _ in bob.group.resumption_psks] == [4, 5, 6]


def test_val820_a_psk_that_nobody_has_is_missed() -> None:
    lookup = psk_lookup(MemberPolicy(), b"group", [(Epoch(1), Secret(b"one"))])
    usage = ResumptionPskUsage.APPLICATION
    known = ResumptionPskID(usage, b"group", Epoch(1), bytes(32))
    assert len(find_psk_secret(SUITE, [known], lookup)) == 32
    for unknown in (
        ResumptionPskID(usage, b"group", Epoch(2), bytes(32)),
        ResumptionPskID(usage, b"other", Epoch(1), bytes(32)),
    ):
        with pytest.raises(MlsValidationError) as refused:
            find_psk_secret(SUITE, [unknown], lookup)
        assert refused.value.rule == "VAL-820"
