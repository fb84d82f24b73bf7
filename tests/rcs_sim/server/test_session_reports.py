"""Digest §17.3: REPORTs about messages that went on."""

from __future__ import annotations

from typing import cast

import pytest

from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.message import ByteRange, FailureReport, MsrpRequest
from ims_core.wire.msrp.session_events import MessageReceived, Reported
from rcs_sim.server.session_leg import SessionLeg
from rcs_sim.server.session_reports import ReportBook


class Leg:
    def __init__(self) -> None:
        self.told: list[tuple[Delivery, int]] = []

    def report(self, delivery: Delivery, status: int) -> None:
        self.told.append((delivery, status))


class Head:
    message_id = "m"

    def __init__(self, failure_report: FailureReport) -> None:
        self.failure_report = failure_report


def received(
    octets: int = 10, *, wants_report: bool = True, failure: FailureReport = FailureReport.YES
) -> MessageReceived:
    delivery = Delivery(cast(MsrpRequest, Head(failure)), 0, octets)
    return MessageReceived("m", "text/plain", bytes(octets), wants_report, delivery)


def expecting(book: ReportBook, message: MessageReceived, name: str = "m") -> Leg:
    leg = Leg()
    book.expect((True, name), message, [(cast(SessionLeg, leg), message.delivery)])
    return leg


def report(start: int, end: int | None, total: int | None = 10) -> Reported:
    return Reported("m", 200, ByteRange(start, end, total))


@pytest.mark.parametrize(
    ("reports", "told"),
    [
        ([report(1, 10)], [200]),
        ([report(1, None, None)], [200]),
        ([report(1, 4)], []),
        ([report(1, 4), report(5, 10)], [200]),
        ([report(5, 10), report(1, 4), report(1, 10)], [200]),
    ],
)
def test_a_success_is_told_once_when_all_of_the_message_was_reported(reports: list[Reported], told: list[int]) -> None:
    book = ReportBook()
    leg = expecting(book, received())
    for each in reports:
        book.succeeded((True, "m"), each)
    assert [status for _, status in leg.told] == told


def test_a_failure_is_told_at_once_and_is_the_last_word() -> None:
    book = ReportBook()
    leg = expecting(book, received())
    book.failed((True, "m"), 403)
    book.succeeded((True, "m"), report(1, 10))
    assert [status for _, status in leg.told] == [403]


def test_the_two_directions_are_kept_apart_and_what_is_forgotten_is_not_told() -> None:
    book = ReportBook()
    leg = expecting(book, received())
    book.succeeded((False, "m"), report(1, 10))
    book.forget((True, "m"))
    book.succeeded((True, "m"), report(1, 10))
    assert leg.told == []


def test_a_message_without_any_wish_for_reports_is_not_remembered() -> None:
    book = ReportBook()
    leg = expecting(book, received(wants_report=False, failure=FailureReport.NO))
    book.failed((True, "m"), 403)
    assert leg.told == []


def test_the_oldest_are_forgotten_when_there_are_many() -> None:
    book = ReportBook()
    legs = [expecting(book, received(), f"m{number}") for number in range(65)]
    for number in range(65):
        book.succeeded((True, f"m{number}"), report(1, 10))
    assert [bool(leg.told) for leg in legs] == [False] + [True] * 64
