from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.phone import Phone
from rcs_sim.server.kds_directory import SILENT_S
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, count_notes, engine_of, pair_locked, reinstalled

_LONG_S = SILENT_S + 3 * 86_400.0


def _leaves(phone: Phone, peer: str, number: str) -> int:
    group = engine_of(phone, peer).group
    assert group is not None
    return len(group.roster.leaves_of(number[1:]))


async def _both_ways(alice: Phone, *phones: Phone) -> None:
    message = await alice.chat(BOB).send("to whoever is there")
    await message.delivered(within_s=120)
    for phone in phones:
        back = await phone.chat(ALICE).send(f"from {phone.name}")
        await back.delivered(within_s=120)
        assert (back.scheme, phone.chat(ALICE).label) == (Scheme.MLS, LOCKED)


@pytest.mark.parametrize("theirs", ["android", "ios"])
@scenario("two-carriers", is_read_by_others=False)
async def test_the_leaf_of_a_handset_that_was_reset_is_taken_out(stage: Stage, theirs: str) -> None:
    alice, bob = await pair_locked(stage, "android", theirs)
    await reinstalled(bob)
    await (await bob.chat(ALICE).send("new keys")).delivered(within_s=120)
    assert _leaves(alice, BOB, BOB) == 2  # the directory knows no better yet
    await asyncio.sleep(_LONG_S)
    assert _leaves(alice, BOB, BOB) == _leaves(bob, ALICE, BOB) == 1
    assert count_notes(stage, bob, "device gone") == 1
    await _both_ways(alice, bob)


@scenario("two-carriers", is_read_by_others=False)
async def test_that_of_a_handset_that_has_lost_its_sim_too(stage: Stage) -> None:
    alice, _ = await pair_locked(stage)
    bob = await stage.sim.exchange("bob", device="ios")
    await (await bob.chat(ALICE).send("new handset")).delivered(within_s=120)
    await asyncio.sleep(_LONG_S)
    assert _leaves(alice, BOB, BOB) == 1
    await _both_ways(alice, bob)


@scenario("two-carriers", is_read_by_others=False)
async def test_a_second_device_that_lives_stays(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE, "android")
    bob = await stage.phone("bob", BOB, "android")
    tablet = await stage.phone("tablet", BOB, "ios")
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("to both of you")).delivered(within_s=60)
    await reinstalled(bob)
    await (await bob.chat(ALICE).send("new keys")).delivered(within_s=120)
    await asyncio.sleep(_LONG_S)
    assert _leaves(alice, BOB, BOB) == _leaves(tablet, ALICE, BOB) == 2
    await _both_ways(alice, bob, tablet)
    await asyncio.sleep(60)
    assert "to whoever is there" in texts(bob)
    assert "to whoever is there" in texts(tablet)


@scenario("two-carriers", is_read_by_others=False)
async def test_a_device_that_was_off_for_long_comes_in_again_when_it_is_back(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    tablet = await stage.phone("tablet", BOB, "android")
    await asyncio.sleep(2)
    await (await tablet.chat(ALICE).send("i am here too")).delivered(within_s=120)
    assert _leaves(alice, BOB, BOB) == 2
    await tablet.power_off()
    await asyncio.sleep(_LONG_S)
    assert _leaves(alice, BOB, BOB) == _leaves(bob, ALICE, BOB) == 1
    await tablet.power_on()
    await asyncio.sleep(600)
    await _both_ways(alice, tablet, bob)
    await asyncio.sleep(60)
    assert texts(tablet)[-1] == texts(bob)[-1] == "to whoever is there"


@scenario("two-carriers", is_read_by_others=False)
async def test_one_bad_answer_of_the_directory_takes_nobody_out(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    tablet = await stage.phone("tablet", BOB, "android")
    await asyncio.sleep(2)
    await (await tablet.chat(ALICE).send("i am here too")).delivered(within_s=120)
    service = stage.sim.lab.carriers["blue"].key_service
    assert service is not None
    service.server.fault = KdsFault(empty_pool=True)
    await asyncio.sleep(86_400.0 + 600)
    service.server.fault = KdsFault()
    await asyncio.sleep(2 * 86_400.0)
    assert count_notes(stage, bob, "device gone") == count_notes(stage, tablet, "device gone") == 0
    assert _leaves(alice, BOB, BOB) == 2
