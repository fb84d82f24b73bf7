"""One test with a simulation: its event loop, the faults around its body, and the verdict of the oracle."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest

from rcs_sim.pytest_plugin.wishes import Wishes

if TYPE_CHECKING:
    import asyncio

    from ims_core.trace import ListSink
    from rcs_sim.client.phone import Phone
    from rcs_sim.scenario.oracle_rules import Violation
    from rcs_sim.scenario.simulation import Simulation

__all__ = ["SimulatedTest", "TwoPhones", "violation_line"]

_T = TypeVar("_T")


class TwoPhones(NamedTuple):
    """Switched on and registered."""

    alice: Phone
    bob: Phone


class SimulatedTest:
    """One event loop for fixtures and body alike: the time of a simulation passes only while one of them runs.

    *wishes* come from the markers. *simulation* is None until a fixture has opened it, and stays after its end."""

    def __init__(self, wishes: Wishes) -> None:
        self.wishes = wishes
        self.simulation: Simulation | None = None
        self.sink: ListSink | None = None
        self._runner: asyncio.Runner | None = None

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Runs *work* to its end on the loop of the test."""
        __tracebackhide__ = True
        import asyncio  # here and below: a run without a simulation is spared it

        if self._runner is None:
            self._runner = asyncio.Runner(loop_factory=_loop_factory(self.wishes.clock))
        return self._runner.run(work)

    def close(self) -> None:
        """Cancels what still runs, and closes the loop."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    # --- fixtures ----------------------------------------------------------------------------------------------------

    @contextmanager
    def simulating(self) -> Iterator[Simulation]:
        """The simulation, running inside. Raises SimulatorError."""
        from ims_core.trace import ListSink
        from rcs_sim.scenario.simulation import Simulation

        wishes, self.sink = self.wishes, ListSink()
        sim = Simulation(wishes.network, wishes.seed, is_real=wishes.clock == "real", sinks=[self.sink])
        self.simulation = sim
        self.run(sim.__aenter__())
        try:
            yield sim
        finally:
            self.run(sim.__aexit__(None, None, None))

    async def two_phones(self, sim: Simulation) -> TwoPhones:
        """Raises SimulatorError."""
        (device, other), (carrier, home) = self.wishes.devices, self.wishes.carriers
        alice = await sim.add_phone("alice", device, carrier)
        return TwoPhones(alice, await sim.add_phone("bob", other, home))

    def synchronous(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """An async fixture as one that pytest can call: it runs on the loop of the test."""

        def value(**given: Any) -> Any:
            return self.run(function(**given))

        def yielded(**given: Any) -> Iterator[Any]:
            values = function(**given)
            yield self.run(_next(values))
            self.run(_finished(values))

        return yielded if inspect.isasyncgenfunction(function) else value

    # --- the body ----------------------------------------------------------------------------------------------------

    def body(self, function: Callable[..., Any]) -> Callable[..., None]:
        """The body of the test as pytest calls it: within the faults, and with a verdict at the end."""

        def run_body(**given: Any) -> None:
            __tracebackhide__ = True
            with self._faults():
                result = function(**given)
                if inspect.iscoroutine(result):
                    self.run(self._limited(result))
            self._judge()

        return run_body

    async def _limited(self, work: Coroutine[Any, Any, None]) -> None:
        import asyncio

        from ims_core.errors import SimulatorError

        __tracebackhide__ = True
        limit_s = self.wishes.limit_s
        limit = asyncio.timeout(limit_s)
        try:
            async with limit:
                await work
        except TimeoutError as error:
            if not limit.expired():
                raise
            hint = f"it waits for what never comes, or needs @pytest.mark.rcs(limit_s={10 * limit_s:.0f})"
            late = f"the test still runs after {limit_s:.0f} simulated seconds: {hint}"
            raise SimulatorError(late) from error.__cause__  # which shows where it waits

    @contextmanager
    def _faults(self) -> Iterator[None]:
        from ims_core.errors import SimulatorError

        begun = []
        try:
            for wish in self.wishes.faults:
                try:
                    begun.append(self.run(self._running().begin_fault(wish.word, **wish.scope)))
                except SimulatorError as error:
                    pytest.fail(f"the marker fault cannot be: {error}", pytrace=False)
            yield
        finally:
            for fault in reversed(begun):
                self.run(fault.end())

    def _running(self) -> Simulation:
        if self.simulation is None:
            pytest.fail("the marker fault needs a simulation: take rcs_simulation or two_phones", pytrace=False)
        return self.simulation

    def _let_pass(self, duration_s: float) -> None:
        import asyncio

        self.run(asyncio.sleep(duration_s))

    def _judge(self) -> None:
        """What the oracle finds fails the test, asked or not."""
        if self.simulation is None or self.wishes.violations == "allowed":
            return
        if self.wishes.settle_s:
            self._let_pass(self.wishes.settle_s)
        found = self.simulation.oracle.violations()
        if found:
            lines = "\n".join(violation_line(each) for each in found)
            hint = 'a test that wants this says @pytest.mark.rcs(violations="allowed")'
            pytest.fail(f"the oracle found what must never be:\n{lines}\n({hint})", pytrace=False)


def violation_line(violation: Violation) -> str:
    """A sentence with its evidence."""
    message, records = violation.message, ", ".join(map(str, violation.evidence))
    about = f"{message.name} {message.text[:40]!r} on {violation.phone}"
    return f"{violation.kind.value}: {about}: {violation.why} (records {records})"


def _loop_factory(clock: str) -> Callable[[], asyncio.AbstractEventLoop]:
    import asyncio

    from ims_core.transport.virtual_loop import VirtualLoop

    return VirtualLoop if clock == "virtual" else asyncio.SelectorEventLoop


async def _next(values: AsyncIterator[_T]) -> _T:
    return await anext(values)


async def _finished(values: AsyncIterator[Any]) -> None:
    async for _ in values:
        raise ValueError("an async fixture yields once")
