from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from ims_core.transport.sip_stack import ServerTransaction
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.phone import Phone
from tests.rcs_sim.client.stories import play
from tests.support.session_phones import frames, session_phone, texts, two_in_sessions
from tests.support.session_relay import SessionRelay
from tests.support.stub_core import ALICE, BOB, CORE_HOST, World
from tests.support.stub_smsc import SMSC_ADDRESS, SMSC_NUMBER, StubSmsc

Story = Callable[[World, Phone, Phone, SessionRelay], object]

_LONG = "x" * 1300
_NOWHERE = (
    b"v=0\r\no=- 1 1 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n"
    b"a=accept-types:message/cpim\r\na=path:msrp://203.0.113.9:2855/s1;tcp\r\na=setup:passive\r\n"
)


async def _with_sms(
    world: World, alices: dict[str, object] | None = None, bobs: dict[str, object] | None = None
) -> tuple[Phone, Phone]:
    """Alice and Bob with sessions and circuit-switched links."""
    smsc = StubSmsc(world)
    await smsc.start()
    world.core.calls = SessionRelay(world.core)
    cs = {"smsc": SMSC_ADDRESS, "service_centre": SMSC_NUMBER}
    alice = session_phone(world, "alice", ALICE, "android", alices, **cs)
    bob = session_phone(world, "bob", BOB, "android", bobs, **cs)
    await alice.power_on()
    await bob.power_on()
    return alice, bob


def _steps(world: World) -> list[str]:
    steps = [line.partition(":")[0] for line in world.states("alice", "fallback")]
    return [step for step in steps if step != "hold"]  # while the first capability answer was awaited


def _answer_with(world: World, body: bytes) -> Callable[[Request, ServerTransaction], None]:
    def answer(request: Request, server: ServerTransaction) -> None:
        tag = server.to_tag(world.core.stack.tokens)
        headers = (("Contact", f"<sip:{CORE_HOST}>"),)
        server.respond(
            Response.to(request, 200, to_tag=tag, headers=headers, body=body, content_type="application/sdp")
        )

    return answer


@pytest.mark.parametrize("status", [415, 488, 606])
def test_a_refused_description_is_tried_with_fewer_types_then_by_sms(status: int) -> None:
    async def story(world: World) -> None:
        alice, bob = await _with_sms(world)
        world.core.answers["INVITE"].extend([status, status])
        await (await alice.chat(BOB).send(_LONG)).delivered(20)
        first, second = world.core.of("INVITE")
        assert b"im-iscomposing" in first.body
        assert b"im-iscomposing" not in second.body
        assert _steps(world) == ["fewer_types", "sms"]
        assert texts(bob, ALICE) == [_LONG]

    play(story)


def test_a_description_with_fewer_types_may_be_taken() -> None:
    async def story(world: World) -> None:
        alice, bob = await _with_sms(world)
        world.core.answers["INVITE"].append(488)
        message = await (await alice.chat(BOB).send(_LONG)).delivered(20)
        assert message.transport is MessageTransport.RCS
        assert texts(bob, ALICE) == [_LONG]

    play(story)


@pytest.mark.parametrize(
    ("status", "steps", "reason"),
    [
        (404, ["sms"], FallbackReason.PEER_NOT_RCS),
        (403, ["sms"], FallbackReason.FORBIDDEN),
        (500, ["retry", "sms"], FallbackReason.SERVER_FAILED),
        (603, ["declined"], FallbackReason.DECLINED),
    ],
)
def test_a_refused_invitation_takes_its_row_of_the_table(status: int, steps: list[str], reason: FallbackReason) -> None:
    async def story(world: World) -> None:
        alice, _ = await _with_sms(world)
        world.core.answers["INVITE"].extend([status, status])
        message = await (await alice.chat(BOB).send(_LONG)).final(20)
        assert _steps(world) == steps
        assert message.reason is reason
        assert (message.state is MessageState.FAILED) is (status == 603)

    play(story)


@pytest.mark.parametrize("status", [486, 600])
def test_who_is_busy_gets_it_in_pager_mode_where_that_can_carry_it(status: int) -> None:
    async def story(world: World) -> None:
        alice, bob = await _with_sms(world)
        await (await alice.chat(BOB).send(_LONG)).delivered(5)
        alice.chat(BOB).end_session()
        await asyncio.sleep(1)
        world.core.answers["MESSAGE"].append(413)
        world.core.answers["INVITE"].append(status)
        message = await (await alice.chat(BOB).send("short")).delivered(20)
        assert _steps(world) == ["larger_mode", "pager"]
        assert message.transport is MessageTransport.RCS
        assert texts(bob, ALICE) == [_LONG, "short"]

    play(story)


def test_a_pager_message_that_is_too_large_goes_in_a_session() -> None:
    async def story(world: World) -> None:
        alice, bob = await _with_sms(world)
        world.core.answers["MESSAGE"].append(513)
        message = await (await alice.chat(BOB).send("short")).delivered(20)
        assert _steps(world) == ["larger_mode"]
        assert message.transport is MessageTransport.RCS
        assert alice.chat(BOB).session == "open"
        assert texts(bob, ALICE) == ["short"]

    play(story)


