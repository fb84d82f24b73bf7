from __future__ import annotations

import asyncio
import uuid
import zlib
from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.message import Response
from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import NotAnAddress
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import NotSeenInTime
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE, CpimMessage, compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import ALICE, BOB, HOME, World, device, subscriber


def _incoming(message_id: str, body: bytes = b"hi", **changes: object) -> bytes:
    fields: dict[str, object] = {
        "sender": f"sip:{BOB}@{HOME}",
        "recipient": f"tel:{ALICE}",
        "message_id": message_id,
        "date_time": "2026-03-02T10:15:30.120Z",
        "body": body,
        "disposition_notification": ("positive-delivery", "display"),
    }
    return compose_cpim(**{**fields, **changes})  # type: ignore[arg-type]  # a mapping of the right members


def test_a_message_is_sent_delivered_and_displayed() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        message = await alice.chat(BOB).send("Hello Bob")
        await message.delivered(5)
        chat = bob.chat(ALICE)
        assert [each.text for each in chat.messages] == ["Hello Bob"]
        chat.read()
        await message.displayed(5)
        states = [change.state.value for change in message.history]
        assert states == ["queued", "sending", "sent", "delivered", "displayed"]
        assert message.transport is MessageTransport.RCS
        assert [each.partition(" ")[0] for each in world.shown("alice")] == [
            "label",
            "message",
            "sent",
            "delivered",
            "displayed",
        ]

    play(story)


def test_the_pager_message_has_its_service_ids_and_wrapper_p02_p03_p05() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        message = await (await alice.chat(BOB).send("Hello Bob")).delivered(5)
        request = world.core.of("MESSAGE", "Hello Bob")[0]
        icsi = "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"
        assert request.request_uri_text == f"tel:{BOB}"
        assert request.text("To") == f"<tel:{BOB}>"
        assert request.text("P-Preferred-Service") == "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg"
        assert request.text("Accept-Contact") == f'*;+g.3gpp.icsi-ref="{icsi}"'
        assert request.text("P-Preferred-Identity") == f"<sip:{ALICE}@{HOME}>"
        assert not request.has("Contact")
        for name in ("Conversation-ID", "Contribution-ID"):
            assert str(uuid.UUID(request.text(name))) == request.text(name)
        cpim = CpimMessage.parse(request.body)
        assert cpim.message_id == message.id
        assert cpim.date_time == "2026-03-02T10:15:00.000Z"
        assert cpim.disposition_notification[:2] == ("positive-delivery", "display")
        assert str(cpim.content_type) == "text/plain;charset=UTF-8"
        assert b"NS: imdn <urn:ietf:params:imdn>" in request.body

    play(story)


def test_requests_carry_p_cscf_and_service_route_r07() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        expected = "<sip:127.0.1.10;transport=tcp;lr>, <sip:orig@127.0.1.10;lr>"
        for method in ("MESSAGE", "OPTIONS", "SUBSCRIBE"):
            assert world.core.of(method)[0].text("Route") == expected

    play(story)


def test_receipts_repeat_id_time_and_thread_of_the_message_i01_i06() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        message = await (await alice.chat(BOB).send("Hello")).delivered(5)
        sent = world.core.of("MESSAGE", "Hello")[0]
        receipt = world.core.of("MESSAGE", "<delivered/>")[0]
        cpim = CpimMessage.parse(receipt.body)
        imdn = Imdn.parse(cpim.body)
        assert (imdn.message_id, imdn.datetime) == (message.id, message.date_time)
        assert cpim.message_id not in (None, message.id)
        assert cpim.disposition_notification == ()
        assert receipt.request_uri_text == f"tel:{ALICE}"
        for name in ("Conversation-ID", "Contribution-ID"):
            assert receipt.text(name) == sent.text(name)

    play(story)


