"""Parent hashes (RFC 9420 §7.9): each key of the tree is vouched for by a member below it.

``path_parents`` computes the chain that an UpdatePath makes, ``parent_hash_children`` finds for a parent node the
descendants whose parent hash is valid with respect to it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from rcs_sim.mls.group_info import ParentNode
from rcs_sim.mls.identifiers import LeafIndex, NodeIndex
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_hash import hash_leaf, hash_parent, hash_parent_link
from rcs_sim.mls.tree_math import is_leaf, leaf_of, leaves_under, left, right

__all__ = ["original_tree_hash", "parent_hash_children", "parent_hash_of", "path_parents"]


def path_parents(
    tree: RatchetTree, steps: Sequence[tuple[NodeIndex, NodeIndex]], public_keys: Sequence[bytes]
) -> tuple[dict[NodeIndex, ParentNode], bytes]:
    """The parent nodes that an UpdatePath puts on *steps*, the filtered direct path of its sender, and the parent hash
    of its new leaf (RFC 9420 §7.9). *public_keys* are in the order of that path and as many as it has nodes."""
    nodes: dict[NodeIndex, ParentNode] = {}
    above = b""
    for (node, beside), key in zip(reversed(steps), reversed(public_keys), strict=True):
        nodes[node] = ParentNode(encryption_key=key, parent_hash=above, unmerged_leaves=())
        above = hash_parent_link(tree.suite, key, above, tree.tree_hash(beside))
    return nodes, above


def parent_hash_of(tree: RatchetTree, node: NodeIndex, sibling: NodeIndex) -> bytes:
    """Parent hash of the non-blank parent *node* with copath child *sibling* (RFC 9420 §7.9)."""
    parent = tree.parent(node)
    assert parent is not None
    original = original_tree_hash(tree, sibling, parent.unmerged_leaves)
    return hash_parent_link(tree.suite, parent.encryption_key, parent.parent_hash, original)


def original_tree_hash(tree: RatchetTree, node: NodeIndex, absent: Sequence[LeafIndex]) -> bytes:
    """Tree hash of the subtree below *node* without the leaves *absent*, which are in increasing order: they count as
    blank and as unmerged nowhere (RFC 9420 §7.9). Subtrees without any of them have the hash that they have now."""
    under = leaves_under(node)
    absent = absent[bisect_left(absent, under.start) : bisect_left(absent, under.stop)]
    if not absent:
        return tree.tree_hash(node)
    if is_leaf(node):
        return hash_leaf(tree.suite, leaf_of(node), None)
    below = original_tree_hash(tree, left(node), absent), original_tree_hash(tree, right(node), absent)
    return hash_parent(tree.suite, _without_unmerged(tree.parent(node), absent), *below)


def _without_unmerged(parent: ParentNode | None, absent: Sequence[LeafIndex]) -> ParentNode | None:
    if parent is None or not parent.unmerged_leaves:
        return parent
    gone = frozenset(absent)
    kept = tuple(leaf for leaf in parent.unmerged_leaves if leaf not in gone)
    return ParentNode(encryption_key=parent.encryption_key, parent_hash=parent.parent_hash, unmerged_leaves=kept)


def parent_hash_children(tree: RatchetTree, node: NodeIndex) -> list[NodeIndex]:
    """The descendants of the non-blank parent *node* whose parent hash is valid with respect to it (RFC 9420 §7.9.2):
    exactly one in a valid tree. The unmerged leaves of the tree are as tree_validation wants them."""
    children = left(node), right(node)
    found = (_linked(tree, node, child, beside) for child, beside in (children, children[::-1]))
    return [each for each in found if each is not None]


def _linked(tree: RatchetTree, node: NodeIndex, child: NodeIndex, beside: NodeIndex) -> NodeIndex | None:
    """The node in the resolution of *child* that was set together with *node*: all others there are its unmerged
    leaves, and all its unmerged leaves under *child* are there."""
    parent = tree.parent(node)
    assert parent is not None
    under = leaves_under(child)
    unmerged = {2 * leaf for leaf in parent.unmerged_leaves if leaf in under}
    resolution = tree.resolution(child)
    merged = [each for each in resolution if each not in unmerged]
    if len(merged) != 1 or len(resolution) != len(unmerged) + 1:
        return None
    carried = _carried_parent_hash(tree, merged[0])
    return merged[0] if carried is not None and carried == parent_hash_of(tree, node, beside) else None


def _carried_parent_hash(tree: RatchetTree, node: NodeIndex) -> bytes | None:
    """The parent_hash field of a node, None for a leaf that has none."""
    if is_leaf(node):
        leaf = tree.leaf(leaf_of(node))
        return None if leaf is None else leaf.parent_hash
    parent = tree.parent(node)
    return None if parent is None else parent.parent_hash
