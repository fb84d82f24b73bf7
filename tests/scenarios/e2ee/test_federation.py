"""The other carrier's directory is down, slow or lying: the message goes without a lock and says so, and `why` names
what was wrong there (RCC.16 digest §2.5.3, §14.7)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.scenario.why import Why
from tests.scenarios.stage import BEN, BOB, Stage, scenario

_TEXT = "is anybody there?"


@pytest.mark.parametrize(
    ("word", "scope", "says"),
    [
        ("kds.slow", {"carrier": "blue", "delay_s": 60}, "peer_slow: kds."),
        ("kds.down", {"carrier": "blue"}, "peer_down: kds."),
        ("kds.peer_down", {"carrier": "red"}, "peer_down: kds."),
        ("kds.wrong_identity", {"carrier": "blue", "as": "ben"}, "peer_lying: kds."),
    ],
)
@scenario("two-carriers")
async def test_what_is_wrong_with_the_other_directory_is_why_there_is_no_lock(
    stage: Stage, word: str, scope: dict[str, Any], says: str
) -> None:
    alice, _ = await stage.alice_and_bob()
    await stage.phone("ben", BEN)
    await asyncio.sleep(2)
    async with stage.sim.fault(word, **scope):
        message = alice.chat(BOB).send(_TEXT)
        await asyncio.sleep(120)
    assert message.scheme is not Scheme.MLS
    explanation = Why(stage.sink.records).explain(_TEXT)
    assert explanation.no_lock is not None
    assert "claim failed" in explanation.no_lock
    told = [step for step in explanation.steps if step.gate == "key packages"]
    assert any(step.element == "red.kds" and says in step.says for step in told), told
    assert any("answered by red.kds with" in step.says for step in told)
