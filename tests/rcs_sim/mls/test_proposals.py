"""Proposals (RFC 9420 §12.1), custom ones among them."""

from __future__ import annotations

import pytest

from rcs_sim.mls.codec import Reader, TlsDecodeError
from rcs_sim.mls.identifiers import LeafIndex, ProposalType
from rcs_sim.mls.proposals import (
    CustomProposal,
    ProposalRef,
    Remove,
    decode_proposal,
    empty_body,
    encode_proposal_or_ref,
    fixed_body,
    read_proposal_or_ref,
)

_CUSTOM = {0xF002: empty_body, 0xF004: fixed_body(4)}


def test_a_custom_proposal_is_opaque_unless_the_application_says_otherwise() -> None:
    proposal = decode_proposal(b"\xf0\x01\x07end_mls", _CUSTOM)
    assert proposal == CustomProposal.of_opaque(ProposalType(0xF001), b"end_mls")
    assert proposal.encode() == b"\xf0\x01\x07end_mls"


def test_a_custom_proposal_may_be_empty_or_of_fixed_length() -> None:
    assert decode_proposal(b"\xf0\x02", _CUSTOM) == CustomProposal(ProposalType(0xF002), b"")
    fixed = decode_proposal(b"\xf0\x04\x00\x00\x00\x05", _CUSTOM)
    assert fixed == CustomProposal(ProposalType(0xF004), b"\x00\x00\x00\x05")


@pytest.mark.parametrize(
    "octets", [b"\xf0\x02\x00", b"\xf0\x04\x00\x00\x05", b"\xf0\x04\x00\x00\x00\x05\x00", b"\xf0\x01", b"\x00"]
)
def test_a_custom_body_ends_where_the_application_says(octets: bytes) -> None:
    with pytest.raises(TlsDecodeError):
        decode_proposal(octets, _CUSTOM)


def test_a_proposal_in_a_commit_is_itself_or_a_reference() -> None:
    by_value, by_reference = b"\x01\x00\x03\x00\x00\x00\x05", b"\x02\x03ref"
    assert read_proposal_or_ref(Reader(by_value)) == Remove(LeafIndex(5))
    assert read_proposal_or_ref(Reader(by_reference)) == ProposalRef(b"ref")
    assert encode_proposal_or_ref(Remove(LeafIndex(5))) == by_value
    assert encode_proposal_or_ref(ProposalRef(b"ref")) == by_reference
    for wrong in (b"\x00\x03ref", b"\x03\x03ref", b""):
        with pytest.raises(TlsDecodeError):
            read_proposal_or_ref(Reader(wrong))


def test_the_type_stands_on_the_class() -> None:
    assert Remove.proposal_type is ProposalType.REMOVE
    assert decode_proposal(b"\x00\x03\x00\x00\x00\x05").proposal_type is ProposalType.REMOVE
