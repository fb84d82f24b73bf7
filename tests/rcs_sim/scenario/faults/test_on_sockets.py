"""Words that act on sockets do so there, and the others say that they do not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

import rcs_sim
from ims_core.trace import ListSink
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import DevicePolicy, SignallingTransport
from rcs_sim.scenario.faults.fault_kind import Reach
from rcs_sim.scenario.faults.registry import FAULTS
from rcs_sim.scenario.loader import load_device
from rcs_sim.scenario.simulation import Simulation
from tests.support.faults import acts, marks
from tests.support.real_links import until

Story = Callable[[Simulation, Phone, Phone], Awaitable[None]]


def on_sockets(story: Story, network: str = "two-carriers-plain") -> ListSink:
    sink = ListSink()

    async def main() -> None:
        async with Simulation(network, is_real=True, sinks=[sink]) as sim:
            alice = await sim.add_phone("alice")
            bob = await sim.add_phone("bob", "ios", "blue")
            await story(sim, alice, bob)

    rcs_sim.run(main, clock="real")
    return sink


def test_what_the_messaging_server_delivers_twice_is_shown_once() -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        async with sim.fault("as.duplicate", of="bob") as fault:
            await (await alice.chat(bob).send("once")).delivered(within_s=20)
            assert fault.acts == 1
            await asyncio.sleep(0.3)  # the second copy is under way
        assert [message.text for message in bob.chat(alice).messages] == ["once"]

    assert marks(on_sockets(story).records, "as.duplicate") == ["begins", "acts", "ends"]


def test_a_short_message_is_lost() -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        async with sim.fault("sms.lose", of="bob", count=1) as fault:
            message = alice.send_sms(bob, "lost")
            await until(lambda: fault.acts == 1)
            await asyncio.sleep(0.3)  # nothing comes
            assert list(bob.chat(alice).messages) == []
            assert message.transport is MessageTransport.SMS

    on_sockets(story)


_BOTH: dict[str, dict[str, Any]] = {
    "net.partition": {"element": "blue.ibcf"},
    "net.handover": {"of": "bob", "gap_s": 0.1},
    "net.latency": {"of": "bob", "add_s": 0.01},
    "net.jitter": {"of": "bob", "jitter_s": 0.01},
    "net.loss": {"of": "bob", "rate": 0.1},
    "net.reorder": {"of": "bob"},
    "net.duplicate": {"of": "bob"},
    "net.bandwidth": {"of": "bob", "octets_per_s": 100_000},
    "ims.deregister": {"of": "bob"},
    "acs.disabled": {"carrier": "blue"},
    "acs.unreachable": {"carrier": "blue", "retry_after_s": 5},
    "msrp.relay_down": {"carrier": "red"},
    "as.store_full": {},
    "device.crash": {"of": "bob", "off_s": 0.1},
    "device.off": {"of": "bob"},
    "device.wipe": {"of": "bob", "off_s": 0.1},
    "device.clock_skew": {"of": "bob"},
}


def test_words_of_both_worlds_begin_act_and_end() -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        for word, scope in _BOTH.items():
            async with sim.fault(word, **scope) as fault:
                assert fault.acts >= 1
            await until(lambda: bob.is_registered)
        await (await alice.chat(bob).send("after all of them")).delivered(within_s=20)

    records = on_sockets(story).records
    assert {word: marks(records, word) for word in _BOTH} == {word: ["begins", "acts", "ends"] for word in _BOTH}


def test_another_pcscf_is_where_the_first_one_was() -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        before = sim.carrier("blue").core.address("pcscf")
        async with sim.fault("ims.pcscf_failover", carrier="blue", gap_s=0.1):
            assert sim.carrier("blue").core.address("pcscf") == before
        await bob.power_cycle()
        assert bob.is_registered

    on_sockets(story)


def test_message_sessions_are_seen_above_their_tls() -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        await (await alice.chat(bob).send("x" * 2000)).delivered(within_s=20)
        assert alice.chat(bob).session == "open"
        async with sim.fault("as.duplicate", of="bob") as twice, sim.fault("msrp.lose_200", of="bob", count=1) as lost:
            await (await alice.chat(bob).send("y" * 5000)).delivered(within_s=20)
            assert (twice.acts, lost.acts) == (1, 1)
            await asyncio.sleep(0.3)  # the second copy is under way
        assert [message.text[0] for message in bob.chat(alice).messages] == ["x", "y"]

    on_sockets(story)


def test_a_lost_welcome_on_sockets() -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        async with sim.fault("mls.drop_welcome", of="bob", count=1) as fault:
            alice.chat(bob).send("are you in?")
            await until(lambda: fault.acts == 1)

    assert marks(on_sockets(story, "two-carriers").records, "mls.drop_welcome") == ["begins", "acts", "ends"]


@pytest.mark.parametrize("word", ["kds.down", "cert.expire", "caps.strip_mls"])
def test_words_about_encryption(word: str) -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        scope = {} if word == "kds.down" else {"of": "bob"}
        async with sim.fault(word, **scope) as fault:
            if word == "caps.strip_mls":
                message = await alice.chat(bob).send("no lock")
                assert message.label == "RCS"
            assert fault.acts >= 1

    assert marks(on_sockets(story, "two-carriers").records, word) == ["begins", "acts", "ends"]


def test_every_word_of_the_vocabulary_acts_on_sockets() -> None:
    assert {kind.reach for kind in FAULTS.values()} == set(Reach)
    assert all("memory only" not in kind.meaning for kind in FAULTS.values())


# ---------------------------------------------------------------------------------------------- what links do to octets


def _now() -> float:
    return asyncio.get_running_loop().time()


def _with_udp(name: str) -> DevicePolicy:
    """A handset that signals over UDP."""
    device = load_device(name)
    return replace(device, registration=replace(device.registration, transport=SignallingTransport.UDP))


@pytest.mark.parametrize(("word", "scope"), [("latency", {"add_s": 0.1}), ("bandwidth", {"octets_per_s": 20_000})])
def test_messages_take_their_time(word: str, scope: dict[str, float]) -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        await (await alice.chat(bob).send("asks what bob can do")).delivered(within_s=20)
        async with sim.fault(f"net.{word}", of="bob", **scope):
            began = _now()
            await (await alice.chat(bob).send("x" * 1000)).delivered(within_s=20)
            assert _now() - began >= 0.1  # a lower bound: the message and its receipt take twice that

    assert marks(on_sockets(story).records, f"net.{word}") == ["begins", "acts", "ends"]


@pytest.mark.parametrize("is_udp", [False, True])
def test_over_a_bad_access_link_each_message_is_shown_once(is_udp: bool) -> None:
    async def main() -> None:
        async with Simulation("two-carriers-plain", is_real=True, seed=3) as sim:
            alice = await sim.add_phone("alice")
            bob = await sim.add_phone("bob", _with_udp("ios") if is_udp else "ios", "blue")
            async with (
                sim.fault("net.loss", of="bob", rate=0.1),
                sim.fault("net.jitter", of="bob", jitter_s=0.02),
                sim.fault("net.reorder", of="bob", rate=0.2),
                sim.fault("net.duplicate", of="bob", rate=0.5),
            ):
                for number in range(5):
                    await (await alice.chat(bob).send(f"{number}")).delivered(within_s=60)
            assert [message.text for message in bob.chat(alice).messages] == ["0", "1", "2", "3", "4"]

    rcs_sim.run(main, clock="real")


@pytest.mark.parametrize(
    "scope", [{"of": "bob"}, {"element": "blue.messaging_server"}, {"from": "*.ibcf", "to": "*.ibcf"}]
)
def test_nothing_passes_a_partition_until_it_ends(scope: dict[str, str]) -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        await (await alice.chat(bob).send("before")).delivered(within_s=20)
        fault = await sim.begin_fault("net.partition", **scope)
        message = alice.chat(bob).send("after")
        own = await sim.add_phone("carol", "android", "red")
        await (await alice.chat(own).send("by another way")).delivered(within_s=20)
        assert [each.text for each in bob.chat(alice).messages] == ["before"]
        await fault.end()
        await message.delivered(within_s=60)
        assert [each.text for each in bob.chat(alice).messages] == ["before", "after"]

    assert marks(on_sockets(story).records, "net.partition") == ["begins", "acts", "ends"]


def test_a_handover_breaks_connections_and_the_phone_registers_anew() -> None:
    sink = ListSink()

    def registers() -> int:
        return sum(one.source == "bob" and one.summary.startswith("REGISTER") for one in sink.records)

    async def main() -> None:
        async with Simulation("two-carriers-plain", is_real=True, sinks=[sink]) as sim:
            alice = await sim.add_phone("alice")
            bob = await sim.add_phone("bob", "ios", "blue")
            before = registers()
            async with sim.fault("net.handover", of="bob", gap_s=0.1):
                await until(lambda: registers() > before and bob.is_registered)
            await (await alice.chat(bob).send("in the new cell")).delivered(within_s=20)

    rcs_sim.run(main, clock="real")
    told = [one.details["what"] for one in acts(sink.records, "net.handover")]
    assert told == ["left the cell", "came into another cell"]


def test_a_session_breaks_in_a_chunk_above_its_tls_and_the_text_comes_once() -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        await (await alice.chat(bob).send("x" * 2000)).delivered(within_s=20)
        assert alice.chat(bob).session == "open"
        async with sim.fault("msrp.cut_mid_chunk", from_="alice", octets=1000, count=1) as fault:
            message = alice.chat(bob).send("y" * 5000)
            await message.delivered(within_s=60)
            assert fault.acts == 1
        assert [each.text[0] for each in bob.chat(alice).messages] == ["x", "y"]

    records = on_sockets(story).records
    assert marks(records, "msrp.cut_mid_chunk") == ["begins", "acts", "ends"]
    broken = acts(records, "msrp.cut_mid_chunk")
    assert [(one.source, one.target) for one in broken] == [("alice", "red.msrp_relay")]
    assert broken[0].raw.startswith(b"MSRP ")
    assert not broken[0].raw.endswith(b"\r\n")


def test_a_configuration_server_that_cannot_be_reached_is_asked_again() -> None:
    async def main() -> None:
        async with Simulation("two-carriers-plain", is_real=True) as sim:
            bob = await sim.add_phone("bob", "ios", "blue", is_on=False)
            fault = await sim.begin_fault("acs.unreachable", carrier="blue")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(bob.power_on())
                server, phone = sim.host_of("blue.acs"), sim.host_of("bob")
                await until(lambda: bool(sim.links.path(phone, server).flows))  # the request waits on the line
                assert not bob.is_registered
                await fault.end()
            await until(lambda: bob.is_registered)

    rcs_sim.run(main, clock="real")
