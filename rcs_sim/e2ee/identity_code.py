"""Identity verification: the code that two people compare (RCC.16 §5.5, Annex C.5).

HASH_TO_DIGITS of Annex C.5 is defined nowhere. The digits here are this simulator's (choice) and cannot be compared
with those of real devices; the hash before them can.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha512
from struct import unpack

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.codec import encode_opaque

__all__ = ["VerifiedUser", "format_identity_code", "hash_to_digits", "identity_code", "identity_hash"]

_DIGITS_PER_WORD = 5
_SPEC = "RCC.16 Annex C.5"


@dataclass(frozen=True, slots=True)
class VerifiedUser:
    """``opaque msisdn<V>; opaque participant_identity_public_key<V>``: bare digits of the number, and the participant
    key's SubjectPublicKeyInfo."""

    msisdn: str
    participant_spki: bytes

    def encode(self) -> bytes:
        """Raises LocalProtocolError where one of both is missing: nothing could be compared then."""
        if not self.participant_spki or not (self.msisdn.isascii() and self.msisdn.isdecimal()):
            raise LocalProtocolError("identity verification needs a number and a participant key", spec=_SPEC)
        return encode_opaque(self.msisdn.encode("ascii")) + encode_opaque(self.participant_spki)


def identity_hash(one: VerifiedUser, other: VerifiedUser) -> bytes:
    """SHA-512 of both, the lower number first, whoever computes it. The text says ascending, its pseudo-code yields
    the contrary: ascending it is; equal numbers are ordered by key (choice)."""
    first, second = sorted((one, other), key=lambda user: (user.msisdn.encode(), user.participant_spki))
    return sha512(first.encode() + second.encode()).digest()


def hash_to_digits(digest: bytes) -> str:
    """80 digits: each of the sixteen big-endian words of 32 bits modulo 100000, in five digits (choice)."""
    if len(digest) != 64:
        raise LocalProtocolError(f"a hash of {len(digest)} octets", spec=_SPEC)
    return "".join(f"{word % 10**_DIGITS_PER_WORD:0{_DIGITS_PER_WORD}d}" for word in unpack("!16I", digest))


def identity_code(one: VerifiedUser, other: VerifiedUser) -> str:
    """The 80 digits of two participants. They change with a participant key, not with a certificate's renewal."""
    return hash_to_digits(identity_hash(one, other))


def format_identity_code(code: str) -> str:
    """As it is shown: sixteen groups of five digits."""
    groups = [code[at : at + _DIGITS_PER_WORD] for at in range(0, len(code), _DIGITS_PER_WORD)]
    return " ".join(groups)
