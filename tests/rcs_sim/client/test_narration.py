from __future__ import annotations

import asyncio

from rcs_sim.client.narration import CFS_TIMER
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import BOB, World


def test_decisions_are_told_with_outcome_reason_and_step() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        await (await alice.chat(BOB).send("one")).delivered(5)
        world.core.answers["MESSAGE"].append(500)
        await (await alice.chat(BOB).send("two")).delivered(10)
        told = [each.details for each in world.sink.records if each.details.get("machine") == "fallback"]
        decision = [each for each in told if each.get("outcome")]
        assert decision[0]["outcome"] == "500"
        assert decision[0]["state"] == "retry"
        assert decision[0]["reason"] == "a server failed"
        await bob.power_off()
        await (await alice.chat(BOB).send("three")).sent(5)
        await asyncio.sleep(31)
        assert f"outcome={CFS_TIMER}" in [f"outcome={each.details.get('outcome')}" for each in world.sink.records]

    play(story)
