"""AuthenticatedData: what authenticated_data of every MLS message binds it to (RCC.16 §7.5.3, §7.5.3.1)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Self

from rcs_sim.mls.codec import Reader, TlsDecodeError, TlsStruct, encode_opaque, encode_u32

__all__ = ["ABSENT_RESENT", "AuthenticatedData", "ResentProof", "is_bound_to"]

ABSENT_RESENT = b"\x00"
_PRESENT = b"\x02"  # (inferred)
_HALF_OCTETS = 32
_LAST_FIELD = b"\x40\x40"  # opaque<V> of 64 octets
_VERSION = b"\x00\x01"
_SPEC = "RCC.16 §7.5.3"


@dataclass(frozen=True, slots=True)
class ResentProof:
    """Fourth field of the resent component (RCC.16 §10.3, digest §4.5): ``key(32) || tag(32)``, the tag being
    HMAC-SHA256 over the id of the message that is sent again. The key is there in clear: it hides the id, and proves
    nothing but by what it stands in, which is signed."""

    key: bytes = field(repr=False)
    tag: bytes = field(repr=False)

    @classmethod
    def of(cls, resent: bytes) -> Self | None:
        """What the component says. None where it is absent, or is nothing that is known: of its four fields only the
        last one is understood, and not how they are framed."""
        body, length = resent[len(_PRESENT) :], 2 * _HALF_OCTETS
        if not resent.startswith(_PRESENT) or body[-length - len(_LAST_FIELD) : -length] != _LAST_FIELD:
            return None
        return cls(body[-length:-_HALF_OCTETS], body[-_HALF_OCTETS:])

    def names(self, message_id: str) -> bool:
        """Whether the message with this id is meant."""
        octets = message_id.encode("utf-8", "surrogateescape")
        return hmac.compare_digest(hmac.digest(self.key, octets, "sha256"), self.tag)


@dataclass(frozen=True, slots=True)
class AuthenticatedData(TlsStruct):
    """``uint16 version = 1; opaque message_id<V>; uint32 era``, then the resent component.

    The text of RCC.16 has no era; deployed peers have it, and take its absence for a mismatch of key generations
    (observed). *era* is that of the group, not the epoch. *message_id* keeps octets that are not UTF-8 as surrogates.
    *resent* is never emitted with anything in it; what a peer sends is kept as it is."""

    message_id: str
    era: int
    resent: bytes = ABSENT_RESENT

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Takes everything that is left. Raises TlsDecodeError."""
        version = reader.u16()
        if version != 1:
            reader.fail(f"authenticated data of version {version}", _SPEC)
        message_id, era = reader.opaque(), reader.u32()
        resent = reader.rest()
        if not resent:
            reader.fail("authenticated data without a resent component", _SPEC)
        return cls(message_id.decode("utf-8", "surrogateescape"), era, resent)

    def encode(self) -> bytes:
        """The layout of v3.0 as deployed, under v4.0 too."""
        identifier = encode_opaque(self.message_id.encode("utf-8", "surrogateescape"))
        return _VERSION + identifier + encode_u32(self.era) + self.resent


def is_bound_to(authenticated_data: bytes, envelope_id: str) -> bool:
    """Whether a message may have come in an envelope with this imdn.Message-ID (RCC.16 §7.5.3.1): the octets of both
    ids are equal. Authenticated data that is absent or cannot be read is bound to nothing, and passes (observed)."""
    try:
        return AuthenticatedData.decode(authenticated_data).message_id == envelope_id
    except TlsDecodeError:
        return True
