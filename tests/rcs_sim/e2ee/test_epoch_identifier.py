"""EpochIdentifier: its encoding, and when two name one state."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.wire.protobuf import ProtobufError

_IDENTIFIERS = st.builds(EpochIdentifier, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=40))


@given(_IDENTIFIERS)
def test_it_survives_a_round_trip(identifier: EpochIdentifier) -> None:
    assert EpochIdentifier.decode(identifier.encode()) == identifier


@given(st.binary(max_size=100))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        EpochIdentifier.decode(octets)


def test_the_default_is_empty() -> None:
    assert EpochIdentifier().encode() == b""


def test_an_era_beyond_32_bits_is_refused() -> None:
    with pytest.raises(ProtobufError):
        EpochIdentifier.decode(bytes.fromhex("088080808010"))


def test_states_are_compared_by_authenticator_where_both_have_one() -> None:
    one, other = EpochIdentifier(1, 2, b"a" * 32), EpochIdentifier(1, 2, b"b" * 32)
    assert not one.is_same_state(other)
    assert one.is_same_state(EpochIdentifier(9, 9, b"a" * 32))
    assert one.is_same_state(EpochIdentifier(1, 2))
    assert not one.is_same_state(EpochIdentifier(1, 3))


def test_moments_are_ordered_by_era_first() -> None:
    assert EpochIdentifier(1, 0).moment > EpochIdentifier(0, 2**63).moment
