from __future__ import annotations

import asyncio
import zlib
from dataclasses import replace

import pytest

from ims_core.wire.sip.message import Response
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE, compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import ALICE, BOB, HOME, World, device


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
