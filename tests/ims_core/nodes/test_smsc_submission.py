"""Playbook of the service centre: refusals, the other carrier, applications."""

from __future__ import annotations

import pytest

from ims_core.nodes.smsc_actions import (
    Answered,
    ApplicationMessage,
    Persist,
    SendFrame,
    SendToPeer,
)
from ims_core.nodes.smsc_core import ServiceCentre
from ims_core.wire.sms.rpdu import Direction, RpAck, RpCause, RpError
from ims_core.wire.sms.sm_link import (
    Bind,
    Failure,
    Forward,
    ForwardKind,
    LinkRole,
    Party,
    Result,
    SmError,
)
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import DeliveryStatus, FailureCause, SmsSubmitReport, parse_tpdu_to_ms
from ims_core.wire.sms.user_data import ApplicationPorts
from tests.support.short_messages import (
    ALICE,
    BOB,
    CAROL,
    Directory,
    deliver_of,
    report_of,
    rp_submit,
    smsc_of,
)
from tests.support.smsc_bench import (
    APPLICATION,
    GATEWAY,
    NOW,
    PEER,
    TRUSTED,
    Bench,
    smsc_config,
)


@pytest.fixture
def bench() -> Bench:
    """A service centre with its gateway."""
    bench = Bench()
    bench.bind()
    return bench


@pytest.mark.parametrize("number", ["+12025550108", "+15005550108", "+120255501"])
def test_a_number_of_nobodys_is_refused_with_cause_1(bench: Bench, number: str) -> None:
    bench.submit(to=number)
    assert bench.result() == RpError(Direction.TO_MS, 7, RpCause.UNASSIGNED_NUMBER)
    assert bench.records == {}


def test_unknown_and_barred_senders_are_refused(bench: Bench) -> None:
    bench.submit(sender=BOB)
    assert bench.result() == RpError(Direction.TO_MS, 7, RpCause.UNIDENTIFIED_SUBSCRIBER)
    bench.submit(sender="+12025550109")
    assert bench.result() == RpError(Direction.TO_MS, 7, RpCause.OPERATOR_DETERMINED_BARRING)


@pytest.mark.parametrize(
    ("rpdu", "cause"),
    [
        ("000700", RpCause.PROTOCOL_ERROR),
        ("0707", RpCause.PROTOCOL_ERROR),
        ("00070007912120550591F90301070B", RpCause.SEMANTICALLY_INCORRECT),
        ("00070007912120550591F900", RpCause.SEMANTICALLY_INCORRECT),
        ("0207", RpCause.MESSAGE_NOT_COMPATIBLE),
        ("0607", RpCause.MESSAGE_NOT_COMPATIBLE),  # a gateway answers RP-SMMA itself
        ("010707912120550591F90000", RpCause.MESSAGE_NOT_COMPATIBLE),
    ],
)
def test_an_unreadable_message_is_refused_with_its_cause(bench: Bench, rpdu: str, cause: RpCause) -> None:
    bench.receive(
        GATEWAY,
        Forward(reference=1, kind=ForwardKind.MO, rpdu=bytes.fromhex(rpdu), originator=Party.msisdn(ALICE)),
    )
    assert bench.result() == RpError(Direction.TO_MS, 7, cause)


def test_a_message_without_even_a_reference_is_a_failure(bench: Bench) -> None:
    bench.receive(GATEWAY, Forward(reference=8, kind=ForwardKind.MO, rpdu=b"\x00", originator=Party.msisdn(ALICE)))
    assert bench.take(Failure) == [Failure(8, SmError.SYSTEM_FAILURE)]


def _failure_of(error: RpAck | RpError) -> int | None:
    assert isinstance(error, RpError)
    report = parse_tpdu_to_ms(error.user_data or b"", in_rp_error=True)
    assert isinstance(report, SmsSubmitReport)
    return report.failure_cause


def test_a_command_is_not_implemented(bench: Bench) -> None:
    command = bytes.fromhex("02070001050B912120550501F200")
    rpdu = bytes.fromhex("00070007912120550591F9") + bytes((len(command),)) + command
    bench.receive(GATEWAY, Forward(reference=1, kind=ForwardKind.MO, rpdu=rpdu, originator=Party.msisdn(ALICE)))
    error = bench.result()
    assert isinstance(error, RpError)
    assert error.cause == RpCause.FACILITY_NOT_IMPLEMENTED
    assert _failure_of(error) == FailureCause.TPDU_NOT_SUPPORTED


