"""The plain peer-to-peer form: nobody arbitrates, the maker sends, the lower number wins (choice)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product

import pytest

from rcs_sim.e2ee.client_message import AdvanceKind
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.control_outcome import Advanced, ControlOutcome, Ignored, IgnoredWhy, Joined
from rcs_sim.e2ee.member.conversation_snapshot import restore_conversation, snapshot_conversation
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.member.operations import E2eeRefused
from rcs_sim.e2ee.server_message import CommitBundle, RawMlsMessage, read_server_body
from rcs_sim.mls.codec import encode_opaque
from tests.support.member_devices import (
    ALICE,
    BOB,
    NOW_S,
    PROFILES,
    MemberDevice,
    Talk,
    established,
    exchanged,
    make_member,
    over_the_wire,
)


def _pair(first: str = "android", second: str = "ios") -> Talk:
    talk = Talk([make_member(ALICE, PROFILES[first]()), make_member(BOB, PROFILES[second]())])
    for device in talk.devices:
        device.conversation.control.is_arbitrated = False
    return talk


def _give(device: MemberDevice, sender: str, control_id: str, bundle: CommitBundle) -> ControlOutcome:
    envelope = Envelope(message_id=control_id, asserted_sender=sender, era=1)
    return device.conversation.receive(over_the_wire(bundle), envelope, NOW_S)


def _created(talk: Talk) -> None:
    alice, bob = talk.devices
    operation = talk.create(alice)
    joined = _give(bob, ALICE, operation.control_id, alice.conversation.control.publish(NOW_S))
    assert isinstance(joined, Joined), joined


@pytest.mark.parametrize(("first", "second"), [*product(PROFILES, repeat=2)])
def test_a_group_is_made_rekeyed_and_ended_between_two_phones_alone(first: str, second: str) -> None:
    talk = _pair(first, second)
    alice, bob = talk.devices
    _created(talk)
    assert exchanged(talk)
    operation = bob.conversation.control.rekey("c1", NOW_S)
    assert isinstance(_give(alice, BOB, "c1", bob.conversation.control.publish(NOW_S)), Advanced)
    assert alice.conversation.identifier == operation.result
    assert exchanged(talk)
    alice.conversation.control.end_mls(DowngradeReason.UNSET, "c2", NOW_S)
    assert isinstance(_give(bob, ALICE, "c2", alice.conversation.control.publish(NOW_S)), Advanced)
    assert {each.conversation.state for each in talk.devices} == {ConversationState.DOWNGRADED}


@pytest.mark.parametrize("wrap", [lambda octets: octets, encode_opaque], ids=["bare", "behind its length"])
def test_a_peer_that_sends_the_messages_bare_is_joined_and_followed(wrap: Callable[[bytes], bytes]) -> None:
    """As the carrier leg of the reference does (digest §4.7, §14.4)."""
    talk = _pair("ios", "android")
    alice, bob = talk.devices
    operation = talk.create(alice)
    bundle = alice.conversation.control.publish(NOW_S)
    envelope = Envelope(message_id=operation.control_id, asserted_sender=ALICE, era=1)
    welcome = wrap(bundle.welcome)  # an iPhone's, with the nodes behind it
    assert isinstance(bob.conversation.receive(read_server_body(welcome), envelope, NOW_S), Joined)
    assert exchanged(talk)
    bob.conversation.control.rekey("c1", NOW_S)
    commit = wrap(bob.conversation.control.publish(NOW_S).commit)
    envelope = Envelope(message_id="c1", asserted_sender=BOB, era=1)
    for arm in (read_server_body(commit), RawMlsMessage(commit)):
        outcome = alice.conversation.receive(arm, envelope, NOW_S)
        assert isinstance(outcome, Advanced | Ignored), outcome
    assert alice.conversation.identifier == bob.conversation.identifier
    assert exchanged(talk)


@pytest.mark.parametrize("restarts", [False, True])
def test_of_two_crossing_commits_that_of_the_lower_number_counts(restarts: bool) -> None:
    talk = _pair()
    alice, bob = talk.devices
    _created(talk)
    alice.conversation.control.rekey("a", NOW_S)
    bob.conversation.control.rekey("b", NOW_S)
    bundles = [each.conversation.control.publish(NOW_S) for each in talk.devices]
    if restarts:
        for device in talk.devices:
            octets = snapshot_conversation(device.conversation)
            device.conversation = restore_conversation(octets, device.setting, device.pool)
            device.conversation.control.is_arbitrated = False
            assert snapshot_conversation(device.conversation) == octets
    assert isinstance(_give(alice, BOB, "b", bundles[1]), Ignored)
    assert isinstance(_give(bob, ALICE, "a", bundles[0]), Advanced)
    assert alice.conversation.identifier == bob.conversation.identifier
    assert isinstance(_give(bob, ALICE, "a", bundles[0]), Ignored)
    assert exchanged(talk)


def test_of_two_crossing_creates_that_of_the_lower_number_counts() -> None:
    talk = _pair()
    alice, bob = talk.devices
    first, second = talk.create(alice), talk.create(bob, b"2f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e03")
    bundles = [each.conversation.control.publish(NOW_S) for each in talk.devices]
    assert isinstance(_give(alice, BOB, second.control_id, bundles[1]), Ignored)
    assert isinstance(_give(bob, ALICE, first.control_id, bundles[0]), Joined)
    assert exchanged(talk)


def _four() -> Talk:
    """Two devices of each, in one group that the first has made."""
    made = [make_member(number, PROFILES["android"](), client) for number in (ALICE, BOB) for client in (1, 2)]
    talk = established(*made)
    for device in made:
        device.conversation.control.is_arbitrated = False
    return talk


def _rekeyed(device: MemberDevice, control_id: str) -> CommitBundle:
    device.conversation.control.rekey(control_id, NOW_S)
    return device.conversation.control.publish(NOW_S)


def _passed_on(device: MemberDevice, passes: str, control_id: str, bundle: CommitBundle) -> ControlOutcome:
    """What another device of the own user has committed, brought by the peer."""
    envelope = Envelope(message_id=control_id, asserted_sender=passes, era=1, named_sender=device.number)
    return device.conversation.receive(over_the_wire(bundle), envelope, NOW_S)


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_crossing_commits_of_one_user_s_devices_that_of_the_lower_leaf_counts(order: str) -> None:
    """In whatever order they come to each of the others."""
    talk = _four()
    one, other, bob, second = talk.devices
    bundles = {"a": _rekeyed(one, "a"), "b": _rekeyed(other, "b")}
    for device, sequence in ((bob, order), (second, order[::-1])):
        for name in sequence:
            _give(device, ALICE, name, bundles[name])
        assert isinstance(_give(device, ALICE, "a", bundles["a"]), Ignored), "once is enough"
    assert isinstance(_passed_on(one, BOB, "b", bundles["b"]), Ignored)
    assert isinstance(_passed_on(one, BOB, "a", bundles["a"]), Ignored), "his own"
    assert isinstance(_passed_on(other, BOB, "b", bundles["b"]), Ignored), "his own"
    assert isinstance(_passed_on(other, BOB, "a", bundles["a"]), Advanced)
    assert len({device.conversation.identifier for device in talk.devices}) == 1
    assert exchanged(talk)


@pytest.mark.parametrize("order", list(permutations(range(4)))[::3])
def test_of_commits_of_all_four_at_once_one_is_everybodys(order: tuple[int, ...]) -> None:
    """One that has lost leaves no trace: the next is compared with the one that was taken."""
    talk = _four()
    bundles = [_rekeyed(device, f"commit {place}") for place, device in enumerate(talk.devices)]
    for device in talk.devices:
        for place in order:
            maker = talk.devices[place]
            if maker is device:
                continue
            if maker.number == device.number:
                _passed_on(device, BOB if device.number == ALICE else ALICE, f"commit {place}", bundles[place])
            else:
                _give(device, maker.number, f"commit {place}", bundles[place])
    assert len({device.conversation.identifier for device in talk.devices}) == 1
    assert exchanged(talk)


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_of_new_eras_of_all_four_at_once_one_is_everybodys(order: tuple[int, ...]) -> None:
    """That of the lower number, and of its devices of the one with the lower client id; in any order."""
    talk = _four()
    made = []
    for device in talk.devices:
        packages = [each.claim() for each in talk.others(device)]
        operation = device.conversation.control.new_era(
            packages, AdvanceKind.NORMAL, f"era {len(made)}", NOW_S, server=None, carried=None
        )
        made.append((device, operation, device.conversation.control.publish(NOW_S)))
    for device in talk.devices:
        for maker, operation, bundle in (made[place] for place in order):
            if maker is device:
                continue
            if maker.number == device.number:
                _passed_on(device, BOB if device.number == ALICE else ALICE, operation.control_id, bundle)
            else:
                _give(device, maker.number, operation.control_id, bundle)
    states = {device.conversation.identifier for device in talk.devices}
    assert len(states) == 1, states
    assert exchanged(talk)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_commit_that_was_taken_is_undone_for_that_of_a_lower_number(restarts: bool) -> None:
    """Alice's second device hears of Bob's commit before that of her first, which it crossed."""
    talk = _four()
    one, other, bob, second = talk.devices
    first, crossing = _rekeyed(one, "a"), _rekeyed(bob, "b")
    assert isinstance(_give(other, BOB, "b", crossing), Advanced)
    if restarts:
        octets = snapshot_conversation(other.conversation)
        other.conversation = restore_conversation(octets, other.setting, other.pool)
        other.conversation.control.is_arbitrated = False
        assert snapshot_conversation(other.conversation) == octets
    assert isinstance(_passed_on(other, BOB, "a", first), Advanced)
    assert isinstance(_give(bob, ALICE, "a", first), Advanced)
    assert isinstance(_give(second, ALICE, "a", first), Advanced)
    assert isinstance(_passed_on(second, ALICE, "b", crossing), Ignored)
    assert isinstance(_give(one, BOB, "b", crossing), Ignored)
    assert len({device.conversation.identifier for device in talk.devices}) == 1
    assert exchanged(talk)


def test_the_way_back_is_given_up_with_the_secrets_of_its_epoch() -> None:
    """RCC.16 §6.1.1: what an epoch that is over can be entered with is not kept for longer than it can be read."""
    talk = _four()
    one, _, bob, _ = talk.devices
    assert isinstance(_give(bob, ALICE, "a", _rekeyed(one, "a")), Advanced)
    for device in (one, bob):
        group = device.conversation.group
        assert group is not None
        kept_s = device.setting.profile.past_epochs_s
        group.forget_past(NOW_S + kept_s)
        assert group.before is not None
        group.forget_past(NOW_S + kept_s + 1)
        assert group.before is None


def test_with_a_focus_nothing_is_kept_to_go_back_to() -> None:
    one, other = (talk := established(make_member(ALICE), make_member(BOB))).devices
    talk.request(other, other.conversation.control.rekey("c", NOW_S))
    group = one.conversation.group
    assert group is not None
    assert group.moment.epoch == 2
    assert group.before is None


@pytest.mark.parametrize(("heard", "begun"), [(0, 1), (3, 4), (64, 65), (65, 65), (2**32 - 1, 65)])
def test_the_first_group_of_who_was_outside_is_later_than_what_he_has_heard_of(heard: int, begun: int) -> None:
    """What a peer names in clear leads 64 eras ahead at most."""
    talk = _pair()
    alice, bob = talk.devices
    bob.conversation.control.heard_era = heard
    operation = talk.create(bob)
    joined = _give(alice, BOB, operation.control_id, bob.conversation.control.publish(NOW_S))
    assert isinstance(joined, Joined), joined
    assert joined.moment.era == begun
    assert exchanged(talk)


@pytest.mark.parametrize(("heard", "begun"), [(0, 2), (1, 2), (5, 6), (2**32 - 1, 66)])
def test_a_new_era_is_later_than_what_was_heard_of(heard: int, begun: int) -> None:
    talk = _pair()
    alice, bob = talk.devices
    _created(talk)
    bob.conversation.control.heard_era = heard
    packages = [alice.claim()]
    operation = bob.conversation.control.new_era(packages, AdvanceKind.NORMAL, "e", NOW_S, server=None, carried=None)
    assert operation.result is not None
    assert operation.result.era_id == begun
    assert isinstance(_give(alice, BOB, "e", bob.conversation.control.publish(NOW_S)), Joined)
    assert exchanged(talk)


def test_with_a_focus_an_era_that_was_heard_of_says_nothing() -> None:
    talk = _pair()
    bob = talk.devices[1]
    bob.conversation.control.is_arbitrated = True
    bob.conversation.control.heard_era = 9
    operation = talk.create(bob)
    assert operation.result is not None
    assert operation.result.era_id == 1


def test_a_group_that_loses_is_told_from_a_welcome_that_comes_again() -> None:
    talk = _pair()
    alice, bob = talk.devices
    operations = [talk.create(each) for each in talk.devices]
    bundles = [each.conversation.control.publish(NOW_S) for each in talk.devices]
    assert _give(alice, BOB, operations[1].control_id, bundles[1]) == Ignored(IgnoredWhy.LOST_RACE)
    assert isinstance(_give(bob, ALICE, operations[0].control_id, bundles[0]), Joined)
    assert _give(bob, ALICE, "again", bundles[0]) == Ignored(IgnoredWhy.REPLAYED_WELCOME)


def test_nothing_is_published_that_was_not_asked_for() -> None:
    with pytest.raises(E2eeRefused):
        _pair().devices[0].conversation.control.publish(NOW_S)
