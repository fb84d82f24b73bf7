"""What an emulated phone costs in memory, beside its share of the network: phones that are switched on and registered.

Run as `python -m rcs_sim.bench.memory_phones PHONES`; prints one JSON object. All in-memory links, virtual time.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.processes import BenchError
from rcs_sim.bench.resident import bulk_network, resident_kb
from rcs_sim.scenario.simulation import Simulation

__all__ = ["SETTLE_S", "measure", "switch_on"]

_WARM_UP = 500
_AT_ONCE = 50
_LOT = 250  # phones that come one after the other; then all is quiet
SETTLE_S = 140.0  # simulated: every transaction is over, with the timers of a phone (T1 of 2 s, so 64 * T1 is 128 s)


async def measure(phones: int) -> dict[str, float]:
    """Growth of the process in kB for one phone more, over *phones* of them; the network's share is in it."""
    warm = min(phones, _WARM_UP)
    async with Simulation(network=bulk_network(warm + phones), keeps_records=False) as simulation:
        await switch_on(simulation, 0, warm)
        before = resident_kb()
        await switch_on(simulation, warm, phones)
        after = resident_kb()
        registered = sum(phone.is_registered for phone in simulation.phones.values())
        if registered < warm + phones:
            raise BenchError(f"only {registered} of {warm + phones} phones are registered")
    return {"phone_kb": (after - before) / phones}


async def switch_on(simulation: Simulation, first: int, count: int, carriers: Sequence[str] = ("red",)) -> None:
    """*count* phones, called phone0 and so on, which come little by little; those with an odd number are Android-like.
    *carriers* take turns."""
    for start in range(first, first + count, _AT_ONCE):
        async with asyncio.TaskGroup() as tasks:
            for number in range(start, min(start + _AT_ONCE, first + count)):
                device = "android" if number % 2 else "ios"
                carrier = carriers[number % len(carriers)]
                phone = simulation.add_phone(f"phone{number}", device=device, carrier=carrier)
                tasks.create_task(phone, name=f"phone {number}")
        done = min(start + _AT_ONCE - first, count)
        print(json.dumps({"done": done, "of": count}), flush=True)
        if done % _LOT == 0 or done == count:
            await asyncio.sleep(SETTLE_S)


if __name__ == "__main__":
    print(json.dumps(run(lambda: measure(int(sys.argv[1])), clock="virtual")))
