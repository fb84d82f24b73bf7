"""Places in a scenario file by dotted path, and changes to them: `matrix:`, ``--set`` and forks speak of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ims_core.errors import SimulatorError

__all__ = ["Change", "ChangeError", "changed", "parse_change", "step_index"]

_STEPS = "steps"


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


def _shown(value: Any) -> str:
    match value:
        case True | False:
            return "true" if value else "false"
        case None:
            return "null"
        case list() | tuple():
            return "[" + ", ".join(map(_shown, value)) + "]"
        case Mapping():
            return "{" + ", ".join(f"{key}: {_shown(each)}" for key, each in value.items()) + "}"
    return str(value)


def parse_change(text: str) -> Change:
    """``PATH=VALUE``, the value being YAML. Raises ChangeError."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip(".") or "" in path.split("."):
        raise ChangeError(f"{text!r} is not PATH=VALUE, such as phones.bob.device=android")
    try:
        return Change(path.strip(), YAML(typ="safe", pure=True).load(value))
    except (YAMLError, ValueError, LookupError, TypeError) as error:
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
