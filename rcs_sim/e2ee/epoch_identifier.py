"""EpochIdentifier: which state of which era a party holds (RCC.16 §7.10.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rcs_sim.wire.protobuf import ProtobufReader, encode_octets_field, encode_uint_field

__all__ = ["EpochIdentifier"]


@dataclass(frozen=True, slots=True)
class EpochIdentifier:
    """Era, epoch in it, and the epoch authenticator, which alone proves that two parties hold the same group. The
    encoding of the default value is empty: it asks for the GroupInfo without saying what one holds."""

    era_id: int = 0
    epoch_id: int = 0
    epoch_authenticator: bytes = b""

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Unknown fields are skipped. Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        return cls(reader.uint32(1), reader.uint(2), reader.octets(3))

    def encode(self) -> bytes:
        """The proto3 message; fields that are zero are left out."""
        numbers = encode_uint_field(1, self.era_id) + encode_uint_field(2, self.epoch_id)
        return numbers + encode_octets_field(3, self.epoch_authenticator)

    @property
    def moment(self) -> tuple[int, int]:
        """Era and epoch, in the order in which moments are compared."""
        return self.era_id, self.epoch_id

    def is_same_state(self, other: EpochIdentifier) -> bool:
        """Whether both name one state: by authenticator where both have one, else by era and epoch."""
        if self.epoch_authenticator and other.epoch_authenticator:
            return self.epoch_authenticator == other.epoch_authenticator
        return self.moment == other.moment
