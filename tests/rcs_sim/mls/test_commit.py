"""Commit and UpdatePath (RFC 9420 §7.6, §12.4)."""

from __future__ import annotations

import pytest

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit import Commit, HPKECiphertext, UpdatePath, UpdatePathNode
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.proposals import ProposalRef, Remove
from tests.rcs_sim.mls.test_leaf_node import LEAF


def test_an_empty_commit_is_two_octets() -> None:
    assert Commit((), None).encode() == b"\x00\x00"
    assert Commit.decode(b"\x00\x00") == Commit((), None)


def test_proposals_keep_their_order_and_the_path_its_nodes() -> None:
    nodes = (UpdatePathNode(b"key", (HPKECiphertext(b"kem", b"sealed"),)), UpdatePathNode(b"above", ()))
    commit = Commit((ProposalRef(b"ref"), Remove(LeafIndex(1)), ProposalRef(b"")), UpdatePath(LEAF, nodes))
    assert Commit.decode(commit.encode()) == commit


@pytest.mark.parametrize("octets", [b"", b"\x00", b"\x00\x02", b"\x01\x01\x00", b"\x00\x01", b"\x00\x00\x00"])
def test_what_is_no_commit_is_refused(octets: bytes) -> None:
    with pytest.raises(TlsDecodeError):
        Commit.decode(octets)
