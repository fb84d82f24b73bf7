"""Parsed values at little cost: remembered, because the same URI or header passes many hops; and made fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Generic, TypeVar

__all__ = ["Memo", "slot_setters"]

V = TypeVar("V")
_MOST_VALUES = 512  # more of them are out of the processor's caches by the time that their memory is used again
_LONGEST_TEXT = 256  # characters; with _MOST_VALUES this bounds each memo to a few megabytes, whatever peers send


class Memo(dict[str, V], Generic[V]):
    """memo[text] is parse(text), kept while there is room; when there is none, everything is forgotten.

    For frozen values only; *is_kept* is False for texts that hold secrets, which are parsed each time. What *parse*
    raises is raised, and not kept."""

    __slots__ = ("_longest", "_most", "_parse")

    def __init__(self, parse: Callable[[str], V], *, is_kept: bool = True, most: int = _MOST_VALUES) -> None:
        super().__init__()
        self._parse = parse
        self._longest = _LONGEST_TEXT if is_kept else -1
        self._most = most

    def __missing__(self, text: str) -> V:
        value = self._parse(text)
        if len(text) <= self._longest:
            if len(self) >= self._most:
                self.clear()
            self[text] = value
        return value


def slot_setters(cls: type[Any]) -> tuple[Callable[[Any, Any], None], ...]:
    """What writes each field of a slotted dataclass, in order; for the __init__ of a frozen one and nothing else."""
    return tuple(vars(cls)[field.name].__set__ for field in fields(cls))
