"""Short messages between phones: both alphabets, long texts, reports, over IP and over the circuit-switched link."""

from __future__ import annotations

import asyncio

import pytest

from ims_core.trace import RecordKind
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, received, scenario

_GSM = "GSM text with €, {brackets} and ñ: "
_UCS = "日本語のテキスト 😀 "


def _sent_over(stage: Stage, name: str) -> list[str]:
    """Reference points that carried something between the phone and the service centre."""
    return [
        record.reference_point
        for record in stage.sink.records
        if record.kind is RecordKind.MESSAGE
        and record.source == name
        and (record.protocol == "SM" or b"application/vnd.3gpp.sms" in record.raw)
    ]


@scenario()
@pytest.mark.parametrize(
    "text",
    [
        "short",
        _GSM * 2,
        _GSM * 20,
        "{" * 80 + "x",
        "x" * 160,
        "x" * 161,
        "x" * 1530,
        _UCS,
        _UCS * 20,
        "😀" * 200,
        "é" * 161,
    ],
    ids=lambda text: f"{len(text)}-{text[:2]}",
)
async def test_a_text_arrives_whole_and_is_reported(stage: Stage, text: str) -> None:
    alice, bob = await stage.alice_and_bob()
    message = alice.send_sms(BOB, text)
    await message.delivered(within_s=60)
    assert message.transport is MessageTransport.SMS
    assert stage.arrivals(bob) == [text]
    (arrived,) = received(bob)
    assert arrived.sent_at is not None
    assert abs(arrived.sent_at - message.created_at) <= 2


@scenario()
async def test_short_messages_go_both_ways_and_within_a_carrier(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    amy = await stage.phone("amy", AMY)
    await alice.send_sms(BOB, "over the border").delivered(within_s=30)
    await bob.send_sms(ALICE, "and back").delivered(within_s=30)
    await alice.send_sms(AMY, "to a neighbour").delivered(within_s=30)
    assert (stage.arrivals(bob), stage.arrivals(alice)) == (["over the border"], ["and back"])
    assert stage.arrivals(amy) == ["to a neighbour"]
    assert _sent_over(stage, "alice").count("CS") == 1  # it attached there


@scenario()
async def test_without_the_ims_a_short_message_takes_the_circuit_switched_link_both_ways(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.partition("red.pcscf"):
        await asyncio.sleep(300)
        await alice.send_sms(BOB, "out").delivered(within_s=120)
        await bob.send_sms(ALICE, "in").delivered(within_s=120)
    assert stage.arrivals(bob) == ["out"]
    assert stage.arrivals(alice) == ["in"]
    assert "CS" in _sent_over(stage, "alice")


@scenario()
async def test_the_report_comes_when_the_absent_receiver_is_back(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await bob.power_off()
    message = alice.send_sms(BOB, "sleep well")
    await asyncio.sleep(3600)
    assert message.state is MessageState.SENT
    await bob.power_on()
    await message.delivered(within_s=60)
    assert stage.arrivals(bob) == ["sleep well"]


@scenario()
async def test_many_short_messages_wait_and_come_in_order(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await bob.power_off()
    messages = [alice.send_sms(BOB, f"{number:02} {_GSM * 6}") for number in range(10)]
    await asyncio.sleep(600)
    await bob.power_on()
    for message in messages:
        await message.delivered(within_s=600)
    assert stage.arrivals(bob) == [message.text for message in messages]


@scenario()
async def test_a_sender_who_is_away_gets_the_report_when_he_is_back(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await bob.power_off()
    message = alice.send_sms(BOB, "tell me later")
    await message.sent(within_s=60)
    await alice.power_off()
    await bob.power_on()
    await asyncio.sleep(60)
    assert stage.arrivals(bob) == ["tell me later"]
    await asyncio.sleep(3600)
    await alice.power_on()
    await message.delivered(within_s=2400)


@scenario()
async def test_a_number_of_nobody_is_refused(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    message = alice.send_sms("+12025550144", "hello?")
    await message.final(within_s=120)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.SMS_REFUSED)


@scenario()
async def test_a_short_message_and_an_rcs_message_share_one_conversation(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("rich")).delivered(within_s=5)
    await alice.send_sms(BOB, "short").delivered(within_s=30)
    assert [one.text for one in alice.chat(BOB).messages] == ["rich", "short"]
    assert [one.text for one in bob.chat(ALICE).messages] == ["rich", "short"]
    assert len(bob.chats) == 1


@scenario()
async def test_the_same_text_sent_twice_is_shown_twice(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    for _ in range(2):
        await alice.send_sms(BOB, "ok").delivered(within_s=30)
    for _ in range(2):
        await (await alice.chat(BOB).send("fine")).delivered(within_s=5)
    assert stage.arrivals(bob) == ["ok", "ok", "fine", "fine"]


@scenario()
async def test_a_text_that_is_too_long_for_sms_is_refused(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    message = alice.send_sms(BOB, "x" * 1531)
    await message.final(within_s=60)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.NOT_ELIGIBLE)
    await asyncio.sleep(60)
    assert stage.arrivals(bob) == []


@scenario()
async def test_an_operators_short_message_is_shown_under_its_name(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    stage.sim.carrier("red").send_sms(ALICE, "Welcome abroad")
    await asyncio.sleep(10)
    assert stage.arrivals(alice) == ["Welcome abroad"]
    assert [str(chat.peer) for chat in alice.chats] != []
