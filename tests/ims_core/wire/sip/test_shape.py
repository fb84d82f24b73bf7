"""Places of header fields."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.sip import shape
from ims_core.wire.sip.shape import Order, order_of, shape_of


def _order_of(head: str) -> Order | None:
    return order_of(head, head.split("\r\n")[1:])


def test_each_key_has_its_places() -> None:
    found = shape_of(["via", "to", "via", "route", "route"])
    assert found.first == {"via": 0, "to": 1, "route": 3}
    assert found.places == {"via": (0, 2), "to": (1,), "route": (3, 4)}
    assert found.repeated == ("via", "route")


def test_what_a_response_copies_is_found_where_nearly_all_write_it() -> None:
    usual = shape_of(["route", "via", "via", "from", "to", "x", "call-id", "cseq"])
    assert usual.copied == (1, 2, 3, 4, 6, 7)
    assert usual.copied_keys == ("via", "via", "from", "to", "call-id", "cseq")
    for keys in (["from", "via", "to", "call-id", "cseq"], ["via", "to", "from", "call-id", "cseq"],
                 ["via", "from", "to", "call-id"], ["via", "from", "via", "to", "call-id", "cseq"]):  # fmt: skip
        assert shape_of(keys).copied == ()


def test_a_field_that_is_to_be_there_once_is_told_of() -> None:
    assert shape_of(["via", "via", "route", "route"]).twice is None
    assert shape_of(["via", "to", "via", "cseq", "cseq", "to"]).twice == "to"


def test_lines_with_names_that_were_met_have_an_order_and_its_shape() -> None:
    order = _order_of("\r\nVia: a:b\r\nf:\r\nCSEQ: x")
    assert order == ["via", "from", "cseq"]
    assert _order_of("start\r\nVia: c\r\nf: d\r\nCSEQ: y") is order
    assert order is not None
    assert shape_of(order) is shape_of(["via", "from", "cseq"])
    for line in ("Via", "", " folded: x", "X-Never-Met: 1", "Via : x"):
        assert _order_of(f"\r\nVia: x\r\n{line}") is None


def test_messages_of_one_order_share_a_shape() -> None:
    assert shape_of(["a", "b"]) is shape_of(["a", "b"])
    assert shape_of(["a", "b"]) is not shape_of(["b", "a"])


def test_what_is_remembered_stays_bounded() -> None:
    for number in range(2 * shape._MOST_SHAPES):
        assert shape_of([f"x-{number}"]).first == {f"x-{number}": 0}
    assert len(shape._shapes) <= shape._MOST_SHAPES
    for number in range(2 * shape._MOST_SHAPES):
        lines = ["\r\nTo:" if number & 1 << bit else "\r\nFrom:" for bit in range(11)]
        assert _order_of("".join(lines)) is not None
    assert len(shape._orders) <= shape._MOST_SHAPES
    for number in range(2 * shape._MOST_SHAPES):
        assert _order_of(f"{number:03x}\r\nTo: x") == ["to"]
    assert len(shape._latest) <= shape._MOST_SHAPES
    long = ["x"] * 200
    assert shape_of(long) is not shape_of(long)
    assert shape_of(long).places == {"x": tuple(range(200))}


_LINES = st.sampled_from(
    ["Via: a", "v:b:c", "Via:", "Via", "", "V", " Via: x", "via : x", "To: x", "t: x", "X-New: 1", ":"]
)


@given(st.lists(st.lists(_LINES, min_size=1, max_size=3), min_size=1, max_size=6))
def test_what_came_before_changes_no_order(messages: list[list[str]]) -> None:
    heads = ["\r\n".join(("start", *lines)) for lines in messages]
    after_others = [_order_of(head) for head in heads]
    for head, found in zip(heads, after_others, strict=True):
        shape._latest.clear()
        assert _order_of(head) == found
