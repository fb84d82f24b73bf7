from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from rcs_sim.client.identity import nameless_key
from rcs_sim.e2ee.feature_tags import MlsTags
from rcs_sim.e2ee.message_id import is_mx_message_id, uuid_of_mx_message_id
from tests.scenarios.e2ee.test_peer_to_peer import p2p
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, scenario
from tests.support.encrypted_phones import engine_of, locked, mls_of, notes, thread_of


@pytest.mark.parametrize(("device", "is_mx"), [("android", True), ("ios", False), ("strict-v3", False)])
@scenario("two-carriers")
async def test_ids_have_the_form_of_the_device(stage: Stage, device: str, is_mx: bool) -> None:
    alice = await stage.phone("alice", ALICE, device)
    made = {mls_of(alice)._context.new_id() for _ in range(100)}
    assert len(made) == 100
    assert {is_mx_message_id(each) for each in made} == {is_mx}
    assert {len(each) for each in made} == {24 if is_mx else 36}
    assert all(each == each.upper() for each in made) is not is_mx
    uuids = {UUID(bytes=uuid_of_mx_message_id(each)) if is_mx else UUID(each) for each in made}
    assert {each.version for each in uuids} == {4}  # as those that were captured (digest RCC.16 §4.4)


@scenario("two-carriers")
async def test_there_is_one_thread_for_a_number_and_none_for_a_name(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    context = mls_of(alice)._context
    assert context.own_number == ALICE[1:]
    assert context.is_arbitrated
    assert thread_of(alice, BOB) is thread_of(alice, BOB)
    assert thread_of(alice, BOB).engine.participants == {ALICE[1:], BOB[1:]}
    named = alice._messenger.conversation(nameless_key("INFO"))
    assert context.thread(named) is None


@scenario("two-carriers-plain")
async def test_without_a_key_service_there_is_no_encryption_at_all(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    assert alice.encryption is None or alice.encryption.mls is None


@scenario("two-carriers")
async def test_a_renewed_engine_knows_nothing_of_the_group_and_the_trace_says_where_a_note_was_made(
    stage: Stage,
) -> None:
    alice, _bob = await locked(stage)
    thread, context = thread_of(alice, BOB), mls_of(alice)._context
    context.note(thread, "looked at", "by a test")
    record = [one for one in stage.sink.records if one.details.get("state") == "looked at"][-1]
    assert (record.details["era"], record.details["epoch"], record.details["peer"]) == (1, 1, BOB)
    context.renew_engine(thread)
    assert engine_of(alice, BOB).identifier is None
    assert "looked at: by a test" in notes(stage, alice)


@scenario("two-carriers")
async def test_another_number_in_the_same_phone_is_another_participant_without_a_group(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    amy = await stage.phone("amy", AMY)
    context, thread = mls_of(alice)._context, thread_of(alice, BOB)
    own, other = mls_of(alice).credentials.setting, mls_of(amy).credentials.setting
    assert own is not None
    assert other is not None
    context.adopt(thread, own)
    assert engine_of(alice, BOB).identifier is not None
    context.adopt(thread, other)
    assert engine_of(alice, BOB).identifier is None
    assert thread.engine.participants == {AMY[1:], BOB[1:]}


@scenario(p2p)
async def test_who_arbitrates_is_remembered_while_the_peer_cannot_encrypt(stage: Stage) -> None:
    _alice, bob = await locked(stage)
    context = mls_of(bob)._context
    key = bob.chat(ALICE)._conversation.peer
    assert not context.server_of(key).arbitrates_era
    entry = bob._messenger.capabilities.entry(key)
    entry.tags = replace(entry.tags, mls=MlsTags())
    assert bob._messenger.capabilities.entry(key).tags.mls.kds is None
    assert not context.server_of(key).arbitrates_era
