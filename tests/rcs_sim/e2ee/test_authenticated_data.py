"""AuthenticatedData, and what it binds a message to."""

from __future__ import annotations

import contextlib
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.authenticated_data import AuthenticatedData, ResentProof, is_bound_to
from rcs_sim.mls.codec import TlsDecodeError


@given(st.text(max_size=40), st.integers(0, 2**32 - 1))
def test_it_survives_a_round_trip(message_id: str, era: int) -> None:
    octets = AuthenticatedData(message_id, era).encode()
    assert AuthenticatedData.decode(octets) == AuthenticatedData(message_id, era)
    assert is_bound_to(octets, message_id)


@given(st.binary(max_size=80))
def test_any_octets_decode_to_themselves_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(TlsDecodeError):
        assert AuthenticatedData.decode(octets).encode() == octets


@pytest.mark.parametrize("octets", [b"", b"\0", b"\0\1\1m\0\0\0", b"\0\1\1m\0\0\0\1", b"\0\2\1m\0\0\0\1\0"])
def test_what_cannot_be_read_is_bound_to_nothing(octets: bytes) -> None:
    with pytest.raises(TlsDecodeError):
        AuthenticatedData.decode(octets)
    assert is_bound_to(octets, "m")


def test_an_empty_envelope_id_is_compared_as_empty() -> None:
    assert not is_bound_to(AuthenticatedData("m", 1).encode(), "")
    assert is_bound_to(AuthenticatedData("", 1).encode(), "")


def test_octets_that_are_no_text_are_bound_to_no_other_id() -> None:
    octets = b"\x00\x01\x01\xff\x00\x00\x00\x01\x00"
    assert not is_bound_to(octets, "\N{REPLACEMENT CHARACTER}")


def test_the_last_field_of_a_resent_component_names_one_message() -> None:
    """Digest §4.5: key(32) || tag(32), HMAC-SHA256 over the id; whatever stands before it."""
    key = bytes(range(32))
    field = b"\x40\x40" + key + hmac.new(key, b"MxAAAAAAAAAAAAAAAAAAAAAAAA", hashlib.sha256).digest()
    for before in (b"", b"\x00\x00\x00\x01\x00\x00", b"\x05frame"):
        proof = ResentProof.of(b"\x02" + before + field)
        assert proof is not None
        assert proof.names("MxAAAAAAAAAAAAAAAAAAAAAAAA")
        assert not proof.names("MxAAAAAAAAAAAAAAAAAAAAAAAB")
        assert not proof.names("")
        assert "\\x" not in repr(proof)
    assert ResentProof.of(b"\x00") is None
    assert ResentProof.of(b"\x01" + field) is None
    assert ResentProof.of(b"\x02" + field[1:]) is None
    assert ResentProof.of(b"\x02" + field + b"\x00") is None


def test_a_resent_component_is_kept() -> None:
    octets = AuthenticatedData("m", 1, b"\x02abc").encode()
    assert AuthenticatedData.decode(octets).resent == b"\x02abc"
