"""The secret half of the ratchet tree (RFC 9420 §7.4-7.6): path secrets, and the private keys that a member holds.

``create_path`` makes an UpdatePath in two steps, because its ciphertexts are bound to a GroupContext with the hash of
the tree that has the new keys. ``open_path`` is its counterpart at every other member, ``keys_of_joiner`` at those that
a Welcome brings. What is derived on the way is dropped when the function returns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import HPKECiphertext, UpdatePath, UpdatePathNode
from rcs_sim.mls.crypto import CipherSuite, Random
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex, NodeIndex
from rcs_sim.mls.kem import CryptoError, HpkeKeyPair
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.parent_hash import path_parents
from rcs_sim.mls.public_path import MergedPath, path_steps
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_math import is_under, node_of

__all__ = ["OpenedPath", "PendingPath", "TreeKeys", "create_path", "keys_of_joiner", "open_path"]

_LABEL = "UpdatePathNode"


class TreeKeys:
    """The private keys that one member holds: its leaf's, and those of nodes above it that it has learned (RFC 9420
    §4.2). A value: changes give a new one."""

    __slots__ = ("_keys", "leaf")

    def __init__(self, leaf: LeafIndex, keys: Mapping[NodeIndex, Secret]) -> None:
        self.leaf = leaf
        self._keys = dict(keys)

    @classmethod
    def of_leaf(cls, leaf: LeafIndex, private_key: Secret) -> TreeKeys:
        """Of a member that knows no key but its own."""
        return cls(leaf, {node_of(leaf): private_key})

    def __repr__(self) -> str:
        return f"TreeKeys(leaf {self.leaf}, nodes {sorted(self._keys)})"

    def get(self, node: NodeIndex) -> Secret | None:
        """Private key of *node*, None if this member does not hold it."""
        return self._keys.get(node)

    def items(self) -> Iterator[tuple[NodeIndex, Secret]]:
        """The keys in the order of their nodes."""
        return iter(sorted(self._keys.items(), key=lambda item: item[0]))

    def after_changes(self, tree: RatchetTree, own_update: Secret | None = None) -> TreeKeys:
        """What is left once the proposals of a Commit have made *tree*: keys of blank nodes are dropped. *own_update*
        is the private key of the leaf that an Update of this member has put in place."""
        keys = {node: key for node, key in self._keys.items() if not tree.is_blank(node)}
        if own_update is not None:
            keys[node_of(self.leaf)] = own_update
        return TreeKeys(self.leaf, keys)

    def after_path(self, sender: LeafIndex, learned: Mapping[NodeIndex, Secret]) -> TreeKeys:
        """What an UpdatePath of *sender* leaves: the keys that it gave, and none besides for the sender's path."""
        source = node_of(sender)
        kept = {node: key for node, key in self._keys.items() if not is_under(source, node)}
        return TreeKeys(self.leaf, kept | dict(learned))


@dataclass(frozen=True, slots=True)
class OpenedPath:
    """What a member learns from an UpdatePath."""

    keys: TreeKeys
    commit_secret: Secret


@dataclass(frozen=True, slots=True)
class PendingPath:
    """An UpdatePath of our own, whose path secrets are still to be encrypted. *tree* is the tree with it, *keys* are
    what its sender holds then. To be dropped as soon as the Commit and its Welcome are made."""

    tree: RatchetTree
    sender: LeafIndex
    leaf_node: LeafNode
    keys: TreeKeys
    commit_secret: Secret
    path_secrets: tuple[tuple[NodeIndex, Secret], ...]

    def encrypt(self, group_context: bytes, random: Random, new_leaves: Collection[LeafIndex] = ()) -> UpdatePath:
        """The UpdatePath. *group_context* is the encoded provisional GroupContext (RFC 9420 §12.4.1), *octets* gives
        randomness; *new_leaves*, those of the Adds in the same Commit, learn their path secrets from the Welcome."""
        steps = path_steps(self.tree, self.sender, new_leaves)
        nodes = []
        for step, (_, path_secret) in zip(steps, self.path_secrets, strict=True):
            sealed = tuple(self._seal(target, group_context, path_secret, random) for target in step.targets)
            nodes.append(UpdatePathNode(_public_key(self.tree, step.node), sealed))
        return UpdatePath(self.leaf_node, tuple(nodes))

    def _seal(self, target: NodeIndex, group_context: bytes, path_secret: Secret, random: Random) -> HPKECiphertext:
        key = _public_key(self.tree, target)
        return self.tree.suite.encrypt_with_label(key, _LABEL, group_context, path_secret.octets, random)

    def path_secret_for(self, leaf: LeafIndex) -> Secret:
        """The path secret for the Welcome of a new member: that of the lowest node of the path which is above *leaf*
        (RFC 9420 §12.4.3.1)."""
        return next(secret for node, secret in self.path_secrets if is_under(node_of(leaf), node))


