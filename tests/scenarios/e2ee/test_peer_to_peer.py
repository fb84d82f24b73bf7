"""Encrypted conversations between carriers whose servers arbitrate nothing (digest RCC.16 §1.1, §14.4)."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
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


@pytest.mark.parametrize("writes", ["alice", "tablet", "bob", "laptop"])
@pytest.mark.parametrize("first", ["alice", "tablet", "bob", "laptop"])
@scenario(p2p, is_read_by_others=False)
async def test_all_devices_of_both_users_are_in_the_group_whoever_begins(stage: Stage, first: str, writes: str) -> None:
    """What one device commits goes to the peer, and from there to its user's other devices."""
    phones, peer = await four_locked(stage, first)
    assert_one_group(phones, peer)
    message = await phones[writes].chat(peer[writes]).send("to both screens")
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS
    await asyncio.sleep(60)
    readers = ("bob", "laptop") if peer[writes] == BOB else ("alice", "tablet")
    assert [texts(phones[name])[-1] for name in readers] == ["to both screens"] * 2, notes(stage, phones[readers[1]])
    assert len({engine.identifier.era_id for engine in engines(phones, peer)}) == 1
    assert engines(phones, peer)[0].identifier.era_id == 1, "nobody had to ask for a repair"
    assert readable(stage, "it begins") == readable(stage, "to both screens") == []


@scenario(p2p, is_read_by_others=False)
async def test_first_messages_of_all_four_that_cross_end_in_one_group(stage: Stage) -> None:
    """The lower number wins over the higher, and of its devices the one that the peer has heard first."""
    phones, peer = await two_devices_each(stage)
    sent = [phone.chat(peer[name]).send(f"crossing {name}") for name, phone in phones.items()]
    for message in sent:
        await message.delivered(within_s=300)
    await asyncio.sleep(120)
    await everybody_reads_everybody(stage, phones, peer)
    assert readable(stage, "crossing") == []


@pytest.mark.parametrize("who", ["alice", "tablet", "bob", "laptop"])
@scenario(p2p, is_read_by_others=False)
async def test_a_commit_of_any_device_reaches_all_others(stage: Stage, who: str) -> None:
    phones, peer = await four_locked(stage, "bob")
    for _ in range(3):
        rekey(phones[who], peer[who])
        await asyncio.sleep(10)
    assert_one_group(phones, peer)
    assert {engine.identifier.moment for engine in engines(phones, peer)} == {(1, 4)}


@pytest.mark.parametrize("pair", list(itertools.combinations(("alice", "tablet", "bob", "laptop"), 2)), ids="-".join)
@scenario(p2p, is_read_by_others=False)
async def test_of_two_commits_that_cross_one_is_everybodys(stage: Stage, pair: tuple[str, str]) -> None:
    phones, peer = await four_locked(stage, "laptop")
    for who in pair:
        rekey(phones[who], peer[who])
    await asyncio.sleep(60)  # a copy whose session was replaced goes out again after 30 s
    assert_one_group(phones, peer)
    assert engine_of(phones["alice"], BOB).identifier.moment == (1, 2)
    await everybody_reads_everybody(stage, phones, peer)
    assert engine_of(phones["alice"], BOB).identifier.era_id == 1, "nothing was repaired"


@scenario(p2p, is_read_by_others=False)
async def test_a_device_that_comes_later_gets_in_on_either_side(stage: Stage) -> None:
    alice, bob = await stage.phone("alice", ALICE), await stage.phone("bob", BOB)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("it begins")).delivered(within_s=60)
    phones = {"alice": alice, "tablet": await stage.phone("tablet", ALICE), "bob": bob}
    phones["laptop"] = await stage.phone("laptop", BOB)
    peer = {"alice": BOB, "tablet": BOB, "bob": ALICE, "laptop": ALICE}
    await asyncio.sleep(5)
    for name in ("alice", "bob"):
        await (await phones[name].chat(peer[name]).send(f"who is there? {name}")).delivered(within_s=300)
    await asyncio.sleep(600)
    await everybody_reads_everybody(stage, phones, peer)


@pytest.mark.parametrize("who", ["alice", "tablet", "bob", "laptop"])
@scenario(p2p, is_read_by_others=False)
async def test_a_device_that_was_reset_comes_back_beside_the_others(stage: Stage, who: str) -> None:
    phones, peer = await four_locked(stage, "alice")
    await phones[who].wipe()
    await phones[who].power_on()
    await asyncio.sleep(5)
    for name in phones:
        await (await phones[name].chat(peer[name]).send(f"after the reset {name}")).delivered(within_s=600)
        await asyncio.sleep(60)
    await asyncio.sleep(600)
    await everybody_reads_everybody(stage, phones, peer, dead=1)
    assert readable(stage, "after the reset") == []


