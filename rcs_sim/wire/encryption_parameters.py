"""The encryption part of a configuration document (RCC.16 digest §1.4): where keys and trust anchors come from.

GSMA's own names are not known; these are those of a public lab network, matched without regard to case in any
characteristic. Ours write them into SERVICEPROVIDEREXT.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

from rcs_sim.wire.autoconfig import Characteristic, Parm

__all__ = [
    "ENCRYPTION_PARAMETERS",
    "PARTICIPANT_KEY_PARAMETER",
    "EncryptionParameters",
    "MlsServerProperties",
    "participant_key_value",
]

PARTICIPANT_KEY_PARAMETER = "rcs-sim-participant-key"  # of the request (§14.2, choice)
MAX_VALUE_CHARACTERS = 4096

_KDS_URI = "openrcs-kds-uri"
_ANCHORS_URI = "openrcs-trust-anchors-uri"
_GENERATION = "openrcs-trust-anchors-generation"
_SIGNER = "openrcs-trust-anchors-signer"
_PROOF = "openrcs-encryption-identity-proof"
_SERVER = "rcs-sim-mls-server"  # beside them (choice)
_NONE = "none"

ENCRYPTION_PARAMETERS = (_KDS_URI, _ANCHORS_URI, _GENERATION, _SIGNER, _PROOF, _SERVER)
"""Names of the ``parm`` elements, in lower case: the five of §1.4, and ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlsServerProperties:
    """What the carrier's messaging server does as arbiter (RCC.16 digest §1.1). How phones learn it is ours: a ``parm``
    with the names of those that are so, in words, or ``none``; without it a server is as deployed ones are (choice).

    A server that does not arbitrate the era intercepts nothing: conversations are peer to peer."""

    arbitrates_era: bool = True
    requires_convergence_ack: bool = True
    accepts_member_external_commit: bool = False
    has_server_group_info: bool = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """What is not known, or does not stand there, is not so."""
        words = frozenset(text.lower().split())
        return cls(**{each.name: each.name.replace("_", "-") in words for each in fields(cls)})

    def encode(self) -> str:
        """The value of the ``parm``."""
        names = (each.name.replace("_", "-") for each in fields(self) if getattr(self, each.name))
        return " ".join(names) or _NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionParameters:
    """The parameters. URIs are "" and octets b"" where the document has none, or none that can be read.

    *trust_anchors_signer* is a P-256 SubjectPublicKeyInfo, *identity_proof* a SignedEncryptionIdentityProof (§1.3);
    both are DER or TLS octets that nobody has looked into yet. *server* is None in a document that does not say."""

    kds_uri: str = ""
    trust_anchors_uri: str = ""
    trust_anchors_generation: int | None = None
    trust_anchors_signer: bytes = b""
    identity_proof: bytes = b""
    server: MlsServerProperties | None = None

    @property
    def is_complete(self) -> bool:
        """Whether a client can enrol and check what it gets."""
        has_list = bool(self.trust_anchors_uri and self.trust_anchors_signer)
        return bool(self.kds_uri) and has_list and self.trust_anchors_generation is not None

    @classmethod
    def read(cls, find: Callable[[str], str | None]) -> Self | None:
        """*find* gives the value of the parm with a name in lower case. None if there is none of them."""
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
            server=MlsServerProperties.parse(values[_SERVER]) if values[_SERVER] else None,
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
            "" if self.server is None else self.server.encode(),
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
