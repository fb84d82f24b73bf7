"""Tree math against the outside vectors (mlswg/mls-implementations, awslabs/mls-rs)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.mls import tree_math
from rcs_sim.mls.identifiers import NodeIndex
from tests.support.vectors import load_vectors

_FILES = ("mls/mls-implementations/tree-math.json", "mls/mls-rs-extra/tree_math.json")
_CASES: list[tuple[str, dict[str, Any]]] = [(name, case) for name in _FILES for case in load_vectors(name)]


def _or_none(walk: Callable[[], NodeIndex]) -> NodeIndex | None:
    try:
        return walk()
    except LocalProtocolError:
        return None


@pytest.mark.parametrize(("name", "case"), _CASES, ids=[f"{name}-{case['n_leaves']}" for name, case in _CASES])
def test_each_vector_gives_its_indices(name: str, case: dict[str, Any]) -> None:
    leaves, nodes = case["n_leaves"], [NodeIndex(node) for node in range(case["n_nodes"])]
    assert tree_math.node_count(leaves) == case["n_nodes"]
    assert tree_math.full_leaf_count(case["n_nodes"]) == leaves
    assert tree_math.root(leaves) == case["root"]
    assert [_or_none(lambda node=node: tree_math.left(node)) for node in nodes] == case["left"]
    assert [_or_none(lambda node=node: tree_math.right(node)) for node in nodes] == case["right"]
    assert [_or_none(lambda node=node: tree_math.parent(node, leaves)) for node in nodes] == case["parent"]
    assert [_or_none(lambda node=node: tree_math.sibling(node, leaves)) for node in nodes] == case["sibling"]


def test_the_number_of_cases_is_told() -> None:
    for file in _FILES:
        print(f"{file}: {len(load_vectors(file))} entries")
