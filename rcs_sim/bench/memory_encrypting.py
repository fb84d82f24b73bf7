"""What a phone that encrypts costs in memory, with its share of the network, its key service and its arbiter included.

Run as `python -m rcs_sim.bench.memory_encrypting PHONES`; prints one JSON object. All in-memory links, virtual time.
"""

from __future__ import annotations

import asyncio
import json
import sys

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.memory_phones import SETTLE_S, switch_on
from rcs_sim.bench.processes import BenchError
from rcs_sim.bench.resident import bulk_network, resident_kb
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.simulation import Simulation

__all__ = ["measure"]

_WARM_UP = 100  # phones, each with its conversation
_AT_ONCE = 10  # conversations that are set up side by side
_WITHIN_S = 120.0  # simulated
_CARRIERS = ("blue", "red")  # of even and of odd phones: each conversation crosses the border


async def measure(phones: int) -> dict[str, float]:
    """Growth of the process in kB for one phone more, over *phones* of them: *enrolled_kb* when it has its certificate
    and its key packages, *conversation_kb* for its end of one conversation, a text that was delivered in it."""
    warm = min(phones, _WARM_UP)
    side = (warm + phones + 1) // 2
    network = bulk_network(side, blue=side).model_copy(update={"e2ee": True})
    async with Simulation(network=network, keeps_records=False) as simulation:
        await switch_on(simulation, 0, warm, carriers=_CARRIERS)
        await _converse(simulation, 0, warm)
        sizes = [resident_kb()]
        await switch_on(simulation, warm, phones, carriers=_CARRIERS)
        sizes.append(resident_kb())
        await _converse(simulation, warm, phones)
        sizes.append(resident_kb())
    return {"enrolled_kb": (sizes[1] - sizes[0]) / phones, "conversation_kb": (sizes[2] - sizes[1]) / phones}


async def _converse(simulation: Simulation, first: int, count: int) -> None:
    """Phones *first* and the next, and so on by twos, each have one encrypted conversation; then all is quiet."""
    phones = list(simulation.phones.values())[first : first + count]
    pairs = list(zip(phones[0::2], phones[1::2], strict=False))
    for start in range(0, len(pairs), _AT_ONCE):
        async with asyncio.TaskGroup() as tasks:
            for one, other in pairs[start : start + _AT_ONCE]:
                tasks.create_task(_deliver(one, other), name=f"{one.name} to {other.name}")
    await asyncio.sleep(SETTLE_S)


async def _deliver(one: Phone, other: Phone) -> None:
    """Raises BenchError for a text that went in clear."""
    message = one.chat(other.number).send("the first of many")
    await message.delivered(_WITHIN_S)
    if message.scheme is None:
        raise BenchError(f"{one.name} sent in clear")


if __name__ == "__main__":
    print(json.dumps(run(lambda: measure(int(sys.argv[1])), clock="virtual")))
