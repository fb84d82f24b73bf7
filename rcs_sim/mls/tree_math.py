"""Index arithmetic of the array-based tree (RFC 9420 appendix C).

A tree of *leaf_count* leaves is full: the count is a power of two. Leaf *i* is node *2i*; a parent at level *k* has
*k* trailing one bits, so every step of a walk is a few integer operations and nothing is stored.
"""

from __future__ import annotations

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.identifiers import LeafIndex, NodeIndex

__all__ = [
    "common_ancestor",
    "copath",
    "direct_path",
    "full_leaf_count",
    "is_leaf",
    "is_under",
    "leaf_of",
    "leaves_under",
    "left",
    "level",
    "node_count",
    "node_of",
    "parent",
    "path_with_copath",
    "right",
    "root",
    "sibling",
]

_SPEC = "RFC 9420 appendix C"


def node_of(leaf: LeafIndex) -> NodeIndex:
    """Node index of a leaf."""
    return NodeIndex(2 * leaf)


def leaf_of(node: NodeIndex) -> LeafIndex:
    """Leaf index of a leaf node. Raises LocalProtocolError for a parent node."""
    if node & 1:
        raise LocalProtocolError(f"node {node} is a parent, not a leaf", spec=_SPEC)
    return LeafIndex(node >> 1)


def is_leaf(node: NodeIndex) -> bool:
    """Whether *node* is a leaf: even indices are."""
    return not node & 1


def level(node: NodeIndex) -> int:
    """Levels between *node* and the leaves below it, 0 for a leaf."""
    return (node ^ (node + 1)).bit_length() - 1


def node_count(leaf_count: int) -> int:
    """Nodes of a tree of *leaf_count* leaves."""
    return 2 * leaf_count - 1


def full_leaf_count(nodes: int) -> int:
    """Leaves of the smallest full tree that has at least *nodes* nodes, *nodes* above 0."""
    return 1 << (nodes >> 1).bit_length()


def root(leaf_count: int) -> NodeIndex:
    """The root of a tree of *leaf_count* leaves. Raises LocalProtocolError if that is no power of two."""
    if leaf_count < 1 or leaf_count & (leaf_count - 1):
        raise LocalProtocolError(f"a full tree has a power of two of leaves, not {leaf_count}", spec=_SPEC)
    return NodeIndex(leaf_count - 1)


def left(node: NodeIndex) -> NodeIndex:
    """Left child. Raises LocalProtocolError for a leaf."""
    return NodeIndex(node ^ (1 << (_parent_level(node) - 1)))


def right(node: NodeIndex) -> NodeIndex:
    """Right child. Raises LocalProtocolError for a leaf."""
    return NodeIndex(node ^ (3 << (_parent_level(node) - 1)))


def parent(node: NodeIndex, leaf_count: int) -> NodeIndex:
    """The node above. Raises LocalProtocolError for the root and for a node outside of the tree."""
    if node == root(leaf_count) or not 0 <= node < node_count(leaf_count):
        raise LocalProtocolError(f"node {node} has no parent in a tree of {leaf_count} leaves", spec=_SPEC)
    return _above(node)


def sibling(node: NodeIndex, leaf_count: int) -> NodeIndex:
    """The other child of the parent. Raises LocalProtocolError for the root and for a node outside of the tree."""
    return _other_child(parent(node, leaf_count), node)


def path_with_copath(node: NodeIndex, leaf_count: int) -> list[tuple[NodeIndex, NodeIndex]]:
    """Direct path from the parent of *node* to the root, each node with its child that is not on the path."""
    top = root(leaf_count)
    if node != top:
        parent(node, leaf_count)  # it is inside of the tree
    steps: list[tuple[NodeIndex, NodeIndex]] = []
    bit = 1 << level(node)
    while node != top:
        above = NodeIndex((node | bit) & ~(bit << 1))
        steps.append((above, NodeIndex(2 * above - node)))
        node, bit = above, bit << 1
    return steps


def direct_path(node: NodeIndex, leaf_count: int) -> list[NodeIndex]:
    """The nodes above *node*, from its parent to the root (RFC 9420 §4.1.2)."""
    return [above for above, _ in path_with_copath(node, leaf_count)]


def copath(node: NodeIndex, leaf_count: int) -> list[NodeIndex]:
    """The siblings of *node* and of each node of its direct path, the root excepted (RFC 9420 §4.1.2)."""
    return [beside for _, beside in path_with_copath(node, leaf_count)]


def common_ancestor(one: LeafIndex, other: LeafIndex) -> NodeIndex:
    """The lowest node that has both leaves below it; the leaf itself if they are the same."""
    height = (one ^ other).bit_length()
    return NodeIndex((one >> height << (height + 1)) + (1 << height) - 1)


def leaves_under(node: NodeIndex) -> range:
    """Indices of the leaves below *node*, of itself if it is a leaf."""
    half = (1 << level(node)) - 1
    return range((node - half) >> 1, ((node + half) >> 1) + 1)


def is_under(node: NodeIndex, ancestor: NodeIndex) -> bool:
    """Whether *node* is *ancestor* or below it."""
    return abs(node - ancestor) < 1 << level(ancestor)


def _parent_level(node: NodeIndex) -> int:
    if is_leaf(node):
        raise LocalProtocolError(f"node {node} is a leaf and has no children", spec=_SPEC)
    return level(node)


def _above(node: NodeIndex) -> NodeIndex:
    height = level(node)
    return NodeIndex((node | 1 << height) & ~(1 << (height + 1)))


def _other_child(above: NodeIndex, child: NodeIndex) -> NodeIndex:
    return NodeIndex(2 * above - child)
