"""A focus that arbitrates and tells nobody what it holds (digest RCC.16 §1.1: hasServerGroupInfo false)."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, focus_fault, notes, pair_locked, reinstalled, rekey


def _network() -> NetworkFile:
    file = load_network("two-carriers")
    changes = {"mls": {"has_server_group_info": False}}
    carriers = {
        name: entry.model_copy(update={"profile": "rcc16-strict", "changes": changes})
        for name, entry in file.carriers.items()
    }
    return file.model_copy(update={"carriers": carriers})


@pytest.mark.parametrize("writes", ["alice", "bob"])
@pytest.mark.parametrize("who", ["alice", "bob", "both"])
@pytest.mark.parametrize("device", ["android", "strict-v3"])
@scenario(_network)
async def test_after_a_reinstall_the_lock_comes_back(stage: Stage, device: str, who: str, writes: str) -> None:
    alice, bob = await pair_locked(stage, device, device)
    phones, peers = {"alice": alice, "bob": bob}, {"alice": BOB, "bob": ALICE}
    for name, phone in phones.items():
        if who in (name, "both"):
            await reinstalled(phone)
    message = await phones[writes].chat(peers[writes]).send("can you read me?")
    await message.delivered(within_s=300)
    assert message.scheme is Scheme.MLS
    reader, back_to = (alice, BOB) if writes == "bob" else (bob, ALICE)
    assert texts(reader)[-1] == "can you read me?"
    back = await reader.chat(back_to).send("yes, I can")
    await back.delivered(within_s=300)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED, notes(stage, alice)
    assert readable(stage, "can you read") == readable(stage, "yes, I can") == []


@pytest.mark.parametrize("behind", ["alice", "bob"])
@scenario(_network)
async def test_who_has_missed_a_commit_is_helped(stage: Stage, behind: str) -> None:
    alice, bob = await pair_locked(stage)
    focus_fault(stage, withholds_fan_out=True)
    ahead, peer = (bob, ALICE) if behind == "alice" else (alice, BOB)
    rekey(ahead, peer)
    await asyncio.sleep(10)
    focus_fault(stage)
    assert engine_of(alice, BOB).identifier != engine_of(bob, ALICE).identifier
    sent = [alice.chat(BOB).send("from alice"), bob.chat(ALICE).send("from bob")]
    for message in sent:
        await message.delivered(within_s=600)
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier
    assert (texts(alice)[-1], texts(bob)[-1]) == ("from bob", "from alice")
    assert readable(stage, "from alice") == readable(stage, "from bob") == []


@scenario(_network)
async def test_an_outcome_that_nobody_tells_is_told_by_the_next_request(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    focus_fault(stage, is_silent=True)
    rekey(alice, BOB)
    await asyncio.sleep(120)
    focus_fault(stage)
    for phone, peer in ((alice, BOB), (bob, ALICE), (alice, BOB)):
        await (await phone.chat(peer).send("after the silence")).delivered(within_s=600)
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier


@scenario(_network)
async def test_encryption_ends_and_comes_back(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(60)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    alice.chat(BOB).revive_encryption()
    await asyncio.sleep(60)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    message = await bob.chat(ALICE).send("locked again")
    await message.delivered(within_s=60)
    assert readable(stage, "locked again") == []
