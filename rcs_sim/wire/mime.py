"""MIME header fields, media types and transfer encodings (RFC 2045), as CPIM and multipart bodies need them."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from functools import lru_cache

from ims_core.errors import RemoteProtocolError

__all__ = [
    "MediaType",
    "MimeHeaders",
    "MimeParseError",
    "decode_transfer_encoding",
    "find_blank_line",
    "find_header",
    "parse_mime_headers",
]

MAX_MIME_HEADERS = 100  # no known part has more than a dozen
MAX_CACHED_OCTETS = 256  # messages of one kind repeat the same small block; larger ones are parsed each time
MAX_MEDIA_TYPE_CHARACTERS = 1024  # keeps the cache of parsed media types small
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 2045 §5.1 token; "{" and "}" never occur
# RFC 2045 §5.1: parameter := attribute "=" value; value := token / quoted-string. White space around both is common
_PARAMETER = re.compile(r"""[ \t]*;[ \t]*(?:([^\s;="]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*)))?[ \t]*""")
_QUOTED_PAIR = re.compile(r"\\(.)")
_TEXT_CODECS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "iso-8859-1": "latin-1", "utf-16": "utf-16"}

MimeHeaders = tuple[tuple[str, str], ...]


class MimeParseError(RemoteProtocolError):
    """MIME header fields or a transfer encoding that cannot be read."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """Content-Type value (RFC 2045 §5.1). *essence* is ``type/subtype`` in lower case; parameters as received."""

    essence: str
    parameters: MimeHeaders = ()

    @classmethod
    def parse(cls, text: str) -> MediaType:
        """Raises MimeParseError if *text* is no media type."""
        if len(text) > MAX_MEDIA_TYPE_CHARACTERS:
            raise MimeParseError("media type too long", spec="RFC 2045 §5.1", raw=text[:64].encode("utf-8", "replace"))
        return _parse_media_type(text)

    def parameter(self, name: str) -> str | None:
        """First parameter *name*, compared without regard to case."""
        wanted = name.lower()
        return next((value for key, value in self.parameters if key.lower() == wanted), None)

    def decode_text(self, body: bytes) -> str:
        """*body* as text of this type; charsets other than UTF-8, US-ASCII, ISO-8859-1 and UTF-16 are read as UTF-8.
        Undecodable octets become U+FFFD."""
        codec = _TEXT_CODECS.get((self.parameter("charset") or "utf-8").lower(), "utf-8")
        return body.decode(codec, "replace")

    def __str__(self) -> str:
        if not self.parameters:
            return self.essence
        return self.essence + "".join(f";{name}={_quoted(value)}" for name, value in self.parameters)


@lru_cache(maxsize=256)
def _parse_media_type(text: str) -> MediaType:
    essence, semicolon, _ = text.partition(";")
    kind, slash, subtype = (part.strip(" \t") for part in essence.partition("/"))
    if not (slash and _TOKEN.fullmatch(kind) and _TOKEN.fullmatch(subtype)):
        raise MimeParseError("malformed media type", spec="RFC 2045 §5.1", raw=text.encode("utf-8", "replace"))
    parameters = _parse_parameters(text, len(essence)) if semicolon else ()
    return MediaType(f"{kind}/{subtype}".lower(), parameters)


def _parse_parameters(text: str, position: int) -> MimeHeaders:
    found: list[tuple[str, str]] = []
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            raise MimeParseError("malformed parameter", spec="RFC 2045 §5.1", raw=text.encode("utf-8", "replace"))
        name, quoted, token = match.groups()
        if name:
            found.append((name, token if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)))
        position = match.end()
    return tuple(found)


def _quoted(value: str) -> str:
    if _TOKEN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def find_blank_line(octets: bytes, start: int, stop: int) -> tuple[int, int] | None:
    """The first empty line after a line that begins at or after *start*, and before *stop*: where the line feed before
    it stands, and where the octets after it begin. At 0 an empty line needs none before it. Bare LF is accepted."""
    if start == 0 and octets.startswith((b"\n", b"\r\n")):
        return 0, 1 if octets[0] == 0x0A else 2
    found = octets.find(b"\n\r\n", start, stop)
    bare = octets.find(b"\n\n", start, stop if found < 0 else found + 1)
    if bare >= 0:
        return bare, bare + 2
    return None if found < 0 else (found, found + 3)


def parse_mime_headers(block: bytes) -> MimeHeaders:
    """Name and unfolded value of each header field in *block*, which ends before the empty line. Bare LF is accepted.

    Octets that are not UTF-8 become U+FFFD. Raises MimeParseError for a line that is no header field."""
    return _parse_cached(block) if len(block) <= MAX_CACHED_OCTETS else _parse_headers(block)


def _parse_headers(block: bytes) -> MimeHeaders:
    text = block.decode("utf-8", "replace")
    if "\n " in text or "\n\t" in text:  # RFC 5322 §2.2.3: unfolding removes the CRLF before white space
        text = re.sub(r"\r?\n(?=[ \t])", "", text)
    fields: list[tuple[str, str]] = []
    for line in text.rstrip("\r\n").split("\n") if text else ():
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name.rstrip(" \t")):
            raise MimeParseError("malformed MIME header", spec="RFC 2045 §3", raw=line[:80].encode("utf-8", "replace"))
        fields.append((name.rstrip(" \t"), value.strip()))
    if len(fields) > MAX_MIME_HEADERS:
        raise MimeParseError(f"more than {MAX_MIME_HEADERS} MIME headers", spec="RFC 2045 §3")
    return tuple(fields)


_parse_cached = lru_cache(maxsize=512)(_parse_headers)


def find_header(headers: MimeHeaders, name: str) -> str | None:
    """First field value of *name*, compared without regard to case."""
    for key, value in headers:
        if key == name or key.lower() == name.lower():
            return value
    return None


def decode_transfer_encoding(encoding: str, body: bytes) -> bytes | None:
    """*body* without its Content-Transfer-Encoding (RFC 2045 §6); None for an encoding that is not known.

    Raises MimeParseError for broken base64. Missing padding is accepted (choice: seen from gateways)."""
    match encoding.strip().lower():
        case "" | "binary" | "8bit" | "7bit":
            return body
        case "base64":
            return _decode_base64(body)
        case "quoted-printable":
            return binascii.a2b_qp(body)
    return None


def _decode_base64(body: bytes) -> bytes:
    compact = b"".join(body.split())
    try:
        return binascii.a2b_base64(compact + b"=" * (-len(compact) % 4), strict_mode=True) if compact else b""
    except binascii.Error as error:
        raise MimeParseError(f"broken base64: {error}", spec="RFC 2045 §6.8", raw=body[:64]) from error
