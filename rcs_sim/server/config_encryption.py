"""What an autoconfiguration server does for encryption (RCC.16 §4.1, §7.12): it learns each participant's public key,
vouches for it, and tells where keys and trust anchors come from.

What is signed, the parameter of the request and those of the document are choices (RCC.16 digest §1.4, §14.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ims_core.errors import RemoteProtocolError
from ims_core.store.configuration import ConfigurationRecord
from rcs_sim.e2ee.acs_proof import PROOF_LIFE_S, AcsProof, sign_acs_proof
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.wire.encryption_parameters import EncryptionParameters, MlsServerProperties

__all__ = ["EncryptionService", "EncryptionSettings"]

_RENEWED_AFTER_S = 21 * 86_400  # so that one put into a leaf of 75.5 days lasts until that is renewed (choice)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionSettings:
    """One carrier's. *proof_key* is known to its KDS and to nobody else; *anchors_generation* tells that of the current
    trust-anchor list, *anchors_signer* is the public key (DER) that the list is checked with. *server* is what the
    messaging server does as arbiter."""

    proof_key: SignatureKey
    kds_uri: str
    trust_anchors_uri: str
    anchors_signer: bytes
    anchors_generation: Callable[[], int]
    server: MlsServerProperties | None = None


class EncryptionService:
    """Adds to documents what phones that encrypt need."""

    __slots__ = ("_settings",)

    def __init__(self, settings: EncryptionSettings) -> None:
        self._settings = settings

    def learn(
        self, record: ConfigurationRecord, participant_key: bytes, now: float, *, is_fresh: bool
    ) -> ConfigurationRecord:
        """*record* with a proof for *participant_key*, b"" for a request that names none. A number that has another key
        keeps it unless the request *is_fresh*, which is one without a token (digest §14.2)."""
        if not participant_key:
            return record
        kept = record.participant_key
        key = participant_key if is_fresh or not kept else kept
        if key == kept and not _is_old(record.identity_proof, now):
            return record
        digits = record.msisdn.removeprefix("+")
        proof = sign_acs_proof(self._settings.proof_key, int(now) + PROOF_LIFE_S, digits, key)
        return replace(record, participant_key=key, identity_proof=proof.encode())

    def parameters(self, record: ConfigurationRecord) -> EncryptionParameters | None:
        """What the document of a subscriber says; None as long as no device of his has named a key."""
        if not record.participant_key:
            return None
        settings = self._settings
        return EncryptionParameters(
            kds_uri=settings.kds_uri,
            trust_anchors_uri=settings.trust_anchors_uri,
            trust_anchors_generation=settings.anchors_generation(),
            trust_anchors_signer=settings.anchors_signer,
            identity_proof=record.identity_proof,
            server=settings.server,
        )


def _is_old(octets: bytes, now: float) -> bool:
    try:
        return AcsProof.decode(octets).expiry_s - now < PROOF_LIFE_S - _RENEWED_AFTER_S
    except RemoteProtocolError:
        return True
