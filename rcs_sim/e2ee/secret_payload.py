"""SecretPayload: the plaintext of an application message (RCC.16 §7.5.1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_u16, encode_u32

__all__ = ["PayloadType", "SecretPayload"]

_SPEC = "RCC.16 §7.5.1.2"
_VERSION = b"\x00\x01"


class PayloadType(IntEnum):
    """What a payload holds. Only the first has been seen; others are dropped without a receipt."""

    MESSAGE_CONTENT = 1
    GROUP_METADATA_KEYS = 4
    """(inferred): reported for v4.0, never captured. This simulator sends such keys as message content (choice)."""


@dataclass(frozen=True, slots=True)
class SecretPayload(TlsStruct):
    """``uint16 version = 1; uint16 payload_type; uint32 key_generation; opaque content<V>``.

    *key_generation* equals the generation in the message's sender_data: it is stamped before the message is sealed with
    that generation, and compared after one is opened."""

    key_generation: int
    content: bytes
    payload_type: int = PayloadType.MESSAGE_CONTENT

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Raises TlsDecodeError."""
        version = reader.u16()
        if version != 1:
            reader.fail(f"a payload of version {version}", _SPEC)
        payload_type, key_generation = reader.u16(), reader.u32()
        return cls(key_generation, reader.opaque(), payload_type)

    def encode(self) -> bytes:
        numbers = _VERSION + encode_u16(self.payload_type) + encode_u32(self.key_generation)
        return numbers + encode_opaque(self.content)
