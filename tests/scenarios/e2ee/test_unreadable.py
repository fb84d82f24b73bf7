"""What is sealed for a handset of before, by a scheme that the present one has not (digest RCC.16 §7.2, §14.12)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_device
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, locked


def read(phone: Phone) -> list[str]:
    """What its user can read."""
    return [each for each in texts(phone) if each is not None]


@scenario("two-carriers")
async def test_a_peer_whose_new_handset_has_mls_only_is_written_to_by_that_after_all(stage: Stage) -> None:
    await stage.phone("alice", ALICE, "android-legacy")
    bob = await stage.phone("bob", BOB, "android-both")
    await asyncio.sleep(2)
    first = await bob.chat(ALICE).send("by the old scheme")
    await first.delivered(within_s=60)
    assert first.scheme is Scheme.LEGACY
    alice = await stage.sim.exchange("alice", device="ios")
    message = await bob.chat(ALICE).send("to the new handset")
    await message.delivered(within_s=300)
    assert (message.scheme, read(alice)) == (Scheme.MLS, ["to the new handset"])
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    assert readable(stage, "to the new handset") == []


@scenario("two-carriers")
async def test_a_peer_whose_new_handset_has_no_encryption_leaves_a_failure_that_is_seen(stage: Stage) -> None:
    await stage.phone("alice", ALICE, "android-legacy")
    bob = await stage.phone("bob", BOB, "android-legacy")
    await asyncio.sleep(2)
    await (await bob.chat(ALICE).send("by the old scheme")).delivered(within_s=60)
    alice = await stage.sim.exchange("alice", device=replace(load_device("android"), e2ee=None))
    message = bob.chat(ALICE).send("to the new handset")
    await message.final(within_s=600)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.NOT_DECRYPTED)
    assert (read(alice), readable(stage, "to the new handset")) == ([], [])
    bob.chat(ALICE).end_encryption()
    await (await bob.chat(ALICE).send("in clear then")).delivered(within_s=60)
    assert read(alice) == ["in clear then"]


@scenario("two-carriers")
async def test_what_is_sealed_by_mls_for_a_handset_without_encryption_does_not_stay_sent(stage: Stage) -> None:
    alice, _ = await locked(stage)
    bob = await stage.sim.exchange("bob", device=replace(load_device("ios"), e2ee=None))
    messages = [alice.chat(BOB).send(f"sealed for bob {n}") for n in range(3)]
    await asyncio.sleep(3600)
    assert {each.state for each in messages} == {MessageState.FAILED}, [each.history for each in messages]
    assert (read(bob), readable(stage, "sealed for bob")) == ([], [])


@pytest.mark.parametrize("second", ["android", "android-legacy", "ios"])
@scenario("two-carriers")
async def test_a_second_device_that_cannot_read_it_makes_no_copies_for_the_first(stage: Stage, second: str) -> None:
    """The older scheme is for one device of each user; which of two has the keys is a matter of the directory."""
    alice = await stage.phone("alice", ALICE, "android-both")
    bob = await stage.phone("bob", BOB, "android-legacy")
    await asyncio.sleep(2)
    await (await bob.chat(ALICE).send("one device")).delivered(within_s=60)
    other = await stage.phone("other", ALICE, second)
    sent = []
    async with stage.sim.fault("net.latency", of="alice", add_s=1.0):
        for n in range(4):
            sent.append(await bob.chat(ALICE).send(f"for two devices {n}"))
            await asyncio.sleep(60)
    assert {each.state for each in sent} == {MessageState.DELIVERED}
    assert {each.scheme for each in sent} == {Scheme.LEGACY}
    for n in range(4):
        seen = [read(phone).count(f"for two devices {n}") for phone in (alice, other)]
        assert max(seen) == 1, (read(alice), read(other))
