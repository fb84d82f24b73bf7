"""Chat sessions that something happens to: nothing is lost, nothing is shown twice, and the sender knows."""

from __future__ import annotations

import asyncio

import pytest

from ims_core.trace import RecordKind
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.model import LinkEntry
from tests.scenarios.stage import ALICE, BOB, Stage, network, scenario, texts

LONG = "in many pieces " * 4000  # 60,000 octets: 30 chunks
_ELEMENTS = [
    "red.pcscf",
    "red.scscf",
    "red.messaging_server",
    "red.msrp_relay",
    "red.ibcf",
    "blue.ibcf",
    "blue.icscf",
    "blue.msrp_relay",
    "blue.messaging_server",
    "blue.scscf",
    "blue.pcscf",
    "alice",
    "bob",
]


async def _in_session(stage: Stage) -> tuple[Phone, Phone]:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("x" * 2000)).delivered(within_s=10)
    assert alice.chat(BOB).session == "open"
    return alice, bob


def _is_seen_once_or_its_sender_knows(stage: Stage, phone: Phone, message: SentMessage) -> None:
    times = stage.arrivals(phone).count(message.text)
    assert times <= 1, f"shown {times} times: {message.history}"
    assert times == 1 or message.state is MessageState.FAILED, f"lost: {message.history}"
    assert times == 0 or message.state is not MessageState.FAILED, f"shown, and called failed: {message.history}"


@pytest.mark.parametrize("after_s", [0.02, 0.05, 0.09, 0.15])
@pytest.mark.parametrize("element", _ELEMENTS)
def test_a_chunked_message_survives_an_element_that_is_cut_for_a_minute(element: str, after_s: float) -> None:
    @scenario(network(access=LinkEntry(latency_s=0.03)), is_read_by_others=False)
    async def story(stage: Stage) -> None:
        alice, bob = await _in_session(stage)
        message = alice.chat(BOB).send(LONG)
        await asyncio.sleep(after_s)
        async with stage.sim.partition(element):
            await asyncio.sleep(60)
        await asyncio.sleep(3600)
        _is_seen_once_or_its_sender_knows(stage, bob, message)
        again = await alice.chat(BOB).send("and now?")
        await asyncio.sleep(3600)
        _is_seen_once_or_its_sender_knows(stage, bob, again)

    story()


@pytest.mark.parametrize("element", _ELEMENTS)
def test_short_texts_of_both_sides_survive_an_element_that_is_cut_for_half_an_hour(element: str) -> None:
    @scenario(is_read_by_others=False)
    async def story(stage: Stage) -> None:
        alice, bob = await _in_session(stage)
        said = []
        for number in range(3):
            said.append((bob, alice.chat(BOB).send(f"from alice {number}")))
            said.append((alice, bob.chat(ALICE).send(f"from bob {number}")))
            await asyncio.sleep(0.06)
        await stage.sim.cut(element)
        for number in range(3, 6):
            said.append((bob, alice.chat(BOB).send(f"from alice {number}")))
            said.append((alice, bob.chat(ALICE).send(f"from bob {number}")))
            await asyncio.sleep(7)
        await asyncio.sleep(1800)
        await stage.sim.restore(element)
        await asyncio.sleep(7200)
        for phone, message in said:
            _is_seen_once_or_its_sender_knows(stage, phone, message)

    story()


@pytest.mark.parametrize("cut_s", [0.2, 3.0, 40.0])
@pytest.mark.parametrize("element", ["red.msrp_relay", "blue.msrp_relay", "blue.messaging_server", "bob", "alice"])
def test_what_arrives_after_a_break_arrives_in_the_order_of_writing(element: str, cut_s: float) -> None:
    @scenario(is_read_by_others=False)
    async def story(stage: Stage) -> None:
        alice, bob = await _in_session(stage)
        said = []
        for number in range(8):
            said.append(alice.chat(BOB).send(f"{number} " + ("z" * 3000 if number % 3 == 0 else "")))
            await asyncio.sleep(0.03)
            if number == 2:
                await stage.sim.cut(element)
        await asyncio.sleep(cut_s)
        await stage.sim.restore(element)
        await asyncio.sleep(3600)
        numbers = [text.split()[0] for text in stage.arrivals(bob)[1:]]
        assert numbers == sorted(numbers)
        for message in said:
            _is_seen_once_or_its_sender_knows(stage, bob, message)

    story()


