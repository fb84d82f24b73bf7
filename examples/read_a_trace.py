"""Reads a trace while it is made: who sent how many octets over which reference point."""

from collections import Counter

import rcs_sim
from ims_core.trace import ListSink, RecordKind


async def main() -> None:
    sink = ListSink()
    async with rcs_sim.Simulation(network="two-carriers", seed=7, sinks=[sink]) as sim:
        alice = await sim.add_phone("alice", device="android", carrier="red", msisdn="+12025550101")
        bob = await sim.add_phone("bob", device="ios", carrier="blue", msisdn="+12025550152")
        await (await alice.chat(bob).send("hello")).delivered(within_s=5)
    octets: Counter[str] = Counter()
    for record in sink.records:
        if record.kind is RecordKind.MESSAGE:
            octets[f"{record.reference_point or '-':4} {record.protocol}"] += len(record.raw)
    for link, count in octets.most_common():
        print(f"{link:10} {count:8,} octets")


rcs_sim.run(main, clock="virtual")
