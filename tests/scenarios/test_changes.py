"""Replies, reactions, edits and recalls between phones, across carriers: what is sent, shown, and never sent."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.client.change_receiver import PLACED_WITHIN_S
from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import SessionPolicy
from rcs_sim.scenario.loader import load_device
from rcs_sim.wire.cpim import GSMA, CpimMessage
from rcs_sim.wire.message_reference import REPLIES_NAMESPACE
from tests.scenarios.stage import ALICE, BOB, Stage, received, scenario


async def _two(stage: Stage, bob: str = "android") -> tuple[Phone, Phone, SentMessage, ReceivedMessage]:
    """Two phones, and a text that Alice has written to Bob."""
    alice, bob_phone = await stage.phone("alice", ALICE), await stage.phone("bob", BOB, bob)
    await asyncio.sleep(1)
    message = await alice.chat(BOB).send("shall we meet at the harbour")
    await message.delivered(within_s=10)
    return alice, bob_phone, message, received(bob_phone)[-1]


def _changes(stage: Stage, phone: Phone) -> list[tuple[str, str, str]]:
    shown = [record.details for record in stage.shown(phone, Shown.CHANGE)]
    return [(each["kind"], each["target"], each["text"]) for each in shown if each["direction"] == "in"]


@scenario()
async def test_m02_a_reaction_is_shown_on_its_message_and_its_removal_takes_it_away(stage: Stage) -> None:
    alice, bob, message, arrived = await _two(stage)
    reaction = await bob.chat(ALICE).react(arrived, "👍")
    await reaction.delivered(within_s=10)
    await asyncio.sleep(1)
    assert message.reactions == {bob.number: "👍"}
    assert arrived.reactions == {"": "👍"}
    assert _changes(stage, alice) == [("+Reaction", message.id, "👍")]
    assert (reaction.transport, reaction.conversation_id) == (MessageTransport.RCS, message.conversation_id)
    await (await bob.chat(ALICE).unreact(arrived)).delivered(within_s=10)
    await asyncio.sleep(1)
    assert message.reactions == arrived.reactions == {}
    assert [each.text for each in bob.chat(ALICE).messages] == ["shall we meet at the harbour"]
    assert [each.text for each in alice.chat(BOB).messages] == ["shall we meet at the harbour"]
    assert reaction.state is MessageState.DELIVERED
    assert stage.errors() == []


@scenario()
async def test_the_octets_of_a_reaction_are_those_of_the_digest(stage: Stage) -> None:
    _alice, bob, message, arrived = await _two(stage)
    reaction = await bob.chat(ALICE).react(arrived, "👍")
    await reaction.delivered(within_s=10)
    cpim = next(
        found
        for request in stage.requests("MESSAGE", "bob")
        if (found := CpimMessage.parse(request.body)).message_id == reaction.id
    )
    assert cpim.disposition_notification == ("positive-delivery",)
    assert cpim.get(GSMA, "Reference-ID") == message.id
    assert cpim.get(GSMA, "Reference-Type") == "+Reaction"
    assert b"NS: rcs <http://www.gsma.com>\r\n" in cpim.raw
    assert cpim.raw.endswith(b"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: 4\r\n\r\n" + "👍".encode())


@scenario()
async def test_a_new_reaction_takes_the_place_of_the_old_one_of_the_same_member(stage: Stage) -> None:
    alice, bob, message, arrived = await _two(stage)
    await (await bob.chat(ALICE).react(arrived, "👍")).delivered(within_s=10)
    await (await bob.chat(ALICE).react(arrived, "❤️")).delivered(within_s=10)
    await (await alice.chat(BOB).react(message, "😂")).delivered(within_s=10)
    await asyncio.sleep(1)
    assert message.reactions == {bob.number: "❤️", "": "😂"}
    assert arrived.reactions == {"": "❤️", alice.number: "😂"}


@scenario()
async def test_m01_an_answer_names_its_message_and_is_shown_with_a_quote(stage: Stage) -> None:
    alice, bob, message, arrived = await _two(stage)
    answer = await bob.chat(ALICE).reply(arrived, "yes, at eight")
    await answer.delivered(within_s=10)
    shown = stage.shown(alice, Shown.MESSAGE, "yes, at eight")[0].details
    assert (shown["reply_to"], shown["quote"]) == (message.id, message.text)
    assert received(alice)[-1].reply_to == message.id
    cpim = CpimMessage.parse(stage.requests("MESSAGE", "bob")[-1].body)
    assert (cpim.get(GSMA, "Reference-Type"), cpim.get(GSMA, "Reference-ID")) == ("Reply", message.id)
    assert cpim.get(REPLIES_NAMESPACE, "In-Reply-To-Message-Id") == message.id


@scenario()
async def test_an_edit_gives_a_message_a_new_text_and_keeps_its_id(stage: Stage) -> None:
    alice, bob, message, arrived = await _two(stage)
    edit = await alice.chat(BOB).edit(message, "shall we meet at the station")
    await edit.delivered(within_s=10)
    assert arrived.shown_text == message.shown_text == "shall we meet at the station"
    assert arrived.is_edited
    assert (arrived.id, arrived.text) == (message.id, "shall we meet at the harbour")
    assert edit.id != message.id
    assert stage.arrivals(bob) == ["shall we meet at the harbour"]


@scenario()
async def test_m05_a_recall_takes_a_message_from_both_screens(stage: Stage) -> None:
    alice, bob, message, arrived = await _two(stage)
    await (await alice.chat(BOB).recall(message)).delivered(within_s=10)
    assert arrived.is_recalled
    assert message.is_recalled
    assert (arrived.shown_text, message.shown_text) == ("", "")
    bob.chat(ALICE).read()
    await asyncio.sleep(2)
    assert message.state is MessageState.DELIVERED  # nobody reads what is gone


@scenario()
async def test_m04_an_edit_by_somebody_else_is_ignored_and_not_receipted(stage: Stage) -> None:
    _alice, bob, message, arrived = await _two(stage)
    refused = await bob.chat(ALICE).edit(arrived, "let us not meet")
    assert (refused.state, refused.reason) == (MessageState.FAILED, FallbackReason.NOT_AUTHOR)
    edit = await bob.chat(ALICE).edit(arrived, "let us not meet at all", anyway=True)
    recall = await bob.chat(ALICE).recall(arrived, anyway=True)
    await asyncio.sleep(5)
    assert edit.state is recall.state is MessageState.SENT
    assert message.shown_text == "shall we meet at the harbour"
    assert not message.is_recalled


@scenario()
async def test_what_is_older_than_15_minutes_is_neither_edited_nor_recalled(stage: Stage) -> None:
    alice, _bob, message, arrived = await _two(stage)
    await asyncio.sleep(16 * 60)
    for refused in (alice.chat(BOB).recall(message), alice.chat(BOB).edit(message, "too late")):
        assert (refused.state, refused.reason) == (MessageState.FAILED, FallbackReason.TOO_LATE)
    late = await alice.chat(BOB).edit(message, "too late all the same", anyway=True)
    await asyncio.sleep(5)
    assert late.state is MessageState.SENT
    assert arrived.shown_text == "shall we meet at the harbour"


@scenario()
async def test_l13_a_reaction_to_somebody_without_rcs_fails_visibly_and_no_sms_goes_out(stage: Stage) -> None:
    alice, bob, message, _arrived = await _two(stage)
    await bob.chat(ALICE).send("before I go").delivered(within_s=10)
    await bob.power_off()
    before = len(stage.requests("MESSAGE"))
    conversation = alice.chat(BOB)
    alice._messenger.latch(conversation._conversation, alice._messenger.capabilities.message_received(BOB, 0.0))
    await alice.airplane(True)
    await asyncio.sleep(400)
    changes = [
        conversation.react(conversation.messages[-1], "👍"),
        conversation.edit(message, "another text"),
        conversation.recall(message),
    ]
    await asyncio.sleep(900)
    assert [each.state for each in changes] == [MessageState.FAILED] * 3
    assert all(not each.delivery.may_be_sent_as_sms for each in changes)
    assert len(stage.requests("MESSAGE")) == before
    assert message.reactions == {}
    assert (message.shown_text, message.is_recalled) == (message.text, False)


@scenario()
async def test_an_answer_and_a_tapback_go_in_a_session_as_in_pager_mode(stage: Stage) -> None:
    alice, bob = await stage.phone("alice", ALICE, "ios"), await stage.phone("bob", BOB, "strict-v3")
    await asyncio.sleep(1)
    message = await alice.chat(BOB).send("in a session")
    await message.delivered(within_s=10)
    assert alice.chat(BOB).session == "open"
    answer = await bob.chat(ALICE).reply(received(bob)[-1], "so it is")
    await answer.delivered(within_s=10)
    assert (received(alice)[-1].text, received(alice)[-1].reply_to) == ("so it is", message.id)
    tapback = await alice.chat(BOB).react(received(alice)[-1], "❤️")
    await tapback.delivered(within_s=10)
    assert stage.arrivals(bob)[-1] == "Loved “so it is”"  # this device takes no text for a reaction


@scenario()
async def test_reactions_edits_and_recalls_go_in_the_session_that_is_open(stage: Stage) -> None:
    policy = replace(load_device("android"), session=SessionPolicy(replaces_pager=True))
    alice = await stage.sim.add_phone("alice", policy, "red", msisdn=ALICE)
    bob = await stage.sim.add_phone("bob", policy, "blue", msisdn=BOB)
    await asyncio.sleep(1)
    message = await alice.chat(BOB).send("in a session")
    await message.delivered(within_s=10)
    arrived = received(bob)[-1]
    await (await bob.chat(ALICE).react(arrived, "👩🏽‍🚒")).delivered(within_s=10)
    await (await alice.chat(BOB).edit(message, "in a long session")).delivered(within_s=10)
    assert message.reactions == {bob.number: "👩🏽‍🚒"}
    assert arrived.shown_text == "in a long session"
    await (await alice.chat(BOB).recall(message)).delivered(within_s=10)
    assert arrived.is_recalled
    assert stage.requests("MESSAGE") == []


@scenario()
async def test_m07_tapbacks_are_texts_on_the_wire_and_reactions_on_both_screens(stage: Stage) -> None:
    alice, bob, message, arrived = await _two(stage, "ios")
    tapback = await bob.chat(ALICE).react(arrived, "👍")
    await tapback.delivered(within_s=10)
    assert tapback.text == "Liked “shall we meet at the harbour”"
    assert message.reactions == {bob.number: "👍"}
    assert arrived.reactions == {"": "👍"}
    assert stage.arrivals(alice) == []
    await (await bob.chat(ALICE).unreact(arrived)).delivered(within_s=10)
    assert message.reactions == {}
    other = await alice.chat(BOB).react(message, "🎉")
    await other.delivered(within_s=10)
    assert "🎉" in other.text
    assert " to “" in other.text
    assert arrived.reactions == {alice.number: "🎉"}
    await (await alice.chat(BOB).unreact(message)).delivered(within_s=10)
    assert arrived.reactions == {}


@scenario()
async def test_m07_a_tapback_that_may_be_about_two_messages_is_a_text(stage: Stage) -> None:
    alice, bob, _message, _arrived = await _two(stage, "ios")
    await (await alice.chat(BOB).send("shall we meet at the harbour")).delivered(within_s=10)
    await (await bob.chat(ALICE).react(received(bob)[-1], "👍")).delivered(within_s=10)
    assert stage.arrivals(alice) == ["Liked “shall we meet at the harbour”"]


@scenario()
async def test_changes_that_wait_for_a_phone_come_in_any_order(stage: Stage) -> None:
    alice, bob, message, arrived = await _two(stage)
    await bob.power_off()
    second = await alice.chat(BOB).send("and one more thing")
    edit = await alice.chat(BOB).edit(second, "and two more things")
    third = await alice.chat(BOB).send("never mind this")
    recall = await alice.chat(BOB).recall(third)
    reaction = await alice.chat(BOB).react(message, "🙏")
    await asyncio.sleep(5)
    await bob.power_on()
    for each in (second, edit, third, recall, reaction):
        await each.delivered(within_s=60)
    shown = {each.id: each.shown_text for each in received(bob)}
    assert shown == {message.id: message.text, second.id: "and two more things", third.id: ""}
    assert arrived.reactions == {alice.number: "🙏"}


@scenario()
async def test_what_was_recalled_does_not_go_as_sms_either(stage: Stage) -> None:
    alice, bob, _message, _arrived = await _two(stage)
    await bob.power_off()
    text = await alice.chat(BOB).send("you never get to read this")
    recall = await alice.chat(BOB).recall(text)
    await asyncio.sleep(300)
    assert (text.transport, text.shown_text) == (MessageTransport.RCS, "")
    await bob.power_on()
    await recall.delivered(within_s=120)
    assert "you never get to read this" not in stage.arrivals(bob)


@scenario()
async def test_no_reaction_but_exactly_one_emoji(stage: Stage) -> None:
    _alice, bob, _message, arrived = await _two(stage)
    for text in ("", "ok", "👍👍", "1", "👍 "):
        with pytest.raises(LocalProtocolError):
            bob.chat(ALICE).react(arrived, text)
    with pytest.raises(LocalProtocolError):
        bob.chat(ALICE).unreact(arrived)
    with pytest.raises(LocalProtocolError):
        bob.chat(ALICE).edit(arrived, "")


def _placed(stage: Stage, phone: Phone) -> list[bool]:
    return [record.details.get("is_placed", True) for record in stage.shown(phone, Shown.CHANGE)]


@scenario()
async def test_a_reaction_to_what_another_device_wrote_is_shown_without_it_and_receipted_then(stage: Stage) -> None:
    alice, bob, _message, arrived = await _two(stage)
    tablet = await stage.phone("tablet", ALICE, "android")
    await asyncio.sleep(1)
    await alice.airplane(on=True)
    reaction = await bob.chat(ALICE).react(arrived, "👍")
    await asyncio.sleep(PLACED_WITHIN_S - 2)
    assert reaction.state is MessageState.SENT
    assert stage.shown(tablet, Shown.CHANGE) == []
    await reaction.delivered(within_s=10)
    assert _placed(stage, tablet) == [False]
    assert stage.states(tablet, "change") == ["kept"]


@scenario()
async def test_the_receipt_of_a_reaction_that_was_shown_without_a_network_goes_out_later(stage: Stage) -> None:
    alice, bob, _message, arrived = await _two(stage)
    tablet = await stage.phone("tablet", ALICE, "android")
    await alice.airplane(on=True)
    reaction = await bob.chat(ALICE).react(arrived, "👍")
    await asyncio.sleep(PLACED_WITHIN_S / 2)
    await tablet.airplane(on=True)
    await asyncio.sleep(2 * PLACED_WITHIN_S)
    assert _placed(stage, tablet) == [False]  # a handset shows what it has, network or not
    assert reaction.state is MessageState.SENT
    await tablet.airplane(on=False)
    await reaction.delivered(within_s=60)
