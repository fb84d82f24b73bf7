"""The checks of a certificate request by themselves; the calls are in test_key_distribution_server.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.der import element
from rcs_sim.e2ee.participant_information import ParticipantInformation
from rcs_sim.e2ee.participant_key import ParticipantKey
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.server.kds_actions import KdsRefused
from rcs_sim.server.kds_enrolment import EnrolmentRules, check_enrolment
from rcs_sim.wire.key_directory import EnrolmentRequest, KdsErrorCode
from tests.support.kds import ALICE, DAY_S, NOW, RED, Device

_RULES = EnrolmentRules(vendor_id=2, proof_spki=spki_of_point(RED.proof_key.public))


def _refused(request: EnrolmentRequest, now_s: int = NOW, rules: EnrolmentRules = _RULES) -> tuple[str, str]:
    with pytest.raises(KdsRefused) as caught:
        check_enrolment(request, rules, now_s)
    return caught.value.error.error, caught.value.error.detail


def test_a_right_request_says_what_goes_into_the_certificate_octet_for_octet() -> None:
    device = Device(ALICE)
    request = device.request(RED)
    checked = check_enrolment(request, _RULES, NOW)
    assert (checked.client_id, checked.has_proof) == (device.client_id, True)
    content = checked.content
    assert (content.subject, content.san, content.point) == (
        request.subject_der,
        request.san_der,
        request.identity_pub,
    )
    assert (content.participant_information, content.acs_proof) == (request.participant_information, request.acs_proof)


def test_participant_and_leaf_key_may_be_the_same() -> None:
    device = Device(ALICE)
    device.participant = ParticipantKey.of(device.leaf_key)
    assert check_enrolment(device.request(RED), _RULES, NOW).client_id == device.client_id


def test_key_rolls_are_refused() -> None:
    request = Device(ALICE).request(RED)
    information = ParticipantInformation.decode(request.participant_information)
    rolled = replace(information, key_rolls=element(0xA0, b"")).encode()
    code, detail = _refused(replace(request, participant_information=rolled))
    assert (code, "rolls" in detail) == (KdsErrorCode.BAD_REQUEST, True)


def test_a_statement_whose_time_is_over_or_not_come_is_refused() -> None:
    request = Device(ALICE).request(RED)
    assert _refused(request, NOW - 2 * DAY_S)[0] == KdsErrorCode.BAD_PROOF
    code, detail = _refused(Device(ALICE).request(RED), NOW + 3651 * DAY_S)
    assert (code, "not valid now" in detail) == (KdsErrorCode.BAD_PROOF, True)


def test_a_proof_ends_at_its_very_second() -> None:
    request = Device(ALICE).request(RED)
    check_enrolment(request, _RULES, NOW + 76 * DAY_S - 1)
    assert _refused(request, NOW + 76 * DAY_S) == (KdsErrorCode.BAD_PROOF, "acs_proof has expired")


def test_an_empty_proof_passes_only_where_that_is_allowed_and_a_wrong_one_nowhere() -> None:
    request = Device(ALICE).request(RED)
    lenient = replace(_RULES, accepts_empty_proof=True)
    empty = replace(request, acs_proof=b"")
    assert not check_enrolment(empty, lenient, NOW).has_proof
    assert _refused(empty)[0] == KdsErrorCode.BAD_PROOF
    broken = replace(request, acs_proof=request.acs_proof[:-1] + bytes((request.acs_proof[-1] ^ 1,)))
    assert _refused(broken, NOW, lenient)[0] == KdsErrorCode.BAD_PROOF
