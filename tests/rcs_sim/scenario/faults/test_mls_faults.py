"""``mls.``: each word acts on an encrypted conversation, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.faults.mls_faults import MLS_FAULTS
from tests.scenarios.stage import ALICE, AMY, BEN, BOB, Stage, scenario, texts
from tests.support.faults import acts, marks


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word.partition(".")[2] for kind in MLS_FAULTS}
    assert words == {
        *("commit_race", "drop_commit", "drop_welcome", "late_welcome", "stale_epoch", "era_gap"),
        *("fork", "bad_signature", "bad_aad", "replay", "end_mls", "ghost_member"),
        "drop_headers",  # of the digest, RCC.16 §14.14
    }


async def _locked(stage: Stage) -> tuple[Phone, Phone]:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("hello")).delivered(within_s=30)
    await (await bob.chat(ALICE).send("hello too")).delivered(within_s=30)
    return alice, bob


async def _still_locked(stage: Stage, word: str, ends: tuple[str, ...] = ("begins", "acts", "ends")) -> None:
    """After the fault the conversation heals, and stays sealed."""
    alice, bob = stage.sim.phones["alice"], stage.sim.phones["bob"]
    await asyncio.sleep(300)
    for sender, number, receiver in ((alice, BOB, bob), (bob, ALICE, alice)):
        message = sender.chat(number).send("sound again")
        await asyncio.sleep(300)
        assert "sound again" in texts(receiver), message.history
        assert message.scheme is Scheme.MLS
    assert marks(stage.sink.records, word) == list(ends)


def commits(phone: Phone, peer: str) -> bool:
    """Asks the focus for fresh keys."""
    assert phone.encryption is not None
    assert phone.encryption.mls is not None
    return phone.encryption.mls.request(
        ContactKey(peer), lambda engine, control_id, now_s: engine.control.rekey(control_id, now_s)
    )


def reasons(stage: Stage) -> list[str]:
    """What phones note of their encryption, and servers of theirs."""
    return [f"{one.summary} {one.details}" for one in stage.sink.records if one.kind.value == "state"]


@scenario("two-carriers")
async def test_of_two_commits_in_one_moment_one_counts(stage: Stage) -> None:
    await _locked(stage)
    async with stage.sim.fault("mls.commit_race", of="bob"):
        await asyncio.sleep(30)
    assert {one.source for one in acts(stage.sink.records, "mls.commit_race")} == {"alice", "bob"}
    assert any("incorrect-epoch" in text for text in reasons(stage))
    await _still_locked(stage, "mls.commit_race")


@pytest.mark.parametrize(("one", "other"), [(ALICE, BOB), (BOB, BEN)], ids=["no log", "log"])
@scenario("two-carriers")
async def test_a_lost_commit_is_made_up_for(stage: Stage, one: str, other: str) -> None:
    """With the log of a focus, which that of blue keeps, and without."""
    first, second = await stage.phone("first", one), await stage.phone("second", other)
    await asyncio.sleep(2)
    await (await first.chat(other).send("hello")).delivered(within_s=30)
    async with stage.sim.fault("mls.drop_commit", of="second") as fault:
        assert commits(first, other)
        await asyncio.sleep(10)
        assert fault.acts == 1
    for sender, number, receiver in ((first, other, second), (second, one, first)):
        message = sender.chat(number).send("sound again")
        await asyncio.sleep(600)
        assert "sound again" in texts(receiver), message.history
        assert message.scheme is Scheme.MLS
    assert marks(stage.sink.records, "mls.drop_commit") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_lost_welcome_is_made_up_for(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    async with stage.sim.fault("mls.drop_welcome", of="bob", count=1) as fault:
        alice.chat(BOB).send("are you in?")
        await asyncio.sleep(60)
        assert fault.acts == 1
    await _still_locked(stage, "mls.drop_welcome")


@pytest.mark.parametrize("delay_s", [3, 10])
@scenario("two-carriers")
async def test_what_was_sealed_waits_for_a_late_welcome(stage: Stage, delay_s: float) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("mls.late_welcome", of="bob", delay_s=delay_s, count=1) as fault:
        message = alice.chat(BOB).send("wait for it")
        await asyncio.sleep(60)
        assert fault.acts == 1
    assert texts(bob) == ["wait for it"], message.history
    await _still_locked(stage, "mls.late_welcome")


@pytest.mark.parametrize(("word", "refusal"), [("mls.stale_epoch", "authenticator"), ("mls.era_gap", "incorrect-era")])
@scenario("two-carriers")
async def test_the_focus_refuses_what_is_of_another_state(stage: Stage, word: str, refusal: str) -> None:
    _, bob = await _locked(stage)
    async with stage.sim.fault(word, of="bob", count=1):
        bob.chat(ALICE).send("stale")
        await asyncio.sleep(120)
    assert any(refusal in text for text in reasons(stage))
    await _still_locked(stage, word)


@pytest.mark.parametrize("which", ["era", "authenticator", "both"])
@scenario("two-carriers")
async def test_what_has_lost_its_headers_is_dropped_and_nobody_is_told(stage: Stage, which: str) -> None:
    alice, bob = await _locked(stage)
    async with stage.sim.fault("mls.drop_headers", of="bob", which=which, count=1) as fault:
        message = bob.chat(ALICE).send("nobody opens me")
        await asyncio.sleep(120)
        assert fault.acts == 1
    assert "nobody opens me" not in texts(alice)
    assert message.state is MessageState.SENT
    await _still_locked(stage, "mls.drop_headers")


@scenario("two-carriers")
async def test_a_phone_notices_that_it_is_told_another_state(stage: Stage) -> None:
    await _locked(stage)
    async with stage.sim.fault("mls.fork", of="bob", count=1) as fault:
        async with stage.sim.fault("mls.commit_race", of="alice"):
            await asyncio.sleep(60)
        assert fault.acts == 1
    await _still_locked(stage, "mls.fork")


@scenario("two-carriers")
async def test_a_commit_with_a_wrong_signature_is_refused_by_the_focus(stage: Stage) -> None:
    await _locked(stage)
    async with stage.sim.fault("mls.bad_signature", of="bob", count=1) as fault:
        assert commits(stage.sim.phones["bob"], ALICE)
        await asyncio.sleep(30)
        assert fault.acts == 1
    assert any("invalid-commit" in text for text in reasons(stage))
    await _still_locked(stage, "mls.bad_signature")


@scenario("two-carriers")
async def test_a_receipt_with_a_wrong_signature_is_not_believed(stage: Stage) -> None:
    alice, _ = await _locked(stage)
    async with stage.sim.fault("mls.bad_signature", of="bob", what="receipt"):
        message = alice.chat(BOB).send("did it come?")
        await asyncio.sleep(60)
        assert message.state is not MessageState.DELIVERED
    assert len(acts(stage.sink.records, "mls.bad_signature")) >= 1
    await _still_locked(stage, "mls.bad_signature")


@pytest.mark.parametrize("what", ["message", "commit"])
@scenario("two-carriers")
async def test_wrong_authenticated_data_are_noticed(stage: Stage, what: str) -> None:
    _, bob = await _locked(stage)
    async with stage.sim.fault("mls.bad_aad", of="bob", what=what, count=1) as fault:
        if what == "message":
            bob.chat(ALICE).send("of whom?")
        else:
            assert commits(bob, ALICE)
        await asyncio.sleep(120)
        assert fault.acts == 1
    await _still_locked(stage, "mls.bad_aad")


@pytest.mark.parametrize("name", ["new", "same"])
@scenario("two-carriers")
async def test_what_is_replayed_is_shown_once(stage: Stage, name: str) -> None:
    alice, bob = await _locked(stage)
    async with stage.sim.fault("mls.replay", of="bob", delay_s=2, id=name):
        await (await alice.chat(BOB).send("once")).delivered(within_s=30)
        await asyncio.sleep(60)
    assert stage.arrivals(bob).count("once") == 1
    await _still_locked(stage, "mls.replay")
    assert stage.arrivals(bob).count("once") == 1


@scenario("two-carriers")
async def test_encryption_ends_for_both_and_comes_back(stage: Stage) -> None:
    alice, bob = await _locked(stage)
    async with stage.sim.fault("mls.end_mls", of="bob"):
        await asyncio.sleep(30)
        assert (alice.chat(BOB).label, bob.chat(ALICE).label) == ("RCS", "RCS")
    await _still_locked(stage, "mls.end_mls")


@scenario("two-carriers")
async def test_a_ghost_is_refused_by_the_focus(stage: Stage) -> None:
    alice, _ = await _locked(stage)
    await stage.phone("amy", AMY)
    await asyncio.sleep(2)
    async with stage.sim.fault("mls.ghost_member", of="alice", ghost="amy"):
        await asyncio.sleep(30)
    assert any("mismatched-rcs-group-state" in text for text in reasons(stage))
    await (await alice.chat(BOB).send("just us")).delivered(within_s=120)
    assert texts(stage.sim.phones["amy"]) == []
    await _still_locked(stage, "mls.ghost_member")


@scenario("two-carriers")
async def test_without_an_encrypted_conversation_there_is_nothing_to_race_for(stage: Stage) -> None:
    await stage.alice_and_bob()
    with pytest.raises(FaultError, match="no encrypted conversation"):
        await stage.sim.begin_fault("mls.commit_race", of="bob")
