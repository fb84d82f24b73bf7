"""Failures told and heard (RCC.16 §10.2, §10.3)."""

from __future__ import annotations

from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.failure_reports import DueReport, FailureReports, PeerFailures, ReportVerdict
from tests.support.member_devices import BOB, NOW_S

_REASON = ClientFailureReason.FAILED_TO_DECRYPT


def test_nothing_is_reported_while_a_repair_is_under_way_nor_if_it_helped() -> None:
    reports = FailureReports()
    reports.add("m1", BOB, _REASON)
    reports.add("m2", BOB, _REASON)
    assert list(reports.flush(is_healing=True)) == []
    assert len(reports) == 2
    reports.resolve("m1")
    assert list(reports.flush(is_healing=False)) == [DueReport("m2", BOB, _REASON, 1)]
    assert list(reports.flush(is_healing=False)) == []


def test_a_message_is_reported_five_times_at_most() -> None:
    reports = FailureReports()
    attempts = list[int]()
    for _ in range(9):
        reports.add("m1", BOB, _REASON)
        attempts += [each.attempt for each in reports.flush(is_healing=False)]
    assert attempts == [1, 2, 3, 4, 5]


def test_what_nobody_has_taken_is_reported_once_more_when_the_peer_is_there_again() -> None:
    reports = FailureReports()
    assert not reports.tell_anew(_REASON)
    for _ in range(5):
        reports.add("m1", BOB, ClientFailureReason.CONTROL_MESSAGE_FAILED)
        for due in reports.flush(is_healing=False):
            reports.not_taken(due)
    assert reports.tell_anew(_REASON)
    assert list(reports.flush(is_healing=False)) == [DueReport("m1", BOB, _REASON, 5)]
    assert not reports.tell_anew(_REASON)
    reports.add("m1", BOB, _REASON)
    assert len(reports) == 0


def test_what_can_still_be_reported_or_was_read_meanwhile_is_not_reported_anew() -> None:
    reports = FailureReports()
    reports.add("m1", BOB, _REASON)
    for due in reports.flush(is_healing=False):
        reports.not_taken(due)
    assert not reports.tell_anew(_REASON)
    reports.not_taken(DueReport("m2", BOB, _REASON, 5))
    reports.resolve("m2")
    assert not reports.tell_anew(_REASON)


def test_reports_that_nobody_has_taken_are_kept_within_bounds() -> None:
    reports = FailureReports()
    for number in range(200):
        reports.not_taken(DueReport(f"m{number}", BOB, _REASON, 5))
    assert reports.tell_anew(_REASON)
    told = [each.message_id for each in reports.flush(is_healing=False)]
    assert told == [f"m{number}" for number in range(136, 200)]


def test_the_queue_is_bounded() -> None:
    reports = FailureReports()
    for number in range(2000):
        reports.add(f"m{number}", BOB, _REASON)
    assert len(reports) == 512


def test_two_resends_an_hour_then_the_message_fails() -> None:
    peer = PeerFailures()
    verdicts = [peer.on_report(True, f"m{number}", _REASON, NOW_S + 60 * number) for number in range(3)]
    assert verdicts == [ReportVerdict.RESEND, ReportVerdict.RESEND, ReportVerdict.EXHAUSTED]
    assert peer.on_report(True, "m9", _REASON, NOW_S + 300) is ReportVerdict.STOPPED
    assert peer.on_report(True, "m10", _REASON, NOW_S + 300 + 86_399) is ReportVerdict.STOPPED
    assert peer.on_report(True, "m11", _REASON, NOW_S + 300 + 86_400) is ReportVerdict.RESEND


def test_an_identical_report_within_thirty_seconds_is_one() -> None:
    peer = PeerFailures()
    assert peer.on_report(True, "m1", _REASON, NOW_S) is ReportVerdict.RESEND
    assert peer.on_report(True, "m1", _REASON, NOW_S + 29) is ReportVerdict.DUPLICATE
    assert peer.on_report(True, "m1", "", NOW_S + 29) is ReportVerdict.RESEND


def test_repeats_within_the_hour_call_for_a_repair_instead() -> None:
    peer = PeerFailures()
    assert peer.on_report(True, "m1", _REASON, NOW_S) is ReportVerdict.RESEND
    assert peer.on_report(True, "m1", _REASON, NOW_S + 60, "m1 again") is ReportVerdict.RESEND
    assert peer.on_report(True, "m1", _REASON, NOW_S + 120, "m1 once more") is ReportVerdict.REPAIR


def test_who_is_no_member_reports_in_vain_and_what_is_read_starts_anew() -> None:
    peer = PeerFailures()
    assert peer.on_report(False, "m1", _REASON, NOW_S) is ReportVerdict.NOT_A_MEMBER
    for number in range(12):
        assert peer.on_report(True, f"m{number}", _REASON, NOW_S + 3600 * number) is ReportVerdict.RESEND
        peer.on_delivered()


def test_failures_of_another_day_are_no_part_of_the_row() -> None:
    peer = PeerFailures()
    for number in range(3):
        peer.on_report(True, f"m{number}", _REASON, NOW_S + number)
    assert peer.on_report(True, "m3", _REASON, NOW_S + 2 + 86_400) is ReportVerdict.RESEND
    peer = PeerFailures()
    for number in range(3):
        peer.on_report(True, f"m{number}", _REASON, NOW_S + number)
    assert peer.on_report(True, "m3", _REASON, NOW_S + 2 + 86_399) is ReportVerdict.STOPPED
