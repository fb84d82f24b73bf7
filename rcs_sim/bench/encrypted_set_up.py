"""Encrypted conversations set up between phones of two carriers: time to lock, and memory of the arbitrating servers.

Run as `python -m rcs_sim.bench.encrypted_set_up CONVERSATIONS`; prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
import tracemalloc
from collections.abc import Sequence

from ims_core.store.mls_conversations import StoredConversation
from ims_core.transport.virtual_loop import run
from rcs_sim.bench.memory_phones import switch_on
from rcs_sim.bench.processes import BenchError
from rcs_sim.bench.resident import bulk_network
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.custom_proposals import rcs_seams
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.server.mls_conversation import MlsConversation

__all__ = ["measure"]

_AT_ONCE = 10  # conversations that are set up side by side
_WITHIN_S = 120.0  # simulated


async def measure(conversations: int) -> dict[str, float]:
    """*seconds* are simulated ones from the user's first text until the phone shows the lock, p95 and median; *cpu_ms*
    is what one costs in CPU time, phones and both carriers together; *server_kb* is what a server keeps of one."""
    side = math.isqrt(conversations - 1) + 1
    network = bulk_network(side, blue=side).model_copy(update={"e2ee": True})
    async with Simulation(network=network, keeps_records=False) as simulation:
        await switch_on(simulation, 0, 2 * side, carriers=("red", "blue"))
        phones = list(simulation.phones.values())
        pairs = [(ours, theirs) for ours in phones[0::2] for theirs in phones[1::2]][:conversations]
        cpu = time.process_time()
        seconds: list[float] = []
        for start in range(0, conversations, _AT_ONCE):
            lot = pairs[start : start + _AT_ONCE]
            seconds += await asyncio.gather(*(_lock(simulation, ours, theirs) for ours, theirs in lot))
        cpu_s = time.process_time() - cpu
        size_kb = _size_kb(simulation, pairs)
    seconds.sort()
    return {
        "p50_s": seconds[len(seconds) // 2],
        "p95_s": seconds[min(len(seconds) - 1, int(len(seconds) * 0.95))],
        "cpu_ms": cpu_s / conversations * 1000,
        "server_kb": size_kb,
    }


async def _lock(simulation: Simulation, ours: Phone, theirs: Phone) -> float:
    """Simulated seconds until the first text of a conversation has gone out under a lock. Raises BenchError."""
    begun = simulation.clock.now()
    chat = ours.chat(theirs.number)
    message = await chat.send("the first of many").sent(_WITHIN_S)
    if chat.scheme is None or message.scheme is None:
        raise BenchError(f"the conversation is {chat.label}")
    return simulation.clock.now() - begun


def _size_kb(simulation: Simulation, pairs: Sequence[tuple[Phone, Phone]]) -> float:
    """Python memory of a second copy of what the servers keep, for one conversation. Not the growth of the process: the
    set-up has left it free memory enough for the copy."""
    kept = []
    for carrier in simulation.lab.carriers.values():
        focus = carrier.messaging_server.core.focus
        if focus is None:
            raise BenchError(f"{carrier.name} arbitrates no conversations")
        found = (focus.conversation(ours.number.lstrip("+"), theirs.number.lstrip("+")) for ours, theirs in pairs)
        kept += [each for each in found if each is not None and each.live is not None]
    if len(kept) != len(pairs):
        raise BenchError(f"the servers have {len(kept)} of {len(pairs)} conversations")
    records: list[StoredConversation] = [each.to_record() for each in kept]
    seams = rcs_seams(X509Identity(CertificateValidator(TrustAnchors(simulation.lab.anchors))))
    tracemalloc.start()
    copies = [MlsConversation.of_record(record, each.log, seams) for record, each in zip(records, kept, strict=True)]
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return grown / 1024 / len(copies)


if __name__ == "__main__":
    print(json.dumps(run(lambda: measure(int(sys.argv[1])), clock="virtual")))
