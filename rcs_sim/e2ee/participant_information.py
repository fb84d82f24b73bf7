"""ParticipantInformation: the participant key vouches for the leaf key (RCC.16 A.3.8.9, certificate extension ``.4``).

What is signed holds the certified leaf key, not the participant key, and the octets of subject and subjectAltName as
they stand in the certificate. Key rolls, whose layout nobody knows, are recognised and refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule, Finding
from rcs_sim.e2ee.der import (
    OCTET_STRING,
    SEQUENCE,
    DerError,
    DerReader,
    encode_bit_string,
    encode_integer,
    encode_time,
    sequence,
)
from rcs_sim.e2ee.public_key_info import (
    ECDSA_SHA256,
    encode_algorithm,
    is_ecdsa_signed,
    public_key_info,
    read_algorithm,
)
from rcs_sim.mls.signature import SignatureKey

__all__ = ["ParticipantInformation", "possession_tbs", "sign_participant_information", "validity_der"]

_KEY_ROLLS = 0xA0


@dataclass(frozen=True, slots=True)
class ParticipantInformation:
    """``ParticipantInformation``. *validity* is its SEQUENCE as it stands, *algorithm* its AlgorithmIdentifier,
    *signature* ECDSA in DER, *participant_spki* the key that made it; both times count in seconds from 1970."""

    vendor_id: int
    validity: bytes
    not_before_s: int
    not_after_s: int
    algorithm: bytes
    signature: bytes
    participant_spki: bytes
    key_rolls: bytes | None = None

    @property
    def has_rolls(self) -> bool:
        """Whether the sixth element is there."""
        return self.key_rolls is not None

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Reads the extension's value, also with one OCTET STRING more around it. Raises DerError."""
        reader = DerReader(value)
        if reader.next_tag() == OCTET_STRING:
            inner = reader.content(OCTET_STRING)
            reader.finish()
            reader = DerReader(inner)
        body = reader.nested(SEQUENCE)
        reader.finish()
        return cls._read(body)

    @classmethod
    def _read(cls, body: DerReader) -> Self:
        vendor_id, validity = body.integer(), body.element(SEQUENCE)
        times = DerReader(validity.content)
        not_before, not_after = times.time(), times.time()
        times.finish()
        algorithm, signature = body.element(SEQUENCE).octets, body.bit_string()
        participant_spki, rolls = body.element(SEQUENCE).octets, body.optional(_KEY_ROLLS)
        body.finish()
        key_rolls = None if rolls is None else rolls.octets
        if vendor_id < 1:
            raise DerError(f"the vendor {vendor_id} is no vendor", spec="RCC.16 A.3.8.9")
        times_s = (not_before.at_s, not_after.at_s)
        return cls(vendor_id, validity.octets, *times_s, algorithm, signature, participant_spki, key_rolls)

    def encode(self) -> bytes:
        """The extension's value."""
        return sequence(
            encode_integer(self.vendor_id),
            self.validity,
            self.algorithm,
            encode_bit_string(self.signature),
            self.participant_spki,
            self.key_rolls or b"",
        )

    def is_valid_at(self, at_s: int) -> bool:
        """Whether *at_s* lies in participantSignatureValidity, both ends included."""
        return self.not_before_s <= at_s <= self.not_after_s

    def verify_possession(self, subject_der: bytes, leaf_spki_der: bytes, san_der: bytes) -> None:
        """Raises CertificateRefused unless the participant key signed these three, with nothing unknown beside."""
        if self.has_rolls:
            message = "key rolls are there and cannot be verified"
            raise CertificateRefused(Finding(CertificateRule.PARTICIPANT_KEY_ROLLS, message, self.key_rolls or b""))
        signed = possession_tbs(subject_der, self.vendor_id, self.validity, leaf_spki_der, san_der)
        try:
            key, algorithm = public_key_info(self.participant_spki), read_algorithm(self.algorithm)
        except DerError as error:
            finding = Finding(CertificateRule.PROOF_OF_POSSESSION, f"no proof can be checked: {error}")
            raise CertificateRefused(finding) from error
        if not is_ecdsa_signed(key, algorithm, signed, self.signature):
            message = "the participant key has not signed this leaf key, subject and number"
            raise CertificateRefused(Finding(CertificateRule.PROOF_OF_POSSESSION, message, self.signature))


def possession_tbs(subject_der: bytes, vendor_id: int, validity: bytes, leaf_spki: bytes, san_der: bytes) -> bytes:
    """``tbsParticipantInfo``: what the participant key signs. All but the vendor are DER octets as they stand."""
    return sequence(subject_der, encode_integer(vendor_id), validity, leaf_spki, san_der)


def validity_der(not_before_s: int, not_after_s: int) -> bytes:
    """``SEQUENCE { notBefore Time, notAfter Time }`` of seconds since 1970."""
    return sequence(encode_time(not_before_s), encode_time(not_after_s))


def sign_participant_information(
    key: SignatureKey,
    participant_spki: bytes,
    *,
    vendor_id: int,
    not_before_s: int,
    not_after_s: int,
    subject_der: bytes,
    leaf_spki: bytes,
    san_der: bytes,
) -> ParticipantInformation:
    """The statement of the participant *key*, on P-256 with SHA-256, for the leaf key of *leaf_spki*."""
    validity = validity_der(not_before_s, not_after_s)
    signature = key.sign(possession_tbs(subject_der, vendor_id, validity, leaf_spki, san_der))
    return ParticipantInformation(
        vendor_id,
        validity,
        not_before_s,
        not_after_s,
        encode_algorithm(ECDSA_SHA256),
        signature,
        participant_spki,
    )
