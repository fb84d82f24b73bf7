"""Pager messages with both receipts between two phones of two carriers, every hop on in-memory links, trace off.

Run as `python -m rcs_sim.bench.pager_traffic MESSAGES`; prints one JSON object.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.processes import BenchError
from rcs_sim.client.chat import Chat
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.messages import SentMessage
from rcs_sim.scenario.simulation import Simulation

__all__ = ["exchange", "measure"]

_WARM_UP = 50
_IN_FLIGHT = 10
_WITHIN_S = 60.0  # simulated


async def measure(messages: int) -> dict[str, float]:
    """CPU and wall seconds that *messages* took, from the sender's finger to his seeing "displayed"."""
    async with Simulation(network="two-carriers-plain", keeps_records=False) as simulation:
        alice = await simulation.add_phone("alice", device="android", carrier="red")
        bob = await simulation.add_phone("bob", device="ios", carrier="blue", reads_after_s=0.0)
        chat = alice.chat(bob.number)
        bob.chat(alice.number)
        await exchange(chat, min(messages, _WARM_UP))
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        await exchange(chat, messages)
        return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


async def exchange(chat: Chat, count: int) -> None:
    """Sends *count* texts, some at a time, and waits until each is displayed. Raises BenchError for one sent by SMS."""
    for start in range(0, count, _IN_FLIGHT):
        async with asyncio.TaskGroup() as tasks:
            for number in range(start, min(start + _IN_FLIGHT, count)):
                tasks.create_task(_seen(chat.send(f"message {number}, see you there")), name=f"message {number}")


async def _seen(message: SentMessage) -> None:
    await message.displayed(_WITHIN_S)
    if message.transport is not MessageTransport.RCS:
        raise BenchError(f"a message went by {message.transport.value}")


if __name__ == "__main__":
    print(json.dumps(run(lambda: measure(int(sys.argv[1])), clock="virtual")))
