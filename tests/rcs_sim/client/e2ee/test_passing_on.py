from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.e2ee.passing_on import is_for_others
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.control_outcome import (
    Advanced,
    ControlOutcome,
    Ignored,
    IgnoredWhy,
    Joined,
    ParkedControl,
    ProposalKept,
)
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.mls.identifiers import LeafIndex
from tests.scenarios.e2ee.test_peer_to_peer import four_locked, p2p
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import count_notes, engine_of, rekey, thread_of

_ALICE, _BOB = ALICE[1:], BOB[1:]


def _passes(phone: Phone, peer: str, outcome: ControlOutcome, named: str = "") -> bool:
    envelope = Envelope(message_id="c", asserted_sender=peer[1:], era=1, named_sender=named)
    return is_for_others(thread_of(phone, peer), envelope, outcome)


@scenario(p2p, is_read_by_others=False)
async def test_what_the_peers_have_made_is_passed_on_and_nothing_else(stage: Stage) -> None:
    phones, _ = await four_locked(stage, "alice")
    at = Moment(1, 2)
    made = (
        Joined(moment=at, committer=_BOB, is_new_era=True, has_ended=False),
        Advanced(moment=at, committer=_BOB, leaf=LeafIndex(2)),
    )
    for outcome in (*made, ProposalKept(_BOB), ParkedControl(at, is_era_gap=False)):
        assert _passes(phones["alice"], BOB, outcome), outcome
        assert _passes(phones["tablet"], BOB, outcome), "the first may be no more"
    own = Advanced(moment=at, committer=_ALICE, leaf=LeafIndex(1))
    for outcome in (own, ProposalKept(_ALICE), ParkedControl(at, is_era_gap=True), Ignored(IgnoredWhy.OLD)):
        assert not _passes(phones["alice"], BOB, outcome), outcome
    assert not _passes(phones["alice"], BOB, ParkedControl(at, is_era_gap=False), named=_ALICE), "it was passed on"


@pytest.mark.parametrize(
    ("who", "sibling", "helpers"),
    [
        ("alice", "tablet", ("bob", "laptop")),
        ("tablet", "alice", ("bob", "laptop")),
        ("bob", "laptop", ("alice", "tablet")),
    ],
)
@scenario(p2p, is_read_by_others=False)
async def test_a_commit_is_passed_on_by_each_device_of_the_peer_and_comes_once(
    stage: Stage, who: str, sibling: str, helpers: tuple[str, ...]
) -> None:
    phones, peer = await four_locked(stage, "alice")
    before = {name: count_notes(stage, phone, "passed on") for name, phone in phones.items()}
    told = count_notes(stage, phones[sibling], "control")
    rekey(phones[who], peer[who])
    await asyncio.sleep(60)
    passed = {name: count_notes(stage, phone, "passed on") - before[name] for name, phone in phones.items()}
    assert {name: count for name, count in passed.items() if count} == dict.fromkeys(helpers, 1)
    assert count_notes(stage, phones[sibling], "control") - told == 1, "the server has dropped the second copy"
    assert engine_of(phones[sibling], peer[sibling]).identifier == engine_of(phones[who], peer[who]).identifier


@scenario(p2p, is_read_by_others=False)
async def test_where_nobody_else_is_nothing_is_passed_on(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("it begins")).delivered(within_s=60)
    rekey(alice, BOB)
    rekey(bob, ALICE)
    await asyncio.sleep(60)
    assert count_notes(stage, alice, "passed on") == count_notes(stage, bob, "passed on") == 0


@scenario("two-carriers", is_read_by_others=False)
async def test_a_focus_brings_it_to_all_by_itself(stage: Stage) -> None:
    phones, peer = await four_locked(stage, "alice")
    rekey(phones["bob"], peer["bob"])
    await asyncio.sleep(60)
    assert not any(count_notes(stage, phone, "passed on") for phone in phones.values())
