from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.pager import compose_receipt, date_time_of
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BEN, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    LOCKED,
    count_notes,
    engine_of,
    focus_of,
    inject,
    mls_of,
    pair_locked,
    reinstalled,
)


def _request(phone: Phone, era: int | None, authenticator: bytes) -> bytes:
    """Reason 13, stamped like that."""
    now = date_time_of(phone._messenger.alarms.now())
    imdn = Imdn(
        "nobody-knows-it",
        now,
        ImdnKind.DELIVERY,
        ImdnStatus.FAILED,
        client_failure_reason=ClientFailureReason.CONTROL_MESSAGE_FAILED,
    )
    stamp = MlsHeaders(era_id=era, epoch_authenticator=authenticator).to_headers()
    return compose_receipt(imdn, mls_of(phone).new_message_id(), now, stamp)


@scenario("two-carriers")
async def test_an_outsider_who_asks_gets_nothing(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    ben = await stage.phone("ben", BEN, "android")
    await asyncio.sleep(2)
    state = engine_of(alice, BOB).identifier
    assert state is not None
    for _ in range(30):
        inject(ben, ALICE, _request(ben, state.era_id, state.epoch_authenticator))
        inject(ben, ALICE, _request(ben, 1, bytes(32)))
    await asyncio.sleep(60)
    assert engine_of(alice, BOB).identifier == state == focus_of(stage).conversation(ALICE[1:], BOB[1:]).state
    assert count_notes(stage, alice, "new era") == count_notes(stage, alice, "set-up") - 1 == 0
    assert count_notes(stage, alice, "focus asked") <= 8
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED


@scenario("two-carriers")
async def test_a_request_without_the_stamp_of_the_focus_or_of_an_era_that_is_over_moves_nothing(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    first = engine_of(alice, BOB).identifier
    assert first is not None
    inject(bob, ALICE, _request(bob, None, b""))
    inject(bob, ALICE, _request(bob, first.era_id, bytes(32)))
    await asyncio.sleep(30)
    assert engine_of(alice, BOB).identifier == first
    await asyncio.sleep(3600)
    for _ in range(10):
        inject(bob, ALICE, _request(bob, first.era_id, first.epoch_authenticator))
        await asyncio.sleep(5)
    second = engine_of(alice, BOB).identifier
    assert second is not None
    assert second.era_id == first.era_id + 1  # one answer to ten
    for era in range(2, 12):
        current = engine_of(alice, BOB).identifier
        assert current is not None
        inject(bob, ALICE, _request(bob, current.era_id, current.epoch_authenticator))
        await asyncio.sleep(20)
        assert era
    last = engine_of(alice, BOB).identifier
    assert last is not None
    assert last.era_id <= first.era_id + 2  # two an hour, whoever asks
    message = await bob.chat(ALICE).send("all the same")
    await message.delivered(within_s=60)


@pytest.mark.parametrize("first", ["alice", "bob"])
@scenario("two-carriers")
async def test_when_both_have_lost_their_state_the_lock_comes_back(stage: Stage, first: str) -> None:
    alice, bob = await pair_locked(stage)
    await reinstalled(alice)
    await reinstalled(bob)
    writer, reader, number = (alice, bob, BOB) if first == "alice" else (bob, alice, ALICE)
    message = await writer.chat(number).send("we both begin anew")
    await message.delivered(within_s=60)
    assert (message.scheme, texts(reader)) == (Scheme.MLS, ["we both begin anew"])
    assert readable(stage, "begin anew") == []
