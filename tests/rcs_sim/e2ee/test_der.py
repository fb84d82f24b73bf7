"""DER: one encoding per value, bounded, nothing but DerError on any octets (ITU-T X.690)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.der import (
    BIT_STRING,
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    MAX_DER_OCTETS,
    OCTET_STRING,
    OID,
    SEQUENCE,
    UTC_TIME,
    DerError,
    DerReader,
    DerTime,
    element,
    encode_bit_string,
    encode_integer,
    encode_named_bits,
    encode_oid,
    encode_time,
    sequence,
    show_oid,
)


def read_whole(octets: str, read: Callable[[DerReader], object]) -> None:
    reader = DerReader(bytes.fromhex(octets))
    read(reader)
    reader.finish()


@given(st.integers(min_value=-(2**200), max_value=2**200))
def test_integers_come_back(number: int) -> None:
    assert DerReader(encode_integer(number)).integer() == number


@pytest.mark.parametrize(
    ("number", "octets"),
    [(0, "020100"), (127, "02017f"), (128, "02020080"), (-1, "0201ff"), (-128, "020180"), (256, "02020100")],
)
def test_integers_have_their_shortest_form(number: int, octets: str) -> None:
    assert encode_integer(number).hex() == octets


@pytest.mark.parametrize("octets", ["0200", "02020001", "0202ff80", "020200ff02", "0203000080", "0303020080"])
def test_integers_in_another_form_are_refused(octets: str) -> None:
    with pytest.raises(DerError):
        read_whole(octets, DerReader.integer)


@given(st.binary(max_size=300), st.integers(0, 30))
def test_elements_come_back(content: bytes, tag: int) -> None:
    octets = element(tag, content)
    found = DerReader(octets).any()
    assert (found.tag, found.content, found.octets) == (tag, content, octets)


@pytest.mark.parametrize(
    "octets",
    [
        "",  # nothing
        "30",  # no length
        "3001",  # content missing
        "3080",  # indefinite length
        "308105" + "00" * 5,  # a length with a shorter form
        "30820080" + "00" * 128,  # a leading zero
        "3084000001000" + "0" * 1,  # four length octets
        "3f0100",  # a tag number beyond 30
        "30ff",  # the reserved length
    ],
)
def test_malformed_lengths_and_tags_are_refused(octets: str) -> None:
    with pytest.raises(DerError):
        DerReader(bytes.fromhex(octets if len(octets) % 2 == 0 else octets + "0")).any()


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(DerError, match="beyond"):
        DerReader(bytes(MAX_DER_OCTETS + 1))


@given(st.binary(max_size=60))
def test_readers_raise_nothing_but_their_error(octets: bytes) -> None:
    for method in ("any", "boolean", "integer", "oid", "bit_string", "named_bits", "time", "nested"):
        reader = DerReader(octets)
        try:
            getattr(reader, method)()
            reader.finish()
        except DerError:
            continue


@given(st.sets(st.integers(0, 20)))
def test_named_bits_come_back(bits: set[int]) -> None:
    assert DerReader(encode_named_bits(*bits)).named_bits() == bits


@pytest.mark.parametrize("octets", ["0300", "03020700" + "", "03020680", "030208ff", "03030000ff00"])
def test_named_bits_with_zeros_at_the_end_are_refused(octets: str) -> None:
    with pytest.raises(DerError):
        read_whole(octets, DerReader.named_bits)


def test_a_key_usage_of_a_signature_is_one_bit() -> None:
    assert encode_named_bits(0).hex() == "03020780"
    assert encode_named_bits(5, 6).hex() == "03020106"
    assert DerReader(bytes.fromhex("030100")).named_bits() == frozenset()


@pytest.mark.parametrize(
    ("dotted", "octets"),
    [
        ("2.23.146.2.1.4", "678112020104"),
        ("1.2.840.10045.4.3.2", "2a8648ce3d040302"),
        ("2.5.29.15", "551d0f"),
        ("2.999", "8837"),
        ("0.9", "09"),
    ],
)
def test_object_identifiers(dotted: str, octets: str) -> None:
    assert encode_oid(dotted).hex() == octets
    assert show_oid(bytes.fromhex(octets)) == dotted
    assert DerReader(element(OID, bytes.fromhex(octets))).oid().hex() == octets


def test_object_identifiers_that_are_none() -> None:
    for dotted in ("3.1", "1", "0.40"):
        with pytest.raises(LocalProtocolError):
            encode_oid(dotted)
    for octets in ("0600", "060180"):
        with pytest.raises(DerError):
            DerReader(bytes.fromhex(octets)).oid()
    assert show_oid(b"") == ""
    assert show_oid(b"\xff" * 40) == "ff" * 32


@given(st.datetimes(min_value=dt.datetime(1950, 1, 1), max_value=dt.datetime(9999, 12, 31)))  # noqa: DTZ001 - as strategy
def test_times_come_back_in_the_form_of_their_year(at: dt.datetime) -> None:
    at_s = int(at.replace(tzinfo=dt.UTC, microsecond=0).timestamp())
    octets = encode_time(at_s)
    assert DerReader(octets).time() == DerTime(at_s, at.year > 2049)
    assert octets[0] == (GENERALIZED_TIME if at.year > 2049 else UTC_TIME)
    assert DerReader(octets).time().is_in_its_form()


@pytest.mark.parametrize(
    "text", ["260301000000", "2603010000Z", "260301000000+0000", "261301000000Z", "260230000000Z", "26030100000xZ", ""]
)
def test_times_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(DerError):
        DerReader(element(UTC_TIME, text.encode())).time()


def test_times_are_of_this_century_until_49() -> None:
    assert DerReader(element(UTC_TIME, b"500101000000Z")).time().at_s < 0
    assert DerReader(element(UTC_TIME, b"491231235959Z")).time().at_s == 2_524_607_999


def test_booleans_are_00_or_ff() -> None:
    assert DerReader(element(BOOLEAN, b"\xff")).boolean() is True
    assert DerReader(element(BOOLEAN, b"\x00")).boolean() is False
    with pytest.raises(DerError):
        DerReader(element(BOOLEAN, b"\x01")).boolean()


def test_bit_strings_are_whole_octets() -> None:
    assert DerReader(encode_bit_string(b"ab")).bit_string() == b"ab"
    for content in (b"", b"\x01\x02"):
        with pytest.raises(DerError):
            DerReader(element(BIT_STRING, content)).bit_string()


def test_elements_are_read_in_their_order() -> None:
    reader = DerReader(sequence(encode_integer(1), element(OCTET_STRING, b"x"))).nested(SEQUENCE)
    assert reader.optional(OCTET_STRING) is None
    assert reader.next_tag() == INTEGER
    assert reader.integer() == 1
    with pytest.raises(DerError, match="left over"):
        reader.finish()
    assert reader.content(OCTET_STRING) == b"x"
    reader.finish()
    assert reader.next_tag() is None
    with pytest.raises(DerError, match="the end"):
        reader.element(INTEGER)
