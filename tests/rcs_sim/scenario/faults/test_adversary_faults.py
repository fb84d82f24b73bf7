"""``adversary.``: each word acts, shows in the trace, and ends; what is sealed stays sealed."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.scenario.faults.adversary_faults import ADVERSARY_FAULTS
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.faults import acts, marks


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word.partition(".")[2] for kind in ADVERSARY_FAULTS}
    assert words == {"strip_caps", "inject_plain_imdn", "replay", "evil_member", "bridge_peek"}


@scenario("two-carriers")
async def test_tags_that_are_taken_away_at_the_border_leave_no_lock_and_no_lie(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    async with stage.sim.fault("adversary.strip_caps"):
        message = await alice.chat(BOB).send("in clear")
        await message.delivered(within_s=30)
        assert (message.label, message.scheme) == ("RCS", None)
    assert marks(stage.sink.records, "adversary.strip_caps") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_locked_conversation_stays_locked_without_tags(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("locked")).delivered(within_s=30)
    async with stage.sim.fault("adversary.strip_caps"):
        await asyncio.sleep(90_000)
        message = alice.chat(BOB).send("still locked")
        await asyncio.sleep(60)
        assert message.scheme in (Scheme.MLS, None)
        assert message.state is MessageState.FAILED or "still locked" in texts(bob)
    seen = [one for one in stage.sink.records if b"still locked" in one.raw]
    assert seen == []


@pytest.mark.parametrize("instead", ["no", "yes"])
@scenario("two-carriers")
async def test_a_receipt_that_nobody_signed_is_not_believed(stage: Stage, instead: str) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("adversary.inject_plain_imdn", of="alice", instead=instead):
        message = alice.chat(BOB).send("did you look?")
        await asyncio.sleep(60)
        assert texts(bob) == ["did you look?"]
        assert message.state is (MessageState.DELIVERED if instead == "no" else MessageState.SENT)
    forged = acts(stage.sink.records, "adversary.inject_plain_imdn")
    assert b"<displayed" in forged[0].raw
    assert b"Signature" not in forged[0].raw
    later = await alice.chat(BOB).send("and now?")
    await later.delivered(within_s=60)
    assert marks(stage.sink.records, "adversary.inject_plain_imdn") == ["begins", "acts", "ends"]


@pytest.mark.parametrize("name", ["new", "same"])
@scenario("two-carriers")
async def test_what_is_recorded_at_the_border_is_shown_once(stage: Stage, name: str) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("adversary.replay", carrier="red", delay_s=4, id=name) as fault:
        await (await alice.chat(BOB).send("once")).delivered(within_s=30)
        await asyncio.sleep(60)
        assert fault.acts == 1
    assert stage.arrivals(bob) == ["once"]
    await (await alice.chat(BOB).send("twice")).delivered(within_s=60)
    assert stage.arrivals(bob) == ["once", "twice"]
    assert marks(stage.sink.records, "adversary.replay") == ["begins", "acts", "ends"]


@pytest.mark.parametrize("does", ["result_authenticator", "welcome", "confirmation_tag", "signature"])
@scenario("two-carriers")
async def test_a_member_that_breaks_the_rules_is_found_out_and_the_conversation_heals(stage: Stage, does: str) -> None:
    alice, bob = await stage.alice_and_bob()
    if does != "welcome":
        await (await alice.chat(BOB).send("before")).delivered(within_s=30)
    async with stage.sim.fault("adversary.evil_member", of="alice", does=does, count=1) as fault:
        if does == "welcome":
            alice.chat(BOB).send("before")
        else:
            await stage.sim.begin_fault("mls.commit_race", of="alice")
        await asyncio.sleep(120)
        assert fault.acts == 1
    await asyncio.sleep(600)
    message = alice.chat(BOB).send("after")
    await asyncio.sleep(600)
    assert message.scheme is Scheme.MLS
    assert "after" in texts(bob), message.history
    assert marks(stage.sink.records, "adversary.evil_member") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_whoever_reads_along_sees_a_seal_or_the_text(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("adversary.bridge_peek", carrier="red"):
        await (await alice.chat(BOB).send("sealed secret")).delivered(within_s=30)
        sealed = acts(stage.sink.records, "adversary.bridge_peek")
        assert sealed
        assert not any(one.details["is_readable"] for one in sealed)
        bob.chat(ALICE).end_encryption()
        await asyncio.sleep(30)
        await (await alice.chat(BOB).send("plain secret")).delivered(within_s=30)
    read = acts(stage.sink.records, "adversary.bridge_peek")
    assert "plain secret" in [one.details["saw"] for one in read]
    assert not any("sealed secret" in one.details["saw"] for one in read)
    assert marks(stage.sink.records, "adversary.bridge_peek") == ["begins", "acts", "ends"]
