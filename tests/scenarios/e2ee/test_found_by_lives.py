"""What random lives have found: each a small story of its own."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.e2ee.member.self_heal import HealPhase
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    LOCKED,
    engine_of,
    focus_fault,
    inject,
    mls_of,
    notes,
    pair_locked,
    rekey,
    sealed_cpim,
    thread_of,
    tombstones,
)
from tests.support.lives.plan import LifePlan
from tests.support.lives.verbs import Step
from tests.support.lives.verdict import live


@scenario("two-carriers")
async def test_the_answer_to_an_old_question_sends_nothing_in_clear_under_a_lock(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    services = [carrier.key_service for carrier in stage.sim.lab.carriers.values()]
    for service in services:
        assert service is not None
        service.server.fault = KdsFault(is_down=True)
    async with stage.sim.fault("sip.status", method="INVITE", status=488, from_="bob"):
        message = bob.chat(ALICE).send("written before the lock")
        await asyncio.sleep(200)
    assert (message.state, message.scheme) == (MessageState.FAILED, None)
    assert message.offers_sms
    for service in services:
        assert service is not None
        service.server.fault = KdsFault()
    await asyncio.sleep(600)
    await (await alice.chat(BOB).send("now there is a lock")).delivered(within_s=60)
    assert bob.chat(ALICE).label == LOCKED
    assert not message.offers_sms
    seen = len(readable(stage, "written before"))
    message.send_as_sms()
    await asyncio.sleep(60)
    assert message.state is MessageState.FAILED
    message.send_again()
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS
    assert len(readable(stage, "written before")) == seen


@scenario("two-carriers")
async def test_a_new_era_whose_answer_comes_after_its_time_does_no_harm(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The repair has begun anew by then: it is told of nothing that was asked before."""
    alice, bob = await pair_locked(stage)
    focus_fault(stage, withholds_fan_out=True)
    rekey(bob, ALICE)
    await asyncio.sleep(10)
    focus_fault(stage)
    async with stage.sim.fault("kds.slow", carrier="red", delay_s=5.0):
        mls_of(alice)._healing.heal(thread_of(alice, BOB), "a test")
        await asyncio.sleep(3)
        assert thread_of(alice, BOB).heal.phase is HealPhase.ADVANCING
        focus_fault(stage, is_silent=True)
        await asyncio.sleep(600)
    focus_fault(stage)
    assert caplog.messages == []
    await asyncio.sleep(3600)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        await (await phone.chat(peer).send("after the silence")).delivered(within_s=900)
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier, notes(stage, alice)


@pytest.mark.parametrize("seconds", [0.02, 0.07, 0.1, 0.2])
@pytest.mark.parametrize("how", ["off", "lose power", "airplane"])
@scenario("two-carriers")
async def test_a_set_up_that_begins_while_the_phone_goes_off_is_over_then(
    stage: Stage, how: str, seconds: float
) -> None:
    alice, amy = await stage.phone("alice", ALICE), await stage.phone("amy", AMY)
    waiting = alice.chat(AMY).send("just before")
    await asyncio.sleep(seconds)
    await (alice.power_off() if how == "off" else alice.lose_power() if how == "lose power" else alice.airplane(True))
    await asyncio.sleep(60)
    await (alice.airplane(False) if how == "airplane" else alice.power_on())
    await asyncio.sleep(600)
    assert not thread_of(alice, AMY).is_setting_up
    message = await alice.chat(AMY).send("when it is on again")
    await message.delivered(within_s=60)
    assert (message.scheme, amy.chat(ALICE).label) == (Scheme.MLS, LOCKED)
    assert waiting.state in (MessageState.DELIVERED, MessageState.FAILED, MessageState.SENT)


def _nobody_arbitrates() -> NetworkFile:
    file = load_network("two-carriers")
    carriers = {name: entry.model_copy(update={"profile": "p2p"}) for name, entry in file.carriers.items()}
    return file.model_copy(update={"carriers": carriers})


@pytest.mark.parametrize("pause_s", [0.1, 0.3, 0.6])
@scenario(_nobody_arbitrates, is_read_by_others=False)
async def test_a_failure_told_from_a_group_that_lost_is_believed_when_its_era_is_over(
    stage: Stage, pause_s: float
) -> None:
    """Who was reset tells of it under a group of his own, which the sender never gets to know."""
    alice, amy = await stage.phone("alice", ALICE), await stage.phone("amy", AMY)
    first = alice.chat(AMY).send("sealed for the phone before the reset")
    await asyncio.sleep(0.3)
    await amy.wipe()
    await amy.power_on()
    await asyncio.sleep(pause_s)
    second = amy.chat(ALICE).send("from the phone after it")
    await asyncio.sleep(1800)
    assert first.state in (MessageState.DELIVERED, MessageState.FAILED), notes(stage, alice)
    assert second.state is MessageState.DELIVERED
    assert texts(amy) == (["sealed for the phone before the reset"] if first.state is MessageState.DELIVERED else [])


