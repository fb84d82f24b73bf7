"""What the server says in a session is settled once."""

from __future__ import annotations

from typing import cast

from ims_core.wire.msrp.session_events import OutgoingMessage
from rcs_sim.server.session_leg import SessionLeg
from rcs_sim.server.session_saying import SayingBook


class Leg:
    """As much of a leg as is needed."""

    def __init__(self, *, is_to_user: bool) -> None:
        self.is_to_user = is_to_user
        self.sent: list[OutgoingMessage] = []

    def send(self, message: OutgoingMessage) -> None:
        self.sent.append(message)


def leg(*, is_to_user: bool = True) -> SessionLeg:
    return cast("SessionLeg", Leg(is_to_user=is_to_user))


def test_the_outcome_is_told_to_who_said_it_and_once() -> None:
    book, told, near = SayingBook(), list[tuple[int, float]](), leg()
    book.say(near, "m1", "message/cpim", b"x", lambda status, now: told.append((status, now)))
    assert not book.settle(near, "other", 200, 1.0)
    assert not book.settle(leg(is_to_user=False), "m1", 200, 1.0)
    assert book.settle(near, "m1", 200, 2.0)
    assert not book.settle(near, "m1", 200, 3.0)
    assert told == [(200, 2.0)]


def test_a_leg_that_is_gone_answers_nothing() -> None:
    book, told = SayingBook(), list[int]()
    for number, each in enumerate((leg(), leg(is_to_user=False))):
        book.say(each, str(number), "message/cpim", b"x", lambda status, now: told.append(status))
    book.give_up(1.0, is_to_user=False)
    assert told == [408]
    book.give_up(2.0)
    book.give_up(3.0)
    assert told == [408, 408]
