"""Relay layer messages RP-DATA, RP-ACK, RP-ERROR and RP-SMMA, both directions (3GPP TS 24.011 §7.3, §8.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.octets import OctetReader, SmsParseError, octets_of
from ims_core.wire.sms.tpdu import MAX_TPDU_OCTETS

__all__ = [
    "MAX_RPDU_OCTETS",
    "Direction",
    "RpAck",
    "RpCause",
    "RpData",
    "RpError",
    "RpSmma",
    "Rpdu",
    "is_temporary",
    "parse_rpdu",
    "readable_reference",
]

MAX_RPDU_OCTETS = 2 + 1 + 12 + 1 + MAX_TPDU_OCTETS  # RP-DATA with its longest address and user data
_MAX_DIAGNOSTIC_OCTETS = 1
_USER_DATA_IEI = 0x41
_SPEC = "TS 24.011 §7.3"


class Direction(Enum):
    """Who speaks; the lowest bit of the message type."""

    FROM_MS = 0
    TO_MS = 1


class RpCause(IntEnum):
    """RP-Cause (§8.2.5.4, table 8.4). Others are carried as numbers."""

    UNASSIGNED_NUMBER = 1
    OPERATOR_DETERMINED_BARRING = 8
    CALL_BARRED = 10
    RESERVED = 11
    TRANSFER_REJECTED = 21
    MEMORY_CAPACITY_EXCEEDED = 22
    DESTINATION_OUT_OF_ORDER = 27
    UNIDENTIFIED_SUBSCRIBER = 28
    FACILITY_REJECTED = 29
    UNKNOWN_SUBSCRIBER = 30
    NETWORK_OUT_OF_ORDER = 38
    TEMPORARY_FAILURE = 41
    CONGESTION = 42
    RESOURCES_UNAVAILABLE = 47
    FACILITY_NOT_SUBSCRIBED = 50
    FACILITY_NOT_IMPLEMENTED = 69
    INVALID_REFERENCE = 81
    SEMANTICALLY_INCORRECT = 95
    INVALID_MANDATORY_INFORMATION = 96
    MESSAGE_TYPE_NON_EXISTENT = 97
    MESSAGE_NOT_COMPATIBLE = 98
    ELEMENT_NON_EXISTENT = 99
    PROTOCOL_ERROR = 111
    INTERWORKING = 127


_TEMPORARY_CAUSES = frozenset({22, 27, 38, 41, 42, 47})


def is_temporary(cause: int) -> bool:
    """Whether a service centre tries again after an MS answered with *cause* (choice; digest §8.7 and §8.8)."""
    return cause in _TEMPORARY_CAUSES


@dataclass(frozen=True, slots=True)
class RpData:
    """Carries *user_data*, a TPDU. *service_centre* is RP-DA from an MS and RP-OA toward it; the other address is
    empty (§7.3.1)."""

    direction: Direction
    reference: int
    service_centre: Address
    user_data: bytes

    def encode(self) -> bytes:
        """Raises LocalProtocolError if a field does not fit."""
        if len(self.user_data) > MAX_TPDU_OCTETS:
            raise LocalProtocolError(f"RP-User-Data of {len(self.user_data)} octets", spec="TS 24.011 §8.2.5.3")
        address = self.service_centre.encode_rp()
        addresses = b"\x00" + address if self.direction is Direction.FROM_MS else address + b"\x00"
        return octets_of(self.direction.value, self.reference) + addresses + _length_value(self.user_data)


@dataclass(frozen=True, slots=True)
class RpAck:
    """Accepts the message with this *reference*; *user_data* is a report TPDU, if any (§7.3.3)."""

    direction: Direction
    reference: int
    user_data: bytes | None = None

    def encode(self) -> bytes:
        return octets_of(0x02 | self.direction.value, self.reference) + _optional_user_data(self.user_data)


@dataclass(frozen=True, slots=True)
class RpError:
    """Refuses the message with this *reference* (§7.3.4). *cause* is an RpCause or another number below 128."""

    direction: Direction
    reference: int
    cause: int
    user_data: bytes | None = None
    diagnostic: bytes = b""

    def encode(self) -> bytes:
        if not 0 <= self.cause <= 0x7F or len(self.diagnostic) > _MAX_DIAGNOSTIC_OCTETS:
            raise LocalProtocolError(f"{self} does not fit its octets", spec="TS 24.011 §8.2.5.4")
        cause = _length_value(bytes((self.cause,)) + self.diagnostic)
        return octets_of(0x04 | self.direction.value, self.reference) + cause + _optional_user_data(self.user_data)


@dataclass(frozen=True, slots=True)
class RpSmma:
    """The MS has memory again (§7.3.2)."""

    reference: int

    def encode(self) -> bytes:
        return octets_of(0x06, self.reference)


Rpdu = RpData | RpAck | RpError | RpSmma


def parse_rpdu(octets: bytes) -> Rpdu:
    """Raises SmsParseError. Spare bits of the first octet and unknown optional elements are ignored."""
    if len(octets) > MAX_RPDU_OCTETS:
        raise SmsParseError(f"RP message of {len(octets)} octets", spec=_SPEC, raw=octets)
    reader = OctetReader(octets, spec=_SPEC)
    message_type = reader.octet("RP-MTI") & 0x07
    reference = reader.octet("RP-MR")
    direction = Direction(message_type & 1)
    match message_type >> 1:
        case 0:
            return _read_data(reader, direction, reference)
        case 1:
            return RpAck(direction, reference, _read_optional(reader))
        case 2:
            cause = _read_cause(reader)
            return RpError(direction, reference, cause[0] & 0x7F, _read_optional(reader), cause[1:])
        case _ if direction is Direction.FROM_MS:
            _read_optional(reader)
            return RpSmma(reference)
        case _:
            raise reader.error("reserved RP-MTI 7")


def readable_reference(octets: bytes) -> int | None:
    """RP-MR of an RP message that need not be valid, to answer it with RP-ERROR; None if even that is missing."""
    return octets[1] if len(octets) >= 2 else None


def _read_data(reader: OctetReader, direction: Direction, reference: int) -> RpData:
    originator = Address.read_rp(reader, "RP-OA")
    destination = Address.read_rp(reader, "RP-DA")
    if direction is Direction.FROM_MS:
        present, empty, names = destination, originator, ("RP-DA", "RP-OA")
    else:
        present, empty, names = originator, destination, ("RP-OA", "RP-DA")
    if present is None:
        raise reader.error(f"{names[0]} is empty")
    if empty is not None:
        raise reader.error(f"{names[1]} is not empty")
    length = reader.octet("RP-User-Data length")
    if length > MAX_TPDU_OCTETS:
        raise reader.error(f"RP-User-Data of {length} octets is longer than {MAX_TPDU_OCTETS}")
    user_data = reader.take(length, "RP-User-Data")
    _read_optional(reader)
    return RpData(direction, reference, present, user_data)


def _read_cause(reader: OctetReader) -> bytes:
    length = reader.octet("RP-Cause length")
    if not 1 <= length <= 1 + _MAX_DIAGNOSTIC_OCTETS:
        raise reader.error(f"RP-Cause of {length} octets")
    return reader.take(length, "RP-Cause")


def _read_optional(reader: OctetReader) -> bytes | None:
    """RP-User-Data of a TLV sequence; the first one counts. One-octet elements have bit 8 set (TS 24.007 §11.2.4)."""
    user_data: bytes | None = None
    while reader.remaining:
        identifier = reader.octet("element")
        if identifier & 0x80:
            continue
        content = reader.take(reader.octet("element length"), "element")
        if identifier == _USER_DATA_IEI and user_data is None:
            if len(content) > MAX_TPDU_OCTETS:
                raise reader.error(f"RP-User-Data of {len(content)} octets is longer than {MAX_TPDU_OCTETS}")
            user_data = content
    return user_data


def _length_value(content: bytes) -> bytes:
    return bytes((len(content),)) + content


def _optional_user_data(user_data: bytes | None) -> bytes:
    if user_data is None:
        return b""
    if len(user_data) > MAX_TPDU_OCTETS:
        raise LocalProtocolError(f"RP-User-Data of {len(user_data)} octets", spec="TS 24.011 §8.2.5.3")
    return bytes((_USER_DATA_IEI,)) + _length_value(user_data)
