"""Every structure: what was encoded decodes to the same value, and octets either are refused or are what the value
encodes to (RFC 9420 §2.1)."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rcs_sim.mls.codec import ReceivedStruct, TlsDecodeError
from tests.support.mls_structures import DECODERS

_NAMES = pytest.mark.parametrize("name", sorted(DECODERS))
_SLOW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def _refused_or_same(name: str, octets: bytes) -> None:
    try:
        value = DECODERS[name][1](octets)
    except TlsDecodeError:
        return
    assert value.encode() == octets
    assert rebuilt(value).encode() == octets


def rebuilt(value: Any) -> Any:
    """*value* without the octets that it kept, so that it encodes from its fields."""
    if isinstance(value, tuple):
        return tuple(map(rebuilt, value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    made = [rebuilt(getattr(value, each.name)) for each in fields(value) if each.init]
    return type(value)(*made)


@_NAMES
@_SLOW
@given(choice=st.data())
def test_a_value_survives_a_round_trip(name: str, choice: st.DataObject) -> None:
    values, decode = DECODERS[name]
    value = choice.draw(values)
    octets = value.encode()
    again = decode(octets)
    assert again == value
    assert hash(again) == hash(value)
    assert again.encode() == rebuilt(again).encode() == octets


@_NAMES
@_SLOW
@given(octets=st.binary(max_size=200))
def test_any_octets_are_refused_or_encode_again(name: str, octets: bytes) -> None:
    _refused_or_same(name, octets)


@_NAMES
@_SLOW
@given(choice=st.data())
def test_a_truncated_or_longer_value_is_refused(name: str, choice: st.DataObject) -> None:
    values, decode = DECODERS[name]
    octets = choice.draw(values).encode()
    for wrong in (octets[: choice.draw(st.integers(0, len(octets) - 1))], octets + b"\x00"):
        with pytest.raises(TlsDecodeError):
            decode(wrong)


@_NAMES
@_SLOW
@given(choice=st.data())
def test_a_value_with_a_flipped_bit_is_refused_or_encodes_again(name: str, choice: st.DataObject) -> None:
    octets = bytearray(choice.draw(DECODERS[name][0]).encode())
    place = choice.draw(st.integers(0, 8 * len(octets) - 1))
    octets[place // 8] ^= 1 << place % 8
    _refused_or_same(name, bytes(octets))


@_NAMES
@_SLOW
@given(choice=st.data())
def test_what_is_signed_is_what_was_received(name: str, choice: st.DataObject) -> None:
    values, decode = DECODERS[name]
    value = decode(choice.draw(values).encode())
    if isinstance(value, ReceivedStruct):
        assert value.encode() is value.encode()
    signed = getattr(value, "to_be_signed", None)
    if signed is None:
        return
    arguments = (b"group", 3) if name == "leaf_node" else ()
    assert signed(*arguments) == rebuilt(value).to_be_signed(*arguments)
