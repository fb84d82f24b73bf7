"""Conversations between devices of every profile (RCC.16 §6 to §9)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from rcs_sim.e2ee.client_message import AdvanceKind
from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.member.application_opening import Envelope, OpenRefusal, RefusalKind
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal
from rcs_sim.e2ee.member.control_outcome import Advanced, Joined
from rcs_sim.e2ee.member.control_plane import CONVERGENCE_WAIT_S, Hold
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.member.message_exchange import Parked
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.operations import E2eeRefused, SealRefusal
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.e2ee.profile import google_like_profile, strict_v3_profile
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
)

CAROL = "12025550103"


def _pair() -> tuple[Talk, MemberDevice, MemberDevice]:
    talk = established(make_member(ALICE), make_member(BOB, PROFILES["ios"]()))
    alice, bob = talk.devices
    return talk, alice, bob


def _text(result: object) -> str:
    assert isinstance(result, Opened), result
    return result.entity.text


@pytest.mark.parametrize(("first", "second"), [*product(PROFILES, repeat=2)])
def test_every_pair_of_profiles_establishes_talks_rekeys_and_talks_on(first: str, second: str) -> None:
    talk = established(make_member(ALICE, PROFILES[first]()), make_member(BOB, PROFILES[second]()))
    assert {each.conversation.state for each in talk.devices} == {ConversationState.ENCRYPTED}
    assert {each.conversation.identifier for each in talk.devices} == {talk.focus.state}
    assert exchanged(talk)
    for device in talk.devices:
        outcomes = talk.request(device, device.conversation.control.rekey(talk.control_id(), NOW_S))
        assert isinstance(outcomes[0], Advanced)
        assert {each.conversation.identifier for each in talk.devices} == {talk.focus.state}
        assert exchanged(talk)


def test_all_devices_of_both_participants_join_by_one_welcome() -> None:
    phone, tablet, bob = make_member(ALICE), make_member(ALICE, client=2), make_member(BOB, PROFILES["ios"]())
    other = make_member(BOB, PROFILES["lineage-like"](), client=2)
    talk = established(phone, tablet, bob, other)
    assert exchanged(talk)
    group = tablet.conversation.group
    assert group is not None
    assert group.roster.numbers == {ALICE, BOB}
    assert len(group.roster.leaves_of(ALICE)) == 2


def test_without_a_group_nothing_is_sealed() -> None:
    alice = make_member(ALICE)
    with pytest.raises(E2eeRefused) as caught:
        alice.seal("hello")
    assert caught.value.refusal is SealRefusal.NO_GROUP
    assert alice.conversation.state is ConversationState.NONE


def test_a_group_that_the_focus_has_not_taken_seals_nothing() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    talk.create(alice)
    assert alice.conversation.state is ConversationState.PENDING
    assert alice.conversation.gate(NOW_S).refusal is SealRefusal.NO_GROUP


def test_the_same_message_is_sealed_once() -> None:
    _, alice, bob = _pair()
    first = alice.conversation.seal(text_entity("hello"), "m1", NOW_S)
    assert alice.conversation.seal(text_entity("hello"), "m1", NOW_S) is first
    alice.conversation.message_refused("m1", FocusRefusal(reason="transient-error"))
    assert alice.conversation.seal(text_entity("hello"), "m1", NOW_S) is first
    alice.conversation.message_refused("m1", FocusRefusal(reason="incorrect-epoch"))
    again = alice.conversation.seal(text_entity("hello"), "m1", NOW_S)
    assert again.octets != first.octets
    assert _text(bob.open(again, ALICE)) == "hello"


def test_a_duplicate_gets_the_result_of_before_and_is_not_decrypted_again() -> None:
    _, alice, bob = _pair()
    sealed = alice.seal("hello")
    first = bob.open(sealed, ALICE)
    again = bob.open(sealed, ALICE)
    assert isinstance(first, Opened)
    assert again == replace(first, is_replay=True)
    other = replace(alice.seal("other"), message_id=sealed.message_id)
    assert _text(bob.open(other, ALICE)) == "hello"


def test_messages_come_in_any_order() -> None:
    _, alice, bob = _pair()
    sealed = [alice.seal(str(number)) for number in range(20)]
    assert [_text(bob.open(each, ALICE)) for each in reversed(sealed)] == [str(n) for n in reversed(range(20))]


def test_an_impersonation_is_dropped_without_a_word_and_the_genuine_copy_still_opens() -> None:
    talk, alice, bob = _pair()
    sealed = alice.seal("hello")
    refused = bob.open(sealed, CAROL)
    assert isinstance(refused, OpenRefusal)
    assert (refused.kind, refused.reason) == (RefusalKind.IMPERSONATION, None)
    assert _text(bob.open(sealed, ALICE)) == "hello"
    assert exchanged(talk)


def test_a_message_under_another_id_is_not_shown_and_is_no_failure_to_decrypt() -> None:
    _, alice, bob = _pair()
    sealed = alice.seal("hello")
    refused = bob.open(replace(sealed, message_id="another"), ALICE)
    assert isinstance(refused, OpenRefusal)
    assert (refused.kind, refused.reason) == (RefusalKind.BAD_BINDING, None)
    assert _text(bob.open(sealed, ALICE)) == "hello"


def test_a_message_of_the_next_epoch_waits_for_its_commit() -> None:
    talk, alice, bob = _pair()
    operation = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    talk.answer(alice, operation)
    early = [alice.seal("one"), alice.seal("two")]
    for sealed in early:
        parked = bob.open(sealed, ALICE)
        assert parked == Parked(Moment(1, 2))
    talk.fan_out(alice)
    drained = bob.conversation.drain(NOW_S)
    assert [_text(result) for _, result in drained] == ["one", "two"]
    assert bob.conversation.drain(NOW_S) == []


def test_commits_that_come_in_the_wrong_order_are_applied_in_the_right_one() -> None:
    talk, alice, bob = _pair()
    for _ in range(3):
        talk.answer(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
    late = alice.seal("after all of them")
    assert isinstance(bob.open(late, ALICE), Parked)
    for entry in (3, 2, 1):
        talk.deliver(bob, ALICE, entry)
    drained = bob.conversation.drain(NOW_S)
    assert isinstance(drained[0][1], Advanced)
    assert _text(drained[-1][1]) == "after all of them"
    assert bob.conversation.identifier == talk.focus.state


def test_a_message_of_an_era_to_come_waits_and_asks_for_its_welcome() -> None:
    talk, alice, bob = _pair()
    old = alice.seal("old")
    packages = [bob.claim()]
    control = alice.conversation.control
    operation = control.new_era(
        packages, AdvanceKind.NORMAL, talk.control_id(), NOW_S, server=talk.focus.state, carried=talk.focus.info
    )
    talk.answer(alice, operation)
    sealed = alice.seal("new")
    assert bob.open(sealed, ALICE) == Parked(Moment(2, 1), is_era_gap=True)
    (joined,) = talk.fan_out(alice)
    assert isinstance(joined, Joined)
    assert joined.is_new_era
    assert [_text(result) for _, result in bob.conversation.drain(NOW_S)] == ["new"]
    refused = bob.open(old, ALICE)
    assert isinstance(refused, OpenRefusal)
    assert refused.kind is RefusalKind.SUPERSEDED
    assert exchanged(talk)


def test_a_message_before_its_welcome_waits_three_seconds_until_it_is_told_of() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    talk.answer(alice, talk.create(alice))
    sealed = alice.seal("hello")
    parked = bob.open(sealed, ALICE, NOW_S)
    assert isinstance(parked, Parked)
    assert parked.has_no_group
    assert bob.conversation.exchange.next_overdue_s() == NOW_S + 3
    assert bob.conversation.exchange.overdue(NOW_S) == bob.conversation.exchange.overdue(NOW_S + 2) == []
    assert [each.message_id for each in bob.conversation.exchange.overdue(NOW_S + 3)] == [sealed.message_id]
    assert bob.conversation.exchange.overdue(NOW_S + 9) == []
    talk.fan_out(alice)
    assert [_text(result) for _, result in bob.conversation.drain(NOW_S)] == ["hello"]


def test_what_was_noted_by_a_clock_that_has_been_put_back_since_holds_up_nothing() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    talk.answer(alice, talk.create(alice))
    sealed = alice.seal("hello")
    bob.open(sealed, ALICE, NOW_S)
    assert [each.message_id for each in bob.conversation.exchange.overdue(NOW_S - 1)] == [sealed.message_id]
    hold = Hold("c1", NOW_S + CONVERGENCE_WAIT_S)
    lasts = [hold.lasts(NOW_S + at_s) for at_s in (-1, 0, CONVERGENCE_WAIT_S - 1, CONVERGENCE_WAIT_S)]
    assert lasts == [False, True, True, False]


def test_a_past_epoch_is_read_as_long_as_the_profile_keeps_it() -> None:
    for profile, days in ((strict_v3_profile(), 3), (PROFILES["strict-v4"](), 30)):
        talk = established(make_member(ALICE), make_member(BOB, profile))
        alice, bob = talk.devices
        late = [alice.seal("in time"), alice.seal("too late")]
        talk.request(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
        assert _text(bob.open(late[0], ALICE, NOW_S + 86400)) == "in time"
        talk.now_s = NOW_S + days * 86400 + 1
        talk.request(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
        refused = bob.open(late[1], ALICE, talk.now_s)
        assert isinstance(refused, OpenRefusal)
        assert refused.kind is RefusalKind.UNDECRYPTABLE


def test_a_ghost_or_a_missing_member_stops_all_sealing() -> None:
    _, alice, _ = _pair()
    alice.conversation.set_participants([ALICE, BOB, CAROL])
    gate = alice.conversation.gate(NOW_S)
    assert (gate.refusal, gate.numbers) == (SealRefusal.MISSING_MEMBER, frozenset({CAROL}))
    alice.conversation.excuse([CAROL], NOW_S)
    assert alice.conversation.gate(NOW_S + 9).is_open
    assert not alice.conversation.gate(NOW_S - 1).is_open  # the clock has been put back since
    assert not alice.conversation.gate(NOW_S + 10).is_open
    alice.conversation.set_participants([ALICE, CAROL])
    gate = alice.conversation.gate(NOW_S + 10)
    assert (gate.refusal, gate.numbers) == (SealRefusal.GHOST_MEMBER, frozenset({BOB}))
    with pytest.raises(E2eeRefused) as caught:
        alice.seal("hello", NOW_S + 10)
    assert caught.value.numbers == {BOB}


def test_what_a_ghost_has_signed_is_not_shown() -> None:
    _, alice, bob = _pair()
    alice.conversation.set_participants([ALICE, CAROL])
    sealed = bob.seal("boo")
    refused = alice.open(sealed, BOB)
    assert isinstance(refused, OpenRefusal)
    assert refused.kind is RefusalKind.NON_MEMBER
    assert refused.reason == "message-from-non-member"
    alice.conversation.set_participants([ALICE, BOB])
    assert _text(alice.open(sealed, BOB)) == "boo"


def test_after_the_end_of_mls_nothing_is_sealed_by_anybody() -> None:
    for form in ("android", "strict-v3", "strict-v4"):
        talk = established(make_member(ALICE, PROFILES[form]()), make_member(BOB, PROFILES["ios"]()))
        alice, bob = talk.devices
        control = alice.conversation.control
        reason = DowngradeReason.CLIENT_ENCRYPTION_NOT_AVAILABLE
        (outcome,) = talk.request(alice, control.end_mls(reason, talk.control_id(), NOW_S))
        assert isinstance(outcome, Advanced)
        assert outcome.has_ended
        for device in (alice, bob):
            assert device.conversation.state is ConversationState.DOWNGRADED
            with pytest.raises(E2eeRefused) as caught:
                device.seal("hello")
            assert caught.value.refusal is SealRefusal.DOWNGRADED
        (outcome,) = talk.request(bob, bob.conversation.control.revive(talk.control_id(), NOW_S))
        assert isinstance(outcome, Advanced)
        assert outcome.has_revived
        assert exchanged(talk)


def test_messages_wait_for_convergence_where_the_profile_says_so() -> None:
    talk, alice, bob = _pair()
    assert google_like_profile().waits_for_convergence
    operation = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    assert alice.conversation.gate(NOW_S).refusal is SealRefusal.HELD
    assert alice.conversation.gate(NOW_S + 90).is_open
    talk.answer(alice, operation)
    assert alice.conversation.gate(NOW_S).is_open
    bob.conversation.control.rekey(talk.control_id(), NOW_S)
    assert bob.conversation.gate(NOW_S).is_open


def test_a_leaf_is_rotated_after_so_many_sends_and_the_higher_number_waits_longer() -> None:
    profile = replace(PROFILES["ios"](), rotate_after_sends=4)
    talk = established(make_member(ALICE, profile), make_member(BOB, profile))
    alice, bob = talk.devices
    for device, sends in ((alice, 4), (bob, 6)):
        for _ in range(sends):
            assert not device.conversation.needs_rotation
            device.seal("hello")
        assert device.conversation.needs_rotation
    alice.conversation.defer_rotation()
    assert not alice.conversation.needs_rotation
    talk.request(bob, bob.conversation.control.rekey(talk.control_id(), NOW_S))
    assert not bob.conversation.needs_rotation


def test_octets_that_are_no_message_are_refused() -> None:
    _, alice, bob = _pair()
    sealed = alice.seal("hello")
    envelope = Envelope(message_id=sealed.message_id, asserted_sender=ALICE, era=1)
    for octets in (b"", b"\x00\x01", sealed.octets[:-1], sealed.octets[:-1] + bytes((sealed.octets[-1] ^ 1,))):
        refused = bob.conversation.open(octets, envelope, NOW_S)
        assert isinstance(refused, OpenRefusal)
        assert refused.reason == "failed-to-decrypt"
    assert _text(bob.open(sealed, ALICE)) == "hello"


def test_what_gives_way_to_a_flood_is_told_of() -> None:
    talk, alice, bob = _pair()
    talk.answer(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
    first = alice.seal("first")
    assert isinstance(bob.open(first, ALICE), Parked)
    flood = alice.seal("flood")
    for number in range(1024):
        assert isinstance(bob.open(replace(flood, message_id=f"flood {number}"), ALICE, NOW_S + 1), Parked)
    ((envelope, refused),) = bob.conversation.drain(NOW_S)
    assert envelope.message_id == first.message_id
    assert isinstance(refused, OpenRefusal)
    assert refused.reason == "failed-to-decrypt"
