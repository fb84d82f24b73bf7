from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest

from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import NotSeenInTime
from rcs_sim.devices.policy import CpimIdentity
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage
from tests.rcs_sim.client.stories import play, two_phones
from tests.rcs_sim.client.two_with_sms import texts_of, with_sms
from tests.support.stub_core import ALICE, BOB, CORE_HOST, HOME, World, device


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


def test_a_text_that_needs_a_session_is_refused_with_a_typed_reason_p01() -> None:
    async def story(world: World) -> None:
        policy = device("android")
        without = replace(policy, session=replace(policy.session, supported=False))
        alice, bob = world.phone("alice", ALICE, without), world.phone("bob", BOB)
        await alice.power_on()
        await bob.power_on()
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
        assert world.core.of("INVITE") == []
        await chat.send("x" * (1300 - overhead - 2))
        await asyncio.sleep(1)
        assert len(world.core.of("INVITE")) == 1

    play(story)


def test_a_server_error_is_retried_once_with_the_same_message_id() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, bob, _):
            chat = alice.chat(BOB)
            await (await chat.send("first")).delivered(10)
            world.core.answers["MESSAGE"].append(500)
            message = await (await chat.send("second")).delivered(10)
            assert message.transport is MessageTransport.RCS
            tries = world.core.of("MESSAGE", "second")
            assert len({each.call_id for each in tries}) == 2
            assert len([each for each in tries if message.id.encode() in each.body]) == 2
            assert [text for text, _ in texts_of(bob, ALICE)] == ["first", "second"]

    play(story)


def test_a_challenge_a_redirection_and_a_refused_extension_are_each_retried_once() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, _bob, _):
            chat = alice.chat(BOB)
            await (await chat.send("first")).delivered(10)

            def challenge(request: Any, server: Any) -> None:
                value = f'Digest realm="{CORE_HOST}", nonce="n2", qop="auth"'
                world.core.stack.reply(server, 407, headers=(("Proxy-Authenticate", value),))

            def redirect(request: Any, server: Any) -> None:
                world.core.stack.reply(server, 302, headers=(("Contact", f"<tel:{BOB};x=1>"),))

            def extension(request: Any, server: Any) -> None:
                world.core.stack.reply(server, 420, headers=(("Unsupported", "foo"),))

            world.core.answers["MESSAGE"].extend([challenge, redirect, extension])
            message = await (await chat.send("second")).delivered(10)
            assert message.transport is MessageTransport.RCS
            tries = world.core.of("MESSAGE", "second")
            assert len(tries) == 4
            assert tries[1].has("Proxy-Authorization")
            assert tries[2].request_uri_text == f"tel:{BOB};x=1"

    play(story)


def test_a_device_may_keep_identities_to_itself() -> None:
    async def story(world: World) -> None:
        policy = device("android")
        shy = replace(policy, messaging=replace(policy.messaging, cpim_identity=CpimIdentity.ANONYMOUS))
        alice = world.phone("alice", ALICE, shy)
        await alice.power_on()
        await alice.chat(BOB).send("Hello")
        sender = CpimMessage.parse(world.core.of("MESSAGE", "Hello")[0].body).sender
        assert sender is not None
        assert sender.uri == ANONYMOUS_URI

    play(story)
