"""Random schedules of an encrypted conversation: sends, commits, eras, losses, reordering, duplicates, restarts
(RCC.16 §6 to §11).

Whatever happens: nothing is shown that was not sent, in the name of who sent it and once; what is not shown is told of
or waits; and after a repair everybody reads everybody again, or the conversation is visibly not encrypted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rcs_sim.e2ee.client_message import AdvanceKind
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.member.application_opening import Envelope, OpenRefusal
from rcs_sim.e2ee.member.control_outcome import ControlRefusal, Ignored, ParkedControl
from rcs_sim.e2ee.member.control_plane import Settlement
from rcs_sim.e2ee.member.conversation_snapshot import restore_conversation, snapshot_conversation
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.member.encrypted_group import Sealed
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.member.message_exchange import OpenResult, Parked
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.operations import E2eeRefused, PendingOperation
from rcs_sim.e2ee.member.repair import Repair, RepairStep
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.e2ee.member.self_heal import Deployment
from rcs_sim.e2ee.server_message import AcceptedMessage, decode_server_message
from rcs_sim.wire.protobuf import ProtobufError
from tests.support.member_devices import ALICE, BOB, NOW_S, PROFILES, MemberDevice, Talk, established, make_member

_DEPLOYMENT = Deployment(arbitrates_era=True, has_group_info=True, takes_member_external_commit=True)


@dataclass
class _World:
    """Two devices, a focus, and a network that keeps what it has not delivered yet."""

    talk: Talk
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=lambda: {ALICE: [], BOB: []})
    wire: list[tuple[MemberDevice, Sealed | int, str]] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    def other(self, device: MemberDevice) -> MemberDevice:
        return self.talk.others(device)[0]

    def send(self, device: MemberDevice) -> None:
        text = f"text {len(self.texts)}"
        try:
            sealed = device.seal(text, self.talk.now_s)
        except E2eeRefused:
            return  # it failed visibly
        assert text.encode() not in sealed.octets
        self.texts[sealed.message_id] = (device.number, text)
        self.wire.append((self.other(device), sealed, device.number))

    def ask(self, device: MemberDevice, make: str, *, is_heard: bool = True, is_answered: bool = True) -> None:
        try:
            operation = self._make(device, make)
        except E2eeRefused:
            return
        if not is_heard:
            return
        if not is_answered:
            if isinstance(self.talk.focus.submit(operation), AcceptedMessage):
                self.wire.append((self.other(device), len(self.talk.focus.log) - 1, device.number))
            return
        answer = self.talk.answer(device, operation)
        if isinstance(answer, AcceptedMessage):
            self.wire.append((self.other(device), len(self.talk.focus.log) - 1, device.number))

    def _make(self, device: MemberDevice, make: str) -> PendingOperation:
        control, talk = device.conversation.control, self.talk
        if make == "rekey":
            return control.rekey(talk.control_id(), talk.now_s)
        if make == "end":
            return control.end_mls(DowngradeReason.UNSET, talk.control_id(), talk.now_s)
        if make == "revive":
            return control.revive(talk.control_id(), talk.now_s)
        return control.new_era(
            [self.other(device).claim()],
            AdvanceKind.NORMAL,
            talk.control_id(),
            talk.now_s,
            server=talk.focus.state,
            carried=talk.focus.info,
        )

    def deliver(self, place: int, *, keeps: bool = False) -> None:
        if not self.wire:
            return
        place %= len(self.wire)
        device, what, sender = self.wire[place] if keeps else self.wire.pop(place)
        if isinstance(what, int):
            self.talk.deliver(device, sender, what)
        else:
            self.result(device, what.message_id, device.open(what, sender, self.talk.now_s))
        self.drain(device)

    def lose(self, place: int) -> None:
        if self.wire:
            _, what, _ = self.wire.pop(place % len(self.wire))
            if isinstance(what, Sealed):
                self.lost.add(what.message_id)

    def drain(self, device: MemberDevice) -> None:
        for envelope, outcome in device.conversation.drain(self.talk.now_s):
            if isinstance(outcome, (Opened, OpenRefusal)):
                self.result(device, envelope.message_id, outcome)

    def result(self, device: MemberDevice, message_id: str, result: OpenResult) -> None:
        if isinstance(result, Opened):
            sender, text = self.texts[message_id]
            assert (result.sender, result.entity.text) == (sender, text)
            if not result.is_replay:
                assert message_id not in self.shown[device.number]
                self.shown[device.number].append(message_id)
        elif isinstance(result, OpenRefusal):
            assert result.reason is not None, result
            self.told.add(message_id)
        else:
            assert isinstance(result, Parked)

    def restart(self, device: MemberDevice) -> None:
        octets = snapshot_conversation(device.conversation)
        device.pool = KeyPackagePool.restore(device.pool.snapshot(), device.identity)
        device.conversation = restore_conversation(octets, device.setting, device.pool)

    def repair(self, device: MemberDevice) -> None:
        """A device whose state is not the server's asks for it, and follows."""
        talk, repair = self.talk, Repair(device.conversation, _DEPLOYMENT)
        steps = repair.on_parked(Parked(Moment(9, 9), is_era_gap=True), talk.now_s)
        steps = steps or repair.request(talk.now_s, reconciles=True)
        while steps and steps[-1] in (RepairStep.PULL, RepairStep.REPLAY):
            answer = talk.focus.enhanced(device.conversation.identifier, page=2)
            steps = (
                repair.on_pull(answer, talk.now_s)
                if steps[-1] is RepairStep.PULL
                else repair.replay(answer, talk.now_s).steps
            )
        if RepairStep.ADOPT_END_MLS in steps:
            device.conversation.control.adopt_end_mls(talk.now_s)
        if RepairStep.EXTERNAL_COMMIT in steps:
            assert talk.focus.info is not None
            operation = device.conversation.control.external_commit(talk.focus.info, talk.control_id(), talk.now_s)
            self._come_in(device, operation, repair)
        self.drain(device)

    def _come_in(self, device: MemberDevice, operation: PendingOperation, repair: Repair) -> None:
        answer = self.talk.answer(device, operation)
        repair.on_answer(is_accepted=isinstance(answer, AcceptedMessage), now_s=self.talk.now_s)
        self.talk.fan_out(device)

    def settle(self) -> None:
        """Everything arrives, and who is not where the server is repairs."""
        while self.wire:
            self.deliver(0)
        for device in (*self.talk.devices, *self.talk.devices):
            settlement = device.conversation.control.settle(self.talk.focus.state, self.talk.now_s)
            if settlement is Settlement.RECONCILE:
                self.repair(device)
            if device.conversation.identifier != self.talk.focus.state:
                self.repair(device)
            self.drain(device)


