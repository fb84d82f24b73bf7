from __future__ import annotations

import asyncio

from rcs_sim.client.e2ee.credentials import CredentialState
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.phone import Phone
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import LOCKED, locked, mls_of


def _contact(stage: Stage, phone: Phone) -> str:
    requests = stage.requests("REGISTER", phone.name)
    return requests[-1].text("Contact") or ""


def _is_ready(phone: Phone) -> bool:
    return phone.encryption is not None and phone.encryption.is_ready


@scenario("two-carriers")
async def test_what_is_announced_waits_for_a_certificate_and_packages(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    assert alice.encryption is not None
    assert alice.encryption.is_ready
    assert alice.encryption.state is CredentialState.READY
    assert "+g.gsma.rcs.mls.mls-kds" in alice.encryption.contact_params
    assert '+g.gsma.rcs.mls.mls-version="v1"' in _contact(stage, alice)
    assert '+g.gsma.rcs.mls.mls-kds="2"' in _contact(stage, alice)
    assert repr(alice.encryption) == "<PhoneEncryption ready>"


@scenario("two-carriers")
async def test_without_a_key_service_a_phone_registers_in_time_and_announces_nothing(stage: Stage) -> None:
    service = stage.sim.lab.carriers["red"].key_service
    assert service is not None
    service.server.fault = KdsFault(is_down=True)
    alice = await stage.phone("alice", ALICE)
    assert alice.is_registered
    assert not _is_ready(alice)
    assert "mls" not in _contact(stage, alice)
    service.server.fault = KdsFault()
    await asyncio.sleep(120)
    assert _is_ready(alice)
    assert "mls-kds" in _contact(stage, alice)


@scenario("two-carriers")
async def test_the_participant_key_outlives_power_and_not_a_wipe(stage: Stage) -> None:
    alice, bob = await locked(stage)
    assert alice.encryption is not None
    key, code = alice.encryption.participant.spki, alice.chat(BOB).security_code
    await alice.power_off()
    await alice.power_on()
    assert alice.encryption.participant.spki == key
    assert alice.chat(BOB).security_code == code
    await alice.wipe()
    await alice.power_on()
    assert alice.encryption is not None
    assert alice.encryption.participant.spki != key
    message = await bob.chat(ALICE).send("is that still you?")
    await message.delivered(within_s=300)
    assert bob.chat(ALICE).security_code != code


@scenario("two-carriers")
async def test_a_conversation_stays_locked_over_a_night_with_the_power_off(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await bob.power_off()
    await asyncio.sleep(8 * 3600)
    await bob.power_on()
    message = await bob.chat(ALICE).send("good morning")
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    assert mls_of(bob).credentials.is_ready
