"""LeafNode: a member's keys, credential and capabilities (RFC 9420 §7.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.codec import (
    Reader,
    TlsStruct,
    encode_opaque,
    encode_u8,
    encode_u16_vector,
    encode_u32,
    encode_u64,
)
from rcs_sim.mls.credential import Credential, read_credential
from rcs_sim.mls.extensions import Extensions, encode_extensions, read_extensions
from rcs_sim.mls.identifiers import (
    CipherSuiteId,
    CredentialType,
    ExtensionType,
    LeafIndex,
    LeafNodeSource,
    ProposalType,
    ProtocolVersion,
)

__all__ = ["Capabilities", "LeafNode", "Lifetime"]

_SPEC = "RFC 9420 §7.2"
_INTERNED = 256  # capabilities: the members of a group have few different ones, so equal ones share a value
_INTERNED_OCTETS = 1024  # longer ones are not kept: nobody fills the memory with lists


@dataclass(frozen=True, slots=True)
class Capabilities(TlsStruct):
    """What a member supports, GREASE values among it (RFC 9420 §7.2, §13.5)."""

    versions: tuple[ProtocolVersion, ...]
    cipher_suites: tuple[CipherSuiteId, ...]
    extensions: tuple[ExtensionType, ...]
    proposals: tuple[ProposalType, ...]
    credentials: tuple[CredentialType, ...]

    @classmethod
    def read(cls, reader: Reader) -> Capabilities:
        lists = (reader.opaque(), reader.opaque(), reader.opaque(), reader.opaque(), reader.opaque())
        for octets in lists:
            if len(octets) % 2:
                reader.fail(f"a vector of uint16 has the odd length {len(octets)}")
        shared = sum(map(len, lists)) <= _INTERNED_OCTETS
        return _interned(*lists) if shared else _capabilities(*lists)

    def encode(self) -> bytes:
        lists = (self.versions, self.cipher_suites, self.extensions, self.proposals, self.credentials)
        return b"".join(map(encode_u16_vector, lists))


def _numbers(octets: bytes) -> list[int]:
    return [octets[at] << 8 | octets[at + 1] for at in range(0, len(octets), 2)]


def _capabilities(
    versions: bytes, suites: bytes, extensions: bytes, proposals: bytes, credentials: bytes
) -> Capabilities:
    return Capabilities(
        tuple(map(ProtocolVersion, _numbers(versions))),
        tuple(map(CipherSuiteId, _numbers(suites))),
        tuple(map(ExtensionType, _numbers(extensions))),
        tuple(map(ProposalType, _numbers(proposals))),
        tuple(map(CredentialType, _numbers(credentials))),
    )


_interned = lru_cache(maxsize=_INTERNED)(_capabilities)


@dataclass(frozen=True, slots=True)
class Lifetime(TlsStruct):
    """Seconds since 1970-01-01T00:00Z, both ends included (RFC 9420 §7.2)."""

    not_before: int
    not_after: int

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.u64(), reader.u64())

    def encode(self) -> bytes:
        return encode_u64(self.not_before) + encode_u64(self.not_after)


@dataclass(frozen=True, slots=True)
class LeafNode(TlsStruct):
    """``LeafNode`` (RFC 9420 §7.2). *lifetime* is there in one from a KeyPackage, *parent_hash* in one from a Commit;
    encoding raises LocalProtocolError otherwise."""

    encryption_key: bytes
    signature_key: bytes
    credential: Credential
    capabilities: Capabilities
    leaf_node_source: LeafNodeSource
    lifetime: Lifetime | None
    parent_hash: bytes | None
    extensions: Extensions
    signature: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        encryption_key, signature_key = reader.opaque(), reader.opaque()
        credential, capabilities = read_credential(reader), Capabilities.read(reader)
        source = reader.u8()
        lifetime, parent_hash = None, None
        if source == LeafNodeSource.KEY_PACKAGE:
            lifetime = Lifetime.read(reader)
        elif source == LeafNodeSource.COMMIT:
            parent_hash = reader.opaque()
        elif source != LeafNodeSource.UPDATE:
            reader.fail(f"a leaf node has the source {source}", _SPEC)
        body = (LeafNodeSource(source), lifetime, parent_hash, read_extensions(reader), reader.opaque())
        return cls(encryption_key, signature_key, credential, capabilities, *body)

    def encode(self) -> bytes:
        return self._unsigned() + encode_opaque(self.signature)

    def to_be_signed(self, group_id: bytes | None = None, leaf_index: LeafIndex | None = None) -> bytes:
        """``LeafNodeTBS``. One from a KeyPackage is not bound to a place; the others need both arguments."""
        if self.leaf_node_source == LeafNodeSource.KEY_PACKAGE:
            return self._unsigned()
        if group_id is None or leaf_index is None:
            raise LocalProtocolError("this leaf node is signed for its group and place", spec=_SPEC)
        return self._unsigned() + encode_opaque(group_id) + encode_u32(leaf_index)

    def _unsigned(self) -> bytes:
        parts = (
            encode_opaque(self.encryption_key),
            encode_opaque(self.signature_key),
            self.credential.encode(),
            self.capabilities.encode(),
            encode_u8(self.leaf_node_source),
            self._by_source(),
            encode_extensions(self.extensions),
        )
        return b"".join(parts)

    def _by_source(self) -> bytes:
        match self.leaf_node_source, self.lifetime, self.parent_hash:
            case LeafNodeSource.KEY_PACKAGE, Lifetime() as lifetime, None:
                return lifetime.encode()
            case LeafNodeSource.UPDATE, None, None:
                return b""
            case LeafNodeSource.COMMIT, None, bytes() as parent_hash:
                return encode_opaque(parent_hash)
        raise LocalProtocolError("lifetime or parent hash do not fit the source of a leaf node", spec=_SPEC)
