from __future__ import annotations

import asyncio

from ims_core.nodes.deadlines import Alarm, Deadlines
from ims_core.transport.virtual_loop import VirtualClock, run


def test_deadlines_come_in_order() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key, at in (("b", 20.0), ("a", 10.0), ("c", 30.0)):
        deadlines.set(key, at)
    assert deadlines.next_deadline() == 10.0
    assert deadlines.pop_due(20.0) == ["a", "b"]
    assert deadlines.pop_due(20.0) == []
    assert deadlines.next_deadline() == 30.0


def test_a_key_that_is_set_again_moves_and_one_that_is_removed_never_comes() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 10.0)
    deadlines.set("a", 50.0)
    deadlines.set("b", 20.0)
    deadlines.remove("b")
    deadlines.remove("b")
    assert deadlines.next_deadline() == 50.0
    assert deadlines.pop_due(49.0) == []


def test_a_key_that_is_moved_for_ever_takes_no_more_room() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for at in range(10_000):
        deadlines.set("a", float(at))
    assert len(deadlines._heap) < 100
    assert deadlines.pop_due(1e9) == ["a"]


def test_an_alarm_rings_once_at_the_time_last_set() -> None:
    async def story() -> list[float]:
        clock, rings = VirtualClock(), list[float]()
        begin = clock.now()
        alarm = Alarm(clock, lambda: rings.append(clock.now() - begin))
        alarm.set(begin + 10)
        alarm.set(begin + 5)
        alarm.set(begin + 5)
        await asyncio.sleep(20)
        alarm.set(begin + 30)
        alarm.set(None)
        await asyncio.sleep(20)
        alarm.set(begin)  # already past
        await asyncio.sleep(1)
        alarm.close()
        return rings

    assert [round(at) for at in run(story())] == [5, 40]


def test_whoever_armed_a_timer_hears_whether_the_next_deadline_may_be_another() -> None:
    deadlines: Deadlines[str] = Deadlines()
    assert deadlines.has_changed
    deadlines.set("a", 5.0)
    assert (deadlines.next_deadline(), deadlines.has_changed) == (5.0, False)
    deadlines.remove("a")
    assert deadlines.has_changed
    deadlines.set("b", 6.0)
    assert deadlines.next_deadline() == 6.0
    assert deadlines.pop_due(1.0) == []  # a timer that fired too early is to be armed again
    assert deadlines.has_changed
