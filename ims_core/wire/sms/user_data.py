"""TP-User-Data: header with its information elements, and content (3GPP TS 23.040 §9.2.3.16, §9.2.3.24)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.alphabet import (
    Alphabet,
    decode_gsm7,
    decode_ucs2,
    encode_gsm7,
    encode_ucs2,
    pack_septets,
    packed_octets,
    unpack_septets,
)
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.octets import OctetReader

__all__ = [
    "MAX_USER_DATA_OCTETS",
    "ApplicationPorts",
    "Concatenation",
    "ElementId",
    "InformationElement",
    "UserData",
    "UserDataHeader",
    "decode_content",
]

MAX_USER_DATA_OCTETS = 140  # SMS-SUBMIT and SMS-DELIVER: 140 octets or 160 septets
_MAX_HEADER_OCTETS = MAX_USER_DATA_OCTETS - 1
_SPEC = "TS 23.040 §9.2.3.24"


class ElementId(IntEnum):
    """Information-Element-Identifier; others are carried as they are."""

    CONCATENATED_8_BIT = 0x00
    SPECIAL_INDICATION = 0x01
    PORTS_8_BIT = 0x04
    PORTS_16_BIT = 0x05
    CONCATENATED_16_BIT = 0x08
    NATIONAL_SINGLE_SHIFT = 0x24
    NATIONAL_LOCKING_SHIFT = 0x25


@dataclass(frozen=True, slots=True)
class InformationElement:
    """Identifier, known or not, and the octets of the element."""

    identifier: int
    content: bytes

    def encode(self) -> bytes:
        return bytes((self.identifier, len(self.content))) + self.content


@dataclass(frozen=True, slots=True)
class Concatenation:
    """One part's place in a concatenated message (§9.2.3.24.1, §9.2.3.24.8). *sequence* counts from 1."""

    reference: int
    total: int
    sequence: int
    is_wide: bool = False

    @classmethod
    def parse(cls, element: InformationElement) -> Concatenation | None:
        """None if *element* is another one, or if its values are those that §9.2.3.24.1 has receivers ignore."""
        is_wide = element.identifier == ElementId.CONCATENATED_16_BIT
        octets = element.content
        if not is_wide and element.identifier != ElementId.CONCATENATED_8_BIT:
            return None
        if len(octets) != (4 if is_wide else 3) or not 1 <= octets[-1] <= octets[-2]:
            return None
        return cls(int.from_bytes(octets[:-2], "big"), octets[-2], octets[-1], is_wide)

    def element(self) -> InformationElement:
        """Raises LocalProtocolError for numbers that do not fit."""
        limit = 0xFFFF if self.is_wide else 0xFF
        if not (0 <= self.reference <= limit and 1 <= self.sequence <= self.total <= 255):
            raise LocalProtocolError(f"{self} does not fit its octets", spec="TS 23.040 §9.2.3.24.1")
        identifier = ElementId.CONCATENATED_16_BIT if self.is_wide else ElementId.CONCATENATED_8_BIT
        reference = self.reference.to_bytes(2 if self.is_wide else 1, "big")
        return InformationElement(identifier, reference + bytes((self.total, self.sequence)))


@dataclass(frozen=True, slots=True)
class ApplicationPorts:
    """Application port addressing, 8 or 16 bit (§9.2.3.24.3, §9.2.3.24.4)."""

    destination: int
    source: int
    is_wide: bool = True

    @classmethod
    def parse(cls, element: InformationElement) -> ApplicationPorts | None:
        """None if *element* is another one or has a wrong length."""
        octets = element.content
        if element.identifier == ElementId.PORTS_16_BIT and len(octets) == 4:
            return cls(int.from_bytes(octets[:2], "big"), int.from_bytes(octets[2:], "big"))
        if element.identifier == ElementId.PORTS_8_BIT and len(octets) == 2:
            return cls(octets[0], octets[1], is_wide=False)
        return None

    def element(self) -> InformationElement:
        """Raises LocalProtocolError for ports that do not fit."""
        width = 2 if self.is_wide else 1
        if not (0 <= self.destination < 256**width and 0 <= self.source < 256**width):
            raise LocalProtocolError(f"{self} does not fit its octets", spec="TS 23.040 §9.2.3.24.4")
        identifier = ElementId.PORTS_16_BIT if self.is_wide else ElementId.PORTS_8_BIT
        return InformationElement(
            identifier, b"".join(p.to_bytes(width, "big") for p in (self.destination, self.source))
        )


