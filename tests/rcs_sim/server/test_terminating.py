"""Digest §15.5, column "terminating", for MESSAGE; P06, P10; row 6 of the real clients."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.server.messaging_config import ClientRule, CpimFrom
from rcs_sim.wire.cpim import CORE, CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    C1,
    CAROL,
    CONFIG,
    ICSI,
    K1,
    M1,
    PHONE,
    RED,
    TABLET,
    Directory,
    Lab,
    UeBinding,
    cpim,
    gruu,
    imdn_cpim,
    message,
    sip,
)

TABLET_BINDING = UeBinding(TABLET, host="192.0.2.13")


def two_devices() -> Lab:
    lab = Lab()
    lab.register(UeBinding())
    lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
    return lab


def test_the_copy_for_the_device_is_what_the_digest_names() -> None:
    lab = Lab()
    lab.register()
    body = cpim()
    odd = (("Request-Disposition", "no-fork"), ("Contact", "<sip:x@y>"))
    exchange = lab.receive(message(body, headers=(("Conversation-ID", C1), ("Contribution-ID", K1), *odd)))
    copy = lab.take_one().request
    assert copy.request_uri_text == gruu(PHONE)
    assert copy.texts("Route") == (f"<sip:odi-7@scscf.{BLUE};lr>",)
    assert copy.call_id != "msg-21@192.0.2.11"
    assert copy.text("P-Asserted-Identity") == f"<{sip(ALICE, RED)}>, <tel:{ALICE}>"
    assert copy.text("P-Asserted-Service") == f"{ICSI}.msg"
    assert (copy.text("Conversation-ID"), copy.text("Contribution-ID")) == (C1, K1)
    assert copy.body == body
    for gone in ("Via", "Contact", "Request-Disposition", "P-Served-User", "P-Preferred-Identity"):
        assert not copy.has(gone)
    assert exchange not in lab.answers


def test_the_first_200_answers_the_sender() -> None:
    lab = two_devices()
    exchange = lab.receive(message())
    phone, tablet = lab.take()
    assert {phone.request.request_uri_text, tablet.request.request_uri_text} == {gruu(PHONE), gruu(TABLET)}
    lab.answer(phone)
    assert lab.answers[exchange].status == 200
    lab.answer(tablet)
    assert lab.stored_messages() == 0


def test_the_copy_of_a_device_that_has_not_answered_is_stored_before_the_sender_is_answered() -> None:
    lab = two_devices()
    lab.holds_store = True
    exchange = lab.receive(message())
    phone, _ = lab.take()
    lab.answer(phone)
    assert exchange not in lab.answers
    lab.release_store()
    assert lab.answers[exchange].status == 200
    assert lab.stored_messages() == 1


@pytest.mark.parametrize("status", [408, 430, 480, 404, 500, 503])
def test_a_device_that_fails_keeps_its_copy_until_its_200(status: int) -> None:
    lab = two_devices()
    lab.receive(message())
    phone, tablet = sorted(lab.take(), key=lambda sent: sent.request.request_uri_text)
    lab.answer(phone)
    lab.answer(tablet, status)
    assert lab.stored_messages() == 1
    lab.advance(31)
    lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
    again = lab.take_one()
    assert again.request.request_uri_text == gruu(TABLET)
    lab.answer(again)
    assert lab.stored_messages() == 0


def test_a_device_that_is_away_but_known_gets_its_copy_later() -> None:
    lab = two_devices()
    lab.register(UeBinding())  # the 200 of this REGISTER lists the phone alone
    lab.receive(message())
    lab.answer(lab.take_one())
    assert lab.stored_messages() == 1
    lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
    assert lab.take_one().request.request_uri_text == gruu(TABLET)


@pytest.mark.parametrize("statuses", [(408, 480), (430, 500), (503, 404)])
def test_when_all_devices_fail_it_is_stored_and_202(statuses: tuple[int, int]) -> None:
    lab = two_devices()
    exchange = lab.receive(message())
    for sent, status in zip(lab.take(), statuses, strict=True):
        lab.answer(sent, status)
    assert lab.answers[exchange].status == 202
    assert lab.stored_messages() == 1
    noted = [note.reason for note in lab.notes if note.summary == "message kept"]
    assert [int(reason.rpartition(" ")[2]) for reason in noted] == list(statuses)


def test_silence_of_the_devices_is_stored_and_202_within_the_deadline() -> None:
    lab = two_devices()
    exchange = lab.receive(message())
    lab.take()
    lab.advance(19.9)
    assert exchange not in lab.answers
    lab.advance(0.2)
    assert lab.answers[exchange].status == 202


def test_a_200_after_the_deadline_still_counts() -> None:
    lab = Lab()
    lab.register()
    lab.receive(message())
    sent = lab.take_one()
    lab.advance(21)
    lab.answer(sent)
    lab.advance(31)
    lab.register()
    assert lab.take() == []


def test_late_answers_in_the_wrong_order_lose_no_message() -> None:
    lab = Lab()
    lab.register()
    for message_id in ("a", "b"):
        lab.receive(message(cpim(message_id=message_id)))
    first, second = lab.take()
    lab.advance(21)
    lab.answer(second)
    lab.finish(first.errand, 408)
    lab.advance(31)
    lab.register()
    again = lab.take_one()
    assert CpimMessage.parse(again.request.body).message_id == "a"
    lab.answer(again)
    assert lab.take() == []


def test_none_registered_is_202_only_when_the_message_is_safe() -> None:
    lab = Lab(holds_store=True)
    exchange = lab.receive(message())
    assert exchange not in lab.answers
    assert lab.sent == []
    lab.release_store()
    assert lab.answers[exchange].status == 202
    assert lab.timeline == ["persist deferred_messages", "answer 202"]


def test_a_refusal_by_all_devices_is_relayed_and_nothing_is_stored() -> None:
    lab = two_devices()
    exchange = lab.receive(message())
    phone, tablet = lab.take()
    lab.answer(phone, 415, (("Accept", "text/plain"),))
    lab.answer(tablet, 603)
    assert lab.answers[exchange].status == 603
    assert lab.stored_messages() == 0


def test_a_refused_message_may_be_tried_again() -> None:
    lab = Lab()
    lab.register()
    for _ in range(2):
        lab.receive(message())
        lab.answer(lab.take_one(), 415)


def test_a_binding_without_instance_id_is_reached_by_the_public_identity() -> None:
    lab = Lab()
    lab.register(UeBinding(instance=""))
    lab.receive(message())
    assert lab.take_one().request.request_uri_text == sip(BOB, BLUE)


def test_a_gruu_that_no_device_ever_had_is_480_and_nobody_else_gets_the_message() -> None:
    lab = Lab()
    lab.register()
    exchange = lab.receive(message(target=gruu("urn:gsma:imei:00499901-999999-0")))
    assert lab.answers[exchange].status == 480
    lab.register(UeBinding(boot="2"))
    assert lab.take() == []


def test_a_pub_gruu_in_the_request_uri_reaches_that_device_alone() -> None:
    lab = two_devices()
    lab.receive(message(target=gruu(TABLET)))
    assert lab.take_one().request.request_uri_text == gruu(TABLET)


class TestDuplicates:
    def test_a_message_seen_before_is_200_without_delivery(self) -> None:
        lab = Lab()
        lab.register()
        lab.receive(message())
        lab.answer(lab.take_one())
        assert lab.status_of(message(call_id="another")) == 200
        assert lab.take() == []

    def test_a_repetition_while_the_first_is_pending_gets_its_answer(self) -> None:
        lab = Lab()
        lab.register()
        first, second = lab.receive(message()), lab.receive(message(call_id="another"))
        lab.answer(lab.take_one())
        assert (lab.answers[first].status, lab.answers[second].status) == (200, 200)

    def test_the_same_id_from_another_sender_or_to_another_recipient_is_another_message(self) -> None:
        lab = Lab()
        lab.receive(message())
        lab.receive(message(sender="+12025550103"))
        lab.receive(message(recipient=CAROL))
        assert lab.stored_messages() == 3

    def test_sip_and_tel_spellings_of_the_sender_are_one(self) -> None:
        lab = Lab()
        lab.receive(message())
        tel = message().edit().set("P-Asserted-Identity", f"<tel:{ALICE}>").done()
        assert lab.status_of(tel) == 200
        assert lab.stored_messages() == 1

    def test_after_a_restart_what_is_stored_is_still_known(self) -> None:
        lab = Lab()
        lab.receive(message())
        again = lab.restarted()
        assert again.status_of(message()) == 200
        assert again.stored_messages() == 1


class TestStore:
    def test_a_full_mailbox_is_480_with_a_reason_never_silent(self) -> None:
        lab = Lab(config=replace(CONFIG, store_max_per_user=2))
        answers = [lab.ask(message(cpim(message_id=f"m{number}"))) for number in range(3)]
        assert [answer.status for answer in answers if answer] == [202, 202, 480]
        assert answers[2] is not None
        assert "store of the recipient is full" in str(answers[2].headers[0])
        assert lab.status_of(message(cpim(message_id="m2"))) == 480

    def test_what_some_device_has_makes_room(self) -> None:
        lab = Lab(config=replace(CONFIG, store_max_per_user=2))
        for number in range(2):
            lab.receive(message(cpim(message_id=f"m{number}")))
        lab.register()
        for _ in range(2):
            lab.answer(lab.take_one())
        lab.deregister()
        assert lab.status_of(message(cpim(message_id="m2"))) == 202

    def test_a_store_that_fails_is_503_with_a_reason(self) -> None:
        from ims_core.store.record_table import StoreError

        lab = Lab(store_error=StoreError("disk full"))
        answer = lab.ask(message())
        assert answer is not None
        assert answer.status == 503
        assert ("Retry-After", "5") in answer.headers
        lab.store_error = None
        assert lab.status_of(message()) == 202

    def test_a_carrier_without_store_and_forward_answers_480(self) -> None:
        lab = Lab(config=replace(CONFIG, has_store_and_forward=False))
        assert lab.status_of(message()) == 480
        lab.register()
        exchange = lab.receive(message())
        lab.answer(lab.take_one(), 408)
        assert lab.answers[exchange].status == 480
        assert lab.stored_messages() == 0

    def test_typing_is_never_stored(self) -> None:
        lab = Lab()
        typing = cpim("<isComposing/>", "t1", (), content_type="application/im-iscomposing+xml")
        assert lab.status_of(message(typing)) == 480
        assert lab.stored_messages() == 0

    def test_a_receipt_for_an_absent_user_is_stored_whatever_the_limit(self) -> None:
        lab = Lab(config=replace(CONFIG, store_max_per_user=1))
        lab.receive(message())
        receipt = imdn_cpim(Imdn("x", "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED))
        assert lab.status_of(message(receipt)) == 202
        assert lab.stored_messages() == 2


class TestCpimForClients:
    """Row 6: a bare asserted identity in CPIM From for clients that answer to it, by rule."""

    def copy_for(self, lab: Lab, binding: UeBinding, body: bytes) -> CpimMessage:
        lab.register(binding)
        lab.receive(message(body))
        return CpimMessage.parse(lab.take_one().request.body)

    def test_a_device_without_instance_id_reads_the_asserted_identity(self) -> None:
        copy = self.copy_for(Lab(), UeBinding(instance=""), cpim())
        assert copy.raw_value(CORE, "From") == f"<{sip(ALICE, RED)}>"
        assert copy.text == "Hello Bob"

    def test_other_devices_get_the_octets_of_the_sender(self) -> None:
        assert self.copy_for(Lab(), UeBinding(), cpim()).raw == cpim()

    def test_a_rule_may_say_otherwise(self) -> None:
        rules = (ClientRule(cpim_from=CpimFrom.ASSERTED, user_agent="oma1.0"),)
        lab = Lab(config=replace(CONFIG, client_rules=rules))
        assert self.copy_for(lab, UeBinding(), cpim()).raw_value(CORE, "From") == f"<{sip(ALICE, RED)}>"
        keep = Lab(config=replace(CONFIG, client_rules=(ClientRule(cpim_from=CpimFrom.KEEP),)))
        assert self.copy_for(keep, UeBinding(instance=""), cpim()).raw == cpim()

    def test_another_prefix_becomes_imdn_for_them(self) -> None:
        body = cpim().replace(b"imdn.", b"i7.").replace(b"NS: imdn ", b"NS: i7 ")
        copy = self.copy_for(Lab(), UeBinding(instance=""), body)
        assert b"\r\nimdn.Message-ID: " + M1.encode() in copy.raw
        assert copy.disposition_notification == ("positive-delivery", "display")
        assert copy.text == "Hello Bob"

    def test_a_deferred_copy_is_written_the_same_way(self) -> None:
        lab = Lab()
        lab.receive(message())
        lab.register(UeBinding(instance=""))
        copy = CpimMessage.parse(lab.take_one().request.body)
        assert copy.raw_value(CORE, "From") == f"<{sip(ALICE, RED)}>"

    def test_a_bare_receipt_is_wrapped_for_the_phone(self) -> None:
        lab = Lab()
        lab.register()
        imdn = Imdn(M1, "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED)
        lab.receive(message(imdn.encode(), content_type="message/imdn+xml"))
        copy = lab.take_one().request
        assert copy.text("Content-Type") == "message/cpim"
        assert Imdn.parse(CpimMessage.parse(copy.body).body) == imdn


def test_somebody_who_is_no_subscriber_is_404_and_a_blocked_sender_403() -> None:
    assert Lab(sh=Directory(BLUE, [CAROL])).status_of(message()) == 404
    lab = Lab(blocked={f"tel:{BOB}": frozenset({f"tel:{ALICE}"})})
    assert lab.status_of(message()) == 403


@given(st.binary(max_size=400))
def test_hostile_bodies_get_a_4xx_and_never_raise(body: bytes) -> None:
    lab = Lab()
    for content_type in ("message/cpim", "message/imdn+xml", "application/vnd.gsma.rcsrevoke+xml", "multipart/mixed"):
        for case in ("orig", "term"):
            people = {"sender": BOB, "recipient": ALICE} if case == "orig" else {}
            answer = lab.ask(message(body, content_type=content_type, case=case, **people))
            assert answer is None or answer.status in (400, 403, 404, 413, 415, 480, 202)


@given(
    st.binary(max_size=200), st.sampled_from(["message/imdn+xml", "application/vnd.gsma.rcsrevoke+xml", "multipart/x"])
)
def test_hostile_content_in_good_cpim_never_raises(content: bytes, inner_type: str) -> None:
    lab = Lab()
    lab.register(UeBinding(), TABLET_BINDING)
    body = cpim("", "h1", (), content_type=inner_type).replace(b"Content-Length: 0\r\n\r\n", b"\r\n") + content
    lab.receive(message(body))
    lab.receive(message(body, sender=BOB, recipient=ALICE, case="orig"))
    for sent in lab.take():
        lab.answer(sent, 480)
