"""Enrolment at the key distribution server (RCC.16 §5.1, digest §14.5): the checks of a certificate request, in order.

The proof of the configuration server is the only authentication (choice).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ims_core.errors import RemoteProtocolError
from rcs_sim.e2ee.acs_proof import AcsProof, AcsProofRefused
from rcs_sim.e2ee.certificate import read_name
from rcs_sim.e2ee.certificate_issuer import LeafRequest
from rcs_sim.e2ee.certificate_profile import CertificateRefused
from rcs_sim.e2ee.der import DerError
from rcs_sim.e2ee.participant_information import ParticipantInformation
from rcs_sim.e2ee.participant_key import csr_pop_input, leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.mls.signature import ECDSA_P256
from rcs_sim.server.kds_actions import KdsRefused
from rcs_sim.wire.key_directory import EnrolmentRequest, KdsErrorCode

__all__ = ["CheckedEnrolment", "EnrolmentRules", "check_enrolment"]

_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRules:
    """What a request is held against. *proof_spki* is the key of the carrier's configuration server (DER)."""

    vendor_id: int
    proof_spki: bytes
    accepts_empty_proof: bool = False


@dataclass(frozen=True, slots=True)
class CheckedEnrolment:
    """A request that may be granted: the client, its key (DER), and what its certificate will hold."""

    client_id: str
    leaf_key: bytes
    content: LeafRequest
    has_proof: bool


def check_enrolment(request: EnrolmentRequest, rules: EnrolmentRules, now_s: int) -> CheckedEnrolment:
    """Raises KdsRefused at the first check that fails."""
    client_id = _check_subject(request)
    if request.san_der != leaf_subject_alt_name(request.msisdn):
        raise KdsRefused(KdsErrorCode.NUMBER_MISMATCH, "san_der is not the tel: URI of msisdn")
    if not ECDSA_P256.is_public_key(request.identity_pub):
        raise KdsRefused(KdsErrorCode.BAD_REQUEST, "identity_pub is no uncompressed point of P-256")
    leaf_key = spki_of_point(request.identity_pub)
    information = _check_participant_information(request, leaf_key, rules.vendor_id, now_s)
    if not ECDSA_P256.is_signed(
        request.identity_pub, csr_pop_input(request.msisdn, request.identity_pub), request.csr_pop
    ):
        raise KdsRefused(KdsErrorCode.BAD_PROOF, "csr_pop is not signed with identity_pub")
    _check_acs_proof(request, information, rules, now_s)
    content = LeafRequest(
        subject=request.subject_der,
        san=request.san_der,
        point=request.identity_pub,
        participant_information=request.participant_information,
        acs_proof=request.acs_proof,
    )
    return CheckedEnrolment(client_id, leaf_key, content, bool(request.acs_proof))


def _check_subject(request: EnrolmentRequest) -> str:
    """The subject is one UTF8String CN, a UUID, and that of the request."""
    client_id = request.client_id or _common_name(request.subject_der)
    if not _UUID.fullmatch(client_id) or request.subject_der != leaf_subject(client_id):
        raise KdsRefused(KdsErrorCode.BAD_REQUEST, "subject_der is not one UTF8String CN that is client_id, a UUID")
    return client_id


def _common_name(subject_der: bytes) -> str:
    try:
        attributes = read_name(subject_der)
    except DerError:
        return ""
    return attributes[0].value.decode("ascii", "replace") if attributes else ""


def _check_participant_information(
    request: EnrolmentRequest, leaf_key: bytes, vendor_id: int, now_s: int
) -> ParticipantInformation:
    try:
        information = ParticipantInformation.decode(request.participant_information)
    except DerError as error:
        raise KdsRefused(KdsErrorCode.BAD_REQUEST, f"ext4_participant_info: {error}") from error
    if information.has_rolls:
        raise KdsRefused(KdsErrorCode.BAD_REQUEST, "ext4_participant_info has key rolls")
    if information.vendor_id != vendor_id:
        raise KdsRefused(KdsErrorCode.BAD_REQUEST, f"ext4_participant_info is for vendor {information.vendor_id}")
    try:
        information.verify_possession(request.subject_der, leaf_key, request.san_der)
    except CertificateRefused as refused:
        raise KdsRefused(KdsErrorCode.BAD_PROOF, f"ext4_participant_info: {refused}") from refused
    if not information.is_valid_at(now_s):
        raise KdsRefused(KdsErrorCode.BAD_PROOF, "ext4_participant_info is not valid now")
    return information


def _check_acs_proof(
    request: EnrolmentRequest, information: ParticipantInformation, rules: EnrolmentRules, now_s: int
) -> None:
    if not request.acs_proof:
        if rules.accepts_empty_proof:
            return
        raise KdsRefused(KdsErrorCode.BAD_PROOF, "acs_proof is empty")
    try:
        proof = AcsProof.decode(request.acs_proof)
        if proof.is_expired(now_s):
            raise KdsRefused(KdsErrorCode.BAD_PROOF, "acs_proof has expired")
        proof.verify(rules.proof_spki, request.msisdn, information.participant_spki)
    except AcsProofRefused as refused:
        raise KdsRefused(KdsErrorCode.BAD_PROOF, f"acs_proof: {refused}") from refused
    except RemoteProtocolError as error:
        raise KdsRefused(KdsErrorCode.BAD_PROOF, "acs_proof cannot be read") from error
