"""Text in pager mode, across carriers and within one: receipts, typing, threads, duplicates."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ims_core.wire.sip.feature_tags import AcceptContact
from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.scenario.loader import profile_folder
from tests.scenarios.stage import ALICE, AMY, BEN, BOB, Stage, received, scenario, texts


@scenario()
async def test_a_text_crosses_the_border_and_comes_back_as_delivered_and_displayed(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob(reads_after_s=1.0)
    message = await alice.chat(BOB).send("hello")
    await message.displayed(within_s=5)
    assert [change.state for change in message.history] == [
        MessageState.QUEUED,
        MessageState.SENDING,
        MessageState.SENT,
        MessageState.DELIVERED,
        MessageState.DISPLAYED,
    ]
    assert message.transport is MessageTransport.RCS
    assert stage.arrivals(bob) == ["hello"]
    (arrived,) = received(bob)
    assert (arrived.id, arrived.conversation_id) == (message.id, message.conversation_id)
    assert stage.errors() == []


@scenario()
async def test_a_text_within_one_carrier_never_reaches_the_border(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    amy = await stage.phone("amy", AMY, reads_after_s=1.0)
    message = await alice.chat(AMY).send("hello neighbour")
    await message.displayed(within_s=5)
    assert stage.arrivals(amy) == ["hello neighbour"]
    assert not [request for request in stage.requests("MESSAGE") if "ibcf" in str(request.encode())]
    assert not stage.requests("MESSAGE", "red.scscf", "red.ibcf")


@scenario()
async def test_within_blue_as_within_red(stage: Stage) -> None:
    bob = await stage.phone("bob", BOB)
    ben = await stage.phone("ben", BEN, reads_after_s=0.5)
    await (await bob.chat(BEN).send("eight?")).displayed(within_s=5)
    assert stage.arrivals(ben) == ["eight?"]


@scenario()
async def test_a_conversation_keeps_its_identifier_and_its_order_in_both_directions(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    said = []
    for number in range(6):
        sender, peer = ((alice, BOB), (bob, ALICE))[number % 2]
        said.append(await sender.chat(peer).send(f"line {number}"))
        await said[-1].delivered(within_s=5)
    assert len({message.conversation_id for message in said}) == 1
    assert len({message.contribution_id for message in said}) == 6
    assert [one.text for one in alice.chat(BOB).messages] == [f"line {number}" for number in range(6)]
    assert [one.text for one in bob.chat(ALICE).messages] == [f"line {number}" for number in range(6)]


@scenario()
async def test_texts_that_are_sent_without_waiting_arrive_in_the_order_of_sending(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    messages = [alice.chat(BOB).send(f"{number}") for number in range(25)]
    for message in messages:
        await message.delivered(within_s=30)
    assert texts(bob) == [f"{number}" for number in range(25)]


@scenario()
async def test_any_character_survives(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    said = [
        "naïve façade €",
        "👩‍👩‍👧‍👦 \U0001f600",
        "line\nbreak",
        "\ttab and space ",
        "\r\n\r\nlike a body",
        "שלום مرحبا",
    ]
    for text in said:
        await (await alice.chat(BOB).send(text)).delivered(within_s=5)
    assert texts(bob) == said


@scenario()
async def test_a_receipt_that_was_not_read_is_no_displayed_receipt(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    message = await alice.chat(BOB).send("are you there?")
    await message.delivered(within_s=5)
    await asyncio.sleep(3600)
    assert message.state is MessageState.DELIVERED
    bob.chat(ALICE).read()
    await message.displayed(within_s=5)


@scenario()
async def test_typing_is_shown_while_it_lasts_and_gone_with_the_message(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("first")).delivered(within_s=5)
    alice.chat(BOB).type()
    await asyncio.sleep(1)
    assert bob.chat(ALICE).is_peer_typing
    await (await alice.chat(BOB).send("second")).delivered(within_s=5)
    assert not bob.chat(ALICE).is_peer_typing
    alice.chat(BOB).type()
    await asyncio.sleep(60)
    assert not bob.chat(ALICE).is_peer_typing
    assert [record.details["is_typing"] for record in stage.shown(bob, Shown.TYPING)] == [True, False, True, False]


@scenario()
async def test_typing_of_a_phone_that_vanishes_ends_by_itself(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("first")).delivered(within_s=5)
    alice.chat(BOB).type()
    await asyncio.sleep(1)
    await alice.lose_power()
    await asyncio.sleep(180)
    assert not bob.chat(ALICE).is_peer_typing


def test_a_text_that_a_phone_without_sessions_cannot_send_is_refused_with_its_reason_and_never_leaves(
    tmp_path: Path,
) -> None:
    text = (profile_folder() / "devices" / "android.yaml").read_text(encoding="utf-8")
    (tmp_path / "pager-only.yaml").write_text(text + "session: {supported: false}\n", encoding="utf-8")

    @scenario()
    async def story(stage: Stage) -> None:
        alice = await stage.phone("alice", ALICE, str(tmp_path / "pager-only.yaml"))
        bob = await stage.phone("bob", BOB)
        message = alice.chat(BOB).send("x" * 1400)
        await message.final(within_s=5)
        assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.NEEDS_SESSION)
        (failed,) = stage.shown(alice, Shown.FAILED)
        assert failed.details["reason"] == "the text needs a chat session"
        assert not [request for request in stage.requests("MESSAGE") if b"xxx" in request.body]
        assert not stage.requests("INVITE")
        assert stage.arrivals(bob) == []

    story()


@scenario()
async def test_the_longest_text_that_fits_goes_in_pager_mode(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    longest = 0
    for length in range(900, 1300):
        message = alice.chat(BOB).send("y" * length)
        await message.delivered(within_s=10)
        if stage.requests("INVITE", "alice"):
            break
        longest = length
    sizes = [len(one.body) for one in stage.requests("MESSAGE", "alice") if b"yyyy" in one.body]
    assert max(sizes) == 1299
    assert [len(text or "") for text in texts(bob)][-2:] == [longest, longest + 1]


@scenario()
async def test_a_user_may_send_one_text_as_sms_and_the_next_goes_by_rcs(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    message = alice.chat(BOB).send("by sms please", as_sms=True)
    await message.delivered(within_s=20)
    assert (message.transport, message.reason) == (MessageTransport.SMS, FallbackReason.USER_CHOSE_SMS)
    again = await alice.chat(BOB).send("and by rcs")
    await again.delivered(within_s=5)
    assert again.transport is MessageTransport.RCS
    assert stage.arrivals(bob) == ["by sms please", "and by rcs"]


@scenario()
async def test_messages_ask_for_the_pager_service_and_only_for_it(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("hello")).delivered(within_s=5)
    sent = next(one for one in stage.requests("MESSAGE", "alice") if b"hello" in one.body)
    assert "oma.cpm.msg" in str(sent.require(AcceptContact))
    delivered = next(one for one in stage.requests("MESSAGE", "blue.pcscf", "bob") if b"hello" in one.body)
    assert (delivered.text("P-Asserted-Identity") or "").find(ALICE) > 0
    assert delivered.text("P-Preferred-Identity") is None


@scenario()
async def test_the_same_message_id_twice_is_receipted_twice_and_shown_once(stage: Stage) -> None:
    """The answer of the receiver is lost for so long that the network gives him the message again."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("first")).delivered(within_s=5)
    message = alice.chat(BOB).send("twice?")
    await asyncio.sleep(0.12)
    await stage.sim.cut("bob")
    await asyncio.sleep(120)
    await stage.sim.restore("bob")
    await message.delivered(within_s=1200)
    await asyncio.sleep(600)
    assert stage.arrivals(bob) == ["first", "twice?"]
