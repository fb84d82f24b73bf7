"""The part of DER that certificates need (ITU-T X.690 §8, §10): octets to elements and back.

Bounded: no element nests by itself, lengths have at most three octets, and each element is read once by who knows it.
What reads here is the only encoding of its value, so that signed octets can be compared and embedded as they are.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import NoReturn

from ims_core.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "BIT_STRING",
    "BOOLEAN",
    "GENERALIZED_TIME",
    "IA5_STRING",
    "INTEGER",
    "MAX_DER_OCTETS",
    "OCTET_STRING",
    "OID",
    "PRINTABLE_STRING",
    "SEQUENCE",
    "SET",
    "UTC_TIME",
    "UTF8_STRING",
    "DerError",
    "DerReader",
    "DerTime",
    "Element",
    "element",
    "encode_bit_string",
    "encode_integer",
    "encode_named_bits",
    "encode_oid",
    "encode_time",
    "sequence",
    "show_oid",
]

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID, UTF8_STRING = 0x01, 0x02, 0x03, 0x04, 0x06, 0x0C
PRINTABLE_STRING, IA5_STRING, UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x13, 0x16, 0x17, 0x18, 0x30, 0x31

MAX_DER_OCTETS = 16 * 1024  # of one certificate or extension: a leaf has some 850, one with long pointers 2000

_SPEC = "ITU-T X.690 §8"
_MAX_ARC = 2**63  # a larger number in an object identifier is nonsense
_LAST_UTC_YEAR = 2049  # RFC 5280 §4.1.2.5
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class DerError(RemoteProtocolError):
    """Octets that are not the DER element they should be."""

    def __init__(self, message: str, *, spec: str = _SPEC, raw: bytes = b"") -> None:
        super().__init__(message, spec=spec, raw=raw)


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its identifier octet, its content, and *octets*, which is all of it."""

    tag: int
    content: bytes
    octets: bytes


@dataclass(frozen=True, slots=True)
class DerTime:
    """``Time`` of a certificate: *at_s*, seconds since 1970, and which of the two forms it has."""

    at_s: int
    is_generalized: bool

    def is_in_its_form(self) -> bool:
        """UTCTime through 2049, GeneralizedTime after (RFC 5280 §4.1.2.5)."""
        return self.is_generalized == _is_after_utc_time(self.at_s)


