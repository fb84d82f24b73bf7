"""The ratchet tree as an array of optional nodes, which is how it travels (RFC 9420 §12.4.3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import Node, ParentNode
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_math import full_leaf_count

__all__ = [
    "MAX_LEAVES",
    "tree_nodes",
    "tree_of_nodes",
    "verify_last_leaf_is_in_the_right_half",
    "verify_no_trailing_blank",
    "verify_node_kinds",
    "verify_tree_size",
]

MAX_LEAVES = 1 << 16  # of a tree that is received: blank ones cost an octet each there, and much more here

_SPEC = "RFC 9420 §12.4.3.3"


def tree_nodes(tree: RatchetTree) -> tuple[Node | None, ...]:
    """The nodes in array order, without the blank ones at the right end."""
    pairs = zip_longest(tree.leaf_array(), tree.parent_array())
    nodes = list(chain.from_iterable(pairs))
    while nodes and nodes[-1] is None:
        nodes.pop()
    return tuple(nodes)


def tree_of_nodes(suite: CipherSuite, nodes: Sequence[Node | None]) -> RatchetTree:
    """The tree whose nodes were received, made full. Raises MlsValidationError if they are no tree; the rules of its
    content are in tree_validation."""
    verify_no_trailing_blank(nodes)
    verify_tree_size(nodes)
    leaves, parents = verify_node_kinds(nodes)
    count = full_leaf_count(len(nodes))
    leaves += [None] * (count - len(leaves))
    parents += [None] * (count - 1 - len(parents))
    verify_last_leaf_is_in_the_right_half(leaves)
    return RatchetTree(suite, leaves, parents)


def verify_no_trailing_blank(nodes: Sequence[Node | None]) -> None:
    """ValSem300: the array has a node, and does not end in a blank one (RFC 9420 §12.4.3.3)."""
    if not nodes or nodes[-1] is None:
        raise MlsValidationError("ValSem300", "a ratchet tree ends in a blank node", spec=_SPEC)


def verify_tree_size(nodes: Sequence[Node | None]) -> None:
    """VAL-719: the tree has no more than MAX_LEAVES leaves."""
    if len(nodes) > 2 * MAX_LEAVES:
        raise MlsValidationError("VAL-719", f"a ratchet tree has {len(nodes)} nodes", spec=_SPEC)


def verify_node_kinds(nodes: Sequence[Node | None]) -> tuple[list[LeafNode | None], list[ParentNode | None]]:
    """VAL-701: leaves have the even places, parents the odd ones (RFC 9420 appendix C). Returns both."""
    leaves: list[LeafNode | None] = []
    parents: list[ParentNode | None] = []
    for place, node in enumerate(nodes):
        if place & 1 == 0 and (node is None or isinstance(node, LeafNode)):
            leaves.append(node)
        elif place & 1 and (node is None or isinstance(node, ParentNode)):
            parents.append(node)
        else:
            message = f"node {place} of a ratchet tree is a {type(node).__name__}"
            raise MlsValidationError("VAL-701", message, spec=_SPEC)
    return leaves, parents


def verify_last_leaf_is_in_the_right_half(leaves: Sequence[LeafNode | None]) -> None:
    """VAL-702: the tree is not larger than its members need (RFC 9420 §7.7)."""
    if all(leaf is None for leaf in leaves[len(leaves) // 2 :]):
        message = "the right half of a ratchet tree has no member"
        raise MlsValidationError("VAL-702", message, spec="RFC 9420 §7.7")
