"""Replies, reactions, edits and recalls under a lock: sealed, by MLS and by the older scheme, and never in clear."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.display import Shown
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.oracle import Oracle
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, received, scenario


async def _locked(
    stage: Stage, first: str = "android", second: str = "android"
) -> tuple[Phone, Phone, SentMessage, ReceivedMessage]:
    """Two phones under a lock, and a text that Alice has written to Bob."""
    alice, bob = await stage.phone("alice", ALICE, first), await stage.phone("bob", BOB, second)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("this one locks the chat")).delivered(within_s=60)
    await asyncio.sleep(5)
    message = await alice.chat(BOB).send("shall we meet at the harbour")
    await message.delivered(within_s=30)
    assert message.scheme is not None
    return alice, bob, message, received(bob)[-1]


@pytest.mark.parametrize("device", ["android", "strict-v3", "strict-v4", "android-legacy"])
@scenario("two-carriers")
async def test_all_of_them_are_sealed_with_the_id_of_their_target(stage: Stage, device: str) -> None:
    alice, bob, message, arrived = await _locked(stage, device, device)
    chat = bob.chat(ALICE)
    reaction = await chat.react(arrived, "🎉")
    answer = await chat.reply(arrived, "yes, at eight o'clock")
    edit = await alice.chat(BOB).edit(message, "shall we meet at the station")
    for each in (reaction, answer, edit):
        await each.delivered(within_s=30)
        assert each.scheme is message.scheme
    assert message.reactions == {bob.number: "🎉"}
    assert received(alice)[-1].reply_to == message.id
    assert arrived.shown_text == "shall we meet at the station"
    recall = await alice.chat(BOB).recall(message)
    await recall.delivered(within_s=30)
    assert arrived.is_recalled
    for text in ("🎉", "at eight o'clock", "at the station", "Reference-ID", "+Reaction"):
        assert readable(stage, text) == []
    oracle = Oracle(stage.sink.records)
    assert oracle.violations() == []
    for each in (reaction, answer, edit, recall):
        assert oracle.readers(each) == {"alice", "bob"}
        assert oracle.verdict(each) == "sealed"


@scenario("two-carriers")
async def test_a_tapback_under_the_lock_is_sealed_and_mapped(stage: Stage) -> None:
    alice, bob, message, arrived = await _locked(stage, "android", "ios")
    tapback = await bob.chat(ALICE).react(arrived, "👍")
    await tapback.delivered(within_s=30)
    assert (tapback.scheme, tapback.text) == (Scheme.MLS, "Liked “shall we meet at the harbour”")
    assert message.reactions == {bob.number: "👍"}
    edit = await alice.chat(BOB).edit(message, "shall we meet at noon then")
    await edit.delivered(within_s=30)
    assert arrived.shown_text == "shall we meet at noon then"
    assert readable(stage, "harbour") == []


@scenario("two-carriers")
async def test_what_is_about_a_sealed_message_never_goes_in_clear(stage: Stage) -> None:
    alice, bob, message, arrived = await _locked(stage, "android", "ios")
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(60)
    assert not bob.chat(ALICE).scheme
    refused = [
        bob.chat(ALICE).react(arrived, "👍"),
        alice.chat(BOB).react(message, "👍"),
        alice.chat(BOB).recall(message),
    ]
    await asyncio.sleep(60)
    assert [each.state for each in refused] == [MessageState.FAILED] * 3
    assert refused[0].reason is FallbackReason.ENCRYPTION_ENDED
    assert arrived.reactions == {}
    assert readable(stage, "harbour") == []


@scenario("two-carriers")
async def test_an_edit_in_clear_does_not_change_what_was_sealed(stage: Stage) -> None:
    alice, bob, message, arrived = await _locked(stage)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(60)
    plain = await alice.chat(BOB).send("in clear")
    await plain.delivered(within_s=30)
    forged = alice.chat(BOB).edit(plain, "forged")
    await forged
    assert forged.change is not None
    # the same octets, with the id of the sealed message in the place of the other
    body = alice._messenger.pager.compose(forged).replace(plain.id.encode(), message.id.encode())  # type: ignore[union-attr]  # it is on
    body = body.replace(forged.id.encode(), b"Mx" + b"A" * 22)
    pager = alice._messenger.pager
    assert pager is not None
    pager.send_octets(bob.number, (), body, "message/cpim", lambda outcome, sent: None)  # type: ignore[arg-type]  # a key
    await asyncio.sleep(5)
    assert received(bob)[-1].shown_text == "forged"
    assert arrived.shown_text == "shall we meet at the harbour"
    assert "in clear, and its target was sealed" in [
        record.details.get("reason") for record in stage.sink.records if record.details.get("machine") == "change"
    ]


@scenario("two-carriers")
async def test_a_change_that_comes_before_its_target_waits_for_it(stage: Stage) -> None:
    alice, bob, _message, _arrived = await _locked(stage)
    await bob.power_off()
    text = await alice.chat(BOB).send("sealed and gone again")
    recall = await alice.chat(BOB).recall(text)
    await asyncio.sleep(10)
    await bob.power_on()
    await recall.delivered(within_s=60)
    await text.delivered(within_s=60)
    assert received(bob)[-1].shown_text == ""
    assert [record.details["kind"] for record in stage.shown(bob, Shown.CHANGE)] == ["Recall"]
