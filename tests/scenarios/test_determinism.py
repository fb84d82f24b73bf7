"""The same seed gives the same octets at the same times, and another seed gives others."""

from __future__ import annotations

import asyncio

import pytest

import rcs_sim
from ims_core.trace import ListSink
from rcs_sim.scenario.model import LinkEntry
from rcs_sim.scenario.simulation import Simulation
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, network


def _trace(seed: int, link: LinkEntry) -> str:
    """The trace of a busy story, as a file would hold it."""

    async def main() -> str:
        sink = ListSink()
        async with Simulation(network(access=link), seed, sinks=[sink]) as sim:
            stage = Stage(sim, sink)
            alice, bob = await stage.alice_and_bob(reads_after_s=1.0)
            amy = await stage.phone("amy", AMY)
            alice.chat(BOB).send("one")
            bob.chat(ALICE).send("two")
            amy.send_sms(BOB, "three" * 60)
            alice.chat(BOB).send("a session for this " * 400)
            await asyncio.sleep(30)
            bob.chat(ALICE).type()
            amy.chat(BOB).send("and for this " * 200)
            await asyncio.sleep(1)
            await sim.cut("red.pcscf")
            alice.chat(BOB).send("four")
            await asyncio.sleep(600)
            await sim.restore("red.pcscf")
            await bob.power_off()
            amy.chat(BOB).send("five")
            await asyncio.sleep(900)
            await bob.power_on()
            await asyncio.sleep(4000)
        return "".join(record.to_json() + "\n" for record in sink.records)

    return rcs_sim.run(main, clock="virtual")


_LINKS = [LinkEntry(latency_s=0.03), LinkEntry(latency_s=0.03, jitter_s=0.05, loss=0.05)]


@pytest.mark.parametrize("link", _LINKS, ids=["even", "random"])
@pytest.mark.parametrize("seed", [7, 8])
def test_one_seed_gives_one_trace(link: LinkEntry, seed: int) -> None:
    assert _trace(seed, link) == _trace(seed, link)


def test_another_seed_gives_another_trace() -> None:
    first, second = _trace(7, _LINKS[0]), _trace(8, _LINKS[0])
    assert first != second
    assert '"protocol":"MSRP"' in first
    assert [line.count('"kind":"shown"') for line in first.splitlines()].count(1) > 10


def test_what_is_random_is_not_what_is_said() -> None:
    """Identifiers, nonces and passwords differ; what the phones showed does not, where no link is random."""

    def shown(trace: str) -> list[str]:
        lines = (line for line in trace.splitlines() if '"kind":"shown"' in line)
        return [line.partition('"summary":"')[2].partition('"')[0] for line in lines]

    assert shown(_trace(7, _LINKS[0])) == shown(_trace(8, _LINKS[0]))
