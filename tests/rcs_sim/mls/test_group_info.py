"""GroupContext, GroupInfo and the tree as it travels (RFC 9420 §8.1, §12.4.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.extensions import ExternalPub, find_extension
from rcs_sim.mls.group_info import GroupContext, GroupInfo, ParentNode, RatchetTreeExtension
from rcs_sim.mls.identifiers import CipherSuiteId, Epoch, ExtensionType, LeafIndex, ProtocolVersion
from tests.rcs_sim.mls.test_leaf_node import LEAF

CONTEXT = GroupContext(ProtocolVersion.MLS10, CipherSuiteId(2), b"group", Epoch(7), b"tree", b"transcript", ())
_INFO = GroupInfo(CONTEXT, (ExternalPub(b"key").as_extension(),), b"tag", LeafIndex(3), b"signed")


def test_a_group_context_is_encoded_once() -> None:
    assert CONTEXT.encode() is CONTEXT.encode()
    assert GroupContext.decode(CONTEXT.encode()) == CONTEXT
    assert replace(CONTEXT, epoch=Epoch(8)).encode() != CONTEXT.encode()


def test_the_signature_of_a_group_info_covers_all_before_it() -> None:
    decoded = GroupInfo.decode(_INFO.encode())
    assert decoded == _INFO
    assert decoded.to_be_signed() == _INFO.to_be_signed() == _INFO.encode()[:-7]
    assert decoded.group_context.encode() == CONTEXT.encode()


def test_a_tree_travels_as_optional_nodes() -> None:
    tree = RatchetTreeExtension((LEAF, ParentNode(b"key", b"", (LeafIndex(1),)), LEAF, None, LEAF))
    extension = tree.as_extension()
    assert RatchetTreeExtension.decode(extension.extension_data) == tree
    assert find_extension((extension,), ExtensionType.RATCHET_TREE) == tree.encode()


@pytest.mark.parametrize("octets", [b"\x01\x02", b"\x02\x01\x00", b"\x02\x01\x03", b"\x01\x01"])
def test_a_node_that_is_neither_leaf_nor_parent_is_refused(octets: bytes) -> None:
    with pytest.raises(TlsDecodeError):
        RatchetTreeExtension.decode(octets)
