"""Credentials (RFC 9420 §5.3)."""

from __future__ import annotations

import pytest

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.credential import BasicCredential, UnknownCredential, X509Credential, decode_credential
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
