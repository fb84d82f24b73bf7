"""proto3 wire format: fields there and back, unknown ones kept, hostile octets refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.wire.protobuf import (
    MAX_FIELDS,
    MAX_PROTOBUF_OCTETS,
    ProtobufError,
    ProtobufField,
    ProtobufReader,
    WireType,
    encode_bool_field,
    encode_fields,
    encode_fixed32_field,
    encode_message_field,
    encode_octets_field,
    encode_protobuf_varint,
    encode_repeated_octets_field,
    encode_repeated_text_field,
    encode_text_field,
    encode_uint_field,
    parse_fields,
)

_FIELDS = st.one_of(
    st.builds(ProtobufField, st.integers(1, 2**29 - 1), st.just(WireType.VARINT), st.integers(0, 2**64 - 1)),
    st.builds(ProtobufField, st.integers(1, 2**29 - 1), st.just(WireType.FIXED32), st.integers(0, 2**32 - 1)),
    st.builds(ProtobufField, st.integers(1, 2**29 - 1), st.just(WireType.FIXED64), st.integers(0, 2**64 - 1)),
    st.builds(ProtobufField, st.integers(1, 2**29 - 1), st.just(WireType.LENGTH_DELIMITED), st.binary(max_size=40)),
)


@given(st.lists(_FIELDS, max_size=12))
def test_fields_survive_a_round_trip_in_their_order(fields: list[ProtobufField]) -> None:
    octets = encode_fields(tuple(fields))
    assert parse_fields(octets) == tuple(fields)
    assert ProtobufReader(octets).rest() == tuple(fields)


@given(st.binary(max_size=300))
def test_any_octets_parse_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        parse_fields(encode_fields(parse_fields(octets)))


def test_what_is_empty_or_zero_is_not_written() -> None:
    nothing = (
        encode_uint_field(1, 0),
        encode_bool_field(2, False),
        encode_fixed32_field(3, 0),
        encode_octets_field(4, b""),
        encode_text_field(5, ""),
        encode_message_field(6, None),
        encode_repeated_octets_field(7, ()),
    )
    assert b"".join(nothing) == b""
    assert encode_message_field(6, b"") == b"\x32\x00"
    assert encode_repeated_text_field(7, ("", "a")) == b"\x3a\x00\x3a\x01a"


def test_fixed32_is_little_endian_and_no_varint() -> None:
    assert encode_fixed32_field(5, 300) == b"\x2d\x2c\x01\x00\x00"
    assert ProtobufReader(b"\x2d\x2c\x01\x00\x00").fixed32(5) == 300
    assert ProtobufReader(b"\x28\xac\x02").fixed32(5) == 0


def test_the_last_of_a_singular_field_counts_and_messages_are_joined() -> None:
    reader = ProtobufReader(b"\x08\x01\x08\x02\x12\x01a\x12\x01b\x1a\x02\x08\x01\x1a\x02\x10\x02")
    assert (reader.uint(1), reader.octets(2), reader.message(3)) == (2, b"b", b"\x08\x01\x10\x02")
    assert reader.rest() == ()


def test_a_field_of_another_wire_type_is_unknown_and_kept() -> None:
    reader = ProtobufReader(b"\x0a\x01x\x08\x07\x0d\x01\x00\x00\x00\x4a\x00")
    assert reader.uint(1) == 7
    assert encode_fields(reader.rest()) == b"\x0a\x01x\x0d\x01\x00\x00\x00\x4a\x00"


def test_absent_fields_have_their_default() -> None:
    reader = ProtobufReader(b"")
    assert (reader.uint32(1), reader.bool(2), reader.octets(3), reader.message(4)) == (0, False, b"", None)
    assert (reader.text(5), reader.repeated_text(6)) == ("", ())


@pytest.mark.parametrize(
    "octets",
    [
        b"\x00\x00",  # field number 0
        b"\x80\x80\x80\x80\x80\x01\x00",  # field number beyond 2^29 - 1
        b"\x0b",  # a group
        b"\x0a\x02a",  # shorter than announced
        b"\x0d\x01\x02",  # a short fixed32
        b"\x09\x01",  # a short fixed64
        b"\x08",  # no varint
        b"\x08" + b"\x80" * 10 + b"\x01",  # a varint of eleven octets
    ],
)
def test_malformed_fields_are_refused(octets: bytes) -> None:
    with pytest.raises(ProtobufError):
        parse_fields(octets)


def test_numbers_and_texts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ProtobufError):
        ProtobufReader(b"\x08" + encode_protobuf_varint(2**32)).uint32(1)
    with pytest.raises(ProtobufError):
        ProtobufReader(b"\x0a\x01\xff").text(1)


def test_a_value_of_another_type_is_a_fault_of_the_caller() -> None:
    with pytest.raises(LocalProtocolError):
        ProtobufField(1, WireType.VARINT, b"").encode()


def test_a_message_without_measure_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProtobufError):
        parse_fields(bytes(MAX_PROTOBUF_OCTETS + 1))


def test_a_message_of_countless_fields_is_refused_early() -> None:
    """Two octets make a field: what is short on the wire would keep a server busy for seconds."""
    assert len(parse_fields(b"\x08\x01" * MAX_FIELDS)) == MAX_FIELDS
    with pytest.raises(ProtobufError, match="more than"):
        parse_fields(b"\x08\x01" * (MAX_FIELDS + 1))
