"""The body of a sealed message: its octets field by field, and nothing but ProtobufError for others."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.legacy.body import AgreementHeader, LegacyBody, RatchetHeader
from rcs_sim.wire.protobuf import ProtobufError, encode_message_field, encode_octets_field, encode_uint_field

_KEY = st.binary(min_size=32, max_size=32)
_U32 = st.integers(0, 2**32 - 1)
_AGREEMENTS = st.builds(AgreementHeader, _KEY, _KEY, _KEY, st.just(b"") | _KEY)
_BODIES = st.builds(
    LegacyBody,
    st.builds(RatchetHeader, _KEY, _U32, _U32),
    st.binary(min_size=48, max_size=200),
    st.none() | _AGREEMENTS,
)
_RATCHET = RatchetHeader(b"r" * 32, 3, 300)
_AGREEMENT = AgreementHeader(b"i" * 32, b"e" * 32, b"s" * 32, b"o" * 32)
_BODY = LegacyBody(_RATCHET, b"c" * 48, _AGREEMENT)


def _fields(*, version: int = 1, agreement: bytes | None, ratchet: bytes | None, ciphertext: bytes) -> bytes:
    headers = encode_message_field(2, agreement) + encode_message_field(3, ratchet)
    return encode_uint_field(1, version) + headers + encode_octets_field(4, ciphertext)


@given(_BODIES)
def test_a_body_comes_back(body: LegacyBody) -> None:
    assert LegacyBody.decode(body.encode()) == body


def test_the_fields_have_the_numbers_of_the_definition() -> None:
    ratchet = bytes.fromhex("0a20") + b"r" * 32 + bytes.fromhex("1003") + bytes.fromhex("18ac02")
    keys = b"".join(
        bytes([tag, 32]) + key * 32 for tag, key in zip(b"\x0a\x12\x1a\x22", (b"i", b"e", b"s", b"o"), strict=True)
    )
    expected = (
        b"\x08\x01" + b"\x12\x88\x01" + keys + b"\x1a" + bytes([len(ratchet)]) + ratchet + b"\x22\x30" + b"c" * 48
    )
    assert _BODY.encode() == expected


@given(st.binary(max_size=300))
def test_any_octets_are_a_body_or_refused(octets: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        LegacyBody.decode(octets)


@given(_BODIES, st.data())
def test_any_change_is_another_body_or_refused(body: LegacyBody, data: st.DataObject) -> None:
    octets = bytearray(body.encode())
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ProtobufError):
        LegacyBody.decode(bytes(octets))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        _fields(version=0, agreement=None, ratchet=_RATCHET.encode(), ciphertext=b"c" * 48),
        _fields(version=2, agreement=None, ratchet=_RATCHET.encode(), ciphertext=b"c" * 48),
        _fields(agreement=None, ratchet=None, ciphertext=b"c" * 48),
        _fields(agreement=None, ratchet=_RATCHET.encode(), ciphertext=b"c" * 47),
        _fields(agreement=b"", ratchet=_RATCHET.encode(), ciphertext=b"c" * 48),
        _fields(agreement=_AGREEMENT.encode()[:-1], ratchet=_RATCHET.encode(), ciphertext=b"c" * 48),
        _fields(
            agreement=replace(_AGREEMENT, one_time_key=b"o").encode(), ratchet=_RATCHET.encode(), ciphertext=b"c" * 48
        ),
        _fields(agreement=None, ratchet=replace(_RATCHET, public_key=b"r" * 31).encode(), ciphertext=b"c" * 48),
        _fields(agreement=None, ratchet=replace(_RATCHET, number=2**32).encode(), ciphertext=b"c" * 48),
    ],
    ids=[
        "empty",
        "no version",
        "version 2",
        "no ratchet header",
        "short ciphertext",
        "no keys",
        "short field",
        "short one-time key",
        "short ratchet key",
        "number beyond 32 bits",
    ],
)
def test_what_is_no_body_is_refused(octets: bytes) -> None:
    with pytest.raises(ProtobufError):
        LegacyBody.decode(octets)


@pytest.mark.parametrize(
    "ratchet",
    [
        _RATCHET.encode() + encode_uint_field(9, 1),
        encode_uint_field(3, 300) + encode_octets_field(1, b"r" * 32) + encode_uint_field(2, 3),
        _RATCHET.encode() + encode_uint_field(3, 300),
        _RATCHET.encode()[:-2] + b"\xac\x82\x00",
    ],
    ids=["unknown field", "other order", "field twice", "longer varint"],
)
def test_a_ratchet_header_in_another_form_is_refused_for_it_is_authenticated(ratchet: bytes) -> None:
    with pytest.raises(ProtobufError):
        LegacyBody.decode(_fields(agreement=None, ratchet=ratchet, ciphertext=b"c" * 48))


def test_unknown_fields_of_the_body_are_skipped() -> None:
    assert LegacyBody.decode(_BODY.encode() + encode_uint_field(9, 1)) == _BODY
