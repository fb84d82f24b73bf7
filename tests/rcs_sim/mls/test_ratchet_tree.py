"""The public ratchet tree as a value (RFC 9420 §4, §7.7, §12.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group_info import ParentNode
from rcs_sim.mls.identifiers import CredentialType, LeafIndex, NodeIndex
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_math import node_of, root
from rcs_sim.mls.tree_nodes import tree_nodes, tree_of_nodes
from tests.support.mls_tree_views import Client, populated_views

SUITE = CipherSuite.of(1)
LEAVES = [Client(SUITE, f"member {number}").leaf()[0] for number in range(40)]


def tree_of(count: int) -> RatchetTree:
    return RatchetTree.of_creator(SUITE, LEAVES[0]).with_changes(adds=LEAVES[1:count])[0]


def names(tree: RatchetTree) -> list[int | None]:
    """Which of LEAVES are where."""
    return [None if leaf is None else LEAVES.index(leaf) for leaf in tree.leaf_array()]


def test_a_creator_is_alone() -> None:
    tree = RatchetTree.of_creator(SUITE, LEAVES[0])
    assert (tree.leaf_count, tree.member_count, tree.root) == (1, 1, 0)
    assert tree.filtered_direct_path(LeafIndex(0)) == []
    assert tree.resolution(NodeIndex(0)) == [0]


def test_an_add_takes_the_leftmost_blank_leaf_and_the_tree_grows_when_there_is_none() -> None:
    tree, _ = tree_of(5).with_changes(removes=[LeafIndex(1), LeafIndex(3)])
    assert names(tree) == [0, None, 2, None, 4, None, None, None]
    tree, places = tree.with_changes(adds=LEAVES[10:17])
    assert places == (1, 3, 5, 6, 7, 8, 9)
    assert tree.leaf_count == 16
    assert tree.root == root(16)


def test_removes_shrink_the_tree_to_its_members() -> None:
    tree, _ = tree_of(9).with_changes(removes=[LeafIndex(8)])
    assert tree.leaf_count == 8
    tree, _ = tree.with_changes(removes=[LeafIndex(index) for index in (1, 2, 3, 4, 5, 6, 7)])
    assert names(tree) == [0]
    assert tree_nodes(tree) == (LEAVES[0],)


def test_a_remove_and_an_add_in_one_commit_use_the_place_again() -> None:
    tree, places = tree_of(5).with_changes(removes=[LeafIndex(4)], adds=[LEAVES[20]])
    assert places == (4,)
    assert names(tree) == [0, 1, 2, 3, 20, None, None, None]


def test_an_add_is_unmerged_at_the_parents_above() -> None:
    tree = populated_views(SUITE, 3)[0].tree
    tree, places = tree.with_changes(adds=[LEAVES[30]])
    assert places == (3,)
    assert {node: parent.unmerged_leaves for node, parent in tree.parents()} == {1: (), 3: (3,)}
    assert tree.resolution(NodeIndex(3)) == [3, 6]


def test_unmerged_leaves_stay_in_order() -> None:
    tree = populated_views(SUITE, 8)[0].tree
    parents = [ParentNode(b"k%d" % at, b"", (LeafIndex(5),) if at == 3 else ()) for at in range(7)]
    leaves = [None if at in (2, 7) else leaf for at, leaf in enumerate(tree.leaf_array())]
    after, _ = RatchetTree(SUITE, leaves, parents).with_changes(adds=LEAVES[30:32])
    assert after.parent(NodeIndex(7)) == replace(parents[3], unmerged_leaves=(2, 5, 7))


def test_an_update_or_remove_blanks_the_direct_path() -> None:
    tree = populated_views(SUITE, 8)[0].tree
    assert len(list(tree.parents())) == 7
    updated, _ = tree.with_changes({LeafIndex(5): LEAVES[30]})
    assert [node for node, _ in updated.parents()] == [1, 3, 5, 13]
    removed, _ = tree.with_changes(removes=[LeafIndex(0)])
    assert [node for node, _ in removed.parents()] == [5, 9, 11, 13]


def test_the_filtered_direct_path_leaves_out_what_has_nobody_beside_it() -> None:
    tree = tree_of(5)
    assert tree.filtered_direct_path(LeafIndex(4)) == [(7, 3)]
    assert tree.filtered_direct_path(LeafIndex(0)) == [(1, 2), (3, 5), (7, 11)]


def test_a_parent_counts_as_resolution_whatever_is_below_it() -> None:
    parent = ParentNode(b"key", b"", ())
    tree = RatchetTree(SUITE, [LEAVES[0], LEAVES[1], None, None], [None, None, parent])
    assert tree.has_resolution(NodeIndex(5))
    assert tree.resolution(NodeIndex(5)) == [5]


@pytest.mark.parametrize("index", [1, 8, -1])
def test_a_leaf_without_a_member_is_neither_updated_nor_removed(index: int) -> None:
    tree, _ = tree_of(5).with_changes(removes=[LeafIndex(1)])
    with pytest.raises(LocalProtocolError):
        tree.with_changes(removes=[LeafIndex(index)])
    with pytest.raises(LocalProtocolError):
        tree.with_changes({LeafIndex(index): LEAVES[9]})


def test_what_is_outside_of_the_tree_is_blank() -> None:
    tree = tree_of(3)
    assert tree.leaf(LeafIndex(9)) is None
    assert tree.is_blank(NodeIndex(99))
    assert tree.is_blank(NodeIndex(-1))
    assert not tree.is_blank(NodeIndex(4))


def test_encryption_keys_are_counted_over_leaves_and_parents() -> None:
    tree = populated_views(SUITE, 4)[0].tree
    key = tree.encryption_key(NodeIndex(1))
    assert key is not None
    assert tree.encryption_key_uses(key) == 1
    assert tree.repeated_encryption_keys() == []
    twice, _ = tree.with_changes(adds=[replace(LEAVES[30], encryption_key=key)])
    assert twice.encryption_key_uses(key) == 2
    assert twice.repeated_encryption_keys() == [key]
    assert twice.with_changes(removes=[LeafIndex(0)])[0].repeated_encryption_keys() == []
    assert tree.encryption_key_uses(b"nobody's") == 0


def test_a_repeated_signature_key_is_found_and_forgotten_again() -> None:
    tree = tree_of(3)
    again, places = tree.with_changes(adds=[replace(LEAVES[5], signature_key=LEAVES[1].signature_key)])
    assert again.repeated_signature_keys() == [LEAVES[1].signature_key]
    assert again.signature_key_uses(LEAVES[1].signature_key) == 2
    assert again.with_changes(removes=places)[0].repeated_signature_keys() == []
    assert tree.repeated_signature_keys() == []


def test_credential_types_count_as_supported_when_all_members_list_them() -> None:
    tree = tree_of(3)
    assert tree.unsupported_credential_types() == []
    narrow = replace(LEAVES[9], capabilities=replace(LEAVES[9].capabilities, credentials=(CredentialType.X509,)))
    after, places = tree.with_changes(adds=[narrow])
    assert after.unsupported_credential_types() == [CredentialType.BASIC]
    assert after.with_changes(removes=places)[0].unsupported_credential_types() == []


def afresh(tree: RatchetTree) -> RatchetTree:
    """The same tree, with nothing kept from before."""
    return tree_of_nodes(SUITE, tree_nodes(tree))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_is_kept_of_hashes_and_keys_is_what_a_fresh_tree_has(data: st.DataObject) -> None:
    tree = tree_of(data.draw(st.integers(1, 9)))
    spare = iter(LEAVES[9:])
    for _ in range(data.draw(st.integers(1, 6))):
        tree.tree_hash()
        members = [index for index, _ in tree.members()]
        chosen = data.draw(st.lists(st.sampled_from(members), unique=True, max_size=4))
        removes = chosen[: len(members) - 1][::2]
        updates = {index: next(spare) for index in chosen if index not in removes}
        adds = [next(spare) for _ in range(data.draw(st.integers(0, 1)))]
        tree, _ = tree.with_changes(updates, removes, adds)
        sender = next(tree.members())[0]
        parents = {
            node: ParentNode(bytes((node, len(members))), b"", ()) for node, _ in tree.filtered_direct_path(sender)
        }
        if data.draw(st.booleans()):
            tree = tree.with_path(sender, next(spare), parents)
        other = afresh(tree)
        assert tree.tree_hash() == other.tree_hash()
        for index, leaf in tree.members():
            assert tree.encryption_key_uses(leaf.encryption_key) == other.encryption_key_uses(leaf.encryption_key)
            assert tree.signature_key_uses(leaf.signature_key) == other.signature_key_uses(leaf.signature_key)
            assert tree.encryption_key(node_of(index)) == leaf.encryption_key
        assert tree.first_blank_leaf() == other.first_blank_leaf()
        assert tree.member_count == other.member_count


def test_a_change_leaves_all_hashes_but_those_of_its_path() -> None:
    tree = populated_views(SUITE, 64)[0].tree
    tree.tree_hash()
    after, _ = tree.with_changes({LeafIndex(17): LEAVES[0]})
    assert after._hashes.count(None) == 7
    assert tree._hashes.count(None) == 0
    after.tree_hash()
    assert after._hashes.count(None) == 0
