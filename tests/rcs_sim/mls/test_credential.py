"""Credentials (RFC 9420 §5.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.mls.codec import TlsDecodeError, encode_opaque
from rcs_sim.mls.credential import (
    BasicCredential,
    Credential,
    UnknownCredential,
    X509Credential,
    credential_pieces,
    decode_credential,
    forget_shared_certificates,
    shared_certificate,
)
from rcs_sim.mls.identifiers import CredentialType


def test_a_basic_credential_is_an_identity() -> None:
    credential = decode_credential(b"\x00\x01\x05alice")
    assert credential == BasicCredential(b"alice")
    assert credential.credential_type is CredentialType.BASIC


def test_an_x509_credential_is_a_chain_with_its_own_certificate_first() -> None:
    credential = decode_credential(b"\x00\x02\x07\x03own\x02ca")
    assert credential == X509Credential((b"own", b"ca"))
    assert credential.credential_type is CredentialType.X509


def test_a_credential_of_another_type_is_kept() -> None:
    octets = b"\x0a\x0a\x02ab"
    credential = decode_credential(octets)
    assert credential == UnknownCredential(CredentialType(0x0A0A), b"ab")
    assert credential.encode() == octets


@pytest.mark.parametrize(
    "octets", [b"", b"\x00", b"\x00\x01", b"\x00\x01\x05ali", b"\x00\x02\x03\x03ow", b"\x00\x01\x00x"]
)
def test_what_is_no_credential_is_refused(octets: bytes) -> None:
    with pytest.raises(TlsDecodeError):
        decode_credential(octets)


@given(
    st.one_of(
        st.builds(BasicCredential, st.binary(max_size=80)),
        st.builds(X509Credential, st.lists(st.binary(max_size=80), max_size=3).map(tuple)),
        st.builds(UnknownCredential, st.just(CredentialType(0x0A0A)), st.binary(max_size=80)),
    )
)
def test_the_pieces_of_a_credential_are_its_octets(credential: Credential) -> None:
    assert b"".join(credential_pieces(credential)) == credential.encode()


def test_equal_certificates_are_one_object() -> None:
    octets = b"\x00\x02" + encode_opaque(encode_opaque(b"c" * 1000))
    first, second = decode_credential(octets), decode_credential(bytes(bytearray(octets)))
    assert isinstance(first, X509Credential)
    assert isinstance(second, X509Credential)
    assert first.certificates[0] is second.certificates[0]
    assert any(first.certificates[0] is piece for piece in credential_pieces(second))


def test_certificates_that_are_very_long_are_not_kept() -> None:
    octets = bytes(5000)
    shared_certificate(octets)
    again = bytes(bytearray(5000))
    assert shared_certificate(again) is again


def test_forgotten_certificates_are_read_anew() -> None:
    der = bytes(range(200))
    kept = shared_certificate(der[:100] + der[100:])
    assert shared_certificate(der[:100] + der[100:]) is kept
    forget_shared_certificates()
    assert shared_certificate(der[:100] + der[100:]) is not kept
