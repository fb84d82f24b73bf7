"""Which messages a scope means."""

from __future__ import annotations

from typing import Any

import pytest

from rcs_sim.scenario.faults.link_scope import is_meant
from tests.scenarios.stage import Stage, scenario


@pytest.mark.parametrize(
    ("scope", "source", "target", "expected"),
    [
        ({}, "alice", "red.pcscf", True),
        ({"of": "alice"}, "alice", "red.pcscf", True),
        ({"of": "alice"}, "red.pcscf", "alice", True),
        ({"of": "alice"}, "red.pcscf", "red.scscf", False),
        ({"element": "red.scscf"}, "red.pcscf", "red.scscf", True),
        ({"element": "red.scscf"}, "red.pcscf", "alice", False),
        ({"carrier": "blue"}, "red.ibcf", "blue.ibcf", True),
        ({"carrier": "blue"}, "red.ibcf", "red.icscf", False),
        ({"from": "*.ibcf", "to": "*.ibcf"}, "red.ibcf", "blue.ibcf", True),
        ({"from": "*.ibcf", "to": "*.ibcf"}, "red.ibcf", "red.icscf", False),
        ({"from": "alice"}, "red.pcscf", "alice", False),
        ({"to": "alice"}, "red.pcscf", "alice", True),
        ({"of": "alice", "to": "alice"}, "alice", "red.pcscf", False),
    ],
)
@scenario()
async def test_it_is_within_all_that_the_scope_says(
    stage: Stage, scope: dict[str, Any], source: str, target: str, expected: bool
) -> None:
    await stage.sim.add_phone("alice", is_on=False)
    fault = await stage.sim.begin_fault("sip.drop", **scope)
    assert is_meant(fault, source, target) is expected
