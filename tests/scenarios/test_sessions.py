"""Chat sessions across carriers and within one: opened when they are needed, used, refreshed, released, replaced."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ims_core.trace import RecordKind, TraceRecord
from ims_core.wire.sip.feature_tags import AcceptContact
from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import profile_folder
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.stage import ALICE, AMY, BEN, BOB, Stage, network, received, scenario, texts

LONG = "a text that is too long for pager mode, " * 60  # 2,400 octets: two chunks
_IDLE_S = 300.0


def frames(stage: Stage, word: str, source: str = "", target: str = "") -> list[TraceRecord]:
    """MSRP frames whose summary has *word*, between elements of these names."""
    return [
        record
        for record in stage.sink.records
        if record.kind is RecordKind.MESSAGE
        and record.protocol == "MSRP"
        and word in record.summary
        and source in ("", record.source)
        and target in ("", record.target)
    ]


async def in_session(stage: Stage, **more: object) -> tuple[Phone, Phone]:
    """Alice and Bob with a chat session of hers between them."""
    alice, bob = await stage.alice_and_bob(**more)
    await (await alice.chat(BOB).send(LONG)).delivered(within_s=10)
    assert alice.chat(BOB).session == bob.chat(ALICE).session == "open"
    return alice, bob


# ------------------------------------------------------------------------------------------------------------- sending


@scenario()
async def test_a_text_of_more_than_1300_octets_goes_in_a_session_and_comes_back_as_displayed(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob(reads_after_s=1.0)
    message = await alice.chat(BOB).send(LONG)
    await message.displayed(within_s=5)
    assert [change.state for change in message.history] == [
        MessageState.QUEUED,
        MessageState.SENDING,
        MessageState.SENT,
        MessageState.DELIVERED,
        MessageState.DISPLAYED,
    ]
    assert message.transport is MessageTransport.RCS
    (arrived,) = received(bob)
    assert (arrived.text, arrived.id, arrived.conversation_id) == (LONG, message.id, message.conversation_id)
    assert arrived.date_time == message.date_time
    assert len(frames(stage, "SEND 1-2048", "alice", "red.msrp_relay")) == 1
    assert len(frames(stage, "SEND 1-2048", "red.msrp_relay", "blue.msrp_relay")) == 1
    assert len(frames(stage, "SEND 1-2048", "blue.msrp_relay", "bob")) == 1
    assert not stage.requests("MESSAGE")
    assert stage.errors() == []


@scenario()
async def test_a_session_within_one_carrier_never_reaches_the_border(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    amy = await stage.phone("amy", AMY, reads_after_s=1.0)
    await (await alice.chat(AMY).send(LONG)).displayed(within_s=5)
    await (await amy.chat(ALICE).send("short")).delivered(within_s=5)
    assert (texts(amy), texts(alice)) == ([LONG], ["short"])
    assert not stage.requests("INVITE", "red.scscf", "red.ibcf")
    assert len(stage.requests("INVITE", "alice")) == 1
    assert stage.errors() == []


@scenario()
async def test_while_a_session_stands_everything_goes_in_it_in_both_directions(stage: Stage) -> None:
    alice, bob = await in_session(stage)
    said = []
    for number in range(6):
        sender, peer = ((alice, BOB), (bob, ALICE))[number % 2]
        said.append(await sender.chat(peer).send(f"line {number}"))
        await said[-1].delivered(within_s=5)
    bob.chat(ALICE).read()
    await said[-2].displayed(within_s=5)
    assert [one.text for one in alice.chat(BOB).messages[1:]] == [f"line {number}" for number in range(6)]
    assert [one.text for one in bob.chat(ALICE).messages[1:]] == [f"line {number}" for number in range(6)]
    assert len({message.conversation_id for message in said}) == 1
    assert len(stage.requests("INVITE", "alice")) == 1
    assert not stage.requests("INVITE", "bob")
    assert not stage.requests("MESSAGE")


@scenario()
async def test_a_phone_that_prefers_sessions_opens_one_for_a_short_text(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await bob.chat(ALICE).send("hello")).delivered(within_s=10)
    (invite,) = stage.requests("INVITE", "bob")
    assert "oma.cpm.session" in str(invite.require(AcceptContact))
    assert texts(alice) == ["hello"]
    assert not [each for each in stage.requests("MESSAGE") if b"hello" in each.body]


@scenario()
async def test_what_is_written_while_a_session_is_set_up_arrives_in_the_order_of_writing(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    said = [bob.chat(ALICE).send(f"{number}") for number in range(25)]
    for message in said:
        await message.delivered(within_s=30)
    assert texts(alice) == [f"{number}" for number in range(25)]
    assert len(stage.requests("INVITE", "bob")) == 1


@scenario()
async def test_short_texts_that_follow_a_long_one_do_not_overtake_it(stage: Stage) -> None:
    """The long one waits for its session; what comes after it waits behind it, or is told apart by nobody."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    said = [alice.chat(BOB).send(text) for text in (LONG, "after the long one", LONG + "2", "and after that")]
    for message in said:
        await message.delivered(within_s=30)
    assert texts(bob) == ["warm up", *(message.text for message in said)]


