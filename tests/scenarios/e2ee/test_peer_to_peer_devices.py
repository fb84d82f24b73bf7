"""Several devices without an arbiter, on networks that bring what goes in a session to one of them only (digest RCC.16
§14.4): each comes in in the end, and meanwhile nobody's message is lost without his knowing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.e2ee.test_peer_to_peer import p2p
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, count_notes, engine_of, notes

_READ = (MessageState.DELIVERED, MessageState.DISPLAYED)
_PROBES = 3


def _network(red: dict[str, Any], blue: dict[str, Any]) -> NetworkFile:
    file = load_network("two-carriers")
    changes = {"red": red, "blue": blue}
    carriers = {
        name: entry.model_copy(update={"profile": "p2p", "changes": changes[name]})
        for name, entry in file.carriers.items()
    }
    return file.model_copy(update={"carriers": carriers})


def nobody_stores() -> NetworkFile:
    return _network({"store_and_forward": False}, {"store_and_forward": False})


def sessions_end_at_a_server() -> NetworkFile:
    """Blue's server hands out what comes in a session as MESSAGEs: no session leads to a phone of his."""
    return _network({"store_and_forward": False}, {"chat_auth": False})


async def _phones(stage: Stage, names: tuple[str, ...], device: str | None) -> dict[str, tuple[Phone, str]]:
    """Phones by name, each with the number that it writes to."""
    found = {}
    for name in names:
        number = ALICE if name.startswith("alice") else BOB
        found[name] = (await stage.phone(name, number, device), BOB if number == ALICE else ALICE)
        await asyncio.sleep(2)
    return found


async def _everybody_is_read(stage: Stage, phones: dict[str, tuple[Phone, str]]) -> None:
    """Of each phone one of three messages is; whichever is not ends with a failure that its sender sees."""
    for name, (phone, peer) in phones.items():
        sent = []
        for number in range(_PROBES):
            sent.append(phone.chat(peer).send(f"{number} from {name}"))
            await asyncio.sleep(1800)
            if sent[-1].state in _READ:
                break
        assert sent[-1].state in _READ, notes(stage, phone)
        assert {each.state for each in sent[:-1]} <= {*_READ, MessageState.FAILED}, notes(stage, phone)
        assert all(each.scheme is Scheme.MLS for each in sent)
    assert readable(stage, " from ") == []


@pytest.mark.parametrize("first", ["alice", "bob", "bob2", "bob3"])
@pytest.mark.parametrize("device", [None, "lineage-like"])
@pytest.mark.parametrize("network", [nobody_stores, sessions_end_at_a_server, p2p])
def test_whoever_begins_all_of_three_devices_are_read_in_the_end(network: Any, device: str | None, first: str) -> None:
    @scenario(network, is_read_by_others=False)
    async def play(stage: Stage) -> None:
        phones = await _phones(stage, ("alice", "bob", "bob2", "bob3"), device)
        phone, peer = phones[first]
        phone.chat(peer).send("0 from the beginning")
        await asyncio.sleep(70)
        await _everybody_is_read(stage, phones)
        await _everybody_is_read(stage, phones)
        assert {each.chat(peer).label for each, peer in phones.values()} == {LOCKED}

    play()


@scenario(nobody_stores, is_read_by_others=False)
async def test_who_asks_in_a_session_of_his_own_gets_the_welcome_of_the_present_era(stage: Stage) -> None:
    """No new era is needed for a device that did not get the Welcome of this one."""
    phones = await _phones(stage, ("alice", "bob", "bob2"), "lineage-like")  # no instance id, no copies
    alice = phones["alice"][0]
    await alice.chat(BOB).send("to whoever takes it").delivered(within_s=60)
    (outside,) = [phone for phone, _ in (phones["bob"], phones["bob2"]) if engine_of(phone, ALICE).group is None]
    stage.sim.phones["alice"].chat(BOB).end_session()
    await asyncio.sleep(60)
    await alice.chat(BOB).send("to both").delivered(within_s=60)
    await asyncio.sleep(60)
    assert count_notes(stage, alice, "Welcome given again") == 1
    states = {engine_of(phone, peer).identifier for phone, peer in phones.values()}
    assert len(states) == 1
    assert engine_of(alice, BOB).identifier.era_id == 1
    assert texts(outside)[-1] == "to both"


@scenario(p2p, is_read_by_others=False)
async def test_the_time_for_which_encryption_is_waited_for_stands_still_while_a_phone_is_off(stage: Stage) -> None:
    """What was written while the lock was being set up does not go in clear because the battery was empty."""
    alice, bob = await stage.alice_and_bob()
    message = alice.chat(BOB).send("written before the night")
    await asyncio.sleep(0.3)
    assert message.state is MessageState.QUEUED
    await alice.lose_power()
    await asyncio.sleep(8 * 3600)
    await alice.power_on()
    await message.delivered(within_s=120)
    assert message.scheme is Scheme.MLS
    assert texts(bob) == ["written before the night"]
    assert readable(stage, "before the night") == []


def _only_red_stores() -> NetworkFile:
    return _network({}, {"store_and_forward": False})


@scenario(_only_red_stores)
async def test_what_was_sealed_in_a_group_that_is_no_more_goes_again_though_another_device_was_told(
    stage: Stage,
) -> None:
    """The peer's new handset says that it cannot read while the phone that wrote is away."""
    phones = await _phones(stage, ("alice", "bob", "bob2"), None)
    bob, alice = phones["bob"][0], phones["alice"][0]
    await (await bob.chat(ALICE).send("first")).delivered(within_s=60)
    await alice.power_off()
    message = await bob.chat(ALICE).send("for whoever comes")
    await message.sent(within_s=60)
    await bob.airplane(on=True)
    await alice.wipe()
    await alice.power_on()
    await asyncio.sleep(3600)
    assert message.state is MessageState.SENT
    await bob.airplane(on=False)
    await alice.chat(BOB).send("hello again")
    await message.delivered(within_s=1800)
    assert texts(alice).count("for whoever comes") == 1
    assert readable(stage, "for whoever comes") == []
