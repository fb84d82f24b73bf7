from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import socket
import threading
import time

import pytest

from ims_core.errors import SimulatorError
from ims_core.transport.virtual_loop import EPOCH_S, RealClock, VirtualClock, VirtualLoop, clock_of_running_loop, run

_DAY_S = 86400.0


def test_a_hundred_days_pass_in_milliseconds() -> None:
    async def main() -> float:
        await asyncio.sleep(100 * _DAY_S)
        return VirtualClock().now()

    started = time.perf_counter()
    assert run(main) == EPOCH_S + 100 * _DAY_S
    assert time.perf_counter() - started < 1.0


def test_the_clock_starts_at_the_epoch_and_moves_only_while_everybody_waits() -> None:
    async def main() -> None:
        clock = VirtualClock()
        for _ in range(1000):
            await asyncio.sleep(0)
        assert clock.now() == EPOCH_S == 1772446500.0
        await asyncio.sleep(1.5)
        assert clock.now() == EPOCH_S + 1.5

    run(main())


def test_timeouts_and_task_groups_work_as_ever() -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def say(word: str, after_s: float) -> None:
            await asyncio.sleep(after_s)
            seen.append(word)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(say("late", 3600.0))
            tasks.create_task(say("soon", 0.001))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(_DAY_S):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        assert asyncio.get_running_loop().time() == 3600.0 + _DAY_S + 30
        return seen

    assert run(main) == ["soon", "late"]


def test_many_timers_of_awkward_sizes_fire_in_order_and_never_early() -> None:
    async def main() -> None:
        loop, fired = asyncio.get_running_loop(), list[tuple[float, float]]()
        done = asyncio.Event()
        for step in range(1, 500):
            due = step * 0.1 * 1.37**0.5 + 1e7 * (step % 3)
            loop.call_at(due, lambda due=due: fired.append((due, loop.time())))
        loop.call_at(2e8, done.set)
        await done.wait()
        assert [round(due, 6) for due, _ in fired] == sorted(round(due, 6) for due, _ in fired)
        assert all(abs(due - at) < 1e-7 for due, at in fired)
        assert len(fired) == 499
        await asyncio.sleep(0.001)
        loop.call_later(0, done.clear)
        await asyncio.sleep(1e-7)
        assert not done.is_set()

    run(main)


def test_a_program_that_waits_for_ever_fails_at_once_instead_of_hanging() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(SimulatorError, match="stands still"):
        run(main)


def test_what_wakes_itself_at_one_instant_for_ever_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ims_core.transport.virtual_loop._MOST_TURNS", 1000)

    async def main() -> None:
        for _ in range(10):  # again and again, with time going by
            for _ in range(500):
                await asyncio.sleep(0)
            await asyncio.sleep(1)
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(SimulatorError, match="wakes itself"):
        run(main)


def test_waiting_for_a_thread_is_a_clear_error() -> None:
    async def main() -> None:
        with pytest.raises(SimulatorError, match="wants a thread"):
            await asyncio.to_thread(time.sleep, 0)
        with pytest.raises(SimulatorError, match="wants a thread"):
            await asyncio.get_running_loop().getaddrinfo("localhost", 80)

    run(main)


def test_the_virtual_clock_on_a_foreign_loop_names_the_way_out() -> None:
    async def main() -> None:
        with pytest.raises(SimulatorError, match="rcs_sim\\.run"):
            VirtualClock()
        assert isinstance(clock_of_running_loop(), RealClock)

    run(main, clock="real")


def test_the_clock_of_the_running_loop_is_virtual_on_a_virtual_loop() -> None:
    async def main() -> None:
        assert isinstance(clock_of_running_loop(), VirtualClock)

    run(main)


def test_the_real_clock_shows_wall_time() -> None:
    assert abs(RealClock().now() - time.time()) < 1.0


def test_an_unknown_clock_is_refused() -> None:
    with pytest.raises(SimulatorError, match="'virtual' or 'real'"):
        run(lambda: asyncio.sleep(0), clock="fast")  # type: ignore[arg-type]  # the mistake under test


def test_results_errors_and_cancellation_come_through() -> None:
    async def fail() -> None:
        await asyncio.sleep(1)
        raise ValueError("seen")

    async def main() -> int:
        async with asyncio.TaskGroup() as tasks:
            sleeper = tasks.create_task(asyncio.sleep(_DAY_S))
            await asyncio.sleep(1)
            sleeper.cancel()
        return 7

    assert run(main) == 7
    with pytest.raises(ValueError, match="seen"):
        run(fail)


def test_a_loop_of_its_own_can_be_made_and_closed() -> None:
    loop = VirtualLoop()
    try:
        assert loop.run_until_complete(asyncio.sleep(5, "done")) == "done"
        assert loop.time() == 5
        assert VirtualClock(loop).now() == EPOCH_S + 5
    finally:
        loop.close()


def test_a_keyboard_interrupt_ends_a_busy_run() -> None:
    async def main() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1_000_000):
            await asyncio.sleep(1)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            run(main)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_ready_descriptor_comes_before_a_jump() -> None:
    async def main() -> None:
        loop, seen = asyncio.get_running_loop(), asyncio.Event()
        left, right = socket.socketpair()
        with left, right:
            loop.add_reader(left, seen.set)
            right.send(b"x")
            async with asyncio.timeout(10):
                await seen.wait()
            loop.remove_reader(left)
        assert loop.time() == 0

    run(main)


def test_a_callback_from_another_thread_is_seen() -> None:
    async def main() -> None:
        loop, seen = asyncio.get_running_loop(), asyncio.Event()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(seen.set,))
        thread.start()
        thread.join()
        await seen.wait()

    run(main)


def test_cycles_are_searched_for_less_often_while_a_program_runs() -> None:
    async def main() -> int:
        return gc.get_threshold()[0]

    before = gc.get_threshold()
    assert run(main) > before[0]
    assert gc.get_threshold() == before


def test_a_program_that_never_wants_a_search_for_cycles_gets_none() -> None:
    async def main() -> int:
        return gc.get_threshold()[0]

    before = gc.get_threshold()
    gc.set_threshold(0)
    try:
        assert run(main) == 0
    finally:
        gc.set_threshold(*before)
