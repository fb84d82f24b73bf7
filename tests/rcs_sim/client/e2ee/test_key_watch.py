from __future__ import annotations

import asyncio

from rcs_sim.client.e2ee.downgrade import MAX_ATTEMPTS, PAUSE_S
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import LOCKED, focus_fault, locked, reinstalled, tombstones


@scenario("two-carriers")
async def test_a_key_that_changes_while_encryption_has_ended_is_told_when_it_is_back(stage: Stage) -> None:
    alice, bob = await locked(stage)
    before = alice.chat(BOB).security_code
    focus_fault(stage, refuses_with=ServerFailureReason.INVALID_COMMIT)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep((MAX_ATTEMPTS - 1) * PAUSE_S + 60)
    focus_fault(stage)
    await asyncio.sleep(400)  # an era that was born ended, with nobody but alice in it
    assert alice.chat(BOB).security_code is None
    await reinstalled(bob)
    alice.chat(BOB).revive_encryption()
    await asyncio.sleep(120)
    assert alice.chat(BOB).label == LOCKED
    assert tombstones(stage, alice) == ["encryption ended", "security code changed"]
    assert alice.chat(BOB).security_code == bob.chat(ALICE).security_code != before


@scenario("two-carriers")
async def test_a_device_that_enrols_under_the_own_number_is_told_once(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await stage.phone("tablet", ALICE)
    await asyncio.sleep(10)
    for number in range(3):
        await (await bob.chat(ALICE).send(f"who reads {number}?")).delivered(within_s=60)
        await (await alice.chat(BOB).send("we do")).delivered(within_s=60)
        await asyncio.sleep(300)
    assert tombstones(stage, alice).count("new device of yours") == 1
    assert "new device of yours" not in tombstones(stage, bob)
    assert alice.chat(BOB).label == LOCKED  # and sending goes on
