from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rcs_sim.client.display import Shown
from rcs_sim.client.e2ee.downgrade import MAX_ATTEMPTS, PAUSE_S
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.e2ee.extension_bodies import DowngradeReason, EndMlsForm, end_mls_extension, has_end_mls
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.messages import MLSMessage
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, focus_fault, focus_of, locked, mls_of, notes, thread_of

_FIVE_ATTEMPTS_S = MAX_ATTEMPTS * (PAUSE_S + 30)


def _tombstones(stage: Stage, *phones: object) -> list[list[str]]:
    return [[one.details["text"] for one in stage.shown(phone, Shown.TOMBSTONE)] for phone in phones]  # type: ignore[arg-type]  # phones


@pytest.mark.parametrize("theirs", ["android", "ios", "strict-v3", "strict-v4"])
@pytest.mark.parametrize("ours", ["android", "strict-v3", "strict-v4"])
@scenario("two-carriers")
async def test_either_form_of_the_end_is_understood_by_everybody(stage: Stage, ours: str, theirs: str) -> None:
    alice = await stage.phone("alice", ALICE, ours)
    bob = await stage.phone("bob", BOB, theirs)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("secret")).delivered(within_s=30)
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(20)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    assert _tombstones(stage, alice, bob) == [["encryption ended"]] * 2
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        plain = await phone.chat(peer).send("plain, and shown so")
        await plain.delivered(within_s=30)
        assert (plain.scheme, plain.label) == (None, "RCS")
    held = engine_of(alice, BOB).group
    assert held is not None
    assert has_end_mls(held.group.context.extensions)


