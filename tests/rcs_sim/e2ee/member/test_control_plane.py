"""Requests to the focus and what it says: races, refusals, silence, Welcomes, eras (RCC.16 §6.1.2, §6.2, §8.3, §9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.client_message import AdvanceKind, ClientMlsRcsMessage, ClientOperation, WelcomeAction
from rcs_sim.e2ee.custom_proposals import (
    RCS_CUSTOM_BODIES,
    end_mls_proposal,
    rcs_signature_proposal,
    self_remove_proposal,
    server_remove_proposal,
)
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import DowngradeReason, RcsExtensionType, read_end_mls
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.commit_plans import extension_plan
from rcs_sim.e2ee.member.commit_verdict import CommitVerdict, FocusRefusal, NextStep
from rcs_sim.e2ee.member.control_outcome import (
    Adopted,
    Advanced,
    ControlOutcome,
    ControlRefusal,
    Converged,
    GroupInfoReceived,
    Ignored,
    IgnoredWhy,
    Joined,
    NeedsServerState,
    ProposalKept,
    RemovedFromGroup,
)
from rcs_sim.e2ee.member.control_plane import Settlement
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.member.health import HealthState
from rcs_sim.e2ee.member.operations import E2eeRefused, OperationKind, PendingOperation, SealRefusal
from rcs_sim.e2ee.server_message import AcceptedMessage, CommitBundle, RawMlsMessage, decode_server_message
from rcs_sim.e2ee.treeless_welcome import append_tree
from rcs_sim.mls.extensions import Extension, find_extension
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.messages import MLSMessage, PublicMessage
from rcs_sim.mls.proposals import CustomProposal
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

CAROL = "12025550103"
_DAY_S = 86400


def _pair(first: str = "android", second: str = "ios") -> tuple[Talk, MemberDevice, MemberDevice]:
    talk = established(make_member(ALICE, PROFILES[first]()), make_member(BOB, PROFILES[second]()))
    alice, bob = talk.devices
    return talk, alice, bob


def _refusal(caught: pytest.ExceptionInfo[E2eeRefused]) -> SealRefusal:
    return caught.value.refusal


# --- the first group --------------------------------------------------------------------------------------------------


def test_a_create_says_what_a_focus_needs_and_no_secret() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    operation = talk.create(alice)
    request = ClientMlsRcsMessage.decode(operation.request.encode())
    assert request == operation.request
    assert (request.operation, request.welcome_action) == (ClientOperation.CREATE, WelcomeAction.NEW_GROUP)
    assert len(request.context_id) == 24
    assert request.base is None
    assert operation.headers == request.result
    assert request.group_info is not None
    info = MLSMessage.decode(request.group_info.group_info).body
    assert isinstance(info, GroupInfo)
    assert [int(each.extension_type) for each in info.extensions] == [4]  # external_pub, and neither tree nor keys
    assert find_extension(info.group_context.extensions, RcsExtensionType.ERA) == b"\x00\x00\x00\x01"
    commit = MLSMessage.decode(request.commit).body
    assert isinstance(commit, PublicMessage)
    assert AuthenticatedData.decode(commit.content.authenticated_data) == AuthenticatedData(operation.control_id, 1)


def test_two_crossing_creates_end_in_the_group_of_the_first() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    first, second = talk.create(alice), talk.create(bob, b"0" * 36)
    talk.answer(alice, first)
    answer = talk.focus.submit(second)
    assert isinstance(answer, FocusRefusal)
    refused = bob.conversation.control.refused(second.control_id, answer, NOW_S)
    assert refused is not None
    assert (refused.verdict, refused.next_step) == (CommitVerdict.GROUP_ID_CHANGED, NextStep.CREATE_AT_SERVER)
    assert bob.conversation.state is ConversationState.NONE
    (joined,) = talk.fan_out(alice)
    assert isinstance(joined, Joined)
    assert exchanged(talk)


def test_a_welcome_that_comes_before_the_refusal_drops_the_own_group() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    first, second = talk.create(alice), talk.create(bob, b"0" * 36)
    talk.answer(alice, first)
    (joined,) = talk.fan_out(alice)
    assert isinstance(joined, Joined)
    assert joined.lost == second
    assert bob.conversation.control.refused(second.control_id, FocusRefusal(reason="incorrect-era"), NOW_S) is None
    assert exchanged(talk)


def test_nothing_is_created_over_a_group_that_is_held() -> None:
    talk, alice, bob = _pair()
    with pytest.raises(E2eeRefused) as caught:
        alice.conversation.control.create([bob.claim()], b"1" * 36, talk.control_id(), NOW_S)
    assert _refusal(caught) is SealRefusal.NOT_ALLOWED


def test_an_acceptance_that_names_another_state_is_not_adopted() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    operation = talk.create(alice)
    envelope = Envelope(message_id="answer", asserted_sender=BOB, era=1)
    lying = AcceptedMessage(operation.control_id, EpochIdentifier(1, 1, b"\x01" * 32))
    assert isinstance(alice.conversation.receive(lying, envelope, NOW_S), ControlRefusal)
    assert alice.conversation.operation == operation
    assert alice.conversation.receive(AcceptedMessage("not ours"), envelope, NOW_S) == Ignored(IgnoredWhy.NOT_OURS)
    true = AcceptedMessage(operation.control_id, operation.result)
    assert isinstance(alice.conversation.receive(true, envelope, NOW_S), Adopted)


# --- joining ----------------------------------------------------------------------------------------------------------


def _welcome(talk: Talk) -> tuple[CommitBundle, Envelope]:
    _, control_id, octets = talk.focus.log[0]
    arm = decode_server_message(octets)
    assert isinstance(arm, CommitBundle)
    return arm, Envelope(message_id=control_id, asserted_sender=ALICE, era=1)


def _created(second: str = "ios") -> tuple[Talk, MemberDevice, CommitBundle, Envelope]:
    alice, bob = make_member(ALICE), make_member(BOB, PROFILES[second]())
    talk = Talk([alice, bob])
    talk.answer(alice, talk.create(alice))
    return talk, bob, *_welcome(talk)


def test_a_welcome_is_for_its_sender_its_state_and_its_tree() -> None:
    _, bob, bundle, envelope = _created()
    assert bundle.state is not None
    wrong = replace(bundle.state, epoch_authenticator=b"\x02" * 32)
    for changed, by in (
        (bundle, replace(envelope, asserted_sender=CAROL)),
        (replace(bundle, state=wrong), envelope),
        (replace(bundle, ratchet_tree=b""), envelope),
        (replace(bundle, ratchet_tree=b"\x00"), envelope),
        (replace(bundle, welcome=bundle.welcome[:-1]), envelope),
    ):
        outcome = bob.conversation.receive(changed, by, NOW_S)
        assert isinstance(outcome, ControlRefusal), outcome
        assert bob.conversation.group is None
        assert bob.pool.estimate == 10
    assert isinstance(bob.conversation.receive(bundle, envelope, NOW_S), Joined)
    assert bob.pool.estimate == 9


def test_a_welcome_with_the_tree_behind_it_joins_too() -> None:
    talk, bob, bundle, envelope = _created()
    appended = replace(bundle, welcome=append_tree(bundle.welcome, bundle.ratchet_tree), ratchet_tree=b"")
    assert isinstance(bob.conversation.receive(appended, envelope, NOW_S), Joined)
    assert exchanged(talk)


def test_a_bare_welcome_in_the_raw_arm_joins_if_its_tree_is_behind_it() -> None:
    talk, bob, bundle, envelope = _created()
    raw = RawMlsMessage(append_tree(bundle.welcome, bundle.ratchet_tree))
    assert isinstance(bob.conversation.receive(raw, envelope, NOW_S), Joined)
    assert exchanged(talk)


def test_a_welcome_is_taken_once_and_only_by_who_it_is_for() -> None:
    talk, bob, bundle, envelope = _created()
    stranger = make_member(BOB, client=9)
    assert stranger.conversation.receive(bundle, envelope, NOW_S) == Ignored(IgnoredWhy.NOT_OURS)
    assert isinstance(bob.conversation.receive(bundle, envelope, NOW_S), Joined)
    assert bob.conversation.receive(bundle, envelope, NOW_S) == Ignored(IgnoredWhy.REPLAYED_WELCOME)
    assert exchanged(talk)


def test_a_welcome_to_the_last_resort_that_comes_again_is_told_by_the_server_s_state() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    bob.packages = bob.packages[-1:]
    talk = established(alice, bob)
    bundle, envelope = _welcome(talk)
    talk.request(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
    outcome = bob.conversation.receive(bundle, envelope, NOW_S)
    assert isinstance(outcome, NeedsServerState)
    again = bob.conversation.receive(bundle, envelope, NOW_S, talk.focus.state)
    assert again == Ignored(IgnoredWhy.REPLAYED_WELCOME)
    assert exchanged(talk)


def test_a_strict_device_refuses_a_welcome_with_a_stale_certificate_by_its_rule() -> None:
    _, bob, bundle, envelope = _created("strict-v3")
    outcome = bob.conversation.receive(bundle, envelope, NOW_S + 60 * _DAY_S)
    assert isinstance(outcome, ControlRefusal)
    assert outcome.reason is ClientFailureReason.INVALID_CREDENTIAL
    assert "A.4.1" in outcome.rule


# --- commits ----------------------------------------------------------------------------------------------------------


def test_of_two_commits_the_first_wins_and_the_other_is_rolled_back() -> None:
    talk, alice, bob = _pair()
    first = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    second = bob.conversation.control.rekey(talk.control_id(), NOW_S)
    talk.answer(alice, first)
    answer = talk.answer(bob, second)
    assert isinstance(answer, FocusRefusal)
    assert bob.conversation.operation is None
    (advanced,) = talk.fan_out(alice)
    assert isinstance(advanced, Advanced)
    assert advanced.lost is None
    assert exchanged(talk)


def test_the_winner_s_commit_may_come_before_the_refusal() -> None:
    talk, alice, bob = _pair()
    first = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    second = bob.conversation.control.rekey(talk.control_id(), NOW_S)
    talk.answer(alice, first)
    (advanced,) = talk.fan_out(alice)
    assert isinstance(advanced, Advanced)
    assert advanced.lost == second
    assert exchanged(talk)


@pytest.mark.parametrize(
    ("refusal", "verdict", "step"),
    [
        (FocusRefusal(reason="incorrect-epoch"), CommitVerdict.REJECTED, NextStep.APPLY_WINNER),
        (FocusRefusal(reason="incorrect-era"), CommitVerdict.ERA_GAP, NextStep.RECONCILE),
        (FocusRefusal(reason="transient-error"), CommitVerdict.REJECTED, NextStep.RETRY),
        (
            FocusRefusal(reason="mismatched-rcs-group-state", detail="not-in-group"),
            CommitVerdict.NOT_IN_GROUP,
            NextStep.STOP,
        ),
        (FocusRefusal(reason="mls-group-has-end-mls"), CommitVerdict.TERMINAL, NextStep.FORGET),
    ],
)
def test_a_refusal_is_a_verdict_and_undoes_what_it_has_to(
    refusal: FocusRefusal, verdict: CommitVerdict, step: NextStep
) -> None:
    talk, alice, _ = _pair()
    operation = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    refused = alice.conversation.control.refused(operation.control_id, refusal, NOW_S)
    assert refused is not None
    assert (refused.verdict, refused.next_step) == (verdict, step)
    assert (alice.conversation.operation is None) == step.rolls_back
    assert alice.conversation.state is ConversationState.ENCRYPTED  # no word of the focus ends it
    if step.rolls_back:
        assert exchanged(talk)
    assert alice.conversation.control.refused("another", refusal, NOW_S) is None


def test_an_end_that_another_commit_has_beaten_is_asked_for_again() -> None:
    talk, alice, bob = _pair()
    ending = alice.conversation.control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S)
    talk.answer(bob, bob.conversation.control.rekey(talk.control_id(), NOW_S))
    assert alice.conversation.state is ConversationState.DOWNGRADED
    assert isinstance(talk.answer(alice, ending), FocusRefusal)
    assert _state(alice) is ConversationState.ENCRYPTED
    talk.fan_out(bob)
    again = alice.conversation.control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S)
    (advanced,) = talk.request(alice, again)
    assert isinstance(advanced, Advanced)
    assert advanced.has_ended


def _state(device: MemberDevice) -> ConversationState:
    return device.conversation.state


def test_silence_keeps_the_request_until_the_server_s_state_tells() -> None:
    talk, alice, bob = _pair()
    operation = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    assert alice.conversation.control.settle(EpochIdentifier(1, 7, b"\x03" * 32), NOW_S) is Settlement.RECONCILE
    assert alice.conversation.control.settle(operation.before, NOW_S) is Settlement.ROLLED_BACK
    assert alice.conversation.control.settle(operation.before, NOW_S) is Settlement.NOTHING_PENDING
    assert exchanged(talk)
    again = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    talk.focus.submit(again)  # and its answer is lost
    assert alice.conversation.control.settle(talk.focus.state, NOW_S) is Settlement.APPLIED
    talk.fan_out(alice, [bob])
    assert exchanged(talk)


def test_one_request_at_a_time_and_only_phoenix_supersedes_an_end() -> None:
    talk, alice, bob = _pair()
    control = alice.conversation.control
    control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S)
    with pytest.raises(E2eeRefused) as caught:
        control.rekey(talk.control_id(), NOW_S)
    assert _refusal(caught) in (SealRefusal.OPERATION_PENDING, SealRefusal.NOT_ALLOWED)
    control.new_era(
        [],
        AdvanceKind.PHOENIX_DOWNGRADE,
        talk.control_id(),
        NOW_S,
        server=talk.focus.state,
        carried=talk.focus.info,
        reason=DowngradeReason.OUTGOING_COMMIT_FAILED,
    )
    phoenix = alice.conversation.operation
    assert phoenix is not None
    assert (phoenix.kind, phoenix.request.advance_kind) == (OperationKind.PHOENIX, AdvanceKind.PHOENIX_DOWNGRADE)
    assert phoenix.request.welcome == b""
    assert phoenix.result is not None
    assert phoenix.result.moment == (2, 0)
    talk.answer(alice, phoenix)
    assert alice.conversation.state is ConversationState.DOWNGRADED
    assert control.course.state is HealthState.DONE_END_MLS
    assert alice.conversation.group is not None
    body = find_extension(alice.conversation.group.group.context.extensions, RcsExtensionType.END_MLS)
    assert body is not None
    assert read_end_mls(body).reason is DowngradeReason.OUTGOING_COMMIT_FAILED
    assert bob.conversation.state is ConversationState.ENCRYPTED  # until it hears of it


def test_a_commit_of_another_sender_state_or_id_is_refused_and_changes_nothing() -> None:
    talk, alice, bob = _pair()
    talk.answer(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
    base, control_id, octets = talk.focus.log[-1]
    arm = decode_server_message(octets)
    assert isinstance(arm, CommitBundle)
    assert base is not None
    envelope = Envelope(message_id=control_id, asserted_sender=ALICE, era=1)
    flipped = arm.commit[:-1] + bytes((arm.commit[-1] ^ 1,))
    before = bob.conversation.identifier
    cases: list[tuple[CommitBundle, Envelope, ClientFailureReason | None]] = [
        (arm, replace(envelope, asserted_sender=CAROL), None),
        (arm, replace(envelope, message_id="another"), ClientFailureReason.INVALID_COMMIT),
        (replace(arm, state=EpochIdentifier(1, 2, b"\x04" * 32)), envelope, ClientFailureReason.INVALID_COMMIT),
        (replace(arm, commit=flipped), envelope, ClientFailureReason.INVALID_COMMIT),
        (replace(arm, commit=arm.commit[:50]), envelope, ClientFailureReason.INVALID_COMMIT),
        (replace(arm, commit=arm.welcome or b"\x00\x01\x00\x05"), envelope, ClientFailureReason.INVALID_COMMIT),
    ]
    for changed, by, reason in cases:
        outcome = bob.conversation.receive(changed, by, NOW_S)
        assert isinstance(outcome, ControlRefusal), outcome
        assert outcome.reason is reason
        assert bob.conversation.identifier == before
    assert isinstance(bob.conversation.receive(arm, envelope, NOW_S), Advanced)
    assert bob.conversation.receive(arm, envelope, NOW_S) == Ignored(IgnoredWhy.OLD)
    assert exchanged(talk)


def test_a_handshake_in_a_private_message_is_refused_by_name() -> None:
    talk, alice, bob = _pair()
    sealed = alice.seal("hello")
    bundle = CommitBundle(commit=sealed.octets)
    envelope = Envelope(message_id=sealed.message_id, asserted_sender=ALICE, era=1)
    outcome = bob.conversation.receive(bundle, envelope, NOW_S)
    assert isinstance(outcome, ControlRefusal)
    assert outcome.reason is ClientFailureReason.COMMIT_IN_PRIVATEMESSAGE
    assert exchanged(talk)


def test_own_devices_get_what_the_network_can_only_assert_as_the_other_side_s() -> None:
    phone, tablet, bob = make_member(ALICE), make_member(ALICE, client=2), make_member(BOB)
    talk = established(phone, tablet, bob)
    outcomes = talk.request(phone, phone.conversation.control.rekey(talk.control_id(), NOW_S))
    assert all(isinstance(each, Advanced) for each in outcomes)
    assert exchanged(talk)


def test_convergence_is_told_once_and_of_our_own_requests_only() -> None:
    talk, alice, bob = _pair()
    operation = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    envelope = Envelope(message_id="answer", asserted_sender=BOB, era=1)
    accepted = AcceptedMessage(operation.control_id, operation.result)
    converged = replace(accepted, converged=True)
    assert isinstance(alice.conversation.receive(accepted, envelope, NOW_S), Adopted)
    assert alice.conversation.gate(NOW_S).refusal is SealRefusal.HELD
    assert alice.conversation.receive(converged, envelope, NOW_S) == Converged(operation.control_id)
    assert alice.conversation.gate(NOW_S).is_open
    assert alice.conversation.receive(converged, envelope, NOW_S) == Ignored(IgnoredWhy.NOT_OURS)
    assert bob.conversation.receive(converged, envelope, NOW_S) == Ignored(IgnoredWhy.NOT_OURS)


def test_a_group_info_is_handed_on() -> None:
    talk, alice, _ = _pair()
    assert talk.focus.info is not None
    envelope = Envelope(message_id="pull", asserted_sender=BOB, era=1)
    assert alice.conversation.receive(talk.focus.info, envelope, NOW_S) == GroupInfoReceived(talk.focus.info)


# --- eras, external commits -------------------------------------------------------------------------------------------


def test_a_new_era_carries_the_extensions_of_the_server_octet_for_octet() -> None:
    talk, alice, bob = _pair()
    group = alice.conversation.group
    assert group is not None
    bare = Extension(RcsExtensionType.SUBJECT_COMMITMENT, b"\x08\xc1" + bytes(30))
    odd = Extension(RcsExtensionType.ICON_COMMITMENT, b"\x20" + bytes(32))
    plan = extension_plan((*group.group.context.extensions, bare, odd))
    operation = group.commit(OperationKind.GROUP_METADATA, talk.control_id(), NOW_S, plan)
    talk.request(alice, operation)
    token = group.continuity_token
    assert token is not None
    operation = bob.conversation.control.new_era(
        [alice.claim()],
        AdvanceKind.NORMAL,
        talk.control_id(),
        NOW_S,
        server=talk.focus.state,
        carried=talk.focus.info,
    )
    assert operation.request.welcome_action == WelcomeAction.NEW_ERA_EXISTING_GROUP
    assert operation.headers == operation.request.result
    (joined,) = talk.request(bob, operation)
    assert isinstance(joined, Joined)
    assert joined.is_new_era
    assert alice.conversation.group is not None
    context = alice.conversation.group.group.context
    assert context.group_id == group.group_id
    assert context.extensions[1:] == (bare, odd)
    assert find_extension(context.extensions, RcsExtensionType.ERA) == b"\x00\x00\x00\x02"
    assert alice.conversation.group.continuity_token == token
    assert exchanged(talk)


def test_where_the_server_gives_no_group_info_out_a_new_era_carries_what_our_own_group_has() -> None:
    talk, alice, bob = _pair()
    group = alice.conversation.group
    assert group is not None
    odd = Extension(RcsExtensionType.ICON_COMMITMENT, b"\x20" + bytes(32))
    plan = extension_plan((*group.group.context.extensions, odd))
    talk.request(alice, group.commit(OperationKind.GROUP_METADATA, talk.control_id(), NOW_S, plan))
    token = group.continuity_token
    operation = bob.conversation.control.new_era(
        [alice.claim()],
        AdvanceKind.NORMAL,
        talk.control_id(),
        NOW_S,
        server=talk.focus.state,
        carried=None,
        carries_own=True,
    )
    assert operation.result is not None
    assert operation.result.era_id == 2
    talk.request(bob, operation)
    assert alice.conversation.group is not None
    assert alice.conversation.group.group.context.extensions[1:] == (odd,)
    assert alice.conversation.group.continuity_token == token
    assert exchanged(talk)


def test_a_new_era_needs_the_server_s_group_info_and_does_not_undo_an_end() -> None:
    talk, alice, bob = _pair()
    control = alice.conversation.control

    def advance(kind: AdvanceKind, *, is_carried: bool = True) -> None:
        operation = control.new_era(
            [bob.claim()],
            kind,
            talk.control_id(),
            NOW_S,
            server=talk.focus.state,
            carried=talk.focus.info if is_carried else None,
        )
        talk.request(alice, operation)

    with pytest.raises(E2eeRefused) as caught:
        advance(AdvanceKind.NORMAL, is_carried=False)
    assert _refusal(caught) is SealRefusal.NOT_ALLOWED
    talk.request(bob, bob.conversation.control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S))
    with pytest.raises(E2eeRefused):
        advance(AdvanceKind.NORMAL)
    assert alice.conversation.state is ConversationState.DOWNGRADED
    advance(AdvanceKind.REVIVAL)
    assert control.course.state is HealthState.HEALTHY
    assert exchanged(talk)


def test_a_welcome_that_a_request_builds_on_does_not_undo_it() -> None:
    talk, alice, bob = _pair()

    def advance(device: MemberDevice, other: MemberDevice) -> PendingOperation:
        control, focus = device.conversation.control, talk.focus
        packages = [other.claim()]
        return control.new_era(
            packages, AdvanceKind.NORMAL, talk.control_id(), NOW_S, server=focus.state, carried=focus.info
        )

    talk.answer(bob, advance(bob, alice))
    second = advance(alice, bob)
    (joined,) = talk.fan_out(bob)
    assert isinstance(joined, Joined)
    assert joined.lost is None
    assert alice.conversation.operation == second
    talk.request(alice, second)
    assert exchanged(talk)


def test_the_log_of_the_focus_tells_what_became_of_an_own_request() -> None:
    talk, alice, bob = _pair()
    talk.focus.submit(alice.conversation.control.rekey(talk.control_id(), NOW_S))  # and its answer is lost
    talk.fan_out(alice)
    talk.answer(bob, bob.conversation.control.rekey(talk.control_id(), NOW_S))
    assert alice.conversation.control.settle(talk.focus.state, NOW_S) is Settlement.RECONCILE
    outcomes = list[ControlOutcome]()
    for _, control_id, octets in talk.focus.log[1:]:
        envelope = Envelope(message_id=control_id, asserted_sender="", era=0, is_from_log=True)
        outcomes.append(alice.conversation.receive(decode_server_message(octets), envelope, NOW_S))
    assert [type(each) for each in outcomes] == [Adopted, Advanced]
    assert exchanged(talk)


def test_there_is_no_era_after_the_last() -> None:
    talk, alice, bob = _pair()
    last = EpochIdentifier(0xFFFFFFFF, 1, b"\x05" * 32)
    with pytest.raises(E2eeRefused) as caught:
        alice.conversation.control.new_era(
            [bob.claim()], AdvanceKind.NORMAL, talk.control_id(), NOW_S, server=last, carried=talk.focus.info
        )
    assert _refusal(caught) is SealRefusal.NOT_ALLOWED


def test_a_device_that_has_lost_its_state_comes_back_by_an_external_commit() -> None:
    talk, alice, bob = _pair()
    lost = make_member(BOB, PROFILES["ios"]())
    talk.devices = [alice, lost]
    assert talk.focus.info is not None
    operation = lost.conversation.control.external_commit(talk.focus.info, talk.control_id(), NOW_S)
    (advanced,) = talk.request(lost, operation)
    assert isinstance(advanced, Advanced)
    assert (advanced.committer, advanced.added, advanced.removed) == (BOB, frozenset(), frozenset())
    assert alice.conversation.group is not None
    assert len(alice.conversation.group.roster.leaves) == 2
    assert exchanged(talk)
    assert isinstance(talk.deliver(bob, BOB, -1), (RemovedFromGroup, Ignored))


@pytest.mark.parametrize(("resyncs", "left"), [(True, 1), (False, 2)])
def test_leaves_of_an_older_participant_key_go_with_who_comes_in_if_it_says_so(resyncs: bool, left: int) -> None:
    alice, phone, tablet = make_member(ALICE), make_member(BOB), make_member(BOB, client=2)
    talk = established(alice, phone, tablet)
    again = make_member(BOB, seed="provisioned anew ")  # other keys, the same client id
    assert again.identity.client_id == phone.identity.client_id
    assert talk.focus.info is not None
    operation = again.conversation.control.external_commit(
        talk.focus.info, talk.control_id(), NOW_S, resyncs_participant=resyncs
    )
    talk.devices = [alice, again]
    (advanced,) = talk.request(again, operation)
    assert isinstance(advanced, Advanced), advanced
    group = alice.conversation.group
    assert group is not None
    assert len(group.roster.leaves_of(BOB)) == left
    assert exchanged(talk)


def test_nobody_comes_into_a_group_that_has_ended_from_outside() -> None:
    talk, alice, _ = _pair()
    talk.request(alice, alice.conversation.control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S))
    lost = make_member(BOB, PROFILES["ios"]())
    assert talk.focus.info is not None
    with pytest.raises(E2eeRefused) as caught:
        lost.conversation.control.external_commit(talk.focus.info, talk.control_id(), NOW_S)
    assert _refusal(caught) is SealRefusal.NOT_ALLOWED
    assert lost.conversation.operation is None


# --- credentials, devices, proposals ----------------------------------------------------------------------------------


def _needs_update(device: MemberDevice) -> bool:
    return device.conversation.needs_self_update


def test_a_renewed_certificate_goes_into_the_leaf_once() -> None:
    talk, alice, bob = _pair()
    renewed_s = talk.now_s = NOW_S + 20 * _DAY_S
    control = alice.conversation.control
    with pytest.raises(E2eeRefused):
        control.self_update(talk.control_id(), NOW_S)
    control.renew(alice.setting.with_identity(enrol(ALICE, 1, alice.setting.profile, renewed_s)))
    assert _needs_update(alice)
    late_s = NOW_S + 31 * _DAY_S
    assert alice.conversation.stale_members(renewed_s) == frozenset()
    assert alice.conversation.stale_members(late_s) == {BOB}
    with pytest.raises(E2eeRefused) as caught:
        control.self_update(talk.control_id(), late_s)
    assert caught.value.numbers == {BOB}
    operation = control.self_update(talk.control_id(), renewed_s)
    assert not _needs_update(alice)
    talk.request(alice, operation)
    group = bob.conversation.group
    assert group is not None
    credentials = [leaf.credential for _, leaf in group.group.tree.members()]
    assert control.setting.identity.credential in credentials
    assert exchanged(talk)


def test_a_second_device_is_added_and_a_participant_removed_in_one_commit_each() -> None:
    numbers = (ALICE, BOB, CAROL)
    alice, bob, carol = (make_member(each, participants=numbers) for each in numbers)
    talk = established(alice, bob, carol)
    tablet = make_member(BOB, client=2, participants=numbers)
    operation = alice.conversation.control.add([tablet.claim()], [], talk.control_id(), NOW_S)
    talk.devices.append(tablet)
    assert isinstance(talk.answer(alice, operation), AcceptedMessage)
    assert [type(each) for each in talk.fan_out(alice)] == [Advanced, Advanced, Joined]
    operation = alice.conversation.control.remove([BOB], talk.control_id(), NOW_S)
    assert operation.request.remove == (f"tel:+{BOB}",)
    outcomes = talk.request(alice, operation)
    assert [type(each) for each in outcomes] == [RemovedFromGroup, Advanced, RemovedFromGroup]
    assert bob.conversation.state is ConversationState.LEFT
    with pytest.raises(E2eeRefused) as caught:
        bob.seal("still here?")
    assert _refusal(caught) is SealRefusal.LEFT
    for device in (alice, carol):
        device.conversation.set_participants([ALICE, CAROL])
    talk.devices = [alice, carol]
    assert exchanged(talk)


def test_who_leaves_is_gone_with_the_acceptance_and_somebody_else_commits_it() -> None:
    numbers = (ALICE, BOB, CAROL)
    alice, bob, carol = (make_member(each, participants=numbers) for each in numbers)
    talk = established(alice, bob, carol)
    outcomes = talk.request(bob, bob.conversation.control.leave(talk.control_id(), NOW_S))
    assert bob.conversation.state is ConversationState.LEFT
    assert outcomes == [ProposalKept(BOB), ProposalKept(BOB)]
    with pytest.raises(E2eeRefused) as caught:
        alice.seal("too early")
    assert _refusal(caught) is SealRefusal.PENDING_PROPOSALS
    talk.devices = [alice, carol]
    (advanced,) = talk.request(alice, alice.conversation.control.sweep(talk.control_id(), NOW_S))
    assert isinstance(advanced, Advanced)
    assert advanced.removed == {BOB}


def test_a_refused_leave_blocks_nothing() -> None:
    numbers = (ALICE, BOB, CAROL)
    alice, bob, carol = (make_member(each, participants=numbers) for each in numbers)
    talk = established(alice, bob, carol)
    operation = bob.conversation.control.leave(talk.control_id(), NOW_S)
    bob.conversation.control.refused(operation.control_id, FocusRefusal(reason="incorrect-epoch"), NOW_S)
    assert exchanged(talk)


def test_a_device_of_ours_that_is_gone_is_taken_out_and_nobody_elses() -> None:
    talk, alice, bob = _pair()
    tablet = make_member(BOB, client=2)
    operation = alice.conversation.control.add([tablet.claim()], [], talk.control_id(), NOW_S)
    talk.devices.append(tablet)
    assert isinstance(talk.answer(alice, operation), AcceptedMessage)
    talk.fan_out(alice)
    held = bob.conversation.group
    assert held is not None
    own = held.group.own_leaf
    others = {number: [leaf for leaf in held.roster.leaves_of(number) if leaf != own] for number in (ALICE, BOB)}
    for leaves in ([], [own], others[ALICE], [*others[BOB], own]):
        with pytest.raises(E2eeRefused):
            bob.conversation.control.remove_devices(leaves, talk.control_id(), NOW_S)
    operation = bob.conversation.control.remove_devices(others[BOB], talk.control_id(), NOW_S)
    assert operation.request.remove == ()
    outcomes = talk.request(bob, operation)
    assert {type(each) for each in outcomes} == {Advanced, RemovedFromGroup}
    assert bob.conversation.group is not None
    assert bob.conversation.group.roster.leaves_of(BOB) == (own,)


def test_who_was_removed_may_be_welcomed_again() -> None:
    numbers = (ALICE, BOB, CAROL)
    alice, bob, carol = (make_member(each, participants=numbers) for each in numbers)
    talk = established(alice, bob, carol)
    talk.request(alice, alice.conversation.control.remove([BOB], talk.control_id(), NOW_S))
    assert bob.conversation.control.course.state is HealthState.UNKNOWN
    talk.request(alice, alice.conversation.control.add([bob.claim()], [BOB], talk.control_id(), NOW_S))
    assert bob.conversation.state is ConversationState.ENCRYPTED
    assert exchanged(talk)


def test_a_one_to_one_conversation_is_not_left() -> None:
    talk, alice, _ = _pair()
    with pytest.raises(E2eeRefused):
        alice.conversation.control.leave(talk.control_id(), NOW_S)


def _proposed(talk: Talk, device: MemberDevice, proposal: CustomProposal) -> tuple[RawMlsMessage, Envelope]:
    control_id = talk.control_id()
    group = device.conversation.group
    assert group is not None
    bound = AuthenticatedData(control_id, 1).encode()
    message = group.group.propose(proposal, device.setting.random, authenticated_data=bound)
    return RawMlsMessage(message.encode()), Envelope(message_id=control_id, asserted_sender=device.number, era=1)


def test_proposals_that_are_not_to_be_kept_are_not() -> None:
    talk, alice, bob = _pair("strict-v3", "lineage-like")
    for proposal, why in (
        (rcs_signature_proposal(), IgnoredWhy.SIGNATURE),
        (server_remove_proposal(LeafIndex(0)), IgnoredWhy.SERVER_REMOVAL),
    ):
        arm, envelope = _proposed(talk, bob, proposal)
        assert alice.conversation.receive(arm, envelope, NOW_S) == Ignored(why)
    assert alice.conversation.gate(NOW_S).is_open
    assert alice.seal("hello")


def test_a_proposal_in_another_s_name_is_dropped() -> None:
    talk, alice, bob = _pair()
    arm, envelope = _proposed(talk, bob, self_remove_proposal())
    outcome = alice.conversation.receive(arm, replace(envelope, asserted_sender=CAROL), NOW_S)
    assert isinstance(outcome, ControlRefusal)
    assert outcome.reason is None
    assert alice.seal("hello")


def test_a_proposed_end_is_committed_together_with_the_extension() -> None:
    talk, alice, bob = _pair("strict-v3", "lineage-like")
    arm, envelope = _proposed(talk, bob, end_mls_proposal())
    assert alice.conversation.receive(arm, envelope, NOW_S) == ProposalKept(BOB, asks_for_end=True)
    operation = alice.conversation.control.sweep(talk.control_id(), NOW_S)
    assert operation.kind is OperationKind.END_MLS
    commit = MLSMessage.decode(operation.request.commit, RCS_CUSTOM_BODIES).body
    assert isinstance(commit, PublicMessage)
    (advanced,) = talk.request(alice, operation)
    assert isinstance(advanced, Advanced)
    assert advanced.has_ended


def test_a_server_that_has_ended_is_adopted_without_a_commit() -> None:
    _, alice, _ = _pair()
    alice.conversation.control.adopt_end_mls(NOW_S)
    assert alice.conversation.state is ConversationState.DOWNGRADED
    with pytest.raises(E2eeRefused):
        alice.seal("hello")
