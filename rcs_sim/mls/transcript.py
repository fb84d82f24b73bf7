"""Transcript hashes: what ties an epoch to all Commits before it (RFC 9420 §8.2)."""

from __future__ import annotations

from rcs_sim.mls.codec import encode_opaque, encode_u16
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import WireFormat
from rcs_sim.mls.messages import FramedContent

__all__ = ["confirmed_transcript_hash", "interim_transcript_hash"]


def confirmed_transcript_hash(
    suite: CipherSuite, interim_before: bytes, wire_format: WireFormat, commit: FramedContent, signature: bytes
) -> bytes:
    """confirmed_transcript_hash after a Commit. *interim_before* is the interim hash of the epoch in which it was sent.
    The confirmation tag is not in it, so this can be had before the tag."""
    covered = encode_u16(wire_format) + commit.encode() + encode_opaque(signature)
    return suite.hash(interim_before + covered)


def interim_transcript_hash(suite: CipherSuite, confirmed: bytes, confirmation_tag: bytes) -> bytes:
    """interim_transcript_hash of an epoch. *confirmed* is empty in a new group (RFC 9420 §11)."""
    return suite.hash(confirmed + encode_opaque(confirmation_tag))
