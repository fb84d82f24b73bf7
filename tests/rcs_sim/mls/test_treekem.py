"""Path secrets and private keys of the ratchet tree (RFC 9420 §7.4-7.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import HPKECiphertext, UpdatePath
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex, NodeIndex
from rcs_sim.mls.public_path import merge_path
from rcs_sim.mls.tree_math import is_under, node_of
from rcs_sim.mls.tree_validation import verify_tree
from rcs_sim.mls.treekem import TreeKeys, create_path, keys_of_joiner, open_path
from tests.support.mls_tree_views import GROUP_ID, Client, Outcome, View, commit, create_view, populated_views, seeded

SUITE = CipherSuite.of(2)
CONTEXT = b"a provisional GroupContext"


def check_views(outcome: Outcome) -> None:
    """All members have the same tree, a valid one; what they hold are keys of their own path; secrets agree."""
    first = outcome.views[0]
    for view in outcome.views:
        assert view.tree.tree_hash() == first.tree.tree_hash()
        check_keys(view)
    verify_tree(first.tree, GROUP_ID, first.tree.tree_hash(), now_s=1_500_000)
    assert len(set(outcome.commit_secrets)) <= 1


def check_keys(view: View) -> None:
    """The tree invariant: a member has the private key of a parent above it unless its leaf is unmerged there."""
    own = node_of(view.leaf)
    expected = {own}
    for node, parent in view.tree.parents():
        if is_under(own, node) and view.leaf not in parent.unmerged_leaves:
            expected.add(node)
    held = dict(view.keys.items())
    assert set(held) == expected
    for node, private in held.items():
        assert view.tree.suite.key_pair_of(private).public == view.tree.encryption_key(node)


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[tuple[int, ...]]]:
    """A number of members to begin with, and commits as tuples of small numbers that choose among who is there."""
    commits = st.tuples(st.integers(0, 99), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 5))
    return draw(st.integers(1, 12)), draw(st.lists(commits, min_size=1, max_size=8))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_after_any_history_all_members_have_one_valid_tree(history: tuple[int, list[tuple[int, ...]]]) -> None:
    suite = CipherSuite.of(1)
    count, commits = history
    founder = create_view(Client(suite, "founder"))
    outcome = commit((founder,), LeafIndex(0), adds=[Client(suite, f"first {n}") for n in range(1, count)], path=False)
    for number, (who, adding, updating, removing, kind) in enumerate(commits):
        views = outcome.views
        sender = views[who % len(views)]
        others = [view.leaf for view in views if view.leaf != sender.leaf]
        removes = others[who % 3 :: 3][:removing] if removing else []
        updates = [leaf for leaf in others if leaf not in removes][:updating]
        adds = [Client(suite, f"added {number}.{n}") for n in range(adding)]
        if kind == 0:
            outcome = commit(views, Client(suite, f"external {number}"), removes=removes)
        elif kind == 1 and adds:
            outcome = commit(views, sender.leaf, adds=adds, path=False)
        else:
            outcome = commit(views, sender.leaf, updates=updates, removes=removes, adds=adds)
        check_views(outcome)


def test_a_removed_member_can_open_no_path_secret() -> None:
    views = populated_views(SUITE, 5)
    outcome = commit(views, LeafIndex(0), removes=[LeafIndex(3)])
    removed = views[3]
    assert outcome.path is not None
    tree, _ = removed.tree.with_changes(removes=[LeafIndex(3)])
    merged = merge_path(tree, LeafIndex(0), outcome.path, GROUP_ID)
    held = removed.keys.after_changes(tree)
    assert not {target for step in merged.steps for target in step.targets} & {node for node, _ in held.items()}
    with pytest.raises(MlsValidationError) as caught:
        open_path(merged, held, b"context of " + merged.tree.tree_hash())
    assert caught.value.rule == "ValSem203"


def test_an_old_view_stays_usable_after_a_commit() -> None:
    views = populated_views(SUITE, 4)
    before = views[1].tree.tree_hash()
    first = commit(views, LeafIndex(0), adds=[Client(SUITE, "late")], removes=[LeafIndex(2)])
    again = commit(views, LeafIndex(3))
    assert views[1].tree.tree_hash() == before != first.views[0].tree.tree_hash()
    check_views(again)


def test_a_group_of_one_commits_alone() -> None:
    outcome = commit((create_view(Client(SUITE, "alone")),), LeafIndex(0))
    assert outcome.path is not None
    assert outcome.path.nodes == ()
    assert outcome.path.leaf_node.parent_hash == b""
    check_views(outcome)


def test_the_same_randomness_gives_the_same_path() -> None:
    view = populated_views(SUITE, 3)[1]

    def made() -> bytes:
        random = seeded("again")
        pending = create_path(view.tree, view.leaf, random, Client(SUITE, "member 1").committed(view.leaf))
        return pending.encrypt(CONTEXT, random).encode()

    assert made() == made()


@pytest.fixture(scope="module")
def views() -> tuple[View, ...]:
    return populated_views(SUITE, 4)


def sent(view: View) -> UpdatePath:
    pending = create_path(view.tree, view.leaf, view.client.random, view.client.committed(view.leaf))
    return pending.encrypt(CONTEXT, view.client.random)


def refused(views: tuple[View, ...], path: UpdatePath, context: bytes = CONTEXT, receiver: int = 3) -> str:
    merged = merge_path(views[receiver].tree, LeafIndex(0), path, GROUP_ID)
    with pytest.raises(MlsValidationError) as caught:
        open_path(merged, views[receiver].keys, context)
    return caught.value.rule


def with_ciphertext(path: UpdatePath, place: int, sealed: HPKECiphertext) -> UpdatePath:
    node = replace(path.nodes[place], encrypted_path_secret=(sealed,))
    return replace(path, nodes=(*path.nodes[:place], node, *path.nodes[place + 1 :]))


def test_valsem203_a_path_secret_that_does_not_open_is_refused(views: tuple[View, ...]) -> None:
    path = sent(views[0])
    sealed = path.nodes[1].encrypted_path_secret[0]
    flipped = bytes((sealed.ciphertext[0] ^ 1,)) + sealed.ciphertext[1:]
    assert refused(views, with_ciphertext(path, 1, replace(sealed, ciphertext=flipped))) == "ValSem203"
    assert refused(views, with_ciphertext(path, 1, replace(sealed, ciphertext=b""))) == "ValSem203"
    assert refused(views, with_ciphertext(path, 1, replace(sealed, kem_output=b"\x04" * 65))) == "ValSem203"


def test_valsem203_a_path_secret_for_another_group_context_is_refused(views: tuple[View, ...]) -> None:
    assert refused(views, sent(views[0]), context=b"another GroupContext") == "ValSem203"


def test_valsem203_a_path_secret_of_another_length_is_refused(views: tuple[View, ...]) -> None:
    path = sent(views[0])
    key = views[0].tree.encryption_key(NodeIndex(5))
    assert key is not None
    short = SUITE.encrypt_with_label(key, "UpdatePathNode", CONTEXT, b"short", seeded("x"))
    assert refused(views, with_ciphertext(path, 1, short)) == "ValSem203"


def test_valsem203_a_member_without_a_key_for_any_target_is_refused(views: tuple[View, ...]) -> None:
    merged = merge_path(views[3].tree, LeafIndex(0), sent(views[0]), GROUP_ID)
    with pytest.raises(MlsValidationError) as caught:
        open_path(merged, TreeKeys(LeafIndex(3), {}), CONTEXT)
    assert caught.value.rule == "ValSem203"


def test_valsem204_public_keys_that_are_not_those_of_the_path_secret_are_refused(views: tuple[View, ...]) -> None:
    path = sent(views[0])
    key = views[0].tree.encryption_key(NodeIndex(5))
    assert key is not None
    other = SUITE.encrypt_with_label(key, "UpdatePathNode", CONTEXT, bytes(32), seeded("x"))
    assert refused(views, with_ciphertext(path, 1, other)) == "ValSem204"


def test_the_sender_does_not_open_its_own_path(views: tuple[View, ...]) -> None:
    merged = merge_path(views[0].tree, LeafIndex(0), sent(views[0]), GROUP_ID)
    with pytest.raises(LocalProtocolError):
        open_path(merged, views[0].keys, CONTEXT)


def test_val723_a_welcome_with_another_path_secret_is_refused(views: tuple[View, ...]) -> None:
    tree = views[0].tree
    with pytest.raises(MlsValidationError) as caught:
        keys_of_joiner(tree, LeafIndex(2), Secret(bytes(32)), LeafIndex(0), Secret(bytes(32)))
    assert caught.value.rule == "VAL-723"


def test_a_joiner_of_a_commit_without_a_path_has_its_own_key_only(views: tuple[View, ...]) -> None:
    keys = keys_of_joiner(views[0].tree, LeafIndex(2), Secret(b"own"), LeafIndex(0), None)
    assert list(keys.items()) == [(4, Secret(b"own"))]


def test_what_holds_secrets_does_not_show_them(views: tuple[View, ...]) -> None:
    pending = create_path(views[0].tree, LeafIndex(0), seeded("shown"), views[0].client.committed(LeafIndex(0)))
    for shown in (repr(pending), repr(views[0].keys)):
        for _, secret in (*pending.path_secrets, *pending.keys.items(), *views[0].keys.items()):
            assert secret.octets.hex() not in shown
            assert repr(secret.octets) not in shown
