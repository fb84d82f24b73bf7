"""Steps: one thing each, in the long form and in the short one."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rcs_sim.scenario.story.step_model import ACTIONS, KEYWORDS, Send, Step, StepAction


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ({"bob": "wipe"}, {"bob": {"wipe": {}}}),
        ({"bob": {"wipe": None}}, {"bob": {"wipe": {}}}),
        ({"bob": {"read": "alice"}}, {"bob": {"read": {"peer": "alice"}}}),
        ({"bob": "read"}, {"bob": {"read": {}}}),
        ({"bob": {"airplane": True}}, {"bob": {"airplane": {"on": True}}}),
        ({"bob": {"airplane": "on"}}, {"bob": {"airplane": {"on": True}}}),
        ({"bob": {"swap_device": "android"}}, {"bob": {"swap_device": {"device": "android"}}}),
        ({"fault": "kds.down"}, {"fault": {"kds.down": {}}}),
        ({"end_fault": "kds.down"}, {"end_fault": ["kds.down"]}),
        ({"age": 2}, {"age": {"days": 2}}),
    ],
)
def test_the_short_form_says_the_same(short: dict[str, Any], long: dict[str, Any]) -> None:
    assert Step.model_validate(short) == Step.model_validate(long)


@pytest.mark.parametrize(
    "step",
    [
        {},
        {"id": "a"},
        {"alice": "wipe", "bob": "wipe"},
        {"alice": "wipe", "age": 1},
        {"alice": {}},
        {"alice": {"wipe": {}, "power_on": {}}},
        {"alice": "fly"},
        {"age": 0},
        {"age": {"days": -1}},
        {"expect": {}},
        {"expect": {"within_s": 5}},
        {"alice": {"send": {"to": "bob"}}},
        {"alice": {"send": {"to": "bob", "text": "a", "octets": 3}}},
        {"fault": {"down": {}}},
    ],
)
def test_a_step_is_exactly_one_thing_that_there_is(step: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Step.model_validate(step)


def test_every_action_is_known_by_its_word() -> None:
    for word in ACTIONS:
        assert word in StepAction.model_fields
    assert {"send", "reply", "read", "type", "wipe", "power_cycle", "swap_sim", "add_device", "consent"} <= set(ACTIONS)
    assert {"expect", "fault", "end_fault", "age"} <= set(KEYWORDS)


def test_a_step_tells_who_does_what() -> None:
    step = Step.model_validate({"id": "again", "alice": {"send": {"to": "bob", "text": "x"}}})
    assert (step.actor, step.title) == ("alice", "again (alice: send)")
    assert Step.model_validate({"age": 1}).title == "age"


@pytest.mark.parametrize("octets", [1, 44, 45, 46, 5000])
def test_a_text_can_be_given_by_its_length(octets: int) -> None:
    assert len(Send(to="bob", octets=octets).content) == octets
