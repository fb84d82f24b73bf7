"""Both ends of the load, with nothing between them."""

from __future__ import annotations

import asyncio

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.msrp_load import session_ends


def test_every_message_is_answered() -> None:
    async def story() -> dict[str, float]:
        async with session_ends(2048) as ends:
            ends.open({"near": ends.uris["far"], "far": ends.uris["near"]})
            await ends.exchange(3, 10_000, 2)
            return await ends.exchange(5, 600, 1)

    found = run(lambda: asyncio.wait_for(story(), 30), clock="real")
    assert set(found) == {"cpu_s", "wall_s"}
