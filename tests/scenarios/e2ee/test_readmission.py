"""Who has lost a conversation and may not come back into it by himself: asks for a Welcome, waits, and never goes on in
clear while the focus holds a lock (digest RCC.16 §10.1, §14.13)."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    LOCKED,
    DeafToRequests,
    mls_of,
    new_owner,
    pair_locked,
    reinstalled,
    tombstones,
)

CHANGED = "security code changed"


@pytest.mark.parametrize("theirs", ["android", "ios", "strict-v4"])
@pytest.mark.parametrize("ours", ["android", "ios"])
@scenario("two-carriers")
async def test_who_was_reinstalled_and_writes_first_waits_for_the_lock(stage: Stage, ours: str, theirs: str) -> None:
    alice, bob = await pair_locked(stage, ours, theirs)
    await reinstalled(bob)
    message = await bob.chat(ALICE).send("new phone, same number")
    await message.delivered(within_s=60)
    assert (message.scheme, message.label) == (Scheme.MLS, LOCKED)
    assert texts(alice) == ["new phone, same number"]
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    assert readable(stage, "same number") == []
    assert tombstones(stage, alice) == [CHANGED]
    back = await alice.chat(BOB).send("welcome back")
    await back.delivered(within_s=60)
    assert (back.scheme, texts(bob)[-1]) == (Scheme.MLS, "welcome back")


@pytest.mark.parametrize("writes", ["new owner", "old peer"])
@pytest.mark.parametrize("whose", ["lower", "higher"])
@scenario("two-carriers")
async def test_the_new_owner_of_a_number_gets_a_lock_of_his_own(stage: Stage, whose: str, writes: str) -> None:
    alice, bob = await pair_locked(stage)
    await (await bob.chat(ALICE).send("for the old owner only")).delivered(within_s=30)
    number, peer_number = (ALICE, BOB) if whose == "lower" else (BOB, ALICE)
    old, peer = (alice, bob) if whose == "lower" else (bob, alice)
    newcomer = await new_owner(stage, old, number, "red" if whose == "lower" else "blue")
    writer, reader, to = (newcomer, peer, peer_number) if writes == "new owner" else (peer, newcomer, number)
    message = await writer.chat(to).send("who is there?")
    await message.delivered(within_s=300)
    assert (message.scheme, message.label) == (Scheme.MLS, LOCKED)
    assert texts(reader)[-1] == "who is there?"
    assert "for the old owner only" not in texts(newcomer)
    assert CHANGED in tombstones(stage, peer)
    assert peer.chat(number).label == newcomer.chat(peer_number).label == LOCKED
    assert readable(stage, "who is there?") == []


@scenario("two-carriers")
async def test_while_the_one_who_could_help_is_off_it_fails_visibly_and_the_lock_comes_when_he_is_back(
    stage: Stage,
) -> None:
    alice, bob = await pair_locked(stage)
    await alice.power_off()
    await reinstalled(bob)
    message = await bob.chat(ALICE).send("are you there?")
    await asyncio.sleep(300)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.LOCKED_OUT)
    assert bob.chat(ALICE).label == LOCKED
    await asyncio.sleep(3600)
    await alice.power_on()
    await asyncio.sleep(30)
    message.send_again()
    await message.delivered(within_s=60)
    assert (message.scheme, texts(alice)) == (Scheme.MLS, ["are you there?"])
    assert readable(stage, "are you there?") == []


@scenario("two-carriers")
async def test_a_peer_who_does_not_understand_leaves_it_visibly_failed(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    mls_of(alice)._failures._readmission = DeafToRequests()  # type: ignore[assignment]  # a peer of another make
    await reinstalled(bob)
    message = await bob.chat(ALICE).send("help me in")
    await asyncio.sleep(600)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.LOCKED_OUT)
    assert readable(stage, "help me in") == []
    assert (bob.chat(ALICE).label, alice.chat(BOB).label) == (LOCKED, LOCKED)


@scenario("two-carriers")
async def test_the_user_may_go_on_without_and_both_see_it(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    mls_of(alice)._failures._readmission = DeafToRequests()  # type: ignore[assignment]  # a peer of another make
    await reinstalled(bob)
    await bob.chat(ALICE).send("under a lock only")
    await asyncio.sleep(300)
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(30)
    plain = await bob.chat(ALICE).send("in clear then")
    await plain.delivered(within_s=60)
    assert (plain.scheme, texts(alice)) == (None, ["in clear then"])
    alice.chat(BOB).send("still sealed?")
    await asyncio.sleep(300)
    assert bob.chat(ALICE).label == alice.chat(BOB).label == "RCS"
    assert "encryption ended" in tombstones(stage, alice)
    assert readable(stage, "under a lock only") == readable(stage, "still sealed?") == []


@scenario("two-carriers")
async def test_within_one_carrier_too(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    amy = await stage.phone("amy", AMY)
    await asyncio.sleep(2)
    await (await alice.chat(AMY).send("neighbours")).delivered(within_s=30)
    await reinstalled(amy)
    message = await amy.chat(ALICE).send("still neighbours")
    await message.delivered(within_s=60)
    assert (message.scheme, texts(alice)) == (Scheme.MLS, ["still neighbours"])
    assert readable(stage, "still neighbours") == []


@scenario("two-carriers")
async def test_of_two_devices_the_one_that_was_reinstalled_gets_its_answers_too(stage: Stage) -> None:
    """The focus answers a pull in a session that it opens, and either device may take that."""
    alice, bob = await pair_locked(stage)
    tablet = await stage.phone("tablet", BOB, "android")
    await asyncio.sleep(5)
    for phone in (bob, tablet, bob):
        await reinstalled(phone)
        message = await phone.chat(ALICE).send(f"from {phone.name} again")
        await message.delivered(within_s=120)
        assert message.scheme is Scheme.MLS
        await asyncio.sleep(4000)
    assert readable(stage, "from bob again") == readable(stage, "from tablet again") == []
    await (await alice.chat(BOB).send("to both")).delivered(within_s=60)
    await asyncio.sleep(60)
    assert texts(bob)[-1] == texts(tablet)[-1] == "to both"
