"""GroupContext, GroupInfo and the tree as it travels (RFC 9420 §8.1, §12.4.3, §7.1, §12.4.3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeAlias

from rcs_sim.mls.codec import (
    Reader,
    ReceivedStruct,
    TlsStruct,
    encode_opaque,
    encode_optional,
    encode_u16,
    encode_u32,
    encode_u64,
    encode_vector,
)
from rcs_sim.mls.extensions import Extension, Extensions, encode_extensions, read_extensions
from rcs_sim.mls.identifiers import CipherSuiteId, Epoch, ExtensionType, LeafIndex, NodeType, ProtocolVersion
from rcs_sim.mls.leaf_node import LeafNode

__all__ = ["GroupContext", "GroupInfo", "Node", "ParentNode", "RatchetTreeExtension", "encode_node", "read_node"]


@dataclass(frozen=True, slots=True)
class GroupContext(ReceivedStruct):
    """``GroupContext`` (RFC 9420 §8.1)."""

    version: ProtocolVersion
    cipher_suite: CipherSuiteId
    group_id: bytes
    epoch: Epoch
    tree_hash: bytes
    confirmed_transcript_hash: bytes
    extensions: Extensions

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(
            ProtocolVersion(reader.u16()),
            CipherSuiteId(reader.u16()),
            reader.opaque(),
            Epoch(reader.u64()),
            reader.opaque(),
            reader.opaque(),
            read_extensions(reader),
        )

    def _encode(self) -> bytes:
        parts = (
            encode_u16(self.version),
            encode_u16(self.cipher_suite),
            encode_opaque(self.group_id),
            encode_u64(self.epoch),
            encode_opaque(self.tree_hash),
            encode_opaque(self.confirmed_transcript_hash),
            encode_extensions(self.extensions),
        )
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class GroupInfo(ReceivedStruct):
    """``GroupInfo`` (RFC 9420 §12.4.3)."""

    group_context: GroupContext
    extensions: Extensions
    confirmation_tag: bytes
    signer: LeafIndex
    signature: bytes

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(
            GroupContext.read(reader),
            read_extensions(reader),
            reader.opaque(),
            LeafIndex(reader.u32()),
            reader.opaque(),
        )

    def _encode(self) -> bytes:
        return self._unsigned() + encode_opaque(self.signature)

    def to_be_signed(self) -> bytes:
        """``GroupInfoTBS``."""
        if self._octets is None:
            return self._unsigned()
        return self._octets[: -len(encode_opaque(self.signature))]

    def _unsigned(self) -> bytes:
        parts = (
            self.group_context.encode(),
            encode_extensions(self.extensions),
            encode_opaque(self.confirmation_tag),
            encode_u32(self.signer),
        )
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class ParentNode(TlsStruct):
    """``ParentNode`` (RFC 9420 §7.1)."""

    encryption_key: bytes
    parent_hash: bytes
    unmerged_leaves: tuple[LeafIndex, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.opaque(), reader.opaque(), reader.vector(_read_leaf_index))

    def encode(self) -> bytes:
        keys = encode_opaque(self.encryption_key) + encode_opaque(self.parent_hash)
        return keys + encode_vector(map(encode_u32, self.unmerged_leaves))


Node: TypeAlias = LeafNode | ParentNode


def _read_leaf_index(reader: Reader) -> LeafIndex:
    return LeafIndex(reader.u32())


def read_node(reader: Reader) -> Node:
    """``Node`` (RFC 9420 §12.4.3.3). Raises TlsDecodeError."""
    node_type = reader.u8()
    if node_type == NodeType.LEAF:
        return LeafNode.read(reader)
    if node_type != NodeType.PARENT:
        reader.fail(f"a node has the type {node_type}", "RFC 9420 §7.8")
    return ParentNode.read(reader)


def encode_node(node: Node) -> bytes:
    """``Node`` (RFC 9420 §12.4.3.3)."""
    return (b"\x01" if isinstance(node, LeafNode) else b"\x02") + node.encode()


def _read_optional_node(reader: Reader) -> Node | None:
    return reader.optional(read_node)


@dataclass(frozen=True, slots=True)
class RatchetTreeExtension(TlsStruct):
    """``optional<Node> ratchet_tree<V>`` (RFC 9420 §12.4.3.3): the nodes in array order, without the blank ones at
    the right end. In a GroupInfo, or beside a Welcome."""

    nodes: tuple[Node | None, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.vector(_read_optional_node))

    def encode(self) -> bytes:
        return encode_vector([encode_optional(None if node is None else encode_node(node)) for node in self.nodes])

    def as_extension(self) -> Extension:
        return Extension(ExtensionType.RATCHET_TREE, self.encode())