@scenario()
async def test_any_character_survives_a_session(stage: Stage) -> None:
    alice, bob = await in_session(stage)
    said = [
        "naïve façade €" * 200,
        "👩‍👩‍👧‍👦 \U0001f600",
        "line\nbreak",
        "\r\n\r\nlike a body",
        "-------abcdefgh$\r\nMSRP abcdefgh 200 OK\r\n-------abcdefgh$\r\n",
        "שלום مرحبا",
    ]
    for text in said:
        await (await alice.chat(BOB).send(text)).delivered(within_s=5)
    assert texts(bob)[1:] == said


@scenario()
async def test_a_receipt_goes_in_the_session_while_it_stands_and_in_pager_mode_after_it(stage: Stage) -> None:
    alice, bob = await in_session(stage)
    assert len(frames(stage, "imdn delivered", "bob")) == 1
    message = await alice.chat(BOB).send("read me later")
    await message.delivered(within_s=5)
    alice.chat(BOB).end_session()
    await asyncio.sleep(5)
    assert alice.chat(BOB).session == bob.chat(ALICE).session == ""
    bob.chat(ALICE).read()
    await message.displayed(within_s=5)
    (receipt, *_) = stage.requests("MESSAGE", "bob")
    assert b"imdn+xml" in receipt.body


@scenario()
async def test_typing_goes_in_the_session_and_ends_with_the_message(stage: Stage) -> None:
    alice, bob = await in_session(stage)
    alice.chat(BOB).type()
    await asyncio.sleep(1)
    assert bob.chat(ALICE).is_peer_typing
    await (await alice.chat(BOB).send("second")).delivered(within_s=5)
    assert not bob.chat(ALICE).is_peer_typing
    bob.chat(ALICE).type()
    await asyncio.sleep(1)
    assert alice.chat(BOB).is_peer_typing
    await asyncio.sleep(20)
    assert not alice.chat(BOB).is_peer_typing
    assert [record.details["is_typing"] for record in stage.shown(bob, Shown.TYPING)] == [True, False]
    assert not stage.requests("MESSAGE")


# ------------------------------------------------------------------------------------------------------- its lifetime


@scenario()
async def test_an_idle_session_is_released_and_the_next_text_opens_another(stage: Stage) -> None:
    alice, bob = await in_session(stage)
    await asyncio.sleep(_IDLE_S - 10)
    assert alice.chat(BOB).session == "open"
    await asyncio.sleep(30)
    assert alice.chat(BOB).session == bob.chat(ALICE).session == ""
    assert len(stage.requests("BYE", target="red.messaging_server")) >= 1
    await (await alice.chat(BOB).send(LONG + "again")).delivered(within_s=10)
    assert len(stage.requests("INVITE", "alice")) == 2
    assert texts(bob) == [LONG, LONG + "again"]


@scenario()
async def test_an_idle_session_leaves_nothing_behind_on_either_server(stage: Stage) -> None:
    alice, bob = await in_session(stage)
    await asyncio.sleep(_IDLE_S + 60)
    assert (alice.chat(BOB).session, bob.chat(ALICE).session) == ("", "")
    before = len(stage.sink.records)
    await asyncio.sleep(_IDLE_S)
    later = [
        record for record in list(stage.sink.records)[before:] if record.protocol == "MSRP" or "BYE" in record.summary
    ]
    assert later == []
    ends = [record for record in stage.sink.records if record.summary.startswith("session ended")]
    assert {record.source for record in ends} == {"red.messaging_server", "blue.messaging_server"}


