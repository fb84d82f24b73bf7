"""Multipart bodies (RFC 2046 §5.1): parts of any octets between boundary lines, nested within bounds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from rcs_sim.wire.mime import (
    MediaType,
    MimeHeaders,
    MimeParseError,
    decode_transfer_encoding,
    find_header,
    parse_mime_headers,
)

__all__ = ["BodyPart", "Multipart", "MultipartParseError"]

MAX_PARTS = 200  # an aggregated IMDN of the largest group has 100
MAX_DEPTH = 4  # multipart in multipart; RCS uses two levels
MAX_PART_HEADER_OCTETS = 16 * 1024
_SPEC = "RFC 2046 §5.1"
# RFC 2046 §5.1.1: boundary := 0*69<bchars> bcharsnospace
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_BLANK_LINE = re.compile(rb"\n\r?\n")


class MultipartParseError(RemoteProtocolError):
    """The peer's octets are no multipart body of the type that was announced."""


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A body part: its header fields and its content as written."""

    headers: MimeHeaders
    content: bytes

    @classmethod
    def of(cls, content_type: str, content: bytes, *headers: tuple[str, str]) -> BodyPart:
        """A part of *content_type* with further *headers*."""
        return cls((("Content-Type", content_type), *headers), content)

    @property
    def content_type(self) -> MediaType:
        """Type of the part, text/plain if none is given (RFC 2046 §5.1). Raises MultipartParseError if malformed."""
        try:
            return MediaType.parse(find_header(self.headers, "Content-Type") or "text/plain")
        except MimeParseError as error:
            raise MultipartParseError(f"body part: {error}", spec=_SPEC, raw=error.raw) from error

    @property
    def body(self) -> bytes:
        """The content without its transfer encoding. Raises MultipartParseError if that is broken."""
        try:
            decoded = decode_transfer_encoding(
                find_header(self.headers, "Content-Transfer-Encoding") or "", self.content
            )
        except MimeParseError as error:
            raise MultipartParseError(f"body part: {error}", spec=_SPEC, raw=error.raw) from error
        return self.content if decoded is None else decoded

    def _encode(self) -> bytes:
        for name, value in self.headers:
            if not name or any(character in name + value for character in "\r\n\0") or ":" in name:
                raise LocalProtocolError(f"no MIME header: {name!r}: {value!r}", spec="RFC 2045 §3")
        return "".join(f"{name}: {value}\r\n" for name, value in self.headers).encode() + b"\r\n" + self.content


@dataclass(frozen=True, slots=True)
class Multipart:
    """A multipart body. *subtype* is ``mixed``, ``related``, ``form-data`` ... Preamble and epilogue are dropped."""

    parts: tuple[BodyPart, ...]
    subtype: str = "mixed"

    @classmethod
    def parse(cls, content_type: MediaType | str, body: bytes) -> Multipart:
        """Refuses a body without its closing boundary line. Raises MultipartParseError, and nothing else."""
        media_type, boundary = _read_type(content_type)
        parts = tuple(_read_part(octets) for octets in _split(body, boundary))
        return cls(parts, media_type.essence.removeprefix("multipart/"))

    def walk(self, depth: int = 1) -> Iterator[BodyPart]:
        """The parts that are not multipart themselves, in order, however they are nested. Raises MultipartParseError
        for a malformed inner body or beyond `MAX_DEPTH` levels."""
        if depth > MAX_DEPTH:
            raise MultipartParseError(f"more than {MAX_DEPTH} levels of multipart", spec=_SPEC)
        for part in self.parts:
            if part.content_type.essence.startswith("multipart/"):
                yield from Multipart.parse(part.content_type, part.body).walk(depth + 1)
            else:
                yield part

    def part(self, essence: str) -> BodyPart | None:
        """First part, at any depth, whose type and subtype are *essence* (lower case)."""
        return next((part for part in self.walk() if part.content_type.essence == essence), None)

    def encode(self, boundary: str | None = None) -> tuple[str, bytes]:
        """Content-Type value and body. Without *boundary* one that occurs in no part is derived from the parts.

        Raises LocalProtocolError for no part at all, a bad *boundary*, or one that occurs in a part."""
        if not self.parts:
            raise LocalProtocolError("a multipart body needs a part", spec=_SPEC)
        encoded = [part._encode() for part in self.parts]
        chosen = _choose_boundary(encoded) if boundary is None else _check_boundary(boundary, encoded)
        delimiter = b"--" + chosen.encode()
        body = b"".join(delimiter + b"\r\n" + octets + b"\r\n" for octets in encoded) + delimiter + b"--\r\n"
        return f'multipart/{self.subtype};boundary="{chosen}"', body


def _read_type(content_type: MediaType | str) -> tuple[MediaType, bytes]:
    try:
        media_type = MediaType.parse(content_type) if isinstance(content_type, str) else content_type
    except MimeParseError as error:
        raise MultipartParseError(str(error), spec=_SPEC, raw=error.raw) from error
    boundary = media_type.parameter("boundary")
    if not media_type.essence.startswith("multipart/") or boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise MultipartParseError(f"no multipart type with a boundary: {media_type}", spec="RFC 2046 §5.1.1")
    return media_type, boundary.encode("ascii")


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    """Octets of each part. The line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1)."""
    parts: list[bytes] = []
    start: int | None = None
    for end, after, is_last in _delimiters(body, b"--" + boundary):
        if start is not None:
            parts.append(body[start : max(start, end)])
        if is_last:
            return _checked(parts, body)
        if len(parts) >= MAX_PARTS:
            raise MultipartParseError(f"more than {MAX_PARTS} body parts", spec=_SPEC)
        start = after
    raise MultipartParseError("no closing boundary line", spec="RFC 2046 §5.1.1", raw=body[-64:])


def _delimiters(body: bytes, marker: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where each delimiter line starts, with the line end before it, and ends; and whether it is the closing one."""
    position = body.find(marker)
    while position >= 0:
        after = position + len(marker)
        if position == 0 or body[position - 1 : position] == b"\n":
            line_end = body.find(b"\n", after)
            next_line = len(body) if line_end < 0 else line_end + 1
            tail = body[after:next_line].rstrip(b" \t\r\n")  # transport padding (RFC 2046 §5.1.1)
            if tail in (b"", b"--"):
                begin = max(position - 1, 0)
                yield begin - (body[begin - 1 : begin] == b"\r"), next_line, tail == b"--"
        position = body.find(marker, after)


