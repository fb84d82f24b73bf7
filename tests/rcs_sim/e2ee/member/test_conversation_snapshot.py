"""A conversation survives its octets in every state that it can be in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError, ProtocolError
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.member.control_outcome import Advanced
from rcs_sim.e2ee.member.conversation_snapshot import restore_conversation, snapshot_conversation
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.member.message_exchange import Parked
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.mls.codec import TlsDecodeError
from tests.support.member_devices import (
    ALICE,
    BOB,
    NOW_S,
    PROFILES,
    MemberDevice,
    Talk,
    established,
    exchanged,
    make_member,
)


def restart(device: MemberDevice) -> None:
    """The device goes off, and on again from what it has written down."""
    octets = snapshot_conversation(device.conversation)
    device.pool = KeyPackagePool.restore(device.pool.snapshot(), device.identity)
    device.conversation = restore_conversation(octets, device.setting, device.pool)
    assert snapshot_conversation(device.conversation) == octets


def _pair() -> tuple[Talk, MemberDevice, MemberDevice]:
    talk = established(make_member(ALICE), make_member(BOB, PROFILES["ios"]()))
    alice, bob = talk.devices
    return talk, alice, bob


def test_a_restart_between_any_two_steps_changes_nothing() -> None:
    talk = Talk([make_member(ALICE), make_member(BOB, PROFILES["ios"]())])
    alice, bob = talk.devices

    def both() -> None:
        for device in talk.devices:
            restart(device)

    both()
    operation = talk.create(alice)
    both()
    assert alice.conversation.operation == operation
    talk.answer(alice, operation)
    both()
    early = alice.seal("early")
    both()
    assert isinstance(bob.open(early, ALICE), Parked)
    both()
    talk.fan_out(alice)
    both()
    ((_, opened),) = bob.conversation.drain(NOW_S)
    assert isinstance(opened, Opened)
    both()
    assert bob.open(early, ALICE).is_replay  # type: ignore[union-attr]  # an Opened, or the test fails here
    operation = bob.conversation.control.rekey(talk.control_id(), NOW_S)
    both()
    talk.request(bob, operation)
    both()
    assert exchanged(talk)
    both()
    assert exchanged(talk)


def test_a_pending_add_comes_back_without_judging_certificates_again() -> None:
    talk, alice, _ = _pair()
    tablet = make_member(BOB, PROFILES["ios"](), client=2)
    operation = alice.conversation.control.add([tablet.claim()], [], talk.control_id(), NOW_S)
    restart(alice)
    talk.devices.append(tablet)
    outcomes = talk.request(alice, operation)
    assert isinstance(outcomes[0], Advanced)
    assert exchanged(talk)


def test_an_ended_conversation_stays_ended() -> None:
    talk, alice, bob = _pair()
    talk.request(alice, alice.conversation.control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S))
    for device in (alice, bob):
        restart(device)
        assert device.conversation.state is ConversationState.DOWNGRADED


def test_the_same_message_goes_out_with_the_same_octets_after_a_restart() -> None:
    _, alice, _ = _pair()
    sealed = alice.seal("hello")
    restart(alice)
    assert alice.conversation.exchange.find_sealed(sealed.message_id) == sealed


def test_another_device_cannot_take_it_up() -> None:
    _, alice, bob = _pair()
    with pytest.raises(LocalProtocolError):
        restore_conversation(snapshot_conversation(alice.conversation), bob.setting, bob.pool)


_WRITTEN = _pair()[1]
_OCTETS = snapshot_conversation(_WRITTEN.conversation)


@settings(max_examples=60)
@given(st.integers(0, len(_OCTETS) - 1), st.integers(1, 255))
def test_changed_octets_are_refused_or_taken_but_never_crash(place: int, change: int) -> None:
    changed = _OCTETS[:place] + bytes((_OCTETS[place] ^ change,)) + _OCTETS[place + 1 :]
    try:
        restore_conversation(changed, _WRITTEN.setting, _WRITTEN.pool)
    except ProtocolError:
        return


@given(st.binary(max_size=100))
def test_octets_that_are_no_conversation_are_refused(octets: bytes) -> None:
    with pytest.raises(TlsDecodeError):
        restore_conversation(octets, _WRITTEN.setting, _WRITTEN.pool)
