"""Texts that were written in clear and leave, or arrive, when there is a lock (RCC.16 §7.2, design §3.6)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rcs_sim.client.display import Shown
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.inbox import BARE_UNDER_LOCK
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_device
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, received, scenario, texts
from tests.support.encrypted_phones import LOCKED, locked
from tests.support.lives.plan import LifePlan
from tests.support.lives.verbs import Step
from tests.support.lives.verdict import live


async def _unlocked(stage: Stage) -> tuple[Phone, Phone]:
    """Two phones whose users have gone on without encryption, for now."""
    alice, bob = await locked(stage)
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(400)  # the session is over too
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    return alice, bob


@pytest.mark.parametrize("status", [486, 491, 500, 502])
@scenario("two-carriers")
async def test_a_retry_after_a_pause_sends_nothing_in_clear_under_the_lock_that_has_come(
    stage: Stage, status: int
) -> None:
    alice, bob = await _unlocked(stage)
    async with stage.sim.fault("sip.status", from_="alice", method="MESSAGE", status=status, count=1):
        message = alice.chat(BOB).send("refused at first")
        await asyncio.sleep(0.2)
        bob.chat(ALICE).revive_encryption()
        await asyncio.sleep(0.8)
        assert alice.chat(BOB).label == LOCKED
        seen = len(readable(stage, "refused at first"))
        await asyncio.sleep(60)
    assert len(readable(stage, "refused at first")) == seen
    assert message.state is MessageState.FAILED
    assert message.reason is FallbackReason.WENT_IN_CLEAR
    assert texts(bob) == ["we have a lock"]


@pytest.mark.parametrize("second", ["android-legacy", "without encryption"])
@scenario("two-carriers")
async def test_what_a_device_without_encryption_writes_under_the_lock_of_another_is_seen_to_be_in_clear(
    stage: Stage, second: str
) -> None:
    """Neither the phone that shows the lock nor a network can seal for it; its user sees no lock."""
    alice, _ = await locked(stage)
    policy = load_device("android" if second == "without encryption" else second)
    tablet = await stage.phone("tablet", BOB, replace(policy, e2ee=None) if second != "android-legacy" else policy)
    for n in range(2):
        message = await tablet.chat(ALICE).send(f"from the tablet {n}")
        await message.delivered(within_s=60)
        assert (message.scheme, message.label, tablet.chat(ALICE).label) == (None, "RCS", "RCS")
    assert [each.label for each in received(alice)] == ["RCS", "RCS"]
    assert len(stage.shown(alice, Shown.TOMBSTONE, BARE_UNDER_LOCK)) == 1
    assert alice.chat(BOB).label == LOCKED
    answer = await alice.chat(BOB).send("sealed all the same")
    await answer.delivered(within_s=60)
    assert (answer.scheme, readable(stage, "sealed all the same")) == (Scheme.MLS, [])
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(60)
    await (await alice.chat(BOB).send("for both of them")).delivered(within_s=60)
    await asyncio.sleep(60)
    assert texts(tablet)[-1] == "for both of them"


@scenario("two-carriers")
async def test_a_text_that_waits_for_the_sms_before_it_is_sealed_when_there_is_a_lock(stage: Stage) -> None:
    """One short message is under way at a time; the service centre does not answer (random life `setup` 9139)."""
    alice, bob = await _unlocked(stage)
    async with stage.sim.fault("net.partition", element="red.smsc"):
        first = alice.chat(BOB).send("left before the lock", as_sms=True)
        second = alice.chat(BOB).send("waits in the phone", as_sms=True)
        await asyncio.sleep(1)
        seen = len(readable(stage, "left before"))
        bob.chat(ALICE).revive_encryption()
        await asyncio.sleep(200)
        assert alice.chat(BOB).label == LOCKED
    assert (first.state, second.state) == (MessageState.FAILED, MessageState.DELIVERED)
    assert (first.scheme, second.scheme) == (None, Scheme.MLS)
    assert len(readable(stage, "left before")) == seen
    assert readable(stage, "waits in the phone") == []
    assert texts(bob)[-1] == "waits in the phone"


def test_a_device_that_comes_back_while_another_one_gets_a_lock_writes_nothing_in_clear_under_it() -> None:
    """Random life `setup` 9009, made smaller: the focus gives no GroupInfo out, and the peer's server answers for his
    phone, which is off, that it does not encrypt."""
    rules = {"arbitrates_era": True, "requires_convergence_ack": True, "accepts_member_external_commit": True}
    red = {"mls": {**rules, "has_server_group_info": False}, "chat_auth": False}
    lost = (("from", "alice"), ("to", "red.pcscf"), ("what", "request"), ("probability", 1.0), ("for_s", 20.0))
    plan = LifePlan(
        "setup",
        9009,
        {"red": ("rcc16-strict", red), "blue": ("rcc16-strict", {})},
        {"alice": "lineage-like", "alice2": "android", "ben": "android"},
        (
            Step("fault", "", "", "sip.drop", lost, 0.0),
            Step("cut", "blue.kds"),
            Step("cross", "alice", "ben", "", (("number", 0),), 5.0),
            Step("cross", "alice2", "ben", "", (("number", 0),), 0.3),
            Step("lose power", "ben", pause_s=0.3),
            Step("off", "alice", pause_s=0.3),
        ),
    )
    assert list(live(plan).violations) == []


def test_what_waits_for_a_session_does_not_leave_in_clear_after_a_sealed_message_has_come() -> None:
    """Found by a random life: the focus has said that it holds nothing, and the sealed message of the peer is there
    before his Welcome and before the session opens."""
    plan = LifePlan(
        "setup",
        52030,
        {"red": ("google-like", {"signalling": "SIPoUDP"}), "blue": ("rcc16-strict", {})},
        {"alice": "strict-v3", "alice2": "strict-v3", "bob": "lineage-like"},
        (
            Step("cross", "alice2", "bob", "", (("number", 1),), 0.01),
            Step("lose power", "bob", pause_s=0.3),
            Step("cross", "alice", "bob", "", (("number", 3),), 5.0),
            Step("off", "alice", pause_s=0.01),
            Step("on", "alice", pause_s=0.05),
            Step("off", "alice2"),
            Step("on", "alice", pause_s=0.01),
        ),
    )
    assert list(live(plan).violations) == []
