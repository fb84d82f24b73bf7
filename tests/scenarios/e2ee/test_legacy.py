"""The one-to-one scheme from before MLS, beside it and before it (RCC.16 digest §14.12, §7.2)."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

from rcs_sim.client.display import Shown
from tests.scenarios.stage import ALICE, BOB, Stage, scenario

LOCK = "RCS · encrypted"


@scenario("two-carriers", is_read_by_others=False)
async def test_two_phones_from_before_mls_lock_with_the_legacy_scheme_and_read_each_other(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE, device="android-legacy", reads_after_s=1.0)
    bob = await stage.phone("bob", BOB, device="android-legacy", reads_after_s=1.0)
    await asyncio.sleep(1)
    for sender, peer, text in ((alice, BOB, "hi"), (bob, ALICE, "hello"), (alice, BOB, "how are you?")):
        message = await sender.chat(peer).send(text)
        await message.displayed(within_s=20)
        assert (message.label, sender.chat(peer).scheme) == (LOCK, "legacy")
        assert stage.sim.oracle.readers(message) == {"alice", "bob"}
    assert alice.chat(BOB).security_code == bob.chat(ALICE).security_code is not None
    assert not stage.sim.oracle.violations()


@scenario("two-carriers", is_read_by_others=False)
@pytest.mark.parametrize("devices", [("android-both", "ios"), ("android-both", "android-both")])
async def test_mls_goes_before_the_legacy_scheme(stage: Stage, devices: tuple[str, str]) -> None:
    alice = await stage.phone("alice", ALICE, device=devices[0])
    await stage.phone("bob", BOB, device=devices[1])
    await asyncio.sleep(1)
    await (await alice.chat(BOB).send("hi")).delivered(within_s=20)
    assert alice.chat(BOB).scheme == "mls"


@scenario("two-carriers", is_read_by_others=False)
async def test_with_a_phone_that_has_another_scheme_only_it_stays_plain(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE, device="android-legacy")
    await stage.phone("bob", BOB, device="ios")
    await asyncio.sleep(1)
    await (await alice.chat(BOB).send("hi")).delivered(within_s=20)
    assert (alice.chat(BOB).label, alice.chat(BOB).scheme) == ("RCS", None)


@scenario("two-carriers", is_read_by_others=False)
async def test_a_conversation_of_the_legacy_scheme_moves_to_mls_when_the_other_side_gets_a_new_handset(
    stage: Stage,
) -> None:
    alice = await stage.phone("alice", ALICE, device="android-both", reads_after_s=1.0)
    await stage.phone("bob", BOB, device="android-legacy", reads_after_s=1.0)
    await asyncio.sleep(1)
    await (await alice.chat(BOB).send("before")).displayed(within_s=20)
    assert alice.chat(BOB).scheme == "legacy"
    bob = await stage.sim.exchange("bob", device="android-both")
    await asyncio.sleep(3600)
    alice.chat(BOB)  # opened: the phone asks what the peer can do now
    await asyncio.sleep(5)
    after = await alice.chat(BOB).send("after")
    await after.displayed(within_s=60)
    assert (after.label, alice.chat(BOB).scheme, bob.chat(ALICE).scheme) == (LOCK, "mls", "mls")
    answer = await bob.chat(ALICE).send("answer")
    await answer.delivered(within_s=20)
    assert stage.sim.oracle.readers(answer) == {"alice", "bob"}
    assert [one.details["text"] for one in stage.shown(alice, Shown.TOMBSTONE)] == []
    schemes = [one.details.get("scheme") for one in stage.shown(alice, Shown.LABEL)]
    assert schemes[-2:] == ["legacy", "mls"], "the change of scheme is shown under the same label"
    assert not stage.sim.oracle.violations()
