"""Expectations: messages by their names, the rest by keywords."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from rcs_sim.client.message_state import MessageState
from rcs_sim.scenario.oracle_rules import ViolationKind
from rcs_sim.scenario.story.expectation_model import NEVER, SCENE, VIOLATIONS, Expect, StateWord


def test_every_state_of_a_message_can_be_expected() -> None:
    assert set(get_args(StateWord)) == {state.value for state in MessageState}


def test_every_violation_of_the_oracle_can_be_named() -> None:
    assert set(VIOLATIONS) == {kind.value.replace(" ", "_") for kind in ViolationKind}
    assert set(VIOLATIONS) < set(NEVER)


def test_what_is_no_keyword_is_a_message() -> None:
    expect = Expect.model_validate(
        {"m1": {"delivered_within_s": 5, "state": "sent"}, "label": {"alice": {"bob": "RCS"}}}
    )
    assert list(expect.messages) == ["m1"]
    assert expect.messages["m1"].state == ["sent"]
    assert "label" in SCENE
    assert "m1" not in SCENE


@pytest.mark.parametrize(
    "said",
    [
        {"m1": {"delivered": 5}},
        {"m1": {"delivered_within_s": -1}},
        {"m1": {"state": "gone"}},
        {"m1": {"never": ["sadness"]}},
        {"label": {"alice": "RCS"}},
        {"trace": [{"kind": "dream"}]},
    ],
)
def test_words_that_there_are_not_are_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Expect.model_validate(said)
