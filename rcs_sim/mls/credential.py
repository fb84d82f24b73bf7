"""Credentials (RFC 9420 §5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_u16, encode_varint, encode_vector
from rcs_sim.mls.identifiers import CredentialType

__all__ = [
    "BasicCredential",
    "Credential",
    "UnknownCredential",
    "X509Credential",
    "credential_pieces",
    "decode_credential",
    "forget_shared_certificates",
    "read_credential",
    "shared_certificate",
]

_INTERNED = 4096  # certificates: the groups of a process have the same members, so equal octets are one object
_INTERNED_OCTETS = 4096  # longer ones are not kept: nobody fills the memory with certificates


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
        return X509Credential(reader.vector(_read_certificate))
    return UnknownCredential(CredentialType(credential_type), reader.opaque())


def decode_credential(octets: bytes) -> Credential:
    """The credential that is exactly *octets*. Raises TlsDecodeError."""
    reader = Reader(octets)
    credential = read_credential(reader)
    reader.finish()
    return credential


def credential_pieces(credential: Credential) -> tuple[bytes, ...]:
    """The octets of *credential* in order, each certificate by itself: who keeps many may keep each of those once."""
    if not isinstance(credential, X509Credential):
        return (credential.encode(),)
    pieces = [
        piece for each in credential.certificates for piece in (encode_varint(len(each)), shared_certificate(each))
    ]
    return (b"\x00\x02" + encode_varint(sum(map(len, pieces))), *pieces)


def shared_certificate(der: bytes) -> bytes:
    """*der*, or equal octets that were read before: the members of one process have few different certificates."""
    return _interned(der) if len(der) <= _INTERNED_OCTETS else der


def forget_shared_certificates() -> None:
    """What is read from here on has octets of its own, as in a process that has read nothing yet."""
    _interned.cache_clear()


def _read_certificate(reader: Reader) -> bytes:
    return shared_certificate(reader.opaque())


_interned = lru_cache(maxsize=_INTERNED)(bytes)
