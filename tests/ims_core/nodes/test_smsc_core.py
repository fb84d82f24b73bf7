"""Playbook of the service centre: the plain way, restarts, hostile input."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.nodes.smsc_actions import (
    Forget,
    Note,
    Persist,
    SendFrame,
)
from ims_core.store.short_messages import ShortMessage, short_message_key
from ims_core.wire.sms.rpdu import RpAck
from ims_core.wire.sms.sm_link import (
    Detach,
    Forward,
    ForwardKind,
    LinkRole,
    Party,
    Result,
    SmLinkMessage,
)
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import DeliveryStatus, SmsSubmitReport, parse_tpdu_to_ms
from tests.ims_core.wire.sms.test_sm_link import messages
from tests.support.short_messages import (
    ALICE,
    BOB,
    CAROL,
    deliver_of,
    report_of,
    rp_ack,
    rp_error,
    rp_submit,
)
from tests.support.smsc_bench import (
    ALICE_CS,
    APPLICATION,
    CAROL_CS,
    GATEWAY,
    NOW,
    PEER,
    Bench,
)


@pytest.fixture
def bench() -> Bench:
    """A service centre with its gateway."""
    bench = Bench()
    bench.bind()
    return bench


def test_a_message_is_stored_then_acknowledged_then_delivered(bench: Bench) -> None:
    bench.submit("Hello", status_report=False)
    kinds = [type(action) for action in bench.log if not isinstance(action, Note)]
    assert kinds == [SendFrame, Persist, SendFrame, SendFrame]
    ack = bench.result()
    assert isinstance(ack, RpAck)
    report = parse_tpdu_to_ms(ack.user_data or b"")
    assert isinstance(report, SmsSubmitReport)
    assert report.timestamp.to_epoch_s() == NOW
    forward = bench.forward()
    assert (forward.kind, forward.destination) == (ForwardKind.MT, Party.msisdn(CAROL))
    rp_data, deliver = deliver_of(forward.rpdu)
    assert str(rp_data.service_centre) == "+12025550199"
    assert (str(deliver.originator), deliver.text, deliver.timestamp.to_epoch_s()) == (ALICE, "Hello", NOW)
    assert not deliver.more_messages
    assert not deliver.status_report_indication
    bench.answer(forward)
    assert bench.records == {}
    assert bench.core.stored_count == 0
    assert bench.core.next_deadline() is None


def test_a_status_report_follows_when_one_is_asked_for(bench: Bench) -> None:
    bench.submit(status_report=True, message_reference=99)
    forward = bench.forward()
    assert deliver_of(forward.rpdu)[1].status_report_indication
    bench.now += 5
    bench.answer(forward)
    report_forward = bench.forward()
    assert report_forward.destination == Party.msisdn(ALICE)
    _, report = report_of(report_forward.rpdu)
    assert (report.message_reference, str(report.recipient), report.status) == (99, CAROL, DeliveryStatus.RECEIVED)
    assert (report.timestamp.to_epoch_s(), report.discharge_time.to_epoch_s()) == (NOW, NOW + 5)
    assert len(bench.records) == 1
    bench.answer(report_forward)
    assert bench.records == {}


def test_messages_to_one_destination_go_one_at_a_time_with_the_mms_bit(bench: Bench) -> None:
    for text in ("one", "two", "three"):
        bench.submit(text)
    forwards = bench.take(Forward)
    assert len(forwards) == 1
    seen = []
    while forwards:
        _, deliver = deliver_of(forwards[0].rpdu)
        seen.append((deliver.text, deliver.more_messages, forwards[0].more_messages))
        bench.answer(forwards[0])
        forwards = bench.take(Forward)
    assert seen == [("one", False, False), ("two", True, True), ("three", False, False)]


def test_destinations_do_not_wait_for_each_other(bench: Bench) -> None:
    bench.submit(to=CAROL)
    bench.submit(to=ALICE)
    assert {forward.destination for forward in bench.take(Forward)} == {Party.msisdn(CAROL), Party.msisdn(ALICE)}


def test_equal_messages_get_different_time_stamps(bench: Bench) -> None:
    for text in ("same", "same", "other"):
        bench.submit(text)
    stamps = {record.submitted_at for record in bench.records.values()}
    assert stamps == {Timestamp.at(NOW).octets, Timestamp.at(NOW + 1).octets}


def test_user_data_headers_pass_unread(bench: Bench) -> None:
    submit = bytes.fromhex("412B0B912120550501F300000B0500035C020182C16010")
    octets = bytes.fromhex("00070007912120550591F9") + bytes((len(submit),)) + submit
    bench.receive(GATEWAY, Forward(reference=1, kind=ForwardKind.MO, rpdu=octets, originator=Party.msisdn(ALICE)))
    _, deliver = deliver_of(bench.forward().rpdu)
    assert deliver.user_data.header is not None
    assert deliver.user_data.header.octets.hex() == "00035c0201"
    assert deliver.text == "AAAA"


def test_a_restart_takes_up_what_was_stored(bench: Bench) -> None:
    for text in ("one", "two"):
        bench.submit(text, status_report=True)
    bench.submit("far", to=BOB)
    again = Bench()
    again.records = dict(bench.records)
    again.run(again.core.restore(again.records.values(), again.now))
    assert again.core.stored_count == 3
    again.bind()
    (forward,) = again.take(Forward)
    assert deliver_of(forward.rpdu)[1].text == "one"
    again.answer(forward)
    assert again.sleep_until_deadline() == 5
    kinds = [forward.kind for forward in again.take(Forward)]
    assert kinds.count(ForwardKind.MO) == 1


def test_a_restart_drops_what_it_cannot_read_and_expires_what_is_old(bench: Bench) -> None:
    bench.submit(status_report=True)
    (record,) = bench.records.values()
    again = Bench()
    again.bind()
    again.now = record.expires_at + 10
    broken = ShortMessage(
        **{
            **{name: getattr(record, name) for name in ShortMessage.__slots__},
            "number": record.number + 1,
            "tpdu": b"\xff",
        }
    )
    again.run(again.core.restore([record, broken], again.now))
    assert Forget(short_message_key(record.number + 1)) in again.log
    again.run(again.core.handle_deadline(again.now))
    assert report_of(again.forward().rpdu)[1].status == DeliveryStatus.VALIDITY_EXPIRED


def test_numbers_do_not_repeat_after_a_restart(bench: Bench) -> None:
    bench.submit()
    (record,) = bench.records.values()
    again = Bench()
    again.bind()
    again.now += 1
    again.submit()
    (later,) = again.records.values()
    assert later.number > record.number


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from([GATEWAY, APPLICATION, PEER, ALICE_CS, CAROL_CS, 77]), messages),
            st.tuples(
                st.sampled_from([GATEWAY, APPLICATION, PEER, ALICE_CS]),
                st.builds(
                    Forward,
                    reference=st.integers(0, 5),
                    kind=st.sampled_from(ForwardKind),
                    rpdu=st.one_of(
                        st.binary(max_size=40),
                        st.builds(
                            rp_submit, st.just("x"), st.sampled_from([ALICE, BOB, CAROL]), status_report=st.booleans()
                        ),
                    ),
                    originator=st.sampled_from([None, Party.msisdn(ALICE), Party.name("x"), Party.imsi("00101")]),
                    identifier=st.sampled_from(["", "a", "b"]),
                    report_to=st.sampled_from(["", "sip:x", "red.messaging_server"]),
                ),
            ),
            st.tuples(
                st.sampled_from([GATEWAY, APPLICATION, ALICE_CS, CAROL_CS]),
                st.builds(Result, st.integers(0, 8), st.builds(rp_ack, st.integers(0, 8))),
            ),
            st.tuples(
                st.sampled_from([GATEWAY, CAROL_CS]),
                st.builds(Result, st.integers(0, 8), st.builds(rp_error, st.integers(0, 8), st.integers(0, 127))),
            ),
            st.tuples(st.just(-1), st.just(Detach())),  # time passes
        ),
        max_size=40,
    )
)
def test_no_sequence_of_frames_breaks_the_core(steps: list[tuple[int, SmLinkMessage]]) -> None:
    bench = Bench()
    bench.bind()
    bench.bind(APPLICATION, LinkRole.APPLICATION, "red.messaging_server")
    bench.bind(PEER, LinkRole.SMSC, "blue.smsc")
    bench.attach(ALICE_CS)
    bench.attach(CAROL_CS)
    for link, message in steps:
        if link >= 0:
            bench.receive(link, message)
        elif bench.core.next_deadline() is not None:
            bench.sleep_until_deadline()
        assert len(bench.records) == bench.core.stored_count
    for _ in range(400):
        if bench.core.next_deadline() is None:
            break
        bench.sleep_until_deadline()
        bench.log.clear()
    assert bench.core.stored_count == 0
    assert bench.records == {}
