"""The octets as which a text can stand in a message: every encoding that a network element would read at sight."""

from __future__ import annotations

import base64
import json
import quopri
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from html import escape as escape_xml
from urllib.parse import quote, quote_plus

from ims_core.wire.sms.alphabet import encode_gsm7, is_gsm7

__all__ = ["TextEncoding", "TextPattern", "is_legible", "looks_random", "patterns_of", "without_mls_head"]

_JSON_QUOTES = slice(1, -1)
_RUN, _LONG_RUN, _LONG_RUN_BELOW = 8, 16, 4  # legible octets around a text of a few octets (choice)
_SIGHT = 64  # octets before and behind that are looked at
_SIGNS = frozenset(b' \t\r\n"<>{}')  # an identifier has none of these
_AROUND, _DIFFERENT = 64, 46  # octets, and how many values they have: of random ones 57, seldom below 50
_LEGIBLE = frozenset((9, 10, 13, *range(0x20, 0x7F)))


class TextEncoding(StrEnum):
    """How a text was written."""

    UTF_8 = "UTF-8"
    UTF_16_BE = "UCS-2"
    UTF_16_LE = "UTF-16LE"
    LATIN_1 = "ISO-8859-1"
    GSM_7 = "GSM 7 bit"
    BASE64 = "base64"
    QUOTED_PRINTABLE = "quoted-printable"
    PERCENT = "percent-encoding"
    HEXADECIMAL = "hexadecimal digits"
    JSON = "JSON escapes"
    XML = "XML escapes"
    BASE32 = "base32"
    REVERSED = "the letters turned round"
    ROT13 = "rot13"


@dataclass(frozen=True, slots=True)
class TextPattern:
    """*octets* stand in a message if the text does. Of base64 and GSM 7 bit those that do not depend on what is before
    and behind it."""

    octets: bytes
    encoding: TextEncoding


# Octets of forms that leave out what their neighbours change, or that any identifier can have: fewer say nothing.
_LEAST = {
    TextEncoding.BASE64: 4,
    TextEncoding.GSM_7: 4,
    TextEncoding.HEXADECIMAL: 8,
    TextEncoding.BASE32: 8,
    TextEncoding.REVERSED: 8,
    TextEncoding.ROT13: 8,
}


@lru_cache(maxsize=1024)  # the hops of a message stand close together
def patterns_of(text: str) -> tuple[TextPattern, ...]:
    """All forms of *text*, each octet string once, the plainest name first."""
    found: dict[bytes, TextEncoding] = {}
    for encoding, octets in _forms(text):
        if len(octets) >= _LEAST.get(encoding, 1):
            found.setdefault(octets, encoding)
    return tuple(TextPattern(octets, encoding) for octets, encoding in found.items())


def _forms(text: str) -> Iterator[tuple[TextEncoding, bytes]]:
    utf8 = text.encode("utf-8", "replace")
    wide = {
        TextEncoding.UTF_16_BE: text.encode("utf-16-be", "replace"),
        TextEncoding.UTF_16_LE: text.encode("utf-16-le", "replace"),
    }
    yield TextEncoding.UTF_8, utf8
    yield from wide.items()
    if not text.isascii():
        yield TextEncoding.LATIN_1, text.encode("latin-1", "ignore") if _is_latin(text) else b""
    for octets in _packed(text):
        yield TextEncoding.GSM_7, octets
    for plain in (utf8, *wide.values()):
        for octets in _base64_forms(plain):
            yield TextEncoding.BASE64, octets
    for plain in (utf8, *wide.values()):
        yield TextEncoding.HEXADECIMAL, plain.hex().encode()
        yield TextEncoding.HEXADECIMAL, plain.hex().upper().encode()
    yield from _escaped(text, utf8)
    for octets in _base32_forms(utf8):
        yield TextEncoding.BASE32, octets
    yield from _disguised(text, utf8)


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


