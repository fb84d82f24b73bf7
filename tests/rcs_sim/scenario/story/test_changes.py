"""Paths into a scenario file, and changes at them."""

from __future__ import annotations

from typing import Any

import pytest

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


@pytest.mark.parametrize("text", ["a", "=1", "..=1", "a..b=1", "a=[", "a={"])
def test_what_is_no_change_is_refused(text: str) -> None:
    with pytest.raises(ChangeError):
        parse_change(text)


def test_steps_go_by_number_or_by_id() -> None:
    assert step_index(_FILE["steps"], "2") == 1
    assert step_index(_FILE["steps"], "cut") == 0
