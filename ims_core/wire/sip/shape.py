"""The order of the header fields of a message. Many messages share one, so what it tells is found out once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Final

from ims_core.wire.sip.header_names import known_key

__all__ = ["SINGLE", "Order", "Shape", "order_of", "shape_of"]

_MOST_SHAPES: Final = 512  # then all are forgotten
_NAMES: Final = re.compile(r"\r\n([^:\r\n]*+:)")
_LONGEST: Final = 64  # header fields of a message whose shape is remembered

SINGLE: Final = frozenset(
    (
        *("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "expires", "event"),
        *("min-expires", "subscription-state", "session-expires", "min-se", "refer-to", "referred-by", "date"),
    )
)
"""The keys of header fields that a message has once at most (RFC 3261 §7.3.1, §20)."""


class Shape:
    """Where the fields of each canonical key stand among the header lines."""

    __slots__ = ("copied", "copied_keys", "copy", "first", "places", "repeated", "twice")

    first: Mapping[str, int]
    """The place of the first field."""
    places: Mapping[str, tuple[int, ...]]
    """The places of all its fields, in order."""
    repeated: tuple[str, ...]
    """The keys that several fields have, in the order of their first."""
    twice: str | None
    """The first of `repeated` that is to be there once at most."""
    copied: tuple[int, ...]
    """The places of what a response copies (RFC 3261 §8.2.6.2): Via, From, To, Call-ID, CSeq. Empty unless they stand
    in that order, as nearly all write them."""
    copied_keys: tuple[str, ...]
    """Their keys."""
    copy: Callable[[Sequence[str]], tuple[str, ...]]
    """Their lines out of all the lines; not to be called if there are none."""

    def __init__(self, keys: Sequence[str]) -> None:
        places: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        self.first = {key: found[0] for key, found in places.items()}
        self.places = {key: tuple(found) for key, found in places.items()}
        self.repeated = tuple([key for key, found in places.items() if len(found) > 1])
        self.twice = next((key for key in self.repeated if key in SINGLE), None)
        self.copied = self._places_of_copies()
        self.copied_keys = tuple([keys[place] for place in self.copied])
        self.copy = itemgetter(*(self.copied or (0, 0)))

    def _places_of_copies(self) -> tuple[int, ...]:
        vias = self.places.get("via", ())
        behind = [self.first.get(key, -1) for key in ("from", "to", "call-id", "cseq")]
        copied = (*vias, *behind)
        return copied if -1 not in behind and list(copied) == sorted(copied) else ()


class Order(list[str]):
    """The canonical keys of the header lines of a message as they came. Shared, and so never changed."""

    __slots__ = ("shape",)

    shape: Shape


_shapes: dict[tuple[str, ...], Shape] = {}
_orders: dict[tuple[str, ...], Order] = {}  # by the names as spelled, each with its colon
_latest: dict[tuple[int, str], tuple[tuple[str, ...], Order]] = {}  # names and order of the last message that was like
_begins: Final = str.startswith


def shape_of(keys: Sequence[str]) -> Shape:
    """The shape of a message whose header fields have these canonical keys; remembered, up to a bound."""
    if type(keys) is Order:
        return keys.shape
    order = tuple(keys)
    shape = _shapes.get(order)
    if shape is None:
        shape = Shape(order)
        if len(order) <= _LONGEST:
            if len(_shapes) >= _MOST_SHAPES:
                _shapes.clear()
            _shapes[order] = shape
    return shape


def order_of(head: str, lines: Sequence[str]) -> Order | None:
    """The canonical keys of the header *lines*, which follow the first line of *head*, if each begins with a name that
    was met before; else None."""
    like = len(lines), head[:3]
    latest = _latest.get(like)
    if latest is not None and all(map(_begins, lines, latest[0])):  # a name ends with the first colon of its line
        return latest[1]
    names = tuple(_NAMES.findall(head))
    order = _orders.get(names)
    if order is None or len(order) != len(lines):
        order = _new_order(names) if len(names) == len(lines) else None
    if order is not None and len(names) <= _LONGEST:
        if len(_latest) >= _MOST_SHAPES:
            _latest.clear()
        _latest[like] = names, order
    return order


def _new_order(names: tuple[str, ...]) -> Order | None:
    keys = [known_key(name) for name in names]
    order = Order(key for key in keys if key is not None)
    if len(order) != len(keys):
        return None
    order.shape = shape_of(tuple(order))
    if len(names) <= _LONGEST:
        if len(_orders) >= _MOST_SHAPES:
            _orders.clear()
        _orders[names] = order
    return order
