"""TreeKEM against the outside vectors (mlswg/mls-implementations)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import UpdatePath
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group_info import GroupContext, RatchetTreeExtension
from rcs_sim.mls.identifiers import Epoch, LeafIndex, LeafNodeSource, NodeIndex, ProtocolVersion
from rcs_sim.mls.kem import HpkeKeyPair
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.public_path import merge_path
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.tree_math import common_ancestor, node_of
from rcs_sim.mls.tree_nodes import tree_of_nodes
from rcs_sim.mls.tree_validation import verify_tree
from rcs_sim.mls.treekem import TreeKeys, create_path, keys_of_joiner, open_path
from tests.support.mls_tree_views import seeded
from tests.support.vectors import load_vectors

_Case = dict[str, Any]

_TREEKEM = "mls/mls-implementations/treekem.json"


def entries(name: str) -> pytest.MarkDecorator:
    """Every entry of a file, named by file and place."""
    cases = load_vectors(name)
    return pytest.mark.parametrize("case", cases, ids=[f"{name}-{place}" for place in range(len(cases))])


def tree_of(case: _Case) -> RatchetTree:
    nodes = RatchetTreeExtension.decode(bytes.fromhex(case["ratchet_tree"])).nodes
    return tree_of_nodes(CipherSuite.of(case["cipher_suite"]), nodes)


def secret(octets: str) -> Secret:
    return Secret(bytes.fromhex(octets))


def node_pair(suite: CipherSuite, path_secret: str) -> HpkeKeyPair:
    return suite.derive_key_pair(suite.derive_secret(secret(path_secret), "node"))


def keys_of(tree: RatchetTree, member: _Case) -> TreeKeys:
    """The private keys of a member, each the other half of the public one in the tree."""
    leaf = LeafIndex(member["index"])
    pairs = {NodeIndex(each["node"]): node_pair(tree.suite, each["path_secret"]) for each in member["path_secrets"]}
    pairs[node_of(leaf)] = tree.suite.key_pair_of(secret(member["encryption_priv"]))
    assert {node: pair.public for node, pair in pairs.items()} == {node: tree.encryption_key(node) for node in pairs}
    return TreeKeys(leaf, {node: pair.private for node, pair in pairs.items()})


def leaf_maker(
    tree: RatchetTree, index: LeafIndex, signer: SignatureKey, group_id: bytes
) -> Callable[[bytes, bytes], LeafNode]:
    old = tree.leaf(index)
    assert old is not None
    source = {"leaf_node_source": LeafNodeSource.COMMIT, "lifetime": None}

    def make(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        leaf = replace(old, encryption_key=encryption_key, parent_hash=parent_hash, **source)
        signed = leaf.to_be_signed(group_id, index)
        return replace(leaf, signature=tree.suite.sign_with_label(signer, "LeafNodeTBS", signed))

    return make


def context_of(case: _Case, tree: RatchetTree) -> bytes:
    return GroupContext(
        version=ProtocolVersion.MLS10,
        cipher_suite=tree.suite.id,
        group_id=bytes.fromhex(case["group_id"]),
        epoch=Epoch(case["epoch"]),
        tree_hash=tree.tree_hash(),
        confirmed_transcript_hash=bytes.fromhex(case["confirmed_transcript_hash"]),
        extensions=(),
    ).encode()


@entries(_TREEKEM)
def test_every_member_opens_each_update_path(case: _Case) -> None:
    tree, group_id = tree_of(case), bytes.fromhex(case["group_id"])
    verify_tree(tree, group_id, tree.tree_hash())
    members = [keys_of(tree, member) for member in case["leaves_private"]]
    for sent in case["update_paths"]:
        sender = LeafIndex(sent["sender"])
        path = UpdatePath.decode(bytes.fromhex(sent["update_path"]))
        merged = merge_path(tree, sender, path, group_id)
        assert merged.tree.tree_hash().hex() == sent["tree_hash_after"]
        verify_tree(merged.tree, group_id, merged.tree.tree_hash())
        for keys in members:
            if keys.leaf == sender:
                continue
            opened = open_path(merged, keys, context_of(case, merged.tree))
            assert opened.commit_secret == secret(sent["commit_secret"])
            expected = node_pair(tree.suite, sent["path_secrets"][keys.leaf])
            assert opened.keys.get(common_ancestor(keys.leaf, sender)) == expected.private


@entries(_TREEKEM)
def test_every_member_opens_the_update_paths_that_we_make_in_that_tree(case: _Case) -> None:
    tree, group_id = tree_of(case), bytes.fromhex(case["group_id"])
    members = [keys_of(tree, member) for member in case["leaves_private"]]
    signature_keys = {member["index"]: secret(member["signature_priv"]) for member in case["leaves_private"]}
    random = seeded("paths")
    for sender in (members[0], members[-1]):
        signer = tree.suite.scheme.key(signature_keys[sender.leaf])

        pending = create_path(tree, sender.leaf, random, leaf_maker(tree, sender.leaf, signer, group_id))
        context = context_of(case, pending.tree)
        path = UpdatePath.decode(pending.encrypt(context, random).encode())
        for keys in members:
            if keys.leaf == sender.leaf:
                continue
            merged = merge_path(tree, sender.leaf, path, group_id)
            assert merged.tree.tree_hash() == pending.tree.tree_hash()
            opened = open_path(merged, keys, context)
            assert opened.commit_secret == pending.commit_secret
            own = keys.get(node_of(keys.leaf))
            assert own is not None
            joined = keys_of_joiner(pending.tree, keys.leaf, own, sender.leaf, pending.path_secret_for(keys.leaf))
            assert set(joined.items()) <= set(opened.keys.items())


def test_the_number_of_cases_is_told() -> None:
    print(f"{_TREEKEM}: {len(load_vectors(_TREEKEM))} entries")
