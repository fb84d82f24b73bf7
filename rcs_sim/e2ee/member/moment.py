"""A moment of a conversation: era and epoch (RCC.16 §7.11.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rcs_sim.mls.codec import Reader, TlsStruct, encode_u32, encode_u64

__all__ = ["FIRST_ERA", "LAST_ERA", "Moment"]

FIRST_ERA = 1
"""Era of a new conversation; 0 would be "no era", which peers refuse."""
LAST_ERA = 0xFFFFFFFF
"""There is no era after this one."""


@dataclass(frozen=True, slots=True, order=True)
class Moment(TlsStruct):
    """Ordered by era first: (1, 0) is newer than (0, 2**63). Equal moments are no proof of equal groups: that is the
    epoch authenticator."""

    era: int
    epoch: int

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.u32(), reader.u64())

    def encode(self) -> bytes:
        return encode_u32(self.era) + encode_u64(self.epoch)
