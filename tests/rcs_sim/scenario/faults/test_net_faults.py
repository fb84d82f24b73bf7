"""``net.``: each word acts on links, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

import pytest

from ims_core.trace import RecordKind
from ims_core.transport.memory_link import LinkProfile
from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.faults.net_faults import NET_FAULTS
from rcs_sim.scenario.world import MemoryWorld
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.faults import acts, marks


def link(stage: Stage, source: str, target: str) -> LinkProfile:
    world = stage.sim.world
    assert isinstance(world, MemoryWorld)
    return world.memory_network.link(stage.sim.host_of(source), stage.sim.host_of(target))


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word.partition(".")[2] for kind in NET_FAULTS}
    assert words == {"latency", "jitter", "loss", "reorder", "duplicate", "bandwidth", "partition", "handover"}


@pytest.mark.parametrize(
    ("word", "scope", "member"),
    [
        ("net.latency", {"add_s": 0.4}, "latency_s"),
        ("net.jitter", {"jitter_s": 0.2}, "jitter_s"),
        ("net.loss", {"rate": 0.25}, "loss"),
        ("net.reorder", {"rate": 0.5}, "reorder"),
        ("net.duplicate", {"rate": 0.5}, "duplicate"),
        ("net.bandwidth", {"octets_per_s": 900}, "bandwidth_octets_per_s"),
    ],
)
@scenario()
async def test_a_profile_is_changed_on_the_links_of_the_scope_and_comes_back(
    stage: Stage, word: str, scope: dict[str, float], member: str
) -> None:
    await stage.alice_and_bob()
    before, other = link(stage, "bob", "blue.pcscf"), link(stage, "alice", "red.pcscf")
    async with stage.sim.fault(word, of="bob", **scope):
        during = link(stage, "bob", "blue.pcscf")
        assert getattr(during, member) != getattr(before, member)
        assert getattr(link(stage, "blue.pcscf", "bob"), member) == getattr(during, member)
        assert link(stage, "alice", "red.pcscf") == other
    assert link(stage, "bob", "blue.pcscf") == before
    assert marks(stage.sink.records, word) == ["begins", "acts", "ends"]


async def _seconds_to_deliver(stage: Stage, octets: int = 20) -> float:
    began = stage.sim.clock.now()
    message = stage.sim.phones["alice"].chat(BOB).send("x" * octets)
    await message.delivered(within_s=120)
    return stage.sim.clock.now() - began


@pytest.mark.parametrize(
    ("word", "scope"),
    [
        ("net.latency", {"add_s": 0.4}),
        ("net.jitter", {"jitter_s": 0.8}),
        ("net.loss", {"rate": 0.5}),
        ("net.bandwidth", {"octets_per_s": 900}),
    ],
)
@scenario()
async def test_messages_take_longer_as_long_as_it_lasts(stage: Stage, word: str, scope: dict[str, float]) -> None:
    alice, _ = await stage.alice_and_bob()
    await alice.chat(BOB).send("the first one asks for capabilities")
    await asyncio.sleep(30)
    usual_s = await _seconds_to_deliver(stage)
    async with stage.sim.fault(word, of="bob", **scope):
        assert await _seconds_to_deliver(stage) > usual_s + 0.3
    await asyncio.sleep(30)
    assert await _seconds_to_deliver(stage) == pytest.approx(usual_s, abs=0.05)


@scenario()
async def test_faults_of_one_word_add_up_and_each_ends_alone(stage: Stage) -> None:
    await stage.alice_and_bob()
    usual_s = link(stage, "bob", "blue.pcscf").latency_s
    one = await stage.sim.begin_fault("net.latency", of="bob", add_s=1)
    two = await stage.sim.begin_fault("net.latency", carrier="blue", add_s=2)
    assert link(stage, "bob", "blue.pcscf").latency_s == pytest.approx(usual_s + 3)
    await one.end()
    assert link(stage, "bob", "blue.pcscf").latency_s == pytest.approx(usual_s + 2)
    await two.end()
    assert link(stage, "bob", "blue.pcscf").latency_s == usual_s


@scenario()
async def test_one_direction_of_one_link(stage: Stage) -> None:
    await stage.alice_and_bob()
    async with stage.sim.fault("net.latency", from_="red.ibcf", to="*.ibcf", add_s=1):
        assert link(stage, "red.ibcf", "blue.ibcf").latency_s > 1
        assert link(stage, "blue.ibcf", "red.ibcf").latency_s < 1


@scenario()
async def test_a_partition_cuts_an_element_off_and_it_comes_back(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    fault = await stage.sim.begin_fault("net.partition", element="blue.ibcf", for_s=20)
    assert not link(stage, "red.ibcf", "blue.ibcf").is_up
    message = alice.chat(BOB).send("through the border")
    await asyncio.sleep(10)
    assert texts(bob) == []
    await asyncio.sleep(11)
    assert fault.has_ended
    assert link(stage, "red.ibcf", "blue.ibcf").is_up
    await asyncio.sleep(600)
    assert message.is_final or texts(bob) == ["through the border"]
    assert marks(stage.sink.records, "net.partition") == ["begins", "acts", "ends"]


@scenario()
async def test_a_partition_of_a_link_leaves_the_other_links(stage: Stage) -> None:
    await stage.alice_and_bob()
    async with stage.sim.fault("net.partition", from_="red.ibcf", to="blue.ibcf"):
        assert not link(stage, "red.ibcf", "blue.ibcf").is_up
        assert link(stage, "blue.ibcf", "red.ibcf").is_up
        assert link(stage, "red.ibcf", "red.icscf").is_up
    assert link(stage, "red.ibcf", "blue.ibcf").is_up


@scenario()
async def test_whoever_two_partitions_hold_comes_back_with_the_one_that_cut_him_off(stage: Stage) -> None:
    await stage.alice_and_bob()
    one = await stage.sim.begin_fault("net.partition", of="bob")
    two = await stage.sim.begin_fault("net.partition", of="bob")
    await two.end()
    assert not link(stage, "bob", "blue.pcscf").is_up
    await one.end()
    assert link(stage, "bob", "blue.pcscf").is_up


@scenario()
async def test_a_partition_has_to_be_told_of_whom(stage: Stage) -> None:
    with pytest.raises(FaultError, match="element"):
        await stage.sim.begin_fault("net.partition")


@scenario()
async def test_a_handover_breaks_connections_and_the_phone_registers_anew(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    before = len(stage.requests("REGISTER", "bob"))
    async with stage.sim.fault("net.handover", of="bob", gap_s=2):
        await asyncio.sleep(10)
    assert len(stage.requests("REGISTER", "bob")) > before
    assert bob.is_registered
    await (await alice.chat(BOB).send("in the new cell")).delivered(within_s=30)
    assert [one.details["what"] for one in acts(stage.sink.records, "net.handover")] == [
        "left the cell",
        "came into another cell",
    ]


def test_the_same_seed_loses_the_same_octets() -> None:
    told: list[list[tuple[float, str, str]]] = []

    @scenario(seed=3)
    async def story(stage: Stage) -> None:
        alice, _ = await stage.alice_and_bob()
        async with stage.sim.fault("net.loss", rate=0.3, probability=0.5):
            for number in range(5):
                alice.chat(BOB).send(f"{number}")
                await asyncio.sleep(5)
        told.append([(one.at, one.source, one.summary) for one in stage.sink.records])

    story()
    story()
    assert told[0] == told[1]
    assert any(record[2].startswith("net.loss") for record in told[0])


@scenario()
async def test_phones_of_a_carrier_belong_to_it(stage: Stage) -> None:
    await stage.phone("alice", ALICE)
    usual_s = link(stage, "alice", "red.pcscf").latency_s
    async with stage.sim.fault("net.latency", carrier="red", add_s=1):
        assert link(stage, "alice", "red.pcscf").latency_s > 1
    assert link(stage, "alice", "red.pcscf").latency_s == usual_s
    assert [one for one in stage.sink.records if one.kind is RecordKind.ERROR] == []
