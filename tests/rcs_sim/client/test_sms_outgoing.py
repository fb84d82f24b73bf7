from __future__ import annotations

import pytest

from ims_core.transport.tokens import Tokens
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, RpError, parse_rpdu
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import FailureCause, SmsStatusReport, SmsSubmit, SmsSubmitReport, parse_tpdu_from_ms
from rcs_sim.client.sms_outgoing import (
    OutgoingMessages,
    SendRp,
    SmsFailureStep,
    SmsPath,
    SubmissionAccepted,
    SubmissionDelivered,
    SubmissionFailed,
    count_parts,
    failure_step,
)
from rcs_sim.devices.policy import SmsPolicy

_BOB = "+12025550152"
_BOTH = (SmsPath.IP, SmsPath.CS)


def _outgoing(policy: SmsPolicy | None = None) -> OutgoingMessages:
    return OutgoingMessages(policy or SmsPolicy(), "+12025550199", Tokens("seed"))


def _sent(outputs: list[object]) -> SendRp:
    found = [each for each in outputs if isinstance(each, SendRp)]
    assert len(found) == 1, outputs
    return found[0]


def _data(sent: SendRp) -> tuple[RpData, SmsSubmit]:
    data = parse_rpdu(sent.octets)
    assert isinstance(data, RpData)
    tpdu = parse_tpdu_from_ms(data.user_data)
    assert isinstance(tpdu, SmsSubmit)
    return data, tpdu


def _ack(sent: SendRp) -> RpAck:
    return RpAck(Direction.TO_MS, _data(sent)[0].reference)


def _report(tpdu: SmsSubmit, status: int) -> SmsStatusReport:
    now = Timestamp.at(1772446530)
    return SmsStatusReport(
        message_reference=tpdu.message_reference,
        recipient=Address.international(_BOB),
        timestamp=now,
        discharge_time=now,
        status=status,
    )


def test_a_text_goes_to_the_service_centre_and_is_accepted_by_rp_ack_l12() -> None:
    outgoing = _outgoing()
    submission, outputs = outgoing.submit(_BOB, "Hello", "owner", _BOTH, 0)
    sent = _sent(list(outputs))
    data, tpdu = _data(sent)
    assert str(data.service_centre) == "+12025550199"
    assert (str(tpdu.destination), tpdu.text, tpdu.status_report_request) == (_BOB, "Hello", True)
    assert sent.path is SmsPath.IP
    assert sent.call_id
    assert outgoing.answered(_ack(sent), sent.call_id, _BOTH, 1) == [SubmissionAccepted(submission, SmsPath.IP)]
    assert outgoing.next_deadline() is None


def test_an_answer_in_reply_to_another_call_is_dropped_l12() -> None:
    outgoing = _outgoing()
    sent = _sent(list(outgoing.submit(_BOB, "Hello", None, _BOTH, 0)[1]))
    assert outgoing.answered(_ack(sent), "other", _BOTH, 1) == []
    assert outgoing.answered(RpAck(Direction.TO_MS, (_data(sent)[0].reference + 1) % 256), "", _BOTH, 1) == []
    assert outgoing.next_deadline() == 40


@pytest.mark.parametrize("bits", [8, 16])
def test_long_texts_go_part_by_part_with_a_shared_reference_l09(bits: int) -> None:
    outgoing = _outgoing(SmsPolicy(reference_bits=bits))
    submission, outputs = outgoing.submit(_BOB, "x" * 400, None, _BOTH, 0)
    texts, references, done = "", set(), list(outputs)
    while sends := [each for each in done if isinstance(each, SendRp)]:
        _, tpdu = _data(sends[0])
        header = tpdu.user_data.header
        assert header is not None
        place = header.concatenation
        assert place is not None
        assert place.is_wide is (bits == 16)
        references.add(place.reference)
        texts += tpdu.text
        done = list(outgoing.answered(_ack(sends[0]), sends[0].call_id, _BOTH, 1))
    assert texts == "x" * 400
    assert len(references) == 1
    assert done == [SubmissionAccepted(submission, SmsPath.IP)]


