"""Devices that come and go in an encrypted conversation: a second one, a new SIM, somebody else's old number."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.display import Shown
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, received, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, locked, mls_of, notes


def _on(profile: str) -> NetworkFile:
    file = load_network("two-carriers")
    carriers = {name: entry.model_copy(update={"profile": profile}) for name, entry in file.carriers.items()}
    return file.model_copy(update={"carriers": carriers})


def _google() -> NetworkFile:
    return _on("google-like")


def _strict() -> NetworkFile:
    return _on("rcc16-strict")


@pytest.mark.parametrize("device", ["android", "ios", "strict-v4"])
@pytest.mark.parametrize("owner", ["alice", "bob"])
@pytest.mark.parametrize("net", [_google, _strict])
def test_a_device_that_comes_later_reads_and_writes_too(net: object, owner: str, device: str) -> None:
    @scenario(net)  # type: ignore[arg-type]  # makes a network
    async def story(stage: Stage) -> None:
        alice, bob = await locked(stage)
        number, peer = (ALICE, bob) if owner == "alice" else (BOB, alice)
        await stage.phone("tablet", number, device)
        tablet = stage.sim.phones["tablet"]
        await asyncio.sleep(5)
        message = await peer.chat(number).send("to all your screens")
        await message.delivered(within_s=600)
        await asyncio.sleep(600)
        first = alice if owner == "alice" else bob
        assert texts(first)[-1] == texts(tablet)[-1] == "to all your screens", notes(stage, tablet)
        assert [one.shown_count for one in received(tablet)] == [1]
        answer = await tablet.chat(peer.number or "").send("from the new one")
        await answer.delivered(within_s=600)
        assert answer.scheme is Scheme.MLS
        assert texts(peer)[-1] == "from the new one"
        assert readable(stage, "to all your screens") == readable(stage, "from the new one") == []
        assert len({engine_of(phone, other).identifier for phone, other in _sides(first, tablet, peer, number)}) == 1

    story()


def _sides(first: Phone, tablet: Phone, peer: Phone, number: str) -> tuple[tuple[Phone, str], ...]:
    return ((first, peer.number or ""), (tablet, peer.number or ""), (peer, number))


@scenario("two-carriers")
async def test_a_device_that_is_gone_for_good_keeps_nobody_from_talking(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB)
    tablet = await stage.phone("tablet", BOB)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("lock")).delivered(within_s=30)
    await tablet.wipe()
    for number in range(3):
        message = await alice.chat(BOB).send(f"without the tablet {number}")
        await message.delivered(within_s=60)
    answer = await bob.chat(ALICE).send("fine without")
    await answer.delivered(within_s=60)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED


@scenario("two-carriers")
async def test_who_gets_a_recycled_number_sees_nothing_of_its_old_conversations(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await (await alice.chat(BOB).send("for the old owner")).delivered(within_s=30)
    code = alice.chat(BOB).security_code
    await bob.power_off()
    service = stage.sim.lab.carriers["blue"].key_service
    assert service is not None
    await service.listener.forget(BOB[1:])
    await bob.wipe()
    newcomer = await stage.phone("newcomer", BOB, "android")
    await asyncio.sleep(5)
    message = await alice.chat(BOB).send("who are you?")
    await message.delivered(within_s=900)
    assert texts(newcomer) == ["who are you?"]
    assert message.scheme is Scheme.MLS
    assert "security code changed" in [one.details["text"] for one in stage.shown(alice, Shown.TOMBSTONE)]
    assert alice.chat(BOB).security_code != code
    assert readable(stage, "who are you?") == []


@scenario("two-carriers")
async def test_packages_of_a_number_that_was_forgotten_cannot_be_claimed(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await bob.power_off()
    service = stage.sim.lab.carriers["blue"].key_service
    assert service is not None
    await service.listener.forget(BOB[1:])
    message = await alice.chat(BOB).send("is anybody there?")
    await asyncio.sleep(120)
    assert message.scheme is None
    assert alice.chat(BOB).label != LOCKED
    assert any("claim failed" in one for one in notes(stage, alice)) or not mls_of(alice).credentials.is_ready


@scenario("two-carriers")
async def test_the_device_that_wrote_gets_its_receipt_when_it_is_back_though_another_one_had_it(stage: Stage) -> None:
    alice, bob = await locked(stage)
    tablet = await stage.phone("tablet", BOB, "ios")
    await asyncio.sleep(5)
    await (await tablet.chat(ALICE).send("i am here too")).delivered(within_s=60)
    await alice.power_off()
    message = await tablet.chat(ALICE).send("read it later")
    await message.sent(within_s=30)
    await tablet.airplane(True)
    await alice.power_on()
    await asyncio.sleep(60)
    assert texts(alice)[-1] == "read it later"
    assert bob.is_registered
    await tablet.airplane(False)
    await message.delivered(within_s=60)
