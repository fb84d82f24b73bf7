"""ClientMlsRcsMessage, the body of ``message/mls-rcs-client``: what a device asks of the focus.

Field numbers are this simulator's (choice: RCC.16 §7.9 names the message, no public text numbers its fields).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.wire.protobuf import (
    ProtobufField,
    ProtobufReader,
    encode_fields,
    encode_message_field,
    encode_octets_field,
    encode_repeated_octets_field,
    encode_repeated_text_field,
    encode_text_field,
    encode_uint_field,
)

__all__ = ["AdvanceKind", "ClientMlsRcsMessage", "ClientOperation", "MlsGroupInfo", "WelcomeAction"]


_GROUP_INFO_MESSAGE = b"\x00\x01\x00\x04"  # version mls10, wire format mls_group_info (RFC 9420 §6)


class ClientOperation(IntEnum):
    """What is asked for (choice)."""

    UNSPECIFIED = 0
    CREATE = 1
    EXTERNAL_COMMIT = 2
    COMMIT = 3
    PROPOSE = 4


class WelcomeAction(IntEnum):
    """What a group operation is for those who receive its Welcome."""

    UNKNOWN = 0
    NEW_GROUP = 1
    NEW_ERA_EXISTING_GROUP = 2
    NEW_MEMBERSHIP_EXISTING_GROUP = 3
    REFRESH_MEMBERSHIP_EXISTING_GROUP = 4


class AdvanceKind(IntEnum):
    """What a new era does with end_mls: carries it, takes it away, or is born with it (RCC.16 §8.3, §9.2)."""

    NORMAL = 0
    REVIVAL = 1
    PHOENIX_DOWNGRADE = 2


@dataclass(frozen=True, slots=True)
class MlsGroupInfo:
    """MlsGroupInfo (RCC.16 §7.10): an MLSMessage(GroupInfo) without a ratchet tree, the tree as ``ratchet_tree<V>``
    beside it, and the epoch authenticator. Readers also meet a bare GroupInfo."""

    group_info: bytes = b""
    ratchet_tree: bytes = b""
    epoch_authenticator: bytes = b""
    unknown: tuple[ProtobufField, ...] = ()

    @property
    def group_info_message(self) -> bytes:
        """The GroupInfo as an MLSMessage, in whichever form it came."""
        is_message = self.group_info[:4] == _GROUP_INFO_MESSAGE
        return self.group_info if is_message or not self.group_info else _GROUP_INFO_MESSAGE + self.group_info

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        return cls(reader.octets(1), reader.octets(2), reader.octets(4), reader.rest())

    def encode(self) -> bytes:
        """The proto3 message, with the unknown fields at its end."""
        both = encode_octets_field(1, self.group_info) + encode_octets_field(2, self.ratchet_tree)
        return both + encode_octets_field(4, self.epoch_authenticator) + encode_fields(self.unknown)


@dataclass(frozen=True, slots=True)
class ClientMlsRcsMessage:
    """One request. *operation*, *welcome_action* and *advance_kind* are members of their enums, or numbers that those
    do not know. *commit*, *proposal*, *welcome* and each *key_delivery* are MLSMessages; *add* and *remove* are
    ``tel:`` URIs, one per participant."""

    operation: int = ClientOperation.UNSPECIFIED
    mls_group_id: bytes = b""
    context_id: str = ""
    base: EpochIdentifier | None = None
    result: EpochIdentifier | None = None
    commit: bytes = b""
    proposal: bytes = b""
    welcome: bytes = b""
    group_info: MlsGroupInfo | None = None
    key_delivery: tuple[bytes, ...] = ()
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    groupdata: bytes = b""
    welcome_action: int = WelcomeAction.UNKNOWN
    advance_kind: int = AdvanceKind.NORMAL
    unknown: tuple[ProtobufField, ...] = ()

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        return cls(
            _known(ClientOperation, reader.uint(1)),
            reader.octets(2),
            reader.text(3),
            _identifier(reader.message(4)),
            _identifier(reader.message(5)),
            reader.octets(6),
            reader.octets(7),
            reader.octets(8),
            None if (group_info := reader.message(9)) is None else MlsGroupInfo.decode(group_info),
            reader.repeated_octets(10),
            reader.repeated_text(11),
            reader.repeated_text(12),
            reader.octets(13),
            _known(WelcomeAction, reader.uint(14)),
            _known(AdvanceKind, reader.uint(15)),
            reader.rest(),
        )

    def encode(self) -> bytes:
        """The proto3 message, with the unknown fields at its end."""
        parts = (
            encode_uint_field(1, self.operation),
            encode_octets_field(2, self.mls_group_id),
            encode_text_field(3, self.context_id),
            encode_message_field(4, None if self.base is None else self.base.encode()),
            encode_message_field(5, None if self.result is None else self.result.encode()),
            encode_octets_field(6, self.commit),
            encode_octets_field(7, self.proposal),
            encode_octets_field(8, self.welcome),
            encode_message_field(9, None if self.group_info is None else self.group_info.encode()),
            encode_repeated_octets_field(10, self.key_delivery),
            encode_repeated_text_field(11, self.add),
            encode_repeated_text_field(12, self.remove),
            encode_octets_field(13, self.groupdata),
            encode_uint_field(14, self.welcome_action),
            encode_uint_field(15, self.advance_kind),
            encode_fields(self.unknown),
        )
        return b"".join(parts)


def _identifier(octets: bytes | None) -> EpochIdentifier | None:
    return None if octets is None else EpochIdentifier.decode(octets)


def _known(registry: type[IntEnum], number: int) -> int:
    """The member of *registry*, else the number as received."""
    try:
        return registry(number)
    except ValueError:
        return number
