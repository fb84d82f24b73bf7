"""Words that act on sockets do so there, and the others say that they do not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import rcs_sim
from ims_core.trace import ListSink
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.faults.fault_kind import FaultError, Reach
from rcs_sim.scenario.faults.registry import FAULTS
from rcs_sim.scenario.simulation import Simulation
from tests.support.faults import marks
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


def test_words_of_memory_alone_say_so() -> None:
    async def main() -> None:
        async with Simulation("two-carriers-plain", is_real=True) as sim:
            for word in sorted(word for word, kind in FAULTS.items() if kind.reach is Reach.MEMORY):
                with pytest.raises(FaultError, match="in memory only"):
                    await sim.begin_fault(word, **FAULTS[word].example or {})

    rcs_sim.run(main, clock="real")


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


def test_what_cannot_act_on_sockets_though_its_word_can_is_said() -> None:
    async def story(sim: Simulation, alice: Phone, bob: Phone) -> None:
        with pytest.raises(FaultError, match="retry_after_s"):
            await sim.begin_fault("acs.unreachable", carrier="blue")
        with pytest.raises(FaultError, match="in-memory"):
            await sim.begin_fault("net.partition", from_="red.ibcf", to="blue.ibcf")

    on_sockets(story)
