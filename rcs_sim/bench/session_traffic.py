"""Texts in an open session with both receipts, between two phones of two carriers, every hop on in-memory links, trace
off.

Run as `python -m rcs_sim.bench.session_traffic MESSAGES`; prints one JSON object.
"""

from __future__ import annotations

import gc
import json
import sys
import time

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.pager_traffic import exchange
from rcs_sim.bench.processes import BenchError
from rcs_sim.client.chat import Chat
from rcs_sim.scenario.simulation import Simulation

__all__ = ["measure", "open_session"]

_WARM_UP = 50
_LONG_OCTETS = 2000  # above what goes in pager mode
_WITHIN_S = 60.0  # simulated


async def open_session(chat: Chat) -> None:
    """A chat session by a text that needs one. Raises BenchError if it does not stand then."""
    await chat.send("x" * _LONG_OCTETS).delivered(_WITHIN_S)
    if chat.session != "open":
        raise BenchError(f"the session is {chat.session or 'not there'}, not open")


async def measure(messages: int) -> dict[str, float]:
    """CPU and wall seconds that *messages* took, from the sender's finger to his seeing "displayed"."""
    async with Simulation(network="two-carriers-plain", keeps_records=False) as simulation:
        alice = await simulation.add_phone("alice", device="android", carrier="red")
        bob = await simulation.add_phone("bob", device="ios", carrier="blue", reads_after_s=0.0)
        chat = alice.chat(bob.number)
        bob.chat(alice.number)
        await open_session(chat)
        await exchange(chat, min(messages, _WARM_UP))
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        await exchange(chat, messages)
        found = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        if chat.session != "open":
            raise BenchError("the session has ended in the meantime")
        return found


if __name__ == "__main__":
    print(json.dumps(run(lambda: measure(int(sys.argv[1])), clock="virtual")))
