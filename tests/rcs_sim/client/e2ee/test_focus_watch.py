from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.e2ee.focus_watch import FRESH_S
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    count_notes,
    focus_fault,
    mls_of,
    pair_locked,
    reinstalled,
    thread_of,
)


@scenario("two-carriers")
async def test_without_key_packages_of_the_peer_nothing_leaves_in_clear_where_there_is_a_lock(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    await reinstalled(bob)
    service = stage.sim.lab.carriers["red"].key_service
    assert service is not None
    service.server.fault = KdsFault(is_down=True)
    message = await bob.chat(ALICE).send("is this safe?")
    await asyncio.sleep(400)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.LOCKED_OUT)
    service.server.fault = KdsFault()
    await asyncio.sleep(900)
    message.send_again()
    await message.delivered(within_s=120)
    assert (message.scheme, texts(alice)) == (Scheme.MLS, ["is this safe?"])
    assert readable(stage, "is this safe?") == []


@pytest.mark.parametrize("theirs", ["android", "ios"])
@scenario("two-carriers")
async def test_a_phone_without_a_certificate_asks_the_focus_before_it_writes_in_clear(
    stage: Stage, theirs: str
) -> None:
    alice, bob = await pair_locked(stage, theirs=theirs)
    service = stage.sim.lab.carriers["blue"].key_service
    assert service is not None
    service.server.fault = KdsFault(is_down=True)
    await reinstalled(bob)
    message = await bob.chat(ALICE).send("no keys yet")
    await asyncio.sleep(200)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.LOCKED_OUT)
    service.server.fault = KdsFault()
    await asyncio.sleep(600)
    message.send_again()
    await message.delivered(within_s=120)
    assert (message.scheme, texts(alice)) == (Scheme.MLS, ["no keys yet"])
    assert readable(stage, "no keys yet") == []


@scenario("two-carriers")
async def test_a_focus_that_says_nothing_leaves_it_visibly_failed(stage: Stage) -> None:
    _, bob = await pair_locked(stage)
    await reinstalled(bob)
    focus_fault(stage, is_silent=True)
    message = await bob.chat(ALICE).send("hello, focus")
    await asyncio.sleep(300)
    assert message.state is MessageState.FAILED
    assert readable(stage, "hello, focus") == []


@scenario("two-carriers")
async def test_where_encryption_was_ended_a_reinstalled_phone_writes_in_clear(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(30)
    await reinstalled(bob)
    message = await bob.chat(ALICE).send("nothing to hide")
    await message.delivered(within_s=120)
    assert (message.scheme, bob.chat(ALICE).label, alice.chat(BOB).label) == (None, "RCS", "RCS")
    alice.chat(BOB).revive_encryption()
    await asyncio.sleep(FRESH_S)
    again = await bob.chat(ALICE).send("something to hide")
    await again.delivered(within_s=120)
    assert again.scheme is Scheme.MLS
    assert readable(stage, "something to hide") == []


@scenario("two-carriers")
async def test_the_focus_is_asked_once_an_hour_about_a_peer_who_does_not_encrypt(stage: Stage) -> None:
    service = stage.sim.lab.carriers["blue"].key_service
    assert service is not None
    service.server.fault = KdsFault(is_down=True)
    alice, _ = await stage.alice_and_bob()
    for number in range(5):
        message = await alice.chat(BOB).send(f"no secret {number}")
        await message.delivered(within_s=10)
        assert message.scheme is None
        await asyncio.sleep(600)
    assert count_notes(stage, alice, "focus asked") == 1


@scenario("two-carriers")
async def test_who_is_refused_because_there_may_be_a_lock_can_consent_to_go_on_without(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    conversation, watch = alice.chat(BOB)._conversation, mls_of(alice)._context.watch
    focus_fault(stage, is_silent=True)
    watch.suspect(conversation)
    refused = alice.chat(BOB).send("may this go?")
    await asyncio.sleep(300)
    assert (refused.state, conversation.is_encrypted) == (MessageState.FAILED, False)
    alice.chat(BOB).end_encryption()
    assert watch.is_waived(conversation.peer)
    plain = await alice.chat(BOB).send("then in clear")
    await plain.delivered(within_s=60)
    assert plain.label == "RCS"


@scenario("two-carriers")
async def test_what_waits_for_a_session_in_clear_is_decided_about_again_when_there_may_be_a_lock(stage: Stage) -> None:
    """Something sealed comes while the INVITE is on its way."""
    service = stage.sim.lab.carriers["blue"].key_service
    assert service is not None
    service.server.fault = KdsFault(is_down=True)
    alice = await stage.phone("alice", ALICE, "strict-v3")
    await stage.phone("bob", BOB)
    await (await alice.chat(BOB).send("no secret")).delivered(within_s=10)
    await asyncio.sleep(600)  # the session is over
    conversation, watch = alice.chat(BOB)._conversation, mls_of(alice)._context.watch
    focus_fault(stage, is_silent=True)
    message = alice.chat(BOB).send("who can read this? " * 100)
    await asyncio.sleep(0.01)
    assert message.state is MessageState.SENDING
    watch.suspect(conversation)
    await asyncio.sleep(300)
    assert message.state is MessageState.FAILED
    assert readable(stage, "who can read this? " * 10) == []


@scenario("two-carriers")
async def test_a_phone_without_repairs_left_waits_for_the_focus_in_peace(stage: Stage) -> None:
    """It asked itself again and again without end, in no time."""
    _, bob = await pair_locked(stage)
    await reinstalled(bob)
    conversation, watch = bob.chat(ALICE)._conversation, mls_of(bob)._context.watch
    thread = thread_of(bob, ALICE)
    while thread.heals.take(mls_of(bob)._context.now_s()):
        pass
    watch.suspect(conversation)
    await asyncio.sleep(1)
    assert mls_of(bob).decide(conversation, may_wait=True).reason is FallbackReason.FOCUS_ASKED
    message = bob.chat(ALICE).send("is anybody there?")
    await asyncio.sleep(300)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.LOCKED_OUT)
    assert count_notes(stage, bob, "no repair") < 10
