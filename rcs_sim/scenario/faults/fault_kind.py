"""What a fault is: a word, what it does, what it may be told, how it ends."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from ims_core.errors import SimulatorError

if TYPE_CHECKING:
    from rcs_sim.scenario.faults.active_fault import ActiveFault

__all__ = ["GENERAL_KEYS", "Begin", "FaultError", "FaultKind", "KeyKind", "Occasion", "Reach", "ScopeKey"]


class FaultError(SimulatorError):
    """A fault cannot be: the word, its scope or the place is wrong. The text says what would do."""


class KeyKind(Enum):
    """What the value of a scope key is."""

    PHONE = "a phone of the simulation"
    CARRIER = "a carrier of the network"
    ELEMENT = "an element such as red.pcscf, or a phone"
    PLACE = "an element or a phone, with * for any part, such as *.ibcf"
    SECONDS = "seconds, 0 or more"
    RATIO = "a number from 0 to 1"
    COUNT = "a whole number, 1 or more"
    NUMBER = "a whole number, 0 or more"
    WORD = "one of some words"
    TEXT = "a text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeKey:
    """One key of a scope. *words* are the values of a WORD; a key without *default* may be left out too, and then does
    not narrow anything, unless it *is_required*."""

    name: str
    kind: KeyKind
    meaning: str
    default: Any = None
    words: tuple[str, ...] = ()
    is_required: bool = False

    def document(self) -> dict[str, Any]:
        """For machines."""
        said: dict[str, Any] = {"name": self.name, "type": self.kind.name.lower(), "meaning": self.meaning}
        if self.words:
            said["words"] = list(self.words)
        if self.default is not None:
            said["default"] = self.default
        if self.is_required:
            said["required"] = True
        return said


GENERAL_KEYS = (
    ScopeKey(name="after_s", kind=KeyKind.SECONDS, meaning="begins so much later", default=0.0),
    ScopeKey(name="for_s", kind=KeyKind.SECONDS, meaning="ends by itself after so long"),
)
_CHANCE = ScopeKey(
    name="probability", kind=KeyKind.RATIO, meaning="that it takes effect at all, from the seed", default=1.0
)
_OFTEN = (
    ScopeKey(name="probability", kind=KeyKind.RATIO, meaning="of each occasion, from the seed", default=1.0),
    ScopeKey(name="count", kind=KeyKind.COUNT, meaning="acts so often at most"),
    ScopeKey(name="every", kind=KeyKind.COUNT, meaning="acts on each such occasion only: 2 is every second", default=1),
)


class Occasion(Enum):
    """What a fault acts on, and so what probability, count and every are about."""

    BEGINNING = "once, when it begins; it lasts until it ends"
    EACH = "each time that something happens within its scope"


class Reach(Enum):
    """In which of the two worlds a fault can act."""

    BOTH = "in memory and on sockets"
    LINKS = "on what elements of this process send: in memory and on sockets"


Begin = Callable[["ActiveFault"], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One word of the vocabulary. *begin* puts it into effect, and leaves with the fault how that is undone."""

    word: str
    meaning: str
    clause: str
    reversal: str
    begin: Begin
    keys: tuple[ScopeKey, ...] = ()
    example: Mapping[str, Any] | None = None
    reach: Reach = Reach.BOTH
    occasion: Occasion = Occasion.BEGINNING

    @property
    def all_keys(self) -> tuple[ScopeKey, ...]:
        """Its own keys, then those of every word, then how often."""
        often = _OFTEN if self.occasion is Occasion.EACH else (_CHANCE,)
        return (*self.keys, *GENERAL_KEYS, *often)

    @property
    def yaml(self) -> str:
        """The example as a step of a scenario file."""
        scope = ", ".join(f"{key}: {_yaml(value)}" for key, value in (self.example or {}).items())
        return f"- fault: {{{self.word}: {{{scope}}}}}" if scope else f"- fault: {self.word}"

    @property
    def python(self) -> str:
        """The example in Python."""
        scope = {f"{key}_" if iskeyword(key) else key: value for key, value in (self.example or {}).items()}
        arguments = "".join(f", {key}={json.dumps(value)}" for key, value in scope.items())
        return f'async with sim.fault("{self.word}"{arguments}): ...'

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {
            "word": self.word,
            "meaning": self.meaning,
            "clause": self.clause,
            "reversal": self.reversal,
            "reach": self.reach.name.lower(),
            "occasion": self.occasion.name.lower(),
            "scope": [key.document() for key in self.all_keys],
            "example": self.yaml,
            "python": self.python,
        }


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f'"{text}"' if isinstance(value, str) and (not text or text[0] in "*+&!%@`'\"") else text
