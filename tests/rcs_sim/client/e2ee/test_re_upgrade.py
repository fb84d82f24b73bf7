from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.scenario.loader import load_device
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import LOCKED, focus_fault, notes, tombstones

_DAY_S = 86_400.0


async def _locked(stage: Stage, *, by_itself: bool = True) -> tuple[Phone, Phone]:
    """Alice's phone brings encryption back by itself."""
    device = load_device("android")
    assert device.e2ee is not None
    eager = replace(device, e2ee=replace(device.e2ee, reupgrades_by_itself=by_itself))
    alice = await stage.sim.add_phone("alice", eager, "red", msisdn=ALICE)
    bob = await stage.phone("bob", BOB)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("lock")).delivered(within_s=30)
    assert alice.chat(BOB).label == LOCKED
    return alice, bob


async def _time_until_locked(alice: Phone) -> float:
    for waited in range(0, 20_000, 5):
        if alice.chat(BOB).label == LOCKED:
            return waited
        await asyncio.sleep(5)
    return float("inf")


@scenario("two-carriers", is_read_by_others=False)
async def test_what_the_peer_has_ended_comes_back_after_a_time_that_doubles(stage: Stage) -> None:
    alice, bob = await _locked(stage)
    waited = []
    for _ in range(4):
        bob.chat(ALICE).end_encryption()
        await asyncio.sleep(10)
        assert alice.chat(BOB).label == "RCS"
        waited.append(await _time_until_locked(alice))
        await asyncio.sleep(20)
        assert bob.chat(ALICE).label == LOCKED
    expected = (60, 120, 240, 480)
    assert all(lasts - 20 <= found <= lasts + 10 for found, lasts in zip(waited, expected, strict=True)), waited
    await asyncio.sleep(_DAY_S)  # it was stable: counted anew
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(10)
    assert await _time_until_locked(alice) <= 70


@scenario("two-carriers", is_read_by_others=False)
async def test_it_is_tried_again_until_it_is_back(stage: Stage) -> None:
    alice, bob = await _locked(stage)
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(10)
    focus_fault(stage, refuses_with=ServerFailureReason.INVALID_COMMIT)
    await asyncio.sleep(1000)
    assert alice.chat(BOB).label == "RCS"
    focus_fault(stage)
    assert await _time_until_locked(alice) < 2000
    assert sum(one.startswith("re-upgrade") for one in notes(stage, alice)) >= 3


@pytest.mark.parametrize("who", ["alice", "bob"])
@scenario("two-carriers", is_read_by_others=False)
async def test_what_the_own_user_has_ended_stays_so_and_so_does_all_without_the_profile(stage: Stage, who: str) -> None:
    alice, bob = await _locked(stage, by_itself=who == "alice")
    (alice.chat(BOB) if who == "alice" else bob.chat(ALICE)).end_encryption()
    await asyncio.sleep(7200)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    assert tombstones(stage, alice) == ["encryption ended"]
    alice.chat(BOB).revive_encryption()
    await asyncio.sleep(60)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
