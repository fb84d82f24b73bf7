"""What tree hashes and parent hashes are of (RFC 9420 §7.8, §7.9)."""

from __future__ import annotations

import hashlib

from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group_info import ParentNode
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.tree_hash import hash_leaf, hash_parent, hash_parent_link
from tests.support.mls_tree_views import Client

SUITE = CipherSuite.of(1)


def sha256(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def test_a_leaf_is_hashed_with_its_place() -> None:
    leaf, _ = Client(SUITE, "alice").leaf()
    assert hash_leaf(SUITE, LeafIndex(258), None) == sha256(b"\x01\x00\x00\x01\x02\x00")
    assert hash_leaf(SUITE, LeafIndex(1), leaf) == sha256(b"\x01\x00\x00\x00\x01\x01" + leaf.encode())


def test_a_parent_is_hashed_with_the_hashes_below() -> None:
    parent = ParentNode(b"key", b"hash", (LeafIndex(3),))
    encoded = b"\x03key\x04hash\x04\x00\x00\x00\x03"
    assert hash_parent(SUITE, None, b"L", b"RR") == sha256(b"\x02\x00\x01L\x02RR")
    assert hash_parent(SUITE, parent, b"L", b"R") == sha256(b"\x02\x01" + encoded + b"\x01L\x01R")


def test_a_parent_hash_is_of_key_parent_hash_and_sibling() -> None:
    assert hash_parent_link(SUITE, b"key", b"", b"sibling") == sha256(b"\x03key\x00\x07sibling")
