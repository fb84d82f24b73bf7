from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from ims_core.store.configuration import ConfigurationRecord
from ims_core.transport.tokens import Tokens
from rcs_sim.client.e2ee.credentials import RENEW_BEFORE_S, Credentials, CredentialState
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule
from rcs_sim.e2ee.member.enrolment import Enrolment
from rcs_sim.e2ee.vendor_pki import VendorPki
from rcs_sim.scenario.faults.passing import Line, Passing
from rcs_sim.scenario.key_service import KeyService
from rcs_sim.server.kds_enrolment import EnrolmentRules, check_enrolment
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.encryption_parameters import EncryptionParameters
from rcs_sim.wire.key_directory import FederationAnchor, FederationAnchors
from tests.scenarios.stage import ALICE, BOB, Stage, scenario

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
async def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_key(stage: Stage) -> None:
    """The directory has the client by then, and would take no other key for it."""
    lost = list[bytes]()

    def apply(passing: Passing) -> bytes | None:
        if passing.target != "alice" or b'"leaf"' not in passing.octets or lost:
            return passing.octets
        lost.append(passing.octets)
        return None

    stage.sim.faults.tap.add((Line.HTTP,), apply)
    alice = await stage.phone("alice", ALICE)
    await asyncio.sleep(120)
    assert lost
    assert _credentials(alice).is_ready


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


def _service(stage: Stage, carrier: str) -> KeyService:
    service = stage.sim.lab.carriers[carrier].key_service
    assert service is not None
    return service


def _lists(stage: Stage) -> list[tuple[str, str]]:
    """From whom the phone has fetched trust-anchor lists, and which."""
    asked = (one for one in stage.sink.records if one.protocol == "HTTP" and one.source == "alice")
    return [(one.target, one.summary.rpartition("/")[2]) for one in asked if "/trust-anchors/" in one.summary]


def _parameters_of(stage: Stage, carrier: str, held: EncryptionParameters) -> EncryptionParameters:
    told = (
        _service(stage, carrier)
        .encryption()
        .parameters(ConfigurationRecord("+1", participant_key=b"x", identity_proof=held.identity_proof))
    )
    assert told is not None
    return told


@scenario("two-carriers")
async def test_the_list_of_another_signer_is_fetched_whatever_its_generation(stage: Stage) -> None:
    """Two carriers count for themselves: generation 1 of one is not that of the other (§14.8)."""
    alice = await stage.phone("alice", ALICE)
    credentials = _credentials(alice)
    assert credentials.kds is not None
    assert credentials._parameters is not None
    far = _service(stage, "blue")
    moved = VendorPki.derive(b"moved", vendor_id=2, kds=2, operator="red", now_s=credentials.now_s())
    listed = [
        FederationAnchor(vendor_id=2, kds=2, der=each.der) for each in (*far.anchors, moved.anchor) if each.kds == 2
    ]
    held = credentials._parameters
    assert _lists(stage) == [("red.kds", "1")]
    credentials.configured(credentials.kds, _parameters_of(stage, "blue", held), credentials.msisdn)
    await asyncio.sleep(5)
    assert _lists(stage) == [("red.kds", "1"), ("blue.kds", "1")]
    far.server.anchors_told(_service(stage, "red").plan.peer(), FederationAnchors(2, tuple(listed)).encode(), 0)
    credentials.configured(credentials.kds, _parameters_of(stage, "blue", held), credentials.msisdn)
    await asyncio.sleep(5)
    credentials.configured(credentials.kds, held, credentials.msisdn)
    await asyncio.sleep(5)
    assert [generation for _, generation in _lists(stage)] == ["1", "1", "2", "1"]
    assert credentials.is_ready
    assert credentials.validator is not None
    assert len(credentials.validator.anchors.anchors) == 2


@pytest.mark.parametrize("fault", [{"stale_anchors": 1}, {"stale_anchors": 7}])
@scenario("two-carriers")
async def test_a_list_that_must_not_be_used_leaves_the_old_one_and_all_else_goes_on(
    stage: Stage, fault: dict[str, int]
) -> None:
    alice = await stage.phone("alice", ALICE)
    credentials, service = _credentials(alice), _service(stage, "red")
    assert credentials.kds is not None
    assert credentials.setting is not None
    assert credentials._parameters is not None
    old, serial = credentials.roots.held, credentials.setting.identity.certificate.serial
    _fault(stage, **fault)
    credentials.configured(
        credentials.kds, replace(credentials._parameters, trust_anchors_generation=2), credentials.msisdn
    )
    await asyncio.sleep(5)
    assert "kept" in stage.states(alice, "trust anchors")
    assert credentials.is_ready
    credentials.enrol_anew()
    await asyncio.sleep(5)
    assert credentials.roots.held is old
    assert credentials.setting.identity.certificate.serial != serial
    _fault(stage)
    moved = VendorPki.derive(b"moved", vendor_id=1, kds=1, operator="blue", now_s=credentials.now_s())
    told = FederationAnchors(2, (FederationAnchor(vendor_id=1, kds=1, der=moved.root_der),))
    service.server.anchors_told(_service(stage, "blue").plan.peer(), told.encode(), stage.sim.clock.now())
    await asyncio.sleep(3600)  # it asks again by itself
    assert credentials.roots.held is not None
    assert credentials.roots.held.generation == 2


