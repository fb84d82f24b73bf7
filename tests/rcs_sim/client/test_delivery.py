from __future__ import annotations

import pytest

from rcs_sim.client.delivery import Delivery, DeliveryRules, Do, Waiting
from rcs_sim.client.fallback import Column, FallbackReason, RcsOutcome, Route, RouteDecision
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.devices.policy import Consent

_RCS = RouteDecision(Route.RCS, FallbackReason.NONE)
_BY_SMS = RouteDecision(Route.SMS, FallbackReason.PEER_NOT_RCS)


def _delivery(
    *,
    consent: Consent = Consent.AUTOMATIC,
    waits: bool = True,
    timer: float = 30,
    stores: bool = True,
    may_fall_back: bool = True,
) -> Delivery:
    rules = DeliveryRules(
        revoke_timer_s=timer,
        reconnect_guard_s=10,
        capability_wait_s=4,
        waits_for_revoke_answer=waits,
        relies_on_store=stores,
        consent=consent,
    )
    return Delivery(rules, lambda low, high: (low + high) / 2, 0, may_fall_back=may_fall_back)


def _sent(delivery: Delivery, *, can_revoke: bool = True) -> Delivery:
    assert delivery.start(_RCS, 0) == [Do.SEND_RCS]
    assert delivery.rcs_outcome(202, 1, can_revoke=can_revoke) == []
    assert delivery.state is MessageState.SENT
    return delivery


def test_the_usual_life_of_a_message() -> None:
    delivery = _sent(_delivery())
    assert delivery.next_deadline() == 31
    delivery.delivered(2)
    assert delivery.next_deadline() is None
    delivery.displayed(3)
    assert [change.state.value for change in delivery.history] == [
        "queued",
        "sending",
        "sent",
        "delivered",
        "displayed",
    ]


def test_404_sends_sms_and_says_why_l01() -> None:
    delivery = _delivery()
    delivery.start(_RCS, 0)
    assert delivery.rcs_outcome(404, 1, can_revoke=True) == [Do.SEND_SMS]
    assert delivery.reason is FallbackReason.PEER_NOT_RCS
    delivery.sms_accepted(2)
    assert delivery.state is MessageState.SENT_AS_SMS
    assert delivery.transport is MessageTransport.SMS
    delivery.delivered(3)
    assert delivery.state is MessageState.DELIVERED


@pytest.mark.parametrize("status", [408, 480])
def test_unreachable_without_a_store_sends_sms_at_once_l02(status: int) -> None:
    delivery = _delivery(stores=False)
    delivery.start(_RCS, 0)
    assert delivery.rcs_outcome(status, 1, can_revoke=True) == [Do.SEND_SMS]


def test_no_receipt_in_time_revokes_then_sends_one_sms_l03() -> None:
    delivery = _sent(_delivery())
    assert delivery.handle_deadline(30.9) == []
    assert delivery.handle_deadline(31) == [Do.SEND_REVOKE]
    assert delivery.state is MessageState.REVOKING
    assert delivery.revoke_answered(True, 32) == [Do.SEND_SMS]
    assert delivery.state is MessageState.REVOKED
    assert delivery.revoke_answered(True, 33) == []
    delivery.sms_accepted(34)
    assert delivery.state is MessageState.SENT_AS_SMS
    assert delivery.next_deadline() is None


def test_a_refused_revocation_keeps_waiting_without_sms() -> None:
    delivery = _sent(_delivery())
    delivery.handle_deadline(31)
    assert delivery.revoke_answered(False, 32) == []
    assert delivery.state is MessageState.SENT
    assert delivery.next_deadline() is None
    delivery.delivered(40)
    assert delivery.state is MessageState.DELIVERED


def test_an_unanswered_revocation_is_tried_once_more_after_the_next_registration() -> None:
    delivery = _sent(_delivery())
    delivery.handle_deadline(31)
    assert delivery.handle_deadline(61) == []
    assert delivery.state is MessageState.SENT
    assert delivery.registered(100) == [Do.SEND_REVOKE]
    assert delivery.handle_deadline(130) == []
    assert delivery.registered(200) == []


def test_with_cfs_trigger_0_the_sms_does_not_wait_for_the_answer() -> None:
    delivery = _sent(_delivery(waits=False))
    assert delivery.handle_deadline(31) == [Do.SEND_REVOKE, Do.SEND_SMS]
    delivery.sms_accepted(32)
    assert delivery.revoke_answered(True, 33) == []
    assert delivery.state is MessageState.SENT_AS_SMS


def test_a_receipt_cancels_the_revocation() -> None:
    delivery = _sent(_delivery())
    delivery.handle_deadline(31)
    delivery.delivered(31.5)
    assert delivery.revoke_answered(False, 32) == []
    assert delivery.state is MessageState.DELIVERED


def test_without_revocation_no_timer_runs_m11() -> None:
    assert _sent(_delivery(), can_revoke=False).next_deadline() is None


def test_the_timer_is_held_while_the_own_link_is_down_and_starts_anew() -> None:
    delivery = _sent(_delivery())
    delivery.link_lost()
    assert delivery.next_deadline() is None
    delivery.registered(100)
    assert delivery.next_deadline() == 130


