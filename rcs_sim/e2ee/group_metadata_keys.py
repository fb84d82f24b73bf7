"""GroupMetadataKeys: the continuity token and the keys of subject and icon, for a member without (RCC.16 §7.13.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from rcs_sim.e2ee.file_info import FileInfo
from rcs_sim.wire.protobuf import ProtobufReader, encode_message_field, encode_octets_field

__all__ = ["GroupMetadataKeys"]


@dataclass(frozen=True, slots=True)
class GroupMetadataKeys:
    """*continuity_token* is empty, and *file_info* None, where the sender has none."""

    continuity_token: bytes = field(default=b"", repr=False)
    file_info: FileInfo | None = None

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        file_info = reader.message(2)
        return cls(reader.octets(1), None if file_info is None else FileInfo.decode(file_info))

    def encode(self) -> bytes:
        file_info = None if self.file_info is None else self.file_info.encode()
        return encode_octets_field(1, self.continuity_token) + encode_message_field(2, file_info)
