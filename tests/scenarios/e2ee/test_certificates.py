"""Certificates that grow old in encrypted conversations: the 30-day floor, expiry, revocation (RCC.16 A.4, §9.5.3)."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, focus_fault, locked, mls_of, notes, rekey, thread_of

_DAY_S = 24 * 3600.0


def _with(profile: str) -> NetworkFile:
    file = load_network("two-carriers")
    carriers = {name: entry.model_copy(update={"profile": profile}) for name, entry in file.carriers.items()}
    return file.model_copy(update={"carriers": carriers})


async def _away(alice: Phone, bob: Phone, days: int) -> None:
    for phone in (alice, bob):
        await phone.power_off()
    await asyncio.sleep(days * _DAY_S)


def _google() -> NetworkFile:
    return _with("google-like")


def _strict() -> NetworkFile:
    return _with("rcc16-strict")


@scenario("two-carriers", is_read_by_others=False)
async def test_a_certificate_is_renewed_in_time_and_the_group_gets_it(stage: Stage) -> None:
    alice, bob = await locked(stage)
    before = {phone.name: mls_of(phone).credentials.setting for phone in (alice, bob)}
    for phone in (alice, bob):
        await phone.power_off()
    await asyncio.sleep(28 * _DAY_S)
    for phone in (alice, bob):
        await phone.power_on()
    await asyncio.sleep(2 * _DAY_S)  # bob's is renewed: it is good for 60 days, alice's for 75
    await alice.power_off()
    await asyncio.sleep(14 * _DAY_S)
    await alice.power_on()
    await asyncio.sleep(2 * _DAY_S)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        setting, held = mls_of(phone).credentials.setting, before[phone.name]
        assert setting is not None
        assert held is not None
        assert setting.identity.certificate.not_after_s > held.identity.certificate.not_after_s
        assert setting.identity.client_id == held.identity.client_id
        assert setting.identity.leaf_key.public == held.identity.leaf_key.public
        group = engine_of(phone, peer).group
        assert group is not None
        assert not group.has_stale_own_leaf, notes(stage, phone)
    message = await alice.chat(BOB).send("a month later")
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS
    assert engine_of(alice, BOB).stale_members(int(alice._messenger.alarms.now())) == frozenset()


@scenario("two-carriers", is_read_by_others=False)
async def test_an_era_that_is_not_needed_any_more_when_all_is_ready_is_not_made(stage: Stage) -> None:
    alice, bob = await locked(stage)
    thread, healing = thread_of(bob, ALICE), mls_of(bob)._healing
    assert healing.advance_era(thread, "in haste", is_urgent=True, is_needed=lambda: False)
    await asyncio.sleep(10)
    assert notes(stage, bob)[-1] == "no new era: what it was for has come about without it"
    message = await bob.chat(ALICE).send("still here")
    await message.delivered(within_s=30)
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier
    assert thread.engine.identifier is not None
    assert thread.engine.identifier.era_id == 1


@scenario(_strict, is_read_by_others=False)
async def test_a_member_inside_the_floor_blocks_commits_until_he_updates_himself(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await _away(alice, bob, 35)
    await alice.power_on()
    assert engine_of(alice, BOB).stale_members(int(alice._messenger.alarms.now())) == {BOB[1:]}
    rekey(alice, BOB)
    await asyncio.sleep(10)
    assert any(one.startswith("refused: expired-credential") for one in notes(stage, alice))
    message = alice.chat(BOB).send("messages still pass")
    await asyncio.sleep(10)
    assert message.state is MessageState.SENT
    await bob.power_on()
    await message.delivered(within_s=600)
    await asyncio.sleep(600)
    assert texts(bob)[-1] == "messages still pass"
    group = engine_of(bob, ALICE).group
    assert group is not None
    assert not group.has_stale_own_leaf, notes(stage, bob)
    rekey(alice, BOB)
    await asyncio.sleep(10)
    state = engine_of(alice, BOB).identifier
    assert state == engine_of(bob, ALICE).identifier
    assert engine_of(alice, BOB).stale_members(int(alice._messenger.alarms.now())) == frozenset()
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED


@pytest.mark.parametrize("days", [35, 70])
@scenario(_google, is_read_by_others=False)
async def test_where_messages_are_refused_too_they_fail_visibly_until_the_peer_is_back(stage: Stage, days: int) -> None:
    alice, bob = await locked(stage)
    await _away(alice, bob, days)
    await alice.power_on()
    message = alice.chat(BOB).send("not while he sleeps")
    await asyncio.sleep(300)
    assert message.state is MessageState.FAILED
    assert message.reason is FallbackReason.ENCRYPTION_REFUSED
    assert readable(stage, "while he sleeps") == []
    assert alice.chat(BOB).label == LOCKED
    await bob.power_on()
    await asyncio.sleep(1200)
    again = await alice.chat(BOB).send("awake again")
    await again.delivered(within_s=900)
    assert again.scheme is Scheme.MLS, (notes(stage, alice), notes(stage, bob))
    assert texts(bob)[-1] == "awake again"


@scenario("two-carriers", is_read_by_others=False)
async def test_both_away_for_too_long_come_back_in_a_new_era(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await _away(alice, bob, 70)
    await alice.power_on()
    await bob.power_on()
    await asyncio.sleep(600)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        message = phone.chat(peer).send("long time no see")
        await asyncio.sleep(1800)
        if message.state is MessageState.FAILED:
            message = phone.chat(peer).send("once more")
            await asyncio.sleep(1800)
        assert message.state is MessageState.DELIVERED, (notes(stage, alice), notes(stage, bob))
        assert message.scheme is Scheme.MLS
    assert readable(stage, "long time") == []
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED


@scenario("two-carriers", is_read_by_others=False)
async def test_a_phone_whose_own_certificate_has_expired_seals_nothing(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await bob.power_off()
    service = stage.sim.lab.carriers["red"].key_service
    assert service is not None
    service.server.fault = KdsFault(is_down=True)
    await alice.power_off()
    await asyncio.sleep(77 * _DAY_S)
    await alice.power_on()
    assert not mls_of(alice).credentials.is_certificate_valid
    message = alice.chat(BOB).send("with an old passport")
    await asyncio.sleep(300)
    assert message.state is MessageState.FAILED
    assert message.reason is FallbackReason.NO_ENCRYPTION_IDENTITY
    assert readable(stage, "old passport") == []
    await bob.power_on()
    service.server.fault = KdsFault()
    await asyncio.sleep(2 * _DAY_S)
    again = alice.chat(BOB).send("with a new one")
    await asyncio.sleep(1800)
    if again.state is MessageState.FAILED:
        again = alice.chat(BOB).send("with a new one, again")
        await asyncio.sleep(1800)
    assert again.state is MessageState.DELIVERED, (notes(stage, alice)[-30:], notes(stage, bob)[-30:])
    assert thread_of(alice, BOB).is_encrypted


@scenario("two-carriers")
async def test_a_revoked_intermediate_makes_a_peer_one_without_packages(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    blue = stage.sim.lab.carriers["blue"].key_service
    red = stage.sim.lab.carriers["red"].key_service
    assert blue is not None
    assert red is not None
    for service in (blue, red):
        await service.listener.revoke([read_certificate(blue.plan.pki.ica_der).serial])
    message = await alice.chat(BOB).send("no trust, no lock")
    await message.delivered(within_s=120)
    assert (message.scheme, alice.chat(BOB).label) == (None, "RCS")


@scenario(_google, is_read_by_others=False)
async def test_who_lost_a_race_to_a_commit_that_never_came_looks_what_it_was(stage: Stage) -> None:
    """Random life `all` 51087: his new certificate was refused once, and then every text under the old one."""
    alice, bob = await locked(stage)
    focus_fault(stage, withholds_fan_out=True)
    rekey(bob, ALICE)
    await asyncio.sleep(10)
    focus_fault(stage)
    rekey(alice, BOB)
    await asyncio.sleep(60)
    assert any(one.startswith("refused: incorrect-epoch") for one in notes(stage, alice)), notes(stage, alice)
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier, notes(stage, alice)


@scenario(_google, is_read_by_others=False)
async def test_who_lost_a_race_and_has_what_won_does_not_ask_for_it(stage: Stage) -> None:
    alice, bob = await locked(stage)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        rekey(phone, peer)
    await asyncio.sleep(60)
    both = [*notes(stage, alice), *notes(stage, bob)]
    assert any(one.startswith("refused: incorrect-epoch") for one in both), both
    assert not any(one.startswith("repair") for one in both), both
