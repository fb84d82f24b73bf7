"""The presentation language (RFC 8446 §3, RFC 9420 §2.1): octets to values and back.

The encoding of a value is the only one that is accepted for it (shortest length headers, 0 or 1 for a presence octet,
nothing left over), so that what a decoded value encodes to *is* what was received. Signatures and hashes rest on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct, pack
from types import MappingProxyType
from typing import NoReturn, Self, TypeVar

from ims_core.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "MAX_DECODED_OCTETS",
    "MAX_VARINT",
    "NO_CUSTOM_BODIES",
    "CustomBodies",
    "ReadBody",
    "Reader",
    "ReceivedStruct",
    "TlsDecodeError",
    "TlsStruct",
    "encode_opaque",
    "encode_optional",
    "encode_u8",
    "encode_u16",
    "encode_u16_vector",
    "encode_u32",
    "encode_u64",
    "encode_varint",
    "encode_vector",
]

_T = TypeVar("_T")

MAX_VARINT = 2**30 - 1  # octets: what the longest length header can say (RFC 9420 §2.1.2)
MAX_DECODED_OCTETS = 64 * 1024 * 1024  # octets of one structure: the tree of some 30 000 members with X.509 leaves

_SPEC = "RFC 9420 §2.1"
_U16 = Struct("!H")
_U32 = Struct("!I")
_U64 = Struct("!Q")
_ONE_OCTET_HEADERS = tuple(bytes((length,)) for length in range(64))


class TlsDecodeError(RemoteProtocolError):
    """Octets that are not the structure they should be."""

    def __init__(self, message: str, *, spec: str = _SPEC, raw: bytes = b"") -> None:
        super().__init__(message, spec=spec, raw=raw)


def encode_u8(number: int) -> bytes:
    """``uint8``."""
    return number.to_bytes(1, "big")


def encode_u16(number: int) -> bytes:
    """``uint16``."""
    return number.to_bytes(2, "big")


def encode_u32(number: int) -> bytes:
    """``uint32``."""
    return number.to_bytes(4, "big")


def encode_u64(number: int) -> bytes:
    """``uint64``."""
    return number.to_bytes(8, "big")


def encode_varint(length: int) -> bytes:
    """The shortest length header of *length* octets (RFC 9420 §2.1.2)."""
    if length < 64:
        return _ONE_OCTET_HEADERS[length]
    if length < 16384:
        return (length | 0x4000).to_bytes(2, "big")
    if length <= MAX_VARINT:
        return (length | 0x8000_0000).to_bytes(4, "big")
    raise LocalProtocolError(f"a vector of {length} octets has no length header", spec="RFC 9420 §2.1.2")


def encode_opaque(octets: bytes) -> bytes:
    """``opaque octets<V>``."""
    length = len(octets)
    if length < 64:
        return _ONE_OCTET_HEADERS[length] + octets
    return (encode_varint(length) if length >= 16384 else (length | 0x4000).to_bytes(2, "big")) + octets


def encode_vector(items: Iterable[bytes]) -> bytes:
    """``T items<V>`` of the encoded *items*."""
    return encode_opaque(b"".join(items))


def encode_u16_vector(numbers: Sequence[int]) -> bytes:
    """``uint16 numbers<V>``."""
    return encode_opaque(pack(f"!{len(numbers)}H", *numbers))


def encode_optional(octets: bytes | None) -> bytes:
    """``optional<T>`` of an encoded value, or of none (RFC 9420 §2.1.1)."""
    return b"\x00" if octets is None else b"\x01" + octets


ReadBody = Callable[["Reader"], bytes]
"""Reads the body of a custom proposal and returns its octets as they stand on the wire, a length header among them."""
CustomBodies = Mapping[int, ReadBody]
"""How the body of each custom proposal type is delimited (RFC 9420 does not say); other types are ``opaque<V>``."""
NO_CUSTOM_BODIES: CustomBodies = MappingProxyType({})


class Reader:
    """A place in octets. Every method moves it on or raises TlsDecodeError, and none reads beyond its vector."""

    __slots__ = ("_end", "at", "custom_bodies", "octets")

    def __init__(self, octets: bytes, custom_bodies: CustomBodies = NO_CUSTOM_BODIES) -> None:
        if len(octets) > MAX_DECODED_OCTETS:
            raise TlsDecodeError(f"a structure of {len(octets)} octets is beyond the {MAX_DECODED_OCTETS} allowed")
        self.octets = octets
        self.at = 0
        self._end = len(octets)
        self.custom_bodies = custom_bodies

    def fail(self, message: str, spec: str = _SPEC) -> NoReturn:
        """Refuses what is read. The error quotes the octets around the place."""
        around = self.octets[max(0, self.at - 16) : self.at + 48]
        raise TlsDecodeError(f"{message} at octet {self.at}", spec=spec, raw=around)

    def take(self, count: int) -> bytes:
        """The next *count* octets."""
        start = self.at
        stop = start + count
        if stop > self._end:
            self.fail(f"{count} octets were expected, {self._end - start} are left")
        self.at = stop
        return self.octets[start:stop]

    def u8(self) -> int:
        """``uint8``."""
        at = self.at
        if at >= self._end:
            self.fail("an octet was expected, none is left")
        self.at = at + 1
        return self.octets[at]

    def u16(self) -> int:
        """``uint16``."""
        octets = self.take(2)
        return octets[0] << 8 | octets[1]

    def u32(self) -> int:
        """``uint32``."""
        number: int = _U32.unpack(self.take(4))[0]
        return number

    def u64(self) -> int:
        """``uint64``."""
        number: int = _U64.unpack(self.take(8))[0]
        return number

    def varint(self) -> int:
        """A length header in its shortest form (RFC 9420 §2.1.2)."""
        first = self.u8()
        if first < 0x40:
            return first
        if first < 0x80:
            length, shortest = (first & 0x3F) << 8 | self.u8(), 64
        elif first < 0xC0:
            length, shortest = (first & 0x3F) << 24 | int.from_bytes(self.take(3), "big"), 16384
        else:
            self.fail("a length header begins with the bits 11", "RFC 9420 §2.1.2")
        if length < shortest:
            self.fail(f"the length {length} has a shorter header", "RFC 9420 §2.1.2")
        return length

    def opaque(self) -> bytes:
        """``opaque octets<V>``, without the length header."""
        at = self.at
        if at < self._end and (length := self.octets[at]) < 0x40:  # the usual case, read in one step
            stop = at + 1 + length
            if stop <= self._end:
                self.at = stop
                return self.octets[at + 1 : stop]
        elif at + 1 < self._end and 0x40 <= length < 0x80:  # and the next usual
            length = (length & 0x3F) << 8 | self.octets[at + 1]
            stop = at + 2 + length
            if length >= 0x40 and stop <= self._end:
                self.at = stop
                return self.octets[at + 2 : stop]
        return self.take(self.varint())

    def vector(self, read: Callable[[Reader], _T]) -> tuple[_T, ...]:
        """``T items<V>``: *read* is called until the octets of the vector are used up."""
        length = self.varint()
        outer, stop = self._end, self.at + length
        if stop > outer:
            self.fail(f"a vector of {length} octets was announced, {outer - self.at} are left")
        self._end = stop
        items = []
        while self.at < stop:
            items.append(read(self))
        self._end = outer
        return tuple(items)

    def u16_vector(self) -> tuple[int, ...]:
        """``uint16 numbers<V>``."""
        octets = self.opaque()
        if len(octets) % 2:
            self.fail(f"a vector of uint16 has the odd length {len(octets)}")
        return tuple([number for (number,) in _U16.iter_unpack(octets)])

    def optional(self, read: Callable[[Reader], _T]) -> _T | None:
        """``optional<T>`` (RFC 9420 §2.1.1)."""
        present = self.u8()
        if present > 1:
            self.fail(f"a presence octet is {present}", "RFC 9420 §2.1.1")
        return read(self) if present else None

    def since(self, start: int) -> bytes:
        """The octets from *start*, an earlier value of ``at``, up to here."""
        return self.octets[start : self.at]

    def rest(self) -> bytes:
        """Everything up to the end."""
        return self.take(self._end - self.at)

    def finish(self) -> None:
        """Raises TlsDecodeError if anything is left over."""
        if self.at != self._end:
            self.fail(f"{self._end - self.at} octets are left over")


class TlsStruct:
    """A value of the presentation language. Subclasses define `read` and `encode`."""

    __slots__ = ()

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Takes one value off *reader*. Raises TlsDecodeError."""
        raise NotImplementedError  # abstract: every subclass has its own

    def encode(self) -> bytes:
        """The octets of this value."""
        raise NotImplementedError  # abstract: every subclass has its own

    @classmethod
    def decode(cls, octets: bytes, custom_bodies: CustomBodies = NO_CUSTOM_BODIES) -> Self:
        """The value that is exactly *octets*. Raises TlsDecodeError."""
        reader = Reader(octets, custom_bodies)
        value = cls.read(reader)
        reader.finish()
        return value


@dataclass(frozen=True, slots=True)
class ReceivedStruct(TlsStruct):
    """A value that keeps its octets, because they are signed or hashed: those received, or those it encoded to first.

    Subclasses define `_read` and `_encode`. ``dataclasses.replace`` makes a value that encodes anew.
    """

    _octets: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        raise NotImplementedError  # abstract: every subclass has its own

    def _encode(self) -> bytes:
        raise NotImplementedError  # abstract: every subclass has its own

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Takes one value off *reader*, and keeps its octets. Raises TlsDecodeError."""
        start = reader.at
        value = cls._read(reader)
        object.__setattr__(value, "_octets", reader.octets[start : reader.at])
        return value

    def encode(self) -> bytes:
        """The octets of this value, as received."""
        octets = self._octets
        if octets is None:
            octets = self._encode()
            object.__setattr__(self, "_octets", octets)
        return octets
