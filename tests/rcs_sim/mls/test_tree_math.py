"""Index arithmetic of the array-based tree (RFC 9420 appendix C)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.mls import tree_math
from rcs_sim.mls.identifiers import LeafIndex, NodeIndex

_HEIGHTS = st.integers(0, 20)


@st.composite
def nodes(draw: st.DrawFn) -> tuple[NodeIndex, int]:
    """A node and the leaf count of a tree that has it."""
    count = 1 << draw(_HEIGHTS)
    return NodeIndex(draw(st.integers(0, 2 * count - 2))), count


@given(nodes())
def test_a_parent_is_the_parent_of_its_children(place: tuple[NodeIndex, int]) -> None:
    node, count = place
    if tree_math.is_leaf(node):
        return
    for child in (tree_math.left(node), tree_math.right(node)):
        assert tree_math.parent(child, count) == node
        assert tree_math.level(child) == tree_math.level(node) - 1
    assert tree_math.sibling(tree_math.left(node), count) == tree_math.right(node)
    assert tree_math.sibling(tree_math.right(node), count) == tree_math.left(node)


@given(nodes())
def test_a_direct_path_climbs_to_the_root(place: tuple[NodeIndex, int]) -> None:
    node, count = place
    path = tree_math.direct_path(node, count)
    below = [node, *path]
    assert below[-1] == tree_math.root(count)
    assert [tree_math.parent(child, count) for child in below[:-1]] == path
    assert tree_math.copath(node, count) == [tree_math.sibling(child, count) for child in below[:-1]]
    assert all(tree_math.is_under(node, above) for above in path)


@given(nodes())
def test_the_leaves_under_a_node_are_those_with_the_node_on_their_path(place: tuple[NodeIndex, int]) -> None:
    node, count = place
    under = tree_math.leaves_under(node)
    assert len(under) == 1 << tree_math.level(node)
    for leaf in {under[0], under[-1], max(under[0] - 1, 0), min(under[-1] + 1, count - 1)}:
        at = tree_math.node_of(LeafIndex(leaf))
        assert tree_math.is_under(at, node) == (leaf in under) == (node in [at, *tree_math.direct_path(at, count)])


@given(st.data(), _HEIGHTS)
def test_the_common_ancestor_is_the_first_node_that_two_paths_share(data: st.DataObject, height: int) -> None:
    count = 1 << height
    one, other = (LeafIndex(data.draw(st.integers(0, count - 1))) for _ in range(2))
    paths = [[tree_math.node_of(leaf), *tree_math.direct_path(tree_math.node_of(leaf), count)] for leaf in (one, other)]
    assert tree_math.common_ancestor(one, other) == next(node for node in paths[0] if node in paths[1])


@given(st.integers(1, 1 << 20))
def test_a_full_tree_is_the_smallest_that_has_the_nodes(nodes: int) -> None:
    count = tree_math.full_leaf_count(nodes)
    assert tree_math.node_count(count) >= nodes
    assert count == 1 or tree_math.node_count(count // 2) < nodes


def test_a_leaf_has_no_children_and_a_parent_is_no_leaf() -> None:
    for walk in (tree_math.left, tree_math.right):
        with pytest.raises(LocalProtocolError):
            walk(NodeIndex(4))
    with pytest.raises(LocalProtocolError):
        tree_math.leaf_of(NodeIndex(5))


@pytest.mark.parametrize(("node", "leaves"), [(7, 8), (15, 8), (-2, 8)])
def test_the_root_and_what_is_outside_have_no_parent(node: int, leaves: int) -> None:
    with pytest.raises(LocalProtocolError):
        tree_math.parent(NodeIndex(node), leaves)
    with pytest.raises(LocalProtocolError):
        tree_math.sibling(NodeIndex(node), leaves)


@pytest.mark.parametrize("leaves", [0, 3, 12, -4])
def test_a_tree_is_full(leaves: int) -> None:
    with pytest.raises(LocalProtocolError):
        tree_math.root(leaves)
