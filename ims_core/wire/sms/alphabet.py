"""Alphabets of short messages: GSM 7 bit default and extension table, UCS-2, septet packing (3GPP TS 23.038).

Septets are handled as octets with values 0 to 127, one octet a septet; packing squeezes them to 7 bits.
"""

from __future__ import annotations

from enum import Enum

from ims_core.errors import LocalProtocolError

__all__ = [
    "ESCAPE",
    "Alphabet",
    "decode_gsm7",
    "decode_ucs2",
    "encode_gsm7",
    "encode_ucs2",
    "is_gsm7",
    "pack_septets",
    "packed_octets",
    "unpack_septets",
]


class Alphabet(Enum):
    """What the octets of TP-User-Data stand for (TS 23.038 §4)."""

    GSM7 = "gsm7"
    EIGHT_BIT = "8bit"
    UCS2 = "ucs2"


ESCAPE = 0x1B  # TS 23.038 §6.2.1: to the extension table

# TS 23.038 §6.2.1, code 0 to 127. Position 1B, the escape, is shown as a space by who does not know it.
_DEFAULT_TABLE = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ ÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
# TS 23.038 §6.2.1.1. 1B there is reserved for yet another table and shown as a space.
_EXTENSION_TABLE = {
    0x0A: "\f",
    0x14: "^",
    ESCAPE: " ",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_SEPTETS_OF: dict[str, bytes] = {
    **{char: bytes((ESCAPE, code)) for code, char in _EXTENSION_TABLE.items() if code != ESCAPE},
    **{char: bytes((code,)) for code, char in enumerate(_DEFAULT_TABLE) if code != ESCAPE},
}


def is_gsm7(text: str) -> bool:
    """Whether the default and extension tables hold every character of *text*."""
    return all(char in _SEPTETS_OF for char in text)


def encode_gsm7(text: str) -> bytes:
    """Septet values of *text*, an extension character as two. Raises LocalProtocolError if one is in neither table."""
    try:
        return b"".join([_SEPTETS_OF[char] for char in text])
    except KeyError as error:
        raise LocalProtocolError(f"{error} is not in the GSM 7 bit tables", spec="TS 23.038 §6.2.1") from error


def decode_gsm7(septets: bytes) -> str:
    """Text of *septets*, never an error: an unknown extension code shows the default table's character, and an escape
    at the end a space (TS 23.038 §6.2.1.1, note 1). Bit 8 of each value is ignored."""
    out: list[str] = []
    escaped = False
    for value in septets:
        code = value & 0x7F
        if escaped:
            out.append(_EXTENSION_TABLE.get(code, _DEFAULT_TABLE[code]))
            escaped = False
        elif code == ESCAPE:
            escaped = True
        else:
            out.append(_DEFAULT_TABLE[code])
    if escaped:
        out.append(" ")
    return "".join(out)


def encode_ucs2(text: str) -> bytes:
    """UTF-16BE of *text* (the form in which phones use UCS-2); a lone surrogate becomes a question mark."""
    return text.encode("utf-16-be", "replace")


def decode_ucs2(octets: bytes) -> str:
    """Text of UTF-16BE *octets*, never an error: U+FFFD for a lone surrogate or a half unit at the end."""
    return octets.decode("utf-16-be", "replace")


def packed_octets(septet_count: int, fill_bits: int = 0) -> int:
    """Octets that *septet_count* septets take behind *fill_bits* bits."""
    return (fill_bits + 7 * septet_count + 7) // 8


def pack_septets(septets: bytes, fill_bits: int = 0) -> bytes:
    """Septets packed low bit first, behind *fill_bits* (0 to 6) zero bits (TS 23.038 §6.1.2.1)."""
    out = bytearray()
    bits, held = 0, fill_bits
    for septet in septets:
        bits |= (septet & 0x7F) << held
        held += 7
        if held >= 8:
            out.append(bits & 0xFF)
            bits >>= 8
            held -= 8
    if held:
        out.append(bits)
    return bytes(out)


def unpack_septets(octets: bytes, septet_count: int, fill_bits: int = 0) -> bytes:
    """The *septet_count* septets behind *fill_bits* bits. The caller has checked that *octets* hold as many;
    septets beyond the end come out as 0."""
    out = bytearray()
    bits = held = 0
    source = iter(octets)
    skip = fill_bits
    while len(out) < septet_count:
        if held - skip < 7:
            bits |= next(source, 0) << held
            held += 8
        if skip and held >= skip:
            bits >>= skip
            held -= skip
            skip = 0
        if not skip and held >= 7:
            out.append(bits & 0x7F)
            bits >>= 7
            held -= 7
    return bytes(out)