_COMMON = ["send", "deliver"] * 3
_REQUESTS = ["rekey", "era", "end", "revive", "unheard", "unanswered"]
_ACTIONS = st.sampled_from([*_COMMON, *_REQUESTS, "again", "lose", "restart"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_ACTIONS, st.booleans(), st.integers(0, 50)), max_size=40), st.sampled_from(sorted(PROFILES)))
def test_nothing_is_shown_wrongly_twice_or_lost_in_silence(schedule: list[tuple[str, bool, int]], profile: str) -> None:
    world = _World(established(make_member(ALICE, PROFILES[profile]()), make_member(BOB)))
    for action, is_first, place in schedule:
        device = world.talk.devices[0 if is_first else 1]
        match action:
            case "send":
                world.send(device)
            case "deliver":
                world.deliver(place)
            case "again":
                world.deliver(place, keeps=True)
            case "lose":
                world.lose(place)
            case "unheard":
                world.ask(device, "rekey", is_heard=False)
            case "unanswered":
                world.ask(device, "era" if place % 2 else "rekey", is_answered=False)
            case "restart":
                world.restart(device)
            case _:
                world.ask(device, action)
    world.settle()
    _check_end(world)


def _check_end(world: _World) -> None:
    states = {device.conversation.state for device in world.talk.devices}
    assert states in ({ConversationState.ENCRYPTED}, {ConversationState.DOWNGRADED}), states
    if states == {ConversationState.ENCRYPTED}:
        assert {device.conversation.identifier for device in world.talk.devices} == {world.talk.focus.state}
        for device in world.talk.devices:
            before = len(world.shown[world.other(device).number])
            world.send(device)
            world.deliver(-1)
            assert len(world.shown[world.other(device).number]) == before + 1
    seen = {*world.shown[ALICE], *world.shown[BOB]}
    waiting = {
        parked.envelope.message_id for device in world.talk.devices for _, parked in device.conversation.exchange.parked
    }
    assert set(world.texts) <= seen | world.told | world.lost | waiting
    assert world.talk.now_s == NOW_S


def _fuzzed() -> tuple[Talk, list[tuple[str, bytes]]]:
    """A Welcome, a commit and an adding commit, none of which the second device has yet."""
    talk = Talk([make_member(ALICE), make_member(BOB, PROFILES["ios"]())])
    alice = talk.devices[0]
    talk.answer(alice, talk.create(alice))
    talk.answer(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
    tablet = make_member(BOB, client=2)
    talk.answer(alice, alice.conversation.control.add([tablet.claim()], [], talk.control_id(), NOW_S))
    return talk, [(control_id, octets) for _, control_id, octets in talk.focus.log]


_TALK, _ENTRIES = _fuzzed()
_BEFORE = snapshot_conversation(_TALK.devices[1].conversation)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2), st.integers(0, 4000), st.integers(1, 255), st.booleans())
def test_whatever_comes_on_the_server_plane_has_an_outcome(
    entry: int, place: int, change: int, is_joined: bool
) -> None:
    bob = _TALK.devices[1]
    device = replace(bob, conversation=restore_conversation(_BEFORE, bob.setting, _pool(bob)))
    envelope = Envelope(message_id=_ENTRIES[0][0], asserted_sender=ALICE, era=1)
    if is_joined:
        device.conversation.receive(decode_server_message(_ENTRIES[0][1]), envelope, NOW_S)
    held = device.conversation.identifier
    control_id, octets = _ENTRIES[entry]
    place %= len(octets)
    changed = octets[:place] + bytes((octets[place] ^ change,)) + octets[place + 1 :]
    try:
        arm = decode_server_message(changed)
    except ProtobufError:
        return
    outcome = device.conversation.receive(arm, replace(envelope, message_id=control_id), NOW_S)
    if isinstance(outcome, (ControlRefusal, Ignored, ParkedControl)):
        assert device.conversation.identifier == held
    device.conversation.drain(NOW_S)


def _pool(device: MemberDevice) -> KeyPackagePool:
    return KeyPackagePool.restore(device.pool.snapshot(), device.identity)
