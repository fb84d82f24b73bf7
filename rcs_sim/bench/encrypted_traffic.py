"""Encrypted texts with both signed receipts between two phones of two carriers, and the same texts in plain RCS; every
hop on in-memory links, trace off.

Run as `python -m rcs_sim.bench.encrypted_traffic MODE MESSAGES`, MODE one of pager, session; prints one JSON object.
"""

from __future__ import annotations

import gc
import json
import sys
import time

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.pager_traffic import exchange
from rcs_sim.bench.processes import BenchError
from rcs_sim.bench.session_traffic import open_session
from rcs_sim.client.chat import Chat
from rcs_sim.scenario.simulation import Simulation

__all__ = ["measure"]

_WARM_UP = 50
_WITHIN_S = 60.0  # simulated


async def measure(mode: str, messages: int) -> dict[str, float]:
    """CPU and wall seconds that *messages* took, encrypted and plain, from the sender's finger to his seeing
    "displayed"."""
    sealed = await _measure("two-carriers", mode, messages)
    plain = await _measure("two-carriers-plain", mode, messages)
    return {**sealed, **{f"plain_{name}": value for name, value in plain.items()}}


async def _measure(network: str, mode: str, messages: int) -> dict[str, float]:
    async with Simulation(network=network, keeps_records=False) as simulation:
        alice = await simulation.add_phone("alice", device="android", carrier="red")
        bob = await simulation.add_phone("bob", device="android", carrier="blue", reads_after_s=0.0)
        chat = alice.chat(bob.number)
        back = bob.chat(alice.number)
        is_sealed = network == "two-carriers"
        await _begin(chat, is_sealed=is_sealed)
        if mode == "pager":
            chat.end_session()
            await chat.send("the session is over").displayed(_WITHIN_S)
        elif chat.session != "open":
            await open_session(chat)
        await exchange(chat, min(messages, _WARM_UP))
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        await exchange(chat, messages)
        found = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        _check(chat, back, mode, is_sealed=is_sealed)
        return found


async def _begin(chat: Chat, *, is_sealed: bool) -> None:
    """The first message sets the encryption up. Raises BenchError if it does not."""
    message = await chat.send("the first of many").displayed(_WITHIN_S)
    if (message.scheme is not None) is not is_sealed:
        raise BenchError(f"the conversation is {chat.label}")


def _check(chat: Chat, back: Chat, mode: str, *, is_sealed: bool) -> None:
    """Raises BenchError if something else was measured."""
    if (chat.scheme is not None) is not is_sealed or back.scheme != chat.scheme:
        raise BenchError(f"the conversation has become {chat.label}")
    if (chat.session == "open") is not (mode == "session"):
        raise BenchError(f"the session is {chat.session or 'not there'} in mode {mode}")


if __name__ == "__main__":
    print(json.dumps(run(lambda: measure(sys.argv[1], int(sys.argv[2])), clock="virtual")))