def test_the_wait_for_encryption_stands_still_while_the_own_link_is_down_and_starts_anew() -> None:
    delivery = _delivery()
    held = RouteDecision(Route.HOLD, FallbackReason.ENCRYPTION_BUSY)
    assert delivery.start(held, 0) == []
    assert delivery.next_deadline() == 100
    delivery.link_lost()
    assert delivery.next_deadline() is None
    assert delivery.registered(4000) == [Do.ROUTE_AGAIN]
    assert delivery.start(held, 4000) == []
    assert delivery.next_deadline() == 4100
    assert not delivery.has_waited_enough


def test_the_user_is_asked_where_the_policy_says_so() -> None:
    delivery = _delivery(consent=Consent.ASK)
    delivery.start(_RCS, 0)
    assert delivery.rcs_outcome(404, 1, can_revoke=False) == [Do.ASK_USER]
    assert delivery.state is MessageState.FAILED
    assert delivery.may_be_sent_as_sms
    assert delivery.consent(5) == [Do.SEND_SMS]
    assert delivery.consent(6) == []
    delivery.sms_accepted(7)
    assert delivery.state is MessageState.SENT_AS_SMS


def test_what_may_not_fall_back_fails_l06_l13() -> None:
    delivery = _delivery(may_fall_back=False)
    delivery.start(_RCS, 0)
    assert delivery.rcs_outcome(404, 1, can_revoke=False) == []
    assert delivery.state is MessageState.FAILED
    assert not delivery.may_be_sent_as_sms


def test_the_user_may_send_what_failed_once_more_and_it_has_all_its_retries_again() -> None:
    delivery = _delivery(may_fall_back=False)
    delivery.start(_RCS, 0)
    assert delivery.try_again() == []  # it has not failed
    delivery.rcs_outcome(500, 1, can_revoke=False)
    assert delivery.handle_deadline(3) == [Do.RESEND_RCS]
    delivery.rcs_outcome(500, 4, can_revoke=False)
    assert delivery.state is MessageState.FAILED
    assert delivery.try_again() == [Do.ROUTE_AGAIN]
    assert delivery.start(_RCS, 10) == [Do.SEND_RCS]
    assert delivery.rcs_outcome(500, 11, can_revoke=False) == []
    assert delivery.handle_deadline(13) == [Do.RESEND_RCS]
    assert delivery.rcs_outcome(202, 14, can_revoke=False) == []
    assert delivery.state is MessageState.SENT


def test_requests_that_cross_are_tried_again_four_times_and_do_not_use_up_the_try_after_a_failure() -> None:
    delivery = _delivery(may_fall_back=False)
    delivery.start(_RCS, 0)
    now = 1.0
    for _ in range(3):
        assert delivery.rcs_outcome(491, now, can_revoke=False, column=Column.INVITE) == []
        now += 4
        assert delivery.handle_deadline(now) == [Do.RESEND_RCS]
    assert delivery.rcs_outcome(500, now, can_revoke=False) == []
    assert delivery.handle_deadline(now + 4) == [Do.RESEND_RCS]
    delivery.rcs_outcome(491, now + 5, can_revoke=False, column=Column.INVITE)
    assert delivery.state is MessageState.FAILED


def test_what_goes_as_sms_by_its_users_consent_is_not_sent_again_beside_it() -> None:
    delivery = _delivery(consent=Consent.ASK)
    delivery.start(_RCS, 0)
    delivery.rcs_outcome(404, 1, can_revoke=False)
    assert delivery.consent(5) == [Do.SEND_SMS]
    assert delivery.try_again() == []


def test_a_server_error_is_retried_once_after_a_pause_then_sms() -> None:
    delivery = _delivery()
    delivery.start(_RCS, 0)
    assert delivery.rcs_outcome(500, 1, can_revoke=False) == []
    assert delivery.next_deadline() == 3
    assert delivery.handle_deadline(3) == [Do.RESEND_RCS]
    assert delivery.rcs_outcome(500, 4, can_revoke=False) == [Do.SEND_SMS]


def test_no_answer_registers_anew_and_retries_once_if_back_in_time() -> None:
    delivery = _delivery()
    delivery.start(_RCS, 0)
    assert delivery.rcs_outcome(RcsOutcome.TIMED_OUT, 128, can_revoke=False) == [Do.REGISTER]
    assert delivery.registered(130) == [Do.RESEND_RCS]
    assert delivery.rcs_outcome(RcsOutcome.TIMED_OUT, 258, can_revoke=False) == [Do.SEND_SMS]


def test_no_registration_within_the_guard_means_sms() -> None:
    delivery = _delivery()
    delivery.start(_RCS, 0)
    delivery.rcs_outcome(RcsOutcome.LINK_FAILED, 1, can_revoke=False)
    assert delivery.handle_deadline(11) == [Do.SEND_SMS]
    assert delivery.registered(12) == []


