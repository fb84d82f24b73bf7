"""A Welcome with the nodes of the tree behind it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.treeless_welcome import append_tree, split_welcome
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.proposals import Remove
from tests.support.mls_groups import NOW_S, Party, commit, deliver

_SUITE = CipherSuite.of(2)  # the marker of a leaf is that of this suite's keys


@pytest.fixture(scope="module")
def welcomed() -> tuple[bytes, bytes]:
    """A Welcome and its tree, which has parents and blanks in it."""
    alice, bob, carol, dave, erin = (Party(name, suite=_SUITE) for name in ("alice", "bob", "carol", "dave", "erin"))
    alice.create()
    commit(alice, (), joiners=[bob, carol, dave])
    commit(alice, (bob, dave), Remove(LeafIndex(2)))
    pending = alice.group.commit(CommitRequest(proposals=(erin.add(),), with_path=True), alice.random, NOW_S)
    deliver(pending, alice, ())
    assert pending.welcome is not None
    return pending.welcome.encode(), alice.group.ratchet_tree().encode()


def test_both_are_found(welcomed: tuple[bytes, bytes]) -> None:
    welcome, tree = welcomed
    found = split_welcome(append_tree(welcome, tree))
    assert (found.welcome, found.ratchet_tree) == welcomed


def test_a_welcome_alone_has_no_tree(welcomed: tuple[bytes, bytes]) -> None:
    found = split_welcome(welcomed[0])
    assert (found.welcome, found.ratchet_tree) == (welcomed[0], b"")


@pytest.mark.parametrize("before", [b"\x12\x34", b"\x01\x01\x40\x41\x04", b"\x03\x00\xff"])
@pytest.mark.parametrize("after", [b"", b"\xff\xff", b"\x22\x20" + bytes(32)])
def test_the_nodes_are_found_among_other_octets(welcomed: tuple[bytes, bytes], before: bytes, after: bytes) -> None:
    welcome, tree = welcomed
    nodes = append_tree(b"", tree)
    assert split_welcome(welcome + before + nodes + after).ratchet_tree == tree


def test_a_blank_first_leaf_is_kept() -> None:
    alice, bob, carol = (Party(name, suite=_SUITE) for name in ("alice", "bob", "carol"))
    alice.create()
    commit(alice, (), joiners=[bob])
    commit(bob, (alice,), Remove(LeafIndex(0)))
    blank_first = bob.group.ratchet_tree().encode()
    pending = bob.group.commit(CommitRequest(proposals=(carol.add(),)), bob.random, NOW_S)
    assert pending.welcome is not None
    welcome = pending.welcome.encode()
    assert split_welcome(append_tree(welcome, blank_first)).ratchet_tree == blank_first


@given(st.binary(max_size=200))
def test_any_octets_are_refused_or_split(octets: bytes) -> None:
    with contextlib.suppress(TlsDecodeError):
        split_welcome(octets)


def test_what_is_no_welcome_is_refused() -> None:
    alice = Party("alice", suite=_SUITE)
    alice.create()
    with pytest.raises(TlsDecodeError):
        split_welcome(alice.seal(b"text"))


@given(st.binary(max_size=60))
def test_any_tail_is_taken_for_no_tree_or_for_one(tail: bytes) -> None:
    welcome = bytes.fromhex("00010003000200" + "00")
    assert split_welcome(welcome + tail).welcome == welcome
