"""KeyPackage: how a client is added to groups while it is away (RFC 9420 §10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rcs_sim.mls.codec import Reader, ReceivedStruct, encode_opaque, encode_u16
from rcs_sim.mls.extensions import Extensions, encode_extensions, read_extensions
from rcs_sim.mls.identifiers import CipherSuiteId, ProtocolVersion
from rcs_sim.mls.leaf_node import LeafNode

__all__ = ["KeyPackage"]


@dataclass(frozen=True, slots=True)
class KeyPackage(ReceivedStruct):
    """``KeyPackage`` (RFC 9420 §10). Keeps the octets received: the reference is their hash."""

    version: ProtocolVersion
    cipher_suite: CipherSuiteId
    init_key: bytes
    leaf_node: LeafNode
    extensions: Extensions
    signature: bytes

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(
            ProtocolVersion(reader.u16()),
            CipherSuiteId(reader.u16()),
            reader.opaque(),
            LeafNode.read(reader),
            read_extensions(reader),
            reader.opaque(),
        )

    def _encode(self) -> bytes:
        return self._unsigned() + encode_opaque(self.signature)

    def to_be_signed(self) -> bytes:
        """``KeyPackageTBS``."""
        if self._octets is None:
            return self._unsigned()
        return self._octets[: -len(encode_opaque(self.signature))]

    def _unsigned(self) -> bytes:
        parts = (
            encode_u16(self.version),
            encode_u16(self.cipher_suite),
            encode_opaque(self.init_key),
            self.leaf_node.encode(),
            encode_extensions(self.extensions),
        )
        return b"".join(parts)
