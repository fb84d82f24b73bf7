"""PreSharedKeyID: the name of a pre-shared key (RFC 9420 §8.4). It holds no secret."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_u8, encode_u64
from rcs_sim.mls.identifiers import Epoch, PskType, ResumptionPskUsage

__all__ = ["ExternalPskID", "PreSharedKeyID", "ResumptionPskID", "decode_psk_id", "read_psk_id", "with_nonce"]

_SPEC = "RFC 9420 §8.4"


@dataclass(frozen=True, slots=True)
class ExternalPskID(TlsStruct):
    """A key that the application gives (psktype external)."""

    psk_id: bytes
    psk_nonce: bytes

    @property
    def psktype(self) -> PskType:
        return PskType.EXTERNAL

    def encode(self) -> bytes:
        return b"\x01" + encode_opaque(self.psk_id) + encode_opaque(self.psk_nonce)


@dataclass(frozen=True, slots=True)
class ResumptionPskID(TlsStruct):
    """The resumption_psk of an epoch (psktype resumption)."""

    usage: ResumptionPskUsage
    psk_group_id: bytes
    psk_epoch: Epoch
    psk_nonce: bytes

    @property
    def psktype(self) -> PskType:
        return PskType.RESUMPTION

    def encode(self) -> bytes:
        place = encode_opaque(self.psk_group_id) + encode_u64(self.psk_epoch)
        return b"\x02" + encode_u8(self.usage) + place + encode_opaque(self.psk_nonce)


PreSharedKeyID: TypeAlias = ExternalPskID | ResumptionPskID


def read_psk_id(reader: Reader) -> PreSharedKeyID:
    """``PreSharedKeyID``. Raises TlsDecodeError."""
    psktype = reader.u8()
    if psktype == PskType.EXTERNAL:
        return ExternalPskID(reader.opaque(), reader.opaque())
    if psktype != PskType.RESUMPTION:
        reader.fail(f"a pre-shared key has the type {psktype}", _SPEC)
    usage = reader.u8()
    if usage not in (1, 2, 3):
        reader.fail(f"a resumption PSK has the usage {usage}", _SPEC)
    return ResumptionPskID(ResumptionPskUsage(usage), reader.opaque(), Epoch(reader.u64()), reader.opaque())


def decode_psk_id(octets: bytes) -> PreSharedKeyID:
    """The PreSharedKeyID that is exactly *octets*. Raises TlsDecodeError."""
    reader = Reader(octets)
    psk_id = read_psk_id(reader)
    reader.finish()
    return psk_id


def with_nonce(psk_id: PreSharedKeyID, psk_nonce: bytes) -> PreSharedKeyID:
    """The same key under another nonce: each use has a fresh one (RFC 9420 §8.4)."""
    return replace(psk_id, psk_nonce=psk_nonce)
