"""Deferred delivery (digest §4.8, §19.4): F01-F05, redelivery guard, expiry, restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.store.deferred_messages import DeferredMessage
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    C1,
    CONFIG,
    ICSI,
    K1,
    M1,
    PHONE,
    RED,
    TABLET,
    Lab,
    UeBinding,
    cpim,
    gruu,
    imdn_cpim,
    message,
    sip,
    third_party_register,
)

WEEK_S = 7 * 86400.0
TABLET_BINDING = UeBinding(TABLET, host="192.0.2.13")


def lab_with(
    *message_ids: str, wishes: tuple[str, ...] = ("positive-delivery",), config: MessagingServerConfig = CONFIG
) -> Lab:
    lab = Lab(config=config)
    for message_id in message_ids:
        lab.receive(message(cpim(message_id=message_id, wishes=wishes)))
    return lab


def ids(lab: Lab) -> list[str | None]:
    return [CpimMessage.parse(sent.request.body).message_id for sent in lab.sent]


def test_f01_it_goes_out_after_the_next_registration_as_it_was() -> None:
    lab = lab_with(M1)
    lab.timeline.clear()
    lab.register()
    assert lab.timeline == ["persist registered_devices", "answer 200", "send"]
    deferred = lab.take_one().request
    assert deferred.request_uri_text == gruu(PHONE)
    assert deferred.text("Route") == f"<sip:term@scscf.{BLUE};lr>"
    assert deferred.text("P-Asserted-Identity") == f"<{sip(ALICE, RED)}>, <tel:{ALICE}>"
    assert deferred.text("P-Asserted-Service") == f"{ICSI}.msg"
    assert (deferred.text("Conversation-ID"), deferred.text("Contribution-ID")) == (C1, K1)
    assert CpimMessage.parse(deferred.body).date_time == "2026-03-02T10:15:30.120Z"


def test_f02_one_at_a_time_in_order_of_arrival() -> None:
    lab = lab_with("a", "b", "c")
    lab.register()
    for expected in ("a", "b", "c"):
        assert ids(lab) == [expected]
        lab.answer(lab.take_one())
    assert lab.take() == []


def test_f02_what_is_new_waits_behind_what_is_old() -> None:
    lab = lab_with("a", "b")
    lab.register()
    exchange = lab.receive(message(cpim(message_id="new")))
    assert lab.answers[exchange].status == 202
    for expected in ("a", "b", "new"):
        assert ids(lab) == [expected]
        lab.answer(lab.take_one())
    lab.receive(message(cpim(message_id="direct")))
    assert ids(lab) == ["direct"]


def test_f03_a_second_device_that_registers_later_gets_it_too_until_expiry() -> None:
    lab = lab_with("a", "b")
    lab.register()
    lab.answer(lab.take_one())
    lab.answer(lab.take_one())
    lab.ask(third_party_register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING))
    for expected in ("a", "b"):
        assert ids(lab) == [expected]
        sent = lab.take_one()
        assert sent.request.request_uri_text == gruu(TABLET)
        lab.answer(sent)
    lab.register(UeBinding(), TABLET_BINDING)
    assert lab.take() == []
    lab.advance(WEEK_S)
    assert lab.stored_messages() == 0
    assert not any(table == "delivery_cursors" for table, _ in lab.records)


@pytest.mark.parametrize("status", [408, 430, 480])
def test_a_device_that_does_not_take_it_is_asked_again_after_pauses_that_double(status: int) -> None:
    """It is registered, and may be there all the same: what it did not take is not kept from it until it registers."""
    lab = lab_with("a", "b")
    lab.register(UeBinding(expires=20_000))
    for pause_s in (30, 60, 120, 240, 480, 960, 1800, 1800):
        lab.answer(lab.take_one(), status)
        lab.advance(pause_s - 1)
        assert lab.take() == []
        lab.advance(2)
        assert ids(lab) == ["a"]
    lab.answer(lab.take_one())
    assert ids(lab) == ["b"]
    lab.answer(lab.take_one(), status)
    lab.advance(31)
    assert ids(lab) == ["b"], "the pauses begin anew"


def test_a_device_that_is_registered_no_more_is_left_alone_until_it_registers() -> None:
    lab = lab_with("a")
    lab.register(UeBinding(expires=80))
    lab.answer(lab.take_one(), 480)
    lab.advance(31)
    lab.answer(lab.take_one(), 480)
    lab.advance(600)
    assert lab.take() == []
    lab.register()
    assert ids(lab) == ["a"]


def test_a_registration_begins_the_pauses_anew_and_is_heard_at_once() -> None:
    lab = lab_with("a")
    lab.register()
    for pause_s in (30, 60, 120):
        lab.answer(lab.take_one(), 408)
        lab.advance(pause_s + 1)
    lab.answer(lab.take_one(), 408)
    lab.advance(1)
    lab.register(UeBinding(boot="2"))
    lab.answer(lab.take_one(), 408)
    lab.advance(31)
    assert ids(lab) == ["a"]


def test_the_redelivery_guard_delays_what_a_registration_asks_for() -> None:
    lab = lab_with("a")
    lab.register()
    lab.answer(lab.take_one(), 480)
    lab.advance(10)
    lab.register()
    lab.register()
    assert lab.take() == []
    lab.advance(19.9)
    assert lab.take() == []
    lab.advance(0.2)
    assert ids(lab) == ["a"]


@pytest.mark.parametrize("back", [UeBinding(boot="2"), UeBinding(host="192.0.2.77")])
def test_a_device_that_came_back_is_not_held_to_the_guard(back: UeBinding) -> None:
    lab = lab_with("a")
    lab.register()
    lab.answer(lab.take_one(), 480)
    lab.advance(1)
    lab.register(back)
    assert ids(lab) == ["a"]


def test_a_message_under_way_when_the_device_comes_back_goes_out_again_by_the_new_registration() -> None:
    lab = lab_with("a", "b")
    lab.register()
    old = lab.take_one()
    lab.advance(5)
    lab.register(UeBinding(boot="2"))
    assert ids(lab) == ["a"]
    lab.answer(lab.take_one())
    assert ids(lab) == ["b"]
    lab.finish(old.errand, 408)
    lab.answer(lab.take_one())
    assert lab.take() == []


def test_a_live_message_whose_device_came_back_meanwhile_follows_at_once_from_the_store() -> None:
    lab = Lab()
    lab.register()
    exchange = lab.receive(message())
    lab.take_one()
    lab.advance(5)
    lab.register(UeBinding(boot="2"))
    lab.advance(15)
    assert lab.answers[exchange].status == 202
    assert ids(lab) == [M1]


def test_a_new_message_wakes_a_device_that_failed_before() -> None:
    lab = lab_with("a")
    lab.register()
    lab.answer(lab.take_one(), 480)
    lab.advance(31)
    lab.receive(message(cpim(message_id="b")))
    assert ids(lab) == ["a"]


def test_no_answer_counts_as_408_after_the_deadline() -> None:
    lab = lab_with("a")
    lab.register()
    lab.take_one()
    lab.advance(20)
    lab.register()
    lab.advance(31)
    assert ids(lab) == ["a"]


def test_a_message_that_the_device_refuses_does_not_block_the_others_and_its_sender_is_told() -> None:
    lab = lab_with("bad", "good", wishes=("positive-delivery", "negative-delivery"))
    lab.register()
    lab.answer(lab.take_one(), 415)
    receipt, following = lab.take()
    imdn = Imdn.parse(CpimMessage.parse(receipt.request.body).body)
    assert (imdn.message_id, imdn.status) == ("bad", ImdnStatus.FAILED)
    assert CpimMessage.parse(following.request.body).message_id == "good"
    assert lab.stored_messages() == 1


def test_a_message_that_always_makes_the_device_fail_is_given_up() -> None:
    lab = lab_with("poison", "good", config=replace(CONFIG, redeliver_max_errors=3))
    for _ in range(3):
        lab.register()
        assert ids(lab) == ["poison"]
        lab.answer(lab.take_one(), 500)
        lab.advance(31)
    assert ids(lab) == ["good"]


class TestExpiry:
    def test_f04_an_expired_message_yields_failed_when_negative_delivery_was_asked(self) -> None:
        lab = lab_with(M1, wishes=("positive-delivery", "negative-delivery"))
        lab.advance(WEEK_S - 1)
        assert lab.stored_messages() == 1
        lab.advance(2)
        request = lab.take_one().request
        receipt = CpimMessage.parse(request.body)
        imdn = Imdn.parse(receipt.body)
        assert request.request_uri_text == f"tel:{ALICE}"
        assert request.text("P-Asserted-Identity") == f"<tel:{BOB}>"
        assert request.text("Route") == f"<sip:orig@scscf.{BLUE};lr>"
        assert request.text("P-Served-User") == f"<tel:{BOB}>;sescase=orig;regstate=unreg"
        assert request.text("P-Asserted-Service") == f"{ICSI}.msg"
        assert (request.text("Conversation-ID"), request.text("Contribution-ID")) == (C1, K1)
        assert (imdn.message_id, imdn.datetime) == (M1, "2026-03-02T10:15:30.120Z")
        assert (imdn.kind, imdn.status) == (ImdnKind.DELIVERY, ImdnStatus.FAILED)
        assert receipt.disposition_notification == ()
        assert lab.stored_messages() == 0

    @pytest.mark.parametrize("wishes", [(), ("positive-delivery", "display")])
    def test_f04_and_only_then(self, wishes: tuple[str, ...]) -> None:
        lab = lab_with(M1, wishes=wishes)
        lab.advance(WEEK_S + 1)
        assert lab.take() == []
        assert lab.stored_messages() == 0

    def test_a_message_that_one_device_has_expires_without_a_word(self) -> None:
        lab = lab_with(M1, wishes=("negative-delivery",))
        lab.register()
        lab.answer(lab.take_one())
        lab.advance(WEEK_S + 1)
        assert lab.take() == []

    def test_a_receipt_that_does_not_get_through_is_tried_again(self) -> None:
        lab = lab_with(M1, wishes=("negative-delivery",))
        lab.advance(WEEK_S + 1)
        first = lab.take_one()
        lab.answer(first, 503)
        lab.advance(31)
        second = lab.take_one()
        assert second.request.call_id != first.request.call_id
        lab.answer(second, 202)
        lab.advance(3600)
        assert lab.take() == []


class TestRestart:
    def test_what_was_stored_goes_out_after_it_in_order(self) -> None:
        lab = lab_with("a", "b").restarted()
        lab.receive(message(cpim(message_id="c")))
        lab.register()
        for expected in ("a", "b", "c"):
            assert ids(lab) == [expected]
            lab.answer(lab.take_one())

    def test_registered_devices_are_known_and_served_at_once(self) -> None:
        lab = lab_with("a")
        lab.register()
        lab.take_one()
        again = lab.restarted()
        again.advance(2)
        assert ids(again) == ["a"]

    def test_a_cursor_survives_it(self) -> None:
        lab = lab_with("a", "b")
        lab.register()
        lab.answer(lab.take_one())
        again = lab.restarted()
        again.advance(2)
        assert ids(again) == ["b"]

    def test_copies_for_named_devices_survive_it(self) -> None:
        lab = Lab()
        lab.register(UeBinding(), TABLET_BINDING, by=UeBinding())
        lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
        lab.receive(message())
        phone, tablet = sorted(lab.take(), key=lambda sent: sent.request.request_uri_text)
        lab.answer(phone)
        lab.answer(tablet, 480)
        again = lab.restarted()
        assert again.take() == []  # the rest of the network starts too
        again.advance(2)
        assert again.take_one().request.request_uri_text == gruu(TABLET)

    def test_an_expiry_that_came_meanwhile_is_told(self) -> None:
        lab = lab_with(M1, wishes=("negative-delivery",))
        lab.now += WEEK_S + 5
        again = lab.restarted()
        again.advance(0)
        assert again.take_one().request.request_uri_text == f"tel:{ALICE}"

    def test_a_record_that_cannot_be_read_is_dropped_with_a_note(self) -> None:
        lab = lab_with("a")
        key = next(key for key in lab.records if key[0] == "deferred_messages")
        record = lab.records[key]
        assert isinstance(record, DeferredMessage)
        lab.records[key] = replace(record, octets=b"rubbish")
        again = lab.restarted()
        assert again.stored_messages() == 0
        assert any(note.summary == "stored message dropped" for note in again.notes)


def test_f05_a_receipt_to_an_offline_sender_is_stored_and_delivered_the_same_way() -> None:
    lab = Lab()
    receipt = imdn_cpim(Imdn("of-bob", "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED))
    exchange = lab.receive(message(receipt))
    assert lab.answers[exchange].status == 202
    lab.register()
    assert lab.take_one().request.body == receipt


def test_a_device_that_lost_its_rcs_tags_gets_nothing() -> None:
    lab = lab_with("a")
    lab.register(UeBinding(tags=";+g.3gpp.smsip"))
    assert lab.take() == []
    lab.register(UeBinding())
    assert ids(lab) == ["a"]
