from __future__ import annotations

import pytest

from rcs_sim.client.messages import NotSeenInTime
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import BOB, World


def test_waits_have_deadlines_and_tell_what_was_seen() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        await bob.power_off()
        message = await alice.chat(BOB).send("Hello")
        with pytest.raises(NotSeenInTime) as caught:
            await message.delivered(7)
        assert caught.value.expected == "delivered"
        assert "sent by RCS" in caught.value.seen
        assert caught.value.within_s == 7

    play(story)