def test_480_with_a_store_waits_revokes_and_sends_once_more_when_nobody_has_it() -> None:
    delivery = _delivery()
    delivery.start(_RCS, 0)
    assert delivery.rcs_outcome(480, 1, can_revoke=True) == []
    assert delivery.handle_deadline(31) == [Do.SEND_REVOKE]
    assert delivery.revoke_answered(False, 32) == [Do.SEND_RCS]
    assert delivery.rcs_outcome(480, 33, can_revoke=True) == [Do.SEND_SMS]


def test_a_receipt_that_overtakes_the_200_counts() -> None:
    delivery = _delivery()
    delivery.start(_RCS, 0)
    delivery.delivered(1)
    assert delivery.rcs_outcome(408, 2, can_revoke=False) == []
    assert delivery.state is MessageState.DELIVERED


def test_failed_receipts_fall_back_once_i07() -> None:
    delivery = _sent(_delivery())
    assert delivery.receipt_failed(5) == [Do.SEND_SMS]
    assert delivery.receipt_failed(6) == []
    delivery.sms_failed(7)
    assert delivery.state is MessageState.FAILED
    assert delivery.reason is FallbackReason.SMS_REFUSED


def test_an_interworking_receipt_marks_it_sent_as_sms_i12() -> None:
    delivery = _sent(_delivery())
    assert delivery.interworked(5) == []
    assert delivery.state is MessageState.INTERWORKED
    assert delivery.transport is MessageTransport.SMS
    assert delivery.next_deadline() is None


def test_an_sms_of_the_network_that_came_to_nothing_is_a_failure_that_its_sender_sees_i12() -> None:
    """Random life `months` 20034: the service centre gave the SMS up after a day, and the network said so."""
    delivery = _sent(_delivery())
    delivery.interworked(5)
    assert delivery.receipt_failed(86_400) == []
    assert (delivery.state, delivery.reason) == (MessageState.FAILED, FallbackReason.SMS_REFUSED)
    delivery.delivered(86_500)
    assert delivery.receipt_failed(86_600) == []
    assert delivery.state is MessageState.DELIVERED


def test_held_for_the_capability_it_is_routed_again_by_answer_or_deadline() -> None:
    delivery = _delivery()
    hold = RouteDecision(Route.HOLD, FallbackReason.ASKING_CAPABILITY)
    assert delivery.start(hold, 0) == []
    assert delivery.waiting is Waiting.CAPABILITY
    assert delivery.state is MessageState.QUEUED
    assert delivery.capability_known() == [Do.ROUTE_AGAIN]
    assert delivery.start(hold, 1) == []
    assert delivery.handle_deadline(5) == [Do.ROUTE_AGAIN]


def test_held_while_reconnecting_it_is_routed_again_by_registration() -> None:
    delivery = _delivery()
    assert delivery.start(RouteDecision(Route.HOLD, FallbackReason.RECONNECTING), 0) == []
    assert delivery.next_deadline() == 10
    assert delivery.registered(5) == [Do.ROUTE_AGAIN]


def test_an_sms_from_the_start_is_sent_and_delivered_as_such() -> None:
    delivery = _delivery()
    assert delivery.start(_BY_SMS, 0) == [Do.SEND_SMS]
    delivery.sms_accepted(1)
    assert delivery.state is MessageState.SENT
    delivery.delivered(2)
    assert delivery.state is MessageState.DELIVERED


def test_a_text_that_needs_a_session_is_refused_with_its_reason() -> None:
    delivery = _delivery()
    assert delivery.start(RouteDecision(Route.REFUSE, FallbackReason.NEEDS_SESSION), 0) == []
    assert delivery.state is MessageState.FAILED
    assert delivery.reason is FallbackReason.NEEDS_SESSION


def test_a_declined_message_is_shown_as_such_and_never_sent_as_sms() -> None:
    delivery = _delivery()
    delivery.start(_RCS, 0)
    assert delivery.rcs_outcome(603, 1, can_revoke=True) == []
    assert delivery.reason is FallbackReason.DECLINED
    assert delivery.state is MessageState.FAILED


def test_an_answer_to_a_revocation_counts_even_if_it_is_late() -> None:
    delivery = _sent(_delivery())
    assert delivery.handle_deadline(31) == [Do.SEND_REVOKE]
    assert delivery.handle_deadline(61) == []
    assert delivery.state is MessageState.SENT
    assert delivery.revoke_answered(True, 4000) == [Do.SEND_SMS]
    assert delivery.revoke_answered(True, 4001) == []
    delivery.sms_accepted(4002)
    assert delivery.state is MessageState.SENT_AS_SMS


def test_a_late_answer_to_a_revocation_means_nothing_once_the_message_was_delivered() -> None:
    delivery = _sent(_delivery())
    delivery.handle_deadline(31)
    delivery.handle_deadline(61)
    delivery.delivered(70)
    assert delivery.revoke_answered(True, 4000) == []
    assert delivery.state is MessageState.DELIVERED


def test_an_answer_to_a_revocation_that_nobody_asked_for_means_nothing() -> None:
    delivery = _sent(_delivery())
    assert delivery.revoke_answered(True, 5) == []
    assert delivery.state is MessageState.SENT
