"""What goes wrong around an encrypted conversation: key services, reinstalls, lost control messages, outages."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.display import Shown
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.e2ee.test_life import LOCKED, encryption, readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import focus_fault, pair_locked, tombstones


def fault(stage: Stage, carrier: str, **changes: object) -> None:
    """From now on the key service of *carrier* has it; none without *changes*."""
    service = stage.sim.lab.carriers[carrier].key_service
    assert service is not None
    service.server.fault = KdsFault(**changes)  # type: ignore[arg-type]  # by name


async def locked(stage: Stage) -> tuple[Phone, Phone]:
    """Two phones with an encrypted conversation."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("we have a lock")).delivered(within_s=30)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    return alice, bob


@scenario("two-carriers")
async def test_with_the_key_service_down_a_phone_registers_without_and_comes_in_later(stage: Stage) -> None:
    fault(stage, "red", is_down=True)
    alice, bob = await stage.alice_and_bob()
    plain = await alice.chat(BOB).send("no lock yet")
    await plain.delivered(within_s=30)
    assert (plain.scheme, alice.chat(BOB).label) == (None, "RCS")
    fault(stage, "red")
    await asyncio.sleep(400)
    await (await bob.chat(ALICE).send("and now?")).delivered(within_s=60)
    sealed = await alice.chat(BOB).send("now there is one")
    await sealed.delivered(within_s=60)
    assert (sealed.scheme, alice.chat(BOB).label) == (Scheme.MLS, LOCKED)


@pytest.mark.parametrize("carrier", ["red", "blue"])
@scenario("two-carriers")
async def test_without_key_packages_a_conversation_stays_plain_and_shows_no_lock(stage: Stage, carrier: str) -> None:
    alice, _bob = await stage.alice_and_bob()
    fault(stage, carrier, is_down=True)
    message = await alice.chat(BOB).send("in clear, and said so")
    await message.delivered(within_s=120)
    assert (message.scheme, message.label, alice.chat(BOB).label) == (None, "RCS", "RCS")
    assert any("claim failed" in one for one in encryption(stage, "alice"))
    assert readable(stage, "in clear")
    fault(stage, carrier)
    await asyncio.sleep(120)
    upgraded = await alice.chat(BOB).send("later with a lock")
    await upgraded.delivered(within_s=60)
    assert upgraded.scheme is Scheme.MLS


@pytest.mark.parametrize("who", ["alice", "bob"])
@scenario("two-carriers")
async def test_after_a_reinstall_the_lock_comes_back_and_nothing_is_lost(stage: Stage, who: str) -> None:
    alice, bob = await locked(stage)
    wiped, other, peer = (bob, alice, BOB) if who == "bob" else (alice, bob, ALICE)
    await wiped.wipe()
    await wiped.power_on()
    message = await other.chat(peer).send("can you still read me?")
    await message.delivered(within_s=300)
    assert texts(wiped) == ["can you still read me?"]
    back = await wiped.chat(other).send("yes, I can")
    await back.delivered(within_s=300)
    assert (message.scheme, back.scheme) == (Scheme.MLS, Scheme.MLS)
    assert wiped.chat(other).label == other.chat(peer).label == LOCKED
    assert readable(stage, "still read me") == readable(stage, "yes, I can") == []


@scenario("two-carriers")
async def test_who_was_reinstalled_and_writes_first_is_read_too(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await bob.wipe()
    await bob.power_on()
    message = await bob.chat(ALICE).send("new phone, same number")
    await message.delivered(within_s=300)
    assert message.scheme is Scheme.MLS
    assert texts(alice)[-1] == "new phone, same number"
    assert readable(stage, "same number") == []
    assert [one.details["text"] for one in stage.shown(alice, Shown.TOMBSTONE)] == ["security code changed"]


@scenario("two-carriers")
async def test_a_phone_that_loses_power_goes_on_where_it_was(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await bob.lose_power()
    message = await alice.chat(BOB).send("while your battery is empty")
    await asyncio.sleep(600)
    await bob.power_on()
    await message.delivered(within_s=300)
    assert texts(bob)[-1] == "while your battery is empty"
    assert message.scheme is Scheme.MLS
    back = await bob.chat(ALICE).send("full again")
    await back.delivered(within_s=60)
    assert back.scheme is Scheme.MLS


@pytest.mark.parametrize(
    "element", ["red.pcscf", "blue.pcscf", "red.ibcf", "blue.messaging_server", "red.messaging_server"]
)
@scenario("two-carriers")
async def test_an_outage_while_the_lock_is_set_up_ends_locked_or_visibly_not(stage: Stage, element: str) -> None:
    alice, _bob = await stage.alice_and_bob()
    message = alice.chat(BOB).send("in the middle of it")
    await asyncio.sleep(0.35)
    await stage.sim.cut(element)
    await asyncio.sleep(90)
    await stage.sim.restore(element)
    await asyncio.sleep(600)
    assert message.state in (MessageState.DELIVERED, MessageState.FAILED)
    again = await alice.chat(BOB).send("after it")
    await again.delivered(within_s=300)
    assert (again.scheme is Scheme.MLS) is (alice.chat(BOB).label == LOCKED)
    for sent in (message, again):
        if sent.transport is MessageTransport.RCS and sent.state is not MessageState.FAILED:
            assert bool(readable(stage, sent.text)) is (sent.scheme is None)


@pytest.mark.parametrize("theirs", ["android", "ios", "strict-v3"])
@pytest.mark.parametrize("ours", ["android", "ios"])
@scenario("two-carriers")
async def test_what_was_sealed_after_an_end_that_got_lost_still_gets_its_receipt(
    stage: Stage, ours: str, theirs: str
) -> None:
    alice, bob = await pair_locked(stage, ours, theirs)
    focus_fault(stage, withholds_fan_out=True)
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(5)
    message = await alice.chat(BOB).send("i know of no end")
    await message.delivered(within_s=30)
    assert (message.scheme, texts(bob)[-1]) == (Scheme.MLS, "i know of no end")
    assert readable(stage, "i know of no end") == []
    await asyncio.sleep(10)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    assert tombstones(stage, alice) == tombstones(stage, bob) == ["encryption ended"]