def create_path(
    tree: RatchetTree,
    sender: LeafIndex,
    random: Random,
    make_leaf: Callable[[bytes, bytes], LeafNode],
) -> PendingPath:
    """New keys for the leaf of *sender* and its filtered direct path in *tree*, which has the proposals of the Commit
    applied, and in an external Commit the sender's leaf (RFC 9420 §7.4, §7.5).

    *random* gives octets. *make_leaf* is given the encryption key and the parent hash of the new leaf, and returns
    the signed leaf."""
    suite = tree.suite
    leaf_pair = suite.generate_key_pair(random)
    steps = tree.filtered_direct_path(sender)
    secrets, commit_secret = _path_secrets(suite, suite.draw_secret(random), len(steps))
    pairs = [_node_key_pair(suite, path_secret) for path_secret in secrets]
    parents, parent_hash = path_parents(tree, steps, [pair.public for pair in pairs])
    leaf = make_leaf(leaf_pair.public, parent_hash)
    nodes = [node for node, _ in steps]
    keys = {node: pair.private for node, pair in zip(nodes, pairs, strict=True)}
    return PendingPath(
        tree=tree.with_path(sender, leaf, parents),
        sender=sender,
        leaf_node=leaf,
        keys=TreeKeys(sender, keys | {node_of(sender): leaf_pair.private}),
        commit_secret=commit_secret,
        path_secrets=tuple(zip(nodes, secrets, strict=True)),
    )


def open_path(merged: MergedPath, keys: TreeKeys, group_context: bytes) -> OpenedPath:
    """What the member with *keys* learns from the UpdatePath of another. *keys* are those after the proposals of the
    Commit, *group_context* is the encoded provisional GroupContext (RFC 9420 §7.5, §12.4.2). Raises MlsValidationError
    (ValSem203, ValSem204)."""
    suite, own = merged.tree.suite, node_of(keys.leaf)
    start = next((place for place, step in enumerate(merged.steps) if is_under(own, step.beside)), None)
    if start is None:
        raise LocalProtocolError("the sender of an UpdatePath has its secrets already", spec="RFC 9420 §7.5")
    path_secret = _decrypt_path_secret(merged, start, keys, group_context)
    secrets, commit_secret = _path_secrets(suite, path_secret, len(merged.steps) - start)
    nodes = [step.node for step in merged.steps[start:]]
    learned = _verified_key_pairs(merged.tree, nodes, secrets, "ValSem204")
    return OpenedPath(keys.after_path(merged.sender, learned), commit_secret)


def keys_of_joiner(
    tree: RatchetTree, leaf: LeafIndex, private_key: Secret, signer: LeafIndex, path_secret: Secret | None
) -> TreeKeys:
    """The keys of a member that a Welcome brought to *leaf*. *private_key* is that of its leaf, *signer* the sender of
    the Commit, *path_secret* what the Welcome had of it (RFC 9420 §12.4.3.1). Raises MlsValidationError (VAL-723)."""
    keys = TreeKeys.of_leaf(leaf, private_key)
    if path_secret is None:
        return keys
    own = node_of(leaf)
    nodes = [node for node, _ in tree.filtered_direct_path(signer) if is_under(own, node)]
    secrets, _ = _path_secrets(tree.suite, path_secret, len(nodes))
    return keys.after_path(signer, _verified_key_pairs(tree, nodes, secrets, "VAL-723"))


def _path_secrets(suite: CipherSuite, first: Secret, count: int) -> tuple[list[Secret], Secret]:
    """*count* path secrets from *first* on, and the commit secret, which comes after them (RFC 9420 §7.4, §8)."""
    secrets = []
    following = first
    for _ in range(count):
        secrets.append(following)
        following = suite.derive_secret(following, "path")
    return secrets, following


def _node_key_pair(suite: CipherSuite, path_secret: Secret) -> HpkeKeyPair:
    """The key pair of the node that has *path_secret* (RFC 9420 §7.4)."""
    return suite.derive_key_pair(suite.derive_secret(path_secret, "node"))


def _decrypt_path_secret(merged: MergedPath, start: int, keys: TreeKeys, group_context: bytes) -> Secret:
    """ValSem203: the path secret is encrypted to a node whose key the receiver has, and opens with it."""
    suite = merged.tree.suite
    targets = merged.steps[start].targets
    held = ((place, key) for place, target in enumerate(targets) if (key := keys.get(target)) is not None)
    place, private_key = next(held, (None, None))
    if place is None or private_key is None:
        raise _unreadable("is not encrypted to a key of this member")
    key_pair = HpkeKeyPair(private_key, _public_key(merged.tree, targets[place]))
    sealed = merged.path.nodes[start].encrypted_path_secret[place]
    try:
        path_secret = suite.decrypt_with_label(key_pair, _LABEL, group_context, sealed)
    except CryptoError as error:
        raise _unreadable("does not open") from error
    if len(path_secret) != suite.hash_octets:
        raise _unreadable(f"has {len(path_secret)} octets")
    return Secret(path_secret)


def _unreadable(what: str) -> MlsValidationError:
    return MlsValidationError("ValSem203", f"the path secret {what}", spec="RFC 9420 §7.5")


def _verified_key_pairs(
    tree: RatchetTree, nodes: Sequence[NodeIndex], secrets: Sequence[Secret], rule: str
) -> dict[NodeIndex, Secret]:
    """ValSem204, VAL-723: the public keys of the path are those that its secrets give (RFC 9420 §7.5, §12.4.3.1)."""
    found = {}
    for node, path_secret in zip(nodes, secrets, strict=True):
        pair = _node_key_pair(tree.suite, path_secret)
        if pair.public != tree.encryption_key(node):
            message = f"the public key of node {node} is not that of its path secret"
            raise MlsValidationError(rule, message, spec="RFC 9420 §7.5")
        found[node] = pair.private
    return found


def _public_key(tree: RatchetTree, node: NodeIndex) -> bytes:
    """Of a node that is known not to be blank."""
    key = tree.encryption_key(node)
    assert key is not None
    return key
