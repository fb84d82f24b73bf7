"""Finds and reads profile and network files. A mistake is one error with file, line, column and allowed words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ims_core.errors import ProfileError
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.scenario.model import CarrierProfile, NetworkFile

__all__ = [
    "load_carrier_profile",
    "load_device",
    "load_file",
    "load_network",
    "profile_folder",
    "profile_names",
]

_T = TypeVar("_T")
_MAX_FILE_OCTETS = 4 * 1024 * 1024  # a network with 100,000 written-out subscribers is a bulk entry, not a file
_MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
_MAX_VALUES = 1_000_000
_SCALAR_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)  # of "+_"
_UNKNOWN_MEMBER = ("extra_forbidden", "unexpected_keyword_argument")  # of models and of dataclasses
_DEVICES: TypeAdapter[DevicePolicy] = TypeAdapter(DevicePolicy)
_CARRIERS: TypeAdapter[CarrierProfile] = TypeAdapter(CarrierProfile)
_NETWORKS: TypeAdapter[NetworkFile] = TypeAdapter(NetworkFile)


def profile_folder() -> Path:
    """The profiles: package data in an installed wheel, the repository's folder in a checkout."""
    packaged = Path(str(resources.files("rcs_sim"))) / "profiles"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "profiles"


def profile_names(kind: str) -> list[str]:
    """Names of the profiles of a *kind*: devices, carriers, networks, scenarios."""
    return sorted(path.stem for path in (profile_folder() / kind).glob("*.yaml"))


def load_device(name: str) -> DevicePolicy:
    """By profile name, or by the path of a file. Read once as long as the file stays the same: every phone asks."""
    path = _find("devices", name)
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError:
        return load_file(path, _DEVICES)  # which says what is wrong
    return _read_device(path, changed_ns)


@lru_cache(64)
def _read_device(path: Path, changed_ns: int) -> DevicePolicy:
    return load_file(path, _DEVICES)


def load_carrier_profile(name: str) -> CarrierProfile:
    return load_file(_find("carriers", name), _CARRIERS)


def load_network(name: str) -> NetworkFile:
    """By profile name, or by the path of a file. Carrier profiles that it names by path are looked for beside it."""
    path = _find("networks", name)
    network = load_file(path, _NETWORKS)
    carriers = {
        key: entry.model_copy(update={"profile": str(path.parent / entry.profile)})
        if _is_path(entry.profile)
        else entry
        for key, entry in network.carriers.items()
    }
    return network.model_copy(update={"carriers": carriers})


def _is_path(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or "/" in name


def _find(kind: str, name: str) -> Path:
    if _is_path(name):
        return Path(name)
    path = profile_folder() / kind / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(profile_names(kind))
        raise ProfileError(f"there is no profile {name!r} among the {kind}; there are: {known}", file=str(path))
    return path


def load_file(path: Path, adapter: TypeAdapter[_T]) -> _T:
    """Reads one YAML file into the type of *adapter*. Raises ProfileError."""
    document = _read_yaml(path)
    try:
        return adapter.validate_python(_plain(document, [_MAX_VALUES]))
    except ValidationError as error:
        raise _first_error(path, document, error, adapter) from None
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"cannot be read: {error}", file=str(path)) from error


def _read_yaml(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_FILE_OCTETS:
            raise ProfileError(f"the file is larger than {_MAX_FILE_OCTETS} octets", file=str(path))
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ProfileError("the file is not UTF-8 text", file=str(path)) from error
    except OSError as error:
        raise ProfileError(f"cannot be read: {error.strerror}", file=str(path)) from error
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = (None, None) if mark is None else (mark.line + 1, mark.column + 1)
        raise ProfileError(f"not YAML: {error.problem}", file=str(path), line=place[0], column=place[1]) from error
    except (YAMLError, *_SCALAR_ERRORS) as error:
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        raise ProfileError(f"not YAML: {reason}", file=str(path)) from error


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


def _first_error(path: Path, document: Any, error: ValidationError, adapter: TypeAdapter[Any]) -> ProfileError:
    found = error.errors(include_url=False)
    details = next((one for one in found if one["type"] not in _MISSING), found[0])  # a typo explains what is missing
    location = [part for part in details["loc"] if isinstance(part, int) or not part.startswith("function-")]
    line, column = _position(document, location, is_key=details["type"] in _UNKNOWN_MEMBER)
    where = ".".join(map(str, location)) or "the file"
    text = f"{where}: {_reason(details, location, adapter)}"
    others = len(found) - 1
    if others:
        text += f" (and {others} more)"
    return ProfileError(text, file=str(path), line=line, column=column)


def _reason(details: Mapping[str, Any], location: Sequence[int | str], adapter: TypeAdapter[Any]) -> str:
    if details["type"] in _UNKNOWN_MEMBER:
        allowed = ", ".join(_members(adapter.json_schema(), location[:-1]))
        return f"not known here; allowed: {allowed}" if allowed else "not known here"
    if details["type"] in ("literal_error", "enum"):
        return f"{details['input']!r} is not allowed; allowed: {details['ctx']['expected']}"
    if details["type"] in _MISSING:
        return "missing"
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
    found: tuple[int, int] | None = (0, 0)
    node = document
    for depth, part in enumerate(location):
        is_last = depth == len(location) - 1
        if isinstance(node, CommentedMap) and part in node:
            found = node.lc.key(part) if is_last and is_key else node.lc.value(part)
            node = node[part]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            found = node.lc.item(part)
            node = node[part]
        else:
            break
    return (None, None) if found is None else (found[0] + 1, found[1] + 1)
