"""The first fallback rules: always is the text seen exactly once, and its sender is told what became of it."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from ims_core.trace import RecordKind
from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.model import NetworkFile, SubscriberEntry
from tests.scenarios.stage import ALICE, AMY, BEN, BOB, Stage, network, scenario

_NOBODY = "+12025550144"  # a number of red that is no subscriber's
_FRED = "+12025550160"  # of blue, without RCS
_OUTAGE_S = 1800.0


def _with_fred() -> NetworkFile:
    file = network()
    blue = file.carriers["blue"]
    fred = SubscriberEntry(msisdn=_FRED, service="sip")
    blue = blue.model_copy(update={"subscribers": [*blue.subscribers, fred]})
    return file.model_copy(update={"carriers": {**file.carriers, "blue": blue}})


async def _acquainted(stage: Stage) -> tuple[Phone, Phone]:
    """Alice and Bob, who have exchanged a message, so that each knows what the other's phone can do."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    await (await bob.chat(ALICE).send("warm up")).delivered(within_s=5)
    await asyncio.sleep(1)
    return alice, bob


def _went_by_sms(message: SentMessage, reason: FallbackReason) -> None:
    assert (message.transport, message.state) == (MessageTransport.SMS, MessageState.DELIVERED), message.history
    assert message.reason is reason


# -------------------------------------------------------------------------------------------------------- peer not RCS


@scenario(_with_fred)
async def test_a_peer_without_rcs_gets_an_sms_and_the_conversation_is_labelled_so(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    fred = await stage.sim.add_phone("fred", "android", "blue", msisdn=_FRED)
    assert not fred.is_registered
    message = alice.chat(_FRED).send("can you read this?")
    await message.delivered(within_s=30)
    assert message.transport is MessageTransport.SMS
    assert message.reason in (FallbackReason.PEER_NOT_RCS, FallbackReason.PEER_UNREACHABLE)
    await (await fred.chat(ALICE).send("yes, by SMS")).delivered(within_s=30)
    await asyncio.sleep(600)
    assert stage.arrivals(fred) == ["can you read this?"]
    assert stage.arrivals(alice) == ["yes, by SMS"]


@scenario()
async def test_a_number_of_nobody_fails_and_the_sender_is_told_why(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    message = alice.chat(_NOBODY).send("hello?")
    await message.final(within_s=60)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.SMS_REFUSED)
    assert len(stage.shown(alice, Shown.FAILED)) == 1


# -------------------------------------------------------------------------------------------------------- peer offline


@scenario(lambda: network(blue="no-store"))
async def test_an_absent_peer_whose_carrier_stores_nothing_gets_an_sms(stage: Stage) -> None:
    alice, bob = await _acquainted(stage)
    await bob.power_off()
    message = alice.chat(BOB).send("no store there")
    await message.sent(within_s=5)
    await bob.power_on()
    await message.delivered(within_s=120)
    await asyncio.sleep(600)
    _went_by_sms(message, FallbackReason.PEER_UNREACHABLE)
    assert stage.arrivals(bob) == ["warm up", "no store there"]


@scenario(lambda: network(blue="no-store"))
async def test_an_absent_stranger_whose_carrier_stores_nothing_gets_an_sms_at_once(stage: Stage) -> None:
    """Nothing is known of him that would let the message be taken back: waiting would be for nothing."""
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB, is_on=False)
    message = alice.chat(BOB).send("are you new here?")
    await message.sent(within_s=5)
    assert message.transport is MessageTransport.SMS
    await bob.power_on()
    await message.delivered(within_s=120)
    assert stage.arrivals(bob) == ["are you new here?"]


# -------------------------------------------------------------------------------------------------- no receipt in time