def _packed(text: str) -> Iterator[bytes]:
    """Septets that begin at any bit of an octet (TS 23.038 §6.1.2.1.1), without the octets shared with neighbours."""
    if not is_gsm7(text):
        return
    septets = encode_gsm7(text)
    bits = sum(septet << 7 * place for place, septet in enumerate(septets)) if len(septets) <= 256 else 0
    if len(septets) > 256:
        yield from _packed(text[:120])  # the beginning tells as much, and an integer of many bits costs
        return
    for shift in range(8):
        count = 7 * len(septets) + shift
        octets = (bits << shift).to_bytes(count // 8 + 1, "little")
        yield octets[1 if shift else 0 : count // 8]


def _base64_forms(plain: bytes) -> Iterator[bytes]:
    """In each place of a group of three octets, in both alphabets (RFC 4648 §4, §5)."""
    for before, unknown in ((0, 0), (1, 2), (2, 3)):
        written = base64.b64encode(bytes(before) + plain)
        octets = written[unknown : (before + len(plain)) * 8 // 6]
        yield octets
        yield octets.translate(_URL_SAFE)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _base32_forms(plain: bytes) -> Iterator[bytes]:
    """In each place of a group of five octets, in capitals and small letters, in both alphabets (RFC 4648 §6, §7)."""
    for before in range(5):
        written = base64.b32encode(bytes(before) + plain)
        octets = written[-(-before * 8 // 5) : (before + len(plain)) * 8 // 5]
        for each in (octets, octets.translate(_EXTENDED_HEX)):
            yield each
            yield each.lower()


_EXTENDED_HEX = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHIJKLMNOPQRSTUV")


def _disguised(text: str, utf8: bytes) -> Iterator[tuple[TextEncoding, bytes]]:
    """What takes a reader no key, but a moment."""
    yield TextEncoding.REVERSED, text[::-1].encode("utf-8", "replace")
    yield TextEncoding.REVERSED, utf8[::-1]
    yield TextEncoding.REVERSED, base64.b64encode(utf8)[::-1].lstrip(b"=")
    yield TextEncoding.ROT13, utf8.translate(_ROT13)


_LETTERS = bytes(range(0x41, 0x5B)), bytes(range(0x61, 0x7B))
_ROT13 = bytes.maketrans(b"".join(_LETTERS), b"".join(each[13:] + each[:13] for each in _LETTERS))


def _escaped(text: str, utf8: bytes) -> Iterator[tuple[TextEncoding, bytes]]:
    yield TextEncoding.QUOTED_PRINTABLE, quopri.encodestring(utf8).replace(b"=\n", b"").replace(b"\n", b"\r\n")
    for spare in ("", "/", "!'()*~", "!$&'()*+,;=:@/?~"):
        for write in _QUOTERS:
            written = write(text, spare)
            yield TextEncoding.PERCENT, written.encode()
            yield TextEncoding.PERCENT, _lower_hexadecimal(written).encode()
    for is_ascii in (True, False):
        written = json.dumps(text, ensure_ascii=is_ascii)[_JSON_QUOTES]
        yield TextEncoding.JSON, written.encode("utf-8", "replace")
        yield TextEncoding.JSON, written.replace("/", "\\/").encode("utf-8", "replace")
    for has_quotes in (True, False):
        written = escape_xml(text, quote=has_quotes)
        yield TextEncoding.XML, written.encode("utf-8", "replace")
        yield TextEncoding.XML, written.encode("ascii", "xmlcharrefreplace")
        for form in ("&#x{:x};", "&#x{:X};"):
            wide = (character if character.isascii() else form.format(ord(character)) for character in written)
            yield TextEncoding.XML, "".join(wide).encode()


_QUOTERS: tuple[Callable[[str, str], str], ...] = (
    lambda text, spare: quote(text, safe=spare, errors="replace"),
    lambda text, spare: quote_plus(text, safe=spare, errors="replace"),
)


def _lower_hexadecimal(written: str) -> str:
    head, *rest = written.split("%")
    return head + "".join(f"%{piece[:2].lower()}{piece[2:]}" for piece in rest)


def is_legible(octets: bytes, start: int, length: int) -> bool:
    """Whether the *length* octets from *start* stand in something written, and not in octets that have them by chance
    or in an identifier: they are all that is there, or a word in a run of legible octets that has other signs than
    letters and digits."""
    if length == len(octets):
        return True
    wanted = _LONG_RUN if length < _LONG_RUN_BELOW else _RUN
    first, last = start, start + length
    if octets[first - 1 : first].isalnum() or octets[last : last + 1].isalnum():
        return False
    while first > 0 and start - first < _SIGHT and octets[first - 1] in _LEGIBLE:
        first -= 1
    while last < len(octets) and last - start < _SIGHT and octets[last] in _LEGIBLE:
        last += 1
    return last - first >= wanted and not _SIGNS.isdisjoint(octets[first:last])


def looks_random(octets: bytes, start: int) -> bool:
    """Whether the octets around *start* are like those of a cipher: then a few of them are not there on purpose."""
    first = max(0, min(start - _AROUND // 2, len(octets) - _AROUND))
    around = octets[first : first + _AROUND]
    return len(around) == _AROUND and len(set(around)) >= _DIFFERENT


_PRIVATE_MESSAGE = b"\x00\x01\x00\x02"  # MLSMessage: mls10, mls_private_message (RFC 9420 §6)
_EPOCH_AND_CONTENT_TYPE = 9  # octets


def without_mls_head(octets: bytes) -> bytes:
    """The sealed part of an MLSMessage: group id, epoch and authenticated data are in clear by design, and none of them
    is a text. Other octets are given back as they are."""
    if not octets.startswith(_PRIVATE_MESSAGE):
        return octets
    group_id = _vector_end(octets, len(_PRIVATE_MESSAGE))
    end = group_id and _vector_end(octets, group_id + _EPOCH_AND_CONTENT_TYPE)
    return octets[end:] if end else octets


def _vector_end(octets: bytes, start: int) -> int:
    """Where a vector ends whose length is a variable-size integer (RFC 9420 §2.1.2); 0 if it does not end here."""
    if start >= len(octets):
        return 0
    width = (1, 2, 4, 0)[octets[start] >> 6]
    length = int.from_bytes(octets[start : start + width], "big") & ((1 << (8 * width - 2)) - 1 if width else 0)
    end = start + width + length
    return end if width and end <= len(octets) else 0
