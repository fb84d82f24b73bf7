"""The stage: phones and messages by name, and waiting on the simulation's clock."""

from __future__ import annotations

from pathlib import Path

import pytest

import rcs_sim
from ims_core.errors import SimulatorError
from rcs_sim.devices.policy import Consent
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.story.stage import Stage, StoryTrace
from tests.rcs_sim.scenario.story.stories import HEAD, story, written

_POLICY = "policy: {client_fallback: ask}\n"


def test_phones_and_messages_go_by_name(tmp_path: Path) -> None:
    async def main() -> None:
        sink = StoryTrace()
        found = story(tmp_path, "- bob: wipe", _POLICY)
        async with Simulation(found.network, sinks=[sink]) as sim:
            stage = Stage(sim, sink, found)
            await stage.set_up()
            assert stage.phone("bob").config.policy.fallback.consent is Consent.ASK
            assert stage.number("bob") == stage.phone("bob").number
            assert stage.number("+12025550144") == "+12025550144"
            assert stage.phones_of("bob") == ["bob"]
            message = stage.chat("alice", "bob").send("one")
            stage.say(None, "alice", "bob", message, 3)
            assert stage.message("(step 4)").message is message
            with pytest.raises(SimulatorError, match=r"no message 'm1'; sent so far: \(step 4\)"):
                stage.message("m1")
            with pytest.raises(SimulatorError, match="no phone 'ben'; there are: alice, bob"):
                stage.phone("ben")
            before = stage.clock.now()
            assert not await stage.until(lambda: False, before + 3)
            assert stage.clock.now() == pytest.approx(before + 3)
            assert await stage.until(lambda: stage.clock.now() > before + 4, before + 9)
            assert stage.clock.now() == pytest.approx(before + 4, abs=0.1)

    rcs_sim.run(main)


def test_a_phone_has_its_own_policy_before_that_of_all(tmp_path: Path) -> None:
    head = HEAD.replace("device: ios,", "device: ios, client_fallback: never,")
    path = written(tmp_path, "- bob: wipe", _POLICY, head=head)
    found = story(tmp_path, "- bob: wipe", _POLICY)
    assert path.exists()
    stage = Stage(Simulation(found.network), StoryTrace(), found)
    entry = found.file.phones["alice"]
    assert stage.client_fallback(entry) == "ask"
    assert stage.client_fallback(entry.model_copy(update={"client_fallback": "never"})) == "never"
