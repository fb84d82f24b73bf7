"""The rules of a whole tree (RFC 9420 §7.3, §7.9.2, §12.4.3.1): each refuses what it names."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from rcs_sim.mls import tree_validation as rules
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension, RequiredCapabilities
from rcs_sim.mls.group_info import ParentNode
from rcs_sim.mls.identifiers import CredentialType, ExtensionType, LeafIndex
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.ratchet_tree import RatchetTree
from tests.support.mls_tree_views import GROUP_ID, Client, populated_views

SUITE = CipherSuite.of(1)
TREE = populated_views(SUITE, 8)[0].tree
CUSTOM = ExtensionType(0xF042)


def refused(check: Callable[[], None]) -> str:
    with pytest.raises(MlsValidationError) as caught:
        check()
    return caught.value.rule


def with_leaf(place: int, change: Callable[[LeafNode], LeafNode]) -> RatchetTree:
    leaves = list(TREE.leaf_array())
    old = leaves[place]
    assert old is not None
    leaves[place] = change(old)
    return RatchetTree(SUITE, leaves, TREE.parent_array())


def with_parent(place: int, change: Callable[[ParentNode], ParentNode], tree: RatchetTree = TREE) -> RatchetTree:
    parents = list(tree.parent_array())
    old = parents[place]
    assert old is not None
    parents[place] = change(old)
    return RatchetTree(SUITE, tree.leaf_array(), parents)


def unmerged(*leaves: int) -> Callable[[ParentNode], ParentNode]:
    return lambda parent: replace(parent, unmerged_leaves=tuple(map(LeafIndex, leaves)))


def test_a_valid_tree_is_accepted_also_with_its_leaves_shared_out_among_threads() -> None:
    rules.verify_tree(TREE, GROUP_ID, TREE.tree_hash(), now_s=1_500_000)
    with ThreadPoolExecutor(2) as pool:
        rules.verify_tree(TREE, GROUP_ID, TREE.tree_hash(), run=pool.map)


def test_val703_a_tree_has_the_hash_of_its_group_context() -> None:
    assert refused(lambda: rules.verify_tree(TREE, GROUP_ID, bytes(32))) == "VAL-703"


@pytest.mark.parametrize("leaves", [(5, 4), (4, 4), (0,), (8,), (2**32 - 1,)])
def test_val704_unmerged_leaves_are_members_below_in_order(leaves: tuple[int, ...]) -> None:
    tree = with_parent(5, unmerged(*leaves))
    assert refused(lambda: rules.verify_unmerged_leaves(tree)) == "VAL-704"
    assert refused(lambda: rules.verify_tree(tree, GROUP_ID, tree.tree_hash())) == "VAL-704"


def test_val704_a_blank_leaf_is_not_unmerged() -> None:
    leaves = list(TREE.leaf_array())
    leaves[6] = None
    tree = RatchetTree(SUITE, leaves, with_parent(5, unmerged(6)).parent_array())
    assert refused(lambda: rules.verify_unmerged_leaves(tree)) == "VAL-704"


def test_val704_a_leaf_that_is_unmerged_above_is_unmerged_in_between() -> None:
    tree = with_parent(3, unmerged(6))
    assert refused(lambda: rules.verify_unmerged_leaves(tree)) == "VAL-704"
    tree = with_parent(5, unmerged(6), tree)
    assert refused(lambda: rules.verify_unmerged_leaves(tree)) == "VAL-704"
    rules.verify_unmerged_leaves(with_parent(6, unmerged(6), tree))


def test_val705_a_key_that_no_member_vouches_for_is_refused() -> None:
    for place in range(7):
        tree = with_parent(place, lambda parent: replace(parent, encryption_key=b"\x02" * 32))
        assert refused(lambda tree=tree: rules.verify_tree(tree, GROUP_ID, tree.tree_hash())) == "VAL-705"


def test_val705_a_parent_with_a_changed_parent_hash_is_refused() -> None:
    tree = with_parent(0, lambda parent: replace(parent, parent_hash=bytes(32)))
    assert refused(lambda: rules.verify_parent_hashes(tree)) == "VAL-705"


def test_val705_a_parent_without_any_member_below_is_refused() -> None:
    parents = [None, None, ParentNode(b"k" * 32, b"", ())]
    tree = RatchetTree(SUITE, [*TREE.leaf_array()[:2], None, None], parents)
    assert refused(lambda: rules.verify_parent_hashes(tree)) == "VAL-705"


def test_val706_no_two_nodes_have_the_same_encryption_key() -> None:
    key = TREE.leaf_array()[0]
    assert key is not None
    for tree in (
        with_leaf(5, lambda leaf: replace(leaf, encryption_key=key.encryption_key)),
        with_parent(5, lambda parent: replace(parent, encryption_key=key.encryption_key)),
    ):
        assert refused(lambda tree=tree: rules.verify_tree(tree, GROUP_ID, tree.tree_hash())) == "VAL-706"


def test_val718_the_keys_are_of_the_suite() -> None:
    tree = with_parent(5, lambda parent: replace(parent, encryption_key=b"short"))
    assert refused(lambda: rules.verify_tree(tree, GROUP_ID, tree.tree_hash())) == "VAL-718"
    tree = with_leaf(5, lambda leaf: replace(leaf, encryption_key=b""))
    assert refused(lambda: rules.verify_encryption_keys(tree)) == "VAL-718"
    tree = with_parent(5, lambda parent: replace(parent, encryption_key=b"\x01" + bytes(31)))  # of small order
    assert refused(lambda: rules.verify_encryption_keys(tree)) == "VAL-718"
    other = RatchetTree(CipherSuite.of(2), TREE.leaf_array(), TREE.parent_array())
    assert refused(lambda: rules.verify_encryption_keys(other)) == "VAL-718"


def test_val707_no_two_leaves_have_the_same_signature_key() -> None:
    first = TREE.leaf_array()[0]
    assert first is not None
    tree = with_leaf(5, lambda leaf: replace(leaf, signature_key=first.signature_key))
    assert refused(lambda: rules.verify_tree(tree, GROUP_ID, tree.tree_hash())) == "VAL-707"


@pytest.mark.parametrize("threads", [0, 2])
def test_val708_one_leaf_with_another_signature_is_found(threads: int) -> None:
    tree = with_leaf(6, lambda leaf: replace(leaf, signature=bytes(64)))
    if not threads:
        assert refused(lambda: rules.verify_leaf_signatures(tree, GROUP_ID)) == "VAL-708"
        return
    with ThreadPoolExecutor(threads) as pool:
        assert refused(lambda: rules.verify_leaf_signatures(tree, GROUP_ID, pool.map)) == "VAL-708"


def test_val708_a_tree_of_another_group_is_refused() -> None:
    assert refused(lambda: rules.verify_tree(TREE, b"another group", TREE.tree_hash())) == "VAL-708"


def test_val710_lifetimes_count_where_a_time_is_given() -> None:
    tree, _ = TREE.with_changes(adds=[Client(SUITE, "late").leaf()[0]])
    rules.verify_tree(tree, GROUP_ID, tree.tree_hash())
    assert refused(lambda: rules.verify_tree(tree, GROUP_ID, tree.tree_hash(), now_s=3_000_000)) == "VAL-710"


def test_val716_every_member_supports_the_credentials_of_all() -> None:
    client = Client(SUITE, "narrow")
    leaf = client.leaf()[0]
    narrow = replace(leaf, capabilities=replace(leaf.capabilities, credentials=(CredentialType.X509,)))
    tree, _ = TREE.with_changes(adds=[narrow])
    assert refused(lambda: rules.verify_tree(tree, GROUP_ID, tree.tree_hash())) == "VAL-716"


def test_val711_to_val715_hold_for_each_leaf() -> None:
    def check(tree: RatchetTree, *extensions: Extension) -> Callable[[], None]:
        return lambda: rules.verify_leaf_capabilities(tree, extensions)

    custom = Extension(CUSTOM, b"")
    listed = replace(TREE.leaf_array()[3].capabilities, extensions=(CUSTOM,))  # type: ignore[union-attr]  # not blank
    assert refused(check(with_leaf(3, lambda leaf: replace(leaf, extensions=(custom,))))) == "VAL-711"
    twice = with_leaf(3, lambda leaf: replace(leaf, extensions=(custom, custom), capabilities=listed))
    assert refused(check(twice)) == "VAL-712"
    none = with_leaf(3, lambda leaf: replace(leaf, capabilities=replace(listed, credentials=())))
    assert refused(check(none)) == "VAL-713"
    required = RequiredCapabilities(extension_types=(CUSTOM,)).as_extension()
    assert refused(check(TREE, required)) == "VAL-714"
    assert refused(check(TREE, custom)) == "VAL-715"
    check(TREE, RequiredCapabilities().as_extension())()


def test_required_capabilities_that_cannot_be_read_are_no_structure() -> None:
    broken = Extension(ExtensionType.REQUIRED_CAPABILITIES, b"\x01")
    with pytest.raises(TlsDecodeError):
        rules.verify_leaf_capabilities(TREE, (broken,))