def test_no_receipt_is_sent_that_was_not_asked_for_i02() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        body = _incoming("m1", disposition_notification=())
        world.core.send(ALICE, world.core.message(f"tel:{BOB}", body, CPIM_CONTENT_TYPE))
        await asyncio.sleep(5)
        alice.chat(BOB).read()
        await asyncio.sleep(5)
        assert [each.text for each in alice.chat(BOB).messages] == ["hi"]
        assert world.core.of("MESSAGE") == []

    play(story)


def test_an_imdn_never_gets_an_imdn_i03() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        message = await (await alice.chat(BOB).send("Hello")).delivered(5)
        bob.chat(ALICE).read()
        await message.displayed(5)
        await asyncio.sleep(60)
        assert len(world.core.of("MESSAGE")) == 3

    play(story)


def test_displayed_is_sent_after_reading_only_and_only_if_the_user_allows_it_i04() -> None:
    async def story(world: World) -> None:
        policy = device("ios")
        policy = replace(policy, messaging=replace(policy.messaging, sends_displayed=False))
        alice, bob = world.phone("alice", ALICE), world.phone("bob", BOB, policy)
        await alice.power_on()
        await bob.power_on()
        message = await (await alice.chat(BOB).send("Hello")).delivered(5)
        bob.chat(ALICE).read()
        await asyncio.sleep(60)
        assert message.state is MessageState.DELIVERED

    play(story)


def test_each_message_is_displayed_once_and_older_unread_ones_too() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        chat = alice.chat(BOB)
        first, second = await chat.send("one"), await chat.send("two")
        await second.delivered(5)
        bob.chat(ALICE).read()
        bob.chat(ALICE).read()
        await first.displayed(5)
        await second.displayed(5)
        await asyncio.sleep(5)
        assert len(world.core.of("MESSAGE", "<displayed/>")) == 2

    play(story)


def test_the_user_reads_by_himself_after_a_while() -> None:
    async def story(world: World) -> None:
        alice, bob = world.phone("alice", ALICE), world.phone("bob", BOB, reads_after_s=3)
        await alice.power_on()
        await bob.power_on()
        message = await alice.chat(BOB).send("Hello")
        await message.displayed(4)
        assert message.history[-1].at - message.history[-2].at == pytest.approx(3, abs=0.1)

    play(story)


def test_a_duplicate_is_acknowledged_receipted_again_and_not_shown_p06() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        statuses: list[int] = []

        def note(outcome: object) -> None:
            assert isinstance(outcome, Response)
            statuses.append(outcome.status)

        for _ in range(3):
            message = world.core.message(f"tel:{BOB}", _incoming("m1"), CPIM_CONTENT_TYPE)
            world.core.send(ALICE, message, note)
            await asyncio.sleep(1)
        assert statuses == [200, 200, 200]
        chat = alice.chat(BOB)
        assert [(each.text, each.shown_count) for each in chat.messages] == [("hi", 1)]
        assert len(world.core.of("MESSAGE", "<delivered/>")) == 3

    play(story)


@pytest.mark.parametrize("encoding", ["", "deflate", "raw", "gzip"])
def test_a_bare_imdn_is_accepted_also_deflated(encoding: str) -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        await bob.power_off()
        message = await (await alice.chat(BOB).send("Hello")).sent(5)
        body = Imdn(message.id, message.date_time, ImdnKind.DELIVERY, ImdnStatus.DELIVERED).encode()
        bits = {"deflate": zlib.MAX_WBITS, "raw": -zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS}
        headers = ()
        if encoding:
            packer = zlib.compressobj(wbits=bits[encoding])
            body = packer.compress(body) + packer.flush()
            headers = (("Content-Encoding", "gzip" if encoding == "gzip" else "deflate"),)
        world.core.send(ALICE, world.core.message(f"tel:{BOB}", body, "message/imdn+xml", *headers))
        await message.delivered(5)

    play(story)


