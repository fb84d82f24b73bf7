"""Transcript hashes (RFC 9420 §8.2): they cover what was received."""

from __future__ import annotations

from dataclasses import replace

from rcs_sim.mls.commit import Commit
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import Epoch, LeafIndex, WireFormat
from rcs_sim.mls.messages import FramedContent, Sender
from rcs_sim.mls.transcript import confirmed_transcript_hash, interim_transcript_hash

_SUITE = CipherSuite.of(1)
_COMMIT = FramedContent(b"group", Epoch(1), Sender.member(LeafIndex(0)), b"aad", Commit((), None))


def test_all_of_a_commit_but_its_tag_is_covered() -> None:
    usual = (b"before", WireFormat.PUBLIC_MESSAGE, _COMMIT, b"signature")
    changed = [
        (b"other", *usual[1:]),
        (usual[0], WireFormat.PRIVATE_MESSAGE, *usual[2:]),
        (*usual[:2], replace(_COMMIT, authenticated_data=b""), usual[3]),
        (*usual[:3], b"other"),
    ]
    hashes = {confirmed_transcript_hash(_SUITE, *each) for each in (usual, *changed)}
    assert len(hashes) == 5


def test_the_tag_enters_the_interim_hash() -> None:
    assert interim_transcript_hash(_SUITE, b"", b"tag") == _SUITE.hash(b"\x03tag")
    assert interim_transcript_hash(_SUITE, b"confirmed", b"tag") != interim_transcript_hash(_SUITE, b"confirmed", b"x")
