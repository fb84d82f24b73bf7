from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rcs_sim.client.message_state import MessageState
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE, CpimMessage, compose_cpim
from rcs_sim.wire.imdn import Imdn
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
