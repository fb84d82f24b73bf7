"""The public half of an UpdatePath (RFC 9420 §7.5, §12.4.2): the rules it keeps, and the tree that it makes.

This is all that a server follows; treekem is about the secrets, and takes a path only after it was merged here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rcs_sim.mls.commit import UpdatePath
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex, LeafNodeSource, NodeIndex
from rcs_sim.mls.kem import CryptoError
from rcs_sim.mls.leaf_validation import verify_leaf_encryption_key, verify_leaf_signature
from rcs_sim.mls.parent_hash import path_parents
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_math import node_of

__all__ = [
    "MergedPath",
    "PathStep",
    "merge_path",
    "path_steps",
    "verify_path_ciphertext_counts",
    "verify_path_key_forms",
    "verify_path_keys_are_new",
    "verify_path_leaf_key_is_new",
    "verify_path_leaf_signature_key_is_unique",
    "verify_path_leaf_source",
    "verify_path_length",
    "verify_path_parent_hash",
]


@dataclass(frozen=True, slots=True)
class PathStep:
    """A node of a filtered direct path, its child on the copath, and the nodes below that child to which the path
    secret of the node is encrypted (RFC 9420 §7.5)."""

    node: NodeIndex
    beside: NodeIndex
    targets: tuple[NodeIndex, ...]


@dataclass(frozen=True, slots=True)
class MergedPath:
    """An UpdatePath that keeps all rules that can be seen without a secret. *tree* is the tree with it."""

    tree: RatchetTree
    sender: LeafIndex
    path: UpdatePath
    steps: tuple[PathStep, ...]


def path_steps(tree: RatchetTree, sender: LeafIndex, new_leaves: Collection[LeafIndex]) -> tuple[PathStep, ...]:
    """The filtered direct path of *sender*. *new_leaves*, those of the Adds in the same Commit, get no path secret
    that way but in a Welcome (RFC 9420 §7.5)."""
    excluded = {node_of(leaf) for leaf in new_leaves}
    steps = []
    for node, beside in tree.filtered_direct_path(sender):
        targets = tree.resolution(beside)
        if excluded:
            targets = [target for target in targets if target not in excluded]
        steps.append(PathStep(node, beside, tuple(targets)))
    return tuple(steps)


def merge_path(
    tree: RatchetTree, sender: LeafIndex, path: UpdatePath, group_id: bytes, new_leaves: Collection[LeafIndex] = ()
) -> MergedPath:
    """*path* of *sender* merged into *tree*, which has the proposals of the Commit applied (and the leaf of a new
    member, where the Commit is external). *new_leaves* are the places of its Adds. Raises MlsValidationError.

    The rules of the leaf that concern neither tree nor signature are in leaf_validation."""
    verify_path_leaf_source(path)
    steps = path_steps(tree, sender, new_leaves)
    verify_path_length(steps, path)
    verify_path_ciphertext_counts(steps, path)
    verify_path_leaf_key_is_new(tree, path)
    verify_path_keys_are_new(tree, path)
    verify_path_key_forms(tree, path)
    places = [(step.node, step.beside) for step in steps]
    parents, leaf_parent_hash = path_parents(tree, places, [node.encryption_key for node in path.nodes])
    verify_path_parent_hash(path, leaf_parent_hash)
    verify_leaf_signature(tree.suite, path.leaf_node, group_id, sender)
    merged = tree.with_path(sender, path.leaf_node, parents)
    verify_path_leaf_signature_key_is_unique(merged, path)
    return MergedPath(merged, sender, path, steps)


def verify_path_leaf_source(path: UpdatePath) -> None:
    """VAL-720: the leaf of an UpdatePath has the source ``commit`` (RFC 9420 §7.3)."""
    source = path.leaf_node.leaf_node_source
    if source is not LeafNodeSource.COMMIT:
        raise MlsValidationError(
            "VAL-720", f"the leaf of an UpdatePath has the source {source!r}", spec="RFC 9420 §7.3"
        )


def verify_path_length(steps: Collection[PathStep], path: UpdatePath) -> None:
    """ValSem202: one node for each node of the sender's filtered direct path (RFC 9420 §7.6)."""
    if len(path.nodes) != len(steps):
        message = f"an UpdatePath of {len(path.nodes)} nodes, the filtered direct path has {len(steps)}"
        raise MlsValidationError("ValSem202", message, spec="RFC 9420 §7.6")


def verify_path_ciphertext_counts(steps: Collection[PathStep], path: UpdatePath) -> None:
    """VAL-721: each path secret is encrypted once to each node that is to have it (RFC 9420 §7.6)."""
    for step, node in zip(steps, path.nodes, strict=True):
        expected, seen = len(step.targets), len(node.encrypted_path_secret)
        if seen != expected:
            message = f"a path secret is encrypted {seen} times, to {expected} nodes"
            raise MlsValidationError("VAL-721", message, spec="RFC 9420 §7.6")


def verify_path_leaf_key_is_new(tree: RatchetTree, path: UpdatePath) -> None:
    """ValSem206: no node has the encryption key of the new leaf, the leaf that it replaces included (RFC 9420 §7.3,
    §12.4.2)."""
    if tree.encryption_key_uses(path.leaf_node.encryption_key):
        message = "the encryption key of an UpdatePath's leaf is in the tree already"
        raise MlsValidationError("ValSem206", message, spec="RFC 9420 §12.4.2", raw=path.leaf_node.encryption_key)


def verify_path_keys_are_new(tree: RatchetTree, path: UpdatePath) -> None:
    """ValSem207: the encryption keys of an UpdatePath are in the tree nowhere, and different (RFC 9420 §12.4.2)."""
    seen = {path.leaf_node.encryption_key}
    for node in path.nodes:
        if node.encryption_key in seen or tree.encryption_key_uses(node.encryption_key):
            message = "an encryption key of an UpdatePath is not a new one"
            raise MlsValidationError("ValSem207", message, spec="RFC 9420 §12.4.2", raw=node.encryption_key)
        seen.add(node.encryption_key)


def verify_path_key_forms(tree: RatchetTree, path: UpdatePath) -> None:
    """VAL-717 for the leaf, and VAL-724 for the nodes: something can be encrypted to their keys (RFC 9420 §5.1.1, RFC
    9180 §7.1.4). Else a later Commit would fail, of somebody else."""
    verify_leaf_encryption_key(tree.suite, path.leaf_node)
    for node in path.nodes:
        try:
            tree.suite.hpke.kem.verify_public_key(node.encryption_key)
        except CryptoError as error:
            message = "nothing can be encrypted to a key of an UpdatePath"
            raise MlsValidationError("VAL-724", message, spec="RFC 9420 §5.1.1", raw=node.encryption_key) from error


def verify_path_parent_hash(path: UpdatePath, expected: bytes) -> None:
    """VAL-722: the leaf carries the parent hash of the path (RFC 9420 §7.5, §7.9.2)."""
    if path.leaf_node.parent_hash != expected:
        message = "the parent hash of an UpdatePath's leaf is not that of its path"
        raise MlsValidationError("VAL-722", message, spec="RFC 9420 §7.9.2")


def verify_path_leaf_signature_key_is_unique(merged: RatchetTree, path: UpdatePath) -> None:
    """VAL-707: no other leaf has the signature key of the new leaf (RFC 9420 §7.3). *merged* has the new leaf."""
    if merged.signature_key_uses(path.leaf_node.signature_key) > 1:
        message = "the signature key of an UpdatePath's leaf is another member's"
        raise MlsValidationError("VAL-707", message, spec="RFC 9420 §7.3", raw=path.leaf_node.signature_key)