def test_a_duplicate_that_is_still_held_is_refused_on_request(bench: Bench) -> None:
    bench.submit(message_reference=5)
    assert isinstance(bench.result(), RpAck)
    bench.submit(message_reference=5, reject_duplicates=True)
    assert _failure_of(bench.result()) == FailureCause.DUPLICATE
    bench.submit(message_reference=6, reject_duplicates=True)
    assert isinstance(bench.result(), RpAck)


def test_a_duplicate_that_has_been_delivered_is_refused_on_request_too(bench: Bench) -> None:
    bench.submit("once", message_reference=5)
    bench.answer(bench.forward())
    assert bench.records == {}
    bench.take(Result)
    bench.submit("once", message_reference=5, reject_duplicates=True)
    assert _failure_of(bench.result()) == FailureCause.DUPLICATE
    bench.submit("another text with that reference", message_reference=5, reject_duplicates=True)
    assert isinstance(bench.result(), RpAck)


def test_a_full_queue_and_a_full_store_are_congestion() -> None:
    bench = Bench(smsc_config(max_stored_per_destination=2, max_stored=3))
    bench.bind()
    for to in (CAROL, CAROL, ALICE):
        bench.submit(to=to)
        assert isinstance(bench.result(), RpAck)
    for to in (CAROL, ALICE):
        bench.submit(to=to)
        error = bench.result()
        assert isinstance(error, RpError)
        assert error.cause == RpCause.CONGESTION
        assert _failure_of(error) == FailureCause.SC_BUSY


def test_congestion_of_the_store_refuses_submissions(bench: Bench) -> None:
    bench.core.set_congested(True)
    bench.submit()
    assert _failure_of(bench.result()) == FailureCause.SC_BUSY


def test_a_store_that_fails_refuses_the_message_and_delivers_nothing() -> None:
    bench = Bench(store_works=False)
    bench.bind()
    bench.submit()
    error = bench.result()
    assert isinstance(error, RpError)
    assert error.cause == RpCause.NETWORK_OUT_OF_ORDER
    assert bench.take(Forward) == []
    assert bench.core.stored_count == 0


def test_nothing_is_acknowledged_before_the_store_says_so() -> None:
    core = ServiceCentre(smsc_config(), sh=Directory(ALICE, CAROL), smsc_of=smsc_of)
    core.link_opened(GATEWAY, TRUSTED, NOW)
    core.receive(GATEWAY, Bind(0, LinkRole.IP_SM_GW, "red.ipsmgw"), NOW)
    rpdu = rp_submit("hi", CAROL)
    forward = Forward(reference=1, kind=ForwardKind.MO, rpdu=rpdu, originator=Party.msisdn(ALICE))
    (persist,) = core.receive(GATEWAY, forward, NOW)
    assert isinstance(persist, Persist)
    assert [type(action) for action in core.stored(persist.record.number, NOW)] == [SendFrame, SendFrame]


def test_a_foreign_number_is_acknowledged_when_the_peer_has_accepted(bench: Bench) -> None:
    bench.submit(to=BOB, status_report=True)
    assert bench.take(Result) == []
    (sent,) = [action for action in bench.log if isinstance(action, SendToPeer)]
    forward = bench.forward()
    assert sent.name == "blue.smsc"
    assert (forward.kind, forward.originator) == (ForwardKind.MO, Party.msisdn(ALICE))
    assert forward.submitted_at == Timestamp.at(NOW)
    assert forward.identifier.startswith("red.smsc/")
    bench.answer_as_peer(forward)
    assert isinstance(bench.result(), RpAck)
    assert bench.records == {}
    assert bench.take(Forward) == []  # the report comes from there


def test_a_refusal_of_the_peer_reaches_the_sender(bench: Bench) -> None:
    bench.submit(to=BOB, status_report=True)
    bench.answer_as_peer(bench.forward(), cause=RpCause.UNASSIGNED_NUMBER)
    assert bench.result() == RpError(Direction.TO_MS, 7, RpCause.UNASSIGNED_NUMBER)
    assert bench.records == {}
    assert bench.take(Forward) == []


