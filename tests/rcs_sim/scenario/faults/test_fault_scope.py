"""What a scope may say, and what is answered to the rest."""

from __future__ import annotations

import pytest

from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.faults.fault_scope import checked_scope
from rcs_sim.scenario.faults.registry import FAULTS
from tests.scenarios.stage import Stage, scenario


@pytest.mark.parametrize(
    ("word", "scope", "text"),
    [
        ("net.loss", {"rate": 1.5}, "from 0 to 1"),
        ("net.loss", {"rate": "much"}, "from 0 to 1"),
        ("net.loss", {"rate": True}, "from 0 to 1"),
        ("net.latency", {"add_s": -1}, "0 or more"),
        ("net.latency", {"add_s": float("inf")}, "0 or more"),
        ("sip.drop", {"count": 0}, "1 or more"),
        ("sip.drop", {"count": 1.5}, "1 or more"),
        ("sip.drop", {"probability": 2}, "from 0 to 1"),
        ("sip.drop", {"carrier": "green"}, "there are: red, blue"),
        ("sip.drop", {"element": "red.nothing"}, r"red\.pcscf"),
        ("sip.drop", {"to": "*.nothing"}, r"red\.pcscf"),
        ("sip.drop", {"what": "all"}, "request, response, both"),
        ("sip.drop", {"method": 7}, "a text"),
        ("sip.drop", {"methd": "MESSAGE"}, "did you mean 'method'"),
        ("sip.drop", {"zzz": 1}, "it takes"),
        ("net.handover", {}, "has to be told of"),
    ],
)
@scenario()
async def test_what_would_do_is_said(stage: Stage, word: str, scope: dict[str, object], text: str) -> None:
    with pytest.raises(FaultError, match=text):
        checked_scope(FAULTS[word], scope, stage.sim)


@scenario()
async def test_values_defaults_and_other_names(stage: Stage) -> None:
    alice = await stage.sim.add_phone("alice", is_on=False)
    scope = checked_scope(FAULTS["sip.status"], {"from_": "*.pcscf", "who": alice, "to": None, "count": 2}, stage.sim)
    assert scope.said == {"from": "*.pcscf", "of": "alice", "count": 2}
    assert (scope["status"], scope.text("to"), scope.get("nothing")) == (503, "", None)
    assert (scope.number("retry_after_s"), scope.seconds("after_s"), scope["probability"]) == (0, 0.0, 1.0)
