"""Which changes to messages a phone owes its user to show, on whole runs: the rest is no loss."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import rcs_sim
from ims_core.trace import ListSink, TraceRecord
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_changes import ChangesOfText
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.why import Why

_ALICE, _BOB = "+12025550101", "+12025550152"
Story = Callable[[Phone, Phone, SentMessage], Awaitable[None]]


def _oracle(story: Story) -> Oracle:
    """Alice has written to Bob, in clear; then *story* goes on."""

    async def main() -> Oracle:
        async with Simulation("two-carriers-plain") as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red", msisdn=_ALICE)
            bob = await sim.add_phone("bob", device="android", carrier="blue", msisdn=_BOB)
            await asyncio.sleep(1)
            message = await alice.chat(_BOB).send("the first of all messages")
            await message.delivered(within_s=10)
            await story(alice, bob, message)
            await asyncio.sleep(100)
            return sim.oracle

    return rcs_sim.run(main, clock="virtual")


def _owed(oracle: Oracle) -> list[tuple[str, bool]]:
    changes = ChangesOfText(oracle.readings)
    return [(each.kind or each.text, changes.is_owed(each)) for each in oracle.messages]


def test_what_is_shown_is_owed_and_readable_by_whom_its_octets_passed() -> None:
    async def story(alice: Phone, bob: Phone, message: SentMessage) -> None:
        arrived = bob.chat(_ALICE).messages[-1]
        await (await bob.chat(_ALICE).react(arrived, "👍")).delivered(within_s=10)
        await (await alice.chat(_BOB).edit(message, "the first of all, in other words")).delivered(within_s=10)

    oracle = _oracle(story)
    assert oracle.violations() == []
    assert [owed for _, owed in _owed(oracle)] == [True, True, True]
    reaction = oracle.messages[1]
    assert (reaction.kind, reaction.target, reaction.text) == ("+Reaction", oracle.messages[0].id, "👍")
    assert {"red.messaging_server", "blue.messaging_server"} <= oracle.readers(reaction)
    assert oracle.verdict(reaction) == "readable"


def test_nobody_owes_an_edit_of_somebody_else_or_one_that_is_too_late() -> None:
    async def story(alice: Phone, bob: Phone, message: SentMessage) -> None:
        await bob.chat(_ALICE).edit(bob.chat(_ALICE).messages[-1], "in your name", anyway=True)
        await asyncio.sleep(16 * 60)
        await alice.chat(_BOB).recall(message, anyway=True)

    oracle = _oracle(story)
    assert oracle.violations() == []
    assert [owed for _, owed in _owed(oracle)] == [True, False, False]


def test_nobody_owes_what_its_author_has_recalled_nor_a_change_of_what_is_gone() -> None:
    async def story(alice: Phone, bob: Phone, message: SentMessage) -> None:
        await bob.power_off()
        second = await alice.chat(_BOB).send("nobody shall ever see this")
        await alice.chat(_BOB).recall(second)
        await bob.power_on()
        await asyncio.sleep(5)
        await bob.wipe()
        await bob.power_on()
        await (await alice.chat(_BOB).react(message, "👍")).delivered(within_s=30)

    oracle = _oracle(story)
    assert oracle.violations() == []
    assert dict(_owed(oracle))["nobody shall ever see this"] is False


def test_nobody_owes_a_change_of_what_was_gone_when_it_came() -> None:
    async def story(alice: Phone, bob: Phone, message: SentMessage) -> None:
        await bob.power_off()
        reaction = await alice.chat(_BOB).react(message, "👍")
        await asyncio.sleep(5)
        await bob.wipe()
        await bob.power_on()
        await reaction.delivered(within_s=60)

    oracle = _oracle(story)
    assert oracle.violations() == []
    assert [owed for _, owed in _owed(oracle)] == [True, False]


def test_a_reaction_that_is_shown_twice_or_looks_like_another_is_no_duplicate() -> None:
    async def story(alice: Phone, bob: Phone, message: SentMessage) -> None:
        arrived = bob.chat(_ALICE).messages[-1]
        for _ in range(2):
            await (await bob.chat(_ALICE).react(arrived, "👍")).delivered(within_s=10)
            await (await bob.chat(_ALICE).unreact(arrived)).delivered(within_s=10)
        await (await bob.chat(_ALICE).send("👍")).delivered(within_s=10)

    oracle = _oracle(story)
    assert oracle.violations() == []
    assert len(oracle.messages) == 6


def test_a_recall_in_clear_is_read_though_it_ends_with_an_empty_line() -> None:
    async def story(alice: Phone, bob: Phone, message: SentMessage) -> None:
        await (await alice.chat(_BOB).recall(message)).delivered(within_s=10)

    oracle = _oracle(story)
    recall = oracle.messages[1]
    assert (recall.kind, recall.text, oracle.verdict(recall)) == ("Recall", "", "readable")
    assert "red.messaging_server" in oracle.readers(recall)
    rows = oracle.document().messages
    assert [(row.change, row.about) for row in rows] == [(None, None), ("Recall", "m1")]
    assert "Recall m1" in oracle.table()


def test_why_says_who_dropped_a_change_and_why() -> None:
    records: list[TraceRecord] = []

    async def main() -> None:
        sink = ListSink()
        async with Simulation("two-carriers-plain", sinks=[sink]) as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red", msisdn=_ALICE)
            bob = await sim.add_phone("bob", device="android", carrier="blue", msisdn=_BOB)
            await asyncio.sleep(1)
            await (await alice.chat(_BOB).send("the first of all messages")).delivered(within_s=10)
            await bob.chat(_ALICE).edit(bob.chat(_ALICE).messages[-1], "in your name", anyway=True)
            await asyncio.sleep(60)
        records.extend(sink.records)

    rcs_sim.run(main, clock="virtual")
    edit = Why(records).document("m2").messages[0]
    assert (edit.change, edit.about) == ("Edit", "m1")
    assert edit.failed is not None
    assert edit.failed.startswith("dropped: not of the author (record ")
    assert "Edit m1 'in your name'" in Why(records).text()
