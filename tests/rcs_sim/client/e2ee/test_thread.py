from __future__ import annotations

from rcs_sim.e2ee.extension_bodies import DowngradeReason
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import locked, thread_of


@scenario("two-carriers")
async def test_a_thread_without_a_group_is_not_encrypted_and_has_not_ended(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    thread = thread_of(alice, BOB)
    assert (thread.is_encrypted, thread.has_ended, thread.peer_number) == (False, False, BOB[1:])
    assert BOB in repr(thread)


@scenario("two-carriers")
async def test_an_end_that_is_under_way_is_none_yet(stage: Stage) -> None:
    alice, bob = await locked(stage)
    thread = thread_of(alice, BOB)
    assert thread.is_encrypted
    assert thread_of(bob, ALICE).is_encrypted
    control, now_s = thread.engine.control, int(alice._messenger.alarms.now())
    control.end_mls(DowngradeReason.UNSET, "MxAAAAAAAAAAAAAAAAAAAAAA", now_s)
    assert (thread.is_encrypted, thread.has_ended) == (False, False)
    control.adopt_end_mls(now_s)
    assert (thread.is_encrypted, thread.has_ended) == (False, True)