@scenario()
async def test_a_session_in_use_lives_for_hours_and_is_refreshed(stage: Stage) -> None:
    alice, bob = await in_session(stage)
    for number in range(3 * 3600 // 240):
        await asyncio.sleep(240)
        await (await alice.chat(BOB).send(f"{number}")).delivered(within_s=5)
    assert len(stage.requests("INVITE", "alice")) == 1
    assert len(stage.requests("UPDATE", "alice")) + len(stage.requests("UPDATE", target="alice")) >= 9
    assert texts(bob)[1:] == [f"{number}" for number in range(45)]


@scenario()
async def test_a_second_invitation_of_the_same_peer_replaces_the_session(stage: Stage) -> None:
    alice, bob = await in_session(stage)
    await alice.lose_power()
    await asyncio.sleep(5)
    await alice.power_on()
    await asyncio.sleep(5)
    await (await alice.chat(BOB).send(LONG + "new")).delivered(within_s=20)
    assert alice.chat(BOB).session == bob.chat(ALICE).session == "open"
    await (await bob.chat(ALICE).send("to the new one")).delivered(within_s=5)
    await asyncio.sleep(60)
    assert texts(alice) == ["to the new one"]
    assert texts(bob) == [LONG, LONG + "new"]


@scenario()
@pytest.mark.parametrize("apart_s", [0.0, 0.03, 0.1, 0.2, 0.3])
async def test_invitations_that_cross_come_to_one_session_and_lose_nothing(stage: Stage, apart_s: float) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    first = alice.chat(BOB).send(LONG)
    await asyncio.sleep(apart_s)
    second = bob.chat(ALICE).send("at the same time")
    await first.delivered(within_s=20)
    await second.delivered(within_s=20)
    await asyncio.sleep(60)
    for _ in range(2):
        await (await alice.chat(BOB).send("here")).delivered(within_s=5)
        await (await bob.chat(ALICE).send("there")).delivered(within_s=5)
    assert texts(bob) == ["warm up", LONG, "here", "here"]
    assert texts(alice) == ["at the same time", "there", "there"]
    assert alice.chat(BOB).session == bob.chat(ALICE).session == "open"


@scenario()
async def test_a_session_ends_for_both_when_one_leaves_the_network_in_order(stage: Stage) -> None:
    alice, bob = await in_session(stage)
    await bob.power_off()
    await asyncio.sleep(10)
    assert alice.chat(BOB).session == ""


# ----------------------------------------------------------------------------------------------------- who takes part


@scenario()
async def test_of_several_devices_the_first_takes_the_session_and_the_others_get_copies(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    tablet = await stage.phone("tablet", BOB, "android")
    await asyncio.sleep(1)
    message = await alice.chat(BOB).send(LONG)
    await message.delivered(within_s=10)
    await asyncio.sleep(5)
    assert (stage.arrivals(bob), stage.arrivals(tablet)) == ([LONG], [LONG])
    assert sorted(phone.chat(ALICE).session for phone in (bob, tablet)) in (["", "open"], ["open", "open"])
    ended = [*stage.requests("CANCEL", "blue.messaging_server"), *stage.requests("BYE", "blue.messaging_server")]
    assert {each.text("Reason") for each in ended} == {'SIP;cause=200;text="Call completed elsewhere"'}
    await (await alice.chat(BOB).send("once more")).delivered(within_s=5)
    await asyncio.sleep(5)
    assert (stage.arrivals(bob), stage.arrivals(tablet)) == ([LONG, "once more"], [LONG, "once more"])
    assert [change.state for change in message.history].count(MessageState.DELIVERED) == 1


def _users_accept(folder: Path) -> NetworkFile:
    """Blue's phones ring."""
    text = (profile_folder() / "carriers" / "google-like.yaml").read_text(encoding="utf-8")
    (folder / "ringing.yaml").write_text(text + "auto_accept: false\n", encoding="utf-8")
    return network(blue=str(folder / "ringing.yaml"))


def test_where_users_accept_it_rings_until_one_does(tmp_path: Path) -> None:
    @scenario(_users_accept(tmp_path))
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice_and_bob(accepts_after_s=10.0)
        message = alice.chat(BOB).send(LONG)
        await asyncio.sleep(5)
        assert bob.chat(ALICE).is_invited
        assert alice.chat(BOB).session == "ringing"
        await message.delivered(within_s=20)
        assert texts(bob) == [LONG]

    story()


def test_an_invitation_that_the_user_declines_is_shown_as_declined_and_goes_no_other_way(tmp_path: Path) -> None:
    @scenario(_users_accept(tmp_path))
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice_and_bob()
        message = alice.chat(BOB).send(LONG)
        await asyncio.sleep(5)
        assert bob.chat(ALICE).decline()
        await message.final(within_s=10)
        assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.DECLINED)
        await asyncio.sleep(600)
        assert texts(bob) == []

    story()


def test_an_invitation_that_nobody_takes_is_over_after_a_minute_and_the_text_waits_in_the_store(tmp_path: Path) -> None:
    @scenario(_users_accept(tmp_path))
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice_and_bob()
        message = alice.chat(BOB).send(LONG)
        await asyncio.sleep(300)
        assert not bob.chat(ALICE).is_invited or bob.chat(ALICE).accept()
        await asyncio.sleep(3600)
        assert texts(bob) == [LONG] or message.state is MessageState.FAILED
        assert stage.arrivals(bob).count(LONG) <= 1

    story()


async def _away(stage: Stage) -> tuple[Phone, Phone]:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("warm up")).delivered(within_s=5)
    await (await bob.chat(ALICE).send("warm up")).delivered(within_s=5)
    bob.chat(ALICE).end_session()
    await asyncio.sleep(2)
    await bob.power_off()
    await asyncio.sleep(1)
    return alice, bob


