"""``msrp.``: each word acts on message sessions, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

from rcs_sim.client.phone import Phone
from rcs_sim.scenario.faults.msrp_faults import MSRP_FAULTS
from tests.scenarios.stage import BOB, Stage, scenario
from tests.support.faults import acts, marks

LONG = "in many pieces " * 700


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word.partition(".")[2] for kind in MSRP_FAULTS}
    assert words == {"lose_report", "lose_200", "cut_mid_chunk", "relay_down"}


async def _in_session(stage: Stage) -> tuple[Phone, Phone]:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("x" * 2000)).delivered(within_s=10)
    assert alice.chat(BOB).session == "open"
    return alice, bob


@scenario()
async def test_reports_are_lost_and_later_ones_are_not(stage: Stage) -> None:
    alice, bob = await _in_session(stage)
    paths = b"To-Path: msrp://a:1/s;tcp\r\nFrom-Path: msrp://b:1/t;tcp\r\n"
    report = b"MSRP r1234 REPORT\r\n" + paths + b"Message-ID: m1234\r\nByte-Range: 1-1/1\r\nStatus: 000 200 OK\r\n"
    report += b"-------r1234$\r\n"
    async with stage.sim.fault("msrp.lose_report", of="bob") as fault:
        flow = next(iter(_flows(stage, "bob", "blue.msrp_relay")))
        flow.send(report)
        assert fault.acts == 1
        flow.send(report.replace(b"REPORT\r\n", b"AUTH\r\n"))
        assert fault.acts == 1
        message = await alice.chat(BOB).send("texts get through")
        await message.delivered(within_s=30)
    assert marks(stage.sink.records, "msrp.lose_report") == ["begins", "acts", "ends"]
    assert stage.arrivals(bob)[-1] == "texts get through"


def _flows(stage: Stage, source: str, target: str):  # type: ignore[no-untyped-def]  # ends of the in-memory network
    network = stage.sim.world.memory_network  # type: ignore[attr-defined]  # of the virtual world
    path = network.path(stage.sim.host_of(source), stage.sim.host_of(target))
    return [flow for flow in path.flows if flow.remote.port in (2855, 2856)]


@scenario()
async def test_a_200_is_lost_and_nothing_is_shown_twice(stage: Stage) -> None:
    alice, bob = await _in_session(stage)
    async with stage.sim.fault("msrp.lose_200", to="alice", count=1):
        message = alice.chat(BOB).send("did you get this?")
        await asyncio.sleep(120)
    assert stage.arrivals(bob).count("did you get this?") == 1, message.history
    assert marks(stage.sink.records, "msrp.lose_200") == ["begins", "acts", "ends"]
    later = await alice.chat(BOB).send("and now?")
    await later.delivered(within_s=60)


@scenario()
async def test_a_connection_breaks_in_a_chunk_and_the_message_comes_once(stage: Stage) -> None:
    alice, bob = await _in_session(stage)
    async with stage.sim.fault("msrp.cut_mid_chunk", from_="alice", octets=1000, count=1):
        message = alice.chat(BOB).send(LONG)
        await asyncio.sleep(600)
    assert stage.arrivals(bob).count(LONG) == 1, message.history
    broken = acts(stage.sink.records, "msrp.cut_mid_chunk")
    assert [(one.source, one.target) for one in broken] == [("alice", "red.msrp_relay")]
    assert broken[0].raw.startswith(b"MSRP ")
    assert not broken[0].raw.endswith(b"\r\n")
    assert marks(stage.sink.records, "msrp.cut_mid_chunk") == ["begins", "acts", "ends"]


@scenario()
async def test_without_a_relay_there_is_no_session_and_with_one_there_is(stage: Stage) -> None:
    alice, _ = await _in_session(stage)
    async with stage.sim.fault("msrp.relay_down", carrier="red"):
        await asyncio.sleep(5)
        alice.chat(BOB).send("y" * 2000)
        await asyncio.sleep(5)
        assert alice.chat(BOB).session != "open"
    await asyncio.sleep(120)
    await (await alice.chat(BOB).send("z" * 2000)).delivered(within_s=60)
    assert alice.chat(BOB).session == "open"
    assert marks(stage.sink.records, "msrp.relay_down") == ["begins", "acts", "ends"]
