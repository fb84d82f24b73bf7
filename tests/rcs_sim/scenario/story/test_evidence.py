"""The oracle's findings in the words of scenario files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import rcs_sim
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.story.evidence import Evidence, Finding
from rcs_sim.scenario.story.player import play_story
from rcs_sim.scenario.story.stage import Stage, StoryTrace
from tests.rcs_sim.scenario.story.stories import HEAD, story


def test_what_happened_to_a_message_is_found(tmp_path: Path) -> None:
    async def main() -> None:
        sink = StoryTrace()
        found = story(tmp_path, "- bob: wipe")
        async with Simulation(found.network, sinks=[sink]) as sim:
            stage = Stage(sim, sink, found)
            evidence = Evidence(sim, stage.said)
            await stage.set_up()
            stage.say("m1", "alice", "bob", stage.chat("alice", "bob").send("one"), 0)
            stage.say("m2", "alice", "bob", stage.phone("alice").send_sms(stage.number("bob"), "by SMS"), 1)
            await asyncio.sleep(10)
            rcs, sms = stage.message("m1"), stage.message("m2")
            assert {"alice", "bob", "red.pcscf"} <= evidence.readers(rcs)
            assert "red.smsc" in evidence.known_readers(sms)
            words = {"plaintext", "sms", "failed"}
            assert [finding.kind for finding in evidence.never(rcs, words)] == ["plaintext"]
            assert [finding.kind for finding in evidence.never(sms, words)] == ["plaintext", "sms"]
            assert evidence.violations() == []
            assert [each.message for each in evidence.broken_rules({"m1": {"plaintext"}}, {"sms"}, set())] == [
                "m1",
                "m2",
            ]

    rcs_sim.run(main)


def test_a_phone_whose_number_went_to_somebody_else_is_no_stranger_to_what_was_said_before(tmp_path: Path) -> None:
    steps = (
        "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 30}}\n"
        "- fault: {device.number_recycled: {of: bob, as: newcomer}}"
    )
    found = story(tmp_path, steps, "never: plaintext\n", head=HEAD.replace("-plain", ""))
    assert play_story(found, 7).row.verdict == "pass"


def test_a_finding_is_told_in_a_line() -> None:
    found = Finding("silent_loss", "m1", "alice", "it is gone", (3, 4))
    assert str(found) == "silent loss: message m1, at alice: it is gone (records 3, 4)"
