"""What octets say once the codings are undone that need no key: base64, hexadecimal digits, escapes, compression and
folding, one in the other. Whoever sees the octets can do the same."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

__all__ = ["PACKED", "View", "views_of"]

_DEPTH = 3  # codings in one another that are undone (choice)
_MAX_OCTETS = 16 * 1024 * 1024  # of what is given; what is beyond is not read
_LINE_OCTETS = 512
_KEPT_OCTETS = 64 * 1024
_BETWEEN = b"\n\x00\n"  # two things that do not belong together

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_BASE64_LINES = re.compile(rb"[A-Za-z0-9+/_-]+(?:\r?\n[ \t]*[A-Za-z0-9+/_-]{4,})*")
_BASE64_ALONE = re.compile(rb"\s*[A-Za-z0-9+/_-]{2,}={0,2}\s*")  # a short one counts where nothing else is there
_BASE64_SIGNS = bytes.maketrans(b"-_", b"+/")
_MAX_ALONE = 1024
_SAMPLE = 16  # digits by which it is seen whether something legible or compressed is behind them
_LEGIBLE = frozenset((9, 10, 13, *range(0x20, 0x7F)))
_NO_DIGITS = b"\r\n\t :-"
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{2}(?:[ :-][0-9A-Fa-f]{2}){7,}")  # unbroken ones are found as they are
_HEXADECIMAL_HINT = re.compile(rb"[ :-](?:[0-9A-Fa-f]{2}[ :-]){6}")  # found sooner: its first sign is a rare one
_HEXADECIMAL_PACKED = re.compile(rb"(?:1[fF]8[bB]08|78(?:01|5[eE]|9[cC]|[dD][aA]))[0-9A-Fa-f]{16,}")
_HEXADECIMAL_MAGICS = (b"1f8b08", b"1F8B08", b"789c", b"789C")
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
_QUOTED = re.compile(rb"=(?:\r?\n|[0-9A-F]{2})")
_LEAST_ESCAPES = 3  # fewer stand in parameters by chance
_GZIP = b"\x1f\x8b\x08"
_MAX_PACKED = 8  # in one another's neighbourhood
_ENCODED_WORD = re.compile(rb"=\?[\w-]{1,40}\?[Qq]\?([^?\s]{1,998})\?=")
_JSON = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})(?:\\u([dD][c-fC-F][0-9A-Fa-f]{2}))?|([\"\\/bfnrt]))")
_JSON_SIGNS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_XML = re.compile(rb"&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));")
_XML_NAMES = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}
_WIDE = re.compile(rb"(?:[\x20-\x7e]\x00{1,3}){7,}[\x20-\x7e]?")
_FOLDED = re.compile(rb"\r\n[ \t]+")
_LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, slots=True)
class View:
    """*coding* names what was undone, the outermost first."""

    octets: bytes
    coding: str


def views_of(octets: bytes) -> Iterator[View]:
    """Everything that *octets* become when codings are undone, the octets themselves left out. Never raises, and is
    bounded whatever is packed in them. A body crosses several links, and a header stands in every request: what was
    found in them last is kept."""
    if len(octets) > _KEPT_OCTETS:
        return _undone(octets)
    return iter(_of_line(octets) if len(octets) <= _LINE_OCTETS else _of_body(octets))


@lru_cache(maxsize=16_384)
def _of_line(octets: bytes) -> tuple[View, ...]:
    return tuple(_undone(octets))


@lru_cache(maxsize=64)
def _of_body(octets: bytes) -> tuple[View, ...]:
    return tuple(_undone(octets))


def _undone(octets: bytes) -> Iterator[View]:
    layer, seen, given = [View(octets, "")], {octets}, 0
    for _ in range(_DEPTH):
        following = []
        for view in layer:
            for coding, undo in _CODINGS:
                plain = undo(view.octets)
                if plain and plain not in seen and given <= _MAX_OCTETS:
                    seen.add(plain)
                    given += len(plain)
                    following.append(View(plain, f"{view.coding}, {coding}" if view.coding else coding))
        yield from following
        layer = following


def _unpacked(octets: bytes) -> bytes:
    """What is in octets that begin as gzip, zlib, bzip2 or xz do, whether a header says so or not, and in every gzip
    that stands somewhere in them."""
    if octets.startswith(PACKED):
        return _opened(octets)
    pieces: list[bytes] = []
    place = octets.find(_GZIP)
    while place >= 0 and len(pieces) < _MAX_PACKED:
        pieces.append(_opened(octets[place:]))
        place = octets.find(_GZIP, place + 1)
    return _BETWEEN.join(each for each in pieces if each)


def _opened(octets: bytes) -> bytes:
    unpack = next((unpack for magic, unpack in _PACKERS if octets.startswith(magic)), None)
    try:
        return b"" if unpack is None else unpack(octets)
    except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError):
        return b""


def _inflated(octets: bytes) -> bytes:
    return zlib.decompressobj(47).decompress(octets, _MAX_OCTETS)  # 47: zlib or gzip, as it says itself


_PACKERS: tuple[tuple[tuple[bytes, ...], Callable[[bytes], bytes]], ...] = (
    ((_GZIP, b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"), _inflated),
    ((b"BZh",), lambda octets: bz2.BZ2Decompressor().decompress(octets, _MAX_OCTETS)),
    ((b"\xfd7zXZ\x00",), lambda octets: lzma.LZMADecompressor(memlimit=_MAX_OCTETS).decompress(octets, _MAX_OCTETS)),
)
PACKED = tuple(magic for magics, _ in _PACKERS for magic in magics)
"""How something compressed begins."""


def _with_packed(pieces: list[bytes]) -> bytes:
    """All of them as one view, those that are compressed also unpacked."""
    return _BETWEEN.join([*pieces, *(each for each in map(_opened, pieces) if each)])


def _from_base64(octets: bytes) -> bytes:
    """Of long runs those that say something: a text in one is found without this, in whichever place it stands."""
    if len(octets) <= _MAX_ALONE and _BASE64_ALONE.fullmatch(octets):
        return _with_packed([_decoded(octets.strip().rstrip(b"="))])
    pieces: list[bytes] = []
    end = 0
    for run in _BASE64.finditer(octets):
        if run.start() >= end and _is_telling(run[0][:_SAMPLE]):
            lines = _BASE64_LINES.match(octets, run.start())
            pieces.append(_decoded(lines[0] if lines else run[0]))
            end = lines.end() if lines else run.end()
    return _with_packed(pieces)


@lru_cache(maxsize=16_384)  # tags and keys of headers stand in every hop of a message
def _is_telling(digits: bytes) -> bool:
    sample = _decoded(digits)
    return sample.startswith(PACKED) or _LEGIBLE.issuperset(sample)


def _decoded(run: bytes) -> bytes:
    digits = run.translate(_BASE64_SIGNS, b"\r\n\t ")
    spare = len(digits) % 4
    try:
        return a2b_base64(digits[:-1] if spare == 1 else digits + b"=" * (-len(digits) % 4))
    except BinasciiError:
        return b""


def _from_hexadecimal(octets: bytes) -> bytes:
    found = _HEXADECIMAL.findall(octets) if _HEXADECIMAL_HINT.search(octets) else []
    if any(magic in octets for magic in _HEXADECIMAL_MAGICS):
        found += _HEXADECIMAL_PACKED.findall(octets)
    runs = (run.translate(None, _NO_DIGITS) for run in found)
    return _with_packed([bytes.fromhex(run[: len(run) // 2 * 2].decode("ascii")) for run in runs])


def _from_percent(octets: bytes) -> bytes:
    if octets.count(b"%") < _LEAST_ESCAPES or len(_PERCENT.findall(octets)) < _LEAST_ESCAPES:
        return b""
    plain = unquote_to_bytes(octets)
    return plain if b"+" not in octets else plain + _BETWEEN + unquote_to_bytes(octets.replace(b"+", b" "))


def _from_quoted_printable(octets: bytes) -> bytes:
    if octets.count(b"=") < _LEAST_ESCAPES or len(_QUOTED.findall(octets)) < _LEAST_ESCAPES:
        return b""
    words = _ENCODED_WORD.sub(lambda word: word[1].replace(b"_", b" "), octets) if b"=?" in octets else octets
    return _QUOTED.sub(lambda sign: b"" if sign[0][1:2] in b"\r\n" else bytes([int(sign[0][1:], 16)]), words)


def _from_encoded_words(octets: bytes) -> bytes:
    """RFC 2047 §4.2 without any escape: only its underlines are left."""
    words = _ENCODED_WORD.findall(octets) if b"=?" in octets else []
    return _BETWEEN.join(word.replace(b"_", b" ") for word in words)


def _from_json(octets: bytes) -> bytes:
    return _JSON.sub(_json_sign, octets) if b"\\u" in octets else b""


def _json_sign(found: re.Match[bytes]) -> bytes:
    if found[3]:
        return _JSON_SIGNS.get(found[3], found[3])
    units = bytes.fromhex((found[1] + (found[2] or b"")).decode("ascii"))
    return units.decode("utf-16-be", "replace").encode("utf-8", "replace")


def _from_xml(octets: bytes) -> bytes:
    return _XML.sub(_xml_sign, octets) if b"&#" in octets else b""


def _xml_sign(found: re.Match[bytes]) -> bytes:
    if found[3]:
        return _XML_NAMES[found[3]]
    code_point = int(found[1]) if found[1] else int(found[2], 16)
    return chr(code_point).encode("utf-8", "replace") if code_point <= _LAST_CODE_POINT else b""


def _from_wide(octets: bytes) -> bytes:
    """ASCII in two or four octets a character, in either order."""
    runs = _WIDE.findall(octets) if b"\x00" in octets else []
    return _BETWEEN.join(run.translate(None, b"\x00") for run in runs)


def _unfolded(octets: bytes) -> bytes:
    return _FOLDED.sub(b" ", octets) if b"\r\n " in octets or b"\r\n\t" in octets else b""


_CODINGS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("compression", _unpacked),
    ("base64", _from_base64),
    ("hexadecimal digits", _from_hexadecimal),
    ("percent-encoding", _from_percent),
    ("quoted-printable", _from_quoted_printable),
    ("encoded words", _from_encoded_words),
    ("JSON escapes", _from_json),
    ("XML escapes", _from_xml),
    ("wide characters", _from_wide),
    ("folding", _unfolded),
)
