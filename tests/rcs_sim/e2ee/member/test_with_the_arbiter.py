"""Devices of every profile with the focus's own arbiter between them (RCC.16 §6.1.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import pytest

from ims_core.store.mls_conversations import StoredFanOut
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.client_message import AdvanceKind
from rcs_sim.e2ee.credential_identity import X509Identity, msisdn_of
from rcs_sim.e2ee.custom_proposals import rcs_seams
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal, NextStep
from rcs_sim.e2ee.member.control_outcome import Adopted, Advanced, ControlOutcome, Joined
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.member.operations import PendingOperation
from rcs_sim.e2ee.member.repair import Repair, RepairStep
from rcs_sim.e2ee.member.self_heal import Deployment
from rcs_sim.e2ee.server_message import AcceptedMessage, decode_server_message
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.server.mls_arbiter import MlsArbiter, MlsDecision
from rcs_sim.server.mls_conversation import MlsConversation, pair_of
from rcs_sim.server.mls_pull import answer_pull
from rcs_sim.server.mls_rules import MlsFocusRules
from tests.support.member_devices import (
    ALICE,
    BOB,
    NOW_S,
    PROFILES,
    MemberDevice,
    Talk,
    enrol,
    exchanged,
    make_member,
    vendor_pki,
)


def _arbiter(rules: MlsFocusRules) -> MlsArbiter:
    anchors = TrustAnchors(tuple(vendor_pki(each).anchor for each in (1, 2)))
    return MlsArbiter(rules, rcs_seams(X509Identity(CertificateValidator(anchors, Strictness.TOLERANT)), msisdn_of))


@dataclass
class _Network(Talk):
    """A talk whose focus is the server's."""

    rules: MlsFocusRules = field(default_factory=MlsFocusRules)
    conversation: MlsConversation = field(default_factory=lambda: MlsConversation(pair_of(ALICE, BOB)))
    decision: MlsDecision | None = None

    def decide(self, device: MemberDevice, operation: PendingOperation) -> MlsDecision:
        arbiter, octets = _arbiter(self.rules), operation.request.encode()
        decision = arbiter.decide(self.conversation, device.number, operation.control_id, octets, self.now_s)
        self.conversation, self.decision = decision.conversation, decision
        return decision

    def answer(self, device: MemberDevice, operation: PendingOperation) -> AcceptedMessage | FocusRefusal:
        decision = self.decide(device, operation)
        answer = decision.answer
        state = EpochIdentifier(answer.era, answer.epoch, answer.authenticator)
        if not decision.is_accepted:
            refusal = FocusRefusal(
                reason=answer.reason, detail=answer.detail, group_id=answer.group_id or None, server=state
            )
            device.conversation.control.refused(operation.control_id, refusal, self.now_s)
            return refusal
        envelope = Envelope(message_id="answer", asserted_sender=device.number, era=answer.era)
        for converged in (False, True):
            accepted = AcceptedMessage(operation.control_id, state, converged)
            device.conversation.receive(accepted, envelope, self.now_s)
        return AcceptedMessage(operation.control_id, state)

    def run(self, device: MemberDevice, operation: PendingOperation) -> list[ControlOutcome]:
        answer = self.answer(device, operation)
        assert isinstance(answer, AcceptedMessage), answer
        assert self.decision is not None
        assert self.decision.fan_out is not None
        return [self.give(each, self.decision.fan_out) for each in self.others(device)]

    def give(self, device: MemberDevice, fan_out: StoredFanOut) -> ControlOutcome:
        other = BOB if device.number == ALICE else ALICE
        envelope = Envelope(
            message_id=fan_out.control_id, asserted_sender=other, era=fan_out.era, named_sender=fan_out.requester
        )
        return device.conversation.receive(decode_server_message(fan_out.octets), envelope, self.now_s)

    def pull(self, device: MemberDevice) -> MlsEnhancedGroupInfo:
        held = device.conversation.identifier
        body = EpochIdentifier(9, 9, b"\x09" * 32).encode() if held is None else held.encode()
        return MlsEnhancedGroupInfo.decode(answer_pull(self.rules, self.conversation, device.number, body).body)


def _talking(first: str = "android", second: str = "ios", rules: MlsFocusRules | None = None) -> _Network:
    devices = [make_member(ALICE, PROFILES[first]()), make_member(BOB, PROFILES[second]())]
    network = _Network(devices, rules=rules or MlsFocusRules())
    (joined,) = network.run(devices[0], network.create(devices[0]))
    assert isinstance(joined, Joined), joined
    return network


@pytest.mark.parametrize(("first", "second"), [*product(PROFILES, repeat=2)])
def test_every_pair_of_profiles_goes_all_the_way_past_the_focus(first: str, second: str) -> None:
    network = _talking(first, second)
    alice, bob = network.devices
    assert exchanged(network)
    for device in (alice, bob):
        (advanced,) = network.run(device, device.conversation.control.rekey(network.control_id(), NOW_S))
        assert isinstance(advanced, Advanced), advanced
    assert exchanged(network)
    ending = alice.conversation.control.end_mls(DowngradeReason.UNSET, network.control_id(), NOW_S)
    (ended,) = network.run(alice, ending)
    assert isinstance(ended, Advanced)
    assert ended.has_ended
    (revived,) = network.run(bob, bob.conversation.control.revive(network.control_id(), NOW_S))
    assert isinstance(revived, Advanced)
    assert revived.has_revived
    pulled = network.pull(bob)
    operation = bob.conversation.control.new_era(
        [alice.claim()],
        AdvanceKind.NORMAL,
        network.control_id(),
        NOW_S,
        server=pulled.latest,
        carried=pulled.group_info,
    )
    (joined,) = network.run(bob, operation)
    assert isinstance(joined, Joined)
    assert exchanged(network)


