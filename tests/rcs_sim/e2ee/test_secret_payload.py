"""SecretPayload."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.secret_payload import PayloadType, SecretPayload
from rcs_sim.mls.codec import TlsDecodeError


@given(st.integers(0, 2**32 - 1), st.binary(max_size=80), st.integers(0, 0xFFFF))
def test_it_survives_a_round_trip(generation: int, content: bytes, payload_type: int) -> None:
    payload = SecretPayload(generation, content, payload_type)
    assert SecretPayload.decode(payload.encode()) == payload


@given(st.binary(max_size=80))
def test_any_octets_decode_to_themselves_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(TlsDecodeError):
        assert SecretPayload.decode(octets).encode() == octets


def test_another_version_and_trailing_octets_are_refused() -> None:
    octets = SecretPayload(1, b"x").encode()
    for wrong in (b"\0\2" + octets[2:], octets + b"\0", octets[:-1]):
        with pytest.raises(TlsDecodeError):
            SecretPayload.decode(wrong)


def test_another_type_is_read_for_the_receiver_to_drop() -> None:
    assert SecretPayload.decode(SecretPayload(0, b"", 4).encode()).payload_type == PayloadType.GROUP_METADATA_KEYS