@scenario()
async def test_without_a_receipt_in_time_the_message_is_taken_back_and_goes_as_sms(stage: Stage) -> None:
    alice, bob = await _acquainted(stage)
    await bob.power_off()
    message = await alice.chat(BOB).send("hurry")
    await message.sent(within_s=5)
    await asyncio.sleep(45)
    assert [change.state for change in message.history][-3:] == [
        MessageState.REVOKING,
        MessageState.REVOKED,
        MessageState.SENT_AS_SMS,
    ]
    await bob.power_on()
    await message.delivered(within_s=60)
    await asyncio.sleep(3600)
    _went_by_sms(message, FallbackReason.NO_RECEIPT)
    assert stage.arrivals(bob) == ["warm up", "hurry"]


@scenario()
async def test_a_message_that_was_delivered_is_not_taken_back_when_only_its_receipt_is_late(stage: Stage) -> None:
    alice, bob = await _acquainted(stage)
    message = alice.chat(BOB).send("the receipt is late")
    await message.sent(within_s=5)
    if message.state is MessageState.SENT:
        await stage.sim.cut("bob")
        await asyncio.sleep(10)
        await stage.sim.restore("bob")
    await asyncio.sleep(1800)
    assert message.state is MessageState.DELIVERED
    assert stage.arrivals(bob) == ["warm up", "the receipt is late"]


# ------------------------------------------------------------------------------------------------------ who may decide


@scenario()
async def test_an_iphone_asks_and_sends_what_its_user_agrees_to(stage: Stage) -> None:
    alice, bob = await _acquainted(stage)
    await alice.power_off()
    message = await bob.chat(ALICE).send("important")
    await message.final(within_s=60)
    assert message.state is MessageState.FAILED
    (failed,) = stage.shown(bob, Shown.FAILED)
    assert failed.details["offers_sms"] is True
    message.send_as_sms()
    message.send_as_sms()
    await alice.power_on()
    await message.delivered(within_s=120)
    await asyncio.sleep(600)
    assert stage.arrivals(alice) == ["warm up", "important"]
    assert message.transport is MessageTransport.SMS


@scenario()
async def test_an_iphone_whose_user_does_not_agree_sends_nothing_more(stage: Stage) -> None:
    alice, bob = await _acquainted(stage)
    await alice.power_off()
    message = await bob.chat(ALICE).send("not so important")
    await message.final(within_s=60)
    await alice.power_on()
    await asyncio.sleep(3600)
    assert message.state is MessageState.FAILED
    assert stage.arrivals(alice) == ["warm up"]


@scenario()
async def test_an_android_phone_does_it_without_a_question(stage: Stage) -> None:
    alice, bob = await _acquainted(stage)
    await bob.power_off()
    message = await alice.chat(BOB).send("automatic")
    await asyncio.sleep(60)
    assert message.transport is MessageTransport.SMS
    assert stage.shown(alice, Shown.FAILED) == []


# ---------------------------------------------------------------------------------------------------- core unreachable

_RED = ("red.pcscf", "red.scscf", "red.messaging_server", "red.ibcf", "red.icscf")
_BLUE = ("blue.pcscf", "blue.icscf", "blue.scscf", "blue.messaging_server", "blue.ibcf")


@scenario()
@pytest.mark.parametrize("element", [*_RED, *_BLUE])
async def test_an_outage_of_one_element_costs_no_message_and_shows_none_twice(stage: Stage, element: str) -> None:
    alice, bob = await _acquainted(stage)
    async with stage.sim.partition(element):
        first = alice.chat(BOB).send("during the outage")
        await asyncio.sleep(300)
        second = alice.chat(BOB).send("still during the outage")
        await asyncio.sleep(_OUTAGE_S)
    await asyncio.sleep(2400)
    third = alice.chat(BOB).send("after the outage")
    await asyncio.sleep(120)
    said = ["during the outage", "still during the outage", "after the outage"]
    assert stage.arrivals(bob) == ["warm up", *said]
    assert {message.state for message in (first, second, third)} == {MessageState.DELIVERED}
    assert third.transport is MessageTransport.RCS


