"""The scope of a fault: what was said of who, where, when and how often, checked against the running simulation."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rcs_sim.scenario.faults.fault_kind import FaultError, FaultKind, KeyKind, ScopeKey

if TYPE_CHECKING:
    from rcs_sim.scenario.simulation import Simulation

__all__ = ["NUMBERS", "OTHER_KEYS", "FaultScope", "checked_number", "checked_scope"]

OTHER_KEYS = {"from_": "from", "as_": "as", "who": "of"}
NUMBERS = (KeyKind.SECONDS, KeyKind.RATIO, KeyKind.COUNT, KeyKind.NUMBER)


class FaultScope:
    """Checked values by key; what was not said has its default, or None."""

    __slots__ = ("_values", "said")

    def __init__(self, values: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        self._values = dict(values)
        self.said = dict(said)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def get(self, key: str) -> Any:
        """None for a key that the word does not have, too."""
        return self._values.get(key)

    def text(self, key: str) -> str:
        """Empty if it was not said."""
        value = self._values.get(key)
        return "" if value is None else str(value)

    def seconds(self, key: str) -> float:
        """0 if it was not said."""
        return float(self._values.get(key) or 0.0)

    def number(self, key: str) -> int:
        """0 if it was not said."""
        return int(self._values.get(key) or 0)


def checked_scope(kind: FaultKind, given: Mapping[str, Any], sim: Simulation) -> FaultScope:
    """Raises FaultError that lists what would do."""
    keys = {key.name: key for key in kind.all_keys}
    said: dict[str, Any] = {}
    for name, value in given.items():
        name = name if name in keys else OTHER_KEYS.get(name, name)
        if name not in keys:
            near = get_close_matches(name, keys, 1)
            hint = f"did you mean {near[0]!r}? It" if near else "it"
            raise FaultError(f"{kind.word} knows no {name!r}; {hint} takes: {', '.join(keys)}")
        if value is not None:
            said[name] = _checked(kind.word, keys[name], value, sim)
    missing = [key.name for key in keys.values() if key.is_required and key.name not in said]
    if missing:
        raise FaultError(f"{kind.word} has to be told {', '.join(missing)}: {kind.yaml}")
    return FaultScope({key.name: said.get(key.name, key.default) for key in keys.values()}, said)


def _checked(word: str, key: ScopeKey, value: Any, sim: Simulation) -> Any:
    if key.kind in NUMBERS:
        return checked_number(word, key, value)
    if key.kind is KeyKind.PHONE and not isinstance(value, str):
        value = getattr(value, "name", value)  # a phone itself will do
    if not isinstance(value, str) or not value:
        raise FaultError(f"{word}: {key.name} is {key.kind.value}, not {value!r}")
    known = _known(key, sim)
    if known is not None and not any(value == each for each in known) and not _matches_any(key, value, known):
        raise FaultError(f"{word}: there is no {key.name} {value!r}; there are: {', '.join(known) or 'none'}")
    return value


def checked_number(word: str, key: ScopeKey, value: Any) -> float | int:
    """Of a key whose kind is a number. Raises FaultError."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    least, most = (1 if key.kind is KeyKind.COUNT else 0), (1 if key.kind is KeyKind.RATIO else math.inf)
    is_whole = key.kind in (KeyKind.SECONDS, KeyKind.RATIO) or isinstance(value, int)
    if not is_number or not is_whole or not least <= value <= most:
        raise FaultError(f"{word}: {key.name} is {key.kind.value}, not {value!r}")
    return float(value) if key.kind in (KeyKind.SECONDS, KeyKind.RATIO) else int(value)


def _known(key: ScopeKey, sim: Simulation) -> Collection[str] | None:
    match key.kind:
        case KeyKind.PHONE:
            return tuple(sim.phones)
        case KeyKind.CARRIER:
            return tuple(sim.lab.carriers)
        case KeyKind.ELEMENT | KeyKind.PLACE:
            return (*sim.elements(), *sim.phones)
        case KeyKind.WORD:
            return key.words
    return None


def _matches_any(key: ScopeKey, value: str, known: Collection[str]) -> bool:
    return key.kind is KeyKind.PLACE and any(fnmatchcase(each, value) for each in known)
