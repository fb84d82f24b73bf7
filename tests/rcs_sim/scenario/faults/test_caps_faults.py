"""``caps.``: each word acts on what phones learn of each other, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

from rcs_sim.scenario.faults.caps_faults import CAPS_FAULTS, without_mls_tags
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.faults import acts, marks


def test_the_words_are_those_of_the_design() -> None:
    assert {kind.word for kind in CAPS_FAULTS} == {"caps.strip_mls", "caps.unknown", "caps.lie"}


def test_only_the_tags_of_mls_are_taken_away_and_only_from_headers() -> None:
    contact = b'Contact: <sip:b@h>;+g.x;+g.gsma.rcs.mls.mls-version="v1";+g.gsma.rcs.mls.mls-kds="1";expires=9'
    octets = b"OPTIONS sip:a SIP/2.0\r\n" + contact + b"\r\n\r\n;+g.gsma.rcs.mls.mls-kds"
    assert without_mls_tags(octets) == (
        b"OPTIONS sip:a SIP/2.0\r\nContact: <sip:b@h>;+g.x;expires=9\r\n\r\n;+g.gsma.rcs.mls.mls-kds"
    )
    plain = b"OPTIONS sip:a SIP/2.0\r\nContact: <sip:b@h>;+g.x\r\n\r\n"
    assert without_mls_tags(plain) is plain


@scenario("two-carriers")
async def test_a_phone_whose_tags_are_taken_away_is_written_to_in_clear(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB, is_on=False)
    async with stage.sim.fault("caps.strip_mls", of="bob"):
        await bob.power_on()
        await asyncio.sleep(2)
        message = await alice.chat(BOB).send("no lock")
        await message.delivered(within_s=30)
        assert message.label == "RCS"
    assert marks(stage.sink.records, "caps.strip_mls") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_and_with_a_lock_when_they_pass(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    await (await stage.sim.begin_fault("caps.strip_mls", of="bob")).end()
    message = await alice.chat(BOB).send("locked")
    await message.delivered(within_s=30)
    assert message.label == "RCS · encrypted"
    assert marks(stage.sink.records, "caps.strip_mls") == ["begins", "ends"]


@scenario()
async def test_nobody_learns_anything_and_then_does(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    async with stage.sim.fault("caps.unknown", of="bob", status=408):
        alice.chat(BOB)
        await asyncio.sleep(3)
        assert stage.requests("OPTIONS", target="bob") == []
    assert acts(stage.sink.records, "caps.unknown")[0].raw.startswith(b"SIP/2.0 408 ")
    await asyncio.sleep(90_000)
    alice.chat(BOB)
    await asyncio.sleep(3)
    assert len(stage.requests("OPTIONS", target="bob")) == 1
    assert marks(stage.sink.records, "caps.unknown") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_lie_is_announced_and_no_message_is_sealed_for_who_has_no_keys(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB, is_on=False)
    async with stage.sim.fault("kds.down", carrier="blue"), stage.sim.fault("caps.lie", of="bob"):
        await bob.power_on()
        await asyncio.sleep(2)
        message = alice.chat(BOB).send("for whom?")
        await asyncio.sleep(30)
        assert message.label != "RCS · encrypted"
    told = acts(stage.sink.records, "caps.lie")
    assert b"+g.gsma.rcs.mls.mls-version" in told[0].raw
    assert marks(stage.sink.records, "caps.lie") == ["begins", "acts", "ends"]
