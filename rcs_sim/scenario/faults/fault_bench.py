"""The faults of one simulation: begun by word, ended in any order, gone when the simulation ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from ims_core.errors import SimulatorError
from ims_core.trace import RecordKind
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultError, Occasion
from rcs_sim.scenario.faults.fault_scope import checked_scope
from rcs_sim.scenario.faults.link_tap import LinkTap
from rcs_sim.scenario.faults.registry import fault_kind
from rcs_sim.scenario.faults.switches import Switches

if TYPE_CHECKING:
    from rcs_sim.scenario.simulation import Simulation

__all__ = ["FaultBench"]

_log = logging.getLogger(__name__)


class FaultBench:
    """*active* are those that have begun, or will, and have not ended; *taps* and *switches* are where they act."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.active: list[ActiveFault] = []
        self.switches = Switches()
        self._tap: LinkTap | None = None
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def tap(self) -> LinkTap:
        """On the links of the simulation's world."""
        if self._tap is None:
            self._tap = LinkTap(self._sim.world.network.book)
        return self._tap

    async def begin(self, word: str, /, **scope: Any) -> ActiveFault:
        """Raises FaultError for a word or a scope that is none."""
        kind = fault_kind(word)
        checked = checked_scope(kind, scope, self._sim)
        self._number += 1
        fault = ActiveFault(kind, checked, self._number, self._sim, self)
        self.active.append(fault)
        after_s = checked.seconds("after_s")
        if after_s > 0:
            self._later(after_s, lambda: self._begin_late(fault))
            return fault
        try:
            await self._put_into_effect(fault)
        except BaseException:
            await self.end(fault)
            raise
        return fault

    @asynccontextmanager
    async def lasting(self, word: str, /, **scope: Any) -> AsyncIterator[ActiveFault]:
        """`begin` on entry, `end` on exit."""
        fault = await self.begin(word, **scope)
        try:
            yield fault
        finally:
            await self.end(fault)

    async def end(self, fault: ActiveFault) -> None:
        """Undoes *fault*; nothing happens the second time."""
        if fault.has_ended:
            return
        fault.has_ended = True
        self.active.remove(fault)
        try:
            await fault.undo.aclose()
        finally:
            if fault.has_begun:
                fault.mark("ends", fault.where, acts=fault.acts)

    async def end_word(self, word: str) -> None:
        """Ends all faults of that *word*. Raises FaultError if there is none."""
        fault_kind(word)
        found = [fault for fault in self.active if fault.word == word]
        if not found:
            going = ", ".join(sorted({fault.word for fault in self.active})) or "none"
            raise FaultError(f"no {word} is under way; there are: {going}")
        for fault in found:
            await self.end(fault)

    async def close(self) -> None:
        """Ends them all, the last one first."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with AsyncExitStack() as ending:  # one that cannot be undone does not keep the others
            for fault in self.active:
                ending.push_async_callback(self.end, fault)
        if self._tap is not None:
            self._tap.close()

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _put_into_effect(self, fault: ActiveFault) -> None:
        fault.has_begun = True
        said = {key: value for key, value in fault.scope.said.items() if key not in ("after_s",)}
        fault.mark("begins", fault.where, scope=said)
        if fault.kind.occasion is Occasion.EACH or fault.takes_effect():
            await fault.kind.begin(fault)
        for_s = fault.scope.get("for_s")
        if for_s is not None and not fault.has_ended:
            self._later(for_s, lambda: self.end(fault))

    async def _begin_late(self, fault: ActiveFault) -> None:
        if not fault.has_ended:
            await self._put_into_effect(fault)

    def _later(self, after_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        def start() -> None:
            self._timers.discard(timer)
            # Owned by the bench: `close` cancels it, and what it raises is put into the trace.
            task = asyncio.get_running_loop().create_task(self._watched(work()), name="fault")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        timer = asyncio.get_running_loop().call_later(after_s, start)
        self._timers.add(timer)

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except SimulatorError as error:
            _log.warning("a fault cannot be: %s", error)
            sim = self._sim
            sim.trace.record(at=sim.clock.now(), kind=RecordKind.ERROR, source="network", summary=f"fault: {error}")