@pytest.mark.parametrize("who", ["tablet", "bob"])
@scenario(p2p, is_read_by_others=False)
async def test_the_leaf_of_a_handset_that_is_no_more_is_taken_out_by_its_user_s_other_device(
    stage: Stage, who: str
) -> None:
    phones, peer = await four_locked(stage, "alice")
    await phones.pop(who).power_off()
    await asyncio.sleep(10 * 86400)
    others = {name: engine_of(phone, peer[name]) for name, phone in phones.items()}
    assert len({engine.identifier for engine in others.values()}) == 1
    group = others["laptop"].group
    assert group is not None
    assert sorted(group.roster.leaves.values()) == sorted([ALICE[1:], BOB[1:], (BOB if who == "tablet" else ALICE)[1:]])


@pytest.mark.parametrize("back", ["alice", "laptop"])
@pytest.mark.parametrize("who", ["tablet", "bob"])
@scenario(p2p, is_read_by_others=False)
async def test_the_end_of_encryption_and_its_return_reach_all_devices(stage: Stage, who: str, back: str) -> None:
    phones, peer = await four_locked(stage, "bob")
    phones[who].chat(peer[who]).end_encryption()
    await asyncio.sleep(60)
    assert {phone.chat(peer[name]).label for name, phone in phones.items()} == {"RCS"}
    phones[back].chat(peer[back]).revive_encryption()
    await asyncio.sleep(60)
    assert {phone.chat(peer[name]).label for name, phone in phones.items()} == {LOCKED}
    await everybody_reads_everybody(stage, phones, peer)


@pytest.mark.parametrize("away", ["alice", "tablet", "bob", "laptop"])
@scenario(p2p, is_read_by_others=False)
async def test_who_was_off_for_some_commits_catches_up(stage: Stage, away: str) -> None:
    phones, peer = await four_locked(stage, "tablet")
    await phones[away].power_off()
    for who in phones:
        if who != away:
            rekey(phones[who], peer[who])
            await asyncio.sleep(20)
    await phones[away].power_on()
    await asyncio.sleep(300)
    await everybody_reads_everybody(stage, phones, peer)


async def everybody_reads_everybody(
    stage: Stage, phones: dict[str, Phone], peer: dict[str, str], *, dead: int = 0
) -> None:
    """Each device writes, sealed, and each of the peer's reads it; at the end they are in one state."""
    words = f"last words {len(stage.sink.records)}"
    for name, phone in phones.items():
        message = await phone.chat(peer[name]).send(f"{words} of {name}")
        await message.delivered(within_s=300)
        assert message.scheme is Scheme.MLS
        await asyncio.sleep(120)
    for name, phone in phones.items():
        wanted = {f"{words} of {other}" for other in phones if peer[other] != peer[name]}
        assert wanted <= set(texts(phone)), (name, texts(phone), notes(stage, phone))
        assert len(texts(phone)) == len(set(texts(phone))), "something is shown twice"
    assert_one_group(phones, peer, dead=dead)
    assert readable(stage, "last words") == []


async def two_devices_each(stage: Stage) -> tuple[dict[str, Phone], dict[str, str]]:
    phones = {
        "alice": await stage.phone("alice", ALICE),
        "tablet": await stage.phone("tablet", ALICE, "ios"),
        "bob": await stage.phone("bob", BOB, "ios"),
        "laptop": await stage.phone("laptop", BOB),
    }
    await asyncio.sleep(2)
    return phones, {"alice": BOB, "tablet": BOB, "bob": ALICE, "laptop": ALICE}


async def four_locked(stage: Stage, first: str) -> tuple[dict[str, Phone], dict[str, str]]:
    """Two devices of each user, and the lock that *first* has begun."""
    phones, peer = await two_devices_each(stage)
    await (await phones[first].chat(peer[first]).send("it begins")).delivered(within_s=60)
    await asyncio.sleep(5)
    return phones, peer


def engines(phones: dict[str, Phone], peer: dict[str, str]) -> list[EncryptedConversation]:
    return [engine_of(phone, peer[name]) for name, phone in phones.items()]


def assert_one_group(phones: dict[str, Phone], peer: dict[str, str], *, dead: int = 0) -> None:
    """All devices are in the same state of it, and have a leaf; besides them at most *dead* of handsets that are no
    more."""
    states = {name: engine_of(phone, peer[name]).identifier for name, phone in phones.items()}
    assert len(set(states.values())) == 1, {name: state.moment for name, state in states.items()}
    group = engine_of(phones["alice"], BOB).group
    assert group is not None
    counts = [len(group.roster.leaves_of(number[1:])) for number in (ALICE, BOB)]
    assert min(counts) == 2
    assert sum(counts) <= 4 + dead