def test_a_session_that_cannot_be_connected_is_tried_once_more_then_left() -> None:
    async def story(world: World) -> None:
        alice, bob = await _with_sms(world)
        for _ in range(2):
            world.core.answers["INVITE"].append(_answer_with(world, _NOWHERE))
        message = await (await alice.chat(BOB).send(_LONG)).delivered(90)
        assert _steps(world) == ["reinvite", "sms"]
        assert message.reason is FallbackReason.MEDIA_FAILED
        assert len(world.core.of("INVITE")) == 2
        assert texts(bob, ALICE) == [_LONG]

    play(story)


def test_a_session_that_cannot_be_connected_leads_to_pager_mode_if_that_can_carry_it() -> None:
    async def story(world: World) -> None:
        alice, bob = await _with_sms(world)
        world.core.answers["MESSAGE"].append(413)
        for _ in range(2):
            world.core.answers["INVITE"].append(_answer_with(world, _NOWHERE))
        message = await (await alice.chat(BOB).send("short")).delivered(90)
        assert _steps(world) == ["larger_mode", "reinvite", "pager"]
        assert message.transport is MessageTransport.RCS
        assert texts(bob, ALICE) == ["short"]

    play(story)


def test_an_answer_that_cannot_be_used_ends_the_call_by_bye() -> None:
    async def story(world: World) -> None:
        alice, _ = await _with_sms(world)
        for _ in range(2):
            world.core.answers["INVITE"].append(_answer_with(world, b"v=0\r\n"))
        await (await alice.chat(BOB).send(_LONG)).delivered(30)
        assert len(world.core.of("BYE")) == 2
        assert any("an answer that cannot be used" in line for line in world.states("alice", "session"))

    play(story)


@pytest.mark.parametrize("limited", ["alices", "bobs"])
def test_msrp_413_fails_the_message_and_keeps_the_session_s11(limited: str) -> None:
    async def story(world: World) -> None:
        alice, _ = await _with_sms(world, **{limited: {"max_chat_octets": 1700}})
        await (await alice.chat(BOB).send(_LONG)).delivered(5)
        message = await (await alice.chat(BOB).send("y" * 1450)).delivered(60)
        assert message.transport is MessageTransport.SMS
        assert message.reason is FallbackReason.TOO_LARGE
        await (await alice.chat(BOB).send("short")).delivered(5)
        assert alice.chat(BOB).session == "open"
        assert len(world.core.of("INVITE")) == 1

    play(story)


def test_what_has_no_200_when_a_session_is_lost_is_sent_again_with_its_id_and_shown_once_s10() -> None:
    async def story(world: World) -> None:
        alice, bob = await _with_sms(world)
        await (await alice.chat(BOB).send(_LONG)).delivered(5)
        await bob.lose_power()
        message = await alice.chat(BOB).send("second")
        await asyncio.sleep(5)
        assert message.state is MessageState.SENDING
        await bob.power_on()
        await message.delivered(120)
        assert texts(bob, ALICE) == [_LONG, "second"]
        sends = [each for each in frames(world, "SEND", "alice") if message.id.encode() in each]
        again = world.core.of("MESSAGE", message.id)
        assert len(sends) + len(again) >= 2
        assert "reinvite" in _steps(world)

    play(story)


def test_a_message_that_comes_again_over_another_path_is_shown_once() -> None:
    async def story(world: World) -> None:
        alice, bob, _ = await two_in_sessions(world)
        message = await (await alice.chat(BOB).send("Hello")).delivered(5)
        (content,) = [each for each in frames(world, "SEND", "alice") if b"Hello" in each]
        cpim = content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n-------")[0]
        world.core.send(BOB, world.core.message(f"tel:{ALICE}", cpim, "message/cpim"))
        await asyncio.sleep(2)
        assert texts(bob, ALICE) == ["Hello"]
        assert message.state is MessageState.DELIVERED
        assert world.states("bob", "duplicate") == ["not shown: imdn.Message-ID was seen before"]

    play(story)


def test_a_phone_without_a_port_of_its_own_says_so() -> None:
    async def story(world: World) -> None:
        alice, _ = await _with_sms(world)
        for _ in range(2):
            world.core.answers["INVITE"].append(_answer_with(world, _NOWHERE.replace(b"passive", b"actpass")))
        await (await alice.chat(BOB).send(_LONG)).delivered(30)
        assert _steps(world) == ["reinvite", "sms"]

    play(story)


_TLS = {"ps_media": "MSRPoTLS"}
_FINGERPRINT = re.compile(rb"SHA-256 [0-9A-F:]{95}")


def test_over_tls_each_side_proves_the_fingerprint_that_it_signalled_s01() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world, document=_TLS, encrypts_media=True)
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        (invite,) = relay.invites
        assert b"TCP/TLS/MSRP" in invite.body
        assert b"a=fingerprint:SHA-256 " in invite.body
        assert b"a=path:msrps://" in invite.body
        assert texts(bob, ALICE) == ["Hello"]

    play(story)


def test_a_wrong_fingerprint_ends_the_session_and_the_message_fails_without_fallback_s04() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world, "android", document=_TLS, encrypts_media=True)
        forged = b"a=setup:active\r\n", b"SHA-256 " + b":".join([b"00"] * 32)
        relay.edit = lambda octets: _FINGERPRINT.sub(forged[1], octets) if forged[0] in octets else octets
        message = await (await alice.chat(BOB).send(_LONG)).final(60)
        assert message.state is MessageState.FAILED
        assert message.transport is MessageTransport.RCS
        assert message.reason is FallbackReason.NOT_PROVEN
        assert _steps(world) == ["fail"]
        assert texts(bob, ALICE) == []

    play(story)
