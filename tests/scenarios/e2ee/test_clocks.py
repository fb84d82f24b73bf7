"""A phone whose calendar jumps: what it measures by time that passes is the same as before (digest RCC.16 §10.8)."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.e2ee.focus_watch import FRESH_S
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.member.self_heal import HealPhase
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, scenario
from tests.support.encrypted_phones import LOCKED, focus_fault, mls_of, notes, pair_locked, thread_of

_MONTH_S = 35 * 86_400
_DAYS_S = 5 * 86_400


async def _both_write(stage: Stage, alice: Phone, bob: Phone) -> None:
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        message = phone.chat(peer).send("by the right clock")
        await message.delivered(within_s=200)
        assert message.scheme is Scheme.MLS, notes(stage, phone)


@scenario("two-carriers")
async def test_a_repair_under_a_clock_that_is_put_back_comes_to_its_end(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    async with stage.sim.fault("device.clock_skew", of="alice", skew_s=_MONTH_S):
        focus_fault(stage, is_silent=True)
        mls_of(alice)._healing.heal(thread_of(alice, BOB), "a test")
        await asyncio.sleep(1)
        assert thread_of(alice, BOB).heal.phase is HealPhase.PULLING
    await asyncio.sleep(600)
    assert thread_of(alice, BOB).heal.phase is not HealPhase.PULLING
    focus_fault(stage)
    await asyncio.sleep(600)
    await _both_write(stage, alice, bob)


@pytest.mark.parametrize("who", ["alice", "bob"])
@scenario("two-carriers")
async def test_the_bounds_of_a_day_are_over_after_a_day(stage: Stage, who: str) -> None:
    """Repairs are used up while the calendar is ahead; there are others the day after."""
    alice, bob = await pair_locked(stage)
    phone, peer = (alice, BOB) if who == "alice" else (bob, ALICE)
    async with stage.sim.fault("device.clock_skew", of=who, skew_s=_MONTH_S):
        focus_fault(stage, is_silent=True)
        for _ in range(8):
            mls_of(phone)._healing.heal(thread_of(phone, peer), "a test")
            await asyncio.sleep(1200)
        assert not thread_of(phone, peer).heals.is_left(mls_of(phone)._context.passed_s())
    focus_fault(stage)
    await asyncio.sleep(86_400)
    assert thread_of(phone, peer).heals.is_left(mls_of(phone)._context.passed_s())
    await _both_write(stage, alice, bob)


@scenario("two-carriers")
async def test_key_packages_of_the_future_are_replaced_when_the_clock_is_right(stage: Stage) -> None:
    """Nobody would take them: their lifetime has not begun."""
    bob = await stage.phone("bob", BOB, "android")
    credentials = mls_of(bob).credentials
    bob.clock_skew_s = 2 * 86_400.0
    await asyncio.sleep(86_400)
    assert (credentials.pool.minted_s or 0) > credentials.passed_s()
    bob.clock_skew_s = 0.0
    await asyncio.sleep(60)
    assert 0 < (credentials.pool.minted_s or 0) <= credentials.passed_s()
    alice = await stage.phone("alice", ALICE)
    message = alice.chat(BOB).send("hello")
    await message.delivered(within_s=200)
    assert message.scheme is Scheme.MLS, notes(stage, alice)


@scenario("two-carriers", is_read_by_others=False)
async def test_a_registration_that_came_back_under_a_clock_ahead_is_used_when_the_clock_is_right(stage: Stage) -> None:
    """Random life `all` 52033: the phone waited a month before it took RCS for stable again."""
    alice, _ = await pair_locked(stage)
    alice.clock_skew_s = _DAYS_S
    await stage.sim.cut("alice")
    await asyncio.sleep(2 * 3600)
    await stage.sim.restore("alice")
    await asyncio.sleep(1800)
    alice.clock_skew_s = 0.0
    await alice.power_cycle()
    await asyncio.sleep(3600)
    message = await alice.chat(BOB).send("in time")
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS


@scenario("two-carriers", is_read_by_others=False)
async def test_a_set_up_that_failed_under_a_clock_ahead_is_tried_again_soon(stage: Stage) -> None:
    alice, _ = await stage.phone("alice", ALICE), await stage.phone("amy", AMY)
    service = stage.sim.lab.carriers["red"].key_service
    assert service is not None
    alice.clock_skew_s = _DAYS_S
    service.server.fault = KdsFault(empty_pool=True)
    alice.chat(AMY).send("before there is a lock")
    await asyncio.sleep(200)
    service.server.fault = KdsFault()
    alice.clock_skew_s = 0.0
    await asyncio.sleep(600)
    message = await alice.chat(AMY).send("and with one")
    await message.delivered(within_s=60)
    assert (message.scheme, alice.chat(AMY).label) == (Scheme.MLS, LOCKED), notes(stage, alice)


@scenario("two-carriers", is_read_by_others=False)
async def test_a_focus_that_held_nothing_under_a_clock_ahead_is_not_believed_for_days(stage: Stage) -> None:
    """Who believes it writes in clear beside a lock."""
    service = stage.sim.lab.carriers["blue"].key_service
    assert service is not None
    service.server.fault = KdsFault(is_down=True)
    await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB)
    bob.clock_skew_s = _DAYS_S
    await (await bob.chat(ALICE).send("in clear: there is no lock")).delivered(within_s=60)
    peer, watch = bob.chat(ALICE)._conversation.peer, mls_of(bob)._context.watch
    assert watch.is_empty(peer)
    bob.clock_skew_s = 0.0
    assert watch.is_empty(peer)
    await asyncio.sleep(FRESH_S)
    assert not watch.is_empty(peer)
