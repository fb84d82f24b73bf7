"""STUN as far as SIP over UDP needs it: Binding requests that keep a flow alive (RFC 5626 §3.5.2 and §8, RFC 8489).

Of a client from before RFC 5389, without the magic cookie, the address comes back as it is (RFC 8489 §11)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Final

__all__ = ["MAGIC_COOKIE", "binding_response", "is_stun"]

MAGIC_COOKIE: Final = bytes.fromhex("2112A442")
_BINDING_REQUEST, _BINDING_SUCCESS, _BINDING_ERROR = 0x0001, 0x0101, 0x0111
_HEADER: Final = struct.Struct("!HH16s")  # type, length of what follows, cookie and transaction id
_ATTRIBUTE: Final = struct.Struct("!HH")
_MAPPED_ADDRESS, _ERROR_CODE, _UNKNOWN_ATTRIBUTES, _XOR_MAPPED_ADDRESS = 0x0001, 0x0009, 0x000A, 0x0020
_FINGERPRINT, _FINGERPRINT_MASK = 0x8028, 0x5354554E
_FIRST_OPTIONAL = 0x8000  # attributes below have to be understood (RFC 8489 §14)
# Understood, and of no interest here: addresses, and credentials, for which RFC 5626 §8 has no use
_IGNORED: Final = frozenset((_MAPPED_ADDRESS, _XOR_MAPPED_ADDRESS, 0x0002, 0x0003, 0x0006, 0x0008, 0x0014, 0x0015))
_UNKNOWN_ATTRIBUTE = 420
_MOST_ATTRIBUTES = 32


def is_stun(octets: bytes) -> bool:
    """Whether a datagram is a STUN message: it begins with two zero bits, as no SIP message does, and says its own
    length (RFC 8489 §6.3)."""
    if len(octets) < _HEADER.size or octets[0] & 0xC0:
        return False
    _, length, _ = _HEADER.unpack_from(octets)
    return bool(length % 4 == 0 and len(octets) == _HEADER.size + length)


def binding_response(octets: bytes, host: str, port: int) -> bytes | None:
    """The answer to a STUN message that came from *host* and *port*: where it came from, or 420 for an attribute that
    has to be understood and is not. None for what is not answered: no Binding request, or a malformed one."""
    if not is_stun(octets):
        return None
    kind, _, transaction = _HEADER.unpack_from(octets)
    found = _attribute_types(octets)
    if kind != _BINDING_REQUEST or found is None or not _has_sound_fingerprint(octets, found):
        return None
    unknown = [each for each in found if each < _FIRST_OPTIONAL and each not in _IGNORED]
    if unknown:
        return _message(_BINDING_ERROR, transaction, _error(unknown), has_fingerprint=_FINGERPRINT in found)
    address = _address(host, port, transaction)
    return _message(_BINDING_SUCCESS, transaction, address, has_fingerprint=_FINGERPRINT in found)


def _attribute_types(octets: bytes) -> list[int] | None:
    """None if an attribute is longer than the message."""
    found: list[int] = []
    for kind, end in _attributes(octets):
        if end > len(octets) or len(found) >= _MOST_ATTRIBUTES:
            return None
        found.append(kind)
    return found


def _attributes(octets: bytes) -> Iterator[tuple[int, int]]:
    """The type of each attribute and where it ends; each begins at a multiple of four octets (RFC 8489 §14)."""
    place = _HEADER.size
    while place < len(octets):
        kind, length = _ATTRIBUTE.unpack_from(octets, place)
        place += _ATTRIBUTE.size + (length + 3) // 4 * 4
        yield kind, place


def _has_sound_fingerprint(octets: bytes, found: list[int]) -> bool:
    """Whether the checksum at the end is right, if there is one (RFC 8489 §14.7)."""
    if _FINGERPRINT not in found:
        return True
    return found[-1] == _FINGERPRINT and octets.endswith(_fingerprint(octets[:-8]))


def _fingerprint(octets: bytes) -> bytes:
    return struct.pack("!HHI", _FINGERPRINT, 4, zlib.crc32(octets) ^ _FINGERPRINT_MASK)


def _address(host: str, port: int, transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS (RFC 8489 §14.2), or MAPPED-ADDRESS for a client that knows no other."""
    octets = ip_address(host.partition("%")[0]).packed
    family = 1 if len(octets) == 4 else 2
    if not transaction.startswith(MAGIC_COOKIE):
        return _attribute(_MAPPED_ADDRESS, struct.pack("!HH", family, port) + octets)
    hidden = bytes(each ^ mask for each, mask in zip(octets, transaction, strict=False))
    masked_port = port ^ int.from_bytes(MAGIC_COOKIE[:2])
    return _attribute(_XOR_MAPPED_ADDRESS, struct.pack("!HH", family, masked_port) + hidden)


def _error(unknown: Iterable[int]) -> bytes:
    """ERROR-CODE and UNKNOWN-ATTRIBUTES (RFC 8489 §14.8, §14.9)."""
    code = struct.pack("!HBB", 0, _UNKNOWN_ATTRIBUTE // 100, _UNKNOWN_ATTRIBUTE % 100) + b"Unknown Attribute"
    kinds = b"".join(struct.pack("!H", each) for each in unknown)
    return _attribute(_ERROR_CODE, code) + _attribute(_UNKNOWN_ATTRIBUTES, kinds)


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _message(kind: int, transaction: bytes, attributes: bytes, *, has_fingerprint: bool) -> bytes:
    """The message; with a checksum if the request had one (RFC 8489 §7.3)."""
    checksum_octets = 8 if has_fingerprint else 0
    message = _HEADER.pack(kind, len(attributes) + checksum_octets, transaction) + attributes
    return message + _fingerprint(message) if has_fingerprint else message
