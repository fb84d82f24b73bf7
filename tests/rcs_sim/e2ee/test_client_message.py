"""ClientMlsRcsMessage: requests there and back."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.client_message import (
    AdvanceKind,
    ClientMlsRcsMessage,
    ClientOperation,
    MlsGroupInfo,
    WelcomeAction,
)
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.wire.protobuf import ProtobufError, ProtobufField, WireType

_OCTETS = st.binary(max_size=20)
_STATES = st.none() | st.builds(EpochIdentifier, st.integers(0, 9), st.integers(0, 9), _OCTETS)
_INFOS = st.none() | st.builds(MlsGroupInfo, _OCTETS, _OCTETS, _OCTETS)
_REQUESTS = st.builds(
    ClientMlsRcsMessage,
    operation=st.integers(0, 300),
    mls_group_id=_OCTETS,
    context_id=st.text(max_size=24),
    base=_STATES,
    result=_STATES,
    commit=_OCTETS,
    proposal=_OCTETS,
    welcome=_OCTETS,
    group_info=_INFOS,
    key_delivery=st.lists(_OCTETS, max_size=3).map(tuple),
    add=st.lists(st.text(max_size=9), max_size=3).map(tuple),
    remove=st.lists(st.text(max_size=9), max_size=3).map(tuple),
    groupdata=_OCTETS,
    welcome_action=st.integers(0, 9),
    advance_kind=st.integers(0, 9),
)


@given(_REQUESTS)
def test_a_request_survives_a_round_trip(request: ClientMlsRcsMessage) -> None:
    assert ClientMlsRcsMessage.decode(request.encode()) == request


@given(st.binary(max_size=200))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        ClientMlsRcsMessage.decode(octets)
    with contextlib.suppress(ProtobufError):
        MlsGroupInfo.decode(octets)


def test_known_numbers_become_members_and_others_stay() -> None:
    read = ClientMlsRcsMessage.decode(ClientMlsRcsMessage(operation=1, welcome_action=2, advance_kind=77).encode())
    assert read.operation is ClientOperation.CREATE
    assert read.welcome_action is WelcomeAction.NEW_ERA_EXISTING_GROUP
    assert read.advance_kind == 77
    assert ClientMlsRcsMessage().advance_kind is AdvanceKind.NORMAL


def test_unknown_fields_are_kept() -> None:
    unknown = (ProtobufField(99, WireType.LENGTH_DELIMITED, b"new"), ProtobufField(98, WireType.VARINT, 1))
    request = ClientMlsRcsMessage(ClientOperation.COMMIT, b"g", unknown=unknown)
    assert ClientMlsRcsMessage.decode(request.encode()).unknown == unknown


def test_a_base_that_says_nothing_is_not_the_same_as_none() -> None:
    request = ClientMlsRcsMessage(ClientOperation.PROPOSE, base=EpochIdentifier())
    assert ClientMlsRcsMessage.decode(request.encode()).base == EpochIdentifier()
    assert ClientMlsRcsMessage.decode(ClientMlsRcsMessage().encode()).base is None


def test_a_group_info_comes_bare_or_as_a_message() -> None:
    message = b"\x00\x01\x00\x04" + b"\x00\x01\x00\x02rest"
    assert MlsGroupInfo(message).group_info_message == message
    assert MlsGroupInfo(message[4:]).group_info_message == message
    assert MlsGroupInfo().group_info_message == b""
