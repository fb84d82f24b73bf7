"""One user, several devices, and a chat session with one of them (digest §5.1, §15.5)."""

from __future__ import annotations

import asyncio

from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
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


def _without_a_store() -> NetworkFile:
    file = load_network("two-carriers")
    changes = {"store_and_forward": False}
    carriers = {name: entry.model_copy(update={"changes": changes}) for name, entry in file.carriers.items()}
    return file.model_copy(update={"carriers": carriers})


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


@scenario(_without_a_store)
async def test_without_a_store_a_tablet_has_the_lock_that_was_made_in_a_session_with_the_phone(stage: Stage) -> None:
    """Random lives `devices` 20025 and `servers` 20025: what one device took in a session was told to no other."""
    alice, bob, tablet = await _in_session(stage)
    for phone in (bob, tablet):
        message = await phone.chat(ALICE).send(f"from {phone.name}")
        await message.delivered(within_s=120)
    await bob.wipe()
    await bob.power_on()
    await asyncio.sleep(60)
    for phone in (tablet, bob):
        await (await phone.chat(ALICE).send(f"again from {phone.name}")).delivered(within_s=600)
    await (await alice.chat(BOB).send("to both")).delivered(within_s=60)
    assert all("to both" in stage.arrivals(phone) for phone in (bob, tablet))
