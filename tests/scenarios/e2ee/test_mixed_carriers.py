"""One carrier's server arbitrates, the other's does not: that of the lower number counts (digest RCC.16 §14.1)."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.capabilities import NO_TAGS
from rcs_sim.client.encryption import Scheme
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.e2ee.test_life import DEVICES, readable
from tests.scenarios.e2ee.test_peer_to_peer import p2p
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, mls_of, notes, reinstalled, rekey
from tests.support.lives.plan import LifePlan
from tests.support.lives.verbs import Step
from tests.support.lives.verdict import live


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


def test_a_new_handset_does_not_take_its_own_server_for_that_of_a_peer_who_cannot_encrypt_for_now() -> None:
    """Found by a random life: it made a group of its own, without the focus that held one, and read nothing more."""
    rules = {"arbitrates_era": False, "requires_convergence_ack": False, "accepts_member_external_commit": False}
    blue = {"mls": {**rules, "has_server_group_info": True}, "signalling": "SIPoUDP", "cfs_trigger": 0}
    plan = LifePlan(
        "usual",
        53137,
        {"red": ("rcc16-strict", {}), "blue": ("rcc16-strict", blue)},
        {"alice": "ios", "ben": "android"},
        (
            Step("on", "ben", pause_s=0.3),
            Step("send", "ben", "alice", "", (("number", 3),), 400.0),
            Step("new owner", "alice", word="strict-v4", pause_s=31.0),
            Step("send long", "alice", "ben", "", (("number", 2),), 0.0),
            Step("lose power", "ben", pause_s=0.3),
            Step("key service", "red", word="down", pause_s=1.0),
            Step("rekey", "ben", "alice", "", (("number", 2),), 0.3),
            Step("react", "ben", "alice", "❤️", (("number", 3),), 70.0),
            Step("reinstall", "alice", pause_s=400.0),
            Step("send", "alice", "ben", "", (("number", 2),), 0.3),
            Step("off", "ben", pause_s=70.0),
            Step("swap", "ben", word="ios", pause_s=0.1),
        ),
    )
    assert list(live(plan).violations) == []


@scenario(blue_without)
async def test_a_focus_that_gives_out_its_state_is_one_before_the_tags_of_the_peer_are_known(stage: Stage) -> None:
    alice, bob = await stage.phone("alice", ALICE), await stage.phone("bob", BOB, "android")
    await (await alice.chat(BOB).send("secret one")).delivered(within_s=60)
    await reinstalled(bob)
    context, conversation = mls_of(bob)._context, bob.chat(ALICE)._conversation
    assert not context.server_of(conversation.peer).arbitrates_era
    context.watch.pull(conversation, lambda answer: None)
    await asyncio.sleep(10)
    bob._messenger.capabilities.entry(conversation.peer).tags = NO_TAGS
    assert context.server_of(conversation.peer).arbitrates_era


@pytest.mark.parametrize("net", [red_without, p2p])
def test_a_phone_that_answers_for_its_user_is_no_focus(net: object) -> None:
    @scenario(net)  # type: ignore[arg-type]  # makes a network
    async def story(stage: Stage) -> None:
        alice, bob = await stage.phone("alice", ALICE), await stage.phone("bob", BOB, "android")
        await (await alice.chat(BOB).send("secret one")).delivered(within_s=60)
        await reinstalled(bob)
        context, conversation = mls_of(bob)._context, bob.chat(ALICE)._conversation
        answers: list[object] = []
        context.watch.pull(conversation, answers.append)
        await asyncio.sleep(10)
        assert len(answers) == 1
        assert not context.watch.has_told_state(conversation.peer)

    story()
