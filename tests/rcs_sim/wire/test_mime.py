"""Media types, MIME headers and transfer encodings."""

from __future__ import annotations

import base64
import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.mime import (
    MediaType,
    MimeParseError,
    decode_transfer_encoding,
    find_blank_line,
    find_header,
    parse_mime_headers,
)


@pytest.mark.parametrize(
    ("text", "essence", "parameters"),
    [
        ("text/plain", "text/plain", ()),
        ("TEXT/Plain; Charset=utf-8", "text/plain", (("Charset", "utf-8"),)),
        ('multipart/mixed;boundary="a b;c\\"d" ; x = y;', "multipart/mixed", (("boundary", 'a b;c"d'), ("x", "y"))),
        ("message/imdn+xml", "message/imdn+xml", ()),
    ],
)
def test_media_types_are_read(text: str, essence: str, parameters: tuple[tuple[str, str], ...]) -> None:
    media_type = MediaType.parse(text)
    assert (media_type.essence, media_type.parameters) == (essence, parameters)
    assert MediaType.parse(str(media_type)) == media_type


@pytest.mark.parametrize(
    "text", ["", "text", "text/", "/plain", "te xt/plain", 'a/b;c="x', "a/b;=x", "a/b" + "x" * 2000]
)
def test_malformed_media_types_are_refused(text: str) -> None:
    with pytest.raises(MimeParseError):
        MediaType.parse(text)


def test_headers_are_unfolded_and_found_without_regard_to_case() -> None:
    headers = parse_mime_headers(b"Content-Type: multipart/mixed;\r\n boundary=x\nX-A:\tb \r\n")
    assert headers == (("Content-Type", "multipart/mixed; boundary=x"), ("X-A", "b"))
    assert find_header(headers, "content-type") == "multipart/mixed; boundary=x"
    assert find_header(headers, "x-b") is None


@pytest.mark.parametrize("block", [b"no colon", b": x", b"a b: c", b"A: 1\r\n\r\nB: 2", b"A: 1\r\n" * 101])
def test_malformed_headers_are_refused(block: bytes) -> None:
    with pytest.raises(MimeParseError):
        parse_mime_headers(block)


@given(st.binary(max_size=200))
def test_base64_is_undone_also_with_line_ends_and_without_padding(body: bytes) -> None:
    assert decode_transfer_encoding(" BASE64 ", base64.encodebytes(body)) == body
    assert decode_transfer_encoding("base64", base64.b64encode(body).rstrip(b"=")) == body


def test_other_transfer_encodings() -> None:
    assert decode_transfer_encoding("quoted-printable", b"a=C3=A9=\r\nb") == "aéb".encode()
    assert decode_transfer_encoding("binary", b"\x00") == b"\x00"
    assert decode_transfer_encoding("x-own", b"a") is None
    with pytest.raises(MimeParseError):
        decode_transfer_encoding("base64", b"a*b=")


@given(st.binary(max_size=300), st.text(max_size=80), st.binary(max_size=80))
def test_any_octets_give_a_value_or_the_modules_own_error(block: bytes, media_type: str, body: bytes) -> None:
    with contextlib.suppress(MimeParseError):
        parse_mime_headers(block)
    with contextlib.suppress(MimeParseError):
        assert isinstance(MediaType.parse(f"a/b;{media_type}").decode_text(body), str)
    with contextlib.suppress(MimeParseError):
        decode_transfer_encoding("base64", body)
    decode_transfer_encoding("quoted-printable", body)


_BLANK_LINE = re.compile(rb"(?:\A|\n)\r?\n")


_PIECES = st.sampled_from([b"\r", b"\n", b"a", b"\r\n", b":"])


@given(st.lists(_PIECES, max_size=12), st.integers(0, 3), st.integers(0, 14))
def test_an_empty_line_is_found_as_its_definition_finds_it(parts: list[bytes], start: int, stop: int) -> None:
    octets = b"".join(parts)
    start, stop = min(start, len(octets)), max(stop, 2)
    expected = _BLANK_LINE.search(octets, start, stop)
    assert find_blank_line(octets, start, stop) == (None if expected is None else expected.span())
