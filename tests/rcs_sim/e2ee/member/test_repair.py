"""Repair from the first unreadable message to the last resort (RCC.16 §10)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.client_message import AdvanceKind
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.control_outcome import Advanced, ControlRefusal
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.member.health import HealthState
from rcs_sim.e2ee.member.message_exchange import Parked
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.repair import Repair, RepairStep
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.e2ee.member.self_heal import Deployment
from rcs_sim.mls.codec import TlsDecodeError
from tests.support.member_devices import (
    ALICE,
    BOB,
    NOW_S,
    PROFILES,
    MemberDevice,
    Talk,
    enrol,
    established,
    exchanged,
    make_member,
)

_GOOGLE = Deployment(arbitrates_era=True, requires_convergence=True, has_group_info=True)
_STRICT = Deployment(arbitrates_era=True, has_group_info=True, takes_member_external_commit=True)
_REASON = ClientFailureReason.FAILED_TO_DECRYPT


def _behind(commits: int = 3) -> tuple[Talk, MemberDevice, MemberDevice]:
    """Bob has missed so many commits of Alice."""
    talk = established(make_member(ALICE), make_member(BOB, PROFILES["ios"]()))
    alice, bob = talk.devices
    for _ in range(commits):
        talk.answer(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
    return talk, alice, bob


def test_missed_commits_are_replayed_page_by_page() -> None:
    talk, alice, bob = _behind(5)
    waiting = alice.seal("hello")
    assert isinstance(bob.open(waiting, ALICE), Parked)
    repair = Repair(bob.conversation, _STRICT)
    assert repair.on_unreadable("m1", ALICE, _REASON, NOW_S) == (RepairStep.PULL,)
    assert repair.on_unreadable("m2", ALICE, _REASON, NOW_S) == ()  # one repair for a burst
    steps: tuple[RepairStep, ...] = (RepairStep.PULL,)
    pages = 0
    while steps == (RepairStep.PULL,):
        answer = MlsEnhancedGroupInfo.decode(talk.focus.enhanced(bob.conversation.identifier, page=2).encode())
        assert repair.on_pull(answer, NOW_S) == (RepairStep.REPLAY,)
        assert repair.due_reports() == []
        replayed = repair.replay(answer, NOW_S)
        assert all(isinstance(each, Advanced) for each in replayed.outcomes)
        steps, pages = replayed.steps, pages + 1
    assert (steps, pages) == ((RepairStep.HEALED,), 3)
    assert bob.conversation.control.course.state is HealthState.HEALTHY
    ((_, opened),) = bob.conversation.drain(NOW_S)
    assert isinstance(opened, Opened)
    repair.reports.resolve("m1")
    assert [each.message_id for each in repair.due_reports()] == ["m2"]
    assert exchanged(talk)


def test_the_first_failure_of_a_page_ends_the_attempt() -> None:
    talk, _, bob = _behind(3)
    repair = Repair(bob.conversation, _STRICT)
    repair.request(NOW_S)
    answer = talk.focus.enhanced(bob.conversation.identifier)
    broken = replace(answer.control_messages[1], message_id="another id")
    answer = replace(answer, control_messages=(answer.control_messages[0], broken, answer.control_messages[2]))
    assert repair.on_pull(answer, NOW_S) == (RepairStep.REPLAY,)
    replayed = repair.replay(answer, NOW_S)
    assert [type(each) for each in replayed.outcomes] == [Advanced, ControlRefusal]
    assert replayed.steps == (RepairStep.GIVE_UP,)
    assert bob.conversation.control.course.state is HealthState.SELF_HEAL_FAILED
    assert bob.conversation.state is ConversationState.ENCRYPTED


def test_without_a_log_a_member_comes_in_from_outside_where_that_is_taken() -> None:
    talk, _alice, bob = _behind()
    repair = Repair(bob.conversation, _STRICT)
    repair.request(NOW_S)
    answer = replace(talk.focus.enhanced(bob.conversation.identifier), control_messages=(), paginated=None)
    assert repair.on_pull(answer, NOW_S) == (RepairStep.EXTERNAL_COMMIT,)
    assert answer.group_info is not None
    operation = bob.conversation.control.external_commit(answer.group_info, talk.control_id(), NOW_S)
    talk.request(bob, operation)
    assert repair.on_answer(is_accepted=True, now_s=NOW_S) == (RepairStep.HEALED,)
    assert exchanged(talk)


def test_a_refused_external_commit_ends_in_a_new_era_of_the_elected_member() -> None:
    talk = established(make_member(ALICE), make_member(BOB, PROFILES["ios"]()))
    alice, bob = talk.devices
    talk.answer(bob, bob.conversation.control.rekey(talk.control_id(), NOW_S))
    repair = Repair(alice.conversation, _STRICT)
    repair.request(NOW_S)
    answer = replace(talk.focus.enhanced(alice.conversation.identifier), control_messages=(), paginated=None)
    assert repair.on_pull(answer, NOW_S) == (RepairStep.EXTERNAL_COMMIT,)
    assert repair.on_answer(is_accepted=False, now_s=NOW_S) == (RepairStep.NEW_ERA,)
    assert talk.focus.state is not None
    operation = alice.conversation.control.new_era(
        [bob.claim()],
        AdvanceKind.NORMAL,
        talk.control_id(),
        NOW_S,
        server=talk.focus.state,
        carried=answer.group_info,
    )
    talk.request(alice, operation)
    assert repair.on_answer(is_accepted=True, now_s=NOW_S) == (RepairStep.HEALED,)
    assert exchanged(talk)


def test_who_is_not_elected_waits_and_is_well_again_by_the_other_s_welcome() -> None:
    talk, alice, bob = _behind()
    repair = Repair(bob.conversation, _GOOGLE)
    repair.request(NOW_S)
    answer = replace(talk.focus.enhanced(bob.conversation.identifier), control_messages=(), paginated=None)
    assert repair.on_pull(answer, NOW_S) == (RepairStep.WAIT,)
    assert not bob.conversation.control.course.state.parks_inbound
    operation = alice.conversation.control.new_era(
        [bob.claim()], AdvanceKind.NORMAL, talk.control_id(), NOW_S, server=talk.focus.state, carried=talk.focus.info
    )
    talk.request(alice, operation)
    assert repair.on_remote(NOW_S) == (RepairStep.PULL,)
    assert repair.on_pull(talk.focus.enhanced(bob.conversation.identifier), NOW_S) == (RepairStep.HEALED,)
    assert exchanged(talk)


def test_eras_are_advanced_within_the_budget_only() -> None:
    talk = established(make_member(ALICE), make_member(BOB))
    alice = talk.devices[0]
    repair = Repair(alice.conversation, _GOOGLE)
    server = replace(talk.focus.enhanced(None), latest=replace(talk.focus.state, epoch_id=9))  # type: ignore[type-var]  # there is a state
    seen = list[RepairStep]()
    for attempt in range(4):
        now_s = NOW_S + 30 * attempt
        assert repair.request(now_s) == (RepairStep.PULL,)
        seen += repair.on_pull(server, now_s)
        repair.on_answer(is_accepted=False, now_s=now_s) if repair.heal.is_running else None
    assert seen[:2] == [RepairStep.NEW_ERA, RepairStep.NEW_ERA]
    assert RepairStep.NEW_ERA not in seen[2:]


def test_three_attempts_that_came_to_nothing_rebuild_the_group() -> None:
    talk, _, bob = _behind()
    repair = Repair(bob.conversation, _STRICT)
    last: tuple[RepairStep, ...] = ()
    for attempt in range(3):
        now_s = NOW_S + 300 * attempt
        assert repair.request(now_s) == (RepairStep.PULL,)
        assert repair.on_pull(None, now_s) == (RepairStep.WAIT,)
        assert repair.handle_deadline(now_s + 199) == ()
        last = repair.handle_deadline(now_s + 200)
    assert last == (RepairStep.GIVE_UP, RepairStep.REBUILD)
    assert talk.focus.state is not None


def test_five_attempts_a_day_and_no_more() -> None:
    _, _, bob = _behind()
    repair = Repair(bob.conversation, _STRICT)
    begun = 0
    for attempt in range(8):
        now_s = NOW_S + 1000 * attempt
        if repair.request(now_s) == (RepairStep.PULL,):
            begun += 1
            repair.on_pull(None, now_s)
            repair.handle_deadline(now_s + 200)
    assert begun == 5
    assert repair.request(NOW_S + 86_400 + 1) == (RepairStep.PULL,)


def test_an_ended_server_is_adopted_and_an_ended_conversation_never_healed() -> None:
    talk, alice, bob = _behind(1)
    talk.answer(alice, alice.conversation.control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S))
    repair = Repair(bob.conversation, _STRICT)
    repair.request(NOW_S)
    answer = talk.focus.enhanced(bob.conversation.identifier)
    assert repair.on_pull(answer, NOW_S) == (RepairStep.ADOPT_END_MLS,)
    bob.conversation.control.adopt_end_mls(NOW_S)
    assert bob.conversation.state is ConversationState.DOWNGRADED
    assert repair.request(NOW_S) == ()


def test_nothing_is_repaired_while_a_request_of_ours_waits_or_without_a_group() -> None:
    talk, alice, _ = _behind(0)
    alice.conversation.control.rekey(talk.control_id(), NOW_S)
    assert Repair(alice.conversation, _STRICT).request(NOW_S) == ()
    assert Repair(make_member(ALICE).conversation, _STRICT).request(NOW_S) == ()


def test_reasons_of_the_focus_have_their_remedies() -> None:
    _, alice, _ = _behind(0)

    def steps(token: str, now_s: int = NOW_S) -> tuple[RepairStep, ...]:
        return Repair(alice.conversation, _STRICT).on_server_reason(token, now_s)

    assert steps("incorrect-epoch") == (RepairStep.PULL,)
    alice.conversation.control.course.settled(NOW_S, alice.conversation.group.moment, has_ended=False)  # type: ignore[union-attr]  # there is one
    assert steps("pending-proposal") == (RepairStep.COMMIT_PROPOSALS,)
    assert steps("transient-error") == (RepairStep.RETRY_SAME_OCTETS,)
    assert steps("epoch-advancement-quota-reached") == (RepairStep.NEW_ERA,)
    assert steps("era-advancement-quota-reached") == (RepairStep.END_MLS,)
    assert steps("mls-group-has-end-mls") == (RepairStep.PULL,)  # it is for the GroupInfo to show it
    assert steps("mls-group-not-found") == (RepairStep.GIVE_UP,)
    assert steps("unparsable-commit") == steps("invalid-input") == steps("of tomorrow") == ()
    assert steps("expired-credential") == (RepairStep.REPORT_PEER,)
    assert steps("expired-credential", NOW_S + 60 * 86_400) == (RepairStep.RENEW_CERTIFICATE,)
    renewed = enrol(ALICE, 1, alice.setting.profile, NOW_S + 60)
    alice.conversation.control.renew(alice.setting.with_identity(renewed))
    assert steps("expired-credential") == (RepairStep.SELF_UPDATE,)


def test_reports_of_a_peer_are_answered_and_outcomes_are_not() -> None:
    _, alice, _ = _behind(0)

    def steps(token: str | None) -> tuple[RepairStep, ...]:
        return Repair(alice.conversation, _STRICT).on_peer_report(BOB, "m1", token, NOW_S)

    assert steps(None) == (RepairStep.RESEND,)
    assert steps("a reason of tomorrow") == ()
    assert steps("commit-processed-in-self-heal") == ()
    assert steps("commit-in-privatemessage") == (RepairStep.RESEND_AS_PUBLIC_MESSAGE,)
    assert steps("failed-to-decrypt") == (RepairStep.PULL, RepairStep.RESEND)
    stranger = Repair(alice.conversation, _STRICT).on_peer_report("12025550109", "m1", None, NOW_S)
    assert stranger == ()


def test_a_peer_that_cannot_read_gets_two_resends_an_hour() -> None:
    _, alice, _ = _behind(0)
    repair = Repair(alice.conversation, _STRICT)
    steps = [repair.on_peer_report(BOB, f"m{n}", None, NOW_S + n) for n in range(3)]
    assert steps == [(RepairStep.RESEND,), (RepairStep.RESEND,), (RepairStep.FAIL_MESSAGE,)]
    repair.on_peer_delivered(BOB)
    assert repair.on_peer_report(BOB, "m9", None, NOW_S + 3601) == (RepairStep.RESEND,)


def test_a_cancelled_repair_is_over() -> None:
    _, _, bob = _behind()
    repair = Repair(bob.conversation, _STRICT)
    repair.request(NOW_S)
    assert repair.cancel(NOW_S) == (RepairStep.GIVE_UP,)
    assert repair.on_pull(None, NOW_S) == ()
    assert repair.replay(MlsEnhancedGroupInfo(), NOW_S).steps == ()
    assert repair.on_remote(NOW_S) == ()


def test_an_ended_device_that_hears_of_later_moments_finds_the_group_revived() -> None:
    talk, alice, bob = _behind(0)
    control = alice.conversation.control
    talk.request(alice, control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S))
    talk.answer(alice, control.revive(talk.control_id(), NOW_S))  # and its fan-out is lost
    sealed = alice.seal("we are back")
    parked = bob.open(sealed, ALICE)
    assert isinstance(parked, Parked)
    repair = Repair(bob.conversation, _STRICT)
    assert repair.on_parked(parked, NOW_S) == (RepairStep.PULL,)
    answer = talk.focus.enhanced(bob.conversation.identifier)
    assert repair.on_pull(answer, NOW_S) == (RepairStep.REPLAY,)
    assert repair.replay(answer, NOW_S).steps == (RepairStep.HEALED,)
    assert bob.conversation.state is ConversationState.ENCRYPTED
    ((_, opened),) = bob.conversation.drain(NOW_S)
    assert isinstance(opened, Opened)
    assert exchanged(talk)


def test_a_message_of_the_next_epoch_is_no_reason_to_repair_and_one_of_the_next_era_is() -> None:
    _, _, bob = _behind(0)
    repair = Repair(bob.conversation, _STRICT)
    assert repair.on_parked(Parked(Moment(1, 2)), NOW_S) == ()
    assert repair.on_parked(Parked(Moment(2, 1), is_era_gap=True), NOW_S) == (RepairStep.PULL,)


def test_budgets_survive_a_restart() -> None:
    _, _, bob = _behind()
    repair = Repair(bob.conversation, _STRICT)
    for attempt in range(5):
        repair.request(NOW_S + 1000 * attempt)
        repair.on_pull(None, NOW_S + 1000 * attempt)
        repair.handle_deadline(NOW_S + 1000 * attempt + 200)
    again = Repair(bob.conversation, _STRICT)
    again.restore(repair.snapshot())
    assert again.snapshot() == repair.snapshot()
    assert again.request(NOW_S + 6000) == (RepairStep.GIVE_UP,)
    with pytest.raises(TlsDecodeError):
        again.restore(b"\x00" * 7)
