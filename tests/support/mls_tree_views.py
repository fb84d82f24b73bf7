"""Members of a group without messages: each has its view of the ratchet tree and its private keys, and follows the
commits of the others by octets of UpdatePaths. For tests of the tree; the group itself is tested elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import UpdatePath
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import CredentialType, LeafIndex, LeafNodeSource, ProtocolVersion
from rcs_sim.mls.kem import HpkeKeyPair
from rcs_sim.mls.leaf_node import Capabilities, LeafNode, Lifetime
from rcs_sim.mls.public_path import merge_path
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.treekem import PendingPath, TreeKeys, create_path, keys_of_joiner, open_path

__all__ = [
    "GROUP_ID",
    "Client",
    "Outcome",
    "View",
    "commit",
    "create_view",
    "populated_views",
    "seeded",
    "sign_leaf",
]

GROUP_ID = b"a group of trees"
_LIFETIME = Lifetime(1_000_000, 2_000_000)


def seeded(seed: str) -> Callable[[int], bytes]:
    """Octets that repeat for the same *seed*."""
    count = 0

    def draw(length: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_128(f"{seed}/{count}".encode()).digest(length)

    return draw


def sign_leaf(leaf: LeafNode, suite: CipherSuite, key: SignatureKey, index: LeafIndex | None = None) -> LeafNode:
    """*leaf* with the signature of *key* for its place in the group."""
    signed = leaf.to_be_signed(GROUP_ID, index)
    return replace(leaf, signature=suite.sign_with_label(key, "LeafNodeTBS", signed))


class Client:
    """Somebody with a name and a signature key, who makes leaves."""

    def __init__(self, suite: CipherSuite, name: str) -> None:
        self.suite, self.name = suite, name
        self.random = seeded(name)
        self.signer = suite.scheme.generate(self.random)

    def leaf(self) -> tuple[LeafNode, HpkeKeyPair]:
        """A leaf as in a KeyPackage, and its key pair."""
        pair = self.suite.generate_key_pair(self.random)
        leaf = LeafNode(
            encryption_key=pair.public,
            signature_key=self.signer.public,
            credential=BasicCredential(self.name.encode()),
            capabilities=Capabilities((ProtocolVersion.MLS10,), (self.suite.id,), (), (), (CredentialType.BASIC,)),
            leaf_node_source=LeafNodeSource.KEY_PACKAGE,
            lifetime=_LIFETIME,
            parent_hash=None,
            extensions=(),
            signature=b"",
        )
        return sign_leaf(leaf, self.suite, self.signer), pair

    def updated(self, index: LeafIndex) -> tuple[LeafNode, HpkeKeyPair]:
        """A leaf as in an Update, and its key pair."""
        leaf, pair = self.leaf()
        leaf = replace(leaf, leaf_node_source=LeafNodeSource.UPDATE, lifetime=None)
        return sign_leaf(leaf, self.suite, self.signer, index), pair

    def committed(self, index: LeafIndex) -> Callable[[bytes, bytes], LeafNode]:
        """Makes the leaf of an UpdatePath."""

        def make(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
            leaf = replace(
                self.leaf()[0],
                encryption_key=encryption_key,
                leaf_node_source=LeafNodeSource.COMMIT,
                lifetime=None,
                parent_hash=parent_hash,
            )
            return sign_leaf(leaf, self.suite, self.signer, index)

        return make


@dataclass(frozen=True, slots=True)
class View:
    """What one member knows."""

    client: Client
    tree: RatchetTree
    keys: TreeKeys

    @property
    def leaf(self) -> LeafIndex:
        return self.keys.leaf


@dataclass(frozen=True, slots=True)
class Outcome:
    """Views of all members after a commit, and the commit secret of each that was there before."""

    views: tuple[View, ...]
    commit_secrets: tuple[Secret, ...]
    path: UpdatePath | None


def create_view(client: Client) -> View:
    leaf, pair = client.leaf()
    return View(client, RatchetTree.of_creator(client.suite, leaf), TreeKeys.of_leaf(LeafIndex(0), pair.private))


def commit(
    views: Sequence[View],
    sender: LeafIndex | Client,
    *,
    updates: Sequence[LeafIndex] = (),
    removes: Sequence[LeafIndex] = (),
    adds: Sequence[Client] = (),
    path: bool = True,
) -> Outcome:
    """A commit with a path, or of Adds only. A Client as *sender* joins by an external commit."""
    fresh = {view.leaf: view.client.updated(view.leaf) for view in views if view.leaf in updates}
    new = [(client, *client.leaf()) for client in adds]
    if isinstance(sender, Client):
        new.append((sender, *sender.leaf()))
    staying = [view for view in views if view.leaf not in removes]
    changed: list[View] = []
    places: tuple[LeafIndex, ...] = ()
    for view in staying:
        leaves = {index: leaf for index, (leaf, _) in fresh.items()}
        tree, places = view.tree.with_changes(leaves, removes, [leaf for _, leaf, _ in new])
        own = fresh[view.leaf][1].private if view.leaf in fresh else None
        changed.append(View(view.client, tree, view.keys.after_changes(tree, own)))
    joiners = list(zip(places, new, strict=True))
    if isinstance(sender, Client):
        place, (client, _, pair) = joiners.pop()
        changed.append(View(client, changed[0].tree, TreeKeys.of_leaf(place, pair.private)))
        sender = place
    new_leaves = [place for place, _ in joiners]
    if not path:
        welcomed = tuple(_welcomed(changed[0].tree, place, *who, sender, None) for place, who in joiners)
        return Outcome((*changed, *welcomed), (), None)
    committer = next(view for view in changed if view.leaf == sender)
    random = committer.client.random
    pending = create_path(committer.tree, sender, random, committer.client.committed(sender))
    context = b"context of " + pending.tree.tree_hash()
    octets = pending.encrypt(context, random, new_leaves).encode()
    followed = [_followed(view, sender, octets, context, new_leaves, pending) for view in changed]
    welcomed = tuple(_welcomed(pending.tree, place, *who, sender, pending) for place, who in joiners)
    after = (*(view for view, _ in followed), *welcomed)
    return Outcome(after, tuple(secret for _, secret in followed), UpdatePath.decode(octets))


def _followed(
    view: View, sender: LeafIndex, octets: bytes, context: bytes, new_leaves: Sequence[LeafIndex], pending: PendingPath
) -> tuple[View, Secret]:
    if view.leaf == sender:
        return View(view.client, pending.tree, pending.keys), pending.commit_secret
    merged = merge_path(view.tree, sender, UpdatePath.decode(octets), GROUP_ID, new_leaves)
    opened = open_path(merged, view.keys, context)
    return View(view.client, merged.tree, opened.keys), opened.commit_secret


def _welcomed(
    tree: RatchetTree,
    place: LeafIndex,
    client: Client,
    _leaf: LeafNode,
    pair: HpkeKeyPair,
    signer: LeafIndex,
    pending: PendingPath | None,
) -> View:
    path_secret = None if pending is None else pending.path_secret_for(place)
    return View(client, tree, keys_of_joiner(tree, place, pair.private, signer, path_secret))


def populated_views(suite: CipherSuite, count: int) -> tuple[View, ...]:
    """*count* members who have all committed once."""
    views: tuple[View, ...] = (create_view(Client(suite, "member 0")),)
    adds = [Client(suite, f"member {number}") for number in range(1, count)]
    views = commit(views, LeafIndex(0), adds=adds).views
    for index in range(1, count):
        views = commit(views, LeafIndex(index)).views
    return views
