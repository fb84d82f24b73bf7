"""Playbook of the service centre: tries, paths, expiry."""

from __future__ import annotations

import pytest

from ims_core.nodes.smsc_actions import (
    Note,
    SendFrame,
)
from ims_core.wire.sms.rpdu import Direction, RpAck, RpCause, RpSmma, parse_rpdu
from ims_core.wire.sms.sm_link import (
    Accepted,
    AlertReason,
    Detach,
    Failure,
    Forward,
    ForwardKind,
    LinkRole,
    Party,
    Result,
    SmAlert,
    SmError,
)
from ims_core.wire.sms.timestamp import EnhancedValidity, RelativeValidity
from ims_core.wire.sms.tpdu import DeliveryStatus
from tests.support.short_messages import (
    ALICE,
    BOB,
    CAROL,
    deliver_of,
    report_of,
    rp_submit,
)
from tests.support.smsc_bench import (
    ALICE_CS,
    APPLICATION,
    CAROL_CS,
    GATEWAY,
    NOW,
    Bench,
)


@pytest.fixture
def bench() -> Bench:
    """A service centre with its gateway."""
    bench = Bench()
    bench.bind()
    return bench


def test_an_absent_receiver_is_retried_on_schedule_until_the_validity_ends(bench: Bench) -> None:
    bench.submit(status_report=True)
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    times = []
    while not any("given up" in note for note in bench.notes()):
        times.append(bench.sleep_until_deadline() / 60)
        for forward in bench.take(Forward, lambda forward: forward.destination == Party.msisdn(CAROL)):
            bench.receive(GATEWAY, Failure(forward.reference, SmError.ABSENT_SUBSCRIBER))
        bench.log = [action for action in bench.log if isinstance(action, Note | SendFrame)]
    assert times == [1, 6, 36, 96, 456, 816, 1176, 1440]


def test_an_expired_message_is_reported_with_status_46(bench: Bench) -> None:
    bench.submit(status_report=True, validity=RelativeValidity(0))
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    reports = []
    while not reports:
        bench.sleep_until_deadline()
        for forward in bench.take(Forward):
            if forward.destination == Party.msisdn(ALICE):
                reports.append(report_of(forward.rpdu)[1])
            else:
                bench.receive(GATEWAY, Failure(forward.reference, SmError.ABSENT_SUBSCRIBER))
    assert reports[0].status == DeliveryStatus.VALIDITY_EXPIRED
    assert bench.now == NOW + 300


def test_a_report_waits_for_whoever_asked_for_it_longer_than_messages_do(bench: Bench) -> None:
    bench.submit(status_report=True, validity=RelativeValidity(0))
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    while bench.now < NOW + 10 * 86_400:
        bench.sleep_until_deadline()
        for forward in bench.take(Forward):
            bench.receive(GATEWAY, Failure(forward.reference, SmError.ABSENT_SUBSCRIBER))
    bench.receive(GATEWAY, SmAlert(Party.msisdn(ALICE), AlertReason.PRESENT))
    assert report_of(bench.forward().rpdu)[1].status == DeliveryStatus.VALIDITY_EXPIRED


def test_an_alert_delivers_at_once(bench: Bench) -> None:
    bench.submit("one")
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    bench.submit("two")
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    bench.now += 10
    bench.receive(GATEWAY, SmAlert(Party.msisdn(CAROL), AlertReason.PRESENT))
    assert deliver_of(bench.forward().rpdu)[1].text == "one"


def test_an_alert_that_comes_during_a_failing_attempt_is_not_lost(bench: Bench) -> None:
    bench.submit()
    first = bench.forward()
    bench.receive(GATEWAY, SmAlert(Party.msisdn(CAROL), AlertReason.PRESENT))
    bench.receive(GATEWAY, Failure(first.reference, SmError.ABSENT_SUBSCRIBER))
    second = bench.forward()
    bench.receive(GATEWAY, Failure(second.reference, SmError.ABSENT_SUBSCRIBER))
    assert bench.take(Forward) == []


def test_an_alert_for_nobody_changes_nothing(bench: Bench) -> None:
    bench.receive(GATEWAY, SmAlert(Party.msisdn(CAROL), AlertReason.PRESENT))
    assert bench.take(Forward) == []


def test_full_memory_waits_for_rp_smma(bench: Bench) -> None:
    bench.attach(CAROL_CS)
    bench.submit()
    bench.answer(bench.forward(), cause=RpCause.MEMORY_CAPACITY_EXCEEDED)
    bench.receive(GATEWAY, SmAlert(Party.msisdn(CAROL), AlertReason.PRESENT))
    bench.submit("two")
    assert bench.take(Forward) == []
    bench.take(Result)
    bench.receive(CAROL_CS, Forward(reference=9, kind=ForwardKind.MO, rpdu=RpSmma(5).encode()))
    (result,) = bench.take(Result)
    assert parse_rpdu(result.rpdu) == RpAck(Direction.TO_MS, 5)
    assert len(bench.take(Forward)) == 1