@pytest.mark.parametrize("cause", [21, 27, 28, 29, 30, 42, 47, 50, 69, 97])
def test_causes_of_the_path_fall_back_to_the_circuit_switched_link(cause: int) -> None:
    outgoing = _outgoing()
    first = _sent(list(outgoing.submit(_BOB, "Hello", None, _BOTH, 0)[1]))
    error = RpError(Direction.TO_MS, _data(first)[0].reference, cause)
    second = _sent(list(outgoing.answered(error, first.call_id, _BOTH, 1)))
    assert second.path is SmsPath.CS
    assert _data(second)[1].message_reference == _data(first)[1].message_reference


@pytest.mark.parametrize("cause", [1, 8, 10, 11, 38, 81, 95, 96, 98, 99, 111, 127])
def test_permanent_causes_fail_l10(cause: int) -> None:
    outgoing = _outgoing()
    submission, outputs = outgoing.submit(_BOB, "Hello", None, _BOTH, 0)
    sent = _sent(list(outputs))
    error = RpError(Direction.TO_MS, _data(sent)[0].reference, cause)
    assert outgoing.answered(error, sent.call_id, _BOTH, 1) == [SubmissionFailed(submission, cause)]


def test_cause_41_and_unknown_causes_are_retried_l10() -> None:
    assert failure_step(41) is SmsFailureStep.RETRY
    assert failure_step(77) is SmsFailureStep.RETRY
    outgoing = _outgoing()
    submission, outputs = outgoing.submit(_BOB, "Hello", None, (SmsPath.IP,), 0)
    first = _sent(list(outputs))
    second = _sent(
        list(
            outgoing.answered(RpError(Direction.TO_MS, _data(first)[0].reference, 41), first.call_id, (SmsPath.IP,), 1)
        )
    )
    assert second.path is SmsPath.IP
    error = RpError(Direction.TO_MS, _data(second)[0].reference, 41)
    assert outgoing.answered(error, second.call_id, (SmsPath.IP,), 2) == [SubmissionFailed(submission, 41)]


def test_no_rp_answer_within_tr1m_takes_the_other_path_then_fails() -> None:
    outgoing = _outgoing()
    submission, _ = outgoing.submit(_BOB, "Hello", None, _BOTH, 0)
    assert outgoing.handle_deadline(_BOTH, 39) == []
    second = _sent(list(outgoing.handle_deadline(_BOTH, 40)))
    assert second.path is SmsPath.CS
    assert outgoing.handle_deadline(_BOTH, 80) == [SubmissionFailed(submission, None)]


def test_a_refused_message_takes_the_other_path() -> None:
    outgoing = _outgoing()
    first = _sent(list(outgoing.submit(_BOB, "Hello", None, _BOTH, 0)[1]))
    assert outgoing.path_failed("another", _BOTH, 1) == []
    assert _sent(list(outgoing.path_failed(first.call_id, _BOTH, 1))).path is SmsPath.CS


def test_without_any_path_a_text_fails_at_once() -> None:
    submission, outputs = _outgoing().submit(_BOB, "Hello", None, (), 0)
    assert outputs == [SubmissionFailed(submission, None)]


def test_status_reports_of_every_part_make_it_delivered_l11() -> None:
    outgoing = _outgoing()
    submission, outputs = outgoing.submit(_BOB, "x" * 200, None, _BOTH, 0)
    first = _sent(list(outputs))
    second = _sent(list(outgoing.answered(_ack(first), first.call_id, _BOTH, 1)))
    outgoing.answered(_ack(second), second.call_id, _BOTH, 1)
    assert outgoing.reported(_report(_data(first)[1], 0x30)) == []
    assert outgoing.reported(_report(_data(first)[1], 0)) == []
    assert outgoing.reported(_report(_data(first)[1], 0)) == []
    assert outgoing.reported(_report(_data(second)[1], 0)) == [SubmissionDelivered(submission)]


def test_a_status_report_of_failure_fails_it() -> None:
    outgoing = _outgoing()
    submission, outputs = outgoing.submit(_BOB, "Hello", None, _BOTH, 0)
    sent = _sent(list(outputs))
    outgoing.answered(_ack(sent), sent.call_id, _BOTH, 1)
    assert outgoing.reported(_report(_data(sent)[1], 0x46)) == [SubmissionFailed(submission, None)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 0),
        ("a", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("a" * 1530, 10),
        ("a" * 1531, 0),
    ],
)
def test_parts_are_counted(text: str, parts: int) -> None:
    assert count_parts(text, 10) == parts