@pytest.mark.parametrize("status", [ImdnStatus.FAILED, ImdnStatus.ERROR, ImdnStatus.FORBIDDEN])
def test_failed_error_and_forbidden_move_to_failed_i07(status: ImdnStatus) -> None:
    async def story(world: World) -> None:
        policy = device("android")
        policy = replace(policy, fallback=replace(policy.fallback, consent=device("ios").fallback.consent))
        alice, bob = world.phone("alice", ALICE, policy), world.phone("bob", BOB)
        await alice.power_on()
        await bob.power_on()
        await bob.power_off()
        message = await (await alice.chat(BOB).send("Hello")).sent(5)
        body = Imdn(message.id, message.date_time, ImdnKind.DELIVERY, status).encode()
        world.core.send(ALICE, world.core.message(f"tel:{BOB}", body, "message/imdn+xml"))
        await message.final(5)
        assert message.state is MessageState.FAILED
        assert message.reason is FallbackReason.RECEIPT_SAYS_FAILED

    play(story)


def test_an_interworking_receipt_shows_sent_as_sms_and_latches_i12() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        await bob.power_off()
        chat = alice.chat(BOB)
        message = await (await chat.send("Hello")).sent(5)
        assert chat.label == "RCS"
        body = Imdn(message.id, message.date_time, ImdnKind.INTERWORKING, ImdnStatus.LEGACY_SMS).encode()
        world.core.send(ALICE, world.core.message(f"tel:{BOB}", body, "message/imdn+xml"))
        await asyncio.sleep(1)
        assert message.state is MessageState.INTERWORKED
        assert message.transport is MessageTransport.SMS
        assert chat.label == "SMS"
        assert any(line.startswith("sent as SMS") for line in world.shown("alice"))

    play(story)


def test_a_receipt_of_somebody_else_is_ignored() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        await bob.power_off()
        message = await (await alice.chat(BOB).send("Hello")).sent(5)
        body = Imdn(message.id, message.date_time, ImdnKind.DISPLAY, ImdnStatus.DISPLAYED).encode()
        world.core.send(ALICE, world.core.message("tel:+12025550103", body, "message/imdn+xml"))
        await asyncio.sleep(1)
        assert message.state is MessageState.SENT

    play(story)


def test_plain_text_of_a_plain_sip_client_is_shown() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        world.core.send(ALICE, world.core.message("sip:linphone@lab.example", b"hello", "text/plain"))
        await asyncio.sleep(1)
        chat = alice.chat("sip:linphone@lab.example")
        assert [(each.direction, each.text) for each in chat.messages] == [("in", "hello")]
        assert world.core.of("MESSAGE") == []

    play(story)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"\x00\x01", "application/octet-stream", 415),
        (b"not cpim", "message/cpim", 400),
        (b"<imdn", "message/imdn+xml", 400),
        (b"x", "application/vnd.gsma.rcsrevoke+xml", 400),
        (_incoming("m9", b"\x89PNG", content_type="image/png"), "message/cpim", 200),
        (_incoming("m9", b"<x", content_type="message/imdn+xml"), "message/cpim", 200),
        (b"--b\r\n\r\nx\r\n--b--", "multipart/mixed;boundary=b", 415),
    ],
)
def test_unknown_and_hostile_content_is_answered_and_never_shown(body: bytes, content_type: str, status: int) -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        statuses: list[int] = []
        world.core.send(
            ALICE,
            world.core.message(f"tel:{BOB}", body, content_type),
            lambda outcome: statuses.append(outcome.status if isinstance(outcome, Response) else 0),
        )
        await asyncio.sleep(1)
        assert statuses == [status]
        assert all(each.shown_count == 0 for each in alice.chat(BOB).messages)
        assert not any(line.startswith("message") for line in world.shown("alice"))

    play(story)


def test_content_that_is_not_rendered_is_stored_opaque_and_receipted() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        body = _incoming("m9", b"\x89PNG", content_type="image/png")
        world.core.send(ALICE, world.core.message(f"tel:{BOB}", body, "message/cpim"))
        await asyncio.sleep(1)
        kept = alice.chat(BOB).messages[0]
        assert (kept.text, kept.shown_count) == (None, 0)
        assert len(world.core.of("MESSAGE", "<delivered/>")) == 1

    play(story)


