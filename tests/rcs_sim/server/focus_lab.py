"""An arbiter, two participants with devices, and a conversation that goes from decision to decision."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rcs_sim.e2ee.client_message import ClientMlsRcsMessage
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.server_message import CommitBundle, RawMlsMessage, decode_server_message
from rcs_sim.server.mls_arbiter import MlsArbiter, MlsDecision
from rcs_sim.server.mls_conversation import MlsConversation, pair_of
from rcs_sim.server.mls_rules import MlsFocusRules
from tests.support.focus_devices import ALICE, BOB, NOW_S, FocusDevice, seams


@dataclass
class Table:
    """What was said is applied by everybody who has to."""

    rules: MlsFocusRules = field(default_factory=MlsFocusRules)
    now_s: int = NOW_S

    def __post_init__(self) -> None:
        self.arbiter = MlsArbiter(self.rules, seams())
        self.conversation = MlsConversation(pair_of(ALICE, BOB))
        self.alice, self.bob = FocusDevice(ALICE), FocusDevice(BOB, vendor_id=1)

    @property
    def state(self) -> EpochIdentifier:
        assert self.conversation.state is not None
        return self.conversation.state

    def wait(self, seconds: int) -> None:
        self.now_s += seconds
        self.alice.now_s = self.bob.now_s = self.now_s

    def ask(self, device: FocusDevice, control_id: str, request: ClientMlsRcsMessage) -> MlsDecision:
        return self.ask_octets(device.digits, control_id, request.encode())

    def ask_octets(self, sender: str, control_id: str, octets: bytes) -> MlsDecision:
        decision = self.arbiter.decide(self.conversation, sender, control_id, octets, self.now_s)
        self.conversation = decision.conversation
        return decision

    def accepted(self, device: FocusDevice, control_id: str, request: ClientMlsRcsMessage) -> MlsDecision:
        decision = self.ask(device, control_id, request)
        assert decision.is_accepted, (decision.answer.reason, decision.answer.detail, decision.check)
        device.adopt()
        return decision

    def refused(self, device: FocusDevice, control_id: str, request: ClientMlsRcsMessage) -> tuple[int, str, str]:
        """Check, token and detail; nothing but the answers has changed."""
        before = self.conversation
        decision = self.ask(device, control_id, request)
        device.roll_back()
        assert replace(decision.conversation, answers=before.answers) == before
        assert decision.fan_out is None
        return decision.check, decision.answer.reason, decision.answer.detail

    def established(self) -> MlsDecision:
        decision = self.accepted(self.alice, "create", self.alice.create("create", [self.bob]))
        self.bob.receive(bundle_of(decision))
        return decision

    def committed(self, device: FocusDevice, other: FocusDevice, control_id: str) -> MlsDecision:
        """A rekey of *device* that *other* follows."""
        decision = self.accepted(device, control_id, device.commit(control_id))
        other.receive(bundle_of(decision))
        return decision


def bundle_of(decision: MlsDecision) -> CommitBundle:
    assert decision.fan_out is not None
    arm = decode_server_message(decision.fan_out.octets)
    assert isinstance(arm, CommitBundle)
    return arm


def proposal_of(decision: MlsDecision) -> bytes:
    assert decision.fan_out is not None
    arm = decode_server_message(decision.fan_out.octets)
    assert isinstance(arm, RawMlsMessage)
    return arm.message
