"""The legacy scheme between two phones: what is sealed, what is refused, what is begun anew, and never in clear."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

from ims_core.trace import RecordKind
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.client.encryption import EncryptedArrival, Scheme, SealStep
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import dialled_key
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity
from rcs_sim.e2ee.legacy.body import LEGACY_CONTENT_TYPE
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.cpim import CpimMessage, compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.prekey_directory import PrekeyPath
from tests.rcs_sim.client.stories import play
from tests.support.legacy_phones import LegacyPair, legacy_pair
from tests.support.stub_core import ALICE, BOB, World, device

LOCKED = "RCS · encrypted"


def _play(story: Callable[[LegacyPair], Awaitable[None]]) -> None:
    async def inner(world: World) -> None:
        async with legacy_pair(world) as pair:
            await story(pair)

    play(inner)


def _texts(phone: Phone, peer: str) -> list[tuple[str | None, str]]:
    return [(each.text, each.label) for each in phone.chat(peer).messages if each.direction == "in"]


async def _locked(pair: LegacyPair) -> SentMessage:
    """A first message, read."""
    message = await pair.alice.chat(BOB).send("the first secret")
    return await message.displayed(within_s=30)


def _arrival(
    pair: LegacyPair, body: bytes, message_id: str, content_type: str = LEGACY_CONTENT_TYPE
) -> EncryptedArrival:
    """As Bob would get it from Alice."""
    octets = compose_cpim(
        sender="sip:anonymous@anonymous.invalid",
        recipient="sip:anonymous@anonymous.invalid",
        message_id=message_id,
        date_time="2026-11-22T12:00:00Z",
        body=body,
        content_type=content_type,
    )
    conversation = pair.bob._messenger.conversation(dialled_key(ALICE))
    uri = parse_uri(f"tel:{ALICE}")
    return EncryptedArrival(conversation.peer, uri, CpimMessage.parse(octets), conversation.id, "contribution")


def test_text_is_sealed_both_ways_and_receipted_in_clear() -> None:
    async def story(pair: LegacyPair) -> None:
        first = await _locked(pair)
        second = await pair.bob.chat(ALICE).send("the second secret")
        await second.displayed(within_s=30)
        for message in (first, second):
            assert (message.scheme, message.label) == (Scheme.LEGACY, LOCKED)
        assert _texts(pair.bob, ALICE) == [("the first secret", LOCKED)]
        assert _texts(pair.alice, BOB) == [("the second secret", LOCKED)]
        assert not pair.in_clear("secret")
        assert pair.in_clear(LEGACY_CONTENT_TYPE)
        assert pair.in_clear("<displayed/>")
        assert pair.directory.calls.count(PrekeyPath.CLAIM) == 1
        assert pair.alice.chat(BOB).security_code == pair.bob.chat(ALICE).security_code is not None
        assert (pair.alice.chat(BOB).label, pair.alice.chat(BOB).scheme) == (LOCKED, "legacy")

    _play(story)


def test_both_begin_at_once() -> None:
    async def story(pair: LegacyPair) -> None:
        sent = [pair.alice.chat(BOB).send("from alice"), pair.bob.chat(ALICE).send("from bob")]
        for message in sent:
            await message.displayed(within_s=30)
            assert message.scheme is Scheme.LEGACY
        assert (_texts(pair.bob, ALICE), _texts(pair.alice, BOB)) == ([("from alice", LOCKED)], [("from bob", LOCKED)])

    _play(story)


def test_many_messages_in_a_burst_arrive_once_each() -> None:
    async def story(pair: LegacyPair) -> None:
        sent = [pair.alice.chat(BOB).send(f"burst {n}") for n in range(20)]
        for message in sent:
            await message.displayed(within_s=60)
        assert sorted(text or "" for text, _ in _texts(pair.bob, ALICE)) == sorted(f"burst {n}" for n in range(20))
        assert not pair.in_clear("burst")

    _play(story)


def test_a_peer_without_the_tag_is_written_to_in_clear() -> None:
    async def story(pair: LegacyPair) -> None:
        ims = pair.bob._ims
        assert ims is not None
        ims.ua.features = ims.ua.features.replace(";+vnd.google.rcs.encrypted", "")
        message = await pair.alice.chat(BOB).send("in clear")
        await message.delivered(within_s=30)
        assert (message.scheme, message.label) == (None, "RCS")
        assert PrekeyPath.CLAIM not in pair.directory.calls

    _play(story)


def test_a_device_that_asks_nobody_asks_before_it_writes_in_clear() -> None:
    async def story(world: World) -> None:
        android = device("android")
        capability = replace(android.capability, asks_on_open=False, asks_on_send=False)
        async with legacy_pair(world, replace(android, capability=capability)) as pair:
            assert (await _locked(pair)).scheme is Scheme.LEGACY
            assert len(world.core.of("OPTIONS")) == 1

    play(story)


@pytest.mark.parametrize("fault", [KdsFault(is_down=True), KdsFault(empty_pool=True), KdsFault(wrong_directory=True)])
def test_without_a_bundle_an_unlocked_conversation_goes_on_in_clear_and_is_locked_later(fault: KdsFault) -> None:
    async def story(pair: LegacyPair) -> None:
        server = pair.directory.side.server
        server.fault = fault
        message = await pair.alice.chat(BOB).send("no keys yet")
        await message.delivered(within_s=60)
        assert (message.scheme, message.label) == (None, "RCS")
        server.fault = KdsFault()
        await asyncio.sleep(61)
        assert (await _locked(pair)).scheme is Scheme.LEGACY

    _play(story)


def test_a_bundle_with_a_wrong_signature_begins_nothing() -> None:
    async def story(pair: LegacyPair) -> None:
        stock = pair.directory.side.server.prekeys
        stock._held["12025550102"] = stock._held["12025550101"]  # Bob's number, and the asking phone's own keys
        message = await pair.alice.chat(BOB).send("in clear")
        await message.delivered(within_s=60)
        assert message.scheme is None
        assert any("claim failed" in state for state in pair.world.states("alice", "legacy encryption"))

    _play(story)


def test_a_locked_conversation_without_keys_is_refused_and_never_plain() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        pair.directory.is_down = True
        for thread in pair.side(pair.alice)._threads.values():
            thread.held.void()
        message = pair.alice.chat(BOB).send("not in clear")
        await message.final(within_s=300)
        assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.NO_ENCRYPTION_STATE)
        assert not pair.in_clear("not in clear")
        assert pair.alice.chat(BOB).label == LOCKED

    _play(story)


def test_a_phone_that_lost_its_keys_says_so_and_gets_the_message_in_a_new_session() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        await (await pair.bob.chat(ALICE).send("an answer")).displayed(within_s=30)
        await pair.equip(pair.bob, BOB, "after a reset")
        sent = [pair.alice.chat(BOB).send(f"after the reset {n}") for n in range(3)]
        for message in sent:
            await message.displayed(within_s=120)
            assert message.scheme is Scheme.LEGACY
        got = sorted(text or "" for text, _ in _texts(pair.bob, ALICE))[:3]
        assert got == [f"after the reset {n}" for n in range(3)]
        shown = [each.details.get("text") for each in pair.world.records(RecordKind.SHOWN, "alice")]
        assert shown.count("security code changed") == 1
        assert not pair.in_clear("after the reset")
        assert pair.directory.calls.count(PrekeyPath.CLAIM) == 2

    _play(story)


def test_a_failure_that_is_told_of_a_message_that_was_read_changes_nothing() -> None:
    async def story(pair: LegacyPair) -> None:
        message = await _locked(pair)
        side = pair.side(pair.alice)
        failed = Imdn(message.wire_id, "2026-11-22T12:00:00Z", ImdnKind.DELIVERY, ImdnStatus.FAILED)
        assert not side.accepts_receipt(message, failed, None, dialled_key(BOB))
        (thread,) = side._threads.values()
        assert thread.held.can_seal
        assert message.state is MessageState.DISPLAYED

    _play(story)


def test_a_peer_that_can_never_read_ends_in_a_failed_message_and_not_in_clear() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        pair.directory.side.server.fault = KdsFault(wrong_identity="12025550101")
        other = pair.side(pair.bob).account.keys
        await pair.equip(pair.bob, BOB, "after a reset")
        assert other is not pair.side(pair.bob).account.keys
        message = pair.alice.chat(BOB).send("for nobody")
        await message.final(within_s=600)
        assert message.state is MessageState.FAILED
        assert not pair.in_clear("for nobody")

    _play(story)


def test_what_cannot_be_opened_is_not_shown_and_its_sender_is_told_once() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        side = pair.side(pair.bob)
        for _ in range(3):
            side.arrived(_arrival(pair, b"no body at all", "bad id"))
        await asyncio.sleep(5)
        assert len(_texts(pair.bob, ALICE)) == 1
        told = [each for each in pair.world.core.of("MESSAGE", "<failed/>") if b"bad id" in each.body]
        assert len(told) == 1

    _play(story)


def test_a_replay_is_dropped_without_a_word() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        sealed = CpimMessage.parse(pair.world.core.of("MESSAGE", LEGACY_CONTENT_TYPE)[0].body)
        for message_id in (sealed.message_id or "", "another id"):
            pair.side(pair.bob).arrived(_arrival(pair, sealed.body, message_id))
        await asyncio.sleep(5)
        assert len(_texts(pair.bob, ALICE)) == 1

    _play(story)


def test_sealed_content_that_is_no_text_is_dropped() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        (thread,) = pair.side(pair.alice)._threads.values()
        for n, entity in enumerate((EncryptedEntity(b"x", "image/png"), EncryptedEntity(b"x", "no type"))):
            octets = thread.held.seal(entity.encode(), f"id {n}")
            pair.side(pair.bob).arrived(_arrival(pair, octets, f"id {n}"))
        octets = thread.held.seal(b"\r\n\x00\xff broken", "id 9")
        pair.side(pair.bob).arrived(_arrival(pair, octets, "id 9"))
        shown = [text for text, _ in _texts(pair.bob, ALICE)]
        assert "x" not in shown

    _play(story)


def test_the_user_ends_it_and_brings_it_back() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        chat = pair.alice.chat(BOB)
        chat.end_encryption()
        plain = await chat.send("by my own will")
        await plain.delivered(within_s=30)
        assert (plain.scheme, chat.label) == (None, "RCS")
        answer = await pair.bob.chat(ALICE).send("still sealed here")
        await answer.delivered(within_s=30)
        assert (answer.scheme, chat.label) == (Scheme.LEGACY, "RCS")
        chat.revive_encryption()
        again = await chat.send("sealed again")
        await again.delivered(within_s=30)
        assert (again.scheme, chat.label) == (Scheme.LEGACY, LOCKED)
        assert not pair.in_clear("sealed")

    _play(story)


def test_power_that_goes_during_a_claim_leaves_nothing_hanging() -> None:
    async def story(pair: LegacyPair) -> None:
        side = pair.side(pair.alice)
        await (await pair.bob.chat(ALICE).send("hello")).delivered(within_s=30)
        conversation = pair.alice._messenger.conversation(dialled_key(BOB))
        side._threads.clear()
        assert side.decide(conversation, may_wait=True).step is SealStep.WAIT
        side.power_lost()
        assert not any(thread.is_claiming for thread in side._threads.values())

    _play(story)


def test_another_number_starts_without_sessions() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        side = pair.side(pair.alice)
        (thread,) = side._threads.values()
        assert thread.held.can_seal
        side.configured(pair.directory.client(), "12025550109")
        assert not thread.held.can_seal
        assert thread.held.own == "12025550109"

    _play(story)


def test_what_mls_has_taken_over_never_comes_back() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        side, conversation = pair.side(pair.alice), pair.alice._messenger.conversation(dialled_key(BOB))
        assert side.is_locked(conversation)
        side.supersede(conversation)
        await (await pair.bob.chat(ALICE).send("by the old scheme")).delivered(within_s=30)
        assert _texts(pair.alice, BOB)[-1] == ("by the old scheme", LOCKED)
        assert (side.is_locked(conversation), side.is_superseded(conversation)) == (False, True)

    _play(story)


def test_the_trace_shows_no_key_and_no_text() -> None:
    async def story(pair: LegacyPair) -> None:
        await _locked(pair)
        states = [
            each for each in pair.world.records(RecordKind.STATE) if each.details["machine"] == "legacy encryption"
        ]
        assert {each.details["state"] for each in states} >= {"ready", "claimed", "encrypted"}
        assert all("secret" not in str(each.details) for each in states)

    _play(story)
