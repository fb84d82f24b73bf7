from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.phone import Phone
from tests.rcs_sim.client.stories import play
from tests.rcs_sim.client.two_with_sms import texts_of, with_sms
from tests.support.stub_core import ALICE, BOB, CORE_HOST, World, device, subscriber


async def _bob_known_and_gone(alice: Phone, bob: Phone) -> None:
    await (await alice.chat(BOB).send("before")).delivered(10)
    await bob.power_off()


def test_a_peer_without_rcs_gets_sms_at_once_and_the_contact_latches_l01() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, bob, smsc):
            world.core.barred.add(BOB)
            chat = alice.chat(BOB)
            message = await chat.send("Hello")
            await message.delivered(10)
            assert message.transport is MessageTransport.SMS
            assert message.reason is FallbackReason.PEER_NOT_RCS
            assert world.core.of("MESSAGE", "Hello") == []
            assert texts_of(bob, ALICE) == [("Hello", "SMS")]
            assert chat.label == "SMS"
            assert [each.text for each in smsc.submits] == ["Hello"]

    play(story)


def test_404_to_the_message_itself_falls_back_and_latches_l01() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, bob, _):
            chat = alice.chat(BOB)
            await (await chat.send("first")).delivered(10)
            world.core.answers["MESSAGE"].append(404)
            message = await (await chat.send("second")).delivered(10)
            assert MessageState.SENT_AS_SMS in [change.state for change in message.history]
            assert chat.label == "SMS"
            assert texts_of(bob, ALICE) == [("first", "RCS"), ("second", "SMS")]
            assert "sms: the peer is not an RCS user" in world.states("alice", "fallback")
            assert "SMS: answered not rcs" in world.states("alice", "latch")

    play(story)


def test_unreachable_without_a_store_sends_sms_l02() -> None:
    async def story(world: World) -> None:
        policy = device("android")
        storeless = replace(policy, fallback=replace(policy.fallback, relies_on_store=False))
        async with with_sms(world, storeless) as (alice, _, _smsc):
            chat = alice.chat(BOB)
            await (await chat.send("first")).delivered(10)
            world.core.answers["MESSAGE"].append(480)
            message = await (await chat.send("second")).delivered(10)
            assert message.transport is MessageTransport.SMS
            assert message.reason is FallbackReason.PEER_UNREACHABLE

    play(story)


def test_no_receipt_in_time_revokes_then_sends_one_sms_l03_m09() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, bob, smsc):
            await _bob_known_and_gone(alice, bob)
            message = await (await alice.chat(BOB).send("Hello")).sent(5)
            await asyncio.sleep(29)
            assert world.core.of("MESSAGE", "MessageRevokeRequest") == []
            await asyncio.sleep(5)
            assert message.state is MessageState.SENT_AS_SMS
            request = world.core.of("MESSAGE", "MessageRevokeRequest")[0]
            assert request.text("P-Preferred-Service") == "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.systemmsg"
            assert (request.text("Accept-Contact") or "").endswith("require;explicit")
            assert f"<From>tel:{ALICE}</From>".encode() in request.body
            assert f"<To>tel:{BOB}</To>".encode() in request.body
            assert [each.text for each in smsc.submits] == ["Hello"]
            states = [change.state.value for change in message.history]
            assert states == ["queued", "sending", "sent", "revoking", "revoked", "sent-as-sms"]
            assert alice.chat(BOB).label == "SMS"
            await bob.power_on()
            assert texts_of(bob, ALICE) == [("before", "RCS")]

    play(story)


def test_after_a_refused_revocation_there_is_no_sms_m09() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, bob, smsc):
            world.core.revokes = False
            await _bob_known_and_gone(alice, bob)
            message = await (await alice.chat(BOB).send("Hello")).sent(5)
            await asyncio.sleep(300)
            assert message.state is MessageState.SENT
            assert smsc.submits == []

    play(story)


@pytest.mark.parametrize("changes", [{"revoke_timer_s": 0}, {}])
def test_revocation_needs_a_timer_and_the_peers_tag_m11(changes: dict[str, Any]) -> None:
    async def story(world: World) -> None:
        document = subscriber(ALICE, **changes)
        async with with_sms(world, configuration=document) as (alice, bob, _):
            if changes:
                await (await alice.chat(BOB).send("before")).delivered(10)
            await bob.power_off()  # where nothing was said before, nothing is known about the peer
            await (await alice.chat(BOB).send("Hello")).sent(10)
            await asyncio.sleep(300)
            assert world.core.of("MESSAGE", "MessageRevokeRequest") == []

    play(story)


def test_with_cfs_trigger_0_both_copies_arrive_and_one_is_shown() -> None:
    async def story(world: World) -> None:
        document = subscriber(ALICE, waits_for_revocation=False)
        async with with_sms(world, configuration=document) as (alice, bob, smsc):
            world.core.revokes = False
            await _bob_known_and_gone(alice, bob)
            world.core.never_answer("MESSAGE", 0)
            message = await (await alice.chat(BOB).send("Hello")).sent(5)
            await asyncio.sleep(31)
            assert message.state is MessageState.SENT_AS_SMS
            kept = [each for each in world.core.stored if b"Hello" in each[1].body]
            await bob.power_on()  # the stored RCS copy has been taken by the stub's revocation: give it back
            smsc.text(BOB, ALICE, "Hello")
            assert not kept
            stored = next(each for each in world.core.requests if b"Hello" in each.body)
            copy = stored.edit().remove("Via", "Route").set("P-Asserted-Identity", f"<tel:{ALICE}>").done()
            world.core.send(BOB, copy)
            await asyncio.sleep(5)
            assert [text for text, _ in texts_of(bob, ALICE)].count("Hello") == 1
            assert any("the same text" in line for line in world.states("bob", "duplicate"))
            assert message.state is MessageState.DELIVERED

    play(story)


