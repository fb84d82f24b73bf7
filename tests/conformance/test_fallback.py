"""Statements of the groups Fallback and SMS, and M09 to M11, on the whole network."""

from __future__ import annotations

import asyncio

import pytest

from ims_core.transport.sip_stack import ServerTransaction
from ims_core.transport.virtual_loop import run
from ims_core.wire.sip.feature_tags import AcceptContact
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sms.rpdu import RpAck, RpData, Rpdu, parse_rpdu
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage, compose_cpim
from rcs_sim.wire.revocation import RevokeRequest, RevokeResponse, parse_revocation
from tests.conformance.stage import ALICE, BOB, Stage, network_with, play
from tests.support import stub_core
from tests.support.stub_core import World

NOBODY = "+12025550159"
SYSTEM = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.systemmsg"
REVOKE = "application/vnd.gsma.rcsrevoke+xml"
SMS = "application/vnd.3gpp.sms"


def short_messages(stage: Stage, source: str, target: str) -> list[Rpdu]:
    return [
        parse_rpdu(each.body) for each in stage.requests("MESSAGE", source, target) if each.text("Content-Type") == SMS
    ]


def answers(stage: Stage, name: str, method: str) -> list[int]:
    found = stage.messages(target=name)
    return [each.status for each in found if isinstance(each, Response) and each.cseq.method == method]


def test_l01_404_sends_sms_and_the_next_message_does_not_ask_again() -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        chat = alice.chat(NOBODY)
        first = await chat.send("one").final(60)
        assert 404 in answers(stage, "alice", "OPTIONS")
        assert first.transport is MessageTransport.SMS
        assert chat.label == "SMS"
        sent = len(stage.records("alice"))
        chat.send("two")
        await asyncio.sleep(0.01)
        assert all(SMS.encode() in each.raw for each in stage.records("alice")[sent:])

    play(story)


def test_l02_480_where_nobody_stores_is_sms_at_once() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        await alice.chat(BOB).send("before").delivered(10)
        await bob.power_off()
        message = alice.chat(BOB).send("by SMS then")
        await asyncio.sleep(5)
        assert 480 in answers(stage, "alice", "MESSAGE")
        assert (message.state, message.transport) == (MessageState.SENT_AS_SMS, MessageTransport.SMS)
        await bob.power_on()
        await message.delivered(60)
        assert [each.text for each in bob.chat(ALICE).messages] == ["before", "by SMS then"]

    play(story, network_with(red="no-store", blue="no-store"))


def test_l03_m09_m10_without_a_receipt_the_message_is_taken_back_by_pager_and_goes_once_as_sms() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        await alice.chat(BOB).send("before").delivered(10)
        await bob.power_off()
        started = stage.sim.clock.now()
        message = alice.chat(BOB).send("take it back")
        await message.sent(10)
        await asyncio.sleep(29)
        assert not stage.cpims("alice", "", REVOKE)
        await asyncio.sleep(5)
        (request,) = [each for each in stage.requests("MESSAGE", "alice") if REVOKE.encode() in each.body]
        assert request.text("P-Preferred-Service") == SYSTEM
        (accept,) = request.get_all(AcceptContact)
        assert accept.is_required
        revoke = parse_revocation(CpimMessage.parse(request.body).body)
        assert isinstance(revoke, RevokeRequest)
        assert (revoke.message_id, revoke.sender, revoke.recipient) == (message.id, f"tel:{ALICE}", f"tel:{BOB}")
        (given,) = stage.cpims("red.pcscf", "alice", REVOKE)
        answer = parse_revocation(given.body)
        assert isinstance(answer, RevokeResponse)
        assert (answer.message_id, answer.is_revoked) == (message.id, True)
        assert message.state is MessageState.SENT_AS_SMS
        assert stage.sim.clock.now() - started < 40
        await bob.power_on()
        await message.delivered(60)
        await asyncio.sleep(300)
        shown = [each for each in bob.chat(ALICE).messages if each.text == "take it back"]
        assert [each.transport for each in shown] == [MessageTransport.SMS]
        assert alice.chat(BOB).messages[-1] is message

    play(story)


def test_m09_what_was_delivered_cannot_be_taken_back() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        await alice.chat(BOB).send("before").delivered(10)
        await bob.power_off()
        message = alice.chat(BOB).send("late")
        await message.sent(10)
        await asyncio.sleep(27)
        bob_back = asyncio.get_running_loop().create_task(bob.power_on())
        await message.delivered(60)
        await bob_back
        await asyncio.sleep(60)
        assert message.transport is MessageTransport.RCS
        assert [each.transport for each in bob.chat(ALICE).messages] == [MessageTransport.RCS] * 2

    play(story)


