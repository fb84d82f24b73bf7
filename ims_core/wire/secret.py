"""Octets that must not be shown: keys, passwords, what is derived from them."""

from __future__ import annotations

import hmac

__all__ = ["Secret"]


class Secret:
    """Secret octets. ``repr`` tells their number only; equality takes the same time wherever the values differ."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = bytes(octets)

    @classmethod
    def of_text(cls, text: str) -> Secret:
        """A password as UTF-8 octets."""
        return cls(text.encode("utf-8", "surrogateescape"))

    @classmethod
    def of_hex(cls, text: str) -> Secret:
        """Raises ValueError, without the text in it, if *text* is not hexadecimal."""
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise ValueError("a secret was expected as hexadecimal digits") from None

    @property
    def octets(self) -> bytes:
        """The value itself, for the primitive that consumes it."""
        return self._octets

    def __len__(self) -> int:
        return len(self._octets)

    def __repr__(self) -> str:
        return f"Secret({len(self._octets)} octets)"

    def __eq__(self, other: object) -> bool:
        return hmac.compare_digest(self._octets, other._octets) if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._octets)
