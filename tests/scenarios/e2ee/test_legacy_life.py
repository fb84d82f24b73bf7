"""The legacy scheme between two phones of a network, beside MLS and on the way to it (RCC.16 digest §14.12)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

from ims_core.trace import RecordKind
from rcs_sim.client.display import Shown
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.server.mls_fault import MlsFocusFault
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, received, scenario, texts

DAY_S = 24 * 3600
LOCKED = "RCS · encrypted"


async def phone(stage: Stage, name: str, msisdn: str, *, has_mls: bool = False, **more: float) -> Phone:
    """An Android-like phone with the legacy scheme, and from before MLS unless *has_mls*."""
    return await stage.phone(name, msisdn, "android-both" if has_mls else "android-legacy", **more)


async def pair(stage: Stage) -> tuple[Phone, Phone]:
    alice = await phone(stage, "alice", ALICE, reads_after_s=1.0)
    bob = await phone(stage, "bob", BOB, reads_after_s=1.0)
    await asyncio.sleep(2)
    return alice, bob


def on_links(stage: Stage, text: str) -> int:
    """How many records of links have *text* in clear."""
    octets = text.encode()
    return sum(one.kind is RecordKind.MESSAGE and octets in one.raw for one in stage.sink.records)


def kinds(messages: Iterable[SentMessage]) -> set[tuple[Scheme | None, str, MessageTransport]]:
    return {(one.scheme, one.label, one.transport) for one in messages}


LEGACY = {(Scheme.LEGACY, LOCKED, MessageTransport.RCS)}
MLS = {(Scheme.MLS, LOCKED, MessageTransport.RCS)}


@scenario("two-carriers")
async def test_two_phones_from_before_mls_lock_by_the_legacy_scheme_and_read_both_ways(stage: Stage) -> None:
    alice, bob = await pair(stage)
    sent = []
    for n in range(3):
        sent.append(await alice.chat(BOB).send(f"secret {n} of alice"))
        await sent[-1].displayed(within_s=30)
        sent.append(await bob.chat(ALICE).send(f"secret {n} of bob"))
        await sent[-1].displayed(within_s=30)
    assert kinds(sent) == LEGACY
    assert (alice.chat(BOB).label, alice.chat(BOB).scheme) == (LOCKED, "legacy")
    assert (bob.chat(ALICE).label, bob.chat(ALICE).scheme) == (LOCKED, "legacy")
    assert texts(bob) == [f"secret {n} of alice" for n in range(3)]
    assert texts(alice) == [f"secret {n} of bob" for n in range(3)]
    assert {one.label for phone in (alice, bob) for one in received(phone)} == {LOCKED}
    assert on_links(stage, "secret") == 0
    assert alice.chat(BOB).security_code == bob.chat(ALICE).security_code is not None
    assert stage.errors() == []


@scenario("two-carriers")
async def test_they_announce_the_legacy_tag_and_none_of_mls(stage: Stage) -> None:
    await pair(stage)
    contacts = [request.text("Contact") or "" for request in stage.requests("REGISTER")]
    assert any("+vnd.google.rcs.encrypted" in each for each in contacts)
    assert not any("mls" in each for each in contacts)


@scenario("two-carriers")
async def test_both_begin_at_the_same_moment(stage: Stage) -> None:
    alice, bob = await pair(stage)
    for n in range(3):
        sent = [alice.chat(BOB).send(f"crossing a{n}"), bob.chat(ALICE).send(f"crossing b{n}")]
        for message in sent:
            await message.delivered(within_s=30)
        assert kinds(sent) == LEGACY
    assert on_links(stage, "crossing") == 0
    assert (len(texts(alice)), len(texts(bob))) == (3, 3)


@scenario("two-carriers")
async def test_a_long_text_goes_in_a_session(stage: Stage) -> None:
    alice, bob = await pair(stage)
    text = "long secret " * 300
    message = await alice.chat(BOB).send(text)
    await message.displayed(within_s=60)
    assert (message.scheme, texts(bob)) == (Scheme.LEGACY, [text])
    assert on_links(stage, "long secret") == 0


@scenario("two-carriers")
async def test_who_was_off_reads_it_later(stage: Stage) -> None:
    alice, bob = await pair(stage)
    await (await alice.chat(BOB).send("first")).delivered(within_s=30)
    await bob.power_off()
    sent = [alice.chat(BOB).send(f"later {n}") for n in range(3)]
    await asyncio.sleep(60)
    await bob.power_on()
    for message in sent:
        await message.delivered(within_s=300)
    assert texts(bob) == ["first", "later 0", "later 1", "later 2"]
    assert on_links(stage, "later") == 0


@scenario("two-carriers")
async def test_a_phone_that_was_reset_is_written_to_anew_and_the_user_sees_its_new_code(stage: Stage) -> None:
    alice, bob = await pair(stage)
    await (await alice.chat(BOB).send("before")).displayed(within_s=30)
    await bob.wipe()
    await bob.power_on()
    await asyncio.sleep(2)
    message = await alice.chat(BOB).send("after the reset")
    await message.displayed(within_s=120)
    assert message.scheme is Scheme.LEGACY
    assert texts(bob)[-1] == "after the reset"
    assert stage.shown(alice, Shown.TOMBSTONE, "security code changed")
    assert on_links(stage, "after the reset") == 0


@scenario("two-carriers")
async def test_who_has_only_one_of_both_schemes_each_speak_plain(stage: Stage) -> None:
    alice = await phone(stage, "alice", ALICE)
    bob = await stage.phone("bob", BOB)
    await asyncio.sleep(2)
    message = await alice.chat(BOB).send("nothing in common")
    await message.delivered(within_s=30)
    assert (message.scheme, message.label, alice.chat(BOB).scheme) == (None, "RCS", None)
    assert texts(bob) == ["nothing in common"]


@scenario("two-carriers")
async def test_who_both_have_mls_do_not_use_the_legacy_scheme(stage: Stage) -> None:
    alice = await phone(stage, "alice", ALICE, has_mls=True)
    amy = await phone(stage, "amy", AMY, has_mls=True)
    await asyncio.sleep(2)
    message = await alice.chat(AMY).send("by mls")
    await message.delivered(within_s=30)
    assert (kinds([message]), texts(amy)) == (MLS, ["by mls"])


@scenario("two-carriers")
async def test_a_new_phone_and_an_old_one_use_the_legacy_scheme(stage: Stage) -> None:
    alice = await phone(stage, "alice", ALICE, has_mls=True)
    bob = await phone(stage, "bob", BOB)
    await asyncio.sleep(2)
    sent = [await alice.chat(BOB).send("from the new one"), await bob.chat(ALICE).send("from the old one")]
    for message in sent:
        await message.delivered(within_s=30)
    assert kinds(sent) == LEGACY


async def moved(stage: Stage) -> tuple[Phone, Phone]:
    """A conversation that began with the legacy scheme and is one of MLS."""
    alice = await phone(stage, "alice", ALICE, has_mls=True, reads_after_s=1.0)
    await phone(stage, "bob", BOB, reads_after_s=1.0)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("by the old scheme")).displayed(within_s=30)
    bob = await stage.sim.exchange("bob", device="android-both")
    await asyncio.sleep(DAY_S)  # what a phone knows of another one grows old
    await (await alice.chat(BOB).send("by either scheme")).displayed(within_s=120)
    await asyncio.sleep(10)
    return alice, bob


@scenario("two-carriers")
async def test_a_conversation_that_has_moved_to_mls_stays_there(stage: Stage) -> None:
    alice, bob = await moved(stage)
    sent = [await alice.chat(BOB).send("by the new scheme"), await bob.chat(ALICE).send("answered by it")]
    for message in sent:
        await message.displayed(within_s=120)
    assert kinds(sent) == MLS
    assert (alice.chat(BOB).scheme, bob.chat(ALICE).scheme) == ("mls", "mls")
    assert alice.encryption is not None
    mls = alice.encryption.mls
    assert mls is not None
    for thread in mls._context.threads.values():  # it has lost its group, and cannot get another one
        mls._context.renew_engine(thread)
    for carrier in stage.sim.lab.carriers.values():
        assert carrier.key_service is not None
        carrier.key_service.server.fault = KdsFault(is_down=True)
    refused = alice.chat(BOB).send("never by the old scheme again")
    await refused.final(within_s=600)
    assert refused.scheme is not Scheme.LEGACY
    assert alice.chat(BOB).scheme == "mls"
    assert on_links(stage, "scheme") == on_links(stage, "answered") == 0


@pytest.mark.parametrize("reason", [ServerFailureReason.ENCRYPTION_NOT_AVAILABLE, ServerFailureReason.INVALID_INPUT])
@scenario("two-carriers")
async def test_while_the_focus_refuses_groups_the_old_scheme_goes_on(stage: Stage, reason: ServerFailureReason) -> None:
    alice = await phone(stage, "alice", ALICE, has_mls=True, reads_after_s=1.0)
    await phone(stage, "bob", BOB, reads_after_s=1.0)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("by the old scheme")).displayed(within_s=30)
    await stage.sim.exchange("bob", device="android-both")
    for carrier in stage.sim.lab.carriers.values():
        focus = carrier.messaging_server.core.focus
        assert focus is not None
        focus.fault = MlsFocusFault(refuses_with=reason)
    await asyncio.sleep(DAY_S)
    sent = []
    for n in range(3):
        sent.append(await alice.chat(BOB).send(f"go on with the old scheme {n}"))
        await sent[-1].displayed(within_s=300)
    assert kinds(sent) == LEGACY
    assert on_links(stage, "old scheme") == 0


@scenario("two-carriers")
async def test_a_locked_conversation_whose_keys_are_gone_is_refused_and_never_plain(stage: Stage) -> None:
    alice, bob = await pair(stage)
    await (await alice.chat(BOB).send("locked")).displayed(within_s=30)
    stage.sim.lab.carriers["blue"].key_service.server.fault = KdsFault(is_down=True)
    stage.sim.lab.carriers["red"].key_service.server.fault = KdsFault(is_down=True)
    assert alice.encryption is not None
    legacy = alice.encryption._legacy
    assert legacy is not None
    for thread in legacy._threads.values():
        thread.held.void()
    message = alice.chat(BOB).send("not in clear")
    await message.final(within_s=300)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.NO_ENCRYPTION_STATE)
    assert on_links(stage, "not in clear") == 0
    assert texts(bob) == ["locked"]


@scenario("two-carriers")
async def test_without_prekeys_of_the_peer_an_unlocked_conversation_goes_on_in_clear(stage: Stage) -> None:
    alice, bob = await pair(stage)
    stage.sim.lab.carriers["blue"].key_service.server.fault = KdsFault(empty_pool=True)
    message = await alice.chat(BOB).send("no keys, no lock")
    await message.delivered(within_s=60)
    assert (message.scheme, message.label, texts(bob)) == (None, "RCS", ["no keys, no lock"])


@scenario("two-carriers")
async def test_the_user_ends_it_and_brings_it_back(stage: Stage) -> None:
    alice, bob = await pair(stage)
    await (await alice.chat(BOB).send("locked")).displayed(within_s=30)
    alice.chat(BOB).end_encryption()
    plain = await alice.chat(BOB).send("by my own will")
    await plain.delivered(within_s=30)
    assert (plain.scheme, plain.label) == (None, "RCS")
    assert stage.shown(alice, Shown.TOMBSTONE, "encryption ended")
    alice.chat(BOB).revive_encryption()
    again = await alice.chat(BOB).send("locked again")
    await again.delivered(within_s=30)
    assert (again.scheme, texts(bob)[-1]) == (Scheme.LEGACY, "locked again")
    assert on_links(stage, "locked again") == 0


@scenario("two-carriers")
async def test_what_the_new_handset_of_the_peer_could_not_read_fails_again_when_it_is_sent_again(stage: Stage) -> None:
    alice, bob = await pair(stage)
    await (await alice.chat(BOB).send("locked")).displayed(within_s=30)
    bob = await stage.sim.exchange("bob", device="lineage-like")
    message = alice.chat(BOB).send("to a handset that has not the scheme")
    await message.final(within_s=300)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.NOT_DECRYPTED)
    for _ in range(2):
        message.send_again()
        await asyncio.sleep(300)
        assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.NOT_DECRYPTED)
    assert [one for one in texts(bob) if one is not None] == []
    assert on_links(stage, "to a handset") == 0


@scenario("two-carriers")
async def test_what_could_not_be_read_is_read_once_when_it_is_sent_again_to_who_can_read_by_now(stage: Stage) -> None:
    alice, bob = await pair(stage)
    await (await alice.chat(BOB).send("locked")).displayed(within_s=30)
    await stage.sim.exchange("bob", device="lineage-like")
    message = alice.chat(BOB).send("for the old handset")
    await message.final(within_s=300)
    assert message.state is MessageState.FAILED
    bob = await stage.sim.exchange("bob", device="android-legacy")
    await asyncio.sleep(10)
    message.send_again()
    await message.delivered(within_s=300)
    assert (message.scheme, texts(bob)) == (Scheme.LEGACY, ["for the old handset"])
    assert on_links(stage, "for the old") == 0
