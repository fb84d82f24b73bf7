from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ims_core.wire.sms.address import Address
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.rpdu import RpAck, RpError, RpSmma
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import SmsDeliver
from ims_core.wire.sms.user_data import ApplicationPorts, UserData, UserDataHeader
from rcs_sim.client.message_state import MessageState, MessageTransport
from tests.rcs_sim.client.stories import play
from tests.rcs_sim.client.two_with_sms import texts_of, with_sms
from tests.support.stub_core import ALICE, BOB, HOME, World, device
from tests.support.stub_smsc import SMSC_NUMBER


def test_sms_over_ip_goes_to_the_service_centre_and_is_acknowledged_by_in_reply_to_l12() -> None:
    async def story(world: World) -> None:
        async with with_sms(world, by_ip=True) as (alice, bob, smsc):
            message = await alice.send_sms(BOB, "Hello")
            await message.delivered(10)
            assert message.transport is MessageTransport.SMS
            request = world.core.of("MESSAGE", "vnd.3gpp.sms")[0]
            assert request.request_uri_text == f"tel:{SMSC_NUMBER}"
            assert request.text("Request-Disposition") == "no-fork"
            assert request.text("Content-Type") == "application/vnd.3gpp.sms"
            assert texts_of(bob, ALICE) == [("Hello", "SMS")]
            answers = [each for each in world.core.of("MESSAGE", "vnd.3gpp.sms") if each.has("In-Reply-To")]
            assert answers[0].request_uri_text == f"sip:ipsmgw.{HOME}"
            assert all(isinstance(each, RpAck) for each in smsc.answers)
            assert "accepted: over IP" in world.states("alice", "SMS")

    play(story)


def test_without_registration_it_goes_over_the_circuit_switched_link() -> None:
    async def story(world: World) -> None:
        world.core.answers["REGISTER"].extend([503] * 50)
        async with with_sms(world) as (alice, bob, _):
            message = await (await alice.chat(BOB).send("Hello")).delivered(10)
            assert message.transport is MessageTransport.SMS
            assert texts_of(bob, ALICE) == [("Hello", "SMS")]
            assert "accepted: over CS" in world.states("alice", "SMS")

    play(story)


@pytest.mark.parametrize("text", ["x" * 500, "ж" * 200, "^{}[]~|€" * 30])
def test_long_texts_arrive_whole_both_ways_l09(text: str) -> None:
    async def story(world: World) -> None:
        async with with_sms(world, by_ip=True) as (alice, bob, smsc):
            await (await alice.send_sms(BOB, text)).delivered(10)
            assert texts_of(bob, ALICE) == [(text, "SMS")]
            assert len(smsc.submits) > 1

    play(story)


def test_a_refusal_of_the_path_goes_over_the_other_one_and_a_permanent_one_fails_l10() -> None:
    async def story(world: World) -> None:
        async with with_sms(world, by_ip=True) as (alice, _bob, smsc):
            smsc.causes.append(42)
            message = await (await alice.send_sms(BOB, "one")).delivered(10)
            assert "accepted: over CS" in world.states("alice", "SMS")
            smsc.causes.append(1)
            message = await (await alice.send_sms(BOB, "two")).final(10)
            assert message.state is MessageState.FAILED
            assert "failed: RP cause 1" in world.states("alice", "SMS")

    play(story)


def test_silence_of_the_gateway_takes_the_other_path_after_tr1m() -> None:
    async def story(world: World) -> None:
        async with with_sms(world, by_ip=True) as (alice, _bob, smsc):
            smsc.is_mute = True
            message = await alice.send_sms(BOB, "one")
            await asyncio.sleep(41)
            smsc.is_mute = False
            await asyncio.sleep(60)
            assert message.state is MessageState.FAILED  # the circuit-switched try was met with silence as well

    play(story)


def test_a_full_memory_is_told_and_so_is_its_end() -> None:
    async def story(world: World) -> None:

        policy = device("android")
        small = replace(policy, sms=replace(policy.sms, storage_messages=1))
        async with with_sms(world, small) as (alice, _bob, smsc):
            smsc.text(ALICE, BOB, "one")
            smsc.text(ALICE, BOB, "two")
            await asyncio.sleep(1)
            assert texts_of(alice, BOB) == [("one", "SMS")]
            refusals = [each for each in smsc.answers if isinstance(each, RpError)]
            assert [each.cause for each in refusals] == [22]
            alice.free_sms_memory(1)
            await asyncio.sleep(1)
            assert any(isinstance(each, RpSmma) for each in smsc.answers)

    play(story)


def test_a_service_that_sends_under_a_name_has_a_thread_that_cannot_be_answered() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, _bob, smsc):
            smsc.text(ALICE, "BANK", "Your code is 123456")
            await asyncio.sleep(1)
            chat = alice.chats[0]
            assert [each.text for each in chat.messages] == ["Your code is 123456"]
            message = await chat.send("thanks")
            assert message.state is MessageState.FAILED

    play(story)


def test_a_data_message_to_a_port_is_not_shown() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, _bob, smsc):
            header = UserDataHeader.of(ApplicationPorts(37273, 0).element())
            deliver = SmsDeliver(
                originator=Address.international(SMSC_NUMBER),
                timestamp=Timestamp.at(world.clock.now()),
                user_data=UserData(b"001010000000101-rcscfg", header),
                data_coding=DataCoding.EIGHT_BIT,
            )
            smsc.send(ALICE, deliver.encode())
            await asyncio.sleep(1)
            assert alice.chats == ()

    play(story)


def test_the_circuit_switched_link_is_attached_again_after_a_loss() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (_alice, _bob, smsc):
            smsc.links[ALICE].close()
            smsc.links.pop(ALICE)
            await asyncio.sleep(31)
            assert ALICE in smsc.links

    play(story)
