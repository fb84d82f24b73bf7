from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rcs_sim.client.e2ee.control_channel import ControlAnswer, NoAnswer
from rcs_sim.client.e2ee.server_state import ServerState, read_answer
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal
from rcs_sim.e2ee.server_message import AcceptedMessage
from tests.scenarios.stage import BOB, Stage, scenario
from tests.support.encrypted_phones import engine_of, locked, mls_of, thread_of


async def _pulled(phone: Phone) -> ControlAnswer:
    answers: list[ControlAnswer] = []
    mls_of(phone)._requests.pull(thread_of(phone, BOB), answers.append)
    await asyncio.sleep(5)
    (answer,) = answers
    return answer


@scenario("two-carriers")
async def test_both_forms_of_an_answer_say_the_same(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    answer = await _pulled(alice)
    assert isinstance(answer, MlsEnhancedGroupInfo)
    enhanced = read_answer(answer)
    assert enhanced.latest == engine_of(alice, BOB).identifier
    info = answer.group_info
    assert isinstance(info, MlsGroupInfo)
    ordinary = read_answer(info)
    assert ordinary.latest == enhanced.latest
    assert ordinary.group_info == enhanced.group_info == info
    bare = read_answer(replace(info, group_info=info.group_info[4:]))  # a GroupInfo that is no MLSMessage
    assert bare.latest == enhanced.latest
    assert (enhanced.has_end_mls, ordinary.has_end_mls, bare.has_end_mls) == (False, False, False)
    assert not enhanced.is_empty


@scenario("two-carriers")
async def test_the_end_of_mls_is_seen_in_the_group_info(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(10)
    answer = await _pulled(alice)
    assert read_answer(answer).has_end_mls
    assert isinstance(answer, MlsEnhancedGroupInfo)
    assert answer.group_info is not None
    assert read_answer(answer.group_info).has_end_mls


@pytest.mark.parametrize(
    "answer",
    [
        NoAnswer.UNKNOWN,
        NoAnswer.NOT_DELIVERED,
        AcceptedMessage("MxA"),
        FocusRefusal(reason="transient-error"),
        FocusRefusal(reason="transient-error", detail="reads", server=EpochIdentifier(1, 2, bytes(32))),
        FocusRefusal(reason="invalid-input", detail="pull"),
        FocusRefusal(reason="mls-group-has-end-mls", detail="pull"),
        FocusRefusal(reason="mls-group-has-end-mls", server=EpochIdentifier(1, 2, bytes(32))),
        MlsGroupInfo(b"\x00\x01\x00\x04garbage", b"", bytes(32)),
        MlsGroupInfo(b"", b"", b""),
    ],
)
def test_what_cannot_be_read_says_nothing(answer: ControlAnswer) -> None:
    assert read_answer(answer) == ServerState()


def test_a_focus_without_a_group_says_so() -> None:
    state = read_answer(FocusRefusal(reason="mls-group-not-found"))
    assert state.is_empty
    assert (state.latest, state.group_info) == (None, None)


def test_a_focus_that_answers_no_pulls_names_its_state_in_the_refusal() -> None:
    held = EpochIdentifier(3, 2, bytes(32))
    state = read_answer(FocusRefusal(reason="invalid-input", detail="pull", group_id=b"its id", server=held))
    assert (state.latest, state.group_info, state.group_id) == (held, None, b"its id")
    assert (state.is_only_named, state.is_empty, state.has_end_mls) == (True, False, False)
    assert not state.is_said_to_have_ended


def test_that_encryption_has_ended_is_no_proof_of_it_in_a_refusal() -> None:
    held = EpochIdentifier(3, 2, bytes(32))
    state = read_answer(FocusRefusal(reason="mls-group-has-end-mls", detail="pull", group_id=b"its id", server=held))
    assert (state.latest, state.group_id, state.is_only_named) == (held, b"its id", True)
    assert (state.has_end_mls, state.is_said_to_have_ended, state.is_empty) == (False, True, False)


def test_an_enhanced_answer_without_a_group_info_has_a_state_all_the_same() -> None:
    latest = EpochIdentifier(1, 2, bytes(32))
    state = read_answer(MlsEnhancedGroupInfo(latest))
    assert (state.latest, state.group_info, state.has_end_mls) == (latest, None, False)
