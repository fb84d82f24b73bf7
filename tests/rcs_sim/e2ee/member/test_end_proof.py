from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.client_message import AdvanceKind, MlsGroupInfo
from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.member.end_proof import doubt_about_end
from tests.support.member_devices import (
    ALICE,
    BOB,
    NOW_S,
    PROFILES,
    MemberDevice,
    Talk,
    established,
    make_member,
    seeded_random,
)

_STRANGER = "12025550199"
_YEAR_S = 365 * 86_400


def _pair() -> tuple[Talk, MemberDevice, MemberDevice]:
    talk = established(make_member(ALICE), make_member(BOB, PROFILES["ios"]()))
    alice, bob = talk.devices
    return talk, alice, bob


def _doubt(device: MemberDevice, info: MlsGroupInfo | None, now_s: int = NOW_S) -> str:
    conversation = device.conversation
    return doubt_about_end(device.setting, info, conversation.participants, conversation.group, now_s)


def _ended() -> tuple[Talk, MemberDevice, MemberDevice]:
    """Alice has ended it, and bob has not heard of it."""
    talk, alice, bob = _pair()
    talk.answer(alice, alice.conversation.control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S))
    return talk, alice, bob


def test_an_end_that_a_member_has_signed_is_believed() -> None:
    talk, _, bob = _ended()
    assert _doubt(bob, talk.focus.info) == ""
    assert _doubt(bob, talk.focus.info, NOW_S + 3 * _YEAR_S) == ""  # his key is known, whatever its certificate


def test_an_era_that_was_born_ended_is_believed_though_its_maker_is_alone_in_it() -> None:
    talk, alice, bob = _pair()
    control = alice.conversation.control
    control_id, kind = talk.control_id(), AdvanceKind.PHOENIX_DOWNGRADE
    phoenix = control.new_era([], kind, control_id, NOW_S, server=talk.focus.state, carried=talk.focus.info)
    talk.answer(alice, phoenix)
    assert _doubt(bob, talk.focus.info) == ""


def test_without_a_group_the_certificate_of_who_has_signed_decides() -> None:
    talk, _, bob = _ended()
    newcomer = make_member(BOB, PROFILES["ios"](), client=2)
    assert newcomer.conversation.group is None
    conversation = newcomer.conversation
    info, setting = talk.focus.info, newcomer.setting

    def doubt(now_s: int) -> str:
        return doubt_about_end(setting, info, {ALICE, BOB}, conversation.group, now_s)

    assert doubt(NOW_S) == ""
    assert "valid" in doubt(NOW_S + 3 * _YEAR_S)
    assert bob.conversation.group is not None


def test_what_shows_no_end_or_nothing_proves_none() -> None:
    talk, _, bob = _pair()
    assert _doubt(bob, talk.focus.info) == "it has not ended"
    assert _doubt(bob, None) == "no GroupInfo is shown"


@pytest.mark.parametrize("place", [8, 60, -70, -1])
def test_a_forged_group_info_proves_nothing(place: int) -> None:
    talk, _, bob = _ended()
    info = talk.focus.info
    assert info is not None
    octets = bytearray(info.group_info)
    octets[place] ^= 1
    assert _doubt(bob, replace(info, group_info=bytes(octets)))
    assert _doubt(bob, replace(info, ratchet_tree=info.ratchet_tree[:-9]))
    assert _doubt(bob, MlsGroupInfo(group_info=b"", ratchet_tree=b""))


def test_an_end_of_before_that_was_taken_back_proves_nothing() -> None:
    talk, alice, bob = _ended()
    old = talk.focus.info
    talk.fan_out(alice)
    talk.request(bob, bob.conversation.control.revive(talk.control_id(), NOW_S))
    assert bob.conversation.group is not None
    assert not bob.conversation.group.is_downgraded
    assert _doubt(bob, old) == "it is of Moment(era=1, epoch=2), and here is Moment(era=1, epoch=3)"


def test_an_end_of_another_group_or_of_strangers_proves_nothing() -> None:
    _, _, bob = _pair()
    maker = make_member(ALICE, seed="other")
    other = Talk([maker, make_member(BOB, PROFILES["ios"](), seed="other")])
    other.answer(maker, other.create(maker, b"another group"))
    other.answer(maker, maker.conversation.control.end_mls(DowngradeReason.UNSET, other.control_id(), NOW_S))
    assert _doubt(bob, other.focus.info) == "it is of another group"
    stranger = make_member(_STRANGER)
    strangers = established(make_member(ALICE, seed="third"), stranger)
    strangers.answer(
        stranger, stranger.conversation.control.end_mls(DowngradeReason.UNSET, strangers.control_id(), NOW_S)
    )
    found = doubt_about_end(bob.setting, strangers.focus.info, {ALICE, BOB}, None, NOW_S)
    assert found == f"it has leaves of {_STRANGER}"


def test_who_has_signed_needs_a_certificate_of_a_known_authority() -> None:
    talk, _, bob = _ended()
    setting = bob.setting
    nobody = X509Identity(setting.trust.validator.with_anchors(type(setting.trust.validator.anchors)(())))
    other = type(setting).of(setting.identity, setting.profile, nobody, seeded_random("x"))
    assert doubt_about_end(other, talk.focus.info, {ALICE, BOB}, None, NOW_S)