def test_the_sender_is_the_asserted_identity_not_cpim_from() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        body = _incoming("m1", sender="sip:+12025550103@evil.example")
        world.core.send(ALICE, world.core.message(f"tel:{BOB}", body, CPIM_CONTENT_TYPE))
        await asyncio.sleep(1)
        assert [chat.peer for chat in alice.chats] == [BOB]

    play(story)


def test_the_thread_keeps_its_conversation_id_and_the_peer_adopts_it() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        await (await alice.chat(BOB).send("text-1")).delivered(5)
        await (await bob.chat(ALICE).send("text-2")).delivered(5)
        await (await alice.chat(BOB).send("text-3")).delivered(5)
        messages = [world.core.of("MESSAGE", text)[0] for text in ("text-1", "text-2", "text-3")]
        assert len({each.text("Conversation-ID") for each in messages}) == 1
        assert len({each.text("Contribution-ID") for each in messages}) == 3

    play(story)


def test_typing_is_told_in_pager_mode_and_ends_after_15_s_or_with_content_i09_i10() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        chat, other = alice.chat(BOB), bob.chat(ALICE)
        await (await chat.send("one")).delivered(5)
        chat.type()
        await asyncio.sleep(1)
        assert other.is_peer_typing
        await asyncio.sleep(15)
        assert not other.is_peer_typing
        chat.type()
        await asyncio.sleep(1)
        assert other.is_peer_typing
        await (await chat.send("two")).delivered(5)
        assert not other.is_peer_typing
        assert len(world.core.of("MESSAGE", "isComposing")) == 3
        typing = [each.details["is_typing"] for each in world.sink.records if each.details.get("what") == "typing"]
        assert typing == [True, False, True, False]

    play(story)


def test_typing_is_received_though_the_device_does_not_tell_its_own() -> None:
    async def story(world: World) -> None:
        policy = device("android")
        silent = replace(policy, messaging=replace(policy.messaging, types_in_pager_mode=False))
        alice, bob = world.phone("alice", ALICE), world.phone("bob", BOB, silent)
        await alice.power_on()
        await bob.power_on()
        await (await alice.chat(BOB).send("one")).delivered(5)
        alice.chat(BOB).type()
        bob.chat(ALICE).type()
        await asyncio.sleep(1)
        assert bob.chat(ALICE).is_peer_typing
        assert not alice.chat(BOB).is_peer_typing

    play(story)


def test_a_text_that_needs_a_session_is_refused_with_a_typed_reason_p01() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        chat = alice.chat(BOB)
        await (await chat.send("short")).delivered(5)
        message = await chat.send("x" * 1300)
        assert message.state is MessageState.FAILED
        assert message.reason is FallbackReason.NEEDS_SESSION
        with pytest.raises(NotSeenInTime, match="needs a chat session"):
            await message.delivered(5)
        assert world.core.of("MESSAGE", "x" * 100) == []
        assert any("sessions" in line for line in world.states("alice", "fallback"))

    play(story)


def test_the_switchover_counts_the_octets_of_the_whole_cpim_body_p01() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        chat = alice.chat(BOB)
        await (await chat.send("probe")).delivered(5)
        overhead = len(world.core.of("MESSAGE", "probe")[0].body) - len("probe")
        fits = await chat.send("x" * (1299 - overhead - 2))  # two more digits in Content-Length
        assert fits.state is not MessageState.FAILED
        await fits.delivered(5)
        too_long = await chat.send("x" * (1300 - overhead - 2))
        assert too_long.state is MessageState.FAILED

    play(story)


def test_waits_have_deadlines_and_tell_what_was_seen() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        await bob.power_off()
        message = await alice.chat(BOB).send("Hello")
        with pytest.raises(NotSeenInTime) as caught:
            await message.delivered(7)
        assert caught.value.expected == "delivered"
        assert "sent by RCS" in caught.value.seen
        assert caught.value.within_s == 7

    play(story)