@dataclass(frozen=True, slots=True)
class UserDataHeader:
    """The octets behind UDHL, as received: §9.2.3.24 has receivers ignore a header whose last element does not fit, and
    a relaying service centre passes it on unread."""

    octets: bytes

    @classmethod
    def of(cls, *elements: InformationElement) -> UserDataHeader:
        return cls(b"".join(element.encode() for element in elements))

    @property
    def elements(self) -> tuple[InformationElement, ...]:
        """Every information element in order; none at all where the octets do not divide into elements."""
        found: list[InformationElement] = []
        octets, position = self.octets, 0
        while position < len(octets):
            end = position + 2 + (octets[position + 1] if position + 1 < len(octets) else len(octets))
            if end > len(octets):
                return ()
            found.append(InformationElement(octets[position], octets[position + 2 : end]))
            position = end
        return tuple(found)

    @property
    def concatenation(self) -> Concatenation | None:
        """The last one counts where a header has several (§9.2.3.24)."""
        found = (Concatenation.parse(element) for element in reversed(self.elements))
        return next((value for value in found if value is not None), None)

    @property
    def ports(self) -> ApplicationPorts | None:
        found = (ApplicationPorts.parse(element) for element in reversed(self.elements))
        return next((value for value in found if value is not None), None)

    @property
    def octet_count(self) -> int:
        """With the length octet."""
        return 1 + len(self.octets)

    def encode(self) -> bytes:
        """Raises LocalProtocolError if it is too long for any short message."""
        if len(self.octets) > _MAX_HEADER_OCTETS:
            raise LocalProtocolError(f"user data header of {len(self.octets)} octets", spec=_SPEC)
        return bytes((len(self.octets),)) + self.octets


@dataclass(frozen=True, slots=True)
class UserData:
    """Header, None without UDHI, and *content*: septet values where the data coding counts septets, else octets.

    The data coding is a field of the TPDU and therefore an argument here.
    """

    content: bytes = b""
    header: UserDataHeader | None = None

    @classmethod
    def of_text(cls, text: str, coding: DataCoding, header: UserDataHeader | None = None) -> UserData:
        """Raises LocalProtocolError if the alphabet of *coding* lacks a character. 8-bit data is UTF-8 (choice)."""
        match coding.alphabet:
            case Alphabet.GSM7:
                return cls(encode_gsm7(text), header)
            case Alphabet.UCS2:
                return cls(encode_ucs2(text), header)
            case Alphabet.EIGHT_BIT:
                return cls(text.encode("utf-8", "replace"), header)

    def text(self, coding: DataCoding) -> str:
        """What the content shows; never an error. Compressed content has no text: empty."""
        return decode_content(self.content, coding)

    @classmethod
    def read(
        cls, reader: OctetReader, coding: DataCoding, *, has_header: bool, max_octets: int = MAX_USER_DATA_OCTETS
    ) -> UserData:
        """TP-UDL and TP-UD. Raises SmsParseError if the lengths do not agree."""
        length = reader.octet("TP-UDL")
        octet_count = packed_octets(length) if coding.counts_septets else length
        if octet_count > max_octets:
            raise reader.error(f"TP-UD of {octet_count} octets is longer than {max_octets}")
        octets = reader.take(octet_count, "TP-UD")
        header = _read_header(reader, octets) if has_header else None
        header_octets = header.octet_count if header else 0
        if not coding.counts_septets:
            return cls(octets[header_octets:], header)
        header_septets, fill_bits = _header_septets(header_octets)
        if header_septets > length:
            raise reader.error(f"TP-UDL of {length} septets is shorter than its header")
        return cls(unpack_septets(octets[header_octets:], length - header_septets, fill_bits), header)

    def encode(self, coding: DataCoding, *, max_octets: int = MAX_USER_DATA_OCTETS) -> bytes:
        """TP-UDL and TP-UD. Raises LocalProtocolError if it is longer than *max_octets*."""
        header = self.header.encode() if self.header else b""
        if coding.counts_septets:
            header_septets, fill_bits = _header_septets(len(header))
            length = header_septets + len(self.content)
            octets = header + pack_septets(self.content, fill_bits)
        else:
            length = len(header) + len(self.content)
            octets = header + self.content
        if len(octets) > max_octets:
            raise LocalProtocolError(f"user data of {len(octets)} octets", spec="TS 23.040 §9.2.3.24")
        return bytes((length,)) + octets


def decode_content(content: bytes, coding: DataCoding) -> str:
    """Text of one part's content, or of the joined content of several; never an error."""
    if coding.is_compressed:
        return ""
    match coding.alphabet:
        case Alphabet.GSM7:
            return decode_gsm7(content)
        case Alphabet.UCS2:
            return decode_ucs2(content)
        case Alphabet.EIGHT_BIT:
            return content.decode("utf-8", "replace")


def _read_header(reader: OctetReader, user_data: bytes) -> UserDataHeader:
    if not user_data or user_data[0] >= len(user_data):
        raise reader.error("the user data header is longer than the user data")
    return UserDataHeader(user_data[1 : 1 + user_data[0]])


def _header_septets(header_octets: int) -> tuple[int, int]:
    """Septets that the header takes with its fill bits, and the number of these (figure 9.2.3.24 (a))."""
    septets = -(-8 * header_octets // 7)
    return septets, 7 * septets - 8 * header_octets
