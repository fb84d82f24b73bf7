"""Members of MLS groups for measurements, of groups that were just made and of groups in which all have committed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ims_core.wire.secret import Secret
from rcs_sim.mls.client import Client, KeyPackageKeys, capabilities_of, sign_leaf
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.credential import BasicCredential, Credential, X509Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.group_state import start_epoch
from rcs_sim.mls.identifiers import Epoch, LeafIndex, LeafNodeSource, NodeIndex, ProtocolVersion
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.key_schedule import derive_epoch_of_secret
from rcs_sim.mls.leaf_node import LeafNode, Lifetime
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Add
from rcs_sim.mls.public_state import PublicState
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.transcript import interim_transcript_hash
from rcs_sim.mls.tree_math import is_under, node_of
from rcs_sim.mls.treekem import TreeKeys, create_path
from rcs_sim.mls.welcome import Welcome

__all__ = ["NOW_S", "FreshGroup", "client_of", "fresh_group", "joined", "key_package_of", "populated_group"]

NOW_S = 1_800_000_000
_LIFETIME = Lifetime(NOW_S - 1000, NOW_S + 1_000_000)
_GROUP_ID = b"bench group id"
_EPOCH_SECRET = Secret(bytes(range(32)))  # of the groups that are made without messages


def client_of(suite: CipherSuite, name: str, certificate_octets: int = 0) -> Client:
    """A client with a basic credential, or with an X.509 one of *certificate_octets*, which nobody reads."""
    credential: Credential = BasicCredential(name.encode())
    if certificate_octets:
        credential = X509Credential((name.encode().ljust(certificate_octets, b"x"),))
    key = suite.scheme.generate(secrets.token_bytes)
    return Client(suite=suite, credential=credential, signature_key=key, capabilities=capabilities_of(credential))


def key_package_of(client: Client) -> KeyPackageKeys:
    """A KeyPackage of *client* with its keys."""
    return client.create_key_package(secrets.token_bytes, _LIFETIME)


@dataclass(frozen=True, slots=True)
class FreshGroup:
    """A group whose creator has added all others in one Commit: no parent of its tree has a key but on one path.
    *welcome* is for each of *packages*."""

    creator: Group
    packages: tuple[KeyPackageKeys, ...]
    welcome: Welcome

    def join(self, number: int) -> Group:
        """The group of the member with this number, the creator not counted."""
        return joined(self.welcome, self.packages[number])


def fresh_group(suite: CipherSuite, count: int, certificate_octets: int = 0) -> FreshGroup:
    """A group of *count* members."""
    clients = [client_of(suite, f"member {number}", certificate_octets) for number in range(count)]
    packages = tuple(map(key_package_of, clients[1:]))
    group = Group.create(clients[0], _GROUP_ID, secrets.token_bytes, _LIFETIME)
    adds = tuple(Add(each.key_package) for each in packages)
    pending = group.commit(CommitRequest(proposals=adds), secrets.token_bytes, NOW_S)
    assert pending.welcome is not None
    welcome = MLSMessage.decode(pending.welcome.encode()).body
    assert isinstance(welcome, Welcome)
    return FreshGroup(group.merge_pending(), packages, welcome)


def joined(welcome: Welcome, package: KeyPackageKeys) -> Group:
    """The group of *welcome*, whose tree is inside."""
    return Group.join(open_welcome(welcome, [package], MemberPolicy()), now_s=NOW_S)


def populated_group(suite: CipherSuite, count: int, seen: Sequence[int]) -> tuple[Group, ...]:
    """The groups of the members *seen* out of *count*, each parent of the tree having a key: every other member has put
    an UpdatePath there. Made without messages, for a thousand members would read a thousand Commits each."""
    clients = [client_of(suite, f"member {number}") for number in range(count)]
    pairs = [suite.generate_key_pair(secrets.token_bytes) for _ in clients]
    tree = RatchetTree.of_creator(suite, clients[0].initial_leaf(pairs[0].public, _LIFETIME))
    leaves = [client.initial_leaf(pair.public, _LIFETIME) for client, pair in zip(clients[1:], pairs[1:], strict=True)]
    tree, _ = tree.with_changes(adds=leaves)
    keys = {node_of(LeafIndex(place)): pair.private for place, pair in enumerate(pairs)}
    for place in range(0, count, 2):
        tree = _with_path(tree, LeafIndex(place), clients[place], keys)
    return tuple(_group_of(tree, LeafIndex(place), clients[place], keys) for place in seen)


def _with_path(tree: RatchetTree, place: LeafIndex, client: Client, keys: dict[NodeIndex, Secret]) -> RatchetTree:
    def make_leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        leaf = client.unsigned_leaf(encryption_key, LeafNodeSource.COMMIT)
        return sign_leaf(tree.suite, replace(leaf, parent_hash=parent_hash), client.signature_key, _GROUP_ID, place)

    path = create_path(tree, place, secrets.token_bytes, make_leaf)
    keys.update(path.keys.items())
    return path.tree


def _group_of(tree: RatchetTree, place: LeafIndex, client: Client, keys: dict[NodeIndex, Secret]) -> Group:
    suite, own = tree.suite, node_of(place)
    context = GroupContext(ProtocolVersion.MLS10, suite.id, _GROUP_ID, Epoch(1), tree.tree_hash(), b"", ())
    derived = derive_epoch_of_secret(suite, _EPOCH_SECRET)
    tag = derived[0].confirmation_tag(suite, b"")
    public = PublicState(suite, context, tree, interim_transcript_hash(suite, b"", tag), tag)
    held = TreeKeys(place, {node: key for node, key in keys.items() if is_under(own, node)})
    policy = MemberPolicy()
    return Group(start_epoch(public, place, held, derived, policy.window), client.signature_key, policy)
