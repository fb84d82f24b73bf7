"""Places of header fields."""

from __future__ import annotations

from ims_core.wire.sip import shape
from ims_core.wire.sip.shape import shape_of


def test_each_key_has_its_places() -> None:
    found = shape_of(["via", "to", "via", "route", "route"])
    assert found.first == {"via": 0, "to": 1, "route": 3}
    assert found.places == {"via": (0, 2), "to": (1,), "route": (3, 4)}
    assert found.repeated == ("via", "route")


def test_messages_of_one_order_share_a_shape() -> None:
    assert shape_of(["a", "b"]) is shape_of(["a", "b"])
    assert shape_of(["a", "b"]) is not shape_of(["b", "a"])


def test_what_is_remembered_stays_bounded() -> None:
    for number in range(2 * shape._MOST_SHAPES):
        assert shape_of([f"x-{number}"]).first == {f"x-{number}": 0}
    assert len(shape._shapes) <= shape._MOST_SHAPES
    long = ["x"] * 200
    assert shape_of(long) is not shape_of(long)
    assert shape_of(long).places == {"x": tuple(range(200))}
