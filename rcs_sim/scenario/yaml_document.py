"""One YAML file with the places of its values: a mistake is one error with file, line, column and allowed words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ims_core.errors import ProfileError
from rcs_sim.scenario.yaml_places import deepest_place, first_alias, place_in, place_of_failure

__all__ = ["Location", "YamlDocument"]

_T = TypeVar("_T")
_MAX_FILE_OCTETS = 4 * 1024 * 1024  # a network with 100,000 written-out subscribers is a bulk entry, not a file
_MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
_MAX_KEPT = 64 * 1024  # characters of a file whose nodes are kept for the next one who reads it
_MAX_VALUES = 1_000_000
_SCALAR_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)  # of "+_"
_UNKNOWN_MEMBER = ("extra_forbidden", "unexpected_keyword_argument")  # of models and of dataclasses
_KEY = "[key]"  # pydantic's last part of a location, where the key itself is wrong

Location = Sequence[int | str]
"""Keys and indices from the top of a file to a value."""


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """*node* has the places, *plain* the values. Items of the lists in *numbered* are told by number from 1."""

    path: Path
    node: Any
    plain: Any
    numbered: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, numbered: frozenset[str] = frozenset()) -> Self:
        """Raises ProfileError."""
        node = _read_yaml(path)
        try:
            return cls(path, node, _plain(node, [_MAX_VALUES]), numbered)
        except (ValueError, RecursionError) as error:
            line, column = first_alias(path.read_text(encoding="utf-8-sig"))
            raise ProfileError(f"cannot be read: {error}", file=str(path), line=line, column=column) from error

    def validated(self, adapter: TypeAdapter[_T], plain: Any = None) -> _T:
        """The values, or *plain* in their place, in the type of *adapter*. Raises ProfileError."""
        try:
            return adapter.validate_python(self.plain if plain is None else plain)
        except ValidationError as error:
            raise self._first_error(error, adapter) from None
        except (ValueError, RecursionError) as error:
            line, column = first_alias(self.path.read_text(encoding="utf-8-sig"))
            raise ProfileError(f"cannot be read: {error}", file=str(self.path), line=line, column=column) from error

    def error(self, location: Location, text: str, *, is_key: bool = False) -> ProfileError:
        """An error at the value at *location*, or at its key."""
        line, column = self.place(location, is_key=is_key)
        return ProfileError(f"{self._where(location)}: {text}", file=str(self.path), line=line, column=column)

    def place(self, location: Location, *, is_key: bool = False) -> tuple[int | None, int | None]:
        """Line and column, from 1, of the value at *location* (of its key), or of what should contain it."""
        return _position(self.node, location, is_key=is_key)

    def _where(self, location: Location) -> str:
        parts = list(location)
        for index, part in enumerate(parts[1:], start=1):
            if isinstance(part, int) and parts[index - 1] in self.numbered:
                parts[index] = part + 1
        return "".join(each if each.isprintable() else "?" for each in ".".join(map(str, parts))) or "the file"

    def _first_error(self, error: ValidationError, adapter: TypeAdapter[Any]) -> ProfileError:
        found = error.errors(include_url=False)
        details = next((one for one in found if one["type"] not in _MISSING), found[0])  # a typo tells what is missing
        location = [part for part in details["loc"] if isinstance(part, int) or not part.startswith("function-")]
        is_key = details["type"] in _UNKNOWN_MEMBER
        if location and location[-1] == _KEY:
            location, is_key = location[:-1], True
        text = _reason(details, location, adapter)
        if len(found) > 1:
            text += f" (and {len(found) - 1} more)"
        return self.error(location, text, is_key=is_key)


def _read_yaml(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_FILE_OCTETS:
            raise ProfileError(f"the file is larger than {_MAX_FILE_OCTETS} octets", file=str(path), line=1, column=1)
        octets = path.read_bytes()
    except OSError as error:
        raise ProfileError(f"cannot be read: {error.strerror}", file=str(path)) from error
    text = _decoded(path, octets)
    try:
        return _loaded(text) if len(text) <= _MAX_KEPT else YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = (None, None) if mark is None else (mark.line + 1, mark.column + 1)
        raise ProfileError(f"not YAML: {error.problem}", file=str(path), line=place[0], column=place[1]) from error
    except RecursionError as error:
        line, column = deepest_place(text)
        raise ProfileError("not YAML: nested too deeply", file=str(path), line=line, column=column) from error
    except (YAMLError, *_SCALAR_ERRORS) as error:
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        line, column = place_of_failure(text, error)
        raise ProfileError(f"not YAML: {reason}", file=str(path), line=line, column=column) from error


def _decoded(path: Path, octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        before = octets[: error.start].decode("utf-8", "replace")
        line, column = place_in(before, len(before))
        raise ProfileError("the file is not UTF-8 text", file=str(path), line=line, column=column) from error


@lru_cache(maxsize=16)
def _loaded(text: str) -> Any:
    """The same text, such as that of a network, is read for every variant of a scenario. Nobody changes what it gives.
    Raises what the parser raises."""
    return YAML(typ="rt").load(text)


def _plain(node: Any, budget: list[int]) -> Any:
    """Plain containers of *node*. Aliases are written out, so *budget* bounds how many values that may give."""
    budget[0] -= 1
    if budget[0] < 0:
        raise ValueError("too many values, or an alias that contains itself")
    if isinstance(node, Mapping):
        return {str(key): _plain(value, budget) for key, value in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str | bytes):
        return [_plain(value, budget) for value in node]
    return node


def _reason(details: Mapping[str, Any], location: Sequence[int | str], adapter: TypeAdapter[Any]) -> str:
    if details["type"] in _UNKNOWN_MEMBER:
        allowed = ", ".join(_members(adapter.json_schema(), location[:-1]))
        return f"not known here; allowed: {allowed}" if allowed else "not known here"
    if details["type"] in ("literal_error", "enum"):
        return f"{details['input']!r} is not allowed; allowed: {details['ctx']['expected']}"
    if details["type"] in _MISSING:
        return "missing"
    if details["type"] == "value_error":
        return str(details["msg"]).removeprefix("Value error, ")
    return f"{details['msg']}, found {str(details['input'])[:60]!r}"


def _members(schema: Mapping[str, Any], location: Sequence[int | str]) -> list[str]:
    node: Any = schema
    for part in location:
        node = next(_below(_resolved(node, schema), part), None)
        if node is None:
            return []
    return list(_resolved(node, schema).get("properties", ()))


def _below(node: Mapping[str, Any], part: int | str) -> Iterator[Any]:
    if isinstance(part, int):
        yield node.get("items", {})
    elif part in node.get("properties", {}):
        yield node["properties"][part]
    else:
        yield from node.get("patternProperties", {}).values()
        if isinstance(node.get("additionalProperties"), Mapping):
            yield node["additionalProperties"]


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    for choice in node.get("anyOf", ()):
        if "$ref" in choice or "properties" in choice:
            node = choice
    if "$ref" in node:
        found: Mapping[str, Any] = schema["$defs"][str(node["$ref"]).rpartition("/")[2]]
        return found
    return node


def _position(document: Any, location: Sequence[int | str], *, is_key: bool) -> tuple[int | None, int | None]:
    """Line and column, from 1, of the value at *location* (of its key if *is_key*), or of what should contain it."""
    found = (0, 0)
    node = document
    for depth, part in enumerate(location):
        is_last = depth == len(location) - 1
        if isinstance(node, CommentedMap) and part not in node:
            part = next((key for key in node if str(key) == part), part)  # it is no text
        if isinstance(node, CommentedMap) and part in node:
            found = node.lc.key(part) if is_last and is_key else node.lc.value(part)
            node = node[part]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            found = node.lc.item(part)
            node = node[part]
        else:
            break
    return found[0] + 1, found[1] + 1