def test_what_cannot_be_sent_is_refused() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        with pytest.raises(NotAnAddress):
            alice.chat("nobody")
        with pytest.raises(LocalProtocolError):
            alice.chat(BOB).send("")

    play(story)


def test_watchers_see_what_the_user_sees() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        seen: list[Shown] = []
        alice.watchers.append(lambda event: seen.append(event.what))
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        assert seen == [Shown.LABEL, Shown.MESSAGE, Shown.SENT, Shown.DELIVERED]

    play(story)


def test_options_goes_out_once_and_both_sides_learn_d01_d07() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        for _ in range(5):
            alice.chat(BOB)
        await asyncio.sleep(1)
        queries = world.core.of("OPTIONS")
        assert len(queries) == 1
        assert "+sip.instance" in (queries[0].text("Contact") or "")
        assert "+g.gsma.rcs.msgrevoke" in (queries[0].text("Contact") or "")
        bob.chat(ALICE)
        await asyncio.sleep(1)
        assert len(world.core.of("OPTIONS")) == 1
        assert bob.chat(ALICE).label == "RCS"

    play(story)


def test_a_phone_answers_options_with_its_own_tags() -> None:
    async def story(world: World) -> None:
        await two_phones(world)
        answers: list[Response] = []
        query = world.core.message(f"tel:{BOB}", b"", "text/plain")
        request = type(query).new(
            "OPTIONS", f"tel:{ALICE}", [(n, query.text(n) or "") for n in ("From", "To", "Call-ID")]
        )
        request = request.edit().append("CSeq", "1 OPTIONS").append("Max-Forwards", "70").done()
        world.core.send(ALICE, request, lambda outcome: answers.append(outcome))  # type: ignore[arg-type]  # a response
        await asyncio.sleep(1)
        assert answers[0].status == 200
        contact = answers[0].text("Contact") or ""
        assert "oma.cpm.msg" in contact
        assert "+sip.instance" in contact

    play(story)


def test_other_methods_get_405_or_481_and_unknown_extensions_420() -> None:
    async def story(world: World) -> None:
        await two_phones(world)
        statuses: dict[str, int] = {}

        def ask(method: str, *headers: tuple[str, str]) -> None:
            base = world.core.message(f"tel:{BOB}", b"", "text/plain")
            fields = [(name, base.text(name) or "") for name in ("From", "To", "Call-ID", "Max-Forwards")]
            request = type(base).new(method, f"tel:{ALICE}", [*fields, ("CSeq", f"1 {method}"), *headers])
            key = method + "".join(value for _, value in headers)
            world.core.send(ALICE, request, lambda outcome: statuses.update({key: getattr(outcome, "status", 0)}))

        ask("BYE")
        ask("REFER")
        ask("PUBLISH")
        ask("MESSAGE", ("Require", "nothing-known"))
        await asyncio.sleep(1)
        assert statuses == {"BYE": 481, "REFER": 481, "PUBLISH": 405, "MESSAGEnothing-known": 420}

    play(story)


def test_a_phone_registers_over_udp_and_chats_without_service_route() -> None:
    async def story(world: World) -> None:
        policy = device("android")
        plain = replace(
            policy,
            registration=replace(policy.registration, uses_service_route=False, sends_proxy_route=False),
        )
        phones = []
        for name, number in (("alice", ALICE), ("bob", BOB)):
            document = subscriber(number, ps_signalling="SIPoUDP")
            udp = replace(
                plain, registration=replace(plain.registration, transport=type(plain.registration.transport).DOCUMENT)
            )
            phone = world.phone(name, number, udp, configuration=document)
            await phone.power_on()
            phones.append(phone)
        message = await (await phones[0].chat(BOB).send("Hello")).delivered(30)
        assert message.transport is MessageTransport.RCS
        request = world.core.of("MESSAGE", "Hello")[0]
        assert not request.has("Route")
        assert request.top_via.transport == "UDP"

    play(story)