@scenario()
@pytest.mark.parametrize("device", ["android", "ios", "lineage-like"])
async def test_a_phone_that_cannot_reach_its_core_sends_sms_without_asking(stage: Stage, device: str) -> None:
    alice = await stage.phone("alice", ALICE, device)
    amy = await stage.phone("amy", AMY)
    await (await alice.chat(AMY).send("warm up")).delivered(within_s=5)
    async with stage.sim.partition("red.pcscf"):
        await asyncio.sleep(300)
        message = alice.chat(AMY).send("no RCS here")
        await message.sent(within_s=60)
        assert message.transport is MessageTransport.SMS
        await message.delivered(within_s=120)
    assert stage.shown(alice, Shown.FAILED) == []
    assert stage.arrivals(amy) == ["warm up", "no RCS here"]


@scenario()
async def test_a_phone_that_never_registered_sends_sms(stage: Stage) -> None:
    async with stage.sim.partition("red.pcscf"):
        alice = await stage.sim.add_phone("alice", "android", "red", msisdn=ALICE)
        bob = await stage.phone("bob", BOB)
        message = await alice.chat(BOB).send("first words")
        await message.delivered(within_s=60)
    _went_by_sms(message, FallbackReason.OWN_RCS_DOWN)
    assert stage.arrivals(bob) == ["first words"]


@scenario(partial(network, red="no-store"))
async def test_without_any_network_a_message_fails_and_says_so(stage: Stage) -> None:
    alice, bob = await _acquainted(stage)
    await stage.sim.cut("alice")
    message = alice.chat(BOB).send("into the void")
    await message.final(within_s=900)
    assert message.state is MessageState.FAILED
    assert message.reason in (FallbackReason.SMS_REFUSED, FallbackReason.OWN_RCS_DOWN)
    assert stage.shown(alice, Shown.FAILED)
    await stage.sim.restore("alice")
    await asyncio.sleep(3600)
    assert stage.arrivals(bob).count("into the void") <= 1


@scenario()
async def test_the_way_back_to_rcs_is_shown_by_the_label(stage: Stage) -> None:
    alice, _ = await _acquainted(stage)
    async with stage.sim.partition("red.pcscf"):
        await asyncio.sleep(600)
    await asyncio.sleep(2400)
    labels = [record.details["label"] for record in stage.shown(alice, Shown.LABEL)]
    assert labels == ["RCS", "SMS", "RCS"]


@scenario()
async def test_every_fallback_says_its_reason_in_the_trace(stage: Stage) -> None:
    alice, bob = await _acquainted(stage)
    await bob.power_off()
    alice.chat(BOB).send("why?")
    await asyncio.sleep(60)
    steps = [
        (record.details["state"], record.details["reason"])
        for record in stage.sink.records
        if record.kind is RecordKind.STATE and record.details.get("machine") == "fallback" and record.source == "alice"
    ]
    assert steps[-2:] == [
        ("revoke", "no delivery receipt came in time"),
        ("sms", "no delivery receipt came in time"),
    ]


@scenario()
async def test_two_people_who_fall_back_at_the_same_time_lose_nothing(stage: Stage) -> None:
    alice, bob = await _acquainted(stage)
    ben = await stage.phone("ben", BEN)
    await stage.sim.cut("red.ibcf")
    said = [alice.chat(BOB).send("a to b"), bob.chat(ALICE).send("b to a"), ben.chat(ALICE).send("c to a")]
    for _ in range(40):
        await asyncio.sleep(30)
        for message in said:
            message.send_as_sms()
    await stage.sim.restore("red.ibcf")
    await asyncio.sleep(600)
    assert stage.arrivals(bob) == ["warm up", "a to b"]
    assert sorted(stage.arrivals(alice)[1:]) == ["b to a", "c to a"]
    assert {message.state for message in said} == {MessageState.DELIVERED}
