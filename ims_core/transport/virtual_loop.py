"""The two clocks, and the event loop on which simulated time passes only when nothing is left to do."""

from __future__ import annotations

import asyncio
import gc
import math
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, TypeVarTuple

from ims_core.errors import SimulatorError
from ims_core.transport.clock import Clock

__all__ = ["EPOCH_S", "RealClock", "VirtualClock", "VirtualLoop", "clock_of_running_loop", "run"]

EPOCH_S = datetime(2026, 3, 2, 10, 15, tzinfo=UTC).timestamp()
"""What the virtual clock shows when its loop is made (choice)."""

_RESOLUTION_S = 1e-9  # how far ahead the loop takes timers for due: the monotonic clock's resolution

_MOST_TURNS = 2_000_000
"""Turns of the loop at one instant, after which something wakes itself for ever. 10,000 phones that register at once
take a few thousand."""

_COLLECTED_AFTER = 100_000
"""New objects between two searches for cycles: messages and transactions are in none, but there are many at a time, and
with Python's 700 a tenth of the time goes into looking at them again and again. A core that answers 1000 requests a
second has half as many at any time, for half a minute each (timer J)."""

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")


class _JumpingSelector(selectors.BaseSelector):
    """Selector that never waits: with nothing ready it moves `time_s` to the next timer and says "time is up"."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self._turns = 0
        self.time_s = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Raises SimulatorError where the program would sleep for ever (*timeout* None and nothing ready), or would
        never come to the next instant."""
        if timeout is not None and timeout <= 0:
            self._turn()
            self._advance(0.0)
            return []  # no system call in a busy turn: the only descriptor is the loop's own wake-up pipe
        ready = self._inner.select(0)
        if ready:
            return ready
        if timeout is None:
            raise SimulatorError("virtual time stands still: every task waits, and no timer can wake one of them")
        self._turns = 0
        self._advance(timeout)
        return []

    def _turn(self) -> None:
        self._turns += 1
        if self._turns > _MOST_TURNS:
            self._turns = 0
            raise SimulatorError("virtual time stands still: something wakes itself again and again at one instant")

    def _advance(self, duration_s: float) -> None:
        self.time_s += duration_s
        if self.time_s + _RESOLUTION_S == self.time_s:  # after half a year a float cannot hold "just after" any more,
            self.time_s = math.nextafter(self.time_s, math.inf)  # and the loop would not see a timer of this instant


class VirtualLoop(asyncio.SelectorEventLoop):
    """Event loop on simulated time, which starts at 0 s and jumps to the next timer when nothing is ready.

    `asyncio.sleep`, `timeout`, `wait_for` and `TaskGroup` work as ever; threads do not: time would run past them.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.time_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Arguments], _T], *args: *_Arguments
    ) -> asyncio.Future[_T]:
        """Raises SimulatorError, always."""
        name = getattr(func, "__qualname__", repr(func))
        raise SimulatorError(f"{name} wants a thread: nothing may wait for one in virtual time, use clock='real'")


class VirtualClock:
    """Clock of a `VirtualLoop` (the running one by default). Raises SimulatorError on a loop of another kind."""

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        loop = loop or asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise SimulatorError('the virtual clock needs its own event loop: use rcs_sim.run(main, clock="virtual")')
        self._loop = loop

    def now(self) -> float:
        return EPOCH_S + self._loop.time()


class RealClock:
    """Wall time as it was when the clock was made, carried on by the monotonic clock: it never steps."""

    __slots__ = ("_offset_s",)

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset_s + time.monotonic()


def clock_of_running_loop() -> Clock:
    """The clock that belongs to the running event loop."""
    return VirtualClock() if isinstance(asyncio.get_running_loop(), VirtualLoop) else RealClock()


def run(
    main: Callable[[], Awaitable[_T]] | Coroutine[Any, Any, _T], clock: Literal["virtual", "real"] = "virtual"
) -> _T:
    """Runs *main* to its end on a new event loop, which is closed afterwards.

    Raises SimulatorError if virtual time stands still, and whatever *main* raises."""
    if clock not in ("virtual", "real"):
        raise SimulatorError(f"clock is 'virtual' or 'real', not {clock!r}")
    loop_factory = VirtualLoop if clock == "virtual" else asyncio.SelectorEventLoop
    with _rarer_collections(), asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main if isinstance(main, Coroutine) else _awaited(main))


@contextmanager
def _rarer_collections() -> Iterator[None]:
    """Looks for cycles less often, unless the program has said when, or that it never wants to."""
    before = gc.get_threshold()
    if 0 < before[0] < _COLLECTED_AFTER:
        gc.set_threshold(_COLLECTED_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def _awaited(main: Callable[[], Awaitable[_T]]) -> _T:
    return await main()
