"""One user, several devices, and a chat session with one of them (digest §5.1, §15.5)."""

from __future__ import annotations

import asyncio

from rcs_sim.client.phone import Phone
from tests.scenarios.stage import ALICE, BOB, Stage, scenario

LONG = "a text that is too long for pager mode, " * 60


async def _in_session(stage: Stage) -> tuple[Phone, Phone, Phone]:
    """Alice with Bob, who has a phone and a tablet; one of the two is in the session."""
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB)
    tablet = await stage.phone("tablet", BOB, "android")
    await asyncio.sleep(1)
    await (await alice.chat(BOB).send(LONG)).delivered(within_s=10)
    await asyncio.sleep(10)
    assert [phone.chat(ALICE).session for phone in (bob, tablet)].count("open") >= 1
    return alice, bob, tablet


@scenario()
async def test_every_device_shows_every_text_of_a_session_once_f03(stage: Stage) -> None:
    alice, bob, tablet = await _in_session(stage)
    for number in range(5):
        await (await alice.chat(BOB).send(f"line {number}")).delivered(within_s=10)
    await asyncio.sleep(10)
    said = [LONG, *(f"line {number}" for number in range(5))]
    assert stage.arrivals(bob) == said
    assert stage.arrivals(tablet) == said
    assert len(stage.requests("INVITE", "alice")) == 1
    assert set(stage.errors()) <= {"481: no such session"}  # of the device whose 200 came second


@scenario()
async def test_a_device_that_was_away_during_a_session_shows_it_all_when_it_is_back_f03(stage: Stage) -> None:
    alice, bob, tablet = await _in_session(stage)
    away, there = (tablet, bob) if bob.chat(ALICE).session == "open" else (bob, tablet)
    await away.lose_power()
    for number in range(3):
        await (await alice.chat(BOB).send(f"line {number}")).delivered(within_s=30)
    await away.power_on()
    await asyncio.sleep(60)
    said = [LONG, *(f"line {number}" for number in range(3))]
    assert stage.arrivals(there) == said
    assert sorted(stage.arrivals(away)) == sorted(said)
