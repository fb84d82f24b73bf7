"""Encrypted conversations between carriers whose servers arbitrate nothing (digest RCC.16 §1.1, §14.4)."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.e2ee.test_life import DEVICES, readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, notes, rekey


def p2p() -> NetworkFile:
    file = load_network("two-carriers")
    carriers = {name: entry.model_copy(update={"profile": "p2p"}) for name, entry in file.carriers.items()}
    return file.model_copy(update={"carriers": carriers})


@pytest.mark.parametrize("theirs", DEVICES)
@pytest.mark.parametrize("ours", DEVICES)
@scenario(p2p)
async def test_the_initiator_sends_the_welcome_himself_and_both_read(stage: Stage, ours: str, theirs: str) -> None:
    alice = await stage.phone("alice", ALICE, ours, reads_after_s=1.0)
    bob = await stage.phone("bob", BOB, theirs, reads_after_s=1.0)
    await asyncio.sleep(2)
    first = await alice.chat(BOB).send("the first secret")
    await first.displayed(within_s=30)
    second = await bob.chat(ALICE).send("the second secret")
    await second.displayed(within_s=30)
    assert first.scheme is second.scheme is Scheme.MLS
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    assert (texts(bob), texts(alice)) == (["the first secret"], ["the second secret"])
    assert readable(stage, "secret") == []
    welcome = f"mls-welcome-{alice.chat(BOB).conversation_id}".encode()
    assert [one for one in stage.sink.records if welcome in one.raw and b"message/mls-rcs-server" in one.raw]
    assert not [one for one in stage.sink.records if b"Content-Type: message/mls-rcs-client" in one.raw]
    assert stage.errors() == []


@scenario(p2p)
async def test_creates_that_cross_end_in_the_group_of_the_lower_number(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    sent = [alice.chat(BOB).send("crossing one"), bob.chat(ALICE).send("crossing two")]
    for message in sent:
        await message.delivered(within_s=120)
    again = [alice.chat(BOB).send("after one"), bob.chat(ALICE).send("after two")]
    for message in again:
        await message.delivered(within_s=60)
    assert texts(bob) == ["crossing one", "after one"]
    assert texts(alice) == ["crossing two", "after two"]
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier
    assert readable(stage, "crossing") == []


@scenario(p2p)
async def test_commits_go_from_the_committer_and_the_lower_number_wins_a_race(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("lock")).delivered(within_s=30)
    rekey(bob, ALICE)
    await asyncio.sleep(5)
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier
    rekey(alice, BOB)
    rekey(bob, ALICE)
    await asyncio.sleep(10)
    state = engine_of(alice, BOB).identifier
    assert state == engine_of(bob, ALICE).identifier
    assert state is not None
    assert (state.era_id, state.epoch_id) == (1, 3)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        await (await phone.chat(peer).send("after the race")).delivered(within_s=30)


@scenario(p2p)
async def test_encryption_ends_for_both_and_comes_back(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("lock")).delivered(within_s=30)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(20)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    bob.chat(ALICE).revive_encryption()
    await asyncio.sleep(20)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    message = await alice.chat(BOB).send("locked again")
    await message.delivered(within_s=30)
    assert readable(stage, "locked again") == []


@pytest.mark.parametrize("writes", ["alice", "bob"])
@pytest.mark.parametrize("who", ["alice", "bob"])
@scenario(p2p)
async def test_after_a_reinstall_the_lock_comes_back(stage: Stage, who: str, writes: str) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("lock")).delivered(within_s=30)
    phones, peers = {"alice": alice, "bob": bob}, {"alice": BOB, "bob": ALICE}
    await phones[who].wipe()
    await phones[who].power_on()
    message = await phones[writes].chat(peers[writes]).send("can you read me?")
    await message.delivered(within_s=600)
    assert message.scheme is Scheme.MLS
    reader = alice if writes == "bob" else bob
    assert texts(reader)[-1] == "can you read me?"
    assert readable(stage, "can you read") == []
    back = await reader.chat(ALICE if writes == "alice" else BOB).send("yes")
    await back.delivered(within_s=600)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED, notes(stage, alice)


@scenario(p2p)
async def test_who_is_away_gets_the_welcome_when_back(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await bob.power_off()
    message = await alice.chat(BOB).send("for later")
    await asyncio.sleep(600)
    await bob.power_on()
    await message.delivered(within_s=300)
    assert texts(bob) == ["for later"]
    assert message.scheme in (Scheme.MLS, None)


@pytest.mark.parametrize("device", ["android", "ios", "strict-v4"])
@pytest.mark.parametrize("first", ["alice", "bob"])
@scenario(p2p, is_read_by_others=False)
async def test_a_further_device_of_who_began_comes_in_by_the_peer_and_everybody_stays(
    stage: Stage, first: str, device: str
) -> None:
    """Nobody brings the Welcome of a phone to its user's other devices; that of the peer reaches them all."""
    alice = await stage.phone("alice", ALICE, device)
    tablet = await stage.phone("tablet", ALICE)
    bob = await stage.phone("bob", BOB)
    await asyncio.sleep(2)
    begins = (alice, BOB) if first == "alice" else (bob, ALICE)
    await (await begins[0].chat(begins[1]).send("it begins")).delivered(within_s=60)
    await (await bob.chat(ALICE).send("to both screens")).delivered(within_s=60)
    await asyncio.sleep(600)
    for phone, peer in ((alice, BOB), (tablet, BOB), (bob, ALICE)):
        message = await phone.chat(peer).send(f"from {phone.name}")
        await message.delivered(within_s=120)
        assert message.scheme is Scheme.MLS
        await asyncio.sleep(60)
    assert texts(alice)[-2:] == texts(tablet)[-2:] == ["to both screens", "from bob"]
    assert texts(bob)[-2:] == ["from alice", "from tablet"]
    states = {engine_of(phone, peer).identifier for phone, peer in ((alice, BOB), (tablet, BOB), (bob, ALICE))}
    assert len(states) == 1, notes(stage, tablet)
    group = engine_of(bob, ALICE).group
    assert group is not None
    assert sorted(group.roster.leaves.values()) == [ALICE[1:], ALICE[1:], BOB[1:]]
    assert readable(stage, "from ") == []


@scenario(p2p, is_read_by_others=False)
async def test_a_commit_that_a_further_device_misses_is_made_good_by_the_peer(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    tablet = await stage.phone("tablet", ALICE)
    bob = await stage.phone("bob", BOB)
    await asyncio.sleep(2)
    await (await bob.chat(ALICE).send("to both screens")).delivered(within_s=60)
    await asyncio.sleep(60)
    rekey(alice, BOB)
    await asyncio.sleep(60)
    message = await bob.chat(ALICE).send("after the commit")
    await message.delivered(within_s=60)
    await asyncio.sleep(600)
    assert texts(alice)[-1] == texts(tablet)[-1] == "after the commit", notes(stage, tablet)
    states = {engine_of(phone, peer).identifier for phone, peer in ((alice, BOB), (tablet, BOB), (bob, ALICE))}
    assert len(states) == 1
