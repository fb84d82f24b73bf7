from __future__ import annotations

import asyncio

from ims_core.transport.memory_link import DeliveryQueue, LinkProfile, Path
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import run


def _path(**profile: float) -> Path:
    path = Path("a", "b")
    path.become(LinkProfile(**profile), True, Tokens("seed"))  # type: ignore[arg-type]  # no is_up among these
    return path


def test_calls_come_in_order_of_due_time_and_then_of_adding() -> None:
    async def main() -> list[str]:
        queue, seen = DeliveryQueue(), list[str]()

        def note(word: str, _: None) -> None:
            seen.append(word)
            if word == "b":
                queue.add(0.0, note, "next turn", None)

        for due, word in ((2.0, "d"), (1.0, "b"), (0.0, "a"), (1.0, "c"), (2.0, "e")):
            queue.add(due, note, word, None)
        assert not seen
        await asyncio.sleep(5)
        queue.add(queue.time() + 1, note, "never", None)
        queue.add(0.0, note, "never", None)
        queue.clear()
        await asyncio.sleep(5)
        return seen

    assert run(main) == ["a", "b", "c", "next turn", "d", "e"]


def test_a_clean_path_costs_latency_and_draws_no_randomness() -> None:
    assert _path(latency_s=0.5).datagram_arrivals(100, 1.0) == (1.5,)
    assert _path(latency_s=0.5).segment_arrival(100, 1.0) == 1.5


def test_octets_queue_for_a_narrow_line() -> None:
    path = _path(bandwidth_octets_per_s=100.0)
    assert [path.segment_arrival(50, 1.0), path.segment_arrival(50, 1.0), path.segment_arrival(50, 9.0)] == [
        1.5,
        2.0,
        9.5,
    ]


def test_a_lost_segment_comes_late_and_a_lost_datagram_never() -> None:
    path = _path(loss=0.5)
    waits = [path.segment_arrival(1, 0.0) for _ in range(200)]
    assert {round(wait, 1) for wait in waits if wait is not None} >= {0.0, 0.2, 0.6, 1.4}
    assert _path(loss=1.0).segment_arrival(1, 0.0) is None
    assert _path(loss=1.0).datagram_arrivals(1, 0.0) == ()
    assert len(_path(duplicate=1.0).datagram_arrivals(1, 0.0)) == 2


def test_a_path_knows_its_stream_ends_in_the_order_of_their_making() -> None:
    path, one, two, three = Path("a", "b"), object(), object(), object()
    assert path.flows == ()
    for flow in (one, two):
        path.add(flow)
    assert path.flows == (one, two)
    path.remove(one)
    path.add(three)
    assert path.flows == (two, three)
    for flow in (one, two, three):
        path.remove(flow)
    assert path.flows == ()
