"""A focus that arbitrates and tells nobody what it holds (digest RCC.16 §1.1: hasServerGroupInfo false)."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.server.kds_settings import KdsFault
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


_CARRIERS = {"alice": "red", "bob": "blue"}


def _key_service(stage: Stage, carrier: str, *, is_down: bool) -> None:
    service = stage.sim.lab.carriers[carrier].key_service
    assert service is not None
    service.server.fault = KdsFault(is_down=is_down)


@pytest.mark.parametrize("down", ["own", "peer's"])
@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.parametrize("device", ["android", "ios", "strict-v3"])
@scenario(_network)
async def test_who_lost_everything_while_a_key_service_is_down_writes_nothing_in_clear(
    stage: Stage, device: str, who: str, down: str
) -> None:
    alice, bob = await pair_locked(stage, device, "android")
    writer, peer, reader = (alice, BOB, bob) if who == "alice" else (bob, ALICE, alice)
    other = "bob" if who == "alice" else "alice"
    _key_service(stage, _CARRIERS[who if down == "own" else other], is_down=True)
    await reinstalled(writer)
    message = writer.chat(peer).send("no keys yet")
    await asyncio.sleep(600)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.LOCKED_OUT), notes(stage, writer)
    assert readable(stage, "no keys yet") == []
    _key_service(stage, _CARRIERS[who if down == "own" else other], is_down=False)
    await asyncio.sleep(900)
    message.send_again()
    await message.delivered(within_s=300)
    assert (message.scheme, texts(reader)[-1]) == (Scheme.MLS, "no keys yet")
    assert readable(stage, "no keys yet") == []


@pytest.mark.parametrize("who", ["alice", "bob"])
@scenario(_network)
async def test_where_encryption_was_ended_who_lost_everything_writes_in_clear(stage: Stage, who: str) -> None:
    alice, bob = await pair_locked(stage)
    writer, peer, reader, back_to = (alice, BOB, bob, ALICE) if who == "alice" else (bob, ALICE, alice, BOB)
    reader.chat(back_to).end_encryption()
    await asyncio.sleep(30)
    _key_service(stage, _CARRIERS[who], is_down=True)
    await reinstalled(writer)
    message = await writer.chat(peer).send("nothing to hide")
    await message.delivered(within_s=120)
    assert (message.scheme, writer.chat(peer).label, reader.chat(back_to).label) == (None, "RCS", "RCS")
    _key_service(stage, _CARRIERS[who], is_down=False)
    await asyncio.sleep(900)
    reader.chat(back_to).revive_encryption()
    await asyncio.sleep(60)
    again = await writer.chat(peer).send("something to hide")
    await again.delivered(within_s=300)
    assert again.scheme is Scheme.MLS, notes(stage, writer)
    assert readable(stage, "something to hide") == []


@scenario(_network)
async def test_where_there_never_was_a_lock_who_has_no_certificate_writes_in_clear(stage: Stage) -> None:
    for carrier in ("red", "blue"):
        _key_service(stage, carrier, is_down=True)
    alice, bob = await stage.alice_and_bob()
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        message = await phone.chat(peer).send("no secret")
        await message.delivered(within_s=30)
        assert (message.scheme, phone.chat(peer).label) == (None, "RCS")
