"""``sip.``: each word acts on messages, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

import pytest

import rcs_sim
from ims_core.trace import ListSink, RecordKind
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.faults.sip_faults import SIP_FAULTS
from rcs_sim.scenario.simulation import Simulation
from tests.scenarios.stage import BOB, Stage, received, scenario, texts
from tests.support.faults import acts, marks


def test_the_words_are_those_of_the_design() -> None:
    assert {kind.word for kind in SIP_FAULTS} == {"sip.status", "sip.drop", "sip.retransmit", "sip.half_open"}


@scenario()
async def test_a_status_answers_in_the_name_of_the_target_who_gets_nothing(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("sip.status", method="MESSAGE", status=403, from_="alice") as fault:
        message = alice.chat(BOB).send("refused")
        await asyncio.sleep(5)
        assert not [one for one in received(bob) if one.transport is MessageTransport.RCS]
        assert fault.acts >= 1
    answers = [one for one in acts(stage.sink.records, "sip.status") if one.raw.startswith(b"SIP/2.0 403 ")]
    assert answers
    assert (answers[0].source, answers[0].target) == ("alice", "red.pcscf")
    assert message.transport is MessageTransport.SMS
    await asyncio.sleep(60)
    later = alice.chat(BOB).send("through")
    await later.delivered(within_s=60)
    assert marks(stage.sink.records, "sip.status") == ["begins", "acts", "ends"]


@scenario()
async def test_a_status_can_tell_when_to_try_again(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    async with stage.sim.fault("sip.status", method="MESSAGE", status=503, retry_after_s=3, count=1):
        message = alice.chat(BOB).send("in a moment")
        await asyncio.sleep(30)
    assert b"Retry-After: 3\r\n" in acts(stage.sink.records, "sip.status")[0].raw
    await message.delivered(within_s=60)


@scenario()
async def test_what_is_dropped_is_lost_on_a_stream_too(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await alice.chat(BOB).send("first")
    await asyncio.sleep(5)
    async with stage.sim.fault("sip.drop", method="MESSAGE", what="request", to="bob", count=1):
        alice.chat(BOB).send("lost on the way")
        await asyncio.sleep(5)
        assert texts(bob) == ["first"]
    assert len(acts(stage.sink.records, "sip.drop")) == 1
    alice.chat(BOB).send("and on")
    await asyncio.sleep(5)
    assert "and on" in texts(bob)


@scenario()
async def test_a_response_with_a_code_can_be_dropped(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    async with stage.sim.fault("sip.drop", method="MESSAGE", code=200, to="alice", count=1):
        alice.chat(BOB).send("did it come?")
        await asyncio.sleep(5)
    assert acts(stage.sink.records, "sip.drop")[0].details["what"] == "dropped 200 OK (MESSAGE)"


@scenario()
async def test_a_retransmission_is_seen_on_the_link_and_shown_once(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("sip.retransmit", method="MESSAGE", to="bob", times=3):
        message = alice.chat(BOB).send("once")
        await asyncio.sleep(5)
    assert stage.arrivals(bob) == ["once"]
    assert message.state is MessageState.DELIVERED
    assert acts(stage.sink.records, "sip.retransmit")[0].details["times"] == 3


@scenario()
async def test_every_second_occasion_and_no_more_than_so_many(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("sip.drop", method="MESSAGE", what="request", to="bob", every=2, count=2) as fault:
        for number in range(7):
            alice.chat(BOB).send(f"{number}")
            await asyncio.sleep(0.2)
        assert fault.acts == 2
    assert stage.arrivals(bob)[:3] == ["0", "2", "4"]


@scenario()
async def test_a_half_open_connection_swallows_what_comes_and_a_new_one_does_not(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("sip.half_open", of="bob"):
        alice.chat(BOB).send("into the void")
        await asyncio.sleep(3)
        assert texts(bob) == []
        await bob.power_cycle()
        await asyncio.sleep(120)
        await (await alice.chat(BOB).send("on a new one")).delivered(within_s=60)
    assert marks(stage.sink.records, "sip.half_open") == ["begins", "acts", "ends"]


def test_the_same_seed_drops_the_same_messages() -> None:
    told: list[list[tuple[float, str, str, bytes]]] = []

    @scenario(seed=11)
    async def story(stage: Stage) -> None:
        alice, _ = await stage.alice_and_bob()
        async with stage.sim.fault("sip.drop", method="MESSAGE", probability=0.4):
            for number in range(6):
                alice.chat(BOB).send(f"{number}")
                await asyncio.sleep(3)
        told.append([(one.at, one.source, one.summary, one.raw) for one in stage.sink.records])

    story()
    story()
    assert told[0] == told[1]
    dropped = [one for one in told[0] if one[2] == "sip.drop acts"]
    assert len(dropped) > 0


@scenario()
async def test_a_scope_that_names_nobody_is_refused_with_what_there_is(stage: Stage) -> None:
    await stage.alice_and_bob()
    with pytest.raises(FaultError, match=r"there is no of 'carl'; there are: alice, bob"):
        await stage.sim.begin_fault("sip.half_open", of="carl")
    with pytest.raises(FaultError, match=r"red\.pcscf"):
        await stage.sim.begin_fault("sip.drop", to="red.proxy")
    with pytest.raises(FaultError, match="did you mean 'method'"):
        await stage.sim.begin_fault("sip.drop", methods="MESSAGE")


def test_requests_are_refused_on_sockets_too() -> None:
    async def main() -> None:
        sink = ListSink()
        async with Simulation("two-carriers-plain", is_real=True, sinks=[sink]) as sim:
            alice = await sim.add_phone("alice")
            bob = await sim.add_phone("bob", "ios", "blue")
            async with sim.fault("sip.status", method="MESSAGE", status=403, from_="alice", count=1) as fault:
                message = await alice.chat(bob).send("no")
                assert fault.acts == 1
                assert message.state is not MessageState.DELIVERED
        assert [one.summary for one in sink.records if one.kind is RecordKind.FAULT] == [
            "sip.status begins",
            "sip.status acts",
            "sip.status ends",
        ]

    rcs_sim.run(main, clock="real")
