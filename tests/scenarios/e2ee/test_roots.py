"""Authorities that change while a network runs (RCC.16 digest §1.4, §2.6, §14.7, §14.8)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.key_service import KeyService
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, locked, mls_of, notes, rekey

_DAY_S = 24 * 3600.0
_TOLD_S = 9 * _DAY_S  # a day until the other carrier asks, a week until a phone is configured anew


def _service(stage: Stage, carrier: str) -> KeyService:
    service = stage.sim.lab.carriers[carrier].key_service
    assert service is not None
    return service


def _issuer(phone: Phone) -> bytes:
    setting = mls_of(phone).credentials.setting
    assert setting is not None
    return setting.identity.chain[-1]


async def _off_for(seconds: float, *phones: Phone) -> None:
    for phone in phones:
        await phone.power_off()
    await asyncio.sleep(seconds)
    for phone in phones:
        await phone.power_on()
    await asyncio.sleep(2 * _DAY_S)


async def _say(phone: Phone, peer: str, text: str) -> None:
    message = await phone.chat(peer).send(text)
    await message.delivered(within_s=900)
    assert message.scheme is Scheme.MLS, text


@scenario("two-carriers", is_read_by_others=False)
async def test_a_root_is_replaced_and_no_lock_is_lost(stage: Stage) -> None:
    """Announced, then used, then the old one withdrawn: phones renew as usual, and the group stays the same."""
    alice, bob = await locked(stage)
    blue, old = _service(stage, "blue"), _service(stage, "blue").plan.pki
    new = await blue.announce_root()
    await _off_for(_TOLD_S, alice, bob)
    for phone in (alice, bob):
        validator = mls_of(phone).credentials.validator
        assert validator is not None
        assert new.anchor in validator.anchors.anchors
    blue.issue_under(new)
    await _off_for(28 * _DAY_S, alice, bob)  # bob's certificate is good for 60 days
    assert _issuer(bob) == new.ica_chain[-1]
    await _say(alice, BOB, "under another root")
    await blue.withdraw_root(old.anchor)
    assert blue.own_roots == (new.anchor,)
    await _off_for(_TOLD_S, alice, bob)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        rekey(phone, peer)
        await asyncio.sleep(60)
        await _say(phone, peer, f"{phone.name} without the old one")
        assert phone.chat(peer).label == LOCKED
    identifier = engine_of(alice, BOB).identifier
    assert identifier == engine_of(bob, ALICE).identifier
    assert identifier is not None
    assert identifier.era_id == 1, notes(stage, alice)
    assert readable(stage, "under another") == readable(stage, "without the old") == []


@scenario("two-carriers", is_read_by_others=False)
async def test_a_root_that_is_withdrawn_at_once_ends_no_lock_in_silence(stage: Stage) -> None:
    """As after a compromise: who still stands under it is not sealed for until his phone has another certificate."""
    alice, bob = await locked(stage)
    blue, old = _service(stage, "blue"), _service(stage, "blue").plan.pki
    await bob.power_off()
    blue.issue_under(await blue.announce_root())
    await blue.withdraw_root(old.anchor)
    await asyncio.sleep(_TOLD_S)
    refused = alice.chat(BOB).send("to whoever has the old root")
    rekey(alice, BOB)
    await asyncio.sleep(600)
    assert refused.state is MessageState.FAILED, notes(stage, alice)
    assert alice.chat(BOB).label == LOCKED
    await bob.power_on()
    await asyncio.sleep(_DAY_S)
    assert _issuer(bob) != old.ica_chain[-1]
    await _say(alice, BOB, "to the one with the new")
    await _say(bob, ALICE, "and back")
    assert "to whoever has the old root" not in texts(bob)
    assert readable(stage, "to whoever") == readable(stage, "to the one") == []


@scenario("two-carriers", is_read_by_others=False)
async def test_intermediates_are_renewed_below_the_same_root(stage: Stage) -> None:
    alice, bob = await locked(stage)
    for carrier in ("red", "blue"):
        service = _service(stage, carrier)
        before = service.server.pki
        service.renew_intermediates()
        assert service.server.pki.root_der == before.root_der
        assert service.server.pki.ica_der != before.ica_der
    for phone in (alice, bob):
        was = _issuer(phone)
        mls_of(phone).credentials.enrol_anew()
        await asyncio.sleep(60)
        assert _issuer(phone) != was
    await _say(alice, BOB, "nothing has happened")
    await _say(bob, ALICE, "has it?")
    assert not engine_of(alice, BOB).stale_members(int(stage.sim.clock.now()))


@scenario("two-carriers")
async def test_the_root_in_use_stays_and_an_unknown_one_is_not_used(stage: Stage) -> None:
    service = _service(stage, "red")
    with pytest.raises(LocalProtocolError):
        await service.withdraw_root(service.plan.pki.anchor)
    unknown = service.plan.authorities("nobody", int(stage.sim.clock.now()))
    with pytest.raises(LocalProtocolError):
        service.issue_under(unknown)


@scenario("two-carriers")
async def test_under_an_authority_that_ends_a_phone_asks_once_a_day_until_there_is_another(stage: Stage) -> None:
    """Its packages would be refused, and every commit beside it (A.4.2.2, A.4.3.1)."""
    blue, now_s = _service(stage, "blue"), int(stage.sim.clock.now())
    ending = blue.plan.authorities("blue", now_s - 1800 * 86_400)  # of 1825 days
    blue.server.pki = replace(blue.server.pki, intermediates=ending.intermediates)
    bob = await stage.phone("bob", BOB, "ios")
    await asyncio.sleep(3 * _DAY_S)
    asked = [each for each in stage.sink.records if each.summary.startswith("POST /mls/v1/certificate")]
    assert 3 <= len(asked) <= 5
    assert not mls_of(bob).credentials.is_ready
    blue.renew_intermediates()
    await asyncio.sleep(1.5 * _DAY_S)
    assert mls_of(bob).credentials.is_ready
