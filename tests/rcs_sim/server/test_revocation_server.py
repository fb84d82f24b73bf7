"""Revocation (digest §5.4, §19.7): M09, and the races."""

from __future__ import annotations

import pytest

from ims_core.store.record_table import StoreError
from rcs_sim.server.messaging_actions import SendRequest
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.revocation import REVOCATION_CONTENT_TYPE, RevokeRequest, RevokeResponse, parse_revocation
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    C1,
    ICSI,
    K1,
    M1,
    TABLET,
    Lab,
    UeBinding,
    imdn_cpim,
    message,
    revoke_cpim,
)

SYSTEM = f"{ICSI}.systemmsg"


def revoke(lab: Lab, message_id: str = M1, sender: str = ALICE, own_id: str = "rv1") -> int | None:
    return lab.status_of(message(revoke_cpim(message_id, own_id), sender=sender, service=SYSTEM))


def result(sent: SendRequest) -> bool:
    """What a revoke response says."""
    document = parse_revocation(CpimMessage.parse(sent.request.body).body)
    assert isinstance(document, RevokeResponse)
    assert document.message_id == M1
    return document.is_revoked


def test_a_stored_message_is_removed_and_the_sender_told_success() -> None:
    lab = Lab()
    lab.receive(message())
    assert revoke(lab) == 200
    sent = lab.take_one()
    assert result(sent) is True
    request = sent.request
    assert request.request_uri_text == f"tel:{ALICE}"
    assert request.text("P-Asserted-Identity") == f"<tel:{BOB}>"
    assert request.text("P-Asserted-Service") == SYSTEM
    assert request.text("Route") == f"<sip:orig@scscf.{BLUE};lr>"
    assert (request.text("Conversation-ID"), request.text("Contribution-ID")) == (C1, K1)
    assert CpimMessage.parse(request.body).content_type.essence == REVOCATION_CONTENT_TYPE
    assert lab.stored_messages() == 0
    lab.register()
    assert lab.take() == []


def test_success_is_said_only_when_the_store_has_forgotten_it() -> None:
    lab = Lab()
    lab.receive(message())
    lab.holds_store = True
    revoke(lab)
    assert lab.take() == []
    lab.holds_store = False
    lab.register()
    assert lab.take() == []  # not handed out while it is being removed
    lab.release_store()
    assert result(lab.take_one()) is True


def test_a_message_that_the_store_cannot_forget_is_not_revoked_and_is_delivered() -> None:
    lab = Lab()
    lab.receive(message())
    lab.register(UeBinding(expires=3600))
    lab.deregister()
    lab.sent.clear()
    lab = lab.restarted()
    lab.store_error = StoreError("disk full")
    revoke(lab)
    assert result(lab.take_one()) is False
    lab.store_error = None
    lab.register()
    assert lab.take_one().request.body == message().body


def test_a_message_that_was_never_here_or_is_of_somebody_else_fails() -> None:
    lab = Lab()
    revoke(lab)
    assert result(lab.take_one()) is False
    lab.receive(message())
    revoke(lab, sender="+12025550103", own_id="rv2")
    assert result(lab.take_one()) is False
    assert lab.stored_messages() == 1


def test_a_delivered_message_fails() -> None:
    lab = Lab()
    lab.register()
    lab.receive(message())
    lab.answer(lab.take_one())
    revoke(lab)
    assert result(lab.take_one()) is False


def test_a_message_that_one_of_two_devices_has_fails() -> None:
    lab = Lab()
    tablet = UeBinding(TABLET, host="192.0.2.13")
    lab.register(UeBinding(), tablet)
    lab.receive(message())
    first, second = lab.take()
    lab.answer(first)
    lab.answer(second, 480)
    revoke(lab)
    assert result(lab.take_one()) is False
    assert lab.stored_messages() == 1