class DerReader:
    """A place in octets. Every method moves it on or raises DerError, and none reads beyond the end."""

    __slots__ = ("_at", "_octets")

    def __init__(self, octets: bytes) -> None:
        if len(octets) > MAX_DER_OCTETS:
            raise DerError(f"{len(octets)} octets of DER are beyond the {MAX_DER_OCTETS} allowed")
        self._octets = octets
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._octets)

    def next_tag(self) -> int | None:
        """Identifier octet of the next element, None at the end."""
        return None if self.is_at_end else self._octets[self._at]

    def any(self) -> Element:
        """The next element, whatever it is."""
        octets, start = self._octets, self._at
        if start + 2 > len(octets):
            self._fail("an element was expected")
        tag, length, at = octets[start], octets[start + 1], start + 2
        if tag & 0x1F == 0x1F:
            self._fail("a tag number beyond 30")
        if length >= 0x80:
            length, at = self._long_length(length & 0x7F, at)
        stop = at + length
        if stop > len(octets):
            self._fail(f"an element of {length} octets goes beyond the end")
        self._at = stop
        return Element(tag, octets[at:stop], octets[start:stop])

    def element(self, tag: int) -> Element:
        """The next element, which has this identifier octet."""
        found = self.next_tag()
        if found != tag:
            self._fail(f"tag 0x{tag:02X} was expected, {'the end' if found is None else f'0x{found:02X}'} was found")
        return self.any()

    def content(self, tag: int) -> bytes:
        """Content of the next element, which has this identifier octet."""
        return self.element(tag).content

    def nested(self, tag: int = SEQUENCE) -> DerReader:
        """A reader of the content of the next element."""
        return DerReader(self.element(tag).content)

    def optional(self, tag: int) -> Element | None:
        """The next element if it has this identifier octet."""
        return self.any() if self.next_tag() == tag else None

    def integer_octets(self) -> bytes:
        """Content of an INTEGER in its shortest form."""
        content = self.content(INTEGER)
        if not content or (len(content) > 1 and content[0] in (0, 0xFF) and (content[0] ^ content[1]) < 0x80):
            self._fail("an INTEGER is not in its shortest form")
        return content

    def integer(self) -> int:
        """INTEGER."""
        return int.from_bytes(self.integer_octets(), "big", signed=True)

    def boolean(self) -> bool:
        """BOOLEAN: 00 or FF (X.690 §11.1)."""
        content = self.content(BOOLEAN)
        if content not in (b"\x00", b"\xff"):
            self._fail("a BOOLEAN is neither 00 nor FF")
        return content == b"\xff"

    def oid(self) -> bytes:
        """Content of an OBJECT IDENTIFIER."""
        content = self.content(OID)
        if not content or content[-1] & 0x80:
            self._fail("an OBJECT IDENTIFIER does not end")
        return content

    def bit_string(self) -> bytes:
        """BIT STRING of whole octets."""
        content = self.content(BIT_STRING)
        if not content or content[0]:
            self._fail("a BIT STRING of whole octets was expected")
        return content[1:]

    def named_bits(self) -> frozenset[int]:
        """Numbers of the bits that are set, with no zero bits at the end (X.690 §11.2.2)."""
        content = self.content(BIT_STRING)
        unused = content[0] if content else 8
        bits = int.from_bytes(content[1:], "big")
        if unused > 7 or len(content) > 9 or (bits and not bits >> unused & 1) or (not bits and content != b"\x00"):
            self._fail("a BIT STRING of named bits is malformed")
        width = 8 * (len(content) - 1)
        return frozenset(number for number in range(width) if bits >> (width - 1 - number) & 1)

    def time(self) -> DerTime:
        """UTCTime ``YYMMDDHHMMSSZ`` or GeneralizedTime ``YYYYMMDDHHMMSSZ`` (RFC 5280 §4.1.2.5)."""
        is_generalized = self.next_tag() == GENERALIZED_TIME
        content = self.content(GENERALIZED_TIME if is_generalized else UTC_TIME)
        digits = content[:-1]
        if content[-1:] != b"Z" or not digits.isdigit() or len(digits) != (14 if is_generalized else 12):
            self._fail("a malformed time")
        if not is_generalized:
            digits = (b"19" if digits[:2] >= b"50" else b"20") + digits
        try:
            at = _time_of(digits)
        except ValueError:
            self._fail("a time that does not exist")
        return DerTime((at - _EPOCH) // dt.timedelta(seconds=1), is_generalized)

    def finish(self) -> None:
        """Raises DerError if anything is left over."""
        if not self.is_at_end:
            self._fail(f"{len(self._octets) - self._at} octets are left over")

    def _long_length(self, count: int, at: int) -> tuple[int, int]:
        octets = self._octets[at : at + count]
        if not 1 <= count <= 3 or len(octets) < count or not octets[0]:
            self._fail("a length is malformed")
        length = int.from_bytes(octets, "big")
        if length < 0x80:
            self._fail(f"the length {length} has a shorter form")
        return length, at + count

    def _fail(self, message: str) -> NoReturn:
        raise DerError(f"{message} at octet {self._at}", raw=self._octets[self._at : self._at + 32])


def element(tag: int, content: bytes) -> bytes:
    """The element with this identifier octet and content."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def sequence(*elements: bytes) -> bytes:
    """``SEQUENCE`` of encoded elements."""
    return element(SEQUENCE, b"".join(elements))


def encode_integer(number: int) -> bytes:
    """``INTEGER``."""
    magnitude = number if number >= 0 else ~number
    return element(INTEGER, number.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def encode_bit_string(octets: bytes) -> bytes:
    """``BIT STRING`` of whole octets."""
    return element(BIT_STRING, b"\x00" + octets)


def encode_named_bits(*numbers: int) -> bytes:
    """``BIT STRING`` with the bits of these numbers set."""
    if not numbers:
        return element(BIT_STRING, b"\x00")
    octet_count = max(numbers) // 8 + 1
    bits = sum(1 << (8 * octet_count - 1 - number) for number in set(numbers))
    return element(BIT_STRING, bytes((7 - max(numbers) % 8,)) + bits.to_bytes(octet_count, "big"))


def encode_oid(dotted: str) -> bytes:
    """Content of the ``OBJECT IDENTIFIER`` with this name. Raises LocalProtocolError if it is none."""
    arcs = [int(arc) for arc in dotted.split(".")]
    if len(arcs) < 2 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise LocalProtocolError(f"{dotted} is no object identifier", spec="ITU-T X.660")
    return b"".join(_encode_arc(arc) for arc in (40 * arcs[0] + arcs[1], *arcs[2:]))


def show_oid(content: bytes) -> str:
    """The dotted name of an ``OBJECT IDENTIFIER``, for texts; hexadecimal if it has none."""
    arcs: list[int] = []
    arc = 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if arc > _MAX_ARC:
            return content[:32].hex()
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs:
        return content.hex()
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def encode_time(at_s: int) -> bytes:
    """``Time`` of *at_s* seconds since 1970, in the form of its year (RFC 5280 §4.1.2.5)."""
    at = _EPOCH + dt.timedelta(seconds=at_s)
    if _is_after_utc_time(at_s):
        return element(GENERALIZED_TIME, at.strftime("%Y%m%d%H%M%SZ").rjust(15, "0").encode("ascii"))
    return element(UTC_TIME, at.strftime("%y%m%d%H%M%SZ").encode("ascii"))


def _time_of(digits: bytes) -> dt.datetime:
    """``YYYYMMDDHHMMSS``. Raises ValueError if there is no such time."""
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
    return dt.datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=dt.UTC)


def _is_after_utc_time(at_s: int) -> bool:
    year = (_EPOCH + dt.timedelta(seconds=at_s)).year
    return year > _LAST_UTC_YEAR or year < 1950


def _encode_arc(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | arc & 0x7F)
    return bytes(reversed(octets))