def test_what_is_sent_again_asks_to_reject_duplicates() -> None:
    outgoing = _outgoing()
    first = _sent(list(outgoing.submit(_BOB, "Hello", None, _BOTH, 0)[1]))
    again = _sent(list(outgoing.handle_deadline(_BOTH, 40)))
    assert [_data(sent)[1].reject_duplicates for sent in (first, again)] == [False, True]
    assert _data(first)[1].message_reference == _data(again)[1].message_reference


def test_a_duplicate_that_is_refused_has_been_accepted_before() -> None:
    outgoing = _outgoing()
    submission, _ = outgoing.submit(_BOB, "Hello", None, _BOTH, 0)
    again = _sent(list(outgoing.handle_deadline(_BOTH, 40)))
    report = SmsSubmitReport(timestamp=Timestamp.at(1772446530), failure_cause=FailureCause.DUPLICATE).encode()
    refusal = RpError(Direction.TO_MS, _data(again)[0].reference, 21, report)
    assert outgoing.answered(refusal, "", _BOTH, 41) == [SubmissionAccepted(submission, SmsPath.CS)]


def test_what_was_reported_on_is_not_sent_again_when_its_answer_is_lost() -> None:
    outgoing = _outgoing()
    submission, outputs = outgoing.submit(_BOB, "Hello", None, _BOTH, 0)
    tpdu = _data(_sent(list(outputs)))[1]
    assert outgoing.reported(_report(tpdu, 0)) == [SubmissionDelivered(submission)]
    assert outgoing.handle_deadline(_BOTH, 40) == [SubmissionAccepted(submission, SmsPath.IP)]


def test_a_report_about_what_was_given_up_for_want_of_an_answer_tells_that_it_was_delivered() -> None:
    outgoing = _outgoing()
    submission, outputs = outgoing.submit(_BOB, "Hello", None, (SmsPath.IP,), 0)
    tpdu = _data(_sent(list(outputs)))[1]
    assert outgoing.handle_deadline((), 40) == [SubmissionFailed(submission, None)]
    assert outgoing.reported(_report(tpdu, 0)) == [SubmissionDelivered(submission)]


def test_a_report_about_what_was_refused_is_about_another_message() -> None:
    outgoing = _outgoing()
    _, outputs = outgoing.submit(_BOB, "Hello", None, (SmsPath.IP,), 0)
    sent = _sent(list(outputs))
    outgoing.answered(RpError(Direction.TO_MS, _data(sent)[0].reference, 1), sent.call_id, (SmsPath.IP,), 1)
    assert outgoing.reported(_report(_data(sent)[1], 0)) == []


def test_what_waits_is_taken_back_and_what_has_left_does_not_go_again() -> None:
    outgoing = _outgoing()
    _, outputs = outgoing.submit(_BOB, "one", "first", _BOTH, 0)
    outgoing.submit(_BOB, "two", "second", _BOTH, 0)
    outgoing.submit("+12025550153", "three", "third", _BOTH, 0)
    assert outgoing.take_back(_BOB) == ["second"]
    first = _sent(list(outputs))
    assert first.owner == "first"
    after = outgoing.path_failed(first.call_id, _BOTH, 1)
    assert [each.submission.owner for each in after if isinstance(each, SubmissionFailed)] == ["first"]
    assert _sent(after).owner == "third"


@pytest.mark.parametrize("cause", [21, 41])
def test_nor_after_a_refusal_that_is_only_for_now(cause: int) -> None:
    outgoing = _outgoing()
    submission, outputs = outgoing.submit(_BOB, "one", "first", _BOTH, 0)
    sent = _sent(list(outputs))
    assert outgoing.take_back(_BOB) == []
    error = RpError(Direction.TO_MS, _data(sent)[0].reference, cause)
    assert outgoing.answered(error, sent.call_id, _BOTH, 1) == [SubmissionFailed(submission, cause)]


def test_the_rest_of_a_long_text_stays_in_the_phone() -> None:
    outgoing = _outgoing()
    _, outputs = outgoing.submit(_BOB, "long " * 100, "owner", _BOTH, 0)
    sent = _sent(list(outputs))
    assert outgoing.take_back(_BOB) == ["owner"]
    assert outgoing.answered(_ack(sent), sent.call_id, _BOTH, 1) == []
