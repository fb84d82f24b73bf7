"""The user's hands on earlier messages: what each kind of device offers, and why something fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.devices.policy import DevicePolicy, ReferencePolicy, ReferenceUse
from rcs_sim.scenario.loader import load_device
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import GSMA
from rcs_sim.wire.message_reference import EDIT_NAMESPACE, REACTIONS_NAMESPACE, ReferenceDialect
from tests.scenarios.stage import ALICE, BOB, Stage, received, scenario


def _android(**changes: object) -> DevicePolicy:
    android = load_device("android")
    return replace(android, references=replace(android.references, **changes))  # type: ignore[arg-type]  # of its fields


@scenario()
async def test_a_device_without_a_feature_refuses_it_visibly(stage: Stage) -> None:
    never = ReferenceUse.NEVER
    alice = await stage.sim.add_phone("alice", _android(edits=never, recalls=never, replies=never), msisdn=ALICE)
    await stage.phone("bob", BOB, "android")
    await asyncio.sleep(1)
    chat = alice.chat(BOB)
    message = await chat.send("one text")
    await message.delivered(within_s=10)
    for refused in (chat.edit(message, "another"), chat.recall(message)):
        assert (refused.state, refused.reason) == (MessageState.FAILED, FallbackReason.NOT_OFFERED)
    answer = await chat.reply(message, "only a text")
    await answer.delivered(within_s=10)
    assert (answer.about, answer.reply_to) == ((), "")


@scenario()
async def test_a_peer_who_said_that_it_reads_no_references_gets_neither_edits_nor_recalls(stage: Stage) -> None:
    alice = await stage.sim.add_phone("alice", _android(text_form=None), msisdn=ALICE)
    await stage.phone("bob", BOB, "ios")
    await asyncio.sleep(1)
    chat = alice.chat(BOB)
    message = await chat.send("one text")
    await message.delivered(within_s=10)
    for refused in (chat.edit(message, "another"), chat.recall(message), chat.react(message, "👍")):
        assert (refused.state, refused.reason) == (MessageState.FAILED, FallbackReason.PEER_WITHOUT_FEATURE)
        assert not refused.delivery.may_be_sent_as_sms
    assert (message.shown_text, message.reactions) == ("one text", {})


@scenario()
async def test_a_short_message_has_no_id_that_anything_could_name(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    text = await alice.send_sms(BOB, "a short one")
    await asyncio.sleep(5)
    refused = alice.chat(BOB).react(text, "👍")
    assert (refused.state, refused.reason) == (MessageState.FAILED, FallbackReason.NO_TARGET)
    assert alice.chat(BOB).recall(text).reason in (FallbackReason.NO_TARGET, FallbackReason.PEER_WITHOUT_FEATURE)
    answer = await bob.chat(ALICE).reply(received(bob)[-1], "to nothing in particular")
    assert answer.about == ()


@scenario()
async def test_what_went_as_sms_in_the_end_has_none_either_though_rcs_was_tried(stage: Stage) -> None:
    """Random life `servers` 20027: an edit was delivered, under a lock, and its receiver had nothing that it is of."""
    alice, bob = await stage.phone("alice", ALICE), await stage.phone("bob", BOB, "android")
    await asyncio.sleep(1)
    async with stage.sim.fault("sip.status", method="MESSAGE", status=503, from_="alice"):
        text = alice.chat(BOB).send("a text")
        await asyncio.sleep(60)
    assert (text.transport, received(bob)[-1].text) == (MessageTransport.SMS, "a text")
    await (await alice.chat(BOB).send("under a lock")).delivered(within_s=900)
    for refused in (alice.chat(BOB).edit(text, "another"), alice.chat(BOB).react(text, "👍")):
        assert (refused.state, refused.reason) == (MessageState.FAILED, FallbackReason.NO_TARGET)


@scenario()
async def test_there_is_nothing_to_change_about_what_was_recalled(stage: Stage) -> None:
    alice, bob = await stage.phone("alice", ALICE), await stage.phone("bob", BOB, "android")
    await asyncio.sleep(1)
    message = await alice.chat(BOB).send("one text")
    await message.delivered(within_s=10)
    await (await alice.chat(BOB).recall(message)).delivered(within_s=10)
    chat, arrived = alice.chat(BOB), received(bob)[-1]
    again = (chat.recall(message), chat.edit(message, "more"), bob.chat(ALICE).react(arrived, "👍"))
    assert [each.reason for each in again] == [FallbackReason.RECALLED] * 3
    answer = await bob.chat(ALICE).reply(arrived, "what was it?")
    await answer.delivered(within_s=10)


@scenario()
async def test_the_older_dialect_is_written_where_the_profile_says_so_and_read_everywhere(stage: Stage) -> None:
    both = (ReferenceDialect.GSMA, ReferenceDialect.GOOGLE)
    alice = await stage.sim.add_phone("alice", _android(dialects=both), msisdn=ALICE)
    bob = await stage.sim.add_phone("bob", _android(dialects=both[1:]), "blue", msisdn=BOB)
    await asyncio.sleep(1)
    message = await alice.chat(BOB).send("one text")
    await message.delivered(within_s=10)
    arrived = received(bob)[-1]
    await (await bob.chat(ALICE).react(arrived, "👍")).delivered(within_s=10)
    await (await alice.chat(BOB).edit(message, "another text")).delivered(within_s=10)
    assert message.reactions == {bob.number: "👍"}
    assert arrived.shown_text == "another text"
    by_bob = CpimMessage.parse(stage.requests("MESSAGE", "bob")[-2].body)
    assert by_bob.get(REACTIONS_NAMESPACE, "Message-Reply-Type") == "message-reaction-add"
    assert by_bob.get(GSMA, "Reference-ID") is None
    edit = next(
        found
        for request in stage.requests("MESSAGE", "alice")
        if (found := CpimMessage.parse(request.body)).get(EDIT_NAMESPACE, "Edited-Message-Id") is not None
    )
    assert edit.get(GSMA, "Reference-Type") == "Edit"
    assert (edit.get(EDIT_NAMESPACE, "Edited-At-Timestamp-Ms") or "").isdecimal()


@scenario()
async def test_a_reaction_that_fails_leaves_the_screen_and_may_be_sent_once_more(stage: Stage) -> None:
    alice, bob = await stage.phone("alice", ALICE), await stage.phone("bob", BOB, "android")
    await asyncio.sleep(1)
    message = await alice.chat(BOB).send("one text")
    await message.delivered(within_s=10)
    await alice.airplane(True)
    reaction = alice.chat(BOB).react(message, "👍")
    await asyncio.sleep(900)
    assert (reaction.state, message.reactions) == (MessageState.FAILED, {})
    await alice.airplane(False)
    await asyncio.sleep(200)
    reaction.send_again()
    await reaction.delivered(within_s=30)
    assert message.reactions == {"": "👍"}
    assert received(bob)[-1].reactions == {alice.number: "👍"}


@scenario()
async def test_empty_words_and_what_is_no_emoji_are_refused_by_the_api(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    message = alice.chat(BOB).send("one text")
    chat = alice.chat(BOB)
    for wrong in (
        lambda: chat.reply(message, ""),
        lambda: chat.edit(message, ""),
        lambda: chat.react(message, "no emoji"),
        lambda: chat.unreact(message),
    ):
        with pytest.raises(LocalProtocolError):
            wrong()


def test_the_default_device_reads_everything() -> None:
    assert ReferencePolicy().reads
    assert ReferencePolicy().change_within_s == 15 * 60
