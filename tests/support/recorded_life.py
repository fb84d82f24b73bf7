"""An encrypted conversation with everything in it that phones write of themselves: played once, read by many tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache

import rcs_sim
from ims_core.trace import ListSink, TraceRecord
from rcs_sim.scenario.faults.passing import Line, Passing, with_cpim_body
from rcs_sim.scenario.simulation import Simulation
from tests.scenarios.stage import ALICE, BOB, Stage
from tests.support.encrypted_phones import reinstalled, rekey
from tests.support.outside_reading import LoggedKeys

__all__ = ["PAIRS", "Life", "spoiling_next", "the_life"]

PAIRS = (("android", "ios"), ("ios", "android"), ("strict-v3", "strict-v4"), ("lineage-like", "android"))


@dataclass(frozen=True)
class Life:
    """What crossed the links, and the keys of it: lines as they were logged, and read."""

    records: tuple[TraceRecord, ...]
    lines: tuple[str, ...]
    keys: LoggedKeys
    texts: frozenset[str]


@cache
def the_life(ours: str, theirs: str) -> Life:
    """Alice and two devices of Bob: texts both ways in sessions and by MESSAGE, commits of both sides, a message that
    nobody can read, another era."""
    sink, lines, said = ListSink(), list[str](), set[str]()

    async def main() -> None:
        async with Simulation("two-carriers", 7, sinks=[sink], key_log=lines.append) as sim:
            await _lived(Stage(sim, sink), ours, theirs, said)

    rcs_sim.run(main, clock="virtual")
    return Life(tuple(sink.records), tuple(lines), LoggedKeys(lines), frozenset(said))


async def _lived(stage: Stage, ours: str, theirs: str, said: set[str]) -> None:
    alice = await stage.phone("alice", ALICE, ours, reads_after_s=1.0)
    bob = await stage.phone("bob", BOB, theirs, reads_after_s=1.0)
    tablet = await stage.phone("tablet", BOB, theirs)
    await asyncio.sleep(2)
    sides = ((alice, BOB), (bob, ALICE), (tablet, ALICE))

    async def talk(what: str) -> None:
        for number in range(3):
            for phone, peer in sides:
                said.add(f"{what} {number} of {phone.name}")
                await (await phone.chat(peer).send(f"{what} {number} of {phone.name}")).delivered(within_s=60)

    await talk("begin")
    alice.chat(BOB).end_session()
    await talk("by message")
    rekey(bob, ALICE)
    await asyncio.sleep(10)
    await talk("after bob")
    rekey(alice, BOB)
    await asyncio.sleep(10)
    spoiling_next(stage, "alice")
    said.add("not at once")
    await (await alice.chat(BOB).send("not at once")).delivered(within_s=600)
    await reinstalled(bob)
    await talk("another era")
    await asyncio.sleep(60)


def spoiling_next(stage: Stage, sender: str) -> None:
    """The next sealed message of *sender* arrives with its last bit the other way."""

    def apply(passing: Passing) -> bytes | None:
        cpim = passing.cpim
        if passing.source != sender or cpim is None or cpim.content_type.essence != "message/mls":
            return passing.octets
        end()
        return passing.with_cpim(with_cpim_body(cpim, cpim.body[:-1] + bytes((cpim.body[-1] ^ 1,))))

    end = stage.sim.faults.tap.add((Line.CONTENT,), apply)
