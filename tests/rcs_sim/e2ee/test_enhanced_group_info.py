"""MlsEnhancedGroupInfo."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.enhanced_group_info import ControlMessage, MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.wire.protobuf import ProtobufError, encode_message_field

_OCTETS = st.binary(max_size=20)
_STATES = st.none() | st.builds(EpochIdentifier, st.integers(0, 9), st.integers(0, 9), _OCTETS)
_INFOS = st.none() | st.builds(MlsGroupInfo, _OCTETS, _OCTETS, _OCTETS)
_LOGS = st.lists(st.builds(ControlMessage, st.text(max_size=9), _OCTETS), max_size=4).map(tuple)


@given(st.builds(MlsEnhancedGroupInfo, _STATES, _INFOS, _LOGS, _STATES))
def test_it_survives_a_round_trip(answer: MlsEnhancedGroupInfo) -> None:
    assert MlsEnhancedGroupInfo.decode(answer.encode()) == answer


@given(st.binary(max_size=200))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        MlsEnhancedGroupInfo.decode(octets)


def test_the_absence_of_a_next_page_is_told_from_an_empty_one() -> None:
    assert MlsEnhancedGroupInfo.decode(b"").paginated is None
    assert MlsEnhancedGroupInfo.decode(encode_message_field(5, b"")).paginated == EpochIdentifier()


def test_the_reserved_field_is_skipped() -> None:
    assert MlsEnhancedGroupInfo.decode(encode_message_field(1, b"\xff")) == MlsEnhancedGroupInfo()
