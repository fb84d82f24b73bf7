"""GSM 7 bit, UCS-2 and septet packing, compared with an outside codec (TS 23.038)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspdudecoder.codecs import GSM, UCS2  # type: ignore[import-untyped]  # the peer ships no types

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.alphabet import (
    decode_gsm7,
    decode_ucs2,
    encode_gsm7,
    encode_ucs2,
    is_gsm7,
    pack_septets,
    packed_octets,
    unpack_septets,
)

GSM7_TEXT = "".join(decode_gsm7(bytes((code,))) for code in range(128) if code != 0x1B) + "\f^{}\\[~]|€"
gsm7_text = st.text(alphabet=GSM7_TEXT, max_size=200)


@pytest.mark.parametrize(
    ("septets", "shown"),
    [
        (b"\x1b\x41", "A"),  # no such extension: the default table's character
        (b"a\x1b", "a "),  # an escape at the end
        (b"\x1b\x1bA", " A"),  # reserved for another extension table
        (b"\x1b\x0a", "\f"),
        (b"\x1b\x0d", "\r"),
    ],
)
def test_an_unknown_escape_is_shown_as_the_standard_says(septets: bytes, shown: str) -> None:
    assert decode_gsm7(septets) == shown


@pytest.mark.parametrize("text", ["ç", "“", "👍", "á", "`", "\t"])
def test_a_character_outside_of_the_tables_is_our_own_error(text: str) -> None:
    assert not is_gsm7(text)
    with pytest.raises(LocalProtocolError):
        encode_gsm7(text)


@given(gsm7_text)
def test_every_text_of_the_tables_round_trips(text: str) -> None:
    assert is_gsm7(text)
    assert decode_gsm7(encode_gsm7(text)) == text


@given(st.binary(max_size=300), st.integers(0, 6))
def test_packing_round_trips_behind_any_fill_bits(octets: bytes, fill_bits: int) -> None:
    septets = bytes(octet & 0x7F for octet in octets)
    packed = pack_septets(septets, fill_bits)
    assert len(packed) == packed_octets(len(septets), fill_bits)
    assert unpack_septets(packed, len(septets), fill_bits) == septets
    bits = int.from_bytes(packed, "little") >> fill_bits
    assert bytes(bits >> 7 * index & 0x7F for index in range(len(septets))) == septets


@given(st.binary(max_size=300))
def test_any_octets_decode_in_every_alphabet(octets: bytes) -> None:
    assert isinstance(decode_gsm7(octets), str)
    decode_ucs2(octets).encode("utf-8")


@given(st.text(max_size=100))
def test_ucs2_round_trips_beyond_the_basic_plane(text: str) -> None:
    assert decode_ucs2(encode_ucs2(text)) == text.encode("utf-16", "replace").decode("utf-16")


@given(gsm7_text.filter(lambda text: len(encode_gsm7(text)) % 8 not in (0, 7)))
def test_another_codec_reads_the_packed_octets(text: str) -> None:
    # lengths 0 and 7 modulo 8 are left out: without a septet count that codec cannot tell padding from "@"
    assert GSM.decode(pack_septets(encode_gsm7(text)).hex(), strip_padding=False) == text


@given(st.text(max_size=60))
def test_another_codec_agrees_on_ucs2(text: str) -> None:
    assert UCS2.decode(encode_ucs2(text).hex()) == text
