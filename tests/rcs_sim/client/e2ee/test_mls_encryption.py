from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rcs_sim.client.display import Shown
from rcs_sim.client.encryption import NotSealed, Scheme, SealStep
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity, edit_entity, reaction_entity
from rcs_sim.e2ee.message_id import is_mx_message_id
from rcs_sim.scenario.loader import load_device
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    LOCKED,
    engine_of,
    focus_fault,
    headers_of_state,
    inject,
    locked,
    mls_of,
    notes,
    pair_locked,
    reinstalled,
    sealed_cpim,
    thread_of,
)


@scenario("two-carriers")
async def test_a_message_is_sealed_once_and_gives_the_same_octets_again(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    message = alice.chat(BOB).send("one seal")
    await message.delivered(within_s=30)
    sealed = message.sealed
    assert sealed is not None
    assert mls_of(alice).seal(message).octets == sealed.octets
    assert (sealed.scheme, sealed.content_type) == (Scheme.MLS, MlsContentType.MESSAGE)
    assert [one.name for one in sealed.headers] == ["Era-ID", "Epoch-Authenticator"]
    assert "negative-delivery" in sealed.wishes
    assert is_mx_message_id(message.id)


@scenario("two-carriers")
async def test_nothing_is_sealed_without_a_group_and_the_reason_is_named(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    message = alice.chat(BOB).send("before")
    await message.delivered(within_s=30)
    mls_of(alice)._context.renew_engine(thread_of(alice, BOB))
    with pytest.raises(NotSealed) as refused:
        mls_of(alice).seal(message)
    assert refused.value.reason is FallbackReason.NO_ENCRYPTION_STATE


@scenario("two-carriers")
async def test_a_marked_conversation_without_keys_is_refused_and_never_goes_in_clear(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    conversation = alice.chat(BOB)._conversation
    mls_of(alice)._context.renew_engine(thread_of(alice, BOB))
    decision = mls_of(alice).decide(conversation, may_wait=False)
    assert (decision.step, decision.reason) == (SealStep.REFUSE, FallbackReason.NO_ENCRYPTION_STATE)
    assert mls_of(alice).decide(conversation, may_wait=True).step is SealStep.WAIT  # it is repaired first
    assert mls_of(alice).scheme_of(conversation) is Scheme.MLS


@scenario("two-carriers")
async def test_a_ghost_in_the_group_stops_sending_until_an_era_without_it(stage: Stage) -> None:
    alice, bob = await locked(stage)
    engine = engine_of(alice, BOB)
    engine.set_participants((ALICE[1:], AMY[1:]))  # as if bob's certified number were nobody's here
    decision = mls_of(alice).decide(alice.chat(BOB)._conversation, may_wait=True)
    assert decision.step is not SealStep.SEAL
    assert any(one == f"unexpected member: {BOB[1:]}" for one in notes(stage, alice))
    engine.set_participants((ALICE[1:], BOB[1:]))
    await asyncio.sleep(30)
    message = await alice.chat(BOB).send("only the two of us")
    await message.delivered(within_s=120)
    assert texts(bob)[-1] == "only the two of us"
    assert alice.chat(BOB).label == LOCKED


@scenario("two-carriers")
async def test_a_peer_without_the_tags_is_written_to_in_clear(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    nobody = alice.chat("+12025550199")
    message = nobody.send("hello out there")
    await asyncio.sleep(60)
    assert message.scheme is None
    assert nobody.scheme is None
    assert nobody.security_code is None


@scenario("two-carriers")
async def test_both_users_compare_the_same_code_and_see_when_it_changes(stage: Stage) -> None:
    alice, bob = await locked(stage)
    code = alice.chat(BOB).security_code
    assert code == bob.chat(ALICE).security_code
    assert code is not None
    assert len([each for each in code if each.isdigit()]) == 80
    await bob.wipe()
    await bob.power_on()
    await (await bob.chat(ALICE).send("my new phone")).delivered(within_s=300)
    assert alice.chat(BOB).security_code == bob.chat(ALICE).security_code != code
    assert alice.chat(BOB).security_code is not None
    assert "security code changed" in [one.details["text"] for one in stage.shown(alice, Shown.TOMBSTONE)]


@scenario("two-carriers")
async def test_all_devices_of_a_user_show_the_same_code(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB)
    tablet = await stage.phone("tablet", BOB)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("compare")).delivered(within_s=30)
    await asyncio.sleep(5)
    codes = {alice.chat(BOB).security_code, bob.chat(ALICE).security_code, tablet.chat(ALICE).security_code}
    assert len(codes) == 1
    assert None not in codes


@scenario("two-carriers")
async def test_an_edit_of_the_author_is_shown_and_a_reaction_gets_no_displayed_receipt(stage: Stage) -> None:
    alice, bob = await locked(stage, reads_after_s=1.0)
    first = await alice.chat(BOB).send("helo")
    await first.delivered(within_s=30)
    entities: list[EncryptedEntity] = [edit_entity(first.id, "hello"), reaction_entity(first.id, "👍")]
    for entity in entities:
        control = engine_of(alice, BOB)
        message_id = mls_of(alice)._context.new_id()
        sealed = control.seal(entity, message_id, int(alice._messenger.alarms.now()))
        inject(alice, BOB, sealed_cpim(alice, message_id, sealed.octets, headers_of_state(alice, BOB)))
        await asyncio.sleep(5)
    changes = [(one.details["kind"], one.details["text"]) for one in stage.shown(bob, Shown.CHANGE)]
    assert changes == [("Edit", "hello"), ("+Reaction", "👍")]
    assert texts(bob)[-1] == "helo"
    assert readable(stage, "👍") == []


@scenario("two-carriers")
async def test_what_was_written_under_the_lock_is_never_sent_in_clear_by_hand_either(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    await alice.airplane(True)
    message = alice.chat(BOB).send("for your eyes only")
    await asyncio.sleep(900)
    assert message.state is MessageState.FAILED
    alice.chat(BOB).end_encryption()
    await alice.airplane(False)
    await asyncio.sleep(300)
    message.send_as_sms()
    await asyncio.sleep(60)
    assert message.state is MessageState.FAILED
    assert readable(stage, "your eyes") == []
    consented = await alice.chat(BOB).send("anybody may read this one")
    await consented.delivered(within_s=60)
    assert (consented.scheme, alice.chat(BOB).label) == (None, "RCS")


@scenario("two-carriers")
async def test_what_comes_before_the_first_certificate_is_told_to_its_sender_when_there_is_one(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    service = stage.sim.lab.carriers["blue"].key_service
    assert service is not None
    service.server.fault = KdsFault(is_down=True)
    await reinstalled(bob)
    message = await alice.chat(BOB).send("are you back?")
    await asyncio.sleep(60)
    assert message.state is MessageState.SENT
    service.server.fault = KdsFault()
    await message.delivered(within_s=900)
    assert (message.scheme, texts(bob)) == (Scheme.MLS, ["are you back?"])


@scenario("two-carriers")
async def test_a_create_without_an_answer_and_no_repair_left_fails_visibly(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    focus_fault(stage, is_silent=True)
    first = alice.chat(BOB).send("does anybody answer?")
    await asyncio.sleep(400)
    while thread_of(alice, BOB).heals.take(mls_of(alice)._context.now_s()):
        pass
    second = alice.chat(BOB).send("and now?")
    await asyncio.sleep(400)
    assert [message.state for message in (first, second)] == [MessageState.FAILED] * 2
    assert readable(stage, "answer?") == readable(stage, "and now?") == []


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("in_session", [True, False])
@scenario("two-carriers")
async def test_under_a_lock_typing_is_told_in_clear_or_by_the_profile_not_at_all(
    stage: Stage, tells: bool, in_session: bool
) -> None:
    device = load_device("android")
    assert device.e2ee is not None
    quiet = replace(device, e2ee=replace(device.e2ee, typing_when_encrypted=tells))
    alice = await stage.sim.add_phone("alice", quiet, "red", msisdn=ALICE)
    await stage.phone("bob", BOB)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("lock")).delivered(within_s=30)
    if not in_session:
        alice.chat(BOB).end_session()
        await asyncio.sleep(5)
    alice.chat(BOB).type()
    await asyncio.sleep(3)
    told = [one for one in stage.sink.records if one.source == "alice" and b"isComposing" in one.raw]
    assert bool(told) is tells
