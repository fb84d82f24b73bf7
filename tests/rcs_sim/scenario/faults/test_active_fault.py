"""Whether a fault acts on an occasion: every, count, probability, by the seed."""

from __future__ import annotations

from typing import Any

import rcs_sim
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_bench import FaultBench
from rcs_sim.scenario.faults.fault_scope import checked_scope
from rcs_sim.scenario.faults.registry import FAULTS
from rcs_sim.scenario.simulation import Simulation


def occasions(times: int, /, seed: int = 7, number: int = 1, **scope: Any) -> list[bool]:
    told: list[bool] = []

    async def main() -> None:
        async with Simulation("two-carriers-plain", seed) as sim:
            kind = FAULTS["sip.drop"]
            fault = ActiveFault(kind, checked_scope(kind, scope, sim), number, sim, FaultBench(sim))
            for _ in range(times):
                happens = fault.happens()
                told.append(happens)
                if happens:
                    fault.acted("something")

    rcs_sim.run(main)
    return told


def test_every_third() -> None:
    assert occasions(7, every=3) == [False, False, True, False, False, True, False]


def test_so_many_at_most() -> None:
    assert occasions(5, count=2) == [True, True, False, False, False]
    assert sum(occasions(40, count=3, every=2, probability=0.5)) <= 3


def test_chance_is_of_the_seed_and_of_the_fault() -> None:
    drawn = occasions(60, probability=0.5)
    assert drawn == occasions(60, probability=0.5)
    assert drawn != occasions(60, seed=8, probability=0.5)
    assert drawn != occasions(60, number=2, probability=0.5)
    assert 15 < sum(drawn) < 45
    assert not any(occasions(20, probability=0))
