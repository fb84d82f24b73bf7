"""Enrolment of a device at its key distribution server: keys, proof of possession, request, answer (RCC.16 §5.1, A.3).

The JSON is that of the lab KDS (choice: RCC.16's own enrolment interface is not public).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ims_core.errors import RemoteProtocolError
from rcs_sim.e2ee.certificate import Certificate, read_certificate
from rcs_sim.e2ee.der import DerError
from rcs_sim.e2ee.member.device_identity import DeviceIdentity
from rcs_sim.e2ee.participant_information import ParticipantInformation, sign_participant_information
from rcs_sim.e2ee.participant_key import ParticipantKey, csr_pop_input, leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.mls.credential import X509Credential, shared_certificate
from rcs_sim.mls.crypto import Random
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.seams import IdentityProvider
from rcs_sim.mls.signature import ECDSA_P256, SignatureKey
from rcs_sim.wire.key_directory import EnrolmentRequest

__all__ = ["Enrolment", "EnrolmentRefused"]

BACKDATE_S = 3600  # of participantSignatureValidity, for peers whose clock trails (choice)
VALIDITY_S = 10 * 365 * 86400  # a renewal keeps the statement, so it outlasts certificates (choice)
_SPEC = "RCC.16 §5.1"


class EnrolmentRefused(RemoteProtocolError):
    """The answer of the key distribution server is not taken. *rule* names why: ``der``, ``leaf-key``, ``subject``,
    ``san``, or the rule of the certificate profile."""

    def __init__(self, rule: str, message: str, *, raw: bytes = b"") -> None:
        super().__init__(f"{rule}: {message}", spec=_SPEC, raw=raw)
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """One request for a certificate, with the keys that it is for. *client_id* is a UUID."""

    msisdn: str
    client_id: str
    participant: ParticipantKey
    leaf_key: SignatureKey
    information: ParticipantInformation

    @classmethod
    def start(
        cls,
        msisdn: str,
        client_id: str,
        vendor_id: int,
        random: Random,
        now_s: int,
        *,
        participant: ParticipantKey | None = None,
        leaf_key: SignatureKey | None = None,
    ) -> Self:
        """Fresh keys out of *random* unless they are given: first the participant key, then the leaf key."""
        participant = participant or ParticipantKey.generate(random)
        leaf_key = leaf_key or ECDSA_P256.generate(random)
        information = sign_participant_information(
            participant.key,
            participant.spki,
            vendor_id=vendor_id,
            not_before_s=now_s - BACKDATE_S,
            not_after_s=now_s - BACKDATE_S + VALIDITY_S,
            subject_der=leaf_subject(client_id),
            leaf_spki=spki_of_point(leaf_key.public),
            san_der=leaf_subject_alt_name(msisdn),
        )
        return cls(
            msisdn=msisdn, client_id=client_id, participant=participant, leaf_key=leaf_key, information=information
        )

    @classmethod
    def renewal(cls, identity: DeviceIdentity, vendor_id: int, random: Random, now_s: int) -> Self:
        """For a certificate that differs in serial number and validity only: same keys, same commonName."""
        participant = ParticipantKey.of(identity.participant_key)
        return cls.start(
            identity.msisdn,
            identity.client_id,
            vendor_id,
            random,
            now_s,
            participant=participant,
            leaf_key=identity.leaf_key,
        )

    def certificate_request(self, acs_proof: bytes) -> EnrolmentRequest:
        """The body of ``POST /mls/v1/certificate``. *acs_proof* is that of the configuration document."""
        point = self.leaf_key.public
        return EnrolmentRequest(
            msisdn=self.msisdn,
            client_id=self.client_id,
            identity_pub=point,
            subject_der=leaf_subject(self.client_id),
            san_der=leaf_subject_alt_name(self.msisdn),
            participant_information=self.information.encode(),
            acs_proof=acs_proof,
            csr_pop=self.leaf_key.sign(csr_pop_input(self.msisdn, point)),
        )

    def accept(self, leaf: bytes, issuers: Sequence[bytes], trust: IdentityProvider, now_s: int) -> DeviceIdentity:
        """The identity that an answer gives: its leaf is for our key, subject and number, to the octet, and its chain
        ends in a root of *trust*. *issuers* may hold the root, which is not presented to others. Raises
        EnrolmentRefused on anything else."""
        certificate = _read(leaf)
        for rule, found, sent in (
            ("leaf-key", certificate.spki, spki_of_point(self.leaf_key.public)),
            ("subject", certificate.subject, leaf_subject(self.client_id)),
            ("san", certificate.san, leaf_subject_alt_name(self.msisdn)),
        ):
            if found != sent:
                raise EnrolmentRefused(rule, "the certificate is not what was asked for", raw=found)
        chain = tuple(map(shared_certificate, (leaf, *(der for der in issuers if not _read(der).is_self_issued))))
        try:
            trust.verify_credential(X509Credential(chain), self.leaf_key.public, now_s)
        except MlsValidationError as error:
            raise EnrolmentRefused(error.rule, str(error)) from error
        return DeviceIdentity(
            msisdn=self.msisdn,
            client_id=self.client_id,
            participant_key=self.participant.key,
            leaf_key=self.leaf_key,
            chain=chain,
        )


def _read(der: bytes) -> Certificate:
    try:
        return read_certificate(der)
    except DerError as error:
        raise EnrolmentRefused("der", str(error), raw=der) from error
