"""Proposals (RFC 9420 §12.1), and custom ones, whose bodies an application delimits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NewType, Self, TypeAlias

from rcs_sim.mls.codec import (
    NO_CUSTOM_BODIES,
    CustomBodies,
    ReadBody,
    Reader,
    TlsStruct,
    encode_opaque,
    encode_u16,
    encode_u32,
)
from rcs_sim.mls.extensions import Extensions, encode_extensions, read_extensions
from rcs_sim.mls.identifiers import CipherSuiteId, LeafIndex, ProposalOrRefType, ProposalType, ProtocolVersion
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.psk_id import PreSharedKeyID, read_psk_id

__all__ = [
    "Add",
    "CustomProposal",
    "ExternalInit",
    "GroupContextExtensions",
    "PreSharedKey",
    "Proposal",
    "ProposalOrRef",
    "ProposalRef",
    "ReInit",
    "Remove",
    "Update",
    "decode_proposal",
    "empty_body",
    "encode_proposal_or_ref",
    "fixed_body",
    "opaque_body",
    "read_proposal",
    "read_proposal_or_ref",
]

ProposalRef = NewType("ProposalRef", bytes)
"""Hash of the AuthenticatedContent that carried a proposal (RFC 9420 §5.2)."""


@dataclass(frozen=True, slots=True)
class Add(TlsStruct):
    """RFC 9420 §12.1.1."""

    proposal_type: ClassVar[ProposalType] = ProposalType.ADD
    key_package: KeyPackage

    @classmethod
    def read_body(cls, reader: Reader) -> Self:
        return cls(KeyPackage.read(reader))

    def encode(self) -> bytes:
        return b"\x00\x01" + self.key_package.encode()


@dataclass(frozen=True, slots=True)
class Update(TlsStruct):
    """RFC 9420 §12.1.2."""

    proposal_type: ClassVar[ProposalType] = ProposalType.UPDATE
    leaf_node: LeafNode

    @classmethod
    def read_body(cls, reader: Reader) -> Self:
        return cls(LeafNode.read(reader))

    def encode(self) -> bytes:
        return b"\x00\x02" + self.leaf_node.encode()


@dataclass(frozen=True, slots=True)
class Remove(TlsStruct):
    """RFC 9420 §12.1.3."""

    proposal_type: ClassVar[ProposalType] = ProposalType.REMOVE
    removed: LeafIndex

    @classmethod
    def read_body(cls, reader: Reader) -> Self:
        return cls(LeafIndex(reader.u32()))

    def encode(self) -> bytes:
        return b"\x00\x03" + encode_u32(self.removed)


@dataclass(frozen=True, slots=True)
class PreSharedKey(TlsStruct):
    """RFC 9420 §12.1.4."""

    proposal_type: ClassVar[ProposalType] = ProposalType.PSK
    psk: PreSharedKeyID

    @classmethod
    def read_body(cls, reader: Reader) -> Self:
        return cls(read_psk_id(reader))

    def encode(self) -> bytes:
        return b"\x00\x04" + self.psk.encode()


@dataclass(frozen=True, slots=True)
class ReInit(TlsStruct):
    """RFC 9420 §12.1.5."""

    proposal_type: ClassVar[ProposalType] = ProposalType.REINIT
    group_id: bytes
    version: ProtocolVersion
    cipher_suite: CipherSuiteId
    extensions: Extensions

    @classmethod
    def read_body(cls, reader: Reader) -> Self:
        group_id, version = reader.opaque(), ProtocolVersion(reader.u16())
        return cls(group_id, version, CipherSuiteId(reader.u16()), read_extensions(reader))

    def encode(self) -> bytes:
        numbers = encode_u16(self.version) + encode_u16(self.cipher_suite)
        return b"\x00\x05" + encode_opaque(self.group_id) + numbers + encode_extensions(self.extensions)


@dataclass(frozen=True, slots=True)
class ExternalInit(TlsStruct):
    """RFC 9420 §12.1.6."""

    proposal_type: ClassVar[ProposalType] = ProposalType.EXTERNAL_INIT
    kem_output: bytes

    @classmethod
    def read_body(cls, reader: Reader) -> Self:
        return cls(reader.opaque())

    def encode(self) -> bytes:
        return b"\x00\x06" + encode_opaque(self.kem_output)


@dataclass(frozen=True, slots=True)
class GroupContextExtensions(TlsStruct):
    """RFC 9420 §12.1.7."""

    proposal_type: ClassVar[ProposalType] = ProposalType.GROUP_CONTEXT_EXTENSIONS
    extensions: Extensions

    @classmethod
    def read_body(cls, reader: Reader) -> Self:
        return cls(read_extensions(reader))

    def encode(self) -> bytes:
        return b"\x00\x07" + encode_extensions(self.extensions)


@dataclass(frozen=True, slots=True)
class CustomProposal(TlsStruct):
    """A proposal of another type. *body* is all that follows the type on the wire, a length header among it."""

    proposal_type: ProposalType
    body: bytes

    @classmethod
    def of_opaque(cls, proposal_type: ProposalType, content: bytes) -> Self:
        """One whose body is ``opaque content<V>``, which is what peers take an unknown one for."""
        return cls(proposal_type, encode_opaque(content))

    def encode(self) -> bytes:
        return encode_u16(self.proposal_type) + self.body


Proposal: TypeAlias = (
    Add | Update | Remove | PreSharedKey | ReInit | ExternalInit | GroupContextExtensions | CustomProposal
)
ProposalOrRef: TypeAlias = Proposal | ProposalRef

_BODIES: Mapping[int, Callable[[Reader], Proposal]] = {
    1: Add.read_body,
    2: Update.read_body,
    3: Remove.read_body,
    4: PreSharedKey.read_body,
    5: ReInit.read_body,
    6: ExternalInit.read_body,
    7: GroupContextExtensions.read_body,
}


def opaque_body(reader: Reader) -> bytes:
    """A custom body that is ``opaque content<V>``."""
    start = reader.at
    reader.opaque()
    return reader.since(start)


def empty_body(_: Reader) -> bytes:
    """A custom body without octets, as that of SelfRemove."""
    return b""


def fixed_body(length: int) -> ReadBody:
    """A custom body of *length* octets without a length header."""

    def read(reader: Reader) -> bytes:
        return reader.take(length)

    return read


def read_proposal(reader: Reader) -> Proposal:
    """``Proposal``. Raises TlsDecodeError."""
    proposal_type = reader.u16()
    read_body = _BODIES.get(proposal_type)
    if read_body is not None:
        return read_body(reader)
    body = reader.custom_bodies.get(proposal_type, opaque_body)(reader)
    return CustomProposal(ProposalType(proposal_type), body)


def decode_proposal(octets: bytes, custom_bodies: CustomBodies = NO_CUSTOM_BODIES) -> Proposal:
    """The proposal that is exactly *octets*. Raises TlsDecodeError."""
    reader = Reader(octets, custom_bodies)
    proposal = read_proposal(reader)
    reader.finish()
    return proposal


def read_proposal_or_ref(reader: Reader) -> ProposalOrRef:
    """``ProposalOrRef`` (RFC 9420 §12.4). Raises TlsDecodeError."""
    kind = reader.u8()
    if kind == ProposalOrRefType.PROPOSAL:
        return read_proposal(reader)
    if kind != ProposalOrRefType.REFERENCE:
        reader.fail(f"a proposal in a commit has the form {kind}", "RFC 9420 §12.4")
    return ProposalRef(reader.opaque())


def encode_proposal_or_ref(proposal: ProposalOrRef) -> bytes:
    """``ProposalOrRef`` (RFC 9420 §12.4)."""
    return b"\x02" + encode_opaque(proposal) if isinstance(proposal, bytes) else b"\x01" + proposal.encode()
