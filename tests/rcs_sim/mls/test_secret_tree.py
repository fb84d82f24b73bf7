"""The secret tree (RFC 9420 §9): a key is used once, and what it came from is gone."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import ContentType, Generation, LeafIndex
from rcs_sim.mls.secret_tree import MessageKey, RatchetKind, RatchetWindow, SecretTree, SenderDataKeys, ratchet_of

_SUITE = CipherSuite.of(2)
_ROOT = Secret(bytes(range(32)))
_APPLICATION, _HANDSHAKE = RatchetKind.APPLICATION, RatchetKind.HANDSHAKE
_KINDS = pytest.mark.parametrize("kind", list(RatchetKind), ids=lambda kind: kind.name)


def _tree(leaf_count: int = 8, window: RatchetWindow | None = None) -> SecretTree:
    return SecretTree(_SUITE, _ROOT, leaf_count, window)


def _peek(tree: SecretTree, generation: int, leaf: int = 3, kind: RatchetKind = _APPLICATION) -> MessageKey:
    return tree.peek(LeafIndex(leaf), kind, Generation(generation))


def _octets(key: MessageKey) -> tuple[bytes, bytes]:
    return key.key, key.nonce


def _refused(rule: str, tree: SecretTree, generation: int, leaf: int = 3) -> None:
    before = tree.encode()
    with pytest.raises(MlsValidationError) as refused:
        _peek(tree, generation, leaf)
    assert refused.value.rule == rule
    assert tree.encode() == before


@_KINDS
def test_sender_and_receiver_have_the_same_keys(kind: RatchetKind) -> None:
    sender, receiver = _tree(), _tree()
    for generation in range(5):
        taken = sender.take(LeafIndex(3), kind)
        assert taken.generation == generation
        peeked = _peek(receiver, generation, kind=kind)
        assert _octets(taken) == _octets(peeked)
        receiver.consume(peeked)


def test_every_key_is_another() -> None:
    tree = _tree()
    keys = [tree.take(LeafIndex(leaf), kind) for leaf in range(8) for kind in RatchetKind for _ in range(4)]
    assert len({key.key for key in keys}) == len({key.nonce for key in keys}) == 64


def test_a_key_is_gone_after_its_use() -> None:
    tree = _tree()
    for generation in (0, 1, 4, 2):
        tree.consume(_peek(tree, generation))
    for generation in (0, 1, 2, 4):
        _refused("VAL-901", tree, generation)
    _peek(tree, 3)
    _peek(tree, 5)


def test_a_peek_changes_nothing() -> None:
    tree = _tree()
    fresh = tree.encode()
    first = _peek(tree, 0)
    assert _octets(_peek(tree, 5)) != _octets(first)
    assert tree.encode() == fresh
    assert tree.next_generation(LeafIndex(3), _APPLICATION) == 0
    tree.consume(first)
    assert tree.next_generation(LeafIndex(3), _APPLICATION) == 1
    begun = tree.encode()
    _peek(tree, 7)
    assert tree.encode() == begun != fresh


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_messages_may_come_in_any_order(order: tuple[int, ...]) -> None:
    sender, receiver = _tree(), _tree()
    sent = [sender.take(LeafIndex(3), _APPLICATION) for _ in range(4)]
    for generation in order:
        key = _peek(receiver, generation)
        assert _octets(key) == _octets(sent[generation])
        receiver.consume(key)
    assert receiver.encode() == sender.encode()


def test_a_message_may_be_ahead_as_far_as_the_window() -> None:
    tree = _tree(window=RatchetWindow(forward_generations=10, kept_keys=100))
    _refused("VAL-902", tree, 11)
    tree.consume(_peek(tree, 10))
    _refused("VAL-902", tree, 22)
    _refused("VAL-902", tree, 2**32 - 1)
    tree.consume(_peek(tree, 21))


def test_no_more_keys_are_kept_than_the_window_has() -> None:
    tree = _tree(window=RatchetWindow(forward_generations=100, kept_keys=4))
    tree.consume(_peek(tree, 50))
    for generation in range(46):
        _refused("VAL-901", tree, generation)
    for generation in range(46, 50):
        _peek(tree, generation)
    tree.consume(_peek(tree, 53))
    _refused("VAL-901", tree, 47)
    for generation in (48, 49, 51, 52):
        _peek(tree, generation)
    assert len(tree.encode()) < 1000


def test_a_window_may_keep_nothing() -> None:
    tree = _tree(window=RatchetWindow(kept_keys=0))
    tree.consume(_peek(tree, 3))
    _refused("VAL-901", tree, 2)
    _peek(tree, 4)


@pytest.mark.parametrize("leaf", [-1, 8, 2**32 - 1])
def test_a_leaf_outside_of_the_tree_is_refused(leaf: int) -> None:
    _refused("ValSem004", _tree(), 0, leaf)


@pytest.mark.parametrize("leaf_count", [0, -1, 3, 2**32])
def test_a_tree_has_a_power_of_two_of_leaves(leaf_count: int) -> None:
    with pytest.raises(LocalProtocolError):
        _tree(leaf_count)


def test_a_tree_of_one_leaf_is_its_root() -> None:
    tree = _tree(1)
    tree.consume(_peek(tree, 0, leaf=0))
    _refused("VAL-901", tree, 0, leaf=0)


@given(leaves=st.permutations(range(16)))
@settings(deadline=None, max_examples=30)
def test_the_order_in_which_leaves_speak_does_not_matter(leaves: list[int]) -> None:
    tree, straight = _tree(16), _tree(16)
    spoken = {leaf: _octets(tree.take(LeafIndex(leaf), _HANDSHAKE)) for leaf in leaves}
    assert spoken == {leaf: _octets(straight.take(LeafIndex(leaf), _HANDSHAKE)) for leaf in range(16)}


def test_no_secret_above_a_leaf_outlives_the_beginning_of_its_ratchets() -> None:
    """With every leaf begun, no node has a secret, and what a ratchet was is not to be had from what it is."""
    tree = _tree(4)
    assert _ROOT.octets in tree.encode()
    keys = [tree.take(LeafIndex(leaf), kind) for leaf in range(4) for kind in RatchetKind]
    state = tree.encode()
    assert _ROOT.octets not in state
    assert not any(key.key in state or key.nonce in state for key in keys)
    begun_anew = SecretTree.decode(_SUITE, state)
    for key in keys:
        with pytest.raises(MlsValidationError):
            begun_anew.peek(key.leaf, key.kind, key.generation)


def test_the_root_is_dropped_with_the_first_leaf() -> None:
    tree = _tree(8)
    tree.take(LeafIndex(3), _APPLICATION)
    assert _ROOT.octets not in tree.encode()


@settings(deadline=None, max_examples=30)
@given(uses=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(RatchetKind), st.integers(0, 12)), max_size=12))
def test_a_tree_comes_back_from_its_octets(uses: list[tuple[int, RatchetKind, int]]) -> None:
    tree = _tree()
    for leaf, kind, generation in uses:
        try:
            tree.consume(tree.peek(LeafIndex(leaf), kind, Generation(generation)))
        except MlsValidationError as refused:
            assert refused.rule == "VAL-901"  # noqa: PT017  # it is refused in some examples only
    again = SecretTree.decode(_SUITE, tree.encode())
    assert again.encode() == tree.encode()
    for leaf in range(8):
        for kind in RatchetKind:
            taken, wanted = (each.take(LeafIndex(leaf), kind) for each in (again, tree))
            assert _octets(taken) == _octets(wanted)
            assert taken.generation == wanted.generation


@given(octets=st.binary(max_size=100))
def test_any_octets_are_a_tree_or_refused(octets: bytes) -> None:
    try:
        SecretTree.decode(_SUITE, octets)
    except TlsDecodeError:
        return


def test_the_last_generation_is_the_last() -> None:
    tree = _tree(1)
    tree.take(LeafIndex(0), _APPLICATION)
    state = tree.encode()
    place = state.index(b"\x02" + (1).to_bytes(8, "big")) + 1
    tree = SecretTree.decode(_SUITE, state[:place] + (2**32 - 1).to_bytes(8, "big") + state[place + 8 :])
    assert tree.take(LeafIndex(0), _APPLICATION).generation == 2**32 - 1
    with pytest.raises(LocalProtocolError):
        tree.take(LeafIndex(0), _APPLICATION)


def test_application_data_has_a_ratchet_of_its_own() -> None:
    assert ratchet_of(ContentType.APPLICATION) is _APPLICATION
    assert ratchet_of(ContentType.PROPOSAL) is ratchet_of(ContentType.COMMIT) is _HANDSHAKE


def test_the_reuse_guard_changes_the_first_four_octets_of_the_nonce() -> None:
    key = _peek(_tree(), 0)
    assert key.guarded_nonce(bytes(4)) == key.nonce
    guarded = key.guarded_nonce(b"\xff\x00\x00\x01")
    assert guarded[4:] == key.nonce[4:]
    assert bytes(a ^ b for a, b in zip(guarded[:4], key.nonce[:4], strict=True)) == b"\xff\x00\x00\x01"


def test_sender_data_keys_depend_on_the_beginning_of_the_ciphertext() -> None:
    keys = SenderDataKeys(_SUITE, _ROOT)
    assert keys.key_and_nonce(bytes(32)) == keys.key_and_nonce(bytes(32) + b"more")
    assert keys.key_and_nonce(bytes(31)) != keys.key_and_nonce(bytes(32))
    assert keys.key_and_nonce(b"") != keys.key_and_nonce(b"\x00")


def test_no_key_shows() -> None:
    tree = _tree()
    key = _peek(tree, 0)
    assert repr(key) == "MessageKey(leaf 3, APPLICATION, generation 0)"
    assert repr(tree) == "SecretTree(8 leaves, 0 ratchets begun)"