@pytest.mark.parametrize(("tag", "revokes"), [("+g.gsma.rcs.msgfallback", False), ("+g.gsma.rcs.msgrevoke", True)])
def test_l04_msgfallback_in_the_contact_of_the_answer_turns_revocation_off(tag: str, revokes: bool) -> None:
    async def main() -> None:
        async with World.running() as world:
            alice, bob = world.phone("alice", stub_core.ALICE), world.phone("bob", stub_core.BOB)
            await alice.power_on()
            await bob.power_on()
            chat = alice.chat(stub_core.BOB)
            await chat.send("OPTIONS told that he can revoke").delivered(10)

            def take(request: Request, server: ServerTransaction) -> None:
                world.core.stack.reply(server, 202, headers=(("Contact", f"<sip:x@{stub_core.HOME}>;{tag}"),))

            world.core.answers["MESSAGE"].append(take)
            await chat.send("never delivered").sent(10)
            await asyncio.sleep(60)
            assert bool(world.core.of("MESSAGE", "MessageRevokeRequest")) is revokes

    run(main(), clock="virtual")


def test_l05_an_rcs_message_of_a_contact_that_was_no_rcs_user_unlatches() -> None:
    async def main() -> None:
        async with World.running() as world:
            alice = world.phone("alice", stub_core.ALICE)
            world.core.barred.add(stub_core.BOB)
            await alice.power_on()
            chat = alice.chat(stub_core.BOB)
            await asyncio.sleep(2)
            assert chat.label == "SMS"
            body = compose_cpim(
                sender=ANONYMOUS_URI,
                recipient=ANONYMOUS_URI,
                message_id="m-1",
                date_time="2026-03-02T10:15:30Z",
                body=b"hi",
            )
            world.core.send(stub_core.ALICE, world.core.message(f"tel:{stub_core.BOB}", body, "message/cpim"))
            await asyncio.sleep(1)
            assert chat.label == "RCS"

    run(main(), clock="virtual")


def test_l08_l12_a_short_message_goes_up_and_down_as_rp_data_with_answers_that_name_its_call() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        message = alice.chat(BOB).send("Hello", as_sms=True)
        await message.delivered(60)
        assert [each.text for each in bob.chat(ALICE).messages] == ["Hello"]
        up = [each for each in stage.requests("MESSAGE", "alice") if each.text("Content-Type") == SMS]
        down = [each for each in stage.requests("MESSAGE", "red.pcscf", "alice") if each.text("Content-Type") == SMS]
        data = parse_rpdu(up[0].body)
        accepted = parse_rpdu(down[0].body)
        assert isinstance(data, RpData)
        assert isinstance(accepted, RpAck)
        assert data.reference == accepted.reference
        assert down[0].text("In-Reply-To") == up[0].call_id
        assert "+g.3gpp.smsip" in (down[0].text("Accept-Contact") or "")
        given = [each for each in stage.requests("MESSAGE", "blue.pcscf", "bob") if each.text("Content-Type") == SMS]
        taken = [each for each in stage.requests("MESSAGE", "bob") if each.text("Content-Type") == SMS]
        assert isinstance(parse_rpdu(taken[0].body), RpAck)
        assert taken[0].text("In-Reply-To") == given[0].call_id
        assert not stage.requests("MESSAGE", "red.ibcf", "blue.ibcf")

    play(story)


@pytest.mark.parametrize("text", ["long " * 60, "длинный текст " * 20])
def test_l09_a_long_text_is_shown_in_one_piece(text: str) -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        message = alice.chat(BOB).send(text, as_sms=True)
        await message.delivered(120)
        assert len([each for each in short_messages(stage, "alice", "") if isinstance(each, RpData)]) > 1
        assert [each.text for each in bob.chat(ALICE).messages] == [text]

    play(story)


def test_l10_a_number_of_nobody_is_refused_and_the_sender_told() -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        message = await alice.chat("+4930123456").send("hello", as_sms=True).final(120)
        assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.SMS_REFUSED)

    play(story)


def test_l11_the_status_report_comes_when_the_receiver_has_it_not_before() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob(is_on=False)
        message = alice.chat(BOB).send("hello", as_sms=True)
        await message.sent(30)
        await asyncio.sleep(600)
        assert message.state is MessageState.SENT
        await bob.power_on()
        await message.delivered(60)

    play(story)


def test_what_went_out_twice_is_shown_once() -> None:
    """RCS core out of reach in the middle: the SMS arrives, the RCS copy comes after it, one is shown."""

    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        await alice.chat(BOB).send("before").delivered(10)
        async with stage.sim.partition("red.messaging_server"):
            message = alice.chat(BOB).send("once only")
            await message.final(600)
            await asyncio.sleep(60)
        await asyncio.sleep(3600)
        assert [each.text for each in bob.chat(ALICE).messages].count("once only") == 1
        assert message.state in (MessageState.DELIVERED, MessageState.DISPLAYED)

    play(story)
