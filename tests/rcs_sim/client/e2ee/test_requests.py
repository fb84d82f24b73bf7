from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.e2ee.requests import TRANSIENT_PAUSE_S, headers_of, own_envelope
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.e2ee.member.commit_verdict import NextStep
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import engine_of, focus_fault, locked, mls_of, notes, thread_of

_S = ServerFailureReason


def _rekey(phone: Phone) -> list[NextStep]:
    steps: list[NextStep] = []
    mls_of(phone)._requests.submit(
        thread_of(phone, BOB), lambda engine, control_id, now_s: engine.control.rekey(control_id, now_s), steps.append
    )
    return steps


@scenario("two-carriers")
async def test_a_request_is_pending_until_its_one_answer(stage: Stage) -> None:
    alice, bob = await locked(stage)
    steps = _rekey(alice)
    assert steps == []
    assert engine_of(alice, BOB).operation is not None
    await asyncio.sleep(5)
    assert steps == [NextStep.KEEP]
    assert engine_of(alice, BOB).operation is None
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier


@scenario("two-carriers")
async def test_one_request_of_a_conversation_is_under_way_at_a_time(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    first = _rekey(alice)
    assert not mls_of(alice)._requests.submit(
        thread_of(alice, BOB), lambda engine, control_id, now_s: engine.control.rekey(control_id, now_s), first.append
    )
    assert any(one.startswith("no request") and "an operation waits" in one for one in notes(stage, alice))
    await asyncio.sleep(5)
    assert first == [NextStep.KEEP]


@pytest.mark.parametrize(
    ("reason", "step", "is_pending"),
    [
        (_S.INCORRECT_ERA, NextStep.RECONCILE, False),
        (_S.INCORRECT_EPOCH, NextStep.APPLY_WINNER, False),
        (_S.INCORRECT_EPOCH_AUTHENTICATOR, NextStep.APPLY_WINNER, False),
        (_S.EXPIRED_CREDENTIAL, NextStep.APPLY_WINNER, False),
        (_S.MISMATCHED_RCS_GROUP_STATE, NextStep.APPLY_WINNER, False),
        (_S.UNPARSABLE_COMMIT, NextStep.APPLY_WINNER, False),
        (_S.MISMATCHED_CONFIRMATION_TAG, NextStep.APPLY_WINNER, False),
        (_S.PENDING_PROPOSAL, NextStep.APPLY_WINNER, False),
        (_S.ENCRYPTION_NOT_AVAILABLE, NextStep.APPLY_WINNER, False),
        (_S.INVALID_COMMIT, NextStep.APPLY_WINNER, False),
        (_S.MLS_GROUP_NOT_FOUND, NextStep.FORGET, False),
        (_S.INVALID_INPUT, NextStep.APPLY_WINNER, False),
        (_S.ERA_ADVANCEMENT_QUOTA_REACHED, NextStep.APPLY_WINNER, False),
        (_S.MLS_GROUP_HAS_END_MLS, NextStep.FORGET, False),
        (_S.EPOCH_ADVANCEMENT_QUOTA_REACHED, NextStep.APPLY_WINNER, False),
    ],
)
@scenario("two-carriers")
async def test_a_refused_commit_is_undone_and_the_epoch_before_goes_on(
    stage: Stage, reason: ServerFailureReason, step: NextStep, is_pending: bool
) -> None:
    alice, bob = await locked(stage)
    before = engine_of(alice, BOB).identifier
    focus_fault(stage, refuses_with=reason)
    steps = _rekey(alice)
    await asyncio.sleep(5)
    assert steps == [step]
    assert (engine_of(alice, BOB).operation is not None) is is_pending
    assert engine_of(alice, BOB).identifier == before == engine_of(bob, ALICE).identifier
    assert any(one.startswith(f"refused: {reason}") for one in notes(stage, alice))


@scenario("two-carriers")
async def test_after_a_transient_error_the_same_octets_go_again(stage: Stage) -> None:
    alice, bob = await locked(stage)
    focus_fault(stage, refuses_with=_S.TRANSIENT_ERROR)
    steps = _rekey(alice)
    operation = engine_of(alice, BOB).operation
    assert operation is not None
    await asyncio.sleep(TRANSIENT_PAUSE_S * 2 + 1)
    assert steps == []
    assert engine_of(alice, BOB).operation is operation
    focus_fault(stage)
    await asyncio.sleep(TRANSIENT_PAUSE_S + 5)
    assert steps == [NextStep.KEEP]
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier == operation.result


@scenario("two-carriers")
async def test_without_an_answer_the_outcome_is_unknown_and_nothing_is_undone(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    focus_fault(stage, is_silent=True)
    steps = _rekey(alice)
    await asyncio.sleep(19)
    assert steps == []
    await asyncio.sleep(5)
    assert steps == [NextStep.ASK_SERVER]
    assert engine_of(alice, BOB).operation is not None


def test_a_state_has_two_headers_and_no_state_none() -> None:
    headers = headers_of(EpochIdentifier(3, 7, bytes(32))).to_headers()
    assert [one.name for one in headers] == ["Era-ID", "Epoch-Authenticator"]
    assert headers_of(None).to_headers() == ()


@scenario("two-carriers")
async def test_the_focus_speaks_for_either_participant(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    envelope = own_envelope(thread_of(alice, BOB), "MxA")
    assert (envelope.message_id, envelope.asserted_sender, envelope.named_sender) == ("MxA", BOB[1:], ALICE[1:])
    assert envelope.era == 1
