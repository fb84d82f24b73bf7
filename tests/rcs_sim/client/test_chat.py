from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import NotAnAddress
from rcs_sim.client.message_state import MessageTransport
from tests.rcs_sim.client.stories import play, two_phones
from tests.rcs_sim.client.two_with_sms import texts_of, with_sms
from tests.support.stub_core import ALICE, BOB, World


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


def test_the_user_can_choose_sms_for_one_message() -> None:
    async def story(world: World) -> None:
        async with with_sms(world) as (alice, bob, _):
            chat = alice.chat(BOB)
            await (await chat.send("one")).delivered(10)
            second = await (await chat.send("two", as_sms=True)).delivered(10)
            third = await (await chat.send("three")).delivered(10)
            assert second.reason is FallbackReason.USER_CHOSE_SMS
            assert third.transport is MessageTransport.RCS
            assert [transport for _, transport in texts_of(bob, ALICE)] == ["RCS", "SMS", "RCS"]

    play(story)
