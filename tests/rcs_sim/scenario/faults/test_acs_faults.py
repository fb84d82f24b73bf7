"""``acs.``: each word acts on the configuration server, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

import pytest

from ims_core.trace import RecordKind
from rcs_sim.client.display import Shown
from rcs_sim.scenario.faults.acs_faults import ACS_FAULTS
from tests.scenarios.stage import Stage, scenario
from tests.support.faults import acts, is_registered, marks


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word.partition(".")[2] for kind in ACS_FAULTS}
    assert words == {"disabled", "unreachable", "otp_required", "stale"}


def answers(stage: Stage) -> list[str]:
    """Statuses of the configuration server of blue."""
    records = [one for one in stage.sink.records if one.kind is RecordKind.MESSAGE and one.protocol == "HTTP"]
    return [one.summary for one in records if one.source == "blue.acs"]


@pytest.mark.parametrize("scope", [{}, {"carrier": "blue"}])
@scenario()
async def test_a_device_without_rcs_gets_it_when_that_is_over(stage: Stage, scope: dict[str, str]) -> None:
    _, bob = await stage.alice_and_bob()
    await bob.wipe()
    async with stage.sim.fault("acs.disabled", **scope):
        await bob.power_on()
        assert not is_registered(bob)
        assert answers(stage)[-1] == "403"
    await bob.wipe()
    await bob.power_on()
    assert is_registered(bob)
    assert marks(stage.sink.records, "acs.disabled") == ["begins", "acts", "ends"]


@scenario()
async def test_no_way_to_the_server_for_one_phone_and_for_another_there_is(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    ben = await stage.phone("ben", "+12025550153")
    await bob.wipe()
    async with stage.sim.fault("acs.unreachable", of="bob"):
        await bob.power_on()
        assert not is_registered(bob)
        await ben.wipe()
        await ben.power_on()
        assert is_registered(ben)
    await asyncio.sleep(3600)
    await bob.power_cycle()
    assert is_registered(bob)
    assert marks(stage.sink.records, "acs.unreachable") == ["begins", "acts", "ends"]


@scenario()
async def test_a_busy_server_says_when_to_come_again(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    await bob.wipe()
    async with stage.sim.fault("acs.unreachable", carrier="blue", retry_after_s=20):
        await bob.power_on()
        assert not is_registered(bob)
        assert answers(stage)[-1] == "503"
    await asyncio.sleep(60)
    assert is_registered(bob)


@scenario()
async def test_header_enrichment_counts_for_nothing_and_an_sms_is_asked_for(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    await bob.wipe()
    before = len(stage.shown(bob, Shown.MESSAGE))
    async with stage.sim.fault("acs.otp_required", carrier="blue"):
        await bob.power_on()
        await asyncio.sleep(60)
        assert is_registered(bob)
    passwords = [one for one in stage.sink.records if one.source == "blue.acs" and one.protocol == "HTTP"]
    assert passwords
    short = [one for one in stage.sink.records if one.protocol == "SM" and one.target == "bob"]
    assert short or len(stage.shown(bob, Shown.MESSAGE)) > before
    assert marks(stage.sink.records, "acs.otp_required") == ["begins", "acts", "ends"]


@scenario()
async def test_a_stale_server_has_nothing_new(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    async with stage.sim.fault("acs.stale", carrier="blue"):
        carrier = stage.sim.carrier("blue")
        assert carrier.config_server is not None
        assert carrier.config_server.fault.is_stale
        await bob.power_cycle()
        assert is_registered(bob)
    assert carrier.config_server.fault == type(carrier.config_server.fault)()
    assert acts(stage.sink.records, "acs.stale")[0].source == "blue.acs"


@scenario()
async def test_faults_that_hold_one_field_end_in_any_order(stage: Stage) -> None:
    server = stage.sim.carrier("blue").config_server
    assert server is not None
    one = await stage.sim.begin_fault("acs.unreachable", carrier="blue", retry_after_s=5)
    two = await stage.sim.begin_fault("acs.unreachable", retry_after_s=9)
    assert server.fault.retry_after_s == 9
    await one.end()
    assert server.fault.retry_after_s == 9
    await two.end()
    assert server.fault.retry_after_s is None
