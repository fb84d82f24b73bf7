"""Parent hashes (RFC 9420 §7.9)."""

from __future__ import annotations

from dataclasses import replace

from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group_info import ParentNode
from rcs_sim.mls.identifiers import LeafIndex, NodeIndex
from rcs_sim.mls.parent_hash import original_tree_hash, parent_hash_children, parent_hash_of, path_parents
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_hash import hash_parent_link
from tests.support.mls_tree_views import Client, populated_views

SUITE = CipherSuite.of(1)
LEAVES = [Client(SUITE, f"member {number}").leaf()[0] for number in range(8)]


def figure() -> RatchetTree:
    """The tree of the figure in RFC 9420 §7.9: F is unmerged at W and at Y."""
    parents: list[ParentNode | None] = [None] * 7
    parents[0] = ParentNode(b"T", b"", ())
    parents[1] = ParentNode(b"U", b"", ())
    parents[3] = ParentNode(b"W", b"", (LeafIndex(5),))
    parents[5] = ParentNode(b"Y", b"", (LeafIndex(5),))
    return RatchetTree(SUITE, [*LEAVES[:7], None], parents)


def test_the_original_hash_of_a_sibling_is_that_without_the_leaves_that_came_later() -> None:
    tree = figure()
    leaves = list(tree.leaf_array())
    leaves[5] = None
    parents = list(tree.parent_array())
    parents[5] = ParentNode(b"Y", b"", ())
    before = RatchetTree(SUITE, leaves, parents)
    assert original_tree_hash(tree, NodeIndex(11), (LeafIndex(5),)) == before.tree_hash(NodeIndex(11))
    assert original_tree_hash(tree, NodeIndex(3), (LeafIndex(5),)) == tree.tree_hash(NodeIndex(3))
    expected = hash_parent_link(SUITE, b"W", b"", before.tree_hash(NodeIndex(11)))
    assert parent_hash_of(tree, NodeIndex(7), NodeIndex(11)) == expected


def test_a_path_is_a_chain_of_parent_hashes_from_the_root_to_the_leaf() -> None:
    tree = figure()
    parents, leaf_hash = path_parents(tree, tree.filtered_direct_path(LeafIndex(4)), [b"E1", b"E2", b"E3"])
    root_hash = hash_parent_link(SUITE, b"E3", b"", tree.tree_hash(NodeIndex(3)))
    y_hash = hash_parent_link(SUITE, b"E2", root_hash, tree.tree_hash(NodeIndex(13)))
    assert parents == {
        7: ParentNode(b"E3", b"", ()),
        11: ParentNode(b"E2", root_hash, ()),
        9: ParentNode(b"E1", y_hash, ()),
    }
    assert leaf_hash == hash_parent_link(SUITE, b"E1", y_hash, tree.tree_hash(NodeIndex(10)))


def test_each_parent_of_a_grown_tree_has_one_node_that_vouches_for_it() -> None:
    tree, _ = populated_views(SUITE, 7)[0].tree.with_changes(adds=[LEAVES[0]], removes=[LeafIndex(2)])
    for node, _ in tree.parents():
        assert len(parent_hash_children(tree, node)) == 1


def test_a_node_that_was_set_by_somebody_else_vouches_for_nothing() -> None:
    tree = populated_views(SUITE, 4)[0].tree
    parents = list(tree.parent_array())
    own = parents[0]
    assert own is not None
    parents[0] = replace(own, encryption_key=b"of an outsider")
    forged = RatchetTree(SUITE, tree.leaf_array(), parents)
    assert parent_hash_children(forged, NodeIndex(1)) == []


def test_a_leaf_that_is_not_listed_as_unmerged_breaks_the_chain() -> None:
    tree = populated_views(SUITE, 4)[0].tree
    after, _ = tree.with_changes(removes=[LeafIndex(3)])
    after, _ = after.with_changes(adds=[LEAVES[1]])
    assert {node: parent_hash_children(after, node) for node, _ in after.parents()} == {1: [2]}
    parents = list(tree.parent_array())
    unlisted = RatchetTree(SUITE, after.leaf_array(), parents)
    assert parent_hash_children(unlisted, NodeIndex(5)) == []
