"""What a trace tells of certificates, key packages and leaves (RCC.16 §5, §9.5.3)."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.calendar_events import DAY_S, Calendar, Leaf, read_calendar

START = 1_772_446_500.0
NUMBERS = {"alice": "12025550101", "bob": "12025550152"}


def ask(day: float, phone: str, call: str) -> TraceRecord:
    return TraceRecord(
        0, START + day * DAY_S, RecordKind.MESSAGE, phone, "red.kds", raw=f"POST {call} HTTP/1.1\r\n".encode()
    )


def served(day: float, phone: str, call: str, **details: Any) -> TraceRecord:
    details = {"call": call, "msisdn": NUMBERS[phone], **details}
    return TraceRecord(
        0, START + day * DAY_S, RecordKind.STATE, "red.kds", "red.kds", summary="served", details=details
    )


def certificate(day: float, phone: str, days: float) -> list[TraceRecord]:
    call = "/mls/v1/certificate"
    return [ask(day, phone, call), served(day, phone, call, not_after=START + (day + days) * DAY_S)]


def packages(day: float, phone: str) -> list[TraceRecord]:
    return [ask(day, phone, "/mls/v1/keypackages"), served(day, phone, "/mls/v1/keypackages", stored=11)]


def noted(day: float, phone: str, state: str, reason: str = "", peer: str = "bob") -> TraceRecord:
    details = {"machine": "encryption", "state": state, "reason": reason, "peer": f"+{NUMBERS[peer]}"}
    return TraceRecord(0, START + day * DAY_S, RecordKind.STATE, phone, phone, conversation_id="c1", details=details)


def life() -> list[TraceRecord]:
    """Sixty days; Bob renews late, and Alice in time."""
    return [
        *certificate(0, "alice", 75),
        *certificate(0, "bob", 60),
        *packages(0, "bob"),
        noted(0.1, "alice", "accepted", "create"),
        noted(0.1, "bob", "control", "joined", "alice"),
        noted(32, "alice", "message refused", "expired-credential tel:+12025550152"),
        *certificate(35, "bob", 60),
        noted(35, "bob", "accepted", "epoch advance", "alice"),
        *certificate(40, "alice", 75),
        noted(40, "alice", "accepted", "epoch advance"),
        noted(60, "alice", "something else"),
    ]


@pytest.fixture
def calendar() -> Calendar:
    return read_calendar(life())


def test_renewals_and_refreshes_belong_to_the_phones_that_asked(calendar: Calendar) -> None:
    assert calendar.phones == ["alice", "bob"]
    assert [calendar.day(each.at) for each in calendar.renewals_of("bob")] == [0, 35]
    assert [each.phone for each in calendar.refreshes] == ["bob"]


def test_a_leaf_has_the_certificate_that_its_phone_had_when_it_was_replaced(calendar: Calendar) -> None:
    leaves = calendar.leaves["alice and bob", "bob"]
    assert [calendar.day(each.at) for each in leaves] == [pytest.approx(0.1), 35]
    assert [calendar.day(each.not_after or 0) for each in leaves] == [60, 95]


def test_a_refusal_because_of_a_certificate_is_remembered(calendar: Calendar) -> None:
    (refusal,) = calendar.refusals
    assert (refusal.phone, refusal.conversation, calendar.day(refusal.at)) == ("alice", "alice and bob", 32)


def test_after_its_end_a_conversation_has_no_leaf() -> None:
    calendar = read_calendar([*life(), noted(61, "bob", "ended", peer="alice")])
    assert calendar.leaves["alice and bob", "bob"][-1] == Leaf(START + 61 * DAY_S, None, "ended")


def test_what_nobody_asked_for_and_what_is_refused_is_no_renewal() -> None:
    call = "/mls/v1/certificate"
    calendar = read_calendar([served(0, "bob", call, not_after=START), ask(1, "bob", call), served(1, "bob", call)])
    assert calendar.renewals == []


def test_an_empty_trace_has_an_empty_calendar() -> None:
    assert read_calendar([]) == Calendar()
