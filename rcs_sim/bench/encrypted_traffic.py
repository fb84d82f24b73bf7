"""Encrypted texts with both signed receipts between two phones of two carriers, and the same texts in plain RCS; every
hop on in-memory links, trace off. Both take turns, some messages at a time, so that both have the same share of what
else the machine does.

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
_TURN = 50  # messages
_WITHIN_S = 60.0  # simulated


async def measure(mode: str, messages: int) -> dict[str, float]:
    """CPU and wall seconds that *messages* took, encrypted and plain, from the sender's finger to his seeing
    "displayed"."""
    async with (
        Simulation(network="two-carriers", keeps_records=False) as encrypting,
        Simulation(network="two-carriers-plain", keeps_records=False) as plain,
    ):
        sides = (await _Side.ready(encrypting, mode, is_sealed=True), await _Side.ready(plain, mode, is_sealed=False))
        for side in sides:
            await exchange(side.chat, min(messages, _WARM_UP))
        gc.collect()
        for start in range(0, messages, _TURN):
            for side in sides:
                await side.take_turn(min(_TURN, messages - start))
        for side in sides:
            side.check(mode)
        return {**sides[0].figures(), **{f"plain_{name}": value for name, value in sides[1].figures().items()}}


class _Side:
    """One of the two conversations, and what it has taken so far."""

    __slots__ = ("_back", "_cpu_s", "_is_sealed", "_wall_s", "chat")

    def __init__(self, chat: Chat, back: Chat, *, is_sealed: bool) -> None:
        self.chat, self._back, self._is_sealed = chat, back, is_sealed
        self._cpu_s = self._wall_s = 0.0

    @classmethod
    async def ready(cls, simulation: Simulation, mode: str, *, is_sealed: bool) -> _Side:
        """Two phones, the encryption set up where there is one, in a session or in pager mode."""
        alice = await simulation.add_phone("alice", device="android", carrier="red")
        bob = await simulation.add_phone("bob", device="android", carrier="blue", reads_after_s=0.0)
        chat = alice.chat(bob.number)
        side = cls(chat, bob.chat(alice.number), is_sealed=is_sealed)
        await _begin(chat, is_sealed=is_sealed)
        if mode == "pager":
            chat.end_session()
            await chat.send("the session is over").displayed(_WITHIN_S)
        elif chat.session != "open":
            await open_session(chat)
        return side

    async def take_turn(self, messages: int) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        await exchange(self.chat, messages)
        self._cpu_s += time.process_time() - cpu
        self._wall_s += time.perf_counter() - wall

    def figures(self) -> dict[str, float]:
        return {"cpu_s": self._cpu_s, "wall_s": self._wall_s}

    def check(self, mode: str) -> None:
        """Raises BenchError if something else was measured."""
        _check(self.chat, self._back, mode, is_sealed=self._is_sealed)


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
