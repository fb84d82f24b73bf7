"""Operations and our own refusals (RCC.16 §7.9)."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.client_message import ClientOperation
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.operations import E2eeRefused, OperationKind, SealRefusal, group_info_of
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.public_group import PublicGroup
from tests.support.member_devices import ALICE, BOB, NOW_S, Talk, established, make_member


def test_headers_name_the_base_of_a_commit_and_the_result_of_a_create() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    create = talk.create(alice)
    assert create.request.operation == ClientOperation.CREATE
    assert create.headers == create.result
    talk.request(alice, create)
    commit = bob.conversation.control.rekey(talk.control_id(), NOW_S)
    assert (commit.before, commit.headers) == (talk.focus.state, talk.focus.state)
    assert isinstance(commit.result, EpochIdentifier)
    assert commit.result.moment == (1, 2)


def test_what_the_focus_keeps_is_enough_for_it_to_follow() -> None:
    talk = established(make_member(ALICE), make_member(BOB))
    group = talk.devices[1].conversation.group
    assert group is not None
    packed = group_info_of(group.group)
    info = MLSMessage.decode(packed.group_info).body
    assert isinstance(info, GroupInfo)
    tree = RatchetTreeExtension.decode(packed.ratchet_tree)
    seams = talk.devices[1].setting.policy.seams
    followed = PublicGroup.start(info, ratchet_tree=tree, seams=seams, now_s=NOW_S)
    assert followed.epoch == group.group.epoch
    assert packed.epoch_authenticator == group.identifier.epoch_authenticator


def test_kinds_say_which_of_them_make_a_group() -> None:
    starting = {kind for kind in OperationKind if kind.starts_group}
    assert {kind.name for kind in starting} == {
        "CREATE",
        "ERA_ADVANCE",
        "ERA_ADVANCE_FOR_REVIVE",
        "PHOENIX",
        "EXTERNAL_COMMIT",
    }
    assert [int(OperationKind.EPOCH_ADVANCE), int(OperationKind.GROUP_METADATA)] == [1, 8]


def test_a_refusal_says_why_and_whom_it_is_about() -> None:
    with pytest.raises(E2eeRefused, match="GHOST_MEMBER: not sealed") as caught:
        raise E2eeRefused(SealRefusal.GHOST_MEMBER, "not sealed", spec="RCC.16 §7.2", numbers=frozenset({BOB}))
    assert caught.value.numbers == {BOB}
