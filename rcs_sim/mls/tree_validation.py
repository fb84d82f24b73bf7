"""The rules of a whole ratchet tree (RFC 9420 §7.3, §7.9.2, §12.4.3.1), one function each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Protocol

from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extensions, RequiredCapabilities, find_extension
from rcs_sim.mls.identifiers import ExtensionType, LeafIndex, NodeIndex
from rcs_sim.mls.kem import CryptoError
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.leaf_validation import (
    verify_leaf_credential_is_listed,
    verify_leaf_extensions_are_listed,
    verify_leaf_extensions_are_single,
    verify_leaf_has_required_capabilities,
    verify_leaf_lifetime,
    verify_leaf_signature,
    verify_leaf_supports_extensions,
)
from rcs_sim.mls.parent_hash import parent_hash_children
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_math import direct_path, leaves_under, node_of

__all__ = [
    "MapLeaves",
    "verify_credential_types",
    "verify_encryption_keys",
    "verify_encryption_keys_are_unique",
    "verify_leaf_capabilities",
    "verify_leaf_signatures",
    "verify_lifetimes",
    "verify_parent_hashes",
    "verify_signature_keys_are_unique",
    "verify_tree",
    "verify_tree_hash",
    "verify_unmerged_leaves",
]

_SPEC = "RFC 9420 §12.4.3.1"
_LEAVES_PER_CALL = 32  # few enough that a pool's threads end together, enough that handing over is not what they do

Leaves = Sequence[tuple[LeafIndex, LeafNode]]


class MapLeaves(Protocol):
    """Runs a check over groups of leaves: ``map``, or the method of that name of a thread pool's executor."""

    def __call__(self, check: Callable[[Leaves], None], leaves: Iterable[Leaves], /) -> Iterable[None]: ...


def verify_tree(
    tree: RatchetTree,
    group_id: bytes,
    tree_hash: bytes,
    extensions: Extensions = (),
    *,
    now_s: int | None = None,
    run: MapLeaves = map,
) -> None:
    """All rules of a tree that was received, of the group of a GroupContext with *tree_hash* and *extensions*.

    Lifetimes count if *now_s* is given (RFC 9420 §7.3 leaves that to the receiver). *run* checks the signatures.
    Credentials are for the caller's identity provider. Raises MlsValidationError."""
    verify_unmerged_leaves(tree)
    verify_encryption_keys_are_unique(tree)
    verify_encryption_keys(tree)
    verify_signature_keys_are_unique(tree)
    verify_tree_hash(tree, tree_hash)
    verify_parent_hashes(tree)
    verify_credential_types(tree)
    verify_leaf_capabilities(tree, extensions)
    if now_s is not None:
        verify_lifetimes(tree, now_s)
    verify_leaf_signatures(tree, group_id, run)


def verify_tree_hash(tree: RatchetTree, expected: bytes) -> None:
    """VAL-703: the tree is the one whose hash the GroupContext has (RFC 9420 §12.4.3.1)."""
    if tree.tree_hash() != expected:
        raise MlsValidationError("VAL-703", "a ratchet tree has another hash than its GroupContext", spec=_SPEC)


def verify_unmerged_leaves(tree: RatchetTree) -> None:
    """VAL-704: unmerged leaves of a parent are in increasing order, are members below it, and are unmerged at each
    non-blank parent in between (RFC 9420 §7.1, §12.4.3.1)."""
    for node, parent in tree.parents():
        unmerged = parent.unmerged_leaves
        if any(one >= next_one for one, next_one in pairwise(unmerged)):
            raise _unmerged(node, "are not in increasing order")
        under = leaves_under(node)
        if any(leaf not in under or tree.leaf(leaf) is None for leaf in unmerged):
            raise _unmerged(node, "are not all members below it")
    _verify_unmerged_between(tree)


def _verify_unmerged_between(tree: RatchetTree) -> None:
    """At most the number of entries times the height of steps."""
    unmerged = {node: frozenset(parent.unmerged_leaves) for node, parent in tree.parents()}
    for node, entries in unmerged.items():
        for leaf in entries:
            for between in direct_path(node_of(leaf), tree.leaf_count):
                if between == node:
                    break
                if between in unmerged and leaf not in unmerged[between]:
                    raise _unmerged(between, f"lack leaf {leaf}, which is unmerged above")


