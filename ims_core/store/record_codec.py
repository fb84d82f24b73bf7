"""Records as JSON octets: what lies in a store can be read by eye and by the next version of this program."""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from ims_core.store.record_table import RecordType, StoreError
from ims_core.wire.secret import Secret

__all__ = ["RecordCodec"]

T = TypeVar("T")

_Convert = Callable[[Any], Any]
_PLAIN = (str, int, bool, float)


class RecordCodec(Generic[T]):
    """Encoder and decoder of one record type, planned once from its annotations.

    Raises TypeError at construction if an annotation is none that `RecordType` names."""

    __slots__ = ("_from_json", "_name", "_to_json")

    def __init__(self, record_type: RecordType[T]) -> None:
        self._name = record_type.name
        self._to_json, self._from_json = _plan(record_type.record)

    def encode(self, record: T) -> bytes:
        """Compact UTF-8 JSON; members in the order of the dataclass."""
        return json.dumps(self._to_json(record), ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )

    def decode(self, octets: bytes) -> T:
        """Inverse of `encode`; unknown members are ignored. Raises StoreError."""
        try:
            record: T = self._from_json(json.loads(octets.decode("utf-8", "surrogatepass")))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StoreError(
                f"the store holds a record of {self._name!r} that cannot be read ({type(error).__name__}): "
                "restore the file from a copy, or start with an empty one"
            ) from error
        return record


def _plan(annotation: Any) -> tuple[_Convert, _Convert]:
    """Converters to and from JSON values for an annotation."""
    while isinstance(annotation, typing.NewType):
        annotation = annotation.__supertype__
    if annotation in _PLAIN:
        return _same, _checked(annotation)
    if annotation is bytes:
        return _base64_text, _octets_of
    if annotation is Secret:
        return _secret_text, _secret_of
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enum_value, annotation
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return _plan_dataclass(annotation)
    return _plan_generic(annotation, typing.get_origin(annotation), typing.get_args(annotation))


def _plan_generic(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> tuple[_Convert, _Convert]:
    if origin in (types.UnionType, typing.Union):
        inner = [argument for argument in arguments if argument is not type(None)]
        if len(inner) == 1:
            return _optional(*_plan(inner[0]))
    elif origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _sequence(*_plan(arguments[0]), tuple, list)
    elif origin is tuple:
        return _fixed(tuple(_plan(argument) for argument in arguments))
    elif origin is frozenset:
        return _sequence(*_plan(arguments[0]), frozenset, sorted)
    elif isinstance(origin, type) and issubclass(origin, Mapping) and arguments[0] is str:
        return _mapping(*_plan(arguments[1]))
    raise TypeError(f"no stored form for {annotation!r}: see RecordType")


def _plan_dataclass(record: type) -> tuple[_Convert, _Convert]:
    hints = typing.get_type_hints(record)
    plans = [(field.name, *_plan(hints[field.name])) for field in dataclasses.fields(record) if field.init]

    def to_json(value: Any) -> dict[str, Any]:
        return {name: encode(getattr(value, name)) for name, encode, _ in plans}

    def from_json(members: Any) -> Any:
        return record(**{name: decode(members[name]) for name, _, decode in plans if name in members})

    return to_json, from_json


def _same(value: Any) -> Any:
    return value


def _checked(kind: type) -> _Convert:
    def check(value: Any) -> Any:
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            raise ValueError(f"{kind.__name__} expected")
        return value

    return check


def _base64_text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _octets_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _secret_text(secret: Secret) -> str:
    return _base64_text(secret.octets)


def _secret_of(text: str) -> Secret:
    return Secret(_octets_of(text))


def _enum_value(member: enum.Enum) -> Any:
    return member.value


def _optional(encode: _Convert, decode: _Convert) -> tuple[_Convert, _Convert]:
    return (
        lambda value: None if value is None else encode(value),
        lambda value: None if value is None else decode(value),
    )


def _sequence(encode: _Convert, decode: _Convert, kind: _Convert, ordered: _Convert) -> tuple[_Convert, _Convert]:
    return (
        lambda values: ordered(encode(value) for value in values),
        lambda values: kind(decode(value) for value in values),
    )


def _fixed(plans: tuple[tuple[_Convert, _Convert], ...]) -> tuple[_Convert, _Convert]:
    return (
        lambda values: [plan[0](value) for plan, value in zip(plans, values, strict=True)],
        lambda values: tuple(plan[1](value) for plan, value in zip(plans, values, strict=True)),
    )


def _mapping(encode: _Convert, decode: _Convert) -> tuple[_Convert, _Convert]:
    return (
        lambda values: {key: encode(value) for key, value in values.items()},
        lambda values: {key: decode(value) for key, value in values.items()},
    )
