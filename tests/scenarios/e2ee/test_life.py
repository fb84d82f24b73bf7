"""The life of an encrypted conversation: set up, used, ended, brought back; for every pair of devices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.client.display import Shown
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, received, scenario, texts

LOCKED = "RCS · encrypted"
DEVICES = ("android", "ios", "strict-v3", "strict-v4", "lineage-like")


def readable(stage: Stage, text: str) -> list[TraceRecord]:
    """Records of links on which *text* stood in clear."""
    octets = text.encode()
    return [one for one in stage.sink.records if one.kind is RecordKind.MESSAGE and octets in one.raw]


def encryption(stage: Stage, name: str) -> Iterable[str]:
    """What the encryption of a phone noted, in order."""
    return [
        one.summary
        for one in stage.sink.records
        if one.kind is RecordKind.STATE and one.source == name and one.details.get("machine") == "encryption"
    ]


@pytest.mark.parametrize("theirs", DEVICES)
@pytest.mark.parametrize("ours", DEVICES)
@scenario("two-carriers")
async def test_every_pair_of_devices_locks_and_reads_both_ways_with_receipts_that_verify(
    stage: Stage, ours: str, theirs: str
) -> None:
    alice = await stage.phone("alice", ALICE, ours, reads_after_s=1.0)
    bob = await stage.phone("bob", BOB, theirs, reads_after_s=1.0)
    await asyncio.sleep(2)
    first = await alice.chat(BOB).send("the first secret")
    await first.displayed(within_s=30)
    second = await bob.chat(ALICE).send("the second secret")
    await second.displayed(within_s=30)
    for message in (first, second):
        assert (message.scheme, message.label, message.transport) == (Scheme.MLS, LOCKED, MessageTransport.RCS)
    assert (alice.chat(BOB).label, alice.chat(BOB).scheme) == (LOCKED, "mls")
    assert (bob.chat(ALICE).label, bob.chat(ALICE).scheme) == (LOCKED, "mls")
    assert texts(bob) == ["the first secret"]
    assert texts(alice) == ["the second secret"]
    assert {one.label for phone in (alice, bob) for one in received(phone)} == {LOCKED}
    assert readable(stage, "secret") == []
    assert alice.chat(BOB).security_code == bob.chat(ALICE).security_code is not None
    assert stage.errors() == []


@scenario("two-carriers")
async def test_within_one_carrier_as_across_the_border(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    amy = await stage.phone("amy", AMY, reads_after_s=1.0)
    message = await alice.chat(AMY).send("neighbours whisper")
    await message.displayed(within_s=30)
    assert message.scheme is Scheme.MLS
    assert texts(amy) == ["neighbours whisper"]
    assert readable(stage, "whisper") == []


@scenario("two-carriers")
async def test_whoever_has_the_higher_number_can_begin_as_well(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    message = await bob.chat(ALICE).send("from the other side")
    await message.delivered(within_s=30)
    assert (message.scheme, texts(alice)) == (Scheme.MLS, ["from the other side"])


@scenario("two-carriers")
async def test_both_begin_at_the_same_moment_and_end_in_one_group(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    to_bob, to_alice = alice.chat(BOB), bob.chat(ALICE)
    await asyncio.sleep(2)
    sent = [to_bob.send("crossing one"), to_alice.send("crossing two")]
    for message in sent:
        await message.delivered(within_s=120)
    assert [message.scheme for message in sent] == [Scheme.MLS] * 2
    again = [to_bob.send("after one"), to_alice.send("after two")]
    for message in again:
        await message.delivered(within_s=30)
    assert texts(bob) == ["crossing one", "after one"]
    assert texts(alice) == ["crossing two", "after two"]
    assert readable(stage, "crossing") == []


@scenario("two-carriers")
async def test_many_messages_both_ways_rotate_the_leaf_and_nothing_is_lost(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("begin")).delivered(within_s=30)
    for number in range(300):
        message = await alice.chat(BOB).send(f"number {number}")
        if number % 10 == 0:
            await message.delivered(within_s=60)
    await message.delivered(within_s=120)
    assert texts(bob) == ["begin", *(f"number {number}" for number in range(300))]
    assert any("rekey" in one or "epoch advance" in one for one in encryption(stage, "alice"))


@scenario("two-carriers")
async def test_who_is_away_reads_it_when_back_and_the_sender_is_told(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("we have a lock")).delivered(within_s=30)
    await bob.power_off()
    message = await alice.chat(BOB).send("read this later")
    await asyncio.sleep(3600)
    assert message.state in (MessageState.SENT, MessageState.SENDING)
    assert message.transport is MessageTransport.RCS
    await bob.power_on()
    await message.delivered(within_s=120)
    assert texts(bob) == ["we have a lock", "read this later"]
    assert readable(stage, "read this") == []


@scenario("two-carriers")
async def test_two_devices_of_one_user_read_and_write_in_the_same_conversation(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB)
    tablet = await stage.phone("tablet", BOB)
    await asyncio.sleep(2)
    message = await alice.chat(BOB).send("to both of your screens")
    await message.delivered(within_s=30)
    await asyncio.sleep(5)
    assert message.scheme is Scheme.MLS
    assert texts(bob) == texts(tablet) == ["to both of your screens"]
    answer = await tablet.chat(ALICE).send("from the tablet")
    await answer.delivered(within_s=30)
    assert (answer.scheme, texts(alice)) == (Scheme.MLS, ["from the tablet"])


# --- the end, and the return ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["android", "strict-v3", "strict-v4"])
@scenario("two-carriers")
async def test_who_consents_ends_it_for_both_and_both_see_it(stage: Stage, device: str) -> None:
    alice = await stage.phone("alice", ALICE, device)
    bob = await stage.phone("bob", BOB)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("still secret")).delivered(within_s=30)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(30)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    for phone in (alice, bob):
        assert [one.details["text"] for one in stage.shown(phone, Shown.TOMBSTONE)] == ["encryption ended"]
    plain = await alice.chat(BOB).send("anybody may read this")
    await plain.delivered(within_s=30)
    assert (plain.scheme, plain.label) == (None, "RCS")
    assert readable(stage, "anybody")
    assert readable(stage, "still secret") == []


@scenario("two-carriers")
async def test_what_was_ended_is_brought_back_in_the_same_group(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("one")).delivered(within_s=30)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(30)
    bob.chat(ALICE).revive_encryption()
    await asyncio.sleep(30)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    back = await alice.chat(BOB).send("locked again")
    await back.delivered(within_s=30)
    assert back.scheme is Scheme.MLS
    assert readable(stage, "locked again") == []


@scenario("two-carriers")
async def test_an_encrypted_conversation_never_goes_as_sms_not_even_when_asked(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("lock")).delivered(within_s=30)
    by_sms = alice.chat(BOB).send("as a short message", as_sms=True)
    await asyncio.sleep(5)
    assert (by_sms.state, by_sms.reason) == (MessageState.FAILED, FallbackReason.ENCRYPTED_ONLY)
    for element in ("red.pcscf", "red.msrp_relay"):
        await stage.sim.cut(element)
    lost = alice.chat(BOB).send("the network is gone")
    await asyncio.sleep(600)
    assert lost.state is MessageState.FAILED
    assert texts(bob) == ["lock"]
    assert readable(stage, "short message") == readable(stage, "network is gone") == []
    for element in ("red.pcscf", "red.msrp_relay"):
        await stage.sim.restore(element)
