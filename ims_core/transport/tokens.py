"""Randomness as an argument: the same seed gives the same octets."""

from __future__ import annotations

import hashlib
import os

__all__ = ["Tokens"]

_BLOCK_OCTETS = 64  # what one hash yields
_MOST_DRAWN = 1024  # octets at a time from the operating system, by an element that has asked for many
_FRACTION_BITS = 53  # of a float


class Tokens:
    """Source of branches, tags, identifiers and jitter for one element.

    With a *seed* the stream repeats; without one it is drawn from the operating system.
    `child` derives an independent stream by name, so that one element more does not shift the others' values.
    """

    __slots__ = ("_counter", "_drawn", "_pool", "_seed")

    def __init__(self, seed: str | None = None) -> None:
        self._seed = seed
        self._counter = 0
        self._drawn = _BLOCK_OCTETS // 2
        self._pool = b""

    def child(self, name: str) -> Tokens:
        return Tokens(None if self._seed is None else f"{self._seed}/{name}")

    def octets(self, count: int) -> bytes:
        pool = self._pool
        if len(pool) < count:
            pool = self._filled(count)
        self._pool = pool[count:]
        return pool[:count]

    def word(self, bits: int = 80) -> str:
        """Lower-case letters and digits that carry at least *bits* of randomness; a SIP token (RFC 3261 §25.1)."""
        count = -(-bits // 8)
        pool = self._pool
        if len(pool) < count:
            pool = self._filled(count)
        self._pool = pool[count:]
        return pool[:count].hex()

    def uuid(self) -> str:
        """UUID of version 4 (RFC 9562 §5.4)."""
        octets = self.octets(16)
        text, variant = octets.hex(), "89ab"[octets[8] >> 4 & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"

    def number(self, low: int, high: int) -> int:
        """An integer from *low* to *high*, both included."""
        span = high - low
        bits = span.bit_length()
        while True:  # each round ends it with a chance of more than one half
            drawn = self._bits(bits)
            if drawn <= span:
                return low + drawn

    def uniform(self, low: float, high: float) -> float:
        """A number from *low* up to *high*."""
        return low + (high - low) * (self._bits(_FRACTION_BITS) / (1 << _FRACTION_BITS))

    def _bits(self, bits: int) -> int:
        octets = self.octets(-(-bits // 8))
        return int.from_bytes(octets, "big") >> (8 * len(octets) - bits)

    def _filled(self, count: int) -> bytes:
        """The pool with at least *count* octets in it."""
        if self._seed is None:
            self._drawn = min(2 * self._drawn, _MOST_DRAWN)
            return self._pool + os.urandom(max(count, self._drawn))
        # A keyed hash in counter mode: a Mersenne Twister would keep 2.5 kB for every phone.
        key = hashlib.sha256(self._seed.encode()).digest()
        blocks = [self._pool]
        for _ in range(-(-(count - len(self._pool)) // _BLOCK_OCTETS)):
            self._counter += 1
            blocks.append(hashlib.blake2b(self._counter.to_bytes(8, "big"), key=key).digest())
        return b"".join(blocks)
