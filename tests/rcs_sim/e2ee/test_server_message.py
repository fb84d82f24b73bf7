"""ServerMlsRcsMessage: its arms, and the walk through bodies of another layout."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.server_message import (
    MAX_CONTAINERS,
    AcceptedMessage,
    CommitBundle,
    RawMlsMessage,
    ServerMlsRcsMessage,
    collect_mls_messages,
    decode_server_message,
    encode_server_message,
)
from rcs_sim.mls.codec import encode_opaque
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.wire.protobuf import ProtobufError, encode_message_field, encode_uint_field
from tests.support.mls_groups import NOW_S, Party

_OCTETS = st.binary(max_size=20)
_STATES = st.builds(EpochIdentifier, st.integers(0, 9), st.integers(0, 9), _OCTETS)
_ARMS = st.one_of(
    st.builds(RawMlsMessage, _OCTETS),
    st.builds(
        CommitBundle, _OCTETS, _OCTETS, _OCTETS, st.lists(_OCTETS, max_size=3).map(tuple), st.none() | _STATES, _OCTETS
    ),
    st.builds(MlsGroupInfo, _OCTETS, _OCTETS, _OCTETS),
    st.builds(AcceptedMessage, st.text(max_size=30), _STATES, st.booleans()),
)


@pytest.fixture(scope="module")
def messages() -> tuple[bytes, bytes]:
    """A Commit and the Welcome that goes with it."""
    alice, bob = Party("alice"), Party("bob")
    alice.create()
    pending = alice.group.commit(CommitRequest(proposals=(bob.add(),), with_path=True), alice.random, NOW_S)
    assert pending.welcome is not None
    return pending.message.encode(), pending.welcome.encode()


@given(_ARMS)
def test_an_arm_survives_a_round_trip(arm: ServerMlsRcsMessage) -> None:
    assert decode_server_message(encode_server_message(arm)) == arm


@given(st.binary(max_size=200))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        decode_server_message(octets)
    assert collect_mls_messages(octets).is_whole


def test_the_first_known_arm_wins_and_unknown_fields_are_skipped() -> None:
    octets = encode_uint_field(9, 1) + encode_message_field(4, b"\x0a\x01m") + encode_message_field(1, b"raw")
    assert decode_server_message(octets) == AcceptedMessage("m")


def test_a_body_without_a_known_arm_is_refused() -> None:
    with pytest.raises(ProtobufError):
        decode_server_message(encode_message_field(7, b""))


def test_a_state_of_another_layout_reads_as_none() -> None:
    octets = encode_message_field(4, b"\x0a\x01m" + encode_message_field(2, b"\xff\xff"))
    assert decode_server_message(octets) == AcceptedMessage("m")


def test_messages_are_found_wherever_they_stand_once_each(messages: tuple[bytes, bytes]) -> None:
    commit, _ = messages
    inner = encode_message_field(3, encode_message_field(1, encode_opaque(commit)) + encode_uint_field(5, 7))
    found = collect_mls_messages(encode_message_field(8, inner) + encode_message_field(9, commit))
    assert (found.messages, found.is_whole) == ((commit,), False)


def test_a_body_with_a_welcome_is_handed_on_whole(messages: tuple[bytes, bytes]) -> None:
    commit, welcome = messages
    found = collect_mls_messages(encode_message_field(1, commit) + encode_message_field(2, welcome))
    assert (found.messages, found.is_whole) == ((commit, welcome), True)
    assert collect_mls_messages(commit).messages == (commit,)


def test_the_walk_is_bounded_in_depth_and_width(messages: tuple[bytes, bytes]) -> None:
    commit, _ = messages
    deep = commit
    for _ in range(7):
        deep = encode_message_field(1, deep)
    assert collect_mls_messages(deep).messages == ()
    wide = encode_message_field(1, b"\x0a\x00") * (MAX_CONTAINERS + 1) + encode_message_field(
        1, encode_message_field(1, commit)
    )
    assert collect_mls_messages(wide).messages == ()


def test_a_raw_message_comes_bare_or_behind_its_length(messages: tuple[bytes, bytes]) -> None:
    commit, _ = messages
    assert RawMlsMessage(commit).mls_message == RawMlsMessage(encode_opaque(commit)).mls_message == commit
    assert RawMlsMessage(b"odd").mls_message == b"odd"
