"""Digest §15.5, column "originating": checks in order, relay, answers; row 9 of the real clients; I, L and P rows."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import pytest

from ims_core.wire.sip.headers import AcceptContact
from ims_core.wire.sip.message import Request
from rcs_sim.wire.cpim import CpimMessage
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
    TABLET,
    Directory,
    Lab,
    UeBinding,
    cpim,
    gruu,
    imdn_cpim,
    message,
    sip,
    third_party_register,
)

DELIVERED = Imdn(M1, "2026-03-02T10:15:30.120Z", ImdnKind.DELIVERY, ImdnStatus.DELIVERED)
DISPLAYED = Imdn(M1, "2026-03-02T10:15:30.120Z", ImdnKind.DISPLAY, ImdnStatus.DISPLAYED)


def from_bob(body: bytes | None = None, **members: Any) -> Request:
    return message(body, sender=BOB, recipient=ALICE, case="orig", domain=BLUE, **members)


def status_of(lab: Lab, body: bytes | None = None, **members: Any) -> int | None:
    """Of the answer that is given at once; None if the message went on."""
    answer = lab.ask(from_bob(body, **members))
    return None if answer is None else answer.status


def test_a_message_goes_on_with_a_new_call_id_and_the_same_identities_ids_and_body() -> None:
    lab = Lab()
    body = cpim()
    exchange = lab.receive(from_bob(body, headers=(("Conversation-ID", C1), ("Contribution-ID", K1), ("X-New", "1"))))
    onward = lab.take_one().request
    assert lab.answers == {}
    assert onward.request_uri_text == f"tel:{ALICE}"
    assert onward.text("Route") == f"<sip:odi-7@scscf.{BLUE};lr>"
    assert len(onward.texts("Route")) == 1
    assert not onward.has("Via")
    assert not onward.has("P-Served-User")
    assert onward.call_id != "msg-21@192.0.2.11"
    assert onward.text("Max-Forwards") == "65"
    assert onward.text("P-Asserted-Identity") == f"<{sip(BOB, BLUE)}>, <tel:{BOB}>"
    assert onward.text("P-Asserted-Service") == f"{ICSI}.msg"
    assert (onward.text("Conversation-ID"), onward.text("Contribution-ID")) == (C1, K1)
    assert onward.text("X-New") == "1"
    assert onward.body == body
    assert exchange not in lab.answers


@pytest.mark.parametrize("status", [200, 202, 403, 404, 480, 486, 500, 603])
def test_the_final_answer_of_the_other_side_is_relayed(status: int) -> None:
    lab = Lab()
    exchange = lab.receive(from_bob())
    lab.answer(lab.take_one(), status, (("Warning", '399 x "y"'), ("Retry-After", "30")))
    answer = lab.answers[exchange]
    assert answer.status == status
    assert dict(answer.headers) == {"Warning": '399 x "y"', "Retry-After": "30"}


def test_no_answer_of_the_other_side_is_480_before_the_hop_before_gives_up() -> None:
    lab = Lab()
    exchange = lab.receive(from_bob())
    sent = lab.take_one()
    lab.advance(30.9)
    assert lab.answers == {}
    lab.advance(0.2)
    assert lab.answers[exchange].status == 480
    assert ("Reason", 'SIP;cause=408;text="Request Timeout"') in lab.answers[exchange].headers
    lab.finish(sent.errand, 408)  # the transaction ends later: nothing more is said


def test_a_client_that_sends_no_ids_gets_them_and_both_directions_share_the_conversation() -> None:
    lab = Lab()
    lab.receive(from_bob(headers=()))
    first = lab.take_one().request
    lab.receive(message(headers=()))
    lab.register()
    back = lab.take_one().request
    assert first.text("Conversation-ID") == back.text("Conversation-ID")
    assert first.text("Contribution-ID") != back.text("Contribution-ID")
    assert len(first.text("Contribution-ID") or "") == 36


class TestChecks:
    """403 service, 400 content, 413 size, 403 blocked, 503 rate: the first that fails answers."""

    huge_without_id = cpim("x" * 2000, message_id="")

    def test_a_service_that_the_profile_lacks_is_refused_403_before_all_else(self) -> None:
        lab = Lab(sh=Directory(BLUE, [BOB], frozenset({f"{ICSI}.session"})))
        answer = lab.ask(from_bob(self.huge_without_id))
        assert answer is not None
        assert answer.status == 403
        assert "399" in str(answer.headers[0])

    def test_the_service_is_read_from_accept_contact_where_nobody_asserted_one(self) -> None:
        lab = Lab(sh=Directory(BLUE, [BOB], frozenset({f"{ICSI}.session"})))
        assert status_of(lab, service=None) == 403

    def test_somebody_who_is_no_rcs_subscriber_is_refused_403(self) -> None:
        lab = Lab(sh=Directory(BLUE, [CAROL]))
        assert status_of(lab) == 403

    def test_no_message_id_is_400_before_the_size(self) -> None:
        assert status_of(Lab(), self.huge_without_id) == 400

    @pytest.mark.parametrize("body", [b"", b"not cpim", b"From: <sip:a@b>\r\n\r\n", b"\xff" * 50, cpim()[:60]])
    def test_a_body_that_is_not_cpim_is_400(self, body: bytes) -> None:
        assert status_of(Lab(), body) == 400

    def test_more_than_the_limit_is_413(self) -> None:
        room = 1300 - len(cpim("x" * 500)) + 500
        assert status_of(Lab(), cpim("x" * room)) is None
        assert status_of(Lab(), cpim("x" * (room + 1))) == 413

    def test_a_blocked_recipient_is_403_even_beyond_the_rate(self) -> None:
        lab = Lab(config=replace(CONFIG, rate_burst=0), blocked={f"tel:{BOB}": frozenset({f"tel:{ALICE}"})})
        assert status_of(lab) == 403

    def test_too_many_in_a_short_time_are_503_with_retry_after_until_time_has_passed(self) -> None:
        lab = Lab(config=replace(CONFIG, rate_per_s=1, rate_burst=2))
        assert [status_of(lab) for _ in range(3)] == [None, None, 503]
        assert any("Retry-After" in str(header) for header in next(iter(lab.answers.values())).headers)
        lab.now += 1.0
        assert status_of(lab) is None

    def test_another_content_type_is_415_and_says_what_is_accepted(self) -> None:
        answer = Lab().ask(from_bob(b"hi", content_type="text/plain"))
        assert answer is not None
        assert answer.status == 415
        assert ("Accept", "message/cpim, message/imdn+xml") in answer.headers

    def test_receipts_and_typing_have_no_size_limit_and_no_rate(self) -> None:
        lab = Lab(config=replace(CONFIG, rate_burst=0, pager_max_octets=10))
        assert status_of(lab, imdn_cpim(DELIVERED)) is None
        assert status_of(lab, cpim("<isComposing/>", "t1", (), content_type="application/im-iscomposing+xml")) is None
        assert len(lab.take()) == 2


def test_a_bare_receipt_is_wrapped_and_named_so_that_the_senders_side_can_use_it() -> None:
    lab = Lab()
    body, encoding = zlib.compress(DELIVERED.encode()), (("Content-Encoding", "deflate"),)
    plain = from_bob(body, content_type="message/imdn+xml", headers=encoding)
    lab.receive(plain.edit().remove("P-Asserted-Service", "Accept-Contact").done())
    onward = lab.take_one().request
    wrapped = CpimMessage.parse(onward.body)
    assert onward.text("Content-Type") == "message/cpim"
    assert not onward.has("Content-Encoding")
    assert onward.text("P-Asserted-Service") == f"{ICSI}.msg"
    assert onward.get(AcceptContact) is not None
    assert wrapped.content_type.essence == "message/imdn+xml"
    assert wrapped.message_id
    assert Imdn.parse(wrapped.body) == DELIVERED


class TestReceipts:
    """I rows and §5.1: what was received is not waiting any more, and the user's other devices learn it."""

    tablet = UeBinding(TABLET, host="192.0.2.13")

    def test_a_display_receipt_goes_to_the_users_other_devices_too(self) -> None:
        lab = Lab()
        lab.register(UeBinding(), self.tablet, by=UeBinding())
        lab.register(UeBinding(), self.tablet, by=self.tablet)
        request = from_bob(imdn_cpim(DISPLAYED))
        lab.receive(request.edit().pop("Via").push("Via", "SIP/2.0/TCP 127.0.2.12;branch=z9hG4bK-1").done())
        lab.sent.clear()
        from_phone = request.edit().remove("Via").push("Via", "SIP/2.0/TCP 192.0.2.12:5060;branch=z9hG4bK-1").done()
        lab.receive(from_phone)
        other, onward = lab.take()
        assert other.request.request_uri_text == gruu(TABLET)
        assert other.request.text("Route") == f"<sip:term@scscf.{BLUE};lr>"
        assert onward.request.request_uri_text == f"tel:{ALICE}"
        lab.answer(other, 480)
        assert lab.answers == {1: lab.answers[1], 2: lab.answers[2]}  # two REGISTERs: the courtesy copy changed nothing

    def test_a_delivery_receipt_goes_to_nobody_else(self) -> None:
        lab = Lab()
        lab.register(UeBinding(), self.tablet)
        lab.receive(from_bob(imdn_cpim(DELIVERED)))
        assert lab.take_one().request.request_uri_text == f"tel:{ALICE}"

    def test_a_receipt_for_a_message_whose_200_was_lost_ends_its_delivery(self) -> None:
        lab = Lab()
        lab.receive(message())
        lab.register()
        lab.take_one()
        lab.advance(20.0)  # no answer from the phone, but the message arrived there
        lab.receive(from_bob(imdn_cpim(DELIVERED)))
        lab.take_one()
        lab.advance(60.0)
        lab.register()
        assert lab.take() == []

    def test_a_receipt_of_one_device_leaves_the_copies_of_the_others(self) -> None:
        lab = Lab()
        lab.receive(message())
        lab.register()
        lab.answer(lab.take_one())
        lab.receive(from_bob(imdn_cpim(DELIVERED)))
        lab.take_one()
        lab.ask(third_party_register(UeBinding(), self.tablet, by=self.tablet))
        assert lab.take_one().request.request_uri_text == gruu(TABLET)

    @pytest.mark.parametrize("body", [b"<imdn>", b"\xff\xfe", b"<!DOCTYPE x [<!ENTITY a 'b'>]><imdn>&a;</imdn>", b""])
    def test_a_receipt_that_cannot_be_read_is_relayed_as_it_is(self, body: bytes) -> None:
        lab = Lab()
        lab.register(UeBinding(), self.tablet)
        lab.receive(message())
        lab.sent.clear()
        assert status_of(lab, cpim(body.decode("latin-1"), "r1", (), content_type="message/imdn+xml")) is None
        lab.take_one()


def test_options_go_on_with_their_contact_and_the_answer_comes_back_with_its_tags() -> None:
    lab = Lab()
    contact = '<sip:ue@192.0.2.12>;+g.oma.sip-im;+sip.instance="<urn:x>"'
    exchange = lab.receive(from_bob(b"", method="OPTIONS", headers=(("Contact", contact),)))
    sent = lab.take_one()
    assert sent.request.text("Contact") == contact
    assert sent.request.text("Route") == f"<sip:odi-7@scscf.{BLUE};lr>"
    lab.answer(sent, 200, (("Contact", "<sip:a@192.0.2.11>;+g.oma.sip-im"), ("Allow", "MESSAGE")))
    answer = lab.answers[exchange]
    assert answer.status == 200
    assert dict(answer.headers) == {"Allow": "MESSAGE", "Contact": "<sip:a@192.0.2.11>;+g.oma.sip-im"}