def _unmerged(node: NodeIndex, what: str) -> MlsValidationError:
    return MlsValidationError("VAL-704", f"the unmerged leaves of node {node} {what}", spec=_SPEC)


def verify_parent_hashes(tree: RatchetTree) -> None:
    """VAL-705: exactly one node below each parent is parent-hash valid with respect to it (RFC 9420 §7.9.2), hence a
    leaf's signature stands for every key. The unmerged leaves are those that VAL-704 admits."""
    for node, _ in tree.parents():
        if len(parent_hash_children(tree, node)) != 1:
            message = f"no member vouches for node {node} by its parent hash"
            raise MlsValidationError("VAL-705", message, spec="RFC 9420 §7.9.2")


def verify_encryption_keys(tree: RatchetTree) -> None:
    """VAL-718: something can be encrypted to each key, a NIST point being uncompressed and on its curve, another of no
    small order (RFC 9420 §5.1.1, RFC 9180 §7.1.4)."""
    held = [node for array in (tree.leaf_array(), tree.parent_array()) for node in array if node is not None]
    for node in held:
        try:
            tree.suite.hpke.kem.verify_public_key(node.encryption_key)
        except CryptoError as error:
            message = "nothing can be encrypted to a key in a ratchet tree"
            raise MlsValidationError("VAL-718", message, spec=_SPEC, raw=node.encryption_key) from error


def verify_encryption_keys_are_unique(tree: RatchetTree) -> None:
    """VAL-706: no two nodes have the same encryption key (RFC 9420 §7.3, §12.4.3.1)."""
    if repeated := tree.repeated_encryption_keys():
        raise MlsValidationError("VAL-706", "two nodes have the same encryption key", spec=_SPEC, raw=repeated[0])


def verify_signature_keys_are_unique(tree: RatchetTree) -> None:
    """VAL-707: no two leaves have the same signature key (RFC 9420 §7.3)."""
    if repeated := tree.repeated_signature_keys():
        message = "two leaves have the same signature key"
        raise MlsValidationError("VAL-707", message, spec="RFC 9420 §7.3", raw=repeated[0])


def verify_leaf_signatures(tree: RatchetTree, group_id: bytes, run: MapLeaves = map) -> None:
    """VAL-708 for each leaf. *run* may share the leaves out among threads: the primitive does not hold them up."""
    members = list(tree.members())
    groups = (members[start : start + _LEAVES_PER_CALL] for start in range(0, len(members), _LEAVES_PER_CALL))
    for _ in run(partial(_verify_signatures, tree, group_id), groups):
        pass


def _verify_signatures(tree: RatchetTree, group_id: bytes, leaves: Leaves) -> None:
    for index, leaf in leaves:
        verify_leaf_signature(tree.suite, leaf, group_id, index)


def verify_lifetimes(tree: RatchetTree, now_s: int) -> None:
    """VAL-710 for each leaf."""
    for _, leaf in tree.members():
        verify_leaf_lifetime(leaf, now_s)


def verify_credential_types(tree: RatchetTree) -> None:
    """VAL-716: every member supports the credential types of all (RFC 9420 §7.3)."""
    if missing := tree.unsupported_credential_types():
        message = f"not every member supports credentials of type {int(missing[0])}"
        raise MlsValidationError("VAL-716", message, spec="RFC 9420 §7.3")


def verify_leaf_capabilities(tree: RatchetTree, extensions: Extensions = ()) -> None:
    """VAL-711 to VAL-715 for each leaf: what it uses and what a GroupContext with *extensions* asks of it. Raises
    TlsDecodeError if its required_capabilities cannot be read."""
    body = find_extension(extensions, ExtensionType.REQUIRED_CAPABILITIES)
    required = RequiredCapabilities() if body is None else RequiredCapabilities.decode(body)
    types = [extension.extension_type for extension in extensions]
    for _, leaf in tree.members():
        verify_leaf_extensions_are_single(leaf)
        verify_leaf_extensions_are_listed(leaf)
        verify_leaf_credential_is_listed(leaf)
        verify_leaf_has_required_capabilities(leaf, required)
        verify_leaf_supports_extensions(leaf, types)
