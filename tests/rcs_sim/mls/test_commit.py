"""Commit and UpdatePath (RFC 9420 §7.6, §12.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


_UNIFORM = st.builds(
    lambda kem, sealed, pairs: [HPKECiphertext(one[:kem].ljust(kem), two[:sealed].ljust(sealed)) for one, two in pairs],
    st.sampled_from([0, 1, 32, 63, 64, 65]),
    st.sampled_from([0, 1, 48, 63, 64, 200]),
    st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=5)), max_size=6),
)
_MIXED = st.lists(st.builds(HPKECiphertext, st.binary(max_size=3), st.binary(max_size=3)), max_size=6)


@given(ciphertexts=st.one_of(_UNIFORM, _MIXED))
def test_ciphertexts_of_one_form_and_of_many_come_back(ciphertexts: list[HPKECiphertext]) -> None:
    node = UpdatePathNode(b"key", tuple(ciphertexts))
    again = UpdatePathNode.decode(node.encode())
    assert again == node
    assert hash(again) == hash(node)
    assert again.encode() == node.encode()
    found = again.encrypted_path_secret
    assert (len(found), list(found)) == (len(ciphertexts), ciphertexts)
    assert tuple(found[1:]) == tuple(ciphertexts[1:])
    assert repr(found) == repr(tuple(ciphertexts))
    with pytest.raises(IndexError):
        found[len(ciphertexts)]


@given(place=st.integers(0, 170), value=st.integers(0, 255))
def test_a_length_in_between_that_differs_is_not_passed_over(place: int, value: int) -> None:
    octets = bytearray(UpdatePathNode(b"", (HPKECiphertext(bytes(64), bytes(20)),) * 2).encode())
    octets[place] = value
    try:
        node = UpdatePathNode.decode(bytes(octets))
    except TlsDecodeError:
        return
    assert node.encode() == bytes(octets)


@pytest.mark.parametrize("octets", [b"", b"\x00", b"\x00\x02", b"\x01\x01\x00", b"\x00\x01", b"\x00\x00\x00"])
def test_what_is_no_commit_is_refused(octets: bytes) -> None:
    with pytest.raises(TlsDecodeError):
        Commit.decode(octets)
