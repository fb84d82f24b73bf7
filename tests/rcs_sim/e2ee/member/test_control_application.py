"""Handshakes of others applied to a group (RCC.16 §6.1.2, §7.9)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.control_application import FannedOut, apply_handshake
from rcs_sim.e2ee.member.control_outcome import Advanced, ControlRefusal, Ignored, IgnoredWhy, ParkedControl
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.mls.identifiers import LeafIndex, ProposalType
from rcs_sim.mls.proposals import CustomProposal
from tests.support.member_devices import ALICE, BOB, NOW_S, PROFILES, Talk, established, make_member


def _pair() -> tuple[Talk, EncryptedGroup, EncryptedGroup]:
    talk = established(make_member(ALICE, PROFILES["lineage-like"]()), make_member(BOB, PROFILES["lineage-like"]()))
    groups = [each.conversation.group for each in talk.devices]
    assert groups[0] is not None
    assert groups[1] is not None
    return talk, groups[0], groups[1]


def _envelope(message_id: str, sender: str = ALICE) -> Envelope:
    return Envelope(message_id=message_id, asserted_sender=sender, era=1)


def test_a_commit_leads_to_the_state_that_its_maker_has() -> None:
    talk, alice, bob = _pair()
    operation = talk.devices[0].conversation.control.rekey("c1", NOW_S)
    outcome = apply_handshake(bob, FannedOut(operation.request.commit, _envelope("c1"), operation.result), NOW_S)
    assert outcome == Advanced(moment=Moment(1, 2), committer=ALICE, leaf=LeafIndex(0))
    alice.confirm(NOW_S)
    assert bob.identifier == alice.identifier == operation.result


def test_our_own_commit_is_not_applied_twice() -> None:
    talk, alice, _ = _pair()
    operation = talk.devices[0].conversation.control.rekey("c1", NOW_S)
    outcome = apply_handshake(alice, FannedOut(operation.request.commit, _envelope("c1")), NOW_S)
    assert outcome == Ignored(IgnoredWhy.OUR_OWN)


def test_a_commit_of_a_later_moment_is_for_the_caller_to_park() -> None:
    talk, alice, bob = _pair()
    control = talk.devices[0].conversation.control
    control.rekey("c1", NOW_S)
    alice.confirm(NOW_S)
    operation = control.rekey("c2", NOW_S)
    outcome = apply_handshake(bob, FannedOut(operation.request.commit, _envelope("c2")), NOW_S)
    assert outcome == ParkedControl(Moment(1, 2), is_era_gap=False)


@pytest.mark.parametrize("bound", [AuthenticatedData("c2", 1), AuthenticatedData("c1", 2)])
def test_a_proposal_bound_to_something_else_is_refused_or_waits(bound: AuthenticatedData) -> None:
    talk, alice, bob = _pair()
    unknown = CustomProposal.of_opaque(ProposalType(0xF010), b"")
    message = alice.group.propose(unknown, talk.devices[0].setting.random, authenticated_data=bound.encode())
    outcome = apply_handshake(bob, FannedOut(message.encode(), _envelope("c1")), NOW_S)
    assert isinstance(outcome, (ControlRefusal, ParkedControl))
    assert len(bob.group.proposals) == 0


def test_a_proposal_that_nobody_honours_is_dropped_and_blocks_nothing() -> None:
    talk, alice, bob = _pair()
    unknown = CustomProposal.of_opaque(ProposalType(0xF010), b"")
    bound = AuthenticatedData("c1", 1).encode()
    message = alice.group.propose(unknown, talk.devices[0].setting.random, authenticated_data=bound)
    outcome = apply_handshake(bob, FannedOut(message.encode(), _envelope("c1")), NOW_S)
    assert outcome == Ignored(IgnoredWhy.UNKNOWN_PROPOSAL)
    assert talk.devices[1].seal("still free to send")


_BOB = _pair()[2]


@given(st.binary(max_size=300))
def test_any_octets_are_refused_in_words(octets: bytes) -> None:
    before = _BOB.identifier
    outcome = apply_handshake(_BOB, FannedOut(octets, _envelope("c1")), NOW_S)
    assert isinstance(outcome, ControlRefusal)
    assert _BOB.identifier == before
