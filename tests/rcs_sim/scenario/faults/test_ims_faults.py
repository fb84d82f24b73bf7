"""``ims.``: each word acts on registrations, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.scenario.faults.ims_faults import IMS_FAULTS
from tests.scenarios.stage import BOB, Stage, scenario
from tests.support.faults import acts, is_registered, marks


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word.partition(".")[2] for kind in IMS_FAULTS}
    assert words == {"deregister", "reregister", "pcscf_failover", "auth_fail"}


@scenario()
async def test_a_phone_that_is_sent_away_stays_away_until_the_fault_ends(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    async with stage.sim.fault("ims.deregister", of="bob"):
        await asyncio.sleep(30)
        assert not is_registered(bob)
    await asyncio.sleep(30)
    assert is_registered(bob)
    assert marks(stage.sink.records, "ims.deregister") == ["begins", "acts", "ends"]


@scenario()
async def test_a_phone_is_made_to_register_anew(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    before = len(stage.requests("REGISTER", "bob"))
    async with stage.sim.fault("ims.reregister", of="bob"):
        await asyncio.sleep(5)
    assert len(stage.requests("REGISTER", "bob")) > before
    assert is_registered(bob)
    assert marks(stage.sink.records, "ims.reregister") == ["begins", "acts", "ends"]


@scenario()
async def test_again_and_again_until_the_end(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    async with stage.sim.fault("ims.reregister", of="bob", interval_s=10, count=3):
        await asyncio.sleep(60)
    assert len(acts(stage.sink.records, "ims.reregister")) == 3
    await asyncio.sleep(60)
    assert len(acts(stage.sink.records, "ims.reregister")) == 3
    assert is_registered(bob)


@pytest.mark.parametrize("scope", [{"gap_s": 8}, {"for_s": 8}])
@scenario()
async def test_another_pcscf_takes_over_and_the_phone_comes_back(stage: Stage, scope: dict[str, float]) -> None:
    alice, bob = await stage.alice_and_bob()
    before = len(stage.requests("REGISTER", "bob"))
    async with stage.sim.fault("ims.pcscf_failover", carrier="blue", **scope):
        await asyncio.sleep(120)
    await asyncio.sleep(60)
    assert is_registered(bob)
    assert len(stage.requests("REGISTER", "bob")) > before
    await (await alice.chat(BOB).send("by the new one")).delivered(within_s=60)
    assert marks(stage.sink.records, "ims.pcscf_failover") == ["begins", "acts", "ends"]


@scenario()
async def test_a_wrong_digest_is_refused_by_the_core_and_a_right_one_is_not(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    await bob.power_off()
    async with stage.sim.fault("ims.auth_fail", of="bob"):
        await bob.power_on()
        assert not is_registered(bob)
    await bob.power_cycle()
    assert is_registered(bob)
    assert marks(stage.sink.records, "ims.auth_fail") == ["begins", "acts", "ends"]
