"""Padmé."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.padding import padme, padme_octets


def by_the_paper(length: int) -> int:
    """The formula of the paper, in its own terms."""
    if length < 2:
        return length
    exponent = math.floor(math.log2(length))
    low_bits = exponent - (math.floor(math.log2(exponent)) + 1 if exponent else 0)
    mask = 2 ** max(low_bits, 0)
    return -(-length // mask) * mask


def test_it_is_the_formula_of_the_paper() -> None:
    assert all(padme(length) == by_the_paper(length) for length in range(20_000))


@given(st.integers(0, 2**31))
def test_it_is_idempotent_and_never_smaller_nor_an_eighth_more(length: int) -> None:
    padded = padme(length)
    assert length <= padded <= length * 1.12 + 1
    assert padme_octets(padded) == 0
    assert padme_octets(length) == padded - length
