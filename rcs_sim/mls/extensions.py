"""Extensions and the bodies that RFC 9420 defines (§5.3.3, §11.1, §12.1.8.1, §13.4, RFC 9420 §16.8).

The body of ratchet_tree is in group_info.py. An application's extensions stay octets here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeAlias

from rcs_sim.mls.codec import (
    Reader,
    TlsStruct,
    encode_opaque,
    encode_u16,
    encode_u16_vector,
    encode_vector,
)
from rcs_sim.mls.credential import Credential, read_credential
from rcs_sim.mls.identifiers import CredentialType, ExtensionType, ProposalType

__all__ = [
    "ApplicationId",
    "Extension",
    "Extensions",
    "ExternalPub",
    "ExternalSender",
    "ExternalSenders",
    "RequiredCapabilities",
    "encode_extensions",
    "find_extension",
    "read_extensions",
    "repeated_types",
]


@dataclass(frozen=True, slots=True)
class Extension(TlsStruct):
    """``ExtensionType extension_type; opaque extension_data<V>`` (RFC 9420 §7.2)."""

    extension_type: ExtensionType
    extension_data: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(ExtensionType(reader.u16()), reader.opaque())

    def encode(self) -> bytes:
        return encode_u16(self.extension_type) + encode_opaque(self.extension_data)


Extensions: TypeAlias = tuple[Extension, ...]
"""``Extension extensions<V>``, in the order received."""


def read_extensions(reader: Reader) -> Extensions:
    """``Extension extensions<V>``. Raises TlsDecodeError. That types may not repeat is for validation to say."""
    return reader.vector(Extension.read)


def encode_extensions(extensions: Extensions) -> bytes:
    """``Extension extensions<V>``."""
    return encode_vector([extension.encode() for extension in extensions])


def find_extension(extensions: Extensions, extension_type: int) -> bytes | None:
    """extension_data of the first extension of a type, None without one."""
    for extension in extensions:
        if extension.extension_type == extension_type:
            return extension.extension_data
    return None


def repeated_types(extensions: Iterable[Extension]) -> list[ExtensionType]:
    """Types that stand more than once in a list: RFC 9420 §13.4 allows one of each."""
    counts = Counter(extension.extension_type for extension in extensions)
    return [extension_type for extension_type, count in counts.items() if count > 1]


@dataclass(frozen=True, slots=True)
class ApplicationId(TlsStruct):
    """``opaque application_id<V>`` (RFC 9420 §5.3.3), in a LeafNode."""

    application_id: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.opaque())

    def encode(self) -> bytes:
        return encode_opaque(self.application_id)

    def as_extension(self) -> Extension:
        return Extension(ExtensionType.APPLICATION_ID, self.encode())


@dataclass(frozen=True, slots=True)
class RequiredCapabilities(TlsStruct):
    """What every member of a group has to support (RFC 9420 §11.1), in the GroupContext."""

    extension_types: tuple[ExtensionType, ...] = ()
    proposal_types: tuple[ProposalType, ...] = ()
    credential_types: tuple[CredentialType, ...] = ()

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(
            tuple(map(ExtensionType, reader.u16_vector())),
            tuple(map(ProposalType, reader.u16_vector())),
            tuple(map(CredentialType, reader.u16_vector())),
        )

    def encode(self) -> bytes:
        types = (self.extension_types, self.proposal_types, self.credential_types)
        return b"".join(map(encode_u16_vector, types))

    def as_extension(self) -> Extension:
        return Extension(ExtensionType.REQUIRED_CAPABILITIES, self.encode())


@dataclass(frozen=True, slots=True)
class ExternalPub(TlsStruct):
    """``HPKEPublicKey external_pub`` (RFC 9420 §12.4.3.2), in a GroupInfo."""

    external_pub: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.opaque())

    def encode(self) -> bytes:
        return encode_opaque(self.external_pub)

    def as_extension(self) -> Extension:
        return Extension(ExtensionType.EXTERNAL_PUB, self.encode())


@dataclass(frozen=True, slots=True)
class ExternalSender(TlsStruct):
    """Who may send proposals from outside of the group (RFC 9420 §12.1.8.1)."""

    signature_key: bytes
    credential: Credential

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.opaque(), read_credential(reader))

    def encode(self) -> bytes:
        return encode_opaque(self.signature_key) + self.credential.encode()


@dataclass(frozen=True, slots=True)
class ExternalSenders(TlsStruct):
    """``ExternalSender external_senders<V>`` (RFC 9420 §12.1.8.1), in the GroupContext."""

    external_senders: tuple[ExternalSender, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.vector(ExternalSender.read))

    def encode(self) -> bytes:
        return encode_vector([sender.encode() for sender in self.external_senders])

    def as_extension(self) -> Extension:
        return Extension(ExtensionType.EXTERNAL_SENDERS, self.encode())
