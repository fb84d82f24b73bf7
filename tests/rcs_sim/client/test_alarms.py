from __future__ import annotations

import asyncio

from ims_core.transport.virtual_loop import VirtualClock, run
from rcs_sim.client.alarms import Alarms


def test_alarms_ring_at_their_time_in_order_and_can_be_moved() -> None:
    async def main() -> list[tuple[str, float]]:
        clock = VirtualClock()
        alarms, rang, start = Alarms(clock), [], clock.now()
        for name in ("a", "b", "c"):
            alarm = alarms.new(lambda now, name=name: rang.append((name, round(now - start, 6))))  # type: ignore[misc]  # the name is bound here
            alarm.set(start + {"a": 5, "b": 2, "c": 3}[name])
            if name == "c":
                alarm.set(None)
                alarm.set(start + 9)
        await asyncio.sleep(20)
        return rang

    assert run(main(), clock="virtual") == [("b", 2.0), ("a", 5.0), ("c", 9.0)]


def test_a_frozen_phone_hears_no_alarm_until_it_thaws() -> None:
    async def main() -> tuple[int, int, int]:
        clock = VirtualClock()
        alarms, rang = Alarms(clock), []
        alarm, other = alarms.new(rang.append), alarms.new(rang.append)
        alarm.set(clock.now() + 1)
        other.set(clock.now() + 1)
        alarms.freeze()
        await asyncio.sleep(5)
        before = len(rang)
        other.set(clock.now() + 1)  # set anew in the meantime: its old time does not count
        alarms.thaw()
        after = len(rang)
        await asyncio.sleep(2)
        return before, after, len(rang)

    assert run(main(), clock="virtual") == (0, 1, 2)


def test_an_alarm_never_rings_before_its_deadline() -> None:
    async def main() -> bool:
        clock = VirtualClock()
        alarms, early = Alarms(clock), []
        for number in range(1000):
            at = clock.now() + number * 0.1234567
            alarms.new(lambda now, at=at: early.append(now < at)).set(at)  # type: ignore[misc]  # the time is bound here
        await asyncio.sleep(200)
        return len(early) == 1000 and not any(early)

    assert run(main(), clock="virtual")


def test_what_a_phone_had_before_a_reset_never_rings() -> None:
    async def main() -> tuple[list[str], float]:
        clock, rang = VirtualClock(), list[str]()
        old = Alarms(clock)
        old.skew_s = 60.0
        old.new(lambda now: rang.append("old")).set(old.now() + 1)
        fresh = old.started_anew()
        fresh.new(lambda now: rang.append("fresh")).set(fresh.now() + 1)
        await asyncio.sleep(5)
        return rang, fresh.skew_s

    assert run(main(), clock="virtual") == (["fresh"], 60.0)


def test_a_calendar_that_jumps_moves_no_alarm_and_no_time_that_passes() -> None:
    async def main() -> tuple[list[float], float, float]:
        clock, rang = VirtualClock(), list[float]()
        alarms = Alarms(clock)
        start = alarms.now()
        alarms.skew_s = 86_400.0
        alarms.new(lambda now: rang.append(round(now - start, 6))).set(alarms.when(alarms.calendar.now() + 2))
        alarms.skew_s = -5.0
        await asyncio.sleep(10)
        return rang, alarms.now() - start, alarms.wall() - start

    assert run(main(), clock="virtual") == ([2.0], 10.0, 5.0)
