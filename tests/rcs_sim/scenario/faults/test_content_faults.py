"""``cpim.`` and ``as.``: each word acts on messages, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.scenario.faults.content_faults import CONTENT_FAULTS
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, scenario, texts
from tests.support.faults import acts, marks

LONG = "in many pieces " * 400


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word for kind in CONTENT_FAULTS}
    assert words == {"cpim.bad_header", "as.duplicate", "as.reorder", "as.store_full"}


@pytest.mark.parametrize("which", ["no_message_id", "no_from", "no_colon", "no_namespace", "no_content"])
@pytest.mark.parametrize("text", ["short", LONG], ids=["pager", "session"])
@scenario()
async def test_a_spoiled_header_hurts_one_message_and_not_the_next(stage: Stage, which: str, text: str) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("cpim.bad_header", which=which, from_="alice", count=1) as fault:
        alice.chat(BOB).send(text)
        await asyncio.sleep(120)
        assert fault.acts == 1
    await (await alice.chat(BOB).send("sound")).delivered(within_s=60)
    assert texts(bob)[-1] == "sound"
    spoiled = acts(stage.sink.records, "cpim.bad_header")[0]
    assert spoiled.details["what"] == f"CPIM spoiled: {which}"
    assert spoiled.raw
    assert marks(stage.sink.records, "cpim.bad_header") == ["begins", "acts", "ends"]


@pytest.mark.parametrize("text", ["short", LONG], ids=["pager", "session"])
@scenario()
async def test_what_comes_twice_is_shown_once(stage: Stage, text: str) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("as.duplicate", of="bob"):
        await (await alice.chat(BOB).send(text)).delivered(within_s=60)
        await asyncio.sleep(60)
    assert stage.arrivals(bob) == [text]
    assert len(acts(stage.sink.records, "as.duplicate")) == 1
    await (await alice.chat(BOB).send("later")).delivered(within_s=60)
    assert len(acts(stage.sink.records, "as.duplicate")) == 1
    assert marks(stage.sink.records, "as.duplicate") == ["begins", "acts", "ends"]


@scenario()
async def test_a_message_is_overtaken(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("zero")).delivered(within_s=60)
    async with stage.sim.fault("as.reorder", of="bob", count=1):
        alice.chat(BOB).send("one")
        await asyncio.sleep(0.5)
        alice.chat(BOB).send("two")
        await asyncio.sleep(20)
    assert stage.arrivals(bob) == ["zero", "two", "one"]
    assert marks(stage.sink.records, "as.reorder") == ["begins", "acts", "ends"]


@scenario()
async def test_a_message_that_nothing_overtakes_is_let_go(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("as.reorder", of="bob", hold_s=3):
        alice.chat(BOB).send("alone")
        await asyncio.sleep(10)
        assert stage.arrivals(bob) == ["alone"]
    async with stage.sim.fault("as.reorder", of="bob", hold_s=20):
        alice.chat(BOB).send("until the end")
        await asyncio.sleep(2)
    await asyncio.sleep(2)
    assert stage.arrivals(bob) == ["alone", "until the end"]


@scenario()
async def test_without_room_a_message_to_a_phone_that_is_off_is_not_stored(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB)
    await (await alice.chat(BOB).send("known")).delivered(within_s=60)
    await bob.power_off()
    boxes = stage.sim.carrier("blue").messaging_server.core.context.mailboxes
    async with stage.sim.fault("as.store_full", carrier="blue"):
        alice.chat(BOB).send("no room")
        await asyncio.sleep(20)
        assert len(boxes) == 0
    amy = await stage.phone("amy", AMY)
    amy.chat(BOB).send("room")
    await asyncio.sleep(5)
    assert len(boxes) == 1
    assert marks(stage.sink.records, "as.store_full") == ["begins", "acts", "ends"]
