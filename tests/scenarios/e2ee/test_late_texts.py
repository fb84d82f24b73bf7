"""Texts that were written in clear and leave, or arrive, when there is a lock (RCC.16 §7.2, design §3.6)."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, locked


async def _unlocked(stage: Stage) -> tuple[Phone, Phone]:
    """Two phones whose users have gone on without encryption, for now."""
    alice, bob = await locked(stage)
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(400)  # the session is over too
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    return alice, bob


@pytest.mark.parametrize("status", [486, 491, 500, 502])
@scenario("two-carriers")
async def test_a_retry_after_a_pause_sends_nothing_in_clear_under_the_lock_that_has_come(
    stage: Stage, status: int
) -> None:
    alice, bob = await _unlocked(stage)
    async with stage.sim.fault("sip.status", from_="alice", method="MESSAGE", status=status, count=1):
        message = alice.chat(BOB).send("refused at first")
        await asyncio.sleep(0.2)
        bob.chat(ALICE).revive_encryption()
        await asyncio.sleep(0.8)
        assert alice.chat(BOB).label == LOCKED
        seen = len(readable(stage, "refused at first"))
        await asyncio.sleep(60)
    assert len(readable(stage, "refused at first")) == seen
    assert message.state is MessageState.FAILED
    assert message.reason is FallbackReason.WENT_IN_CLEAR
    assert texts(bob) == ["we have a lock"]
