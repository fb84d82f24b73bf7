"""The public half of the ratchet tree (RFC 9420 §4, §7): who is in the group and under which keys.

A tree is a value: each operation gives a new one and leaves the old one usable. Copies are shallow, and the tree hash
of a subtree is kept until something below changes, so a Commit costs the direct path of its sender and no more.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Self, TypeVar

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group_info import ParentNode
from rcs_sim.mls.identifiers import CredentialType, LeafIndex, NodeIndex
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.tree_hash import hash_leaf, hash_parent
from rcs_sim.mls.tree_math import (
    direct_path,
    is_leaf,
    leaf_of,
    leaves_under,
    node_count,
    node_of,
    path_with_copath,
    root,
)

__all__ = ["RatchetTree"]

_K = TypeVar("_K", bound=Hashable)


class RatchetTree:
    """The ratchet tree of one epoch, its nodes addressed by LeafIndex or NodeIndex (RFC 9420 §4.1)."""

    __slots__ = (
        "_credentials",
        "_encryption_keys",
        "_hashes",
        "_leaves",
        "_occupied",
        "_parents",
        "_signature_keys",
        "_supported",
        "suite",
    )

    def __init__(self, suite: CipherSuite, leaves: Sequence[LeafNode | None], parents: Sequence[ParentNode | None]):
        """*leaves* are a power of two, *parents* one less, both from left to right. Reads as it stands: see
        tree_validation for the rules that a tree from elsewhere has to keep."""
        self.suite = suite
        self._leaves = list(leaves)
        self._parents = list(parents)
        self._occupied = bytearray(leaf is not None for leaf in leaves)
        self._hashes: list[bytes | None] = [None] * node_count(len(self._leaves))
        self._encryption_keys: dict[bytes, int] = {}
        self._signature_keys: dict[bytes, int] = {}
        self._credentials: dict[CredentialType, int] = {}
        self._supported: dict[CredentialType, int] = {}
        for leaf in self._leaves:
            self._count_leaf(leaf, +1)
        for parent in self._parents:
            self._count_parent(parent, +1)

    @classmethod
    def of_creator(cls, suite: CipherSuite, leaf: LeafNode) -> Self:
        """The tree of a group of one (RFC 9420 §11)."""
        return cls(suite, (leaf,), ())

    # --- what is in it ---------------------------------------------------------------------------------------------

    @property
    def leaf_count(self) -> int:
        """Leaves, blank ones among them: a power of two."""
        return len(self._leaves)

    @property
    def root(self) -> NodeIndex:
        return root(len(self._leaves))

    @property
    def member_count(self) -> int:
        return self._occupied.count(1)

    def leaf(self, index: LeafIndex) -> LeafNode | None:
        """The leaf at *index*, None if it is blank or outside of the tree."""
        return self._leaves[index] if 0 <= index < len(self._leaves) else None

    def parent(self, node: NodeIndex) -> ParentNode | None:
        """The parent node at *node* (an odd index), None if it is blank."""
        return self._parents[node >> 1]

    def encryption_key(self, node: NodeIndex) -> bytes | None:
        """HPKE public key of a node of either kind, None if it is blank."""
        held: LeafNode | ParentNode | None = self._leaves[node >> 1] if is_leaf(node) else self._parents[node >> 1]
        return None if held is None else held.encryption_key

    def is_blank(self, node: NodeIndex) -> bool:
        """Whether *node* is blank or outside of the tree."""
        if not 0 <= node < len(self._hashes):
            return True
        return (self._leaves[node >> 1] if is_leaf(node) else self._parents[node >> 1]) is None

    def members(self) -> Iterator[tuple[LeafIndex, LeafNode]]:
        """The non-blank leaves from left to right."""
        for index, leaf in enumerate(self._leaves):
            if leaf is not None:
                yield LeafIndex(index), leaf

    def parents(self) -> Iterator[tuple[NodeIndex, ParentNode]]:
        """The non-blank parent nodes from left to right."""
        for index, parent in enumerate(self._parents):
            if parent is not None:
                yield NodeIndex(2 * index + 1), parent

    def leaf_array(self) -> tuple[LeafNode | None, ...]:
        """All leaves from left to right, None where one is blank."""
        return tuple(self._leaves)

    def parent_array(self) -> tuple[ParentNode | None, ...]:
        """All parent nodes from left to right, None where one is blank."""
        return tuple(self._parents)

    def encryption_key_uses(self, key: bytes) -> int:
        """How many nodes, leaves or parents, have this HPKE key."""
        return self._encryption_keys.get(key, 0)

    def signature_key_uses(self, key: bytes) -> int:
        """How many leaves have this signature key."""
        return self._signature_keys.get(key, 0)

    def repeated_encryption_keys(self) -> list[bytes]:
        """HPKE keys that more than one node has: none in a valid tree."""
        return _repeated(self._encryption_keys)

    def repeated_signature_keys(self) -> list[bytes]:
        """Signature keys that more than one leaf has: none in a valid tree."""
        return _repeated(self._signature_keys)

    def unsupported_credential_types(self) -> list[CredentialType]:
        """Types of members' credentials that not every member lists in its capabilities: none in a valid tree."""
        members = self.member_count
        return [each for each in self._credentials if self._supported.get(each, 0) != members]

    def first_blank_leaf(self) -> LeafIndex:
        """Where the next Add goes: the leftmost blank leaf, or the one after the last (RFC 9420 §12.1.1)."""
        found = self._occupied.find(0)
        return LeafIndex(found if found >= 0 else len(self._leaves))

    # --- what follows from it --------------------------------------------------------------------------------------

    def tree_hash(self, node: NodeIndex | None = None) -> bytes:
        """Tree hash of the subtree below *node*, by default of the tree (RFC 9420 §7.8)."""
        at = self.root if node is None else node
        known = self._hashes[at]
        if known is None:
            known = self._hashes[at] = self._hash_of(at)
        return known

    def _hash_of(self, node: NodeIndex) -> bytes:
        if is_leaf(node):
            return hash_leaf(self.suite, leaf_of(node), self._leaves[node >> 1])
        half = (node + 1 & -(node + 1)) >> 1  # from a parent to its children
        below = self.tree_hash(NodeIndex(node - half)), self.tree_hash(NodeIndex(node + half))
        return hash_parent(self.suite, self._parents[node >> 1], *below)

    def resolution(self, node: NodeIndex) -> list[NodeIndex]:
        """The non-blank nodes that together cover all non-blank leaves below *node* (RFC 9420 §4.1.1)."""
        leaves, parents, under = self._leaves, self._parents, leaves_under(node)
        if parents[under.start : under.stop - 1].count(None) == len(under) - 1 and node & 1:  # the usual case when new
            return [node_of(LeafIndex(leaf)) for leaf in under if leaves[leaf] is not None]
        found: list[NodeIndex] = []
        pending = [node]
        while pending:
            at = pending.pop()
            if not at & 1:
                if leaves[at >> 1] is not None:
                    found.append(at)
                continue
            parent = parents[at >> 1]
            if parent is not None:
                found.append(at)
                found += map(node_of, parent.unmerged_leaves)
                continue
            half = (at + 1 & -(at + 1)) >> 1  # from a parent to its children
            pending.append(NodeIndex(at + half))
            pending.append(NodeIndex(at - half))
        return found

    def has_resolution(self, node: NodeIndex) -> bool:
        """Whether the resolution of *node* has any node."""
        under = leaves_under(node)
        if self._occupied.find(1, under.start, under.stop) >= 0:
            return True
        return bool(self.resolution(node))  # a tree that is not validated may have a key above blank leaves only

    def filtered_direct_path(self, index: LeafIndex) -> list[tuple[NodeIndex, NodeIndex]]:
        """The direct path without the nodes whose child on the copath has an empty resolution, each node with that
        child (RFC 9420 §4.1.2)."""
        steps = path_with_copath(node_of(index), len(self._leaves))
        return [(node, beside) for node, beside in steps if self.has_resolution(beside)]

    # --- what becomes of it ----------------------------------------------------------------------------------------

    def with_changes(
        self,
        updates: Mapping[LeafIndex, LeafNode] | None = None,
        removes: Iterable[LeafIndex] = (),
        adds: Iterable[LeafNode] = (),
    ) -> tuple[Self, tuple[LeafIndex, ...]]:
        """The tree after the Updates, Removes and Adds of a Commit, in that order (RFC 9420 §12.3), and the places of
        the leaves that were added. Raises LocalProtocolError if *updates* or *removes* name a leaf that is blank."""
        updates, gone, new = updates or {}, tuple(removes), tuple(adds)
        if not (updates or gone or new):
            return self, ()
        tree = self._copy()
        for index, leaf in updates.items():
            tree._replace(index, leaf)
        for index in gone:
            tree._replace(index, None)
        tree._truncate()
        return tree, tuple(map(tree._add, new))

    def with_path(self, sender: LeafIndex, leaf: LeafNode, nodes: Mapping[NodeIndex, ParentNode]) -> Self:
        """The tree after an UpdatePath of *sender*: its new leaf, *nodes* on its direct path, the rest of that path
        blank (RFC 9420 §7.5)."""
        tree = self._copy()
        tree._set_leaf(sender, leaf)
        for node in direct_path(node_of(sender), len(tree._leaves)):
            tree._set_parent(node, nodes.get(node))
        return tree

    def _copy(self) -> Self:
        tree = object.__new__(type(self))
        tree.suite = self.suite
        tree._leaves = self._leaves.copy()
        tree._parents = self._parents.copy()
        tree._occupied = self._occupied.copy()
        tree._hashes = self._hashes.copy()
        tree._encryption_keys = self._encryption_keys.copy()
        tree._signature_keys = self._signature_keys.copy()
        tree._credentials = self._credentials.copy()
        tree._supported = self._supported.copy()
        return tree

    def _replace(self, index: LeafIndex, leaf: LeafNode | None) -> None:
        """Another leaf for a member, or none, under a blank direct path (RFC 9420 §12.1.2, §12.1.3)."""
        if self.leaf(index) is None:
            raise LocalProtocolError(f"leaf {index} has no member to replace", spec="RFC 9420 §12.1")
        self._set_leaf(index, leaf)
        for node in direct_path(node_of(index), len(self._leaves)):
            self._set_parent(node, None)

    def _set_leaf(self, index: LeafIndex, leaf: LeafNode | None) -> None:
        """Puts *leaf* in its place. The hashes above it are left to what is done to its direct path."""
        self._count_leaf(self._leaves[index], -1)
        self._count_leaf(leaf, +1)
        self._leaves[index] = leaf
        self._occupied[index] = leaf is not None
        self._hashes[2 * index] = None

    def _set_parent(self, node: NodeIndex, parent: ParentNode | None) -> None:
        self._count_parent(self._parents[node >> 1], -1)
        self._count_parent(parent, +1)
        self._parents[node >> 1] = parent
        self._hashes[node] = None

    def _add(self, leaf: LeafNode) -> LeafIndex:
        """Takes the leftmost blank leaf; the parents above do not have the new leaf's share yet (RFC 9420 §12.1.1)."""
        index = self.first_blank_leaf()
        if index == len(self._leaves):
            self._extend()
        self._set_leaf(index, leaf)
        for node in direct_path(node_of(index), len(self._leaves)):
            parent = self._parents[node >> 1]
            self._set_parent(node, None if parent is None else _with_unmerged(parent, index))
        return index

    def _extend(self) -> None:
        """A blank root whose left subtree is the tree so far (RFC 9420 §7.7)."""
        count = len(self._leaves)
        self._leaves += [None] * count
        self._parents += [None] * count
        self._occupied += bytes(count)
        self._hashes += [None] * (2 * count)

    def _truncate(self) -> None:
        """Drops right halves without a member (RFC 9420 §7.7)."""
        count = len(self._leaves)
        while count > 1 and self._occupied.find(1, count // 2, count) < 0:
            count //= 2
        for parent in self._parents[count - 1 :]:
            self._count_parent(parent, -1)
        del self._leaves[count:], self._parents[count - 1 :], self._occupied[count:], self._hashes[2 * count - 1 :]

    def _count_leaf(self, leaf: LeafNode | None, by: int) -> None:
        if leaf is not None:
            _count(self._encryption_keys, leaf.encryption_key, by)
            _count(self._signature_keys, leaf.signature_key, by)
            _count(self._credentials, leaf.credential.credential_type, by)
            for credential_type in frozenset(leaf.capabilities.credentials):
                _count(self._supported, credential_type, by)

    def _count_parent(self, parent: ParentNode | None, by: int) -> None:
        if parent is not None:
            _count(self._encryption_keys, parent.encryption_key, by)


def _count(uses: dict[_K, int], key: _K, by: int) -> None:
    left_over = uses.get(key, 0) + by
    if left_over:
        uses[key] = left_over
    else:
        del uses[key]


def _repeated(uses: dict[bytes, int]) -> list[bytes]:
    if len(uses) == sum(uses.values()):
        return []
    return [key for key, count in uses.items() if count > 1]


def _with_unmerged(parent: ParentNode, index: LeafIndex) -> ParentNode:
    unmerged = list(parent.unmerged_leaves)
    insort(unmerged, index)
    return replace(parent, unmerged_leaves=tuple(unmerged))
