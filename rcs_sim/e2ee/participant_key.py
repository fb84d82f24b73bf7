"""Participant key and client names: what a device brings to its enrolment (RCC.16 §4.1, Annex A.3).

One participant key lasts for a whole provisioning; each device has a leaf key of its own beside it. Both are P-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from ims_core.errors import RemoteProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.e2ee.certificate_profile import COMMON_NAME
from rcs_sim.e2ee.der import OID, SET, UTF8_STRING, DerError, element, sequence
from rcs_sim.e2ee.public_key_info import checked_public_key_info, spki_of_point
from rcs_sim.mls.codec import encode_opaque
from rcs_sim.mls.crypto import Random
from rcs_sim.mls.nist_curve import P256
from rcs_sim.mls.signature import ECDSA_P256, SignatureKey

__all__ = [
    "PARTICIPANT_KEY_PARAMETER",
    "ParticipantKey",
    "ParticipantKeyError",
    "csr_pop_input",
    "encode_participant_key",
    "key_fingerprint",
    "leaf_subject",
    "leaf_subject_alt_name",
    "read_participant_key",
]

PARTICIPANT_KEY_PARAMETER = "rcs-sim-participant-key"  # of the autoconfiguration request (choice)
_SHOWN_OCTETS = 8  # of a fingerprint in texts
_LONGEST_PARAMETER = 256  # characters; a P-256 key has 122
_URI = 0x86


class ParticipantKeyError(RemoteProtocolError):
    """A query parameter that holds no participant key."""


class ParticipantKey:
    """A participant key and its *spki*, SubjectPublicKeyInfo in DER.

    A key that was drawn is loaded when it signs first: each takes 3 kB, and most phones of a network without a key
    service never sign."""

    __slots__ = ("_key", "_private", "spki")

    def __init__(self, private: Secret | None, key: SignatureKey | None, spki: bytes) -> None:
        self._private, self._key, self.spki = private, key, spki

    def __repr__(self) -> str:
        return f"ParticipantKey({key_fingerprint(self.spki)})"

    @classmethod
    def of(cls, key: SignatureKey) -> ParticipantKey:
        """The key that is loaded already."""
        return cls(None, key, spki_of_point(key.public))

    @classmethod
    def generate(cls, random: Random) -> ParticipantKey:
        """A fresh key out of the octets that *random* gives."""
        private = ECDSA_P256.draw(random)
        return cls(private, None, spki_of_point(ECDSA_P256.key(private).public))

    @property
    def key(self) -> SignatureKey:
        """What signs."""
        if self._key is None:
            assert self._private is not None
            self._key, self._private = ECDSA_P256.key(self._private), None
        return self._key

    @classmethod
    def derive(cls, tag: bytes, device_id: bytes, label: bytes) -> ParticipantKey:
        """The key that a test build of the reference derives from an identifier of the device."""
        secret = hashlib.sha256(tag + device_id).digest()
        material = hashlib.sha256(encode_opaque(label) + encode_opaque(secret)).digest()
        scalar = int.from_bytes(material, "big") % (P256.order - 1) + 1
        return cls.of(ECDSA_P256.key(Secret(scalar.to_bytes(P256.octets, "big"))))


def key_fingerprint(spki: bytes) -> str:
    """The first octets of the SHA-256 of a key, for texts."""
    return hashlib.sha256(spki).digest()[:_SHOWN_OCTETS].hex()


def encode_participant_key(spki: bytes) -> str:
    """Value of the query parameter: base64url without padding (choice)."""
    return base64.urlsafe_b64encode(spki).rstrip(b"=").decode("ascii")


def read_participant_key(parameter: str) -> bytes:
    """SubjectPublicKeyInfo out of the query parameter. Raises ParticipantKeyError unless it is a key on P-256."""
    raw = parameter.encode("ascii", "replace")
    try:
        if len(raw) > _LONGEST_PARAMETER:
            raise ValueError("too long")
        spki = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
        found = checked_public_key_info(spki)
    except (ValueError, binascii.Error, DerError) as error:
        raise ParticipantKeyError("no participant key", spec="RCC.16 §4.1", raw=raw) from error
    if found.curve is not P256:
        raise ParticipantKeyError("a participant key is on P-256", spec="RCC.16 §4.1", raw=raw)
    return spki


def leaf_subject(client_id: str) -> bytes:
    """``Name`` of a leaf: the client's UUID as the one commonName, a UTF8String."""
    value = element(UTF8_STRING, client_id.encode())
    return sequence(element(SET, sequence(element(OID, COMMON_NAME), value)))


def leaf_subject_alt_name(digits: str) -> bytes:
    """``GeneralNames`` of a leaf: ``tel:+E164`` as the one uniformResourceIdentifier."""
    return sequence(element(_URI, f"tel:+{digits}".encode("ascii")))


def csr_pop_input(digits: str, leaf_point: bytes) -> bytes:
    """What the leaf key signs when it asks for its certificate: number and key."""
    return f"tel:+{digits}".encode("ascii") + leaf_point
