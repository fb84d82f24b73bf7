"""Whatever writes a text, the octets that come out have one of its patterns in them."""

from __future__ import annotations

import base64
import hashlib
import json
import quopri
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.sms.alphabet import encode_gsm7, pack_septets
from rcs_sim.scenario.oracle_encodings import TextEncoding, is_legible, looks_random, patterns_of, without_mls_head

_TEXTS = ("meet me at the harbour", 'Grüße & <Küsse> aus "Köln"', "50% off = 3/4 + more", "привет 👍")


def _encodings_in(text: str, octets: bytes) -> set[TextEncoding]:
    return {pattern.encoding for pattern in patterns_of(text) if pattern.octets in octets}


@pytest.mark.parametrize("text", _TEXTS)
@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
def test_base64_is_found_wherever_the_text_stands_in_a_group(text: str, before: bytes) -> None:
    for plain in (text.encode(), text.encode("utf-16-be"), text.encode("utf-16-le")):
        for write in (base64.b64encode, base64.urlsafe_b64encode):
            assert TextEncoding.BASE64 in _encodings_in(text, write(before + plain + b"tail"))


@pytest.mark.parametrize("text", _TEXTS)
def test_escapes_of_every_kind_are_found(text: str) -> None:
    for written in (
        json.dumps({"text": text}),
        json.dumps({"text": text}, ensure_ascii=False),
        quote(text),
        quote_plus(text),
        quote(text, safe="").lower() if text.isascii() and text.islower() else quote(text, safe=""),
        escape(text),
    ):
        assert _encodings_in(text, b"<<" + written.encode() + b">>")
    assert _encodings_in(text, quopri.encodestring(text.encode()))
    assert _encodings_in(text, escape(text).encode("ascii", "xmlcharrefreplace"))


@pytest.mark.parametrize("text", ["meet me at the harbour", "Grüße [€] @ 8"])
def test_packed_septets_are_found_at_every_bit(text: str) -> None:
    septets = encode_gsm7(text)
    for before in range(9):
        packed = pack_septets(encode_gsm7("x" * before) + septets + encode_gsm7("tail"))
        assert TextEncoding.GSM_7 in _encodings_in(text, packed)


@given(st.text(min_size=1, max_size=40))
def test_any_text_is_found_in_its_plain_forms(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        return
    for codec in ("utf-8", "utf-16-be", "utf-16-le"):
        assert _encodings_in(text, b"\x01" + text.encode(codec) + b"\x02")


@given(st.text(max_size=600))
def test_no_text_is_too_strange(text: str) -> None:
    patterns = patterns_of(text)
    assert all(pattern.octets for pattern in patterns)
    assert len({pattern.octets for pattern in patterns}) == len(patterns)


def test_the_plainest_name_is_given_to_octets_that_several_encodings_write() -> None:
    assert [each.encoding for each in patterns_of("harbour") if each.octets == b"harbour"] == [TextEncoding.UTF_8]


def test_a_few_octets_count_only_where_something_is_written() -> None:
    chance = b"\x00\xffok\x01\x02" + bytes(40)
    assert not is_legible(chance, 2, 2)
    assert is_legible(b"ok", 0, 2)
    written = b"\x00\x01Content-Type: text/plain ok\xff"
    assert is_legible(written, written.index(b"ok"), 2)
    assert not is_legible(b"\x00it is ok\x00", 7, 2)
    assert is_legible(b"\x00they say so\x00", 1, 4)
    assert not is_legible(b"\x00they say so\x00", 1, 3)


@pytest.mark.parametrize(
    "identifier", [b"MxkS1JxlXzR1vJZZpnSrN97Tk", b"7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01", b"Mx-k=jxYGvE5Qaaaaaaaa"]
)
def test_a_letter_in_an_identifier_is_none_of_the_text(identifier: bytes) -> None:
    octets = b"\x20\x18" + identifier + b"\x00" * 20
    assert not any(is_legible(octets, place, 1) for place in range(2, 2 + len(identifier)))


def test_octets_of_a_cipher_look_random_and_written_ones_do_not() -> None:
    cipher = hashlib.shake_256(b"x").digest(400)
    assert all(looks_random(cipher, place) for place in range(0, 400, 7))
    written = b"Content-Type: text/plain\r\nContent-Disposition: inline\r\n\r\nthis is what was said, word for word"
    assert not looks_random(written, 60)
    assert not looks_random(bytes(range(40)), 20)


def test_of_an_mls_message_the_sealed_part_is_looked_at() -> None:
    head = b"\0\1\0\2" + b"\x24" + b"7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01" + bytes(8) + b"\1" + b"\x40\x41" + bytes(65)
    assert without_mls_head(head + b"sealed") == b"sealed"
    for octets in (b"", b"\0\1\0\2", head[:30], b"\0\1\0\2\xc0" + head, b"text"):
        assert without_mls_head(octets) == octets


@given(st.binary(max_size=80))
def test_any_octets_have_a_sealed_part_or_are_left_alone(octets: bytes) -> None:
    assert (b"\0\1\0\2" + octets).endswith(without_mls_head(b"\0\1\0\2" + octets))
