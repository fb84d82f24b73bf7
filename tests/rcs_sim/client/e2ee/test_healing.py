from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    LOCKED,
    engine_of,
    focus_fault,
    locked,
    mls_of,
    notes,
    reinstalled,
    rekey,
    thread_of,
)

_DAY_S = 24 * 3600.0


def _with(profile: str) -> NetworkFile:
    file = load_network("two-carriers")
    carriers = {name: entry.model_copy(update={"profile": profile}) for name, entry in file.carriers.items()}
    return file.model_copy(update={"carriers": carriers})


def _strict() -> NetworkFile:
    return _with("rcc16-strict")


def _google() -> NetworkFile:
    return _with("google-like")


async def _both_ways(alice: Phone, bob: Phone) -> None:
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        message = await phone.chat(peer).send("and it works")
        await message.delivered(within_s=900)
        assert message.scheme is Scheme.MLS
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier


# --- set-up -----------------------------------------------------------------------------------------------------------


@scenario("two-carriers")
async def test_what_is_said_while_the_lock_is_made_leaves_in_its_order_and_sealed(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    sent = [alice.chat(BOB).send(f"number {number}") for number in range(12)]
    for message in sent:
        await message.delivered(within_s=120)
    assert texts(bob) == [f"number {number}" for number in range(12)]
    assert {message.scheme for message in sent} == {Scheme.MLS}
    assert readable(stage, "number ") == []


@scenario("two-carriers")
async def test_a_welcome_that_comes_late_is_waited_for(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    focus_fault(stage, fan_out_delay_s=2.0)
    message = await alice.chat(BOB).send("earlier than its Welcome")
    await message.delivered(within_s=60)
    assert texts(bob) == ["earlier than its Welcome"]
    assert not any(one.startswith("failure told") for one in notes(stage, bob))


@pytest.mark.parametrize("device", ["android", "ios", "strict-v4"])
@pytest.mark.parametrize("net", [_strict, _google])
@pytest.mark.parametrize("writes", ["alice", "bob"])
def test_a_welcome_that_never_comes_is_asked_for(device: str, net: object, writes: str) -> None:
    @scenario(net)  # type: ignore[arg-type]  # makes a network
    async def story(stage: Stage) -> None:
        alice = await stage.phone("alice", ALICE, device)
        bob = await stage.phone("bob", BOB, device)
        await asyncio.sleep(2)
        focus_fault(stage, withholds_fan_out=True)
        phone, peer, reader = (alice, BOB, bob) if writes == "alice" else (bob, ALICE, alice)
        message = await phone.chat(peer).send("who has the key?")
        await asyncio.sleep(2)
        focus_fault(stage)
        await message.delivered(within_s=1800)
        assert texts(reader) == ["who has the key?"]
        assert message.scheme is Scheme.MLS
        await _both_ways(alice, bob)

    story()


@pytest.mark.parametrize("reason", list(ServerFailureReason))
@scenario("two-carriers")
async def test_a_focus_that_refuses_everything_keeps_a_conversation_plain_and_says_so(
    stage: Stage, reason: ServerFailureReason
) -> None:
    alice, bob = await stage.alice_and_bob()
    focus_fault(stage, refuses_with=reason)
    message = await alice.chat(BOB).send("no lock to be had")
    await message.delivered(within_s=900)
    assert (message.scheme, message.label, alice.chat(BOB).label) == (None, "RCS", "RCS")
    focus_fault(stage)
    await asyncio.sleep(900)
    later = await alice.chat(BOB).send("now there is")
    await later.delivered(within_s=300)
    assert later.scheme is Scheme.MLS, notes(stage, alice)
    assert texts(bob) == ["no lock to be had", "now there is"]


@scenario("two-carriers")
async def test_a_silent_focus_leaves_a_conversation_that_is_sealed_or_visibly_not(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    focus_fault(stage, is_silent=True)
    message = alice.chat(BOB).send("does it answer?")
    await asyncio.sleep(900)
    assert message.state is MessageState.FAILED or texts(bob) == ["does it answer?"]
    is_plain = message.scheme is None and message.state is not MessageState.FAILED
    assert bool(readable(stage, "does it answer?")) is is_plain
    focus_fault(stage)
    await asyncio.sleep(900)
    await _both_ways(alice, bob)


# --- repair -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["android", "ios", "strict-v3"])
@pytest.mark.parametrize("net", [_strict, _google])
@pytest.mark.parametrize("commits", ["alice", "bob"])
def test_a_commit_that_was_never_passed_on_is_caught_up_with(device: str, net: object, commits: str) -> None:
    @scenario(net)  # type: ignore[arg-type]  # makes a network
    async def story(stage: Stage) -> None:
        alice = await stage.phone("alice", ALICE, device)
        bob = await stage.phone("bob", BOB, device)
        await asyncio.sleep(2)
        await (await alice.chat(BOB).send("lock")).delivered(within_s=60)
        focus_fault(stage, withholds_fan_out=True)
        ahead, behind = (alice, bob) if commits == "alice" else (bob, alice)
        for _ in range(3):
            rekey(ahead, behind.number or "")
            await asyncio.sleep(10)
        focus_fault(stage)
        message = await ahead.chat(behind.number or "").send("catch up with me")
        await message.delivered(within_s=1800)
        assert texts(behind)[-1] == "catch up with me"
        assert readable(stage, "catch up") == []
        await _both_ways(alice, bob)
        if net is _strict:
            state = engine_of(alice, BOB).identifier
            assert state is not None
            assert (state.era_id, state.epoch_id) == (1, 4)  # by replay of the log, not by a new era

    story()


@pytest.mark.parametrize("writes", ["alice", "bob"])
@scenario("two-carriers")
async def test_who_is_behind_and_writes_first_is_told_and_seals_anew(stage: Stage, writes: str) -> None:
    alice, bob = await locked(stage)
    focus_fault(stage, withholds_fan_out=True)
    ahead, behind = (bob, alice) if writes == "alice" else (alice, bob)
    rekey(ahead, behind.number or "")
    await asyncio.sleep(10)
    focus_fault(stage)
    message = await behind.chat(ahead.number or "").send("from the epoch before")
    await message.delivered(within_s=900)
    assert texts(ahead)[-1] == "from the epoch before"
    await _both_ways(alice, bob)


@scenario("two-carriers")
async def test_commits_of_both_at_once_leave_one_and_the_loser_follows(stage: Stage) -> None:
    alice, bob = await locked(stage)
    rekey(alice, BOB)
    rekey(bob, ALICE)
    await asyncio.sleep(30)
    state = engine_of(alice, BOB).identifier
    assert state == engine_of(bob, ALICE).identifier
    assert state is not None
    assert (state.era_id, state.epoch_id) == (1, 2)
    await _both_ways(alice, bob)


@scenario("two-carriers")
async def test_commits_of_two_devices_of_one_user_at_once_leave_one(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB)
    tablet = await stage.phone("tablet", BOB)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("lock")).delivered(within_s=30)
    await asyncio.sleep(5)
    rekey(bob, ALICE)
    rekey(tablet, ALICE)
    await asyncio.sleep(60)
    states = {engine_of(phone, peer).identifier for phone, peer in ((alice, BOB), (bob, ALICE), (tablet, ALICE))}
    assert len(states) == 1
    message = await alice.chat(BOB).send("to both of your screens")
    await message.delivered(within_s=60)
    await asyncio.sleep(10)
    assert texts(bob)[-1] == texts(tablet)[-1] == "to both of your screens"


@pytest.mark.parametrize("fault", ["lies", "forks", "holds_convergence", "is_silent"])
@scenario("two-carriers")
async def test_a_focus_that_lies_forks_or_is_silent_cannot_make_a_lock_lie(stage: Stage, fault: str) -> None:
    alice, bob = await locked(stage)
    focus_fault(stage, "red", **{fault: True})
    rekey(alice, BOB)
    rekey(bob, ALICE)
    await asyncio.sleep(1)
    said = [alice.chat(BOB).send("in bad company"), bob.chat(ALICE).send("who is there?")]
    await asyncio.sleep(600)
    for message in said:
        assert message.was_locked
        assert not readable(stage, message.text)
    focus_fault(stage)
    await asyncio.sleep(_DAY_S)
    await _both_ways(alice, bob)


@scenario("two-carriers")
async def test_repairs_have_a_budget(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    focus_fault(stage, refuses_with=ServerFailureReason.TRANSIENT_ERROR)
    for _ in range(12):
        mls_of(alice)._healing.heal(thread_of(alice, BOB), "again")
        await asyncio.sleep(600)
    repairs = [one for one in notes(stage, alice) if one == "repair: again"]
    assert len(repairs) == 5
    assert any(one == "no repair: the budget of today is used up" for one in notes(stage, alice))


@scenario("two-carriers")
async def test_while_the_focus_is_asked_a_budget_that_is_used_up_is_told_once(stage: Stage) -> None:
    """What waits for the focus is looked at again whenever something moves; that nothing is repaired moves nothing."""
    alice, _bob = await locked(stage)
    await reinstalled(alice)
    thread, context = thread_of(alice, BOB), mls_of(alice)._context
    while thread.heals.take(context.now_s()):
        pass
    focus_fault(stage, is_silent=True)
    context.watch.suspect(thread.conversation)
    message = alice.chat(BOB).send("is there a lock?")
    await asyncio.sleep(300)
    assert readable(stage, "is there a lock?") == []
    assert message.state in (MessageState.FAILED, MessageState.DELIVERED)
    assert sum(one.startswith("no repair") for one in notes(stage, alice)) == 1


@scenario("two-carriers")
async def test_a_new_era_leaves_behind_a_request_that_was_refused_for_good(stage: Stage) -> None:
    """As with ``not-in-group``, whose outcome the client keeps and does not try again (digest RCC.16 §5.9)."""
    alice, bob = await locked(stage)
    thread, context = thread_of(alice, BOB), mls_of(alice)._context
    refused = thread.engine.control.rekey(context.new_id(), context.now_s())
    refusal = FocusRefusal(reason=ServerFailureReason.MISMATCHED_RCS_GROUP_STATE, detail="not-in-group")
    thread.engine.control.refused(refused.control_id, refusal, context.now_s())
    assert thread.engine.operation is refused
    assert mls_of(alice)._healing.advance_era(thread, "a member that should not be there")
    await asyncio.sleep(30)
    state = engine_of(alice, BOB).identifier
    assert state is not None
    assert state.era_id == 2
    await _both_ways(alice, bob)


@scenario(_strict)
async def test_a_repair_that_has_brought_it_forward_is_none_of_those_that_are_counted(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE, "strict-v3")
    bob = await stage.phone("bob", BOB, "strict-v3")
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("lock")).delivered(within_s=60)
    for number in range(8):  # within a day, and five is the budget
        focus_fault(stage, withholds_fan_out=True)
        rekey(alice, BOB)
        await asyncio.sleep(10)
        focus_fault(stage)
        await (await alice.chat(BOB).send(f"commit {number}")).delivered(within_s=600)
    await _both_ways(alice, bob)
    assert not any(one.startswith("no repair") for one in notes(stage, bob))


@scenario(_google)
async def test_three_repairs_that_came_to_nothing_begin_the_group_anew_whoever_is_elected(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE, "android")
    bob = await stage.phone("bob", BOB, "android")
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("lock")).delivered(within_s=60)
    focus_fault(stage, withholds_fan_out=True)
    rekey(alice, BOB)
    await asyncio.sleep(10)
    focus_fault(stage)
    await alice.power_off()  # who is elected is gone
    for attempt in range(3):
        assert not any(one.startswith("new era") for one in notes(stage, bob)), attempt
        mls_of(bob)._healing.heal(thread_of(bob, ALICE), "a commit has not come")
        await asyncio.sleep(600)
    assert "new era: three repairs came to nothing" in notes(stage, bob)
    state = engine_of(bob, ALICE).identifier
    assert state is not None
    assert state.era_id == 2
    await alice.power_on()
    await asyncio.sleep(10)
    await _both_ways(alice, bob)


@scenario("two-carriers")
async def test_of_a_peer_four_claims_are_made_in_ten_minutes(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    focus_fault(stage, refuses_with=ServerFailureReason.MLS_GROUP_NOT_FOUND)  # each set-up claims, and comes to nothing
    for _ in range(8):
        alice.chat(BOB).send("is this locked?")
        await asyncio.sleep(70)
    claims = [one for one in notes(stage, alice) if one.startswith("claimed: ")]
    assert len(claims) == 4
    assert any("budget of claims" in one for one in notes(stage, alice))


@scenario("two-carriers")
async def test_a_focus_is_read_eight_times_in_200_s(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    answers: list[object] = []
    for _ in range(12):
        mls_of(alice)._requests.pull(thread_of(alice, BOB), answers.append)
        await asyncio.sleep(5)
    await asyncio.sleep(30)
    assert len(answers) == 12
    assert sum(one == "no pull: the budget of reads is used up" for one in notes(stage, alice)) == 4
    await asyncio.sleep(200)
    mls_of(alice)._requests.pull(thread_of(alice, BOB), answers.append)
    await asyncio.sleep(5)
    assert len([one for one in notes(stage, alice) if one.startswith("pull:")]) == 9


@scenario("two-carriers")
async def test_without_a_budget_nothing_is_begun_and_a_message_fails_at_once_and_once(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    thread = thread_of(alice, BOB)
    while thread.claims.take(mls_of(alice)._context.now_s()):
        pass
    thread.engine.set_participants((ALICE[1:], "12025550199"))  # so that bob is a ghost
    message = alice.chat(BOB).send("to whom?")
    await asyncio.sleep(120)
    assert message.state is MessageState.FAILED
    assert sum(one.startswith("no new era") for one in notes(stage, alice)) < 10
