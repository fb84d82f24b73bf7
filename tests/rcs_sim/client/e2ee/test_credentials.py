from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from ims_core.transport.tokens import Tokens
from rcs_sim.client.e2ee.credentials import RENEW_BEFORE_S, Credentials, CredentialState
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule
from rcs_sim.e2ee.member.enrolment import Enrolment
from rcs_sim.server.kds_enrolment import EnrolmentRules, check_enrolment
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.stage import ALICE, Stage, scenario

_DAY_S = 86_400


def _credentials(phone: Phone) -> Credentials:
    assert phone.encryption is not None
    assert phone.encryption.mls is not None
    return phone.encryption.mls.credentials


def _fault(stage: Stage, **changes: Any) -> None:
    service = stage.sim.lab.carriers["red"].key_service
    assert service is not None
    service.server.fault = KdsFault(**changes)


def _states(stage: Stage) -> list[str]:
    return [one for one in stage.states(stage.sim.phones["alice"], "encryption") if one != "not enrolled"]


@scenario("two-carriers")
async def test_a_phone_enrols_before_it_registers_and_announces_what_it_has(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    assert _states(stage)[:3] == ["enrolling", "certified", "ready"]
    (register, *_) = stage.requests("REGISTER", "alice")
    assert '+g.gsma.rcs.mls.mls-kds="2"' in (register.text("Contact") or "")
    credentials = _credentials(alice)
    assert credentials.pool.estimate == credentials.profile.keypackage_one_time


@scenario("two-carriers")
async def test_one_that_cannot_enrol_registers_without_and_goes_on_trying(stage: Stage) -> None:
    _fault(stage, is_down=True)
    alice = await stage.phone("alice", ALICE)
    assert _credentials(alice).state is CredentialState.WAITING
    (register, *_) = stage.requests("REGISTER", "alice")
    assert "mls-kds" not in (register.text("Contact") or "")
    await asyncio.sleep(100)
    _fault(stage)
    await asyncio.sleep(400)
    assert _credentials(alice).is_ready
    assert '+g.gsma.rcs.mls.mls-kds="2"' in (stage.requests("REGISTER", "alice")[-1].text("Contact") or "")


@scenario("two-carriers", is_read_by_others=False)
async def test_a_certificate_is_renewed_before_it_blocks_anybody_and_keeps_key_and_name(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE, "ios")
    credentials = _credentials(alice)
    assert credentials.setting is not None
    first = credentials.setting.identity
    life_s = first.certificate.not_after_s - credentials.now_s()
    await alice.airplane(True)
    await asyncio.sleep(life_s - RENEW_BEFORE_S + _DAY_S)
    await alice.airplane(False)
    await asyncio.sleep(60)
    second = credentials.setting.identity
    assert second.certificate.not_after_s > first.certificate.not_after_s
    assert (second.client_id, second.leaf_key.public) == (first.client_id, first.leaf_key.public)
    assert second.certificate.serial != first.certificate.serial


@scenario("two-carriers", is_read_by_others=False)
async def test_key_packages_are_fresh_every_day(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    minted_s = _credentials(alice).pool.minted_s
    assert minted_s is not None
    await asyncio.sleep(_DAY_S + 600)
    assert (_credentials(alice).pool.minted_s or 0) >= minted_s + _DAY_S


@scenario("two-carriers")
async def test_a_factory_reset_makes_another_client_and_another_participant_key(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    before = _credentials(alice)
    await alice.wipe()
    await alice.power_on()
    after = _credentials(alice)
    assert after.is_ready
    assert after.client_id != before.client_id
    assert after.participant.spki != before.participant.spki


def _leaf_with_an_ended_proof(stage: Stage) -> tuple[bytes, ...]:
    """A chain of red's that is right in everything, but that its proof has ended (RCC.16 A.3.8.10)."""
    service, now_s = stage.sim.lab.carriers["red"].key_service, int(stage.sim.clock.now())
    assert service is not None
    pki, tokens, digits = service.server.pki, Tokens("ended"), "12025550102"
    enrolment = Enrolment.start(digits, tokens.uuid(), pki.vendor_id, tokens.octets, now_s)
    proof = service.proof(digits, enrolment.participant.spki, now_s)
    rules = EnrolmentRules(vendor_id=pki.vendor_id, proof_spki=b"", accepts_empty_proof=True)
    content = check_enrolment(enrolment.certificate_request(b""), rules, now_s).content
    return (pki.issue_leaf(replace(content, acs_proof=proof.encode()), now_s), *pki.ica_chain)


@pytest.mark.parametrize(("device", "refuses"), [("android", True), ("ios", False), ("strict-v3", False)])
@scenario("two-carriers")
async def test_a_proof_that_has_ended_counts_for_a_phone_whose_profile_says_so(
    stage: Stage, device: str, refuses: bool
) -> None:
    """The Google-like one refuses it; others let it pass (digest RCC.16 §14.2, §14.14)."""
    phone = await stage.phone("alice", ALICE, device)
    validator, chain = _credentials(phone).validator, _leaf_with_an_ended_proof(stage)
    assert validator is not None
    for each in (validator, validator.with_revoked(())):
        with pytest.raises(CertificateRefused) if refuses else nullcontext() as caught:
            each.validate(chain, _credentials(phone).now_s())
        assert caught is None or caught.value.certificate_rule is CertificateRule.ACS_PROOF_EXPIRY


@scenario("two-carriers-plain")
async def test_where_the_carrier_has_no_key_service_nothing_is_made(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    assert alice.encryption is not None
    assert (alice.encryption.mls, alice.encryption.state) == (None, CredentialState.OFF)
    assert alice.encryption.contact_params == ""
