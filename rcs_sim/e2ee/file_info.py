"""FileInfo: the keys of encrypted files, delivered in a message of the group (RCC.16 §7.8.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from ims_core.wire.secret import Secret
from rcs_sim.wire.protobuf import (
    ProtobufReader,
    encode_fixed32_field,
    encode_message_field,
    encode_octets_field,
    encode_text_field,
    encode_uint_field,
)

__all__ = ["FileAlgorithm", "FileEncryptionInfo", "FileInfo", "FileMetadata"]


class FileAlgorithm(IntEnum):
    """How a file is encrypted."""

    UNSPECIFIED = 0
    AES256_CTR_HMAC_SHA256 = 1


@dataclass(frozen=True, slots=True)
class FileEncryptionInfo:
    """Key (32 octets), initialization vector (12), tag (32) and length of the plaintext."""

    key_material: bytes
    initialization_vector: bytes
    hmac_tag: bytes
    algorithm: int = FileAlgorithm.AES256_CTR_HMAC_SHA256
    file_length_hint: int = 0

    def __repr__(self) -> str:
        key = Secret(self.key_material)
        return f"FileEncryptionInfo({key!r}, algorithm={self.algorithm}, {self.file_length_hint} octets)"

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        return cls(reader.octets(1), reader.octets(2), reader.octets(3), reader.uint(4), reader.fixed32(5))

    def encode(self) -> bytes:
        return b"".join(
            (
                encode_octets_field(1, self.key_material),
                encode_octets_field(2, self.initialization_vector),
                encode_octets_field(3, self.hmac_tag),
                encode_uint_field(4, self.algorithm),
                encode_fixed32_field(5, self.file_length_hint),
            )
        )


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """Name (the Info of Annex C.2, so part of the key), type, and how it is encrypted."""

    file_name: str
    content_type: str
    encryption_info: FileEncryptionInfo | None

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        encryption = reader.message(3)
        return cls(
            reader.text(1), reader.text(2), None if encryption is None else FileEncryptionInfo.decode(encryption)
        )

    def encode(self) -> bytes:
        encryption = None if self.encryption_info is None else self.encryption_info.encode()
        names = encode_text_field(1, self.file_name) + encode_text_field(2, self.content_type)
        return names + encode_message_field(3, encryption)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One of four slots is usual; several are read."""

    file: FileMetadata | None = None
    thumbnail: FileMetadata | None = None
    subject: FileMetadata | None = None
    icon: FileMetadata | None = None

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        slots = [reader.message(number) for number in range(1, 5)]
        return cls(*[None if slot is None else FileMetadata.decode(slot) for slot in slots])

    def encode(self) -> bytes:
        slots = (self.file, self.thumbnail, self.subject, self.icon)
        fields = [
            encode_message_field(number, None if slot is None else slot.encode())
            for number, slot in enumerate(slots, 1)
        ]
        return b"".join(fields)