@scenario("two-carriers")
async def test_a_configuration_that_comes_in_the_middle_of_an_enrolment_counts_too(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    credentials = _credentials(alice)
    assert credentials.kds is not None
    assert credentials._parameters is not None
    held = credentials._parameters
    _fault(stage, delay_s=3)
    credentials.enrol_anew()
    await asyncio.sleep(1)
    credentials.configured(credentials.kds, _parameters_of(stage, "blue", held), credentials.msisdn)
    await asyncio.sleep(30)
    assert _lists(stage) == [("red.kds", "1"), ("blue.kds", "1")]
    assert credentials.is_ready


@scenario("two-carriers")
async def test_an_enrolment_for_the_number_before_ends_when_another_number_comes(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    credentials = _credentials(alice)
    assert credentials.kds is not None
    assert credentials._parameters is not None
    _fault(stage, delay_s=3)
    credentials.enrol_anew()
    await asyncio.sleep(1)
    credentials.configured(credentials.kds, credentials._parameters, "12025550102")
    await asyncio.sleep(20)
    assert credentials.setting is None  # the proof is for alice's number
    assert not credentials.is_ready
    assert "not enrolled" in stage.states(alice, "encryption")


@scenario("two-carriers")
async def test_a_directory_that_asks_for_patience_gets_it(stage: Stage) -> None:
    _fault(stage, retry_after_s=3000)
    alice = await stage.phone("alice", ALICE)
    asked = len(_lists(stage))
    assert asked == 1
    await asyncio.sleep(2900)
    assert len(_lists(stage)) == asked
    _fault(stage)
    await asyncio.sleep(200)
    assert _credentials(alice).is_ready


@scenario("two-carriers-plain")
async def test_where_the_carrier_has_no_key_service_nothing_is_made(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    assert alice.encryption is not None
    assert (alice.encryption.mls, alice.encryption.state) == (None, CredentialState.OFF)
    assert alice.encryption.contact_params == ""


def _uploads(stage: Stage, phone: str) -> int:
    asked = (one for one in stage.sink.records if one.protocol == "HTTP" and one.source == phone)
    return sum(one.summary == "POST /mls/v1/keypackages" for one in asked)


@pytest.mark.parametrize(("last_resort_only", "uploads"), [(False, 1), (True, 2)])
@scenario("two-carriers")
async def test_a_welcome_that_was_sealed_to_the_last_resort_fills_the_pool_again(
    stage: Stage, last_resort_only: bool, uploads: int
) -> None:
    """Nobody else tells that the pool is empty (digest RCC.16 §2.4)."""
    alice, _bob = await stage.alice_and_bob()
    _service(stage, "blue").server.fault = KdsFault(last_resort_only=last_resort_only)
    assert _uploads(stage, "bob") == 1
    await (await alice.chat(BOB).send("hello")).delivered(within_s=30)
    await asyncio.sleep(10)
    assert _uploads(stage, "bob") == uploads


@scenario("two-carriers")
async def test_who_could_not_publish_his_packages_is_not_ready_and_publishes_them_with_the_next_attempt(
    stage: Stage,
) -> None:
    """Else he is announced, and nobody can claim anything of him for a day (digest RCC.16 §2.4)."""
    lost = list[bytes]()

    def apply(passing: Passing) -> bytes | None:
        if b"POST /mls/v1/keypackages HTTP" not in passing.octets or len(lost) == 2:
            return passing.octets
        lost.append(passing.octets)
        return None

    stage.sim.faults.tap.add((Line.HTTP,), apply)
    alice = await stage.phone("alice", ALICE)
    credentials = _credentials(alice)
    await asyncio.sleep(55)  # 20 s for an answer, 30 s of pause
    assert (len(lost), credentials.is_ready) == (2, False)
    await asyncio.sleep(200)
    assert credentials.is_ready
    service = stage.sim.lab.carriers["red"].key_service
    assert service is not None
    assert set(service.server.directory.pool_sizes(ALICE[1:]).values()) == {11}