def test_no_answer_within_the_guard_time_counts_as_absent(bench: Bench) -> None:
    bench.submit()
    first = bench.forward()
    assert bench.sleep_until_deadline() == 90
    assert bench.sleep_until_deadline() == 150
    second = bench.forward()
    bench.answer(first)  # too late: the repetition counts
    assert "answer to nothing" in bench.notes()
    bench.answer(second)
    assert bench.records == {}


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (RpCause.TRANSFER_REJECTED, DeliveryStatus.CONNECTION_REJECTED),
        (RpCause.SEMANTICALLY_INCORRECT, DeliveryStatus.REMOTE_PROCEDURE_ERROR),
        (RpCause.UNKNOWN_SUBSCRIBER, DeliveryStatus.DOES_NOT_EXIST),
    ],
)
def test_a_refusal_of_the_receiver_ends_the_message(bench: Bench, cause: RpCause, status: DeliveryStatus) -> None:
    bench.submit("one", status_report=True)
    bench.submit("two")
    bench.answer(bench.forward(), cause=cause)
    report, following = bench.take(Forward)
    assert report_of(report.rpdu)[1].status == status
    assert deliver_of(following.rpdu)[1].text == "two"


def test_a_temporary_refusal_is_retried(bench: Bench) -> None:
    bench.submit()
    bench.answer(bench.forward(), cause=RpCause.TEMPORARY_FAILURE)
    assert bench.take(Forward) == []
    assert bench.sleep_until_deadline() == 60
    bench.answer(bench.forward())


def test_a_single_shot_message_has_one_try(bench: Bench) -> None:
    bench.submit(status_report=True, validity=EnhancedValidity.seconds(200, single_shot=True))
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    assert report_of(bench.forward().rpdu)[1].status == DeliveryStatus.NO_RESPONSE_GIVEN_UP


def test_a_phone_attaches_submits_and_receives_by_the_circuit_switched_link() -> None:
    bench = Bench()
    bench.attach(ALICE_CS)
    bench.attach(CAROL_CS)
    assert [accepted.msisdn for accepted in bench.take(Accepted)] == [ALICE, CAROL]
    bench.submit("by CS", link=ALICE_CS, sender=BOB)  # the connection tells who it is, not the frame
    assert isinstance(bench.result(), RpAck)
    sent = [action for action in bench.log if isinstance(action, SendFrame)]
    assert sent[-1].link == CAROL_CS
    forward = bench.forward()
    assert str(deliver_of(forward.rpdu)[1].originator) == ALICE
    bench.answer(forward, link=CAROL_CS)
    assert bench.records == {}


def test_the_circuit_switched_link_is_tried_when_ip_fails(bench: Bench) -> None:
    bench.attach(CAROL_CS)
    bench.submit()
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    sent = [action for action in bench.log if isinstance(action, SendFrame)]
    assert sent[-1].link == CAROL_CS
    bench.answer(bench.forward(), link=CAROL_CS)
    assert bench.records == {}


def test_an_attach_brings_what_waits(bench: Bench) -> None:
    bench.submit()
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    bench.attach(CAROL_CS)
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    bench.answer(bench.forward(), link=CAROL_CS)
    assert bench.records == {}


def test_a_detached_phone_is_absent(bench: Bench) -> None:
    bench.attach(CAROL_CS)
    bench.receive(CAROL_CS, Detach())
    bench.submit()
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    assert bench.take(Forward) == []


def test_a_link_that_closes_amid_a_delivery_fails_it_over(bench: Bench) -> None:
    bench.attach(CAROL_CS)
    bench.submit()
    bench.forward()
    bench.run(bench.core.link_closed(GATEWAY, bench.now))
    bench.answer(bench.forward(), link=CAROL_CS)
    assert bench.records == {}


def test_the_gateway_that_comes_back_gets_what_waits(bench: Bench) -> None:
    bench.run(bench.core.link_closed(GATEWAY, bench.now))
    bench.bind(APPLICATION, LinkRole.APPLICATION, "red.messaging_server")
    bench.receive(
        APPLICATION,
        Forward(reference=1, kind=ForwardKind.MO, rpdu=rp_submit("hi", CAROL), originator=Party.msisdn(BOB)),
    )
    assert bench.take(Forward) == []
    bench.bind(4)
    assert len(bench.take(Forward)) == 1
