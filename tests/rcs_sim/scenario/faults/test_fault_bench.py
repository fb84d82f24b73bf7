"""Faults begin by word, late if wanted, end in any order, and are gone with the simulation."""

from __future__ import annotations

import asyncio

import pytest

import rcs_sim
from ims_core.trace import ListSink, RecordKind
from rcs_sim.scenario.faults.fault_bench import FaultBench
from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.simulation import Simulation
from tests.scenarios.stage import Stage, scenario
from tests.support.faults import marks


def summaries(stage: Stage) -> list[str]:
    return [one.summary for one in stage.sink.records if one.kind is RecordKind.FAULT]


@scenario()
async def test_one_that_begins_later_and_ends_by_itself(stage: Stage) -> None:
    assert isinstance(stage.sim.faults, FaultBench)
    begun_at = stage.sim.clock.now()
    fault = await stage.sim.begin_fault("acs.disabled", carrier="blue", after_s=5, for_s=10)
    assert not fault.has_begun
    await asyncio.sleep(20)
    assert fault.has_ended
    records = [one for one in stage.sink.records if one.kind is RecordKind.FAULT]
    assert [(one.summary, one.at - begun_at) for one in records] == [
        ("acs.disabled begins", pytest.approx(5)),
        ("acs.disabled acts", pytest.approx(5)),
        ("acs.disabled ends", pytest.approx(15)),
    ]
    assert stage.sim.faults.active == []


@scenario()
async def test_one_that_is_ended_before_it_begins_leaves_no_mark(stage: Stage) -> None:
    fault = await stage.sim.begin_fault("acs.disabled", after_s=5)
    await fault.end()
    await fault.end()
    await asyncio.sleep(10)
    assert summaries(stage) == []


@scenario()
async def test_all_of_a_word_end_together(stage: Stage) -> None:
    await stage.sim.begin_fault("acs.disabled", carrier="red")
    await stage.sim.begin_fault("acs.disabled", carrier="blue")
    await stage.sim.begin_fault("acs.stale")
    await stage.sim.end_fault("acs.disabled")
    assert [fault.word for fault in stage.sim.faults.active] == ["acs.stale"]
    with pytest.raises(FaultError, match=r"there are: acs\.stale"):
        await stage.sim.end_fault("acs.disabled")
    with pytest.raises(FaultError, match="did you mean"):
        await stage.sim.end_fault("acs.disable")


@scenario()
async def test_one_that_cannot_begin_later_says_so_in_the_trace(stage: Stage) -> None:
    await stage.sim.begin_fault("net.partition", after_s=1)
    await asyncio.sleep(2)
    assert any("has to be told whom" in text for text in stage.errors())


@scenario()
async def test_one_that_lasts_takes_effect_or_not_by_chance_and_by_the_seed(stage: Stage) -> None:
    server = stage.sim.carrier("blue").config_server
    assert server is not None
    took = []
    for _ in range(40):
        async with stage.sim.fault("acs.disabled", carrier="blue", probability=0.5) as fault:
            took.append(server.fault.is_disabled)
            assert fault.acts == server.fault.is_disabled
    assert 5 < sum(took) < 35
    with pytest.raises(FaultError, match="'count'"):
        await stage.sim.begin_fault("acs.disabled", count=2)


@scenario()
async def test_the_scope_stands_in_the_trace(stage: Stage) -> None:
    async with stage.sim.fault("acs.disabled", carrier="blue", probability=1):
        pass
    begins = next(one for one in stage.sink.records if one.kind is RecordKind.FAULT)
    assert begins.details == {"fault": "acs.disabled", "number": 1, "scope": {"carrier": "blue", "probability": 1.0}}
    assert begins.source == "blue"


def test_what_is_under_way_ends_with_the_simulation() -> None:
    sink = ListSink()

    async def main() -> None:
        async with Simulation("two-carriers-plain", sinks=[sink]) as sim:
            await sim.begin_fault("acs.disabled")
            await sim.begin_fault("net.latency", add_s=1)
            await sim.begin_fault("acs.stale", after_s=1000)
        await asyncio.sleep(2000)

    rcs_sim.run(main)
    assert marks(sink.records, "acs.disabled") == ["begins", "acts", "ends"]
    assert marks(sink.records, "net.latency") == ["begins", "acts", "ends"]
    assert marks(sink.records, "acs.stale") == []


def test_one_that_cannot_be_undone_does_not_keep_the_others() -> None:
    sink = ListSink()

    async def main() -> None:
        async with Simulation("two-carriers-plain", sinks=[sink]) as sim:
            await sim.begin_fault("acs.disabled")
            stuck = await sim.begin_fault("acs.stale")
            stuck.undo.callback(_cannot)
            await sim.begin_fault("net.latency", add_s=1)

    with pytest.raises(FaultError, match="no way back"):
        rcs_sim.run(main)
    for word in ("acs.disabled", "acs.stale", "net.latency"):
        assert marks(sink.records, word) == ["begins", "acts", "ends"]


def _cannot() -> None:
    raise FaultError("no way back")
