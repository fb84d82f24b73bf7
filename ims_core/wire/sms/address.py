"""Address fields of the TP layer (3GPP TS 23.040 §9.1.2.5) and of the RP layer (TS 24.011 §8.2.5.1, §8.2.5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.alphabet import decode_gsm7, encode_gsm7, pack_septets, unpack_septets
from ims_core.wire.sms.octets import OctetReader, octets_of

__all__ = ["MAX_DIGITS", "Address", "TypeOfNumber"]

MAX_DIGITS = 20  # TS 23.040 §9.1.2.5: Address-Value is at most 10 octets
_MAX_VALUE_OCTETS = 10
_SEMI_OCTETS = "0123456789*#abc"  # TS 23.040 §9.1.2.3; 15 fills the last octet of an odd number of digits
_FILLER = 15
_SPEC = "TS 23.040 §9.1.2.5"


class TypeOfNumber(IntEnum):
    """Bits 7 to 5 of Type-of-address."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6
    RESERVED = 7


@dataclass(frozen=True, slots=True)
class Address:
    """Type-of-address octet as received, and the digits (``0-9*#abc``, no plus sign) or, if alphanumeric, the text."""

    type_of_address: int
    value: str

    @classmethod
    def international(cls, number: str) -> Address:
        """From ``+12025550101`` or ``12025550101``; ISDN numbering plan."""
        return cls(0x91, number.removeprefix("+"))

    @classmethod
    def alphanumeric(cls, name: str) -> Address:
        """A name of at most 11 septets of the GSM 7 bit alphabet."""
        return cls(0xD0, name)

    @property
    def type_of_number(self) -> TypeOfNumber:
        return TypeOfNumber(self.type_of_address >> 4 & 7)

    @property
    def numbering_plan(self) -> int:
        """1 is ISDN (E.164)."""
        return self.type_of_address & 0x0F

    def __str__(self) -> str:
        return f"+{self.value}" if self.type_of_number is TypeOfNumber.INTERNATIONAL else self.value

    @classmethod
    def read_tp(cls, reader: OctetReader, what: str) -> Address:
        """TP form: number of semi-octets, Type-of-address, Address-Value. Raises SmsParseError."""
        semi_octets = reader.octet(f"{what} length")
        toa = reader.octet(f"{what} type of address")
        if semi_octets > MAX_DIGITS:
            raise reader.error(f"{what} of {semi_octets} semi-octets is longer than {MAX_DIGITS}")
        value = reader.take((semi_octets + 1) // 2, what)
        return cls(toa, _read_value(reader, toa, value, semi_octets, what))

    def encode_tp(self) -> bytes:
        """Raises LocalProtocolError if the value does not fit or has a character that cannot be coded."""
        if _is_alphanumeric(self.type_of_address):
            septets = encode_gsm7(self.value)
            value, semi_octets = pack_septets(septets), (7 * len(septets) + 3) // 4
        else:
            value, semi_octets = _encode_digits(self.value), len(self.value)
        return octets_of(semi_octets, self.type_of_address) + _within_bounds(value)

    @classmethod
    def read_rp(cls, reader: OctetReader, what: str) -> Address | None:
        """RP form: number of octets, Type-of-address, digits (never text: TS 24.011 has no alphanumeric type); None
        where the length is 0. Raises SmsParseError."""
        length = reader.octet(f"{what} length")
        if length == 0:
            return None
        if length > _MAX_VALUE_OCTETS + 1:
            raise reader.error(f"{what} of {length} octets is longer than {_MAX_VALUE_OCTETS + 1}")
        content = reader.take(length, what)
        toa, value = content[0], content[1:]
        semi_octets = 2 * len(value)
        if value and value[-1] >> 4 == _FILLER:
            semi_octets -= 1
        return cls(toa, _read_digits(reader, value, semi_octets, what))

    def encode_rp(self) -> bytes:
        """Raises LocalProtocolError as `encode_tp` does."""
        value = _within_bounds(_encode_digits(self.value))
        return octets_of(len(value) + 1, self.type_of_address) + value


def _is_alphanumeric(type_of_address: int) -> bool:
    return type_of_address >> 4 & 7 == TypeOfNumber.ALPHANUMERIC


def _read_value(reader: OctetReader, toa: int, value: bytes, semi_octets: int, what: str) -> str:
    if _is_alphanumeric(toa):
        return decode_gsm7(unpack_septets(value, semi_octets * 4 // 7))
    return _read_digits(reader, value, semi_octets, what)


def _read_digits(reader: OctetReader, value: bytes, semi_octets: int, what: str) -> str:
    digits: list[str] = []
    for index in range(semi_octets):
        digit = value[index // 2] >> (4 * (index % 2)) & 0x0F
        if digit == _FILLER:
            raise reader.error(f"{what} has an end mark amid its digits")
        digits.append(_SEMI_OCTETS[digit])
    return "".join(digits)


def _within_bounds(value: bytes) -> bytes:
    if len(value) > _MAX_VALUE_OCTETS:
        raise LocalProtocolError(f"Address-Value of {len(value)} octets is longer than {_MAX_VALUE_OCTETS}", spec=_SPEC)
    return value


def _encode_digits(digits: str) -> bytes:
    values = [_SEMI_OCTETS.find(digit) for digit in digits]
    if -1 in values:
        raise LocalProtocolError(f"{digits!r} has a character that is no semi-octet", spec="TS 23.040 §9.1.2.3")
    if len(values) % 2:
        values.append(_FILLER)
    return bytes(low | high << 4 for low, high in zip(values[::2], values[1::2], strict=True))
