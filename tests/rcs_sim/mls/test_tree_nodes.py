"""The ratchet tree as an array of nodes (RFC 9420 §12.4.3.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import Node, ParentNode, RatchetTreeExtension
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_nodes import MAX_LEAVES, tree_nodes, tree_of_nodes
from rcs_sim.mls.tree_validation import verify_tree
from tests.support.mls_tree_views import GROUP_ID, Client, populated_views

SUITE = CipherSuite.of(1)
LEAF = Client(SUITE, "alice").leaf()[0]
PARENT = ParentNode(b"key", b"", ())


def refused(*nodes: Node | None) -> str:
    with pytest.raises(MlsValidationError) as caught:
        tree_of_nodes(SUITE, nodes)
    return caught.value.rule


def test_a_tree_is_the_same_after_a_journey() -> None:
    tree, _ = populated_views(SUITE, 6)[0].tree.with_changes(removes=[LeafIndex(5), LeafIndex(1)])
    again = tree_of_nodes(SUITE, RatchetTreeExtension.decode(RatchetTreeExtension(tree_nodes(tree)).encode()).nodes)
    assert again.leaf_array() == tree.leaf_array()
    assert again.parent_array() == tree.parent_array()
    assert again.tree_hash() == tree.tree_hash()


def test_the_array_ends_with_the_last_node_that_is_not_blank() -> None:
    tree = RatchetTree.of_creator(SUITE, LEAF).with_changes(adds=[LEAF, LEAF, LEAF, LEAF])[0]
    assert tree_nodes(tree) == (LEAF, None) * 4 + (LEAF,)


def test_valsem300_a_tree_that_ends_in_a_blank_node_is_refused() -> None:
    assert refused(LEAF, None) == "ValSem300"
    assert refused(None) == "ValSem300"
    assert refused() == "ValSem300"


def test_val701_a_leaf_in_the_place_of_a_parent_is_refused_and_the_other_way_round() -> None:
    assert refused(LEAF, LEAF) == "VAL-701"
    assert refused(PARENT) == "VAL-701"
    assert refused(LEAF, None, PARENT) == "VAL-701"


def test_val702_a_tree_larger_than_its_members_need_is_refused() -> None:
    assert refused(LEAF, PARENT) == "VAL-702"
    assert refused(LEAF, None, LEAF, None, None, PARENT) == "VAL-702"
    assert refused(None, None, None, PARENT) == "VAL-702"


def test_val719_a_tree_of_blank_nodes_without_end_is_refused() -> None:
    assert refused(*[None] * (2 * MAX_LEAVES), LEAF) == "VAL-719"
    assert tree_of_nodes(SUITE, [None] * (2 * MAX_LEAVES - 2) + [LEAF]).leaf_count == MAX_LEAVES


GOOD = RatchetTreeExtension(tree_nodes(populated_views(SUITE, 5)[0].tree)).encode()
GOOD_HASH = tree_of_nodes(SUITE, RatchetTreeExtension.decode(GOOD).nodes).tree_hash()


def join(octets: bytes) -> None:
    verify_tree(tree_of_nodes(SUITE, RatchetTreeExtension.decode(octets).nodes), GROUP_ID, GOOD_HASH)


@given(st.integers(0, 8 * len(GOOD) - 1), st.booleans())
def test_damaged_octets_of_a_tree_raise_nothing_but_our_errors(bit: int, cut: bool) -> None:
    damaged = bytearray(GOOD)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises((TlsDecodeError, MlsValidationError)):
        join(GOOD[: bit // 8] if cut else bytes(damaged))


def test_whole_octets_of_a_tree_are_accepted() -> None:
    join(GOOD)
