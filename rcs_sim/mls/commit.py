"""Commit and its UpdatePath (RFC 9420 §7.6, §12.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_optional, encode_vector
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.proposals import ProposalOrRef, encode_proposal_or_ref, read_proposal_or_ref

__all__ = ["Commit", "HPKECiphertext", "UpdatePath", "UpdatePathNode"]


@dataclass(frozen=True, slots=True)
class HPKECiphertext(TlsStruct):
    """``HPKECiphertext`` (RFC 9420 §7.6)."""

    kem_output: bytes
    ciphertext: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.opaque(), reader.opaque())

    def encode(self) -> bytes:
        return encode_opaque(self.kem_output) + encode_opaque(self.ciphertext)


@dataclass(frozen=True, slots=True)
class UpdatePathNode(TlsStruct):
    """``UpdatePathNode`` (RFC 9420 §7.6)."""

    encryption_key: bytes
    encrypted_path_secret: tuple[HPKECiphertext, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.opaque(), reader.pairs(HPKECiphertext))

    def encode(self) -> bytes:
        secrets = encode_vector([secret.encode() for secret in self.encrypted_path_secret])
        return encode_opaque(self.encryption_key) + secrets


@dataclass(frozen=True, slots=True)
class UpdatePath(TlsStruct):
    """``UpdatePath`` (RFC 9420 §7.6). *nodes* go from the leaf towards the root."""

    leaf_node: LeafNode
    nodes: tuple[UpdatePathNode, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(LeafNode.read(reader), reader.vector(UpdatePathNode.read))

    def encode(self) -> bytes:
        return self.leaf_node.encode() + encode_vector([node.encode() for node in self.nodes])


@dataclass(frozen=True, slots=True)
class Commit(TlsStruct):
    """``Commit`` (RFC 9420 §12.4)."""

    proposals: tuple[ProposalOrRef, ...]
    path: UpdatePath | None

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.vector(read_proposal_or_ref), reader.optional(UpdatePath.read))

    def encode(self) -> bytes:
        path = None if self.path is None else self.path.encode()
        return encode_vector(map(encode_proposal_or_ref, self.proposals)) + encode_optional(path)
