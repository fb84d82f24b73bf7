from __future__ import annotations

import itertools

import pytest

from rcs_sim.client.chat_mode import ChatMode, ModeDecision
from rcs_sim.client.fallback import (
    LATCH,
    CacheEffect,
    Column,
    Decision,
    FallbackMechanism,
    FallbackReason,
    Latch,
    LatchEvent,
    Outcome,
    OwnRcs,
    RcsOutcome,
    Route,
    RouteContext,
    RouteDecision,
    Situation,
    Step,
    choose_route,
    decide,
    mechanism_of,
    next_latch,
)
from rcs_sim.devices.policy import Consent

_PAGER = ModeDecision(ChatMode.PAGER, "")


_EVERY_STEP = frozenset(Step)
_ALL_MODES = frozenset((ChatMode.PAGER, ChatMode.SESSION, ChatMode.LARGE))


def _situation(
    *,
    used: frozenset[Step] = frozenset(),
    modes: frozenset[ChatMode] = frozenset(),
    can_wait: bool = False,
    may_fall_back: bool = True,
    consent: Consent = Consent.AUTOMATIC,
    retry_after_s: float | None = None,
) -> Situation:
    return Situation(
        used=used,
        modes=modes,
        can_wait=can_wait,
        may_fall_back=may_fall_back,
        consent=consent,
        retry_after_s=retry_after_s,
    )


