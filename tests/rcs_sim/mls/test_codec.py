"""The presentation language (RFC 9420 §2.1): one encoding per value, and nothing read beyond a vector."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.codec import (
    MAX_DECODED_OCTETS,
    MAX_VARINT,
    Reader,
    TlsDecodeError,
    encode_opaque,
    encode_optional,
    encode_u16_vector,
    encode_varint,
    encode_vector,
)


@given(length=st.integers(0, MAX_VARINT))
def test_a_length_header_says_its_length(length: int) -> None:
    header = encode_varint(length)
    assert len(header) == (1 if length < 64 else 2 if length < 16384 else 4)
    reader = Reader(header)
    assert reader.varint() == length
    reader.finish()


@pytest.mark.parametrize(
    "header", ["4000", "403f", "80000000", "80003fff", "c0", "ffffffffffffffff", "", "40", "800000"]
)
def test_a_header_that_is_longer_than_needed_or_cut_is_refused(header: str) -> None:
    with pytest.raises(TlsDecodeError):
        Reader(bytes.fromhex(header)).varint()


def test_what_no_header_can_say_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        encode_varint(MAX_VARINT + 1)


def test_more_octets_than_allowed_are_not_looked_at() -> None:
    with pytest.raises(TlsDecodeError, match="allowed"):
        Reader(bytes(MAX_DECODED_OCTETS + 1))


@given(octets=st.binary(max_size=300), rest=st.binary(max_size=5))
def test_opaque_octets_end_where_their_header_says(octets: bytes, rest: bytes) -> None:
    reader = Reader(encode_opaque(octets) + rest)
    assert reader.opaque() == octets
    assert reader.rest() == rest
    reader.finish()


@given(st.sampled_from([0, 1, 0x3F, 0x40, 0x41, 0x7F, 0x80, 0xC0]), st.integers(0, 255), st.integers(0, 400))
def test_opaque_octets_are_as_many_as_a_length_header_read_alone_says(first: int, second: int, left: int) -> None:
    octets = bytes((first, second)) + bytes(left)

    def outcome(read: Callable[[Reader], bytes]) -> tuple[bytes, int] | str:
        reader = Reader(octets[: max(1, left)])
        try:
            return read(reader), reader.at
        except TlsDecodeError as error:
            return str(error)

    assert outcome(Reader.opaque) == outcome(lambda reader: reader.take(reader.varint()))


def test_an_item_may_not_run_out_of_its_vector() -> None:
    inner = encode_vector([encode_opaque(b"ab"), b"\x05cd"])
    with pytest.raises(TlsDecodeError):
        Reader(inner + b"efghij").vector(Reader.opaque)


def test_a_vector_may_not_run_out_of_the_octets() -> None:
    for wrong in (b"\x05abcd", b"\x7f\xff", b"\xbf\xff\xff\xff"):
        with pytest.raises(TlsDecodeError):
            Reader(wrong).vector(Reader.u8)
        with pytest.raises(TlsDecodeError):
            Reader(wrong).opaque()


def test_vectors_in_vectors_keep_their_ends() -> None:
    octets = encode_vector([encode_vector([b"\x01", b"\x02"]), encode_vector([])]) + b"\x09"
    reader = Reader(octets)
    assert reader.vector(lambda inner: inner.vector(Reader.u8)) == ((1, 2), ())
    assert reader.u8() == 9


@given(numbers=st.lists(st.integers(0, 0xFFFF)))
def test_numbers_of_two_octets_come_back(numbers: list[int]) -> None:
    assert Reader(encode_u16_vector(numbers)).u16_vector() == tuple(numbers)


def test_half_a_number_is_refused() -> None:
    with pytest.raises(TlsDecodeError, match="odd"):
        Reader(b"\x03abc").u16_vector()


def test_a_presence_octet_is_zero_or_one() -> None:
    assert Reader(encode_optional(None)).optional(Reader.u8) is None
    assert Reader(encode_optional(b"\x07")).optional(Reader.u8) == 7
    with pytest.raises(TlsDecodeError, match="presence"):
        Reader(b"\x02\x07").optional(Reader.u8)


@pytest.mark.parametrize(("width", "read"), [(1, Reader.u8), (2, Reader.u16), (4, Reader.u32), (8, Reader.u64)])
def test_numbers_are_big_endian_and_whole(width: int, read: object) -> None:
    assert callable(read)
    assert read(Reader(bytes(range(1, width + 1)))) == int.from_bytes(bytes(range(1, width + 1)), "big")
    with pytest.raises(TlsDecodeError):
        read(Reader(bytes(width - 1)))


def test_an_error_tells_the_place_and_quotes_little() -> None:
    reader = Reader(bytes(10_000))
    reader.take(5000)
    with pytest.raises(TlsDecodeError, match="octet 5000") as refused:
        reader.fail("wrong")
    assert len(refused.value.raw) <= 64
