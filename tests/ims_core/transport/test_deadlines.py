from __future__ import annotations

import asyncio
import math
import random

import pytest

from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.virtual_loop import run


class _Item:
    def __init__(self, heap: DeadlineHeap) -> None:
        self.due = self.armed = math.inf
        self.heap = heap
        self.fired: list[float] = []

    def deadline_came(self, now: float) -> None:
        self.fired.append(now)


def test_items_fire_once_when_their_last_deadline_has_come() -> None:
    async def main() -> None:
        heap = DeadlineHeap()
        item, other, gone = _Item(heap), _Item(heap), _Item(heap)
        heap.set(item, 5)
        heap.set(item, 9)
        heap.set(item, 3)
        heap.set(other, 4)
        heap.set(gone, 4)
        heap.set(gone, None)
        heap.set(gone, None)
        await asyncio.sleep(100)
        assert (item.fired, other.fired, gone.fired) == ([3], [4], [])
        heap.set(gone, 101)
        heap.set(item, 102)
        heap.set(item, None)
        heap.set(item, 103)
        await asyncio.sleep(100)
        assert (item.fired, gone.fired) == ([3, 103], [101])

    run(main)


def test_a_deadline_in_the_past_fires_at_once() -> None:
    async def main() -> None:
        await asyncio.sleep(10)
        heap = DeadlineHeap()
        item = _Item(heap)
        heap.set(item, 2)
        await asyncio.sleep(0.001)
        assert item.fired == [10]

    run(main)


def test_any_sequence_of_moves_fires_each_item_at_its_last_deadline_and_the_heap_stays_small() -> None:
    async def main() -> None:
        heap, chance = DeadlineHeap(), random.Random(7)
        items = [_Item(heap) for _ in range(300)]
        wanted: dict[int, float | None] = {}
        for _ in range(40_000):
            number = chance.randrange(len(items))
            due = None if chance.random() < 0.5 else chance.uniform(1, 1000)
            heap.set(items[number], due)
            wanted[number] = due
        assert len(heap) < 8000
        await asyncio.sleep(2000)
        for number, item in enumerate(items):
            due = wanted.get(number)
            assert item.fired == ([] if due is None else [due])
        assert len(heap) == 0

    run(main)


def test_an_item_that_raises_does_not_stop_the_others() -> None:
    class Broken(_Item):
        def deadline_came(self, now: float) -> None:
            raise ValueError("broken")

    async def main() -> None:
        reports: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context["exception"]))
        heap = DeadlineHeap()
        broken, item = Broken(heap), _Item(heap)
        heap.set(broken, 1)
        heap.set(item, 1)
        await asyncio.sleep(5)
        assert item.fired == [pytest.approx(1)]
        assert len(reports) == 1

    run(main)


def test_a_deadline_that_is_taken_away_before_others_come_leaves_nothing() -> None:
    async def main() -> None:
        heap = DeadlineHeap()
        early, late = _Item(heap), _Item(heap)
        heap.set(early, 5)
        for _ in range(3):
            heap.set(late, 32)
            heap.set(late, None)
            assert len(heap) == 1
        heap.set(late, 9)
        heap.set(late, 7)  # two entries, of which the later one is dead
        heap.set(late, None)
        heap.set(late, 9)
        await asyncio.sleep(100)
        assert (early.fired, late.fired) == ([5], [9])
        assert len(heap) == 0

    run(main)


def test_a_closed_heap_is_silent() -> None:
    async def main() -> None:
        heap = DeadlineHeap()
        item = _Item(heap)
        heap.set(item, 1)
        heap.close()
        heap.set(item, None)
        await asyncio.sleep(5)
        assert item.fired == []

    run(main)


def test_who_wakes_himself_at_once_lets_everybody_else_have_his_turn() -> None:
    class Restless(_Item):
        def deadline_came(self, now: float) -> None:
            super().deadline_came(now)
            self.heap.set(self, now if len(self.fired) < 100 else None)

    async def main() -> None:
        heap = DeadlineHeap()
        item = Restless(heap)
        heap.set(item, 0)
        for _ in range(4):
            await asyncio.sleep(0)
        assert 0 < len(item.fired) < 100
        await asyncio.sleep(1)
        assert item.fired == [0.0] * 100

    run(main)
