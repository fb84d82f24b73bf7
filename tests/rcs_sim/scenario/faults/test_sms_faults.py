"""``sms.``: each word acts on short messages, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.message_state import MessageState
from rcs_sim.scenario.faults.sms_faults import SMS_FAULTS
from tests.scenarios.stage import BOB, Stage, scenario
from tests.support.faults import acts, marks


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word.partition(".")[2] for kind in SMS_FAULTS}
    assert words == {"delay", "lose", "duplicate", "lose_report"}


@pytest.mark.parametrize("way", ["ims", "cs"])
@scenario()
async def test_a_short_message_comes_late(stage: Stage, way: str) -> None:
    alice, bob = await stage.alice_and_bob()
    if way == "cs":
        await stage.sim.cut("blue.pcscf")
        await asyncio.sleep(200)
    async with stage.sim.fault("sms.delay", of="bob", delay_s=7):
        alice.send_sms(BOB, "late")
        await asyncio.sleep(6)
        assert stage.arrivals(bob) == []
        await asyncio.sleep(60)
        assert stage.arrivals(bob) == ["late"]
    assert marks(stage.sink.records, "sms.delay") == ["begins", "acts", "ends"]


@scenario()
async def test_a_short_message_is_lost_and_the_next_one_is_not(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("sms.lose", of="bob"):
        alice.send_sms(BOB, "lost")
        await asyncio.sleep(600)
        assert stage.arrivals(bob) == []
    alice.send_sms(BOB, "found")
    await asyncio.sleep(10)
    assert stage.arrivals(bob) == ["found"]
    assert len(acts(stage.sink.records, "sms.lose")) == 1


@scenario()
async def test_a_short_message_reaches_the_phone_twice(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("sms.duplicate", of="bob"):
        alice.send_sms(BOB, "double")
        await asyncio.sleep(30)
    on_the_air = [
        one for one in stage.sink.records if one.protocol == "SM" and one.source == "blue.smsc" and "MT" in one.summary
    ]
    assert on_the_air
    sent = stage.requests("MESSAGE", "blue.pcscf", "bob")
    assert len(sent) == 2
    assert stage.arrivals(bob).count("double") in (1, 2)
    alice.send_sms(BOB, "single")
    await asyncio.sleep(30)
    assert stage.arrivals(bob).count("single") == 1
    assert marks(stage.sink.records, "sms.duplicate") == ["begins", "acts", "ends"]


@scenario()
async def test_the_sender_is_not_told_that_it_came(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("sms.lose_report", of="alice"):
        message = alice.send_sms(BOB, "silent")
        await asyncio.sleep(60)
        assert stage.arrivals(bob) == ["silent"]
        assert message.state is not MessageState.DELIVERED
    later = alice.send_sms(BOB, "told")
    await later.delivered(within_s=60)
    assert marks(stage.sink.records, "sms.lose_report") == ["begins", "acts", "ends"]
