"""ServerMlsRcsMessage: its arms, and the walk through bodies of another layout."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

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
    is_lone_message,
    read_server_body,
)
from rcs_sim.e2ee.treeless_welcome import append_tree
from rcs_sim.mls.codec import encode_opaque
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import LeafIndex, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.proposals import Remove
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


def _tree(group: Group) -> bytes:
    return group.ratchet_tree().encode()


@pytest.fixture(scope="module")
def party() -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Welcome, tree, Commit, a proposal and a PrivateMessage, of one group."""
    public = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE)
    alice, bob = Party("alice", public), Party("bob")
    alice.create()
    adding = CommitRequest(proposals=(bob.add(),), with_path=True, tree_in_welcome=False)
    pending = alice.group.commit(adding, alice.random, NOW_S)
    assert pending.welcome is not None
    commit, welcome = pending.message.encode(), pending.welcome.encode()
    group = alice.group.merge_pending()
    sealed = group.seal(b"keys", alice.random).encode()
    proposal = group.propose(Remove(LeafIndex(1)), alice.random, now_s=NOW_S).encode()
    return welcome, _tree(group), commit, proposal, sealed


def test_a_body_of_our_own_layout_is_read_as_such(messages: tuple[bytes, bytes]) -> None:
    commit, welcome = messages
    for arm in (
        RawMlsMessage(commit),
        CommitBundle(welcome=welcome, commit=commit, state=EpochIdentifier(1, 2, bytes(32))),
        MlsGroupInfo(b"info", b"tree", bytes(32)),
        AcceptedMessage("m", EpochIdentifier(1, 2, bytes(32)), True),
    ):
        assert read_server_body(encode_server_message(arm)) == arm


@pytest.mark.parametrize("wrap", [lambda octets: octets, encode_opaque], ids=["bare", "behind its length"])
def test_a_bare_message_is_a_body(
    party: tuple[bytes, bytes, bytes, bytes, bytes], wrap: Callable[[bytes], bytes]
) -> None:
    welcome, tree, commit, proposal, sealed = party
    nodes = append_tree(welcome, tree)
    assert all(map(is_lone_message, (wrap(welcome), wrap(nodes), wrap(commit))))
    assert read_server_body(wrap(welcome)) == CommitBundle(welcome=welcome)
    assert read_server_body(wrap(nodes)) == CommitBundle(welcome=nodes)
    assert read_server_body(wrap(commit)) == CommitBundle(commit=commit)
    assert read_server_body(wrap(proposal)) == RawMlsMessage(proposal)
    with pytest.raises(ProtobufError):
        read_server_body(wrap(sealed))


def test_messages_of_another_layout_are_put_in_their_places(party: tuple[bytes, bytes, bytes, bytes, bytes]) -> None:
    welcome, tree, commit, _, sealed = party
    flat = b"".join(encode_message_field(number, each) for number, each in ((6, commit), (8, welcome), (10, sealed)))
    assert read_server_body(encode_uint_field(1, 3) + flat) == CommitBundle(welcome, b"", commit, (sealed,))
    nested = encode_message_field(2, encode_message_field(5, flat) + encode_message_field(9, tree))
    assert not is_lone_message(nested)
    assert read_server_body(nested) == CommitBundle(welcome, tree, commit, (sealed,))
    assert read_server_body(encode_message_field(2, encode_message_field(3, commit))) == CommitBundle(commit=commit)


@given(st.binary(max_size=200))
def test_any_octets_are_a_body_or_refused(octets: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        read_server_body(octets)


@given(st.data())
def test_a_body_with_some_octets_changed_is_read_or_refused(
    party: tuple[bytes, bytes, bytes, bytes, bytes], data: st.DataObject
) -> None:
    welcome, tree, commit, _, _ = party
    octets = bytearray(data.draw(st.sampled_from((append_tree(welcome, tree), commit, encode_opaque(welcome)))))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtobufError):
        read_server_body(bytes(octets))
