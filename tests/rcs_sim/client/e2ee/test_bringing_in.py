from __future__ import annotations

import asyncio

from rcs_sim.client.e2ee.bringing_in import BringingIn
from rcs_sim.client.phone import Phone
from tests.scenarios.e2ee.test_peer_to_peer import four_locked, p2p
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import count_notes, engine_of, locked, mls_of, rekey, thread_of


def _bringing_in(phone: Phone) -> BringingIn:
    return mls_of(phone)._arrivals._bringing_in  # the part under test is inside


@scenario(p2p, is_read_by_others=False)
async def test_the_welcome_is_given_once_for_each_id_and_as_often_as_the_peer_has_devices(stage: Stage) -> None:
    phones, _ = await four_locked(stage, "alice")
    alice, state = phones["alice"], engine_of(phones["bob"], ALICE).identifier
    thread, giving = thread_of(alice, BOB), _bringing_in(alice)
    assert giving.gives_again(thread, "a")
    assert not giving.gives_again(thread, "a"), "it has not helped"
    assert giving.gives_again(thread, "b")
    assert not giving.gives_again(thread, "c"), "the peer has two devices"
    await asyncio.sleep(30)
    assert engine_of(phones["bob"], ALICE).identifier == state, "who is in the group stays as he was"
    assert count_notes(stage, phones["bob"], "control") >= 2


@scenario(p2p, is_read_by_others=False)
async def test_who_joined_gives_the_welcome_of_the_peer_again_in_his_name(stage: Stage) -> None:
    phones, _ = await four_locked(stage, "alice")
    bob = phones["bob"]
    thread = thread_of(bob, ALICE)
    assert thread.welcome is not None
    assert thread.welcome.is_of_peer
    assert _bringing_in(bob).gives_again(thread, "a")
    await asyncio.sleep(30)
    given = [
        one for one in stage.sink.records if one.source == "bob" and b"From: <tel:+" + ALICE[1:].encode() in one.raw
    ]
    assert given
    assert all(b"message/mls-rcs-server" in one.raw for one in given)


@scenario(p2p, is_read_by_others=False)
async def test_after_a_commit_the_welcome_helps_nobody_any_more(stage: Stage) -> None:
    alice, _bob = await locked(stage)
    rekey(alice, BOB)
    await asyncio.sleep(10)
    assert not _bringing_in(alice).gives_again(thread_of(alice, BOB), "a")


@scenario("two-carriers")
async def test_where_a_focus_arbitrates_no_phone_gives_a_welcome(stage: Stage) -> None:
    alice, bob = await locked(stage)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        assert thread_of(phone, peer).welcome is None
        assert not _bringing_in(phone).gives_again(thread_of(phone, peer), "a")


@scenario(p2p, is_read_by_others=False)
async def test_a_group_that_lost_is_answered_with_a_new_era_where_the_welcome_is_of_no_use(stage: Stage) -> None:
    alice, bob = await locked(stage)
    rekey(alice, BOB)
    await asyncio.sleep(10)
    _bringing_in(alice).lost_to_us(thread_of(alice, BOB), "mls-welcome-x")
    await asyncio.sleep(30)
    states = {engine_of(phone, peer).identifier for phone, peer in ((alice, BOB), (bob, ALICE))}
    (state,) = states
    assert state is not None
    assert state.era_id == 2


@scenario(p2p, is_read_by_others=False)
async def test_devices_of_a_user_make_a_new_era_one_after_the_other_while_it_is_needed(stage: Stage) -> None:
    phones, peer = await four_locked(stage, "alice")
    for name in ("alice", "tablet"):
        _bringing_in(phones[name]).in_turn(thread_of(phones[name], BOB), "a test")
    await asyncio.sleep(60)
    assert {engine_of(phone, peer[name]).identifier.era_id for name, phone in phones.items()} == {2}
