"""A lab with phones: who gets which subscriber, what can be cut, and what is said where it cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import rcs_sim
from ims_core.errors import SimulatorError
from ims_core.trace import ListSink, RecordKind
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.mls.key_log import KeyLog
from rcs_sim.mls.messages import MLSMessage, PrivateMessage
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.scenario.simulation import Simulation

Story = Callable[[Simulation], Awaitable[None]]


def _play(story: Story, sink: ListSink | None = None, network: str | NetworkFile = "two-carriers-plain") -> None:
    async def main() -> None:
        async with Simulation(network, sinks=[sink] if sink else []) as sim:
            await story(sim)

    rcs_sim.run(main, clock="virtual")


def test_phones_get_free_subscribers_in_the_order_of_the_file() -> None:
    async def story(sim: Simulation) -> None:
        names = [(await sim.add_phone(f"p{number}", is_on=False)).config.imsi for number in range(3)]
        assert names == ["001012025550101", "001012025550102", "001012025550103"]
        taken = await sim.add_phone("q", msisdn="+12025550104", is_on=False)
        assert (await sim.add_phone("r", is_on=False)).config.imsi == "001012025550105"
        assert not taken.is_on

    _play(story)


def test_a_second_device_of_a_number_has_another_name_address_and_imei() -> None:
    async def story(sim: Simulation) -> None:
        phone = await sim.add_phone("phone", msisdn="+12025550101")
        tablet = await sim.add_phone("tablet", msisdn="+12025550101")
        assert phone.config.imsi == tablet.config.imsi
        assert phone.config.imei != tablet.config.imei
        assert phone.config.host != tablet.config.host
        assert phone.is_registered
        assert tablet.is_registered

    _play(story)


def test_a_sim_goes_into_another_handset_and_another_sim_into_a_handset() -> None:
    async def story(sim: Simulation) -> None:
        old = await sim.add_phone("bob", "ios", "blue", msisdn="+12025550152")
        new = await sim.exchange("bob", device="android")
        assert sim.phones["bob"] is new
        assert not old.is_on
        assert (new.is_registered, new.number, new.config.policy.name) == (True, "+12025550152", "android")
        assert new.config.imei != old.config.imei
        other = await sim.exchange("bob", msisdn="+12025550153")
        assert (other.number, sim.numbers["bob"], other.config.policy.name) == (
            "+12025550153",
            "+12025550153",
            "android",
        )
        again = await sim.add_phone("ben", "ios", "blue", msisdn="+12025550152")
        assert again.config.smsc is not None
        assert again.number == "+12025550152"

    _play(story)


def test_the_codes_for_a_further_device_come_to_the_handset_that_has_the_sim_now() -> None:
    async def story(sim: Simulation) -> None:
        await sim.add_phone("phone", msisdn="+12025550101")
        tablet = await sim.add_phone("tablet", msisdn="+12025550101")
        await sim.exchange("phone", device="ios")
        await tablet.wipe()
        await tablet.power_on()
        await asyncio.sleep(5)
        assert tablet.is_registered

    file = load_network("two-carriers-plain")
    red = file.carriers["red"].model_copy(update={"changes": {"header_enrichment": False}})
    _play(story, network=file.model_copy(update={"carriers": {**file.carriers, "red": red}}))


def test_what_another_handset_sends_has_other_ids() -> None:
    async def story(sim: Simulation) -> None:
        bob = await sim.add_phone("bob", "android", "blue", msisdn="+12025550152")
        first = bob.chat("+12025550101").send("one")
        second = (await sim.exchange("bob")).chat("+12025550101").send("two")
        assert first.id != second.id

    _play(story)


def test_only_a_phone_with_a_sim_can_exchange_it() -> None:
    async def story(sim: Simulation) -> None:
        await sim.add_phone("phone", msisdn="+12025550101")
        await sim.add_phone("tablet", msisdn="+12025550101")
        with pytest.raises(SimulatorError, match="tablet has no SIM"):
            await sim.exchange("tablet", device="ios")
        with pytest.raises(SimulatorError, match="there is no phone 'x'; there are: phone, tablet"):
            await sim.exchange("x", device="ios")

    _play(story)


@pytest.mark.parametrize(
    ("add", "words"),
    [
        (lambda sim: sim.add_phone("alice"), "there is a phone 'alice' already"),
        (
            lambda sim: sim.add_phone("x", carrier="green"),
            "there is no carrier 'green' in two-carriers-plain; there",
        ),
        (lambda sim: sim.add_phone("x", msisdn="+12025550152"), r"red has no \+12025550152"),
        (lambda sim: sim.add_phone("x", device="brick"), "there is no profile 'brick' among the devices"),
        (lambda sim: sim.cut("nobody"), "there is no carrier 'nobody'"),
        (lambda sim: sim.cut("red.hlr"), "there is no element 'red.hlr'; red has: pcscf"),
    ],
)
def test_a_mistake_is_one_sentence_with_what_there_is(add: Callable[[Simulation], Awaitable[None]], words: str) -> None:
    async def story(sim: Simulation) -> None:
        await sim.add_phone("alice", is_on=False)
        with pytest.raises(SimulatorError, match=words):
            await add(sim)

    _play(story)


def test_more_phones_than_subscribers_are_refused() -> None:
    async def story(sim: Simulation) -> None:
        for number in range(8):
            await sim.add_phone(f"p{number}", is_on=False)
        with pytest.raises(SimulatorError, match="add one to the network file"):
            await sim.add_phone("one too many", is_on=False)

    _play(story)


def test_before_it_is_entered_there_is_no_world() -> None:
    with pytest.raises(SimulatorError, match="async with"):
        _ = Simulation().world
    with pytest.raises(SimulatorError, match="async with"):
        _ = Simulation().lab


def test_a_real_simulation_on_virtual_time_names_what_to_use() -> None:
    async def main() -> None:
        with pytest.raises(SimulatorError, match='clock="real"'):
            await Simulation("two-carriers-plain", is_real=True).__aenter__()

    rcs_sim.run(main, clock="virtual")


def test_a_partition_is_marked_in_the_trace_and_ends_also_when_its_body_fails() -> None:
    sink = ListSink()

    async def story(sim: Simulation) -> None:
        alice = await sim.add_phone("alice")
        with pytest.raises(ZeroDivisionError):
            async with sim.partition("red.pcscf"):
                raise ZeroDivisionError
        await asyncio.sleep(1)
        assert alice.is_registered

    _play(story, sink)
    faults = [(record.source, record.summary) for record in sink.records if record.kind is RecordKind.FAULT]
    assert faults == [("red.pcscf", "net.partition begins"), ("red.pcscf", "net.partition ends")]


def test_two_simulations_in_one_process_know_nothing_of_each_other() -> None:
    async def main() -> None:
        async with Simulation("two-carriers-plain", seed=1) as first, Simulation(seed=2) as second:
            alice, other = await first.add_phone("alice"), await second.add_phone("alice")
            await first.add_phone("bob", carrier="blue")
            await (await alice.chat("+12025550152").send("hi")).delivered(within_s=5)
            assert other.chats == ()

    rcs_sim.run(main, clock="virtual")


def test_the_same_on_sockets() -> None:
    async def main() -> None:
        async with Simulation("two-carriers-plain", is_real=True) as sim:
            alice = await sim.add_phone("alice")
            bob = await sim.add_phone("bob", "ios", "blue", reads_after_s=0.01)
            await (await alice.chat(bob).send("over sockets")).displayed(within_s=20)
            with pytest.raises(SimulatorError, match=r"there is no element 'red\.proxy'"):
                await sim.cut("red.proxy")

    rcs_sim.run(main, clock="real")


def test_on_sockets_a_relay_can_be_lost_with_the_sessions_on_it_and_comes_back() -> None:
    async def main() -> None:
        async with Simulation("two-carriers-plain", is_real=True) as sim:
            alice = await sim.add_phone("alice")
            bob = await sim.add_phone("bob", "ios", "blue")
            await (await alice.chat(bob).send("x" * 2000)).delivered(within_s=20)
            assert alice.chat(bob).session == "open"
            async with sim.partition("red.msrp_relay"):
                lost = alice.chat(bob).send("into nothing")
            message = await alice.chat(bob).send("y" * 2000)
            await message.delivered(within_s=20)
            await lost.delivered(within_s=60)
            assert {message.transport, lost.transport} == {MessageTransport.RCS}

    rcs_sim.run(main, clock="real")


def test_a_phone_that_cannot_leave_does_not_keep_the_simulation_from_ending() -> None:
    async def story(sim: Simulation) -> None:
        await sim.add_phone("alice")
        await sim.cut("red.pcscf")
        await sim.cut("alice")

    _play(story)


def test_whoever_has_the_key_log_reads_what_every_hop_carried_sealed() -> None:
    lines: list[str] = []
    carried: list[bytes] = []

    async def main() -> None:
        async with Simulation("two-carriers", key_log=lines.append) as sim:
            alice = await sim.add_phone("alice")
            await sim.add_phone("bob", "ios", "blue", msisdn="+12025550152")
            await asyncio.sleep(1)
            message = await alice.chat("+12025550152").send("sealed")
            await message.delivered(within_s=20)
            passages = sim.oracle.readings.passages(sim.oracle.find(message))
            carried.extend(passage.carried.octets for passage in passages if passage.carried is not None)

    rcs_sim.run(main, clock="virtual")
    assert len(carried) >= 3  # phone, relay, relay, phone
    assert len({message for message in carried if b"sealed" in message}) == 0
    log = KeyLog(lines)
    for octets in carried:
        private = MLSMessage.decode(octets).body
        assert isinstance(private, PrivateMessage)
        content = log.open(private).content.content
        assert isinstance(content, bytes)
        assert b"sealed" in content


def test_on_sockets_a_device_that_dials_the_standard_ports_says_what_it_needs() -> None:
    async def main() -> None:
        async with Simulation("two-carriers-plain", is_real=True) as sim:
            with pytest.raises(SimulatorError, match=r"dials the standard ports.*ports='standard'"):
                await sim.add_phone("alice", "lineage-like")

    rcs_sim.run(main, clock="real")
