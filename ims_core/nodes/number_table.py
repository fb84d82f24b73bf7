"""Which carrier a number belongs to: the lab's ENUM (RFC 6116 in effect, digest §17.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["NumberTable"]


class NumberTable:
    """Longest-prefix look-up from E.164 numbers to home domains; a full number overrides its range (ported numbers)."""

    __slots__ = ("_domains", "_lengths", "generation")

    def __init__(self, prefixes: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        """*prefixes*: leading digits with "+" to domain, such as ``+1202555015``."""
        self._domains = dict(prefixes)
        self._lengths: tuple[int, ...] = ()
        self.generation = 0  # grows with every change: what was looked up before may be wrong
        self._measure()

    def set(self, prefix: str, domain: str) -> None:
        """Adds or changes an entry: a range, or one ported number."""
        self._domains[prefix] = domain
        self.generation += 1
        self._measure()

    def domain_of(self, digits: str) -> str | None:
        """Home domain of the number *digits* (with "+", no separators); None if no carrier has it."""
        for length in self._lengths:
            domain = self._domains.get(digits[:length])
            if domain is not None:
                return domain
        return None

    def entries(self) -> Mapping[str, str]:
        """All prefixes and their domains."""
        return dict(self._domains)

    def _measure(self) -> None:
        self._lengths = tuple(sorted({len(prefix) for prefix in self._domains}, reverse=True))
