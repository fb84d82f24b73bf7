"""The encryption part of a configuration document (RCC.16 digest §1.4): where keys and trust anchors come from.

GSMA's own names are not known; these are those of a public lab network, matched without regard to case in any
characteristic. Ours write them into SERVICEPROVIDEREXT.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rcs_sim.wire.autoconfig import Characteristic, Parm

__all__ = ["ENCRYPTION_PARAMETERS", "PARTICIPANT_KEY_PARAMETER", "EncryptionParameters", "participant_key_value"]

PARTICIPANT_KEY_PARAMETER = "rcs-sim-participant-key"  # of the request (§14.2, choice)
MAX_VALUE_CHARACTERS = 4096

_KDS_URI = "openrcs-kds-uri"
_ANCHORS_URI = "openrcs-trust-anchors-uri"
_GENERATION = "openrcs-trust-anchors-generation"
_SIGNER = "openrcs-trust-anchors-signer"
_PROOF = "openrcs-encryption-identity-proof"

ENCRYPTION_PARAMETERS = (_KDS_URI, _ANCHORS_URI, _GENERATION, _SIGNER, _PROOF)
"""Names of the ``parm`` elements, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionParameters:
    """The five parameters. URIs are "" and octets b"" where the document has none, or none that can be read.

    *trust_anchors_signer* is a P-256 SubjectPublicKeyInfo, *identity_proof* a SignedEncryptionIdentityProof (§1.3);
    both are DER or TLS octets that nobody has looked into yet."""

    kds_uri: str = ""
    trust_anchors_uri: str = ""
    trust_anchors_generation: int | None = None
    trust_anchors_signer: bytes = b""
    identity_proof: bytes = b""

    @property
    def is_complete(self) -> bool:
        """Whether a client can enrol and check what it gets."""
        has_list = bool(self.trust_anchors_uri and self.trust_anchors_signer)
        return bool(self.kds_uri) and has_list and self.trust_anchors_generation is not None

    @classmethod
    def read(cls, find: Callable[[str], str | None]) -> Self | None:
        """*find* gives the value of the parm with a name in lower case. None if there is not one of the five."""
        values = {name: (find(name) or "").strip()[:MAX_VALUE_CHARACTERS] for name in ENCRYPTION_PARAMETERS}
        if not any(values.values()):
            return None
        generation = values[_GENERATION]
        is_number = generation.isascii() and generation.isdecimal() and len(generation) <= 15
        return cls(
            kds_uri=values[_KDS_URI],
            trust_anchors_uri=values[_ANCHORS_URI],
            trust_anchors_generation=int(generation) if is_number else None,
            trust_anchors_signer=_octets(values[_SIGNER]),
            identity_proof=_octets(values[_PROOF]),
        )

    def characteristic(self) -> Characteristic:
        """SERVICEPROVIDEREXT with what is set."""
        generation = self.trust_anchors_generation
        values = (
            self.kds_uri,
            self.trust_anchors_uri,
            "" if generation is None else str(generation),
            base64.b64encode(self.trust_anchors_signer).decode("ascii"),
            base64.b64encode(self.identity_proof).decode("ascii"),
        )
        written = (Parm(name, value) for name, value in zip(ENCRYPTION_PARAMETERS, values, strict=True) if value)
        return Characteristic("SERVICEPROVIDEREXT", tuple(written))


def participant_key_value(spki_der: bytes) -> str:
    """Value of `PARTICIPANT_KEY_PARAMETER`: base64url without padding (§14.2)."""
    return base64.urlsafe_b64encode(spki_der).rstrip(b"=").decode("ascii")


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return b""
