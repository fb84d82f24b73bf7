"""Where a text is wrong of which the parser says only that it is."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rcs_sim.scenario.yaml_places import deepest_place, first_alias, place_in, place_of_failure


@pytest.mark.parametrize(("index", "place"), [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (4, (3, 1)), (6, (3, 3))])
def test_lines_and_columns_begin_at_1(index: int, place: tuple[int, int]) -> None:
    assert place_in("ab\n\ncd", index) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: &a [x]\nb: *a", (2, 4)),
        ("a: 'no *alias'\nb: [*c]", (1, 8)),  # near enough: quotes are not looked at
        ("no alias", (1, 1)),
    ],
)
def test_an_alias_has_a_place(text: str, place: tuple[int, int]) -> None:
    assert first_alias(text) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: " + "[" * 60, (1, 53)),
        ("a: '" + "[" * 60 + "'\nb:\n  " + "{" * 60, (3, 52)),
        ("# " + "[" * 60 + "\na:\n  b:\n    c:\n", (4, 5)),
        ("a:\n  b: 1\nc: 2", (2, 3)),
        ("", (1, 1)),
    ],
)
def test_what_is_nested_deeply_has_a_place(text: str, place: tuple[int, int]) -> None:
    assert deepest_place(text) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\nb: [x, 2026-99-99]", (2, 8)),
        ("a: {b: 1, c: +_}", (1, 14)),
        ("a: " + "9" * 5000, (1, 4)),
        ("a: b\nc: d\x00", (2, 5)),
        ("? 2026-13-01\n: x", (1, 3)),
    ],
)
def test_a_value_or_a_character_that_cannot_be_has_a_place(text: str, place: tuple[int, int]) -> None:
    with pytest.raises((YAMLError, ValueError, LookupError)) as failed:
        YAML(typ="rt").load(text)
    assert place_of_failure(text, failed.value) == place


def test_where_nothing_is_found_the_text_begins() -> None:
    assert place_of_failure("a: 1", ValueError("of something else")) == (1, 1)
    assert place_of_failure("a: [", ValueError("of something else")) == (1, 1)