@scenario()
async def test_what_is_sent_in_a_session_to_somebody_away_waits_for_him_in_order_with_its_time(stage: Stage) -> None:
    alice, bob = await _away(stage)
    waiting = []
    for number in range(3):
        waiting.append(await alice.chat(BOB).send(f"{number} {LONG}"))
        waiting.append(await alice.chat(BOB).send(f"short {number}"))
        await waiting[-1].sent(within_s=10)
    assert {message.state for message in waiting} == {MessageState.SENT}
    assert alice.chat(BOB).session == "open"  # with the server, which took it for him
    await bob.power_on()
    for message in waiting:
        await message.delivered(within_s=60)
    await asyncio.sleep(60)
    assert texts(bob) == ["warm up", *(message.text for message in waiting)]
    for sent, arrived in zip(waiting, received(bob)[1:], strict=True):
        assert (arrived.date_time, arrived.conversation_id) == (sent.date_time, sent.conversation_id)


@scenario()
async def test_receipts_for_a_sender_of_a_session_who_left_wait_for_him(stage: Stage) -> None:
    alice, bob = await _away(stage)
    message = await alice.chat(BOB).send(LONG)
    await message.sent(within_s=10)
    await alice.power_off()
    await bob.power_on()
    await asyncio.sleep(10)
    bob.chat(ALICE).read()
    await asyncio.sleep(3600)
    assert message.state is MessageState.SENT
    await alice.power_on()
    await message.displayed(within_s=60)
    assert texts(bob) == ["warm up", LONG]


@scenario()
async def test_a_long_text_for_somebody_away_can_be_answered_when_he_is_back(stage: Stage) -> None:
    alice, bob = await _away(stage)
    message = await alice.chat(BOB).send(LONG)
    await message.sent(within_s=10)
    await bob.power_on()
    await message.delivered(within_s=60)
    answer = await bob.chat(ALICE).send("got it")
    await answer.delivered(within_s=60)
    long_answer = await bob.chat(ALICE).send(LONG + "yours")
    await long_answer.delivered(within_s=60)
    assert texts(alice) == ["warm up", "got it", LONG + "yours"]


@scenario()
async def test_within_blue_two_phones_that_prefer_sessions_chat(stage: Stage) -> None:
    bob = await stage.phone("bob", BOB)
    ben = await stage.phone("ben", BEN, reads_after_s=0.5)
    await (await bob.chat(BEN).send("eight?")).displayed(within_s=5)
    await (await ben.chat(BOB).send("nine")).delivered(within_s=5)
    assert (texts(ben), texts(bob)) == (["eight?"], ["nine"])
    assert len(stage.requests("INVITE", "bob") + stage.requests("INVITE", "ben")) == 1


@scenario()
async def test_sessions_with_several_people_at_once_keep_their_texts_and_their_order_apart(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    others = (bob, await stage.phone("amy", AMY), await stage.phone("ben", BEN))
    said = []
    for number in range(10):
        said += [alice.chat(peer).send(f"{number} " + "q" * 1500) for peer in (BOB, AMY, BEN)]
        said += [phone.chat(ALICE).send(f"{number} from {phone.name}") for phone in others]
        await asyncio.sleep(0.05)
    for message in said:
        await message.delivered(within_s=60)
    for phone, peer in zip(others, (BOB, AMY, BEN), strict=True):
        assert [text.split()[0] for text in stage.arrivals(phone)] == [f"{index}" for index in range(10)]
        assert texts(alice, peer) == [f"{index} from {phone.name}" for index in range(10)]
    assert stage.errors() == []