@scenario("two-carriers")
async def test_who_never_opened_the_conversation_sees_what_it_is_after_the_end(stage: Stage) -> None:
    """The lock of a message that was on its way then is not taken for one of the conversation."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("we have a lock")).delivered(within_s=30)
    assert stage.shown(bob, Shown.LABEL) == []
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(20)
    assert [one.details["label"] for one in stage.shown(bob, Shown.LABEL)] == ["RCS"]
    mls_of(alice)._healing.revive(thread_of(alice, BOB))
    await asyncio.sleep(20)
    assert [one.details["label"] for one in stage.shown(bob, Shown.LABEL)] == ["RCS", LOCKED]


@scenario("two-carriers")
async def test_both_end_it_at_the_same_moment(stage: Stage) -> None:
    alice, bob = await locked(stage)
    alice.chat(BOB).end_encryption()
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(300)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    assert _tombstones(stage, alice, bob) == [["encryption ended"]] * 2


@scenario("two-carriers")
async def test_who_was_away_learns_of_the_end_before_he_writes(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await bob.power_off()
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(60)
    plain = await alice.chat(BOB).send("nobody hides this")
    await bob.power_on()
    await plain.delivered(within_s=120)
    await asyncio.sleep(10)
    assert bob.chat(ALICE).label == "RCS"
    answer = await bob.chat(ALICE).send("nor this")
    await answer.delivered(within_s=60)
    assert (answer.scheme, answer.label) == (None, "RCS")


@pytest.mark.parametrize("lasts_s", [60, 400])
@scenario("two-carriers")
async def test_an_end_that_is_refused_for_a_while_is_tried_again(stage: Stage, lasts_s: int) -> None:
    alice, bob = await locked(stage)
    focus_fault(stage, refuses_with=ServerFailureReason.INVALID_COMMIT)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(lasts_s)
    assert alice.chat(BOB).label == "RCS"
    assert bob.chat(ALICE).label == LOCKED
    focus_fault(stage)
    await asyncio.sleep(_FIVE_ATTEMPTS_S)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    assert _tombstones(stage, alice, bob) == [["encryption ended"]] * 2
    state = engine_of(alice, BOB).identifier
    assert state is not None
    assert (state.era_id, state.epoch_id) == (1, 2)


@scenario("two-carriers")
async def test_an_end_that_cannot_land_is_made_by_a_new_era_that_is_born_ended(stage: Stage) -> None:
    alice, bob = await locked(stage)
    focus_fault(stage, refuses_with=ServerFailureReason.INVALID_COMMIT)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep((MAX_ATTEMPTS - 1) * PAUSE_S - 5)
    assert sum(one == "request: end mls" for one in notes(stage, alice)) == MAX_ATTEMPTS - 1
    # from now on the focus takes requests again, but commits of this epoch fail: somebody else was first
    focus_fault(stage, refuses_with=ServerFailureReason.INCORRECT_EPOCH)
    await asyncio.sleep(10)
    focus_fault(stage)
    await asyncio.sleep(400)
    assert any(one == "accepted: phoenix" for one in notes(stage, alice)), notes(stage, alice)
    conversation = focus_of(stage).conversation(ALICE[1:], BOB[1:])
    assert conversation is not None
    assert conversation.state is not None
    assert conversation.state.era_id == 2
    assert alice.chat(BOB).label == "RCS"
    # bob has no leaf in what was born ended: he learns of it when he next asks, or writes
    message = bob.chat(ALICE).send("can this be sealed?")
    await asyncio.sleep(300)
    assert bob.chat(ALICE).label == "RCS"
    assert message.state in (MessageState.FAILED, MessageState.DELIVERED)
    assert not readable(stage, "can this be sealed?")  # it was written under a lock
    assert engine_of(alice, BOB).state is ConversationState.DOWNGRADED


@scenario("two-carriers")
async def test_after_phoenix_encryption_comes_back_in_a_new_era(stage: Stage) -> None:
    alice, bob = await locked(stage)
    focus_fault(stage, refuses_with=ServerFailureReason.INVALID_COMMIT)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep((MAX_ATTEMPTS - 1) * PAUSE_S + 60)
    focus_fault(stage)
    await asyncio.sleep(400)
    assert alice.chat(BOB).label == "RCS"
    alice.chat(BOB).revive_encryption()
    await asyncio.sleep(120)
    assert alice.chat(BOB).label == LOCKED
    message = await alice.chat(BOB).send("back behind the door")
    await message.delivered(within_s=300)
    assert message.scheme is Scheme.MLS
    assert bob.chat(ALICE).label == LOCKED
    assert readable(stage, "behind the door") == []
    assert texts(bob)[-1] == "back behind the door"


@scenario("two-carriers")
async def test_while_the_end_is_under_way_the_mark_does_not_come_back(stage: Stage) -> None:
    alice, bob = await locked(stage)
    focus_fault(stage, is_silent=True)
    alice.chat(BOB).end_encryption()
    labels = set()
    for _ in range(60):
        await asyncio.sleep(5)
        labels.add(alice.chat(BOB).label)
    assert labels == {"RCS"}
    focus_fault(stage)
    await asyncio.sleep(_FIVE_ATTEMPTS_S)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    assert _tombstones(stage, alice, bob) == [["encryption ended"]] * 2


@scenario("two-carriers")
async def test_an_end_that_was_cut_off_by_an_empty_battery_goes_on_afterwards(stage: Stage) -> None:
    alice, bob = await locked(stage)
    focus_fault(stage, is_silent=True, refuses_with=ServerFailureReason.INVALID_COMMIT)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(3)
    await alice.lose_power()
    focus_fault(stage)
    await asyncio.sleep(60)
    assert bob.chat(ALICE).label == LOCKED
    await alice.power_on()
    await asyncio.sleep(300)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"


@scenario("two-carriers")
async def test_what_waited_under_the_lock_fails_when_the_peer_ends_it(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await alice.airplane(True)
    message = alice.chat(BOB).send("written under the lock")
    bob.chat(ALICE).end_encryption()
    await asyncio.sleep(30)
    await alice.airplane(False)
    await asyncio.sleep(300)
    assert message.state is MessageState.FAILED
    assert readable(stage, "written under the lock") == []
    assert message.was_locked


@scenario("two-carriers")
async def test_to_end_what_is_not_encrypted_changes_nothing(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(5)
    assert not any("end mls" in one for one in notes(stage, alice))
    assert _tombstones(stage, alice) == [[]]


@scenario("two-carriers")
async def test_what_has_not_ended_is_not_revived(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    alice.chat(BOB).revive_encryption()
    await asyncio.sleep(10)
    assert not any("revive" in one or "new era" in one for one in notes(stage, alice))


def _with_an_end(info: MlsGroupInfo) -> MlsGroupInfo:
    """As a focus would make it up: the GroupInfo of a later epoch that has ended, under the old signature."""
    body = MLSMessage.decode(info.group_info, RCS_CUSTOM_BODIES).body
    assert isinstance(body, GroupInfo)
    context = body.group_context
    extensions = (*context.extensions, end_mls_extension(EndMlsForm.LITERAL, DowngradeReason.UNSET))
    later = replace(context, epoch=context.epoch + 1, extensions=extensions)
    forged = GroupInfo(later, body.extensions, body.confirmation_tag, body.signer, body.signature)
    return replace(info, group_info=b"\x00\x01\x00\x04" + forged.encode())


@scenario("two-carriers")
async def test_an_end_that_no_member_has_signed_ends_nothing(stage: Stage) -> None:
    alice, bob = await locked(stage)
    focus, mls = focus_of(stage), mls_of(alice)
    held = focus.conversation(ALICE[1:], BOB[1:])
    assert held is not None
    assert held.live is not None
    focus_fault(stage, is_silent=True)
    mls._healing.heal(thread_of(alice, BOB), "somebody says that it has ended")
    (control_id,) = mls._context.channel._pending
    assert mls._context.channel.answered(control_id, _with_an_end(held.live.pulled))
    await asyncio.sleep(1)
    assert any(one.startswith("end not proven") for one in notes(stage, alice)), notes(stage, alice)[-5:]
    assert engine_of(alice, BOB).state is ConversationState.ENCRYPTED
    message = alice.chat(BOB).send("never in clear")
    focus_fault(stage)
    await asyncio.sleep(300)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    assert not readable(stage, "never in clear")
    assert message.state in (MessageState.DELIVERED, MessageState.FAILED)
