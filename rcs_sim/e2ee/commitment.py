"""Commitments to the keys of a group's subject and icon (RCC.16 §9.7.1, Annex C.1)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256

from rcs_sim.e2ee.extension_bodies import RcsExtensionType
from rcs_sim.e2ee.file_info import FileEncryptionInfo
from rcs_sim.e2ee.profile import Revision
from rcs_sim.mls.codec import encode_opaque
from rcs_sim.mls.identifiers import ExtensionType

__all__ = ["MetadataSlot", "is_committed", "metadata_commitment", "ref_hash"]


class MetadataSlot(Enum):
    """Which metadata; the value is the Info of its file encryption (Annex C.2)."""

    SUBJECT = "group_subject"
    ICON = "group_icon"

    @property
    def commitment_type(self) -> ExtensionType:
        """The extension that holds the commitment."""
        subject = self is MetadataSlot.SUBJECT
        return RcsExtensionType.SUBJECT_COMMITMENT if subject else RcsExtensionType.ICON_COMMITMENT

    @property
    def key_type(self) -> ExtensionType:
        """The extension that holds the key, in the GroupInfo of a Welcome."""
        return RcsExtensionType.SUBJECT_KEY if self is MetadataSlot.SUBJECT else RcsExtensionType.ICON_KEY


_LABELS: Mapping[tuple[MetadataSlot, Revision], bytes] = {
    (MetadataSlot.SUBJECT, Revision.V3): b"subject_commitment",
    (MetadataSlot.ICON, Revision.V3): b"icon_commitment",
    (MetadataSlot.SUBJECT, Revision.V4): b"group_subject",
    (MetadataSlot.ICON, Revision.V4): b"group_icon",
}


def ref_hash(label: bytes, value: bytes) -> bytes:
    """``SHA-256(opaque label<V> || opaque value<V>)``: RefHash (RFC 9420 §5.2), whose label is all of it."""
    return sha256(encode_opaque(label) + encode_opaque(value)).digest()


def metadata_commitment(slot: MetadataSlot, encryption: FileEncryptionInfo, revision: Revision) -> bytes:
    """The commitment: over the key in v3.0, over the tag of the ciphertext in v4.0."""
    value = encryption.key_material if revision is Revision.V3 else encryption.hmac_tag
    return ref_hash(_LABELS[slot, revision], value)


def is_committed(slot: MetadataSlot, encryption: FileEncryptionInfo, commitment: bytes) -> Revision | None:
    """The revision by which *commitment* is one to this key; None if it is one to something else."""
    for revision in Revision:
        if hmac.compare_digest(metadata_commitment(slot, encryption, revision), commitment):
            return revision
    return None
