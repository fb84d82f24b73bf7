"""Continuity across eras (RCC.16 §7.11.12, §8.3.1)."""

from __future__ import annotations

from dataclasses import replace

from rcs_sim.e2ee.client_message import AdvanceKind
from rcs_sim.e2ee.continuity import ContinuityAction
from rcs_sim.e2ee.member.continuity_check import continuity_action, token_to_carry
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.group_start import CarriedState, read_group_info
from rcs_sim.e2ee.profile import E2eeProfile
from tests.support.member_devices import ALICE, BOB, NOW_S, PROFILES, Talk, established, make_member

CAROL = "12025550103"


def _publishing() -> E2eeProfile:
    return replace(PROFILES["strict-v4"](), publishes_continuity_commitment=True)


def _state(profile: E2eeProfile) -> tuple[Talk, EncryptedGroup, CarriedState]:
    talk = established(make_member(ALICE, profile), make_member(BOB, profile))
    group = talk.devices[0].conversation.group
    assert group is not None
    assert talk.focus.info is not None
    return talk, group, read_group_info(talk.focus.info)


def test_nobody_publishes_and_the_token_goes_on() -> None:
    _, group, fetched = _state(PROFILES["android"]())
    assert continuity_action(group, fetched, [ALICE, BOB]) is None
    assert token_to_carry(group, fetched) == group.continuity_token is not None


def test_a_commitment_to_our_token_is_carried_and_another_is_not() -> None:
    _, group, fetched = _state(_publishing())
    assert continuity_action(group, fetched, [ALICE, BOB]) is ContinuityAction.CARRY
    assert token_to_carry(group, fetched) == group.continuity_token
    group.continuity_token = b"\x01" * 32
    assert continuity_action(group, fetched, [ALICE, BOB]) is ContinuityAction.MINT
    assert token_to_carry(group, fetched) is None
    group.continuity_token = None
    assert continuity_action(group, fetched, [ALICE, BOB]) is ContinuityAction.REQUEST
    assert continuity_action(group, fetched, [ALICE, BOB, CAROL]) is ContinuityAction.MINT
    assert continuity_action(None, fetched, [ALICE, BOB]) is ContinuityAction.REQUEST


def test_a_participant_who_is_not_in_the_fetched_group_arms_the_downgrade() -> None:
    _, group, fetched = _state(_publishing())
    assert continuity_action(group, fetched, [ALICE, BOB, CAROL]) is ContinuityAction.MINT_AND_MAY_DOWNGRADE


def test_the_token_lives_across_eras() -> None:
    talk, group, _ = _state(_publishing())
    alice, bob = talk.devices
    token = group.continuity_token
    operation = bob.conversation.control.new_era(
        [alice.claim()], AdvanceKind.NORMAL, talk.control_id(), NOW_S, server=talk.focus.state, carried=talk.focus.info
    )
    talk.request(bob, operation)
    assert alice.conversation.group is not None
    assert alice.conversation.group.continuity_token == token