# digest §8.6, column "1:1 pager": outcome, first decision, decision when the retry is used up, cache
_COLUMN: list[tuple[Outcome, Step, Step, CacheEffect]] = [
    (200, Step.SENT, Step.SENT, CacheEffect.RCS),
    (202, Step.SENT, Step.SENT, CacheEffect.RCS),
    (302, Step.FOLLOW, Step.SMS, CacheEffect.KEEP),
    (305, Step.FOLLOW, Step.SMS, CacheEffect.KEEP),
    (400, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (401, Step.AUTHENTICATE, Step.SMS, CacheEffect.KEEP),
    (407, Step.AUTHENTICATE, Step.SMS, CacheEffect.KEEP),
    (403, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (404, Step.SMS, Step.SMS, CacheEffect.NOT_RCS),
    (604, Step.SMS, Step.SMS, CacheEffect.NOT_RCS),
    (405, Step.SMS, Step.SMS, CacheEffect.NOT_RCS),
    (501, Step.SMS, Step.SMS, CacheEffect.NOT_RCS),
    (408, Step.SMS, Step.SMS, CacheEffect.RCS_OFFLINE),
    (410, Step.FAIL, Step.FAIL, CacheEffect.KEEP),
    (413, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (513, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (415, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (488, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (606, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (420, Step.DROP_OPTION, Step.SMS, CacheEffect.KEEP),
    (421, Step.RENEW_SECURITY, Step.SMS, CacheEffect.KEEP),
    (494, Step.RENEW_SECURITY, Step.SMS, CacheEffect.KEEP),
    (430, Step.REGISTER, Step.SMS, CacheEffect.KEEP),
    (480, Step.SMS, Step.SMS, CacheEffect.RCS_OFFLINE),
    (482, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (483, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (486, Step.RETRY, Step.SMS, CacheEffect.RCS),
    (600, Step.RETRY, Step.SMS, CacheEffect.RCS),
    (487, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (491, Step.RETRY, Step.SMS, CacheEffect.KEEP),
    (500, Step.RETRY, Step.SMS, CacheEffect.KEEP),
    (502, Step.RETRY, Step.SMS, CacheEffect.KEEP),
    (503, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (504, Step.REGISTER, Step.SMS, CacheEffect.KEEP),
    (603, Step.DECLINED, Step.DECLINED, CacheEffect.RCS),
    (RcsOutcome.TIMED_OUT, Step.REGISTER, Step.SMS, CacheEffect.KEEP),
    (RcsOutcome.LINK_FAILED, Step.REGISTER, Step.SMS, CacheEffect.KEEP),
    (RcsOutcome.RECEIPT_FAILED, Step.SMS, Step.SMS, CacheEffect.KEEP),
    (RcsOutcome.INTERWORKED, Step.INTERWORKED, Step.INTERWORKED, CacheEffect.NOT_RCS),
    (RcsOutcome.REVOKED, Step.SMS, Step.SMS, CacheEffect.OFFLINE),
    (RcsOutcome.REVOKE_REFUSED, Step.KEEP_WAITING, Step.KEEP_WAITING, CacheEffect.KEEP),
]


@pytest.mark.parametrize(("outcome", "first", "then", "cache"), _COLUMN)
def test_the_pager_column_of_the_decision_table(outcome: Outcome, first: Step, then: Step, cache: CacheEffect) -> None:
    assert decide(outcome, _situation()).step is first
    assert decide(outcome, _situation(used=_EVERY_STEP)).step is then
    assert decide(outcome, _situation()).cache is cache


# digest §8.6 for INVITE, where a session differs: what is done in turn until it is an SMS
_INVITE_STEPS: list[tuple[Outcome, list[Step]]] = [
    *((status, [Step.FEWER_TYPES, Step.PAGER, Step.SMS]) for status in (415, 488, 606)),
    *((status, [Step.PAGER, Step.SMS]) for status in (486, 600)),
    (481, [Step.REINVITE, Step.SMS]),
    (401, [Step.SMS]),
    (413, [Step.SMS]),
    (404, [Step.SMS]),
    (408, [Step.SMS]),
    (480, [Step.SMS]),
    (500, [Step.RETRY, Step.SMS]),
    (RcsOutcome.NOT_ANSWERED, [Step.PAGER, Step.SMS]),
    (RcsOutcome.TIMED_OUT, [Step.REGISTER, Step.SMS]),
]
# the same for MSRP
_MSRP_STEPS: list[tuple[Outcome, list[Step]]] = [
    *((status, [Step.SMS]) for status in (400, 403, 413, 415, 501)),
    *((status, [Step.REINVITE, Step.SMS]) for status in (408, 481, 506)),
    (RcsOutcome.SESSION_LOST, [Step.REINVITE, Step.SMS]),
    (RcsOutcome.NOT_CONNECTED, [Step.REINVITE, Step.PAGER, Step.SMS]),
]


@pytest.mark.parametrize(
    ("column", "outcome", "steps"),
    [
        *((Column.INVITE, *row) for row in _INVITE_STEPS),
        *((Column.MSRP, *row) for row in _MSRP_STEPS),
    ],
)
def test_the_columns_of_message_sessions_in_turn(column: Column, outcome: Outcome, steps: list[Step]) -> None:
    used: frozenset[Step] = frozenset()
    for expected in steps:
        step = decide(outcome, _situation(used=used, modes=_ALL_MODES), column).step
        assert step is expected
        used |= {step}


def test_a_mode_that_cannot_carry_the_message_is_passed_over() -> None:
    session_only = frozenset((ChatMode.SESSION,))
    refused = _situation(used=frozenset((Step.FEWER_TYPES,)), modes=session_only)
    assert decide(488, refused, Column.INVITE).step is Step.SMS
    assert decide(413, _situation(modes=frozenset((ChatMode.PAGER, ChatMode.SESSION)))).step is Step.LARGER_MODE
    assert decide(413, _situation(modes=frozenset((ChatMode.PAGER,)))).step is Step.SMS


def test_who_declines_is_not_sent_an_sms() -> None:
    assert decide(603, _situation(modes=_ALL_MODES), Column.INVITE).step is Step.DECLINED


def test_a_fingerprint_mismatch_ends_it_without_any_fallback_s04() -> None:
    decision = decide(RcsOutcome.NOT_PROVEN, _situation(modes=_ALL_MODES), Column.MSRP)
    assert (decision.step, decision.reason) == (Step.FAIL, FallbackReason.NOT_PROVEN)


@pytest.mark.parametrize("column", list(Column))
def test_every_outcome_of_every_column_has_a_decision_with_a_reason(column: Column) -> None:
    for outcome in (*range(200, 700), *RcsOutcome):
        decision = decide(outcome, _situation(modes=_ALL_MODES), column)
        assert decision.reason is not FallbackReason.NONE or decision.step is Step.SENT


@pytest.mark.parametrize("outcome", [408, 480])
def test_an_unreachable_peer_is_waited_for_where_the_network_stores_and_the_message_can_be_revoked_l02(
    outcome: int,
) -> None:
    assert decide(outcome, _situation(can_wait=True)).step is Step.WAIT
    assert decide(outcome, _situation(can_wait=False)).step is Step.SMS


def test_a_short_retry_after_is_waited_for_and_a_long_one_holds_rcs() -> None:
    short = decide(503, _situation(retry_after_s=5))
    assert (short.step, short.pause_s, short.hold_rcs_s) == (Step.RETRY, (5, 5), 0)
    long = decide(503, _situation(retry_after_s=6))
    assert (long.step, long.hold_rcs_s) == (Step.SMS, 6)


def test_every_status_has_a_row_with_a_reason() -> None:
    for status in range(200, 700):
        decision = decide(status, _situation())
        assert isinstance(decision, Decision)
        assert decision.reason is not FallbackReason.NONE or decision.step is Step.SENT


@pytest.mark.parametrize(("consent", "step"), [(Consent.ASK, Step.ASK), (Consent.NEVER, Step.FAIL)])
def test_consent_decides_between_sms_and_the_user(consent: Consent, step: Step) -> None:
    assert decide(404, _situation(consent=consent)).step is step


def test_what_may_not_fall_back_fails() -> None:
    assert decide(404, _situation(may_fall_back=False)).step is Step.FAIL


@pytest.mark.parametrize(("latch", "event"), list(itertools.product(Latch, LatchEvent)))
def test_every_event_is_understood_by_every_latch(latch: Latch, event: LatchEvent) -> None:
    assert next_latch(latch, event) is LATCH[latch, event]


@pytest.mark.parametrize("latch", list(Latch))
def test_an_rcs_message_of_the_peer_unlatches_sms_l05(latch: Latch) -> None:
    assert next_latch(latch, LatchEvent.RCS_RECEIVED) is Latch.RCS


def test_after_a_revocation_sms_stays_until_the_peer_is_seen_online() -> None:
    latch = next_latch(Latch.RCS, LatchEvent.REVOKED_TO_SMS)
    assert latch.is_sms
    assert next_latch(latch, LatchEvent.ANSWERED_RCS_OFFLINE).is_sms
    assert next_latch(latch, LatchEvent.ANSWERED_RCS_ONLINE) is Latch.RCS
    assert next_latch(latch, LatchEvent.KNOWLEDGE_EXPIRED) is Latch.UNKNOWN


def test_an_sms_of_an_offline_peer_latches_until_the_next_capability_answer() -> None:
    latch = next_latch(Latch.RCS, LatchEvent.SMS_RECEIVED_WHILE_OFFLINE)
    assert latch.is_sms
    assert next_latch(latch, LatchEvent.ANSWERED_RCS_OFFLINE) is Latch.RCS


def test_404_latches_l01() -> None:
    assert next_latch(Latch.RCS, LatchEvent.ANSWERED_NOT_RCS).is_sms


def test_msgfallback_disables_client_revocation_l04() -> None:
    assert (
        mechanism_of(peer_interworks=True, peer_takes_revocations=True, revoke_timer_s=30) is FallbackMechanism.NETWORK
    )
    assert (
        mechanism_of(peer_interworks=False, peer_takes_revocations=True, revoke_timer_s=30) is FallbackMechanism.CLIENT
    )


def test_revocation_needs_the_tag_and_a_timer_and_no_group_m11() -> None:
    none = FallbackMechanism.NONE
    assert mechanism_of(peer_interworks=False, peer_takes_revocations=False, revoke_timer_s=30) is none
    assert mechanism_of(peer_interworks=False, peer_takes_revocations=True, revoke_timer_s=0) is none
    assert mechanism_of(peer_interworks=False, peer_takes_revocations=True, revoke_timer_s=30, is_group=True) is none


def _context(
    *,
    own: OwnRcs = OwnRcs.UP,
    latch: Latch = Latch.UNKNOWN,
    mode: ModeDecision = _PAGER,
    may_fall_back: bool = True,
    consent: Consent = Consent.AUTOMATIC,
    chosen_sms: bool | None = None,
    is_asking: bool = False,
    is_encrypted: bool = False,
    has_number: bool = True,
) -> RouteContext:
    return RouteContext(
        own=own,
        latch=latch,
        mode=mode,
        may_fall_back=may_fall_back,
        consent_when_down=consent,
        chosen_sms=chosen_sms,
        is_asking=is_asking,
        is_encrypted=is_encrypted,
        has_number=has_number,
    )


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (_context(), (Route.RCS, FallbackReason.NONE)),
        (_context(latch=Latch.RCS), (Route.RCS, FallbackReason.NONE)),
        (_context(latch=Latch.SMS), (Route.SMS, FallbackReason.PEER_NOT_RCS)),
        (_context(latch=Latch.SMS_UNTIL_ONLINE), (Route.SMS, FallbackReason.LATCHED_TO_SMS)),
        (_context(latch=Latch.SMS, chosen_sms=False), (Route.RCS, FallbackReason.NONE)),
        (_context(chosen_sms=True), (Route.SMS, FallbackReason.USER_CHOSE_SMS)),
        (_context(own=OwnRcs.DOWN), (Route.SMS, FallbackReason.OWN_RCS_DOWN)),
        (_context(own=OwnRcs.DOWN, consent=Consent.ASK), (Route.ASK, FallbackReason.OWN_RCS_DOWN)),
        (_context(own=OwnRcs.DOWN, consent=Consent.NEVER), (Route.REFUSE, FallbackReason.OWN_RCS_DOWN)),
        (_context(own=OwnRcs.JUST_BACK), (Route.SMS, FallbackReason.JUST_RECONNECTED)),
        (_context(own=OwnRcs.ON_HOLD), (Route.SMS, FallbackReason.RCS_ON_HOLD)),
        (_context(own=OwnRcs.RECONNECTING), (Route.HOLD, FallbackReason.RECONNECTING)),
        (_context(is_asking=True), (Route.HOLD, FallbackReason.ASKING_CAPABILITY)),
        (_context(mode=ModeDecision(ChatMode.SMS, "")), (Route.SMS, FallbackReason.NOT_PROVISIONED)),
        (_context(mode=ModeDecision(ChatMode.SESSION, "", "none")), (Route.REFUSE, FallbackReason.NEEDS_SESSION)),
        (_context(own=OwnRcs.DOWN, may_fall_back=False), (Route.REFUSE, FallbackReason.NOT_ELIGIBLE)),
        (_context(own=OwnRcs.DOWN, is_encrypted=True), (Route.REFUSE, FallbackReason.ENCRYPTED_ONLY)),
        (_context(chosen_sms=True, is_encrypted=True), (Route.REFUSE, FallbackReason.ENCRYPTED_ONLY)),
        (_context(latch=Latch.SMS, may_fall_back=False), (Route.REFUSE, FallbackReason.NOT_ELIGIBLE)),
        (_context(latch=Latch.SMS, may_fall_back=False, has_number=False), (Route.RCS, FallbackReason.NONE)),
        (_context(own=OwnRcs.JUST_BACK, may_fall_back=False, has_number=False), (Route.RCS, FallbackReason.NONE)),
        (_context(own=OwnRcs.DOWN, may_fall_back=False, has_number=False), (Route.REFUSE, FallbackReason.NOT_ELIGIBLE)),
    ],
)
def test_how_a_message_starts(context: RouteContext, expected: tuple[Route, FallbackReason]) -> None:
    assert choose_route(context) == RouteDecision(*expected)
