"""Ratchet trees against the outside vectors (mlswg/mls-implementations, awslabs/mls-rs): operations, hashes,
resolutions, validity of whole trees."""

from __future__ import annotations

from typing import Any

import pytest

from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import RatchetTreeExtension
from rcs_sim.mls.identifiers import NodeIndex
from rcs_sim.mls.proposals import Add, Proposal, Remove, Update, decode_proposal
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_math import node_count
from rcs_sim.mls.tree_nodes import tree_nodes, tree_of_nodes
from rcs_sim.mls.tree_validation import verify_parent_hashes, verify_tree, verify_unmerged_leaves
from tests.support.vectors import load_vectors

_Case = dict[str, Any]

_OPERATIONS = ("mls/mls-implementations/tree-operations.json", "mls/mls-rs-extra/tree_modifications_interop.json")
_VALIDATION = "mls/mls-implementations/tree-validation.json"
_TREE_HASH = "mls/mls-rs-extra/tree_hash.json"
_PARENT_HASH = "mls/mls-rs-extra/parent_hash.json"


def entries(*files: str) -> pytest.MarkDecorator:
    """Every entry of *files*, named by file and place."""
    found = [(f"{name}-{place}", case) for name in files for place, case in enumerate(load_vectors(name))]
    return pytest.mark.parametrize("case", [case for _, case in found], ids=[name for name, _ in found])


def received(suite: int, octets: str) -> RatchetTree:
    return tree_of_nodes(CipherSuite.of(suite), RatchetTreeExtension.decode(bytes.fromhex(octets)).nodes)


def as_sent(tree: RatchetTree) -> str:
    return RatchetTreeExtension(tree_nodes(tree)).encode().hex()


def applied(tree: RatchetTree, proposal: Proposal, case: _Case) -> RatchetTree:
    match proposal:
        case Add(key_package=key_package):
            return tree.with_changes(adds=[key_package.leaf_node])[0]
        case Update(leaf_node=leaf_node):
            return tree.with_changes({case["proposal_sender"]: leaf_node})[0]
        case Remove(removed=removed):
            return tree.with_changes(removes=[removed])[0]
    raise AssertionError(f"a vector of tree operations has {proposal}")


@entries(*_OPERATIONS)
def test_each_proposal_gives_its_tree_and_leaves_the_old_one(case: _Case) -> None:
    before = received(case.get("cipher_suite", 1), case["tree_before"])
    assert before.tree_hash().hex() == case.get("tree_hash_before", before.tree_hash().hex())
    after = applied(before, decode_proposal(bytes.fromhex(case["proposal"])), case)
    assert as_sent(after) == case["tree_after"]
    assert as_sent(before) == case["tree_before"]
    afresh = received(case.get("cipher_suite", 1), case["tree_after"])
    assert after.tree_hash() == afresh.tree_hash()
    assert after.tree_hash().hex() == case.get("tree_hash_after", after.tree_hash().hex())


@entries(_VALIDATION)
def test_each_valid_tree_has_its_hashes_and_resolutions(case: _Case) -> None:
    tree = received(case["cipher_suite"], case["tree"])
    nodes = [NodeIndex(node) for node in range(node_count(tree.leaf_count))]
    assert [tree.tree_hash(node).hex() for node in nodes] == case["tree_hashes"]
    assert [tree.resolution(node) for node in nodes] == case["resolutions"]
    verify_tree(tree, bytes.fromhex(case["group_id"]), tree.tree_hash())
    assert as_sent(tree) == case["tree"]


@entries(_TREE_HASH)
def test_each_tree_has_its_hash(case: _Case) -> None:
    assert received(case["cipher_suite"], case["tree_data"]).tree_hash().hex() == case["tree_hash"]


@entries(_PARENT_HASH)
def test_each_tree_whose_leaves_vouch_for_nothing_is_refused(case: _Case) -> None:
    """The trees of the figure in RFC 9420 §7.9, but with leaves from key packages only, which carry no parent hash.
    So no parent node is parent-hash valid; all else about them is in order."""
    tree = received(case["cipher_suite"], case["tree_data"])
    assert as_sent(tree) == case["tree_data"]
    assert {node: parent.unmerged_leaves for node, parent in tree.parents()} == {
        1: (),
        3: (3,),
        7: (3, 6),
        9: (5,),
        11: (5, 6),
    }
    verify_unmerged_leaves(tree)
    with pytest.raises(MlsValidationError) as caught:
        verify_parent_hashes(tree)
    assert caught.value.rule == "VAL-705"


def test_the_number_of_cases_is_told() -> None:
    for file in (*_OPERATIONS, _VALIDATION, _TREE_HASH, _PARENT_HASH):
        print(f"{file}: {len(load_vectors(file))} entries")
