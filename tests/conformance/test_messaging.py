"""Statements of the groups Capabilities, Pager, Store and forward, IMDN and typing, from phone to phone."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest

from ims_core.transport.virtual_loop import run
from ims_core.wire.sip.address_headers import Contact
from ims_core.wire.sip.feature_tags import AcceptContact, FeatureSet
from ims_core.wire.sip.message import Response
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.wire.cpim import IMDN, CpimMessage, compose_cpim
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, Imdn, ImdnKind, ImdnStatus
from tests.conformance.stage import ALICE, BOB, Stage, play
from tests.support import stub_core
from tests.support.stub_core import World

NOBODY = "+12025550159"
SERVICE = "urn:urn-7:3gpp-service."
MSG = f"{SERVICE}ims.icsi.oma.cpm.msg"


def alone(story: Callable[[World, Phone], Awaitable[None]]) -> None:
    """A story of one registered phone and a core that the test speaks for."""

    async def main() -> None:
        async with World.running() as world:
            phone = world.phone("alice", stub_core.ALICE)
            await phone.power_on()
            await story(world, phone)

    run(main(), clock="virtual")


def incoming(world: World, body: bytes, *, content_type: str = "message/cpim") -> list[Response]:
    """Sends *body* to the phone from the number of stub Bob; the list gets the answer."""
    answers: list[Response] = []

    def take(outcome: object) -> None:
        assert isinstance(outcome, Response)
        answers.append(outcome)

    message = world.core.message(f"tel:{stub_core.BOB}", body, content_type, ("Conversation-ID", "c-1"))
    world.core.send(stub_core.ALICE, message, take)
    return answers


def content(message_id: str, wishes: tuple[str, ...] = ("positive-delivery", "display"), text: str = "hi") -> bytes:
    return compose_cpim(
        sender="sip:anonymous@anonymous.invalid",
        recipient="sip:anonymous@anonymous.invalid",
        message_id=message_id,
        date_time="2026-03-02T10:15:30.120Z",
        body=text.encode(),
        disposition_notification=wishes,
    )


def receipts(world: World) -> list[Imdn]:
    """What the phone has reported so far."""
    found = [CpimMessage.parse(each.body) for each in world.core.of("MESSAGE", IMDN_CONTENT_TYPE)]
    assert all(each.disposition_notification == () and each.message_id for each in found)
    return [Imdn.parse(each.body) for each in found]


# --- capabilities ----------------------------------------------------------------------------------------------------


def test_d01_options_and_its_answer_carry_the_own_tags_in_contact() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        alice.chat(BOB)
        await asyncio.sleep(2)
        (query,) = stage.requests("OPTIONS", "alice")
        (answer,) = [each for each in stage.messages("red.pcscf", "alice") if each.cseq.method == "OPTIONS"]
        for message, phone in ((query, alice), (answer, bob)):
            tags = dict(FeatureSet.of_contact(message.require(Contact)).features)
            announced = set(phone.config.policy.features.icsi)
            if phone.configuration is not None and not phone.configuration.chat_auth:
                announced.discard("ims.icsi.oma.cpm.session")
            assert tags["+g.3gpp.icsi-ref"] == {f"{SERVICE}{icsi}" for icsi in announced}

    play(story)


def test_d02_d03_d04_the_absent_are_480_and_stay_what_they_were_and_nobody_is_404_and_not_rcs() -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        for number, label in ((BOB, "RCS"), (NOBODY, "SMS")):
            chat = alice.chat(number)
            await asyncio.sleep(2)
            assert chat.label == label
        answers = [each for each in stage.messages("red.pcscf", "alice") if each.cseq.method == "OPTIONS"]
        assert [each.status for each in answers if isinstance(each, Response)] == [480, 404]

    play(story)


# --- pager -----------------------------------------------------------------------------------------------------------


def test_p01_a_text_of_1300_octets_goes_by_invite_and_never_in_pager_mode() -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        await stage.bob()
        message = alice.chat(BOB).send("x" * 1300)
        await message.final(60)
        assert len(stage.requests("INVITE", "alice")) >= 1
        bodies = [each.body for each in stage.requests("MESSAGE", "alice") if "cpim" in str(each.content_type)]
        assert not any(b"xxxx" in body for body in bodies)

    play(story)


def test_p02_p03_p05_a_pager_message_has_the_headers_of_the_service_and_of_the_thread() -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        await stage.bob()
        chat = alice.chat(BOB)
        for text in ("one", "two"):
            await chat.send(text).delivered(5)
        first, second = stage.requests("MESSAGE", "alice")
        for request in (first, second):
            assert request.text("P-Preferred-Service") == MSG
            features = FeatureSet.of_contact(Contact.parse(f'<sip:x@y>;+g.3gpp.icsi-ref="{MSG}"'))
            assert request.require(AcceptContact).matches(features)
            assert not request.has("Contact")
            for name in ("Conversation-ID", "Contribution-ID"):
                assert str(uuid.UUID(request.text(name))) == request.text(name)
            cpim = CpimMessage.parse(request.body)
            assert b"NS: imdn <urn:ietf:params:imdn>\r\n" in request.body
            assert cpim.raw_value(IMDN, "Message-ID") == cpim.message_id
            assert cpim.date_time is not None
            assert cpim.disposition_notification[:2] == ("positive-delivery", "display")
        assert first.text("Conversation-ID") == second.text("Conversation-ID") == chat.conversation_id
        assert first.text("Contribution-ID") != second.text("Contribution-ID")
        ids = [CpimMessage.parse(request.body).message_id for request in (first, second)]
        assert len(set(ids)) == 2
        assert stage.requests("MESSAGE", "blue.pcscf", "bob")[0].body == first.body

    play(story)


def test_p06_a_repeated_message_id_is_answered_and_receipted_again_but_shown_once() -> None:
    async def story(world: World, alice: Phone) -> None:
        first = incoming(world, content("m-1"))
        second = incoming(world, content("m-1"))
        await asyncio.sleep(5)
        assert [each.status for each in first + second] == [200, 200]
        assert [each.text for each in alice.chat(stub_core.BOB).messages] == ["hi"]
        assert [imdn.message_id for imdn in receipts(world)] == ["m-1", "m-1"]

    alone(story)


# --- store and forward -----------------------------------------------------------------------------------------------


def test_p10_f01_f02_what_waited_is_accepted_202_and_comes_in_order_with_its_original_time() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob(is_on=False)
        sent = []
        for text in ("one", "two", "three"):
            sent.append(alice.chat(BOB).send(text))
            await sent[-1].sent(10)
        answers = [each for each in stage.messages("red.pcscf", "alice") if each.cseq.method == "MESSAGE"]
        assert [each.status for each in answers if isinstance(each, Response)] == [202, 202, 202]
        await asyncio.sleep(5)
        await bob.power_on()
        for message in sent:
            await message.delivered(10)
        assert [each.text for each in bob.chat(ALICE).messages] == ["one", "two", "three"]
        given = stage.cpims("blue.pcscf", "bob", "text/plain")
        assert [each.date_time for each in given] == [message.date_time for message in sent]

    play(story)


def test_f05_a_receipt_for_a_sender_who_left_waits_for_him() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob(is_on=False)
        message = alice.chat(BOB).send("hello")
        await message.sent(10)
        await alice.power_off()
        await bob.power_on()
        await asyncio.sleep(10)
        assert message.state is MessageState.SENT
        await alice.power_on()
        await message.delivered(10)

    play(story)


def test_f03_each_device_of_a_user_gets_the_message() -> None:
    async def story(stage: Stage) -> None:
        alice, first = await stage.alice(), await stage.bob()
        second = await stage.sim.add_phone("tablet", "android", "blue", msisdn=BOB)
        await alice.chat(BOB).send("both there").delivered(5)
        await second.power_off()
        await alice.chat(BOB).send("one there").delivered(5)
        await second.power_on()
        await asyncio.sleep(60)
        for phone in (first, second):
            assert [each.text for each in phone.chat(ALICE).messages] == ["both there", "one there"], phone

    play(story)


# --- receipts --------------------------------------------------------------------------------------------------------


def test_i01_i04_i06_delivered_by_itself_displayed_when_read_both_about_that_message() -> None:
    async def story(world: World, alice: Phone) -> None:
        incoming(world, content("m-1"))
        await asyncio.sleep(60)
        (delivered,) = receipts(world)
        assert (delivered.message_id, delivered.kind, delivered.status) == (
            "m-1",
            ImdnKind.DELIVERY,
            ImdnStatus.DELIVERED,
        )
        assert delivered.datetime == "2026-03-02T10:15:30.120Z"
        alice.chat(stub_core.BOB).read()
        await asyncio.sleep(5)
        _, displayed = receipts(world)
        assert (displayed.message_id, displayed.kind) == ("m-1", ImdnKind.DISPLAY)
        alice.chat(stub_core.BOB).read()
        await asyncio.sleep(5)
        assert len(receipts(world)) == 2

    alone(story)


@pytest.mark.parametrize(
    ("wishes", "kinds"),
    [
        ((), []),
        (("positive-delivery",), [ImdnKind.DELIVERY]),
        (("display",), [ImdnKind.DISPLAY]),
        (("negative-delivery",), []),
    ],
)
def test_i02_only_what_was_asked_for_is_reported(wishes: tuple[str, ...], kinds: list[ImdnKind]) -> None:
    async def story(world: World, alice: Phone) -> None:
        incoming(world, content("m-1", wishes))
        await asyncio.sleep(1)
        alice.chat(stub_core.BOB).read()
        await asyncio.sleep(5)
        assert [imdn.kind for imdn in receipts(world)] == kinds

    alone(story)


@pytest.mark.parametrize(("switch", "count"), [(0, 2), (1, 1)])
def test_i04_the_operator_may_forbid_display_receipts(switch: int, count: int) -> None:
    async def main() -> None:
        async with World.running() as world:
            document = stub_core.subscriber(stub_core.ALICE, display_notification_switch=switch)
            alice = world.phone("alice", stub_core.ALICE, configuration=document)
            await alice.power_on()
            incoming(world, content("m-1"))
            await asyncio.sleep(1)
            alice.chat(stub_core.BOB).read()
            await asyncio.sleep(5)
            assert len(receipts(world)) == count

    run(main(), clock="virtual")


def test_i06_a_receipt_has_a_datetime_although_the_message_had_none() -> None:
    async def story(world: World, alice: Phone) -> None:
        incoming(world, content("m-1").replace(b"DateTime: 2026-03-02T10:15:30.120Z\r\n", b""))
        await asyncio.sleep(5)
        (receipt,) = receipts(world)
        assert receipt.datetime.startswith("2026-")

    alone(story)


def test_i03_nobody_reports_on_a_receipt_even_if_it_asks_for_one() -> None:
    async def story(world: World, alice: Phone) -> None:
        imdn = Imdn("unknown", "2026-03-02T10:15:30Z", ImdnKind.DELIVERY, ImdnStatus.DELIVERED)
        body = compose_cpim(
            sender="sip:anonymous@anonymous.invalid",
            recipient="sip:anonymous@anonymous.invalid",
            message_id="r-1",
            date_time="2026-03-02T10:15:31Z",
            body=imdn.encode(),
            content_type=IMDN_CONTENT_TYPE,
            disposition_notification=("positive-delivery", "display"),
        )
        answers = incoming(world, body)
        await asyncio.sleep(5)
        assert [each.status for each in answers] == [200]
        assert receipts(world) == []

    alone(story)


@pytest.mark.parametrize("status", [ImdnStatus.FAILED, ImdnStatus.ERROR, ImdnStatus.FORBIDDEN])
def test_i07_a_receipt_that_says_failed_error_or_forbidden_moves_the_message_to_failed(status: ImdnStatus) -> None:
    async def story(world: World, alice: Phone) -> None:
        message = alice.chat(stub_core.BOB).send("hello")
        await message.sent(10)
        imdn = Imdn(message.id, message.date_time, ImdnKind.DELIVERY, status)
        incoming(world, imdn.encode(), content_type=IMDN_CONTENT_TYPE)
        await asyncio.sleep(1)
        assert message.state is MessageState.FAILED  # the SMS that follows at once has no way out of this world
        reasons = [line for line in world.states("alice", "fallback") if "receipt says" in line]
        assert len(reasons) == 1

    alone(story)


@pytest.mark.parametrize("in_session", [False, True])
def test_i09_i10_typing_is_told_refreshed_ended_and_forgotten(in_session: bool) -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        bob = await stage.sim.add_phone("bob", "ios" if in_session else "android", "blue", msisdn=BOB)
        await bob.chat(ALICE).send("hello").delivered(5)
        to_alice, to_bob = bob.chat(ALICE), alice.chat(BOB)
        assert to_alice.session == ("open" if in_session else "")
        to_alice.type()
        await asyncio.sleep(1)
        assert to_bob.is_peer_typing
        await asyncio.sleep(16)
        assert not to_bob.is_peer_typing
        to_alice.type()
        await asyncio.sleep(1)
        assert to_bob.is_peer_typing
        to_alice.send("done")
        await asyncio.sleep(1)
        assert not to_bob.is_peer_typing
        to_alice.type()
        await asyncio.sleep(1)
        await bob.lose_power()
        await asyncio.sleep(58)
        assert to_bob.is_peer_typing
        await asyncio.sleep(2)
        assert not to_bob.is_peer_typing

    play(story)


def test_i12_an_interworking_receipt_is_shown_as_sent_as_sms_and_latches() -> None:
    async def story(world: World, alice: Phone) -> None:
        chat = alice.chat(stub_core.BOB)
        message = chat.send("hello")
        await message.sent(10)
        imdn = Imdn(message.id, message.date_time, ImdnKind.INTERWORKING, ImdnStatus.LEGACY_SMS)
        incoming(world, imdn.encode(), content_type=IMDN_CONTENT_TYPE)
        await asyncio.sleep(1)
        assert message.state is MessageState.INTERWORKED
        assert chat.label == "SMS"
        assert any("sent as SMS" in line for line in world.shown("alice"))

    alone(story)
