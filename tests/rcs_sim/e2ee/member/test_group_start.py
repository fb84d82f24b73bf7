"""Groups that begin with us (RCC.16 §6.2, §8.3, §9.2, §11.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.client_message import AdvanceKind, MlsGroupInfo
from rcs_sim.e2ee.continuity import is_continuity_commitment
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import RcsExtensionType, find_extension_value
from rcs_sim.e2ee.member.group_start import Era, commit_externally, read_group_info, start_group, verify_carried
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.operations import E2eeRefused, SealRefusal
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.errors import MlsValidationError
from tests.support.member_devices import ALICE, BOB, NOW_S, PROFILES, established, make_member

_GROUP_ID = b"7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"
_SERVER = EpochIdentifier(4, 9, b"\x01" * 32)


def test_the_era_after_is_above_everybody_s() -> None:
    assert Era.after(_GROUP_ID, 2, _SERVER, AdvanceKind.NORMAL, ()).era == 5
    assert Era.after(_GROUP_ID, 7, _SERVER, AdvanceKind.NORMAL, ()).era == 8
    assert Era.after(_GROUP_ID, 0, None, AdvanceKind.NORMAL, ()).era == 1
    with pytest.raises(E2eeRefused):
        Era.after(_GROUP_ID, 0xFFFFFFFF, None, AdvanceKind.NORMAL, ())


def test_nobody_starts_a_group_alone_but_one_that_is_born_ended() -> None:
    setting = make_member(ALICE).setting
    with pytest.raises(E2eeRefused) as caught:
        start_group(setting, [], Era(group_id=_GROUP_ID), "c1", NOW_S)
    assert caught.value.refusal is SealRefusal.NOT_ALLOWED
    ended = Era(group_id=_GROUP_ID, era=2, kind=AdvanceKind.PHOENIX_DOWNGRADE, base=_SERVER)
    started = start_group(setting, [], ended, "c1", NOW_S)
    assert started.group.is_downgraded
    assert started.group.identifier.moment == (2, 0)


def test_every_create_has_a_context_id_of_its_own() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    ids = {
        start_group(alice.setting, [bob.claim()], Era(group_id=_GROUP_ID), "c1", NOW_S).operation.request.context_id
        for _ in range(3)
    }
    assert len(ids) == 3


@pytest.mark.parametrize("prefixed", [False, True])
def test_the_commitment_to_the_token_is_published_by_the_profile_only(prefixed: bool) -> None:
    quiet = make_member(ALICE, PROFILES["strict-v4"]())
    bob = make_member(BOB)
    profile = replace(PROFILES["strict-v4"](), publishes_continuity_commitment=True, continuity_label_prefixed=prefixed)
    setting = quiet.setting
    loud = MemberSetting.of(setting.identity, profile, setting.trust, setting.random)
    for each, is_there in ((setting, False), (loud, True)):
        started = start_group(each, [bob.claim()], Era(group_id=_GROUP_ID), "c1", NOW_S)
        info = started.operation.request.group_info
        assert info is not None
        commitment = find_extension_value(read_group_info(info).info.extensions, RcsExtensionType.CONTINUITY_COMMITMENT)
        assert (commitment is not None) == is_there
        token = started.group.continuity_token
        if commitment is not None and token is not None:
            assert is_continuity_commitment(commitment, token, started.group.identifier.epoch_authenticator)


def test_what_is_carried_is_verified_first() -> None:
    talk = established(make_member(ALICE), make_member(BOB))
    setting, info = talk.devices[0].setting, talk.focus.info
    assert info is not None
    carried = verify_carried(setting, info)
    assert carried.extensions == carried.info.group_context.extensions
    bare = replace(info, group_info=info.group_info[4:])
    assert verify_carried(setting, bare) == carried
    flipped = info.group_info[:-1] + bytes((info.group_info[-1] ^ 1,))
    for broken in (replace(info, group_info=flipped), replace(info, ratchet_tree=b"\x00"), MlsGroupInfo()):
        with pytest.raises((MlsValidationError, TlsDecodeError)):
            verify_carried(setting, broken)


def test_an_external_commit_into_something_broken_is_refused() -> None:
    talk = established(make_member(ALICE), make_member(BOB))
    info = talk.focus.info
    assert info is not None
    lost = make_member(BOB).setting
    for broken in (replace(info, group_info=info.group_info[:-1]), replace(info, ratchet_tree=b""), MlsGroupInfo()):
        with pytest.raises(E2eeRefused):
            commit_externally(lost, broken, "c1", NOW_S)
