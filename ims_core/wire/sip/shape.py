"""The order of the header fields of a message. Many messages share one, so what it tells is found out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["Shape", "shape_of"]

_MOST_SHAPES: Final = 512  # then all are forgotten
_LONGEST: Final = 64  # header fields of a message whose shape is remembered


class Shape:
    """Where the fields of each canonical key stand among the header lines."""

    __slots__ = ("first", "places", "repeated")

    first: Mapping[str, int]
    """The place of the first field."""
    places: Mapping[str, tuple[int, ...]]
    """The places of all its fields, in order."""
    repeated: tuple[str, ...]
    """The keys that several fields have, in the order of their first."""

    def __init__(self, keys: Sequence[str]) -> None:
        places: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        self.first = {key: found[0] for key, found in places.items()}
        self.places = {key: tuple(found) for key, found in places.items()}
        self.repeated = tuple([key for key, found in places.items() if len(found) > 1])


_shapes: dict[tuple[str, ...], Shape] = {}


def shape_of(keys: Sequence[str]) -> Shape:
    """The shape of a message whose header fields have these canonical keys; remembered, up to a bound."""
    order = tuple(keys)
    shape = _shapes.get(order)
    if shape is None:
        shape = Shape(order)
        if len(order) <= _LONGEST:
            if len(_shapes) >= _MOST_SHAPES:
                _shapes.clear()
            _shapes[order] = shape
    return shape