class TestRaces:
    """19.7: "in flight" is decided by the answer to the transaction."""

    def in_flight(self) -> tuple[Lab, SendRequest]:
        lab = Lab()
        lab.receive(message())
        lab.register()
        delivery = lab.take_one()
        assert revoke(lab) == 200
        assert lab.take() == []
        return lab, delivery

    def test_taken_meanwhile_is_failure(self) -> None:
        lab, delivery = self.in_flight()
        lab.answer(delivery)
        assert result(lab.take_one()) is False

    @pytest.mark.parametrize("status", [480, 408, 500])
    def test_not_taken_is_success(self, status: int) -> None:
        lab, delivery = self.in_flight()
        lab.answer(delivery, status)
        assert result(lab.take_one()) is True
        assert lab.stored_messages() == 0

    @pytest.mark.parametrize(("status", "is_revoked"), [(408, True), (200, False)])
    def test_the_end_of_the_transaction_decides_even_after_the_deadline_of_the_delivery(
        self, status: int, is_revoked: bool
    ) -> None:
        lab, delivery = self.in_flight()
        lab.advance(20)
        assert lab.take() == []
        lab.finish(delivery.errand, status)
        assert result(lab.take_one()) is is_revoked

    @pytest.mark.parametrize(("status", "is_revoked"), [(408, True), (200, False)])
    def test_the_same_for_the_live_fork(self, status: int, is_revoked: bool) -> None:
        lab = Lab()
        lab.register()
        lab.receive(message())
        copy = lab.take_one()
        lab.advance(21)
        revoke(lab)
        assert lab.take() == []
        lab.finish(copy.errand, status)
        assert result(lab.take_one()) is is_revoked

    def test_a_delivery_receipt_settles_it(self) -> None:
        lab, _ = self.in_flight()
        receipt = imdn_cpim(Imdn(M1, "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED))
        lab.receive(message(receipt, sender=BOB, recipient=ALICE, case="orig"))
        answer = next(sent for sent in lab.take() if sent.request.text("P-Asserted-Service") == SYSTEM)
        assert result(answer) is False

    def test_the_live_fork_is_waited_for_too(self) -> None:
        lab = Lab()
        lab.register()
        exchange = lab.receive(message())
        copy = lab.take_one()
        revoke(lab)
        assert lab.take() == []
        lab.answer(copy, 480)
        assert lab.answers[exchange].status == 202
        assert result(lab.take_one()) is True
        assert lab.stored_messages() == 0

    def test_the_live_fork_that_succeeds_is_failure(self) -> None:
        lab = Lab()
        lab.register()
        lab.receive(message())
        copy = lab.take_one()
        revoke(lab)
        lab.answer(copy)
        assert result(lab.take_one()) is False


def test_a_repeated_revocation_gets_the_same_answer() -> None:
    lab = Lab()
    lab.receive(message())
    for own_id in ("rv1", "rv2"):
        revoke(lab, own_id=own_id)
        assert result(lab.take_one()) is True


def test_a_bare_revoke_request_is_taken_too_and_never_reaches_the_device() -> None:
    lab = Lab()
    lab.register()
    lab.deregister()
    lab.receive(message())
    lab.register()
    lab.answer(lab.take_one(), 480)
    bare = message(RevokeRequest(M1).encode(), content_type=REVOCATION_CONTENT_TYPE, service=SYSTEM)
    assert lab.status_of(bare) == 200
    assert result(lab.take_one()) is True


def test_a_revocation_that_cannot_be_read_is_400() -> None:
    bad = message(b"<x/>", content_type=REVOCATION_CONTENT_TYPE)
    assert Lab().status_of(bad) == 400


def test_a_revoke_response_goes_on_to_the_device_and_waits_for_one_that_is_away() -> None:
    body = RevokeResponse(M1, True).encode()
    lab = Lab()
    response = message(body, content_type=REVOCATION_CONTENT_TYPE, service=SYSTEM)
    assert lab.status_of(response) == 202
    lab.register()
    assert parse_revocation(CpimMessage.parse(lab.take_one().request.body).body) == RevokeResponse(M1, True)