def test_a_peer_that_does_not_answer_leaves_the_message_here(bench: Bench) -> None:
    bench.submit(to=BOB)
    first = bench.forward()
    assert bench.sleep_until_deadline() == 32
    assert isinstance(bench.result(), RpAck)
    assert len(bench.records) == 1
    assert bench.sleep_until_deadline() == 92
    second = bench.forward()
    assert second.identifier == first.identifier
    bench.answer_as_peer(second)
    assert bench.records == {}


def test_a_peer_that_is_down_leaves_the_message_here_until_it_binds(bench: Bench) -> None:
    bench.submit(to=BOB)
    bench.forward()
    bench.run(bench.core.peer_lost("blue.smsc", bench.now))
    assert isinstance(bench.result(), RpAck)
    bench.bind(PEER, LinkRole.SMSC, "blue.smsc")
    bench.answer_as_peer(bench.forward())
    assert bench.records == {}


def _from_peer(bench: Bench, text: str = "hi", to: str = CAROL, **fields: object) -> None:
    rpdu = rp_submit(text, to, status_report=True, message_reference=42)
    values: dict[str, object] = {
        "reference": 70,
        "kind": ForwardKind.MO,
        "rpdu": rpdu,
        "originator": Party.msisdn(BOB),
        "submitted_at": Timestamp.at(NOW - 60),
        "identifier": "blue.smsc/1",
    }
    bench.receive(PEER, Forward(**{**values, **fields}))  # type: ignore[arg-type]  # a test's own keywords


def test_a_message_of_the_peer_is_delivered_with_its_time_and_reported_back(bench: Bench) -> None:
    bench.bind(PEER, LinkRole.SMSC, "blue.smsc")
    _from_peer(bench, report_to="blue.messaging_server", report_key="m1")
    assert isinstance(bench.result(), RpAck)
    forward = bench.forward()
    _, deliver = deliver_of(forward.rpdu)
    assert (str(deliver.originator), deliver.timestamp.to_epoch_s()) == (BOB, NOW - 60)
    bench.answer(forward)
    (sent,) = [action for action in bench.log if isinstance(action, SendToPeer)]
    report = bench.forward()
    assert sent.name == "blue.smsc"
    assert (report.kind, report.destination) == (ForwardKind.REPORT, Party.msisdn(BOB))
    assert (report.report_to, report.report_key) == ("blue.messaging_server", "m1")
    assert report_of(report.rpdu)[1].message_reference == 42
    bench.answer_as_peer(report)
    assert bench.records == {}


def test_a_transfer_that_the_peer_repeats_is_acknowledged_and_delivered_once(bench: Bench) -> None:
    bench.bind(PEER, LinkRole.SMSC, "blue.smsc")
    _from_peer(bench)
    bench.take(Result)
    bench.answer(bench.forward())
    bench.take(Forward)
    _from_peer(bench)
    assert isinstance(bench.result(), RpAck)
    assert bench.take(Forward) == []


def test_no_transit_for_peers(bench: Bench) -> None:
    bench.bind(PEER, LinkRole.SMSC, "blue.smsc")
    _from_peer(bench, to=BOB)
    assert bench.result() == RpError(Direction.TO_MS, 7, RpCause.UNASSIGNED_NUMBER)


def test_a_report_of_the_peer_goes_to_the_phone(bench: Bench) -> None:
    bench.bind(PEER, LinkRole.SMSC, "blue.smsc")
    other = Bench()
    other.bind()
    other.submit(status_report=True, message_reference=8)
    other.answer(other.forward())
    rpdu = other.forward().rpdu
    report = Forward(
        reference=71, kind=ForwardKind.REPORT, rpdu=rpdu, destination=Party.msisdn(ALICE), identifier="blue.smsc/2"
    )
    bench.receive(PEER, report)
    assert isinstance(bench.result(), RpAck)
    forward = bench.forward()
    assert (forward.kind, forward.destination) == (ForwardKind.MT, Party.msisdn(ALICE))
    assert report_of(forward.rpdu)[1].message_reference == 8
    bench.receive(PEER, report)
    assert isinstance(bench.result(), RpAck)
    assert bench.take(Forward) == []
    bench.answer(forward)
    assert bench.records == {}


