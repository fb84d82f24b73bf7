"""MlsEnhancedGroupInfo: the focus's state, and what led there since the state of who asks (RCC.16 §7.10.3, §7.10.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.wire.protobuf import (
    ProtobufReader,
    encode_message_field,
    encode_octets_field,
    encode_repeated_octets_field,
    encode_text_field,
)

__all__ = ["ControlMessage", "MlsEnhancedGroupInfo"]


@dataclass(frozen=True, slots=True)
class ControlMessage:
    """One accepted control message. *server_message* is an encoded ServerMlsRcsMessage, as it was fanned out under
    *message_id*."""

    message_id: str
    server_message: bytes

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        return cls(reader.text(1), reader.octets(2))

    def encode(self) -> bytes:
        return encode_text_field(1, self.message_id) + encode_octets_field(2, self.server_message)


@dataclass(frozen=True, slots=True)
class MlsEnhancedGroupInfo:
    """The answer to a pull. *control_messages* are the oldest first. *paginated* is where the next page begins; without
    it the focus keeps no log, or does not know the state of who asked."""

    latest: EpochIdentifier | None = None
    group_info: MlsGroupInfo | None = None
    control_messages: tuple[ControlMessage, ...] = ()
    paginated: EpochIdentifier | None = None

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Field 1 is reserved, and skipped. Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        latest, group_info, paginated = reader.message(2), reader.message(3), reader.message(5)
        return cls(
            None if latest is None else EpochIdentifier.decode(latest),
            None if group_info is None else MlsGroupInfo.decode(group_info),
            tuple([ControlMessage.decode(each) for each in reader.repeated_octets(4)]),
            None if paginated is None else EpochIdentifier.decode(paginated),
        )

    def encode(self) -> bytes:
        """The proto3 message."""
        return b"".join(
            (
                encode_message_field(2, None if self.latest is None else self.latest.encode()),
                encode_message_field(3, None if self.group_info is None else self.group_info.encode()),
                encode_repeated_octets_field(4, tuple([each.encode() for each in self.control_messages])),
                encode_message_field(5, None if self.paginated is None else self.paginated.encode()),
            )
        )
