"""SignedEncryptionIdentityProof: the configuration server vouches for a participant's key (RCC.16 §7.12).

It travels in the configuration document and in certificate extension ``.5``. What RCC.16 leaves open is which octets
are signed: ours are `acs_proof_tbs` (choice), and only the key service of the same carrier knows the key to check with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ims_core.errors import RemoteProtocolError
from rcs_sim.e2ee.der import DerError
from rcs_sim.e2ee.public_key_info import ECDSA_SHA256, is_ecdsa_signed, public_key_info
from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_u64
from rcs_sim.mls.signature import SignatureKey

__all__ = ["PROOF_LIFE_S", "AcsProof", "AcsProofRefused", "acs_proof_tbs", "sign_acs_proof"]

PROOF_LIFE_S = 76 * 86400  # as long as a leaf at most (choice)
_MORE_OCTETS = (0, 1, 3)  # of a length header, by its first two bits
_LABEL = b"rcs-sim acs-proof v1"
_SPEC = "RCC.16 §7.12"


class AcsProofRefused(RemoteProtocolError):
    """A well-formed proof does not vouch for this number and key."""

    def __init__(self, message: str, *, raw: bytes = b"") -> None:
        super().__init__(message, spec=_SPEC, raw=raw)


@dataclass(frozen=True, slots=True)
class AcsProof(TlsStruct):
    """``uint64 expiry_seconds; opaque signature<V>;`` *expiry_s* counts from 1970, *signature* is ECDSA in DER."""

    expiry_s: int
    signature: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Each width of the length is taken, the shortest or not: the reference's readers do, and what is signed does
        not hold it."""
        return cls(reader.u64(), reader.take(_length(reader)))

    def encode(self) -> bytes:
        return encode_u64(self.expiry_s) + encode_opaque(self.signature)

    def is_expired(self, now_s: int) -> bool:
        """From the very second of the expiry on."""
        return now_s >= self.expiry_s

    def verify(self, acs_spki: bytes, digits: str, participant_spki: bytes) -> None:
        """Raises AcsProofRefused unless the owner of *acs_spki* signed for this number and participant key."""
        try:
            key = public_key_info(acs_spki)
        except DerError as error:
            raise AcsProofRefused("the key to check proofs with is none", raw=acs_spki) from error
        signed = acs_proof_tbs(self.expiry_s, digits, participant_spki)
        if not is_ecdsa_signed(key, ECDSA_SHA256, signed, self.signature):
            raise AcsProofRefused(
                f"the proof for {digits} is not signed by the configuration server", raw=self.signature
            )


def _length(reader: Reader) -> int:
    first = reader.u8()
    if first >= 0xC0:
        reader.fail("a length header begins with the bits 11", "RFC 9420 §2.1.2")
    return (first & 0x3F) << 8 * _MORE_OCTETS[first >> 6] | int.from_bytes(reader.take(_MORE_OCTETS[first >> 6]), "big")


def acs_proof_tbs(expiry_s: int, digits: str, participant_spki: bytes) -> bytes:
    """What the configuration server signs (choice): a label, the expiry, the bare E.164 digits, and the participant key
    as SubjectPublicKeyInfo."""
    parts = (
        encode_opaque(_LABEL),
        encode_u64(expiry_s),
        encode_opaque(digits.encode("ascii", "replace")),
        encode_opaque(participant_spki),
    )
    return b"".join(parts)


def sign_acs_proof(key: SignatureKey, expiry_s: int, digits: str, participant_spki: bytes) -> AcsProof:
    """The proof for a number and a participant key. *key* is the carrier's P-256 key for proofs."""
    return AcsProof(expiry_s, key.sign(acs_proof_tbs(expiry_s, digits, participant_spki)))
