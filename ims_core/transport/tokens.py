"""Randomness as an argument: the same seed gives the same octets."""

from __future__ import annotations

import hashlib
import random
import uuid

__all__ = ["Tokens"]

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class Tokens:
    """Source of branches, tags, identifiers and jitter for one element.

    With a *seed* the stream repeats; without one it is drawn from the operating system.
    `child` derives an independent stream by name, so that one element more does not shift the others' values.
    """

    __slots__ = ("_random", "_seed")

    def __init__(self, seed: str | None = None) -> None:
        self._seed = seed
        self._random: random.Random = random.SystemRandom() if seed is None else _SeededRandom(_seed_number(seed))

    def child(self, name: str) -> Tokens:
        return Tokens(None if self._seed is None else f"{self._seed}/{name}")

    def octets(self, count: int) -> bytes:
        return self._random.getrandbits(8 * count).to_bytes(count, "big") if count else b""

    def word(self, bits: int = 80) -> str:
        """Lower-case letters and digits that carry at least *bits* of randomness; a SIP token (RFC 3261 §25.1)."""
        value, out = self._random.getrandbits(bits), []
        for _ in range(-(-bits * 10 // 51)):  # log2(36) = 5.17 bits a character
            value, digit = divmod(value, 36)
            out.append(_ALPHABET[digit])
        return "".join(out)

    def uuid(self) -> str:
        """UUID of version 4 (RFC 9562 §5.4)."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def number(self, low: int, high: int) -> int:
        """An integer from *low* to *high*, both included."""
        return self._random.randint(low, high)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


class _SeededRandom(random.Random):
    """Never reseeded, so that a stream cannot be disturbed from outside."""


def _seed_number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