@scenario(_nobody_arbitrates, is_read_by_others=False)
async def test_a_failure_told_from_a_rival_group_of_the_same_numbers_is_not_ignored(stage: Stage) -> None:
    """Both made a second era, and one of the Welcomes was lost."""
    alice, amy = await stage.phone("alice", ALICE), await stage.phone("amy", AMY)
    await asyncio.sleep(1)
    async with (
        stage.sim.fault("mls.era_gap", of="amy", count=1, eras=3),
        stage.sim.fault("mls.drop_welcome", of="amy", count=3),
    ):
        message = amy.chat(ALICE).send("in two groups at once")
        await asyncio.sleep(3)
    await asyncio.sleep(3600)
    assert message.state is MessageState.DELIVERED, notes(stage, amy)
    assert texts(alice) == ["in two groups at once"]


@scenario("two-carriers", is_read_by_others=False)
async def test_a_receipt_that_nobody_can_prove_is_asked_about_more_and_more_seldom(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    focus_fault(stage, withholds_fan_out=True)
    rekey(bob, ALICE)
    await asyncio.sleep(5)
    focus_fault(stage, is_silent=True)
    for number in range(5):
        alice.chat(BOB).send(f"its receipt comes from a later epoch {number}")
    async with stage.sim.fault("kds.down"):
        await asyncio.sleep(24 * 3600)
    asked = [one for one in notes(stage, alice) if one.startswith(("repair", "no repair"))]
    assert len(asked) < 5 * 20, len(asked)


@scenario("two-carriers")
async def test_a_create_whose_refusal_comes_too_late_is_given_up_for_another_way(stage: Stage) -> None:
    """The handset is a new one, and the focus holds the group of the one before: it says so after the phone has waited
    long enough, since the session for the request was kept ringing by a peer who is gone."""
    alice, amy = await stage.phone("alice", ALICE), await stage.phone("amy", AMY)
    await (await amy.chat(ALICE).send("to the old handset, and so on" * 200)).delivered(within_s=60)
    alice = await stage.sim.exchange("alice", device="strict-v4")
    await amy.lose_power()
    message = alice.chat(AMY).send("from the new one")
    await asyncio.sleep(400)
    await amy.power_on()
    await message.delivered(within_s=900)
    assert message.scheme is Scheme.MLS, notes(stage, alice)
    answer = amy.chat(ALICE).send("and back")
    await answer.delivered(within_s=60)
    assert texts(amy)[-1] == "from the new one"
    assert alice.chat(AMY).label == amy.chat(ALICE).label == LOCKED


@scenario("two-carriers", is_read_by_others=False)
async def test_who_wants_a_new_era_of_a_group_that_has_ended_takes_note_of_the_end(stage: Stage) -> None:
    """Random life `months` 20030: the commit that ended it had waited for a phone that was off until it was thrown
    away, and the phone, whose certificate was another one when it came back, could never write again."""
    alice, bob = await pair_locked(stage)
    focus_fault(stage, withholds_fan_out=True)
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(30)
    focus_fault(stage)
    assert (alice.chat(BOB).label, bob.chat(ALICE).label) == (LOCKED, "RCS")
    mls_of(alice)._healing.advance_era(thread_of(alice, BOB), "a test")
    await asyncio.sleep(60)
    assert alice.chat(BOB).label == "RCS", notes(stage, alice)
    assert tombstones(stage, alice) == ["encryption ended"]
    await (await alice.chat(BOB).send("in clear, as both know")).delivered(within_s=60)


@scenario("two-carriers", is_read_by_others=False)
async def test_what_is_refused_of_a_pager_message_is_said_in_pager_mode_and_not_in_a_session_of_another_device(
    stage: Stage,
) -> None:
    """Random life `all` 20143: servers cannot tell devices without an instance id apart, and the one that had written
    was told nothing (digest RCC.16 §14.1: in the session that the request came on, else pager)."""
    alice, bob = await pair_locked(stage, theirs="lineage-like")
    twin = await stage.phone("twin", BOB, "lineage-like")
    await asyncio.sleep(5)
    await (await alice.chat(BOB).send("too long for pager mode, " * 80)).delivered(within_s=30)
    assert "open" in (bob.chat(ALICE).session, twin.chat(ALICE).session)
    header = MlsHeaders(era_id=99, epoch_authenticator=bytes(32)).to_headers()
    for phone in (bob, twin):
        inject(phone, ALICE, sealed_cpim(phone, f"MxOfAnEraThatIsNot{phone.name}", b"\x00" * 40, header))
    await asyncio.sleep(10)
    for phone in (bob, twin):
        told = [each for each in stage.requests("MESSAGE", target=phone.name) if b"incorrect-era" in each.body]
        assert any(f"MxOfAnEraThatIsNot{phone.name}".encode() in each.body for each in told), phone.name


def test_a_failure_that_the_network_took_to_nobody_is_told_when_the_peer_is_there_again() -> None:
    """Found by a random life: nobody arbitrates, the peer's network is cut off and stores nothing. The five reports
    were used up, and what could not be read stayed "sent" at the peer for ever."""
    plan = LifePlan(
        "usual",
        53048,
        {
            "red": ("rcc16-strict", {"mls": {"arbitrates_era": False, "requires_convergence_ack": True}}),
            "blue": ("rcc16-strict", {"store_and_forward": False}),
        },
        {"alice": "android", "ben": "strict-v4"},
        (
            Step("lose power", "alice", pause_s=70.0),
            Step("send twice", "ben", "alice", "", (("number", 0),), 400.0),
            Step("cut", "blue.pcscf", pause_s=4000.0),
            Step("reinstall", "alice", pause_s=400.0),
        ),
    )
    assert list(live(plan).violations) == []
