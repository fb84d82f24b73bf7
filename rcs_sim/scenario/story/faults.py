"""The faults that a story has begun."""

from __future__ import annotations

from collections.abc import Mapping

from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.simulation import Simulation

__all__ = ["StoryFaults"]


class StoryFaults:
    """The faults of one run. Those that have not ended by themselves end before the messages settle."""

    __slots__ = ("_begun", "_sim")

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._begun: list[ActiveFault] = []

    async def begin(self, word: str, scope: Mapping[str, object]) -> None:
        """Raises FaultError."""
        self._begun.append(await self._sim.begin_fault(word, **scope))

    async def end(self, word: str) -> None:
        """Raises FaultError if there is no such fault."""
        await self._sim.end_fault(word)

    async def end_all(self) -> None:
        """The last one first."""
        while self._begun:
            await self._begun.pop().end()
