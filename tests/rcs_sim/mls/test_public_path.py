"""The rules of an UpdatePath that can be seen without a secret (RFC 9420 §7.5, §7.6, §12.4.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rcs_sim.mls.commit import UpdatePath
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex, LeafNodeSource, NodeIndex
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.public_path import merge_path, path_steps
from rcs_sim.mls.treekem import create_path
from tests.support.mls_tree_views import GROUP_ID, Client, populated_views, seeded, sign_leaf

SUITE = CipherSuite.of(1)
VIEWS = populated_views(SUITE, 6)
TREE = VIEWS[0].tree
SENDER = LeafIndex(2)
CLIENT = VIEWS[2].client


def sent(change: Callable[[LeafNode], LeafNode] = lambda leaf: leaf) -> UpdatePath:
    """A path of SENDER whose leaf was changed before it was signed."""

    def make(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        return sign_leaf(change(CLIENT.committed(SENDER)(encryption_key, parent_hash)), SUITE, CLIENT.signer, SENDER)

    return create_path(TREE, SENDER, seeded("path"), make).encrypt(b"context", seeded("sealing"))


def refused(path: UpdatePath) -> str:
    before = TREE.tree_hash()
    with pytest.raises(MlsValidationError) as caught:
        merge_path(TREE, SENDER, path, GROUP_ID)
    assert TREE.tree_hash() == before
    return caught.value.rule


def test_a_path_is_merged_into_a_new_tree() -> None:
    merged = merge_path(TREE, SENDER, sent(), GROUP_ID)
    assert [step.node for step in merged.steps] == [5, 3, 7]
    assert [merged.tree.encryption_key(step.node) for step in merged.steps] == [n.encryption_key for n in sent().nodes]
    assert merged.tree.leaf(SENDER) == sent().leaf_node
    assert TREE.leaf(SENDER) != sent().leaf_node


def test_new_leaves_get_no_path_secret() -> None:
    tree, places = TREE.with_changes(adds=[Client(SUITE, f"new {n}").leaf()[0] for n in range(2)])
    steps = path_steps(tree, SENDER, places)
    assert [step.targets for step in steps] == [(6,), (1,), (9,)]
    assert tree.resolution(NodeIndex(11)) == [9, 12, 14]


def test_val720_the_leaf_has_the_source_commit() -> None:
    leaf = CLIENT.updated(SENDER)[0]
    assert refused(replace(sent(), leaf_node=leaf)) == "VAL-720"


def test_valsem202_a_path_has_the_length_of_the_filtered_direct_path() -> None:
    path = sent()
    assert refused(replace(path, nodes=path.nodes[:-1])) == "ValSem202"
    assert refused(replace(path, nodes=(*path.nodes, path.nodes[-1]))) == "ValSem202"
    assert refused(replace(path, nodes=())) == "ValSem202"


def test_val721_a_path_secret_is_encrypted_once_to_each_node() -> None:
    path = sent()
    first = path.nodes[0]
    for sealed in ((), (*first.encrypted_path_secret, *first.encrypted_path_secret)):
        node = replace(first, encrypted_path_secret=sealed)
        assert refused(replace(path, nodes=(node, *path.nodes[1:]))) == "VAL-721"


def test_valsem206_the_leaf_has_a_key_that_is_not_in_the_tree() -> None:
    old = TREE.leaf(SENDER)
    assert old is not None
    for key in (old.encryption_key, TREE.encryption_key(NodeIndex(0)), TREE.encryption_key(NodeIndex(1))):
        assert key is not None
        assert refused(sent(lambda leaf, key=key: replace(leaf, encryption_key=key))) == "ValSem206"


def test_valsem207_the_nodes_have_keys_that_are_not_in_the_tree_and_different() -> None:
    path = sent()
    known = TREE.encryption_key(NodeIndex(3))
    assert known is not None
    for key in (known, path.leaf_node.encryption_key, path.nodes[0].encryption_key):
        node = replace(path.nodes[1], encryption_key=key)
        assert refused(replace(path, nodes=(path.nodes[0], node, path.nodes[2]))) == "ValSem207"


def test_val717_the_leaf_has_a_key_that_something_can_be_encrypted_to() -> None:
    assert refused(sent(lambda leaf: replace(leaf, encryption_key=bytes(32)))) == "VAL-717"


def test_val724_the_nodes_have_keys_of_the_suite() -> None:
    path = sent()
    node = replace(path.nodes[1], encryption_key=path.nodes[1].encryption_key[:31])
    assert refused(replace(path, nodes=(path.nodes[0], node, path.nodes[2]))) == "VAL-724"


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", b"\xff" * 32])
def test_val724_nothing_can_be_encrypted_to_a_point_of_small_order(point: bytes) -> None:
    path = sent()
    node = replace(path.nodes[0], encryption_key=point)
    expected = "VAL-722" if point == b"\xff" * 32 else "VAL-724"  # the last is 18, of no small order
    assert refused(replace(path, nodes=(node, *path.nodes[1:]))) == expected


def test_val722_the_leaf_carries_the_parent_hash_of_the_path() -> None:
    assert refused(sent(lambda leaf: replace(leaf, parent_hash=bytes(32)))) == "VAL-722"
    path = sent()
    other = replace(path.nodes[2], encryption_key=bytes(range(32)))
    assert refused(replace(path, nodes=(*path.nodes[:2], other))) == "VAL-722"


def test_val708_the_leaf_is_signed_for_this_place_in_this_group() -> None:
    path = sent()
    for place in (None, LeafIndex(3)):
        leaf = path.leaf_node if place is None else sign_leaf(path.leaf_node, SUITE, CLIENT.signer, place)
        signature = leaf.signature if place else bytes(len(leaf.signature))
        assert refused(replace(path, leaf_node=replace(leaf, signature=signature))) == "VAL-708"


def test_val707_the_leaf_has_no_other_members_signature_key() -> None:
    other = VIEWS[4].client

    def make(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        leaf = other.committed(SENDER)(encryption_key, parent_hash)
        assert leaf.leaf_node_source is LeafNodeSource.COMMIT
        return leaf

    path = create_path(TREE, SENDER, seeded("path"), make).encrypt(b"context", seeded("sealing"))
    assert refused(path) == "VAL-707"
