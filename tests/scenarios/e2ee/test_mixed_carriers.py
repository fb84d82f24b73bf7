"""One carrier's server arbitrates, the other's does not: that of the lower number counts (digest RCC.16 §14.1)."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.e2ee.test_life import DEVICES, readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, notes, rekey


def _with_p2p(carrier: str) -> NetworkFile:
    file = load_network("two-carriers")
    entry = file.carriers[carrier].model_copy(update={"profile": "p2p"})
    return file.model_copy(update={"carriers": {**file.carriers, carrier: entry}})


def red_without() -> NetworkFile:
    """Alice has the lower number: nobody arbitrates."""
    return _with_p2p("red")


def blue_without() -> NetworkFile:
    """The server of Alice's carrier arbitrates."""
    return _with_p2p("blue")


def _play(net: object, ours: str, theirs: str, begins: str) -> None:
    @scenario(net)  # type: ignore[arg-type]  # makes a network
    async def story(stage: Stage) -> None:
        alice = await stage.phone("alice", ALICE, ours)
        bob = await stage.phone("bob", BOB, theirs)
        await asyncio.sleep(2)
        turns = [(alice, BOB), (bob, ALICE)] if begins == "alice" else [(bob, ALICE), (alice, BOB)]
        for number, (phone, peer) in enumerate([*turns, *turns]):
            message = await phone.chat(peer).send(f"secret {number}")
            await message.delivered(within_s=120)
            assert message.scheme is Scheme.MLS
        for phone, peer in turns:
            rekey(phone, peer)
            await asyncio.sleep(60)
            assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier, notes(stage, alice)
        for phone, peer in turns:
            await (await phone.chat(peer).send("secret after")).delivered(within_s=60)
        assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
        assert len(texts(alice)) == len(texts(bob)) == 3
        assert readable(stage, "secret") == []
        assert stage.errors() == []

    story()


@pytest.mark.parametrize("begins", ["alice", "bob"])
@pytest.mark.parametrize(("ours", "theirs"), [*zip(DEVICES, reversed(DEVICES), strict=True), ("android", "android")])
@pytest.mark.parametrize("net", [red_without, blue_without])
def test_both_ways_are_sealed_and_commits_of_both_count(net: object, ours: str, theirs: str, begins: str) -> None:
    _play(net, ours, theirs, begins)


@scenario(red_without)
async def test_who_was_written_to_first_learns_that_the_other_server_arbitrates_nothing(stage: Stage) -> None:
    """A device that asks nobody when a chat is opened, of a carrier whose server does arbitrate. Else it would ask a
    focus that there is not, when the peer has another handset, and neither would read the other again."""
    alice, bob = await stage.phone("alice", ALICE), await stage.phone("bob", BOB, "lineage-like")
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("secret one")).delivered(within_s=60)
    await alice.wipe()
    await alice.power_on()
    await (await bob.chat(ALICE).send("secret two")).delivered(within_s=600)
    await (await alice.chat(BOB).send("secret three")).delivered(within_s=60)
    await (await bob.chat(ALICE).send("secret four")).delivered(within_s=60)
    assert texts(bob) == ["secret one", "secret three"]
    assert texts(alice) == ["secret two", "secret four"]
    assert readable(stage, "secret") == []
