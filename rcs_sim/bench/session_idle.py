"""A network at rest: registered phones of two carriers, some of them in open chat sessions, in one process.

Run as `python -m rcs_sim.bench.session_idle PHONES SESSIONS SECONDS`; prints one JSON object. All in-memory links,
virtual time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.memory_phones import SETTLE_S, switch_on
from rcs_sim.bench.processes import BenchError
from rcs_sim.bench.resident import bulk_network, resident_kb
from rcs_sim.bench.session_traffic import open_session
from rcs_sim.client.chat import Chat
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.scenario.simulation import Simulation

__all__ = ["measure"]

_WARM_UP = 500  # phones
_AT_ONCE = 50  # sessions that are opened side by side
_LOT = 100  # sessions that come one after the other; then all is quiet, as a burst costs more
_CARRIERS = ("blue", "red")  # of even and of odd phones: each session crosses the border
_PROFILE = """\
name: bench
description: chat sessions that nobody uses last for a day
chat_idle_s: 86400
"""


async def measure(phones: int, sessions: int, rest_s: float) -> dict[str, float]:
    """Growth of the process for one phone and one session more, in kB, and CPU seconds of *rest_s* simulated seconds
    in which nobody does anything."""
    warm = min(phones, _WARM_UP)
    with TemporaryDirectory(prefix="rcs-sim-bench-") as folder:
        network = _network(warm + phones, Path(folder))
        async with Simulation(network=network, keeps_records=False) as simulation:
            await switch_on(simulation, 0, warm, carriers=_CARRIERS)
            sizes = [resident_kb()]
            await switch_on(simulation, warm, phones, carriers=_CARRIERS)
            sizes.append(resident_kb())
            chats = await _open(simulation, sessions)
            await asyncio.sleep(SETTLE_S)
            sizes.append(resident_kb())
            before = time.process_time()
            await asyncio.sleep(rest_s)
            idle_cpu_s = time.process_time() - before
            _check(simulation, chats)
    return {
        "phone_kb": (sizes[1] - sizes[0]) / phones,
        "session_kb": (sizes[2] - sizes[1]) / sessions,
        "idle_cpu_s": idle_cpu_s,
    }


def _network(phones: int, folder: Path) -> NetworkFile:
    profile = folder / "bench.yaml"
    profile.write_text(_PROFILE, encoding="utf-8")
    network = bulk_network((phones + 1) // 2, blue=(phones + 1) // 2)
    carriers = {
        name: carrier.model_copy(update={"profile": str(profile)}) for name, carrier in network.carriers.items()
    }
    return network.model_copy(update={"carriers": carriers})


async def _open(simulation: Simulation, sessions: int) -> list[Chat]:
    """A session each between phones 1 and 0, 3 and 2, and so on."""
    numbers = [phone.number for phone in simulation.phones.values()]
    phones = list(simulation.phones.values())
    chats = [phones[2 * index + 1].chat(numbers[2 * index]) for index in range(sessions)]
    for start in range(0, sessions, _AT_ONCE):
        async with asyncio.TaskGroup() as tasks:
            for index, chat in enumerate(chats[start : start + _AT_ONCE], start):
                tasks.create_task(open_session(chat), name=f"session {index}")
        if (start + _AT_ONCE) % _LOT == 0:
            await asyncio.sleep(SETTLE_S)
    return chats


def _check(simulation: Simulation, chats: list[Chat]) -> None:
    """Raises BenchError if anything has ended meanwhile."""
    off = sum(not phone.is_registered for phone in simulation.phones.values())
    closed = sum(chat.session != "open" for chat in chats)
    if off or closed:
        raise BenchError(f"{off} phones are not registered, {closed} sessions not open any more")


if __name__ == "__main__":
    print(json.dumps(run(lambda: measure(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])), clock="virtual")))
