"""Protocol buffers, proto3 wire format: fields to octets and back, without descriptors.

A reader takes the fields that it knows by number; what is left over it can keep and write again. Fields of a wire type
other than the expected one count as unknown, as the format demands of readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import NoReturn

from ims_core.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "MAX_FIELDS",
    "MAX_PROTOBUF_OCTETS",
    "ProtobufError",
    "ProtobufField",
    "ProtobufReader",
    "WireType",
    "encode_bool_field",
    "encode_fields",
    "encode_fixed32_field",
    "encode_message_field",
    "encode_octets_field",
    "encode_protobuf_varint",
    "encode_repeated_octets_field",
    "encode_repeated_text_field",
    "encode_text_field",
    "encode_uint_field",
    "parse_fields",
]

MAX_PROTOBUF_OCTETS = 64 * 1024 * 1024  # a ratchet tree of some 30 000 members and what travels beside it
MAX_FIELDS = 10_000  # of one message: participants of the largest group, and what travels beside them (choice)
_MAX_FIELD_NUMBER = 2**29 - 1
_MAX_VARINT_OCTETS = 10
_SPEC = "proto3 wire format"
_U32 = Struct("<I")
_U64 = Struct("<Q")


class ProtobufError(RemoteProtocolError):
    """Octets that are not the message they should be."""

    def __init__(self, message: str, *, spec: str = _SPEC, raw: bytes = b"") -> None:
        super().__init__(message, spec=spec, raw=raw[:64])


class WireType(IntEnum):
    """How the value of a field is delimited. Groups (3 and 4) are not part of proto3 and are refused."""

    VARINT = 0
    FIXED64 = 1
    LENGTH_DELIMITED = 2
    FIXED32 = 5


@dataclass(frozen=True, slots=True)
class ProtobufField:
    """One field as received. *value* is octets in a length-delimited one, else an unsigned number."""

    number: int
    wire_type: WireType
    value: int | bytes

    def encode(self) -> bytes:
        """Key and value, the key and a varint in their shortest form."""
        key = encode_protobuf_varint(self.number << 3 | self.wire_type)
        match self.wire_type, self.value:
            case WireType.LENGTH_DELIMITED, bytes() as octets:
                return key + encode_protobuf_varint(len(octets)) + octets
            case WireType.VARINT, int() as number:
                return key + encode_protobuf_varint(number)
            case WireType.FIXED32, int() as number:
                return key + _U32.pack(number)
            case WireType.FIXED64, int() as number:
                return key + _U64.pack(number)
        raise LocalProtocolError(f"field {self.number} cannot hold such a value", spec=_SPEC)


def encode_protobuf_varint(number: int) -> bytes:
    """*number*, unsigned, in groups of seven bits, the lowest first."""
    if number < 0x80:
        return number.to_bytes(1, "little")
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def encode_uint_field(number: int, value: int) -> bytes:
    """``uint32``, ``uint64`` or an enum; nothing for zero."""
    return encode_protobuf_varint(number << 3) + encode_protobuf_varint(value) if value else b""


def encode_bool_field(number: int, value: bool) -> bytes:
    """``bool``; nothing for false."""
    return encode_uint_field(number, int(value))


def encode_fixed32_field(number: int, value: int) -> bytes:
    """``fixed32``, little-endian; nothing for zero."""
    return encode_protobuf_varint(number << 3 | WireType.FIXED32) + _U32.pack(value) if value else b""


def encode_octets_field(number: int, octets: bytes) -> bytes:
    """``bytes``; nothing for none."""
    return encode_message_field(number, octets or None)


def encode_text_field(number: int, text: str) -> bytes:
    """``string``; nothing for an empty one."""
    return encode_message_field(number, text.encode() or None)


def encode_message_field(number: int, octets: bytes | None) -> bytes:
    """An encoded message, which is written even if it is empty; nothing for None."""
    if octets is None:
        return b""
    return (
        encode_protobuf_varint(number << 3 | WireType.LENGTH_DELIMITED) + encode_protobuf_varint(len(octets)) + octets
    )


def encode_repeated_octets_field(number: int, items: tuple[bytes, ...]) -> bytes:
    """``repeated bytes``, or repeated encoded messages: each is written, empty ones too."""
    return b"".join([encode_message_field(number, item) for item in items])


def encode_repeated_text_field(number: int, items: tuple[str, ...]) -> bytes:
    """``repeated string``."""
    return b"".join([encode_message_field(number, item.encode()) for item in items])


def encode_fields(fields: tuple[ProtobufField, ...]) -> bytes:
    """The fields in their order: unknown ones go back as they came."""
    return b"".join([field.encode() for field in fields])


def parse_fields(octets: bytes) -> tuple[ProtobufField, ...]:
    """All fields of a message in the order received. Raises ProtobufError, and nothing else, on any octets."""
    if len(octets) > MAX_PROTOBUF_OCTETS:
        raise ProtobufError(f"a message of {len(octets)} octets is beyond the {MAX_PROTOBUF_OCTETS} allowed")
    fields: list[ProtobufField] = []
    at, end = 0, len(octets)
    while at < end:
        key, at = _read_varint(octets, at)
        number = key >> 3
        if not 1 <= number <= _MAX_FIELD_NUMBER:
            _fail(f"a field has the number {number}", octets, at)
        value, at = _read_value(key & 7, octets, at)
        if len(fields) >= MAX_FIELDS:
            _fail(f"a message has more than {MAX_FIELDS} fields", octets, at)
        fields.append(ProtobufField(number, WireType(key & 7), value))
    return tuple(fields)


def _read_value(wire_type: int, octets: bytes, at: int) -> tuple[int | bytes, int]:
    if wire_type == WireType.LENGTH_DELIMITED:
        length, at = _read_varint(octets, at)
        return _take(octets, at, length), at + length
    if wire_type == WireType.VARINT:
        return _read_varint(octets, at)
    if wire_type == WireType.FIXED32:
        return _U32.unpack(_take(octets, at, 4))[0], at + 4
    if wire_type == WireType.FIXED64:
        return _U64.unpack(_take(octets, at, 8))[0], at + 8
    _fail(f"a field has the wire type {wire_type}", octets, at)


def _take(octets: bytes, at: int, count: int) -> bytes:
    if count > len(octets) - at:
        _fail(f"{count} octets were announced, {len(octets) - at} are left", octets, at)
    return octets[at : at + count]


def _read_varint(octets: bytes, at: int) -> tuple[int, int]:
    number = 0
    for place, octet in enumerate(octets[at : at + _MAX_VARINT_OCTETS]):
        number |= (octet & 0x7F) << 7 * place
        if octet < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at + place + 1
    _fail("a varint does not end", octets, at)


def _fail(message: str, octets: bytes, at: int) -> NoReturn:
    raise ProtobufError(f"{message} at octet {at}", raw=octets[max(0, at - 16) : at + 48])


class ProtobufReader:
    """The fields of one message, taken by number. Of a singular field the last occurrence counts, and repeated
    occurrences of a singular message are joined, as the format demands."""

    __slots__ = ("_left",)

    def __init__(self, octets: bytes) -> None:
        """Raises ProtobufError."""
        self._left: dict[int, list[tuple[int, ProtobufField]]] = {}
        for place, field in enumerate(parse_fields(octets)):
            self._left.setdefault(field.number, []).append((place, field))

    def _take(self, number: int, wire_type: WireType) -> list[ProtobufField]:
        held = self._left.pop(number, None)
        if held is None:
            return []
        other = [each for each in held if each[1].wire_type is not wire_type]
        if other:
            self._left[number] = other
        return [field for _, field in held if field.wire_type is wire_type]

    def uint(self, number: int, maximum: int = 2**64 - 1) -> int:
        """A number, 0 without one. One beyond *maximum* is refused, not cut (choice: an era that two readers cut
        differently would be two eras)."""
        value = 0
        for field in self._take(number, WireType.VARINT):
            assert isinstance(field.value, int)
            value = field.value
        if value > maximum:
            raise ProtobufError(f"field {number} holds {value}, the most is {maximum}")
        return value

    def uint32(self, number: int) -> int:
        """``uint32``, 0 without one."""
        return self.uint(number, 2**32 - 1)

    def bool(self, number: int) -> bool:
        """``bool``, false without one."""
        return self.uint(number) != 0

    def fixed32(self, number: int) -> int:
        """``fixed32``, 0 without one."""
        value = 0
        for field in self._take(number, WireType.FIXED32):
            assert isinstance(field.value, int)
            value = field.value
        return value

    def repeated_octets(self, number: int) -> tuple[bytes, ...]:
        """Every occurrence, in order."""
        values = [field.value for field in self._take(number, WireType.LENGTH_DELIMITED)]
        return tuple([value for value in values if isinstance(value, bytes)])

    def octets(self, number: int) -> bytes:
        """``bytes``, empty without any."""
        found = self.repeated_octets(number)
        return found[-1] if found else b""

    def message(self, number: int) -> bytes | None:
        """An encoded message, None without one."""
        found = self.repeated_octets(number)
        return b"".join(found) if found else None

    def text(self, number: int) -> str:
        """``string``, empty without one. Raises ProtobufError if it is not UTF-8."""
        return _text(number, self.octets(number))

    def repeated_text(self, number: int) -> tuple[str, ...]:
        """``repeated string``. Raises ProtobufError if one is not UTF-8."""
        return tuple([_text(number, octets) for octets in self.repeated_octets(number)])

    def rest(self) -> tuple[ProtobufField, ...]:
        """The fields that were not taken, in the order received."""
        left = sorted((each for held in self._left.values() for each in held), key=lambda each: each[0])
        return tuple([field for _, field in left])


def _text(number: int, octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise ProtobufError(f"field {number} is not UTF-8", raw=octets) from None
