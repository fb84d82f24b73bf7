"""Credentials (RFC 9420 §5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_u16, encode_vector
from rcs_sim.mls.identifiers import CredentialType

__all__ = [
    "BasicCredential",
    "Credential",
    "UnknownCredential",
    "X509Credential",
    "decode_credential",
    "read_credential",
]


@dataclass(frozen=True, slots=True)
class BasicCredential(TlsStruct):
    """``opaque identity<V>``."""

    identity: bytes

    @property
    def credential_type(self) -> CredentialType:
        return CredentialType.BASIC

    def encode(self) -> bytes:
        return b"\x00\x01" + encode_opaque(self.identity)


@dataclass(frozen=True, slots=True)
class X509Credential(TlsStruct):
    """``Certificate certificates<V>``: DER octets, the member's own certificate first."""

    certificates: tuple[bytes, ...]

    @property
    def credential_type(self) -> CredentialType:
        return CredentialType.X509

    def encode(self) -> bytes:
        return b"\x00\x02" + encode_vector(map(encode_opaque, self.certificates))


@dataclass(frozen=True, slots=True)
class UnknownCredential(TlsStruct):
    """A credential of another type. RFC 9420 leaves its body open; peers take it as ``opaque body<V>``."""

    credential_type: CredentialType
    body: bytes

    def encode(self) -> bytes:
        return encode_u16(self.credential_type) + encode_opaque(self.body)


Credential: TypeAlias = BasicCredential | X509Credential | UnknownCredential


def read_credential(reader: Reader) -> Credential:
    """``Credential``. Raises TlsDecodeError."""
    credential_type = reader.u16()
    if credential_type == CredentialType.BASIC:
        return BasicCredential(reader.opaque())
    if credential_type == CredentialType.X509:
        return X509Credential(reader.vector(Reader.opaque))
    return UnknownCredential(CredentialType(credential_type), reader.opaque())


def decode_credential(octets: bytes) -> Credential:
    """The credential that is exactly *octets*. Raises TlsDecodeError."""
    reader = Reader(octets)
    credential = read_credential(reader)
    reader.finish()
    return credential
