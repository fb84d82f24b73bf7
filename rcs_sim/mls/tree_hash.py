"""What the tree hash and the parent hash are hashes of (RFC 9420 §7.8, §7.9)."""

from __future__ import annotations

from rcs_sim.mls.codec import encode_opaque, encode_optional, encode_u8, encode_u32
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group_info import ParentNode
from rcs_sim.mls.identifiers import LeafIndex, NodeType
from rcs_sim.mls.leaf_node import LeafNode

__all__ = ["hash_leaf", "hash_parent", "hash_parent_link"]

_LEAF = encode_u8(NodeType.LEAF)
_PARENT = encode_u8(NodeType.PARENT)


def hash_leaf(suite: CipherSuite, index: LeafIndex, leaf: LeafNode | None) -> bytes:
    """Tree hash of a leaf: of a TreeHashInput with a LeafNodeHashInput (RFC 9420 §7.8).

    ``struct { uint32 leaf_index; optional<LeafNode> leaf_node; } LeafNodeHashInput;``
    """
    return suite.hash(_LEAF + encode_u32(index) + encode_optional(None if leaf is None else leaf.encode()))


def hash_parent(suite: CipherSuite, parent: ParentNode | None, left_hash: bytes, right_hash: bytes) -> bytes:
    """Tree hash of a parent: of a TreeHashInput with a ParentNodeHashInput (RFC 9420 §7.8).

    ``struct { optional<ParentNode> parent_node; opaque left_hash<V>; opaque right_hash<V>; } ParentNodeHashInput;``
    """
    node = encode_optional(None if parent is None else parent.encode())
    return suite.hash(_PARENT + node + encode_opaque(left_hash) + encode_opaque(right_hash))


def hash_parent_link(suite: CipherSuite, encryption_key: bytes, parent_hash: bytes, sibling_tree_hash: bytes) -> bytes:
    """Parent hash: of a ParentHashInput (RFC 9420 §7.9).

    ``struct { HPKEPublicKey encryption_key; opaque parent_hash<V>; opaque original_sibling_tree_hash<V>; }``
    """
    return suite.hash(encode_opaque(encryption_key) + encode_opaque(parent_hash) + encode_opaque(sibling_tree_hash))
