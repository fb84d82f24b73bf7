"""Commitments to metadata keys."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.commitment import MetadataSlot, is_committed, metadata_commitment
from rcs_sim.e2ee.extension_bodies import RcsExtensionType
from rcs_sim.e2ee.file_info import FileEncryptionInfo
from rcs_sim.e2ee.profile import Revision

_ENCRYPTION = FileEncryptionInfo(b"k" * 32, bytes(12), b"t" * 32)


@pytest.mark.parametrize("slot", list(MetadataSlot))
@pytest.mark.parametrize("revision", list(Revision))
def test_a_commitment_is_known_by_its_revision(slot: MetadataSlot, revision: Revision) -> None:
    commitment = metadata_commitment(slot, _ENCRYPTION, revision)
    assert is_committed(slot, _ENCRYPTION, commitment) is revision
    other = next(each for each in MetadataSlot if each is not slot)
    assert is_committed(other, _ENCRYPTION, commitment) is None
    assert is_committed(slot, FileEncryptionInfo(b"x" * 32, bytes(12), b"y" * 32), commitment) is None


def test_an_empty_commitment_is_to_nothing() -> None:
    assert is_committed(MetadataSlot.ICON, _ENCRYPTION, b"") is None


def test_slots_have_their_extensions() -> None:
    assert MetadataSlot.ICON.commitment_type is RcsExtensionType.ICON_COMMITMENT
    assert MetadataSlot.ICON.key_type is RcsExtensionType.ICON_KEY
    assert MetadataSlot.SUBJECT.commitment_type is RcsExtensionType.SUBJECT_COMMITMENT
    assert MetadataSlot.SUBJECT.key_type is RcsExtensionType.SUBJECT_KEY
