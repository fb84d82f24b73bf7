"""The project's own MLS vectors: exchanges that other stacks have accepted, played again by our half alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ims_core.errors import RemoteProtocolError
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.messages import MLSMessage, PublicMessage
from tests.support.mls_recording import RecordedMember, Recording, replay

FILES = sorted((Path(__file__).parent / "mls").glob("*.json"))
MAX_OCTETS = 100_000
HEAD_OCTETS = 4  # version and wire format


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> Recording:
    found: Recording = json.loads(request.param.read_text(encoding="utf-8"))
    return found


def test_there_are_exchanges_with_each_peer() -> None:
    assert {path.stem.partition("-suite-")[0] for path in FILES} == {"agentvault", "davey", "rine", "ts-mls"}
    assert all(path.stat().st_size < MAX_OCTETS for path in FILES)


def assert_same_calls(again: Recording, recording: Recording) -> None:
    assert len(again["calls"]) == len(recording["calls"]) > 0
    for place, (now, then) in enumerate(zip(again["calls"], recording["calls"], strict=True)):
        assert now == then, f"call {place}"


def test_the_engine_says_and_reads_the_same_octets_again(recording: Recording) -> None:
    assert_same_calls(replay(recording), recording)


def test_a_message_with_a_flipped_bit_is_refused_and_the_genuine_one_still_counts(recording: Recording) -> None:
    refused = 0

    def send_flipped(member: RecordedMember, octets: bytes) -> None:
        nonlocal refused
        bit = 8 * HEAD_OCTETS + 977 * (refused + 1) % (8 * (len(octets) - HEAD_OCTETS))
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RemoteProtocolError):
            member.receive(bytes(flipped), member)
        refused += 1

    assert_same_calls(replay(recording, send_flipped), recording)
    assert refused


def is_public_proposal(octets: bytes) -> bool:
    """Who hears it again in its epoch has the same proposal, once."""
    body = MLSMessage.decode(octets).body
    return isinstance(body, PublicMessage) and not isinstance(body.content.content, Commit)


def test_a_message_that_comes_again_is_refused(recording: Recording) -> None:
    earlier: list[bytes] = []

    def send_again(member: RecordedMember, octets: bytes) -> None:
        for message in earlier:
            with pytest.raises(RemoteProtocolError):
                member.receive(message, member)
        if not is_public_proposal(octets):
            earlier.append(octets)

    assert_same_calls(replay(recording, send_again), recording)