def test_several_devices_of_both_join_and_a_renewed_leaf_is_taken() -> None:
    network = _talking()
    alice, bob = network.devices
    tablet = make_member(BOB, PROFILES["ios"](), client=2)
    operation = alice.conversation.control.add([tablet.claim()], [], network.control_id(), NOW_S)
    network.devices.append(tablet)
    assert [type(each) for each in network.run(alice, operation)] == [Advanced, Joined]
    renewed = alice.setting.with_identity(enrol(ALICE, 1, alice.setting.profile, NOW_S + 60))
    alice.conversation.control.renew(renewed)
    network.now_s = NOW_S + 60
    outcomes = network.run(alice, alice.conversation.control.self_update(network.control_id(), network.now_s))
    assert [type(each) for each in outcomes] == [Advanced, Advanced]
    assert exchanged(network)
    assert bob.conversation.identifier == tablet.conversation.identifier


def test_the_second_of_two_crossing_creates_is_sent_to_the_first_one_s_group() -> None:
    alice, bob = make_member(ALICE), make_member(BOB, PROFILES["ios"]())
    network = _Network([alice, bob])
    first, second = network.create(alice), network.create(bob, b"1f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e02")
    network.answer(alice, first)
    assert network.decision is not None
    fan_out = network.decision.fan_out
    assert fan_out is not None
    refused = network.answer(bob, second)
    assert isinstance(refused, FocusRefusal)
    assert (refused.reason, refused.detail) == ("incorrect-era", "held")
    assert isinstance(network.give(bob, fan_out), Joined)
    assert exchanged(network)


def test_the_second_of_two_commits_is_refused_and_its_device_follows_the_first() -> None:
    network = _talking()
    alice, bob = network.devices
    first = alice.conversation.control.rekey(network.control_id(), NOW_S)
    second = bob.conversation.control.rekey(network.control_id(), NOW_S)
    network.answer(alice, first)
    assert network.decision is not None
    fan_out = network.decision.fan_out
    assert fan_out is not None
    refused = network.answer(bob, second)
    assert isinstance(refused, FocusRefusal)
    assert refused.reason == "incorrect-epoch"
    assert isinstance(network.give(bob, fan_out), Advanced)
    assert exchanged(network)


def test_missed_commits_come_out_of_the_log_of_the_focus() -> None:
    network = _talking()
    alice, bob = network.devices
    for _ in range(4):
        network.answer(alice, alice.conversation.control.rekey(network.control_id(), NOW_S))
    repair = Repair(bob.conversation, Deployment(arbitrates_era=True, has_group_info=True))
    steps: tuple[RepairStep, ...] = repair.request(NOW_S)
    while steps == (RepairStep.PULL,):
        answer = network.pull(bob)
        assert repair.on_pull(answer, NOW_S) == (RepairStep.REPLAY,)
        steps = repair.replay(answer, NOW_S).steps
    assert steps == (RepairStep.HEALED,)
    assert exchanged(network)


def test_a_device_without_its_state_comes_back_by_an_external_commit() -> None:
    network = _talking(rules=MlsFocusRules(accepts_member_external_commit=True))
    alice, _ = network.devices
    lost = make_member(BOB, PROFILES["ios"]())
    network.devices = [alice, lost]
    info = network.pull(lost).group_info
    assert info is not None
    operation = lost.conversation.control.external_commit(info, network.control_id(), NOW_S)
    (advanced,) = network.run(lost, operation)
    assert isinstance(advanced, Advanced), advanced
    assert exchanged(network)


def test_phoenix_is_taken_and_the_end_reaches_the_other_side_by_its_pull() -> None:
    network = _talking()
    alice, bob = network.devices
    pulled = network.pull(alice)
    operation = alice.conversation.control.new_era(
        [],
        AdvanceKind.PHOENIX_DOWNGRADE,
        network.control_id(),
        NOW_S,
        server=pulled.latest,
        carried=pulled.group_info,
        reason=DowngradeReason.OUTGOING_COMMIT_FAILED,
    )
    answer = network.answer(alice, operation)
    assert isinstance(answer, AcceptedMessage), answer
    assert alice.conversation.state is ConversationState.DOWNGRADED
    repair = Repair(bob.conversation, Deployment(arbitrates_era=True, has_group_info=True))
    assert repair.request(NOW_S) == (RepairStep.PULL,)
    assert repair.on_pull(network.pull(bob), NOW_S) == (RepairStep.ADOPT_END_MLS,)


def test_a_repeated_request_gets_the_answer_of_before() -> None:
    network = _talking()
    alice, _ = network.devices
    operation = alice.conversation.control.rekey(network.control_id(), NOW_S)
    first = network.decide(alice, operation)
    again = network.decide(alice, operation)
    assert again.answer == first.answer
    state = EpochIdentifier(first.answer.era, first.answer.epoch, first.answer.authenticator)
    envelope = Envelope(message_id="answer", asserted_sender=BOB, era=1)
    adopted = alice.conversation.receive(AcceptedMessage(operation.control_id, state), envelope, NOW_S)
    assert isinstance(adopted, Adopted)
    assert NextStep.KEEP.rolls_back is False
