"""The chart of the calendar (RCC.16 §9.5.3, A.4.3.1)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rcs_sim.scenario.calendar_chart import Health, calendar_svg, calendar_text, seizures, stretches
from rcs_sim.scenario.calendar_events import DAY_S, Leaf, read_calendar
from tests.rcs_sim.scenario.test_calendar_events import START, life


def test_a_conversation_seizes_from_the_floor_to_the_next_leaf() -> None:
    calendar = read_calendar(life())
    (found,) = seizures(calendar)
    assert (found.conversation, found.phone) == ("alice and bob", "bob")
    assert (calendar.day(found.begin), calendar.day(found.end)) == (30, 35)


def test_floor_and_expiry_follow_each_other() -> None:
    leaf = Leaf(START, START + 40 * DAY_S, "create")
    found = stretches([leaf], START + 50 * DAY_S)
    assert [each.health for each in found] == [Health.GOOD, Health.FLOOR, Health.EXPIRED]
    assert [(each.begin - START) / DAY_S for each in found] == [0, 10, 40]


def test_a_leaf_that_comes_stale_is_inside_the_floor_at_once() -> None:
    (found,) = stretches([Leaf(START, START + 20 * DAY_S, "create")], START + DAY_S)
    assert found.health is Health.FLOOR


@given(st.lists(st.tuples(st.floats(0, 100), st.none() | st.floats(0, 200)), min_size=1, max_size=8))
def test_stretches_follow_each_other_and_none_is_empty(drawn: list[tuple[float, float | None]]) -> None:
    leaves = [
        Leaf(at, None if until is None else until * DAY_S, "x") for at, until in sorted(drawn, key=lambda one: one[0])
    ]
    found = stretches(leaves, 150 * DAY_S)
    assert all(each.begin < each.end for each in found)
    assert all(before.end <= after.begin for before, after in pairwise(found))


def test_the_terminal_shows_rows_a_legend_and_what_would_seize() -> None:
    text = calendar_text(life())
    assert "alice: certificate" in text
    assert "alice and bob: would seize from day 30.0 to day 35.0: the leaf of bob is inside the floor" in text
    assert "message refused on day 32.0 at alice" in text
    (row,) = (line for line in text.splitlines() if line.startswith("alice and bob: bob"))
    assert row.count("L") == 2
    assert "!!!!!L" in row


def test_without_encryption_it_says_so() -> None:
    assert calendar_text([]).startswith("(no certificates")
    etree.fromstring(calendar_svg([]).encode())


def test_the_svg_is_one_document_with_the_same_stretches() -> None:
    root = etree.fromstring(calendar_svg(life(), "A <life>").encode())
    titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "A <life>"
    assert "floor from day 30.0 to day 35.0" in titles
