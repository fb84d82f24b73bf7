from __future__ import annotations

from ims_core.wire.sip.message import Response
from rcs_sim.server.messaging_actions import Deadlines, Exchange, Note, Outbox, Respond


class Item:
    def __init__(self, deadlines: Deadlines, again_in: float | None = None) -> None:
        self.is_over = False
        self.fired: list[float] = []
        self._deadlines, self._again_in = deadlines, again_in

    def expired(self, now: float) -> None:
        self.fired.append(now)
        if self._again_in is not None:
            self._deadlines.arm(now + self._again_in, self)


def test_what_is_due_is_run_in_order_and_the_rest_waits() -> None:
    deadlines = Deadlines()
    late, soon, never = Item(deadlines), Item(deadlines, again_in=3.0), Item(deadlines)
    for at, item in ((5.0, late), (1.0, soon), (0.5, never)):
        deadlines.arm(at, item)
    never.is_over = True
    assert deadlines.next() == 1.0
    deadlines.fire(4.0)
    assert (soon.fired, late.fired, never.fired) == ([4.0], [], [])
    assert deadlines.next() == 5.0


def test_what_is_over_is_swept_out() -> None:
    deadlines = Deadlines()
    for _ in range(1000):
        item = Item(deadlines)
        deadlines.arm(100.0, item)
        item.is_over = True
    assert len(deadlines) < 300


def test_an_outbox_is_emptied_by_taking() -> None:
    outbox = Outbox()
    outbox.note("stored", "nobody there", "m1", "c1", user="tel:+1")
    assert outbox.take(0.0) == [Note("stored", "nobody there", "m1", "c1", "tel:+1")]
    assert outbox.take(0.0) == []


class Waiting:
    def __init__(self) -> None:
        self.answers: list[tuple[int, float]] = []

    def finished(self, status: int, response: Response | None, now: float) -> None:
        self.answers.append((status, now))


def test_the_answer_to_an_inner_exchange_goes_to_its_errand_and_not_to_the_shell() -> None:
    outbox, waiting = Outbox(), Waiting()
    inner = outbox.inner_exchange(waiting)
    outbox.respond(inner, 202)
    outbox.respond(Exchange(1), 200)
    assert outbox.take(7.0) == [Respond(Exchange(1), 200)]
    assert waiting.answers == [(202, 7.0)]