@scenario()
async def test_the_loss_of_the_last_200_shows_nothing_twice(stage: Stage) -> None:
    """Bob has the message, and nobody hears that he has."""
    alice, bob = await _in_session(stage)
    message = alice.chat(BOB).send("did you get this?")
    await asyncio.sleep(0.085)  # under way to bob, not back yet
    await stage.sim.cut("bob")
    await asyncio.sleep(45)
    await stage.sim.restore("bob")
    await asyncio.sleep(3600)
    _is_seen_once_or_its_sender_knows(stage, bob, message)


@scenario()
@pytest.mark.parametrize("who", ["alice", "bob"])
async def test_a_phone_that_loses_its_power_in_the_middle_of_a_message(stage: Stage, who: str) -> None:
    alice, bob = await _in_session(stage)
    message = alice.chat(BOB).send(LONG)
    await asyncio.sleep(0.1)
    await stage.sim.phones[who].lose_power()
    await asyncio.sleep(120)
    await stage.sim.phones[who].power_on()
    await asyncio.sleep(3600)
    if message.state is MessageState.FAILED:
        message.send_as_sms()
        await asyncio.sleep(600)
    assert stage.arrivals(bob).count(LONG) <= 1
    if who == "bob":
        assert stage.arrivals(bob).count(LONG) == 1, message.history


@scenario()
@pytest.mark.parametrize("who", ["alice", "bob"])
async def test_airplane_mode_in_the_middle_of_a_message(stage: Stage, who: str) -> None:
    alice, bob = await _in_session(stage)
    message = alice.chat(BOB).send(LONG)
    await asyncio.sleep(0.1)
    await stage.sim.phones[who].airplane(True)
    await asyncio.sleep(20)
    await stage.sim.phones[who].airplane(False)
    await asyncio.sleep(3600)
    _is_seen_once_or_its_sender_knows(stage, bob, message)


@scenario(network(access=LinkEntry(latency_s=0.05, jitter_s=0.1, loss=0.1)))
async def test_bad_access_links_lose_and_double_nothing(stage: Stage) -> None:
    alice, bob = await stage.phone("alice", ALICE), await stage.phone("bob", BOB)
    said = []
    for number in range(8):
        said.append((bob, alice.chat(BOB).send(f"{number} from alice " + "z" * 3000)))
        said.append((alice, bob.chat(ALICE).send(f"{number} from bob")))
        await asyncio.sleep(3)
    await asyncio.sleep(900)
    for phone, message in said:
        _is_seen_once_or_its_sender_knows(stage, phone, message)
    assert {message.state for _, message in said} == {MessageState.DELIVERED}
    assert sorted(texts(bob), key=str) == sorted(m.text for p, m in said if p is bob)


@scenario()
async def test_flapping_elements_lose_and_double_nothing(stage: Stage) -> None:
    alice, bob = await _in_session(stage)
    said = []
    for number in range(26):
        element = _ELEMENTS[number % len(_ELEMENTS)]
        await stage.sim.cut(element)
        said.append((bob, alice.chat(BOB).send(f"{number} " + "y" * (1500 if number % 2 else 20))))
        said.append((alice, bob.chat(ALICE).send(f"{number} from bob")))
        await asyncio.sleep(7 * (number % 6) + 0.05)
        await stage.sim.restore(element)
        await asyncio.sleep(13 * (number % 4))
    await asyncio.sleep(2 * 3600)
    for phone, message in said:
        _is_seen_once_or_its_sender_knows(stage, phone, message)


@scenario()
async def test_after_a_broken_session_the_next_one_is_as_good_as_new(stage: Stage) -> None:
    alice, bob = await _in_session(stage)
    async with stage.sim.partition("red.msrp_relay"):
        message = alice.chat(BOB).send(LONG)
        await asyncio.sleep(120)
    await asyncio.sleep(1200)
    _is_seen_once_or_its_sender_knows(stage, bob, message)
    after = await alice.chat(BOB).send("z" * 2000)
    await after.delivered(within_s=30)
    assert after.transport is MessageTransport.RCS
    assert alice.chat(BOB).session == bob.chat(ALICE).session == "open"
    ends = [
        r.details["reason"]
        for r in stage.sink.records
        if r.kind is RecordKind.STATE and r.summary.startswith("session: ended")
    ]
    assert all(ends)
    assert message.reason is not FallbackReason.NONE or message.state is MessageState.DELIVERED
