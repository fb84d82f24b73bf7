"""Places in a scenario file by dotted path, and changes to them: `matrix:`, ``--set`` and forks speak of them."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ims_core.errors import SimulatorError

__all__ = ["Change", "ChangeError", "changed", "parse_change", "step_index"]

_STEPS = "steps"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./+-]*")  # what YAML takes for text, but for the constants
_CONSTANTS = ("true", "false", "null")
_UNREADABLE = (YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


class ChangeError(SimulatorError):
    """A path leads nowhere, or a change cannot be read."""


@dataclass(frozen=True, slots=True)
class Change:
    """*value* in the place of what is at *path*, such as ``phones.bob.device`` or ``steps.2.alice.send.text``. Steps
    are named by number from 1, or by their ``id``."""

    path: str
    value: Any

    def __str__(self) -> str:
        return f"{self.path}={_shown(self.value)}"


def _shown(value: Any, *, is_inside: bool = False) -> str:
    """As YAML that reads back as the same value, and as bare as can be. *is_inside*: of a list or a mapping."""
    match value:
        case True | False:
            return "true" if value else "false"
        case None:
            return "null"
        case list() | tuple():
            return "[" + ", ".join(_shown(each, is_inside=True) for each in value) + "]"
        case Mapping():
            pairs = ((_shown(key, is_inside=True), _shown(each, is_inside=True)) for key, each in value.items())
            return "{" + ", ".join(f"{key}: {each}" for key, each in pairs) + "}"
        case str():
            return value if _is_bare(value, is_inside=is_inside) else _quoted(value)
        case float() if not math.isfinite(value):
            return ".nan" if math.isnan(value) else f"{'-' * (value < 0)}.inf"
    return str(value)


def _is_bare(text: str, *, is_inside: bool) -> bool:
    """Whether YAML reads *text* as itself without quotes."""
    if _PLAIN.fullmatch(text):
        return text.lower() not in _CONSTANTS
    try:
        read = YAML(typ="safe", pure=True).load(f"[{text}]" if is_inside else text)
    except _UNREADABLE:
        return False
    return bool(read == ([text] if is_inside else text) and text.isprintable())


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(each) for each in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def parse_change(text: str) -> Change:
    """``PATH=VALUE``, the value being YAML. Raises ChangeError."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip(".") or "" in path.split("."):
        raise ChangeError(f"{text!r} is not PATH=VALUE, such as phones.bob.device=android")
    try:
        return Change(path.strip(), YAML(typ="safe", pure=True).load(value))
    except _UNREADABLE as error:
        raise ChangeError(f"{text!r}: the value is not YAML: {str(error).partition(chr(10))[0]}") from None


def changed(file: Mapping[str, Any], changes: Iterable[Change]) -> dict[str, Any]:
    """A copy of the plain *file* with *changes* made in order. Raises ChangeError."""
    result: dict[str, Any] = copy.deepcopy(dict(file))
    for change in changes:
        _set(result, change.path.split("."), change)
    return result


def _set(node: Any, parts: list[str], change: Change) -> None:
    here = ""
    while True:
        match node:
            case dict():
                key, rest = _key(node, parts)
                if not rest:
                    node[key] = copy.deepcopy(change.value)
                    return
                node = node.setdefault(key, {})
                if node is None:
                    raise ChangeError(f"{change.path}: there is nothing at {key!r}")
            case list():
                index, rest = step_index(node, parts[0], where=here or change.path), parts[1:]
                if not rest:
                    node[index] = copy.deepcopy(change.value)
                    return
                node = node[index]
            case _:
                raise ChangeError(f"{change.path}: {here!r} has no members, it is {node!r}")
        here = ".".join(part for part in (here, ".".join(parts[: len(parts) - len(rest)])) if part)
        parts = rest


def _key(node: Mapping[str, Any], parts: list[str]) -> tuple[str, list[str]]:
    """The longest run of *parts* that is a key of *node*: keys such as ``net.partition`` have dots themselves."""
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        if key in node:
            return key, parts[length:]
    return parts[0], parts[1:]


def step_index(items: list[Any], part: str, *, where: str = _STEPS) -> int:
    """Index of the item with number *part*, from 1, or with that ``id``. Raises ChangeError, which lists them."""
    if part.isdecimal() and 1 <= int(part) <= len(items):
        return int(part) - 1
    ids = [str(item["id"]) for item in items if isinstance(item, Mapping) and "id" in item]
    if part in ids:
        return next(index for index, item in enumerate(items) if isinstance(item, Mapping) and item.get("id") == part)
    named = f", or one of: {', '.join(ids)}" if ids else ""
    raise ChangeError(f"{where}: there is no {part!r}; there are 1 to {len(items)}{named}")
