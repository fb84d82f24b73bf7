"""Commit and its UpdatePath (RFC 9420 §7.6, §12.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, overload

from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_optional, encode_vector
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.proposals import ProposalOrRef, encode_proposal_or_ref, read_proposal_or_ref

__all__ = ["Commit", "HPKECiphertext", "UpdatePath", "UpdatePathNode"]


@dataclass(frozen=True, slots=True)
class HPKECiphertext(TlsStruct):
    """``HPKECiphertext`` (RFC 9420 §7.6)."""

    kem_output: bytes
    ciphertext: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.opaque(), reader.opaque())

    def encode(self) -> bytes:
        return encode_opaque(self.kem_output) + encode_opaque(self.ciphertext)


class _UniformCiphertexts(Sequence[HPKECiphertext]):
    """Ciphertexts all of one form, each made when it is asked for: of the many in a path, a member opens one."""

    __slots__ = ("_kem_output", "_octets", "_sealed", "_size")

    def __init__(self, octets: bytes, size: int, kem_output: tuple[int, int], sealed: tuple[int, int]) -> None:
        self._octets = octets
        self._size = size
        self._kem_output = kem_output
        self._sealed = sealed

    def __len__(self) -> int:
        return len(self._octets) // self._size

    @overload
    def __getitem__(self, index: int) -> HPKECiphertext: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[HPKECiphertext, ...]: ...

    def __getitem__(self, index: int | slice) -> HPKECiphertext | tuple[HPKECiphertext, ...]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        at = range(len(self))[index] * self._size
        (kem_start, kem_stop), (start, stop) = self._kem_output, self._sealed
        return HPKECiphertext(self._octets[at + kem_start : at + kem_stop], self._octets[at + start : at + stop])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def _read_ciphertexts(reader: Reader) -> Sequence[HPKECiphertext]:
    """``HPKECiphertext encrypted_path_secret<V>``."""
    octets = reader.opaque()
    if not octets:
        return ()
    inner = Reader(octets)
    first = HPKECiphertext.read(inner)
    found = _uniform(octets, first, inner.at)
    if found is not None:
        return found
    items = [first]
    while inner.at < len(octets):
        items.append(HPKECiphertext.read(inner))
    return tuple(items)


def _uniform(octets: bytes, first: HPKECiphertext, size: int) -> _UniformCiphertexts | None:
    """The ciphertexts in *octets* if all have the length headers of the *first*, which has *size* octets."""
    count, rest = divmod(len(octets), size)
    start = size - len(first.ciphertext)
    kem_start = len(encode_opaque(first.kem_output)) - len(first.kem_output)
    kem_stop = kem_start + len(first.kem_output)
    headers = (*range(kem_start), *range(kem_stop, start))
    if rest or any(octets[place::size] != octets[place : place + 1] * count for place in headers):
        return None
    return _UniformCiphertexts(octets, size, (kem_start, kem_stop), (start, size))


@dataclass(frozen=True, slots=True)
class UpdatePathNode(TlsStruct):
    """``UpdatePathNode`` (RFC 9420 §7.6)."""

    encryption_key: bytes
    encrypted_path_secret: Sequence[HPKECiphertext]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.opaque(), _read_ciphertexts(reader))

    def encode(self) -> bytes:
        secrets = encode_vector([secret.encode() for secret in self.encrypted_path_secret])
        return encode_opaque(self.encryption_key) + secrets


@dataclass(frozen=True, slots=True)
class UpdatePath(TlsStruct):
    """``UpdatePath`` (RFC 9420 §7.6). *nodes* go from the leaf towards the root."""

    leaf_node: LeafNode
    nodes: tuple[UpdatePathNode, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(LeafNode.read(reader), reader.vector(UpdatePathNode.read))

    def encode(self) -> bytes:
        return self.leaf_node.encode() + encode_vector([node.encode() for node in self.nodes])


@dataclass(frozen=True, slots=True)
class Commit(TlsStruct):
    """``Commit`` (RFC 9420 §12.4)."""

    proposals: tuple[ProposalOrRef, ...]
    path: UpdatePath | None

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.vector(read_proposal_or_ref), reader.optional(UpdatePath.read))

    def encode(self) -> bytes:
        path = None if self.path is None else self.path.encode()
        return encode_vector(map(encode_proposal_or_ref, self.proposals)) + encode_optional(path)