def test_the_own_rcs_down_means_sms_and_rcs_comes_back_after_the_guard() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, _bob, _):
            chat = alice.chat(BOB)
            await (await chat.send("one")).delivered(10)
            world.network.cut(CORE_HOST)
            world.core.keep_s = 120
            message = chat.send("two")  # nothing answers: timer F, registration, then SMS
            await message.delivered(400)
            assert message.transport is MessageTransport.SMS
            assert message.reason in (FallbackReason.NO_RESPONSE, FallbackReason.LINK_FAILED)
            assert chat.label == "SMS"
            third = await (await chat.send("three")).delivered(10)
            assert third.reason is FallbackReason.OWN_RCS_DOWN
            world.network.restore(CORE_HOST)
            for _ in range(40):
                await asyncio.sleep(60)
                if alice.is_registered:
                    break
            assert alice.is_registered
            await asyncio.sleep(61)
            assert chat.label == "RCS"
            fourth = await (await chat.send("four")).delivered(3000)
            assert fourth.transport is MessageTransport.RCS

    play(story)


def test_what_is_to_be_sent_again_waits_for_a_registration_that_was_lost_meanwhile() -> None:
    async def story(world: World) -> None:
        patient = subscriber(ALICE, reconnect_guard_s=60)
        async with with_sms(world, configuration=patient) as (alice, _bob, _):
            chat = alice.chat(BOB)
            await (await chat.send("one")).delivered(10)
            world.core.answers["MESSAGE"].append(500)  # once more after 1 to 3 s
            message = chat.send("the second text")
            await asyncio.sleep(0.5)
            world.core.answers["REGISTER"].append(503)
            world.core.bindings[ALICE].flow.close()
            await message.delivered(60)
            assert message.transport is MessageTransport.RCS
            seen = [request.method for request in world.core.requests]
            first, second = (world.core.requests.index(each) for each in world.core.of("MESSAGE", "the second text"))
            assert seen[first:second].count("REGISTER") > 1, "one was refused"

    play(story)


def test_an_rcs_message_of_the_peer_unlatches_l05() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, bob, _):
            await _bob_known_and_gone(alice, bob)
            await alice.chat(BOB).send("Hello")
            await asyncio.sleep(35)
            assert alice.chat(BOB).label == "SMS"
            await bob.power_on()
            await (await bob.chat(ALICE).send("I am back")).delivered(10)
            assert alice.chat(BOB).label == "RCS"

    play(story)


def test_an_ios_like_phone_asks_before_it_sends_sms() -> None:
    async def story(world: World) -> None:
        async with with_sms(world, device("ios")) as (alice, _bob, smsc):
            chat = alice.chat(BOB)
            await (await chat.send("first")).delivered(10)
            world.core.answers["MESSAGE"].append(403)
            message = await (await chat.send("second")).final(10)
            assert message.state is MessageState.FAILED
            assert smsc.submits == []
            assert any(line.startswith("failed") for line in world.shown("alice"))
            message.send_as_sms()
            await message.delivered(10)
            assert message.transport is MessageTransport.SMS
            message.send_as_sms()
            assert len(smsc.submits) == 1

    play(story)


def test_an_ios_like_phone_sends_sms_by_itself_while_it_has_no_rcs() -> None:
    async def story(world: World) -> None:
        world.network.cut(CORE_HOST)
        async with with_sms(world, device("ios")) as (alice, _bob, _):
            message = await (await alice.chat(BOB).send("Hello")).delivered(10)
            assert message.transport is MessageTransport.SMS

    play(story)


def test_503_with_a_long_retry_after_holds_rcs() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, _bob, _):
            chat = alice.chat(BOB)
            await (await chat.send("first")).delivered(10)

            def busy(request: Any, server: Any) -> None:
                world.core.stack.reply(server, 503, headers=(("Retry-After", "60"),))

            world.core.answers["MESSAGE"].append(busy)
            message = await (await chat.send("second")).delivered(10)
            assert message.transport is MessageTransport.SMS
            assert chat.label == "SMS"
            await asyncio.sleep(61)
            assert chat.label == "RCS"

    play(story)


def test_a_declined_message_never_becomes_sms() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, _bob, smsc):
            chat = alice.chat(BOB)
            await (await chat.send("first")).delivered(10)
            world.core.answers["MESSAGE"].append(603)
            message = await (await chat.send("second")).final(10)
            assert message.reason is FallbackReason.DECLINED
            assert smsc.submits == []

    play(story)


def test_a_receipt_owed_while_offline_is_sent_after_the_next_registration() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, bob, _):
            message = await (await alice.chat(BOB).send("Hello")).delivered(10)
            world.core.stack.close_flow(world.core.bindings[BOB].flow, "gone")
            world.network.cut(CORE_HOST)
            await asyncio.sleep(1)
            bob.chat(ALICE).read()
            await asyncio.sleep(60)
            world.network.restore(CORE_HOST)
            await message.displayed(4000)

    play(story)