def _checked(parts: list[bytes], body: bytes) -> list[bytes]:
    if not parts:
        raise MultipartParseError("no body part", spec=_SPEC, raw=body)
    return parts


def _read_part(octets: bytes) -> BodyPart:
    if octets.startswith((b"\r\n", b"\n")):
        return BodyPart((), octets[octets.index(b"\n") + 1 :])
    end = _BLANK_LINE.search(octets, 0, MAX_PART_HEADER_OCTETS)
    block, content = (octets, b"") if end is None else (octets[: end.start()], octets[end.end() :])
    if len(block) > MAX_PART_HEADER_OCTETS:
        raise MultipartParseError("headers of a body part too long", spec=_SPEC, raw=octets)
    try:
        return BodyPart(parse_mime_headers(block), content)
    except MimeParseError as error:
        raise MultipartParseError(f"body part: {error}", spec=_SPEC, raw=error.raw) from error


def _choose_boundary(encoded: Sequence[bytes]) -> str:
    digest = hashlib.sha256(b"\0".join(encoded))
    while True:
        boundary = f"part-{digest.hexdigest()[:24]}"
        if not any(boundary.encode() in octets for octets in encoded):
            return boundary
        digest.update(b"again")


def _check_boundary(boundary: str, encoded: Sequence[bytes]) -> str:
    if not _BOUNDARY.fullmatch(boundary):
        raise LocalProtocolError(f"no boundary: {boundary!r}", spec="RFC 2046 §5.1.1")
    if any(b"--" + boundary.encode() in octets for octets in encoded):
        raise LocalProtocolError(f"boundary {boundary!r} occurs in a part", spec="RFC 2046 §5.1.1")
    return boundary
