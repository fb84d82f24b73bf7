"""Paths into a scenario file, and changes at them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rcs_sim.scenario.story.changes import Change, ChangeError, changed, parse_change, step_index

_FILE: dict[str, Any] = {
    "phones": {"bob": {"device": "ios"}},
    "steps": [{"id": "cut", "fault": {"net.partition": {"of": "bob"}}}, {"alice": {"send": {"text": "one"}}}],
}


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("phones.bob.device", ("phones", "bob", "device")),
        ("phones.bob.msisdn", ("phones", "bob", "msisdn")),
        ("policy.client_fallback", ("policy", "client_fallback")),
        ("steps.2.alice.send.text", ("steps", 1, "alice", "send", "text")),
        ("steps.cut.fault.net.partition.of", ("steps", 0, "fault", "net.partition", "of")),
        ("steps.1", ("steps", 0)),
    ],
)
def test_a_change_is_made_where_its_path_leads(path: str, where: tuple[str | int, ...]) -> None:
    node: Any = changed(_FILE, [Change(path, "new")])
    for part in where:
        node = node[part]
    assert node == "new"


def test_the_file_itself_stays_as_it_was() -> None:
    changed(_FILE, [Change("phones.bob.device", "android")])
    assert _FILE["phones"]["bob"]["device"] == "ios"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("steps.3", "there is no '3'; there are 1 to 2, or one of: cut"),
        ("steps.0", "there is no '0'"),
        ("steps.end.alice", "there is no 'end'"),
        ("phones.bob.device.name", "has no members, it is 'ios'"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: str, text: str) -> None:
    with pytest.raises(ChangeError, match=text):
        changed(_FILE, [Change(path, 1)])


@pytest.mark.parametrize(
    ("text", "value"),
    [("a.b=1", 1), ("a=x=y", "x=y"), ("a=[1, b]", [1, "b"]), ("a=true", True), ("a=", None), ("a={b: c}", {"b": "c"})],
)
def test_the_value_of_a_change_is_yaml_and_written_back_as_such(text: str, value: Any) -> None:
    change = parse_change(text)
    assert change.value == value
    assert parse_change(str(change)) == change


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(value=_VALUES)
@example(value="5")
@example(value="a: b")
@example(value=" yes")
@example(value="true")
@example(value="2026-01-01")
@example(value=["a, b", "[", "#", "~", ""])
@example(value={"a: b": "\n", "5": 5})
@example(value=float("inf"))
def test_any_value_is_written_so_that_it_reads_back(value: Any) -> None:
    change = Change("a.b", value)
    assert parse_change(str(change)) == change


def test_words_stay_bare() -> None:
    shown = [str(Change("a", value)) for value in ("ios", "two-carriers", "sent as SMS", "e2ee/a.b", 5, True, ["x", 1])]
    assert shown == ["a=ios", "a=two-carriers", "a=sent as SMS", "a=e2ee/a.b", "a=5", "a=true", "a=[x, 1]"]


@pytest.mark.parametrize("text", ["a", "=1", "..=1", "a..b=1", "a=[", "a={"])
def test_what_is_no_change_is_refused(text: str) -> None:
    with pytest.raises(ChangeError):
        parse_change(text)


def test_steps_go_by_number_or_by_id() -> None:
    assert step_index(_FILE["steps"], "2") == 1
    assert step_index(_FILE["steps"], "cut") == 0
