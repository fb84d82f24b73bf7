"""Enrolment (RCC.16 §5.1, A.3.8.9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.certificate_issuer import LeafRequest
from rcs_sim.e2ee.member.enrolment import Enrolment, EnrolmentRefused
from rcs_sim.e2ee.participant_information import ParticipantInformation
from rcs_sim.e2ee.participant_key import csr_pop_input, leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.profile import E2eeProfile, google_like_profile
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.mls.signature import ECDSA_P256
from rcs_sim.wire.key_directory import EnrolmentRequest
from tests.support.member_devices import ALICE, BOB, NOW_S, certify, enrol, seeded_random, trust_of, vendor_pki

_PROFILE = google_like_profile()
_ID = "00000001-0000-4000-8000-012025550101"


def _enrolment(number: str = ALICE) -> Enrolment:
    return Enrolment.start(number, _ID, _PROFILE.vendor_id, seeded_random("enrolment"), NOW_S)


def _leaf(request: EnrolmentRequest, profile: E2eeProfile = _PROFILE) -> bytes:
    asked = LeafRequest(
        subject=request.subject_der,
        san=request.san_der,
        point=request.identity_pub,
        participant_information=request.participant_information,
        acs_proof=b"\x00\x00\x00\x00\x7f\xff\xff\xff\x02\x30\x00",
    )
    return vendor_pki(profile.vendor_id).issue_leaf(asked, NOW_S)


def test_the_request_proves_both_keys() -> None:
    enrolment = _enrolment()
    request = enrolment.certificate_request(b"proof")
    assert EnrolmentRequest.parse(request.encode()) == request
    assert (request.msisdn, request.client_id, request.acs_proof) == (ALICE, _ID, b"proof")
    information = ParticipantInformation.decode(request.participant_information)
    information.verify_possession(leaf_subject(_ID), spki_of_point(request.identity_pub), leaf_subject_alt_name(ALICE))
    assert information.participant_spki == enrolment.participant.spki
    assert ECDSA_P256.is_signed(request.identity_pub, csr_pop_input(ALICE, request.identity_pub), request.csr_pop)


def test_the_answer_gives_an_identity_without_the_root_in_its_chain() -> None:
    identity = certify(_enrolment(), _PROFILE, NOW_S)
    assert identity.chain[1:] == vendor_pki(_PROFILE.vendor_id).ica_chain
    assert identity.client_id == identity.certificate.common_name == _ID


def test_a_certificate_for_another_key_subject_or_number_is_refused() -> None:
    enrolment, pki = _enrolment(), vendor_pki(_PROFILE.vendor_id)
    request = enrolment.certificate_request(b"")
    other = Enrolment.start(BOB, _ID.replace("1", "2", 1), _PROFILE.vendor_id, seeded_random("other"), NOW_S)
    wrong = other.certificate_request(b"")
    for rule, changed in (
        ("leaf-key", replace(request, identity_pub=wrong.identity_pub)),
        ("subject", replace(request, subject_der=wrong.subject_der)),
        ("san", replace(request, san_der=wrong.san_der)),
    ):
        with pytest.raises(EnrolmentRefused) as caught:
            enrolment.accept(_leaf(changed), pki.ica_chain, trust_of(_PROFILE), NOW_S)
        assert caught.value.rule == rule


def test_a_chain_that_ends_in_no_trusted_root_names_the_rule() -> None:
    enrolment = _enrolment()
    leaf = _leaf(enrolment.certificate_request(b""))
    with pytest.raises(EnrolmentRefused) as caught:
        enrolment.accept(leaf, vendor_pki(1).ica_chain, trust_of(_PROFILE), NOW_S)
    assert caught.value.rule not in ("leaf-key", "subject", "san", "der")
    with pytest.raises(EnrolmentRefused):
        enrolment.accept(b"\x30\x03", (), trust_of(_PROFILE), NOW_S)
    with pytest.raises(EnrolmentRefused):
        enrolment.accept(leaf, (b"no certificate",), trust_of(_PROFILE), NOW_S)


def test_a_renewal_keeps_keys_and_name() -> None:
    before = enrol(ALICE, 1, _PROFILE)
    later_s = NOW_S + 40 * 86400
    renewal = Enrolment.renewal(before, _PROFILE.vendor_id, seeded_random("unused"), later_s)
    after = certify(renewal, _PROFILE, later_s)
    assert after.leaf_key is before.leaf_key
    assert after.certificate.subject == before.certificate.subject
    assert after.certificate.spki == before.certificate.spki
    assert after.certificate.serial != before.certificate.serial
    assert after.certificate.not_after_s > before.certificate.not_after_s
