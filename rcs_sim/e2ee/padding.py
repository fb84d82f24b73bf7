"""Padmé: lengths of few significant bits (Nikitin et al., PETS 2019; RCC.16 §7.5.1, Annex C.3)."""

from __future__ import annotations

__all__ = ["padme", "padme_octets"]


def padme(length: int) -> int:
    """The padded length: *length* rounded up, by at most 12 %, to a number whose mantissa is no longer than its
    exponent."""
    return length + padme_octets(length)


def padme_octets(length: int) -> int:
    """How many octets of padding follow a content of so many octets, as ``MemberPolicy.padding`` wants it."""
    if length < 2:
        return 0
    exponent = length.bit_length() - 1
    free_bits = exponent - exponent.bit_length()
    return -length & ((1 << free_bits) - 1) if free_bits > 0 else 0