def test_a_messaging_server_submits_for_anybody_and_gets_its_report(bench: Bench) -> None:
    bench.bind(APPLICATION, LinkRole.APPLICATION, "red.messaging_server")
    bench.receive(
        APPLICATION,
        Forward(
            reference=1,
            kind=ForwardKind.MO,
            rpdu=rp_submit("from RCS", CAROL, status_report=True),
            originator=Party.msisdn(BOB),
            identifier="imdn-1",
        ),
    )
    assert isinstance(bench.result(), RpAck)
    forward = bench.forward()
    assert str(deliver_of(forward.rpdu)[1].originator) == BOB
    bench.answer(forward)
    sent = [action for action in bench.log if isinstance(action, SendFrame)]
    assert sent[-1].link == APPLICATION
    report = bench.forward()
    assert (report.kind, report.report_key) == (ForwardKind.REPORT, "imdn-1")
    assert report_of(report.rpdu)[1].status == DeliveryStatus.RECEIVED
    bench.answer(report, link=APPLICATION)
    assert bench.records == {}


def test_a_report_waits_for_its_application(bench: Bench) -> None:
    bench.bind(APPLICATION, LinkRole.APPLICATION, "red.messaging_server")
    rpdu = rp_submit("x", CAROL, status_report=True)
    bench.receive(APPLICATION, Forward(reference=1, kind=ForwardKind.MO, rpdu=rpdu, originator=Party.msisdn(BOB)))
    bench.run(bench.core.link_closed(APPLICATION, bench.now))
    bench.answer(bench.forward())
    assert bench.take(Forward) == []
    bench.bind(22, LinkRole.APPLICATION, "red.messaging_server")
    bench.answer(bench.forward(), link=22)
    assert bench.records == {}


def test_an_application_behind_the_gateway_gets_its_report_there(bench: Bench) -> None:
    bench.receive(
        GATEWAY,
        Forward(
            reference=1,
            kind=ForwardKind.MO,
            rpdu=rp_submit("x", CAROL, status_report=True),
            originator=Party.msisdn(BOB),
            report_to="sip:rcsas.red",
            report_key="c1",
        ),
    )
    bench.answer(bench.forward())
    report = bench.forward()
    assert (report.kind, report.report_to, report.report_key) == (ForwardKind.REPORT, "sip:rcsas.red", "c1")


def test_a_local_application_sends_data_to_a_port(bench: Bench) -> None:
    message = ApplicationMessage(originator="RedLab", destination=CAROL, text="123456", port=12345)
    bench.run(bench.core.submit(1, message, bench.now))
    assert Answered(1, None) in bench.log
    _, deliver = deliver_of(bench.forward().rpdu)
    assert str(deliver.originator) == "RedLab"
    assert deliver.user_data.header is not None
    assert deliver.user_data.header.ports == ApplicationPorts(12345, 0)
    assert deliver.user_data.content == b"123456"


def test_a_long_text_of_an_application_is_answered_once(bench: Bench) -> None:
    message = ApplicationMessage(originator="+12025550199", destination=CAROL, text="x" * 400)
    bench.run(bench.core.submit(1, message, bench.now))
    assert [action for action in bench.log if isinstance(action, Answered)] == [Answered(1, None)]
    assert len(bench.records) == 3


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (ApplicationMessage(originator="RedLab", destination="+12025550108", text="x"), RpCause.UNASSIGNED_NUMBER),
        (
            ApplicationMessage(originator="a name that is too long", destination=CAROL, text="x"),
            RpCause.INVALID_MANDATORY_INFORMATION,
        ),
        (
            ApplicationMessage(originator="RedLab", destination=CAROL, text="x" * 5000),
            RpCause.INVALID_MANDATORY_INFORMATION,
        ),
        (
            ApplicationMessage(originator="RedLab", destination=CAROL, text="x", port=70000),
            RpCause.INVALID_MANDATORY_INFORMATION,
        ),
    ],
)
def test_an_impossible_application_message_is_refused(
    bench: Bench, message: ApplicationMessage, cause: RpCause
) -> None:
    bench.run(bench.core.submit(1, message, bench.now))
    assert [action for action in bench.log if isinstance(action, Answered)] == [Answered(1, cause)]
