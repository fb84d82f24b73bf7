"""Codings that need no key hide nothing, also one in the other; no octets are too strange, and no bomb goes off."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.scenario.oracle_views import views_of

_TEXT = b"meet me at the old harbour, at eight"


def _lines(octets: bytes, end: bytes) -> bytes:
    return end.join(octets[start : start + 20] for start in range(0, len(octets), 20))


_CODED: dict[str, Callable[[bytes], bytes]] = {
    "compression": lambda text: gzip.compress(text, mtime=0),
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "gzip in the middle": lambda text: b"--boundary\r\n\r\n" + gzip.compress(text, mtime=0) + b"\r\n--boundary--",
    "base64": base64.b64encode,
    "base64 in lines": lambda text: _lines(base64.b64encode(text), b"\r\n"),
    "base64 in short lines": lambda text: _lines(base64.b64encode(text), b"\n"),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(text)),
    "base64 thrice": lambda text: base64.b64encode(base64.b64encode(base64.b64encode(text))),
    "base64 of gzip": lambda text: b'{"data":"' + base64.b64encode(gzip.compress(text, mtime=0)) + b'"}',
    "base64url of zlib": lambda text: b"X-Trace: " + base64.urlsafe_b64encode(zlib.compress(text)),
    "hexadecimal of gzip": lambda text: gzip.compress(text, mtime=0).hex().encode(),
    "hexadecimal with colons": lambda text: text.hex(":").encode(),
    "hexadecimal with spaces": lambda text: text.hex(" ").upper().encode(),
    "every octet percent-encoded": lambda text: b"".join(b"%%%02x" % octet for octet in text),
    "a form": lambda text: b"q=1&text=" + text.replace(b" ", b"+").replace(b",", b"%2C%20%21"),
    "every octet quoted-printable": lambda text: b"".join(b"=%02X" % octet for octet in text),
    "an encoded word": lambda text: b"Subject: =?utf-8?Q?" + text.replace(b" ", b"_") + b"?=",
    "JSON escapes": lambda text: b"".join(b"\\u%04X" % octet for octet in text),
    "XML decimal": lambda text: b"".join(b"&#%d;" % octet for octet in text),
    "XML hexadecimal": lambda text: b"".join(b"&#x%X;" % octet for octet in text),
    "UTF-32": lambda text: text.decode().encode("utf-32-be"),
    "UTF-32, the other way": lambda text: text.decode().encode("utf-32-le"),
    "folded": lambda text: b"Subject: " + text.replace(b" ", b"\r\n "),
    "percent-encoded JSON": lambda text: b"".join(b"%%5Cu%04x" % octet for octet in text),
}


def _bare(octets: bytes) -> bytes:
    return octets.replace(b"%2C%20%21", b"").replace(b", !", b",")


@pytest.mark.parametrize("name", _CODED)
def test_a_coding_is_undone(name: str) -> None:
    views = [_bare(view.octets) for view in views_of(_CODED[name](_TEXT))]
    expected = _TEXT.replace(b",", b"") if name == "a form" else _TEXT
    assert any(expected in view or expected in view.replace(b",", b"") for view in views)


def test_what_was_undone_is_named_from_the_outside() -> None:
    octets = base64.b64encode(gzip.compress(_TEXT, mtime=0))
    assert any(view.coding == "base64" and _TEXT in view.octets for view in views_of(octets))
    percent = b"".join(b"%%%02x" % octet for octet in base64.b64encode(base64.b64encode(_TEXT)))
    assert "percent-encoding, base64, base64" in {view.coding for view in views_of(percent) if _TEXT in view.octets}


def test_surrogates_and_names_come_back_as_one_character() -> None:
    assert any("👍".encode() == view.octets for view in views_of(b"\\ud83d\\udc4d"))
    assert any("👍 <ok>".encode() == view.octets for view in views_of(b"&#128077; &lt;ok&gt;"))


def test_there_is_nothing_to_undo_in_plain_octets_and_in_those_of_a_cipher() -> None:
    assert list(views_of(b"")) == []
    assert list(views_of(b"INVITE tel:+12025550152 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1\r\n\r\n")) == []


@pytest.mark.parametrize("pack", [lambda octets: gzip.compress(octets, mtime=0), bz2.compress, lzma.compress])
def test_a_bomb_is_cut_off(pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(24 * 1024 * 1024))
    assert sum(len(view.octets) for view in views_of(bomb)) <= 17 * 1024 * 1024


@given(st.binary(max_size=400))
def test_any_octets_are_read_without_an_error(octets: bytes) -> None:
    for before in (b"", b"\x1f\x8b\x08", b"\x78\x9c", b"BZh9", b"\xfd7zXZ\x00", b"%41%42%43", b"=?u?Q?=41=41=41?="):
        for view in views_of(before + octets):
            assert view.coding


@given(st.text(alphabet="%=&#\\u0aA;x?Qq_+-/ \r\n\x00", max_size=300))
def test_any_escapes_are_read_without_an_error(text: str) -> None:
    assert all(view.octets for view in views_of(text.encode()))
