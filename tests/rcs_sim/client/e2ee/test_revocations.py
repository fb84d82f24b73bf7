"""The list of revoked certificates as a phone keeps it."""

from __future__ import annotations

import asyncio

from rcs_sim.client.e2ee.revocations import REFRESH_S, RETRY_S
from rcs_sim.scenario.key_service import KeyService
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.stage import ALICE, Stage, scenario
from tests.support.encrypted_phones import mls_of


def _red(stage: Stage) -> KeyService:
    service = stage.sim.lab.carriers["red"].key_service
    assert service is not None
    return service


@scenario("two-carriers")
async def test_it_is_fetched_at_enrolment_and_each_day(stage: Stage) -> None:
    await _red(stage).listener.revoke([b"\x05"])
    alice = await stage.phone("alice", ALICE)
    await asyncio.sleep(2)
    held = mls_of(alice).credentials._revocations
    assert held.serials == {b"\x05"}
    await _red(stage).listener.revoke([b"\x05", b"\x06"])
    await asyncio.sleep(REFRESH_S - 60)
    assert held.serials == {b"\x05"}
    await asyncio.sleep(120)
    assert held.serials == {b"\x05", b"\x06"}
    assert stage.states(alice, "revocation list") == ["changed", "changed"]


@scenario("two-carriers")
async def test_what_cannot_be_had_is_asked_for_again_before_long(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    await asyncio.sleep(2)
    service, held = _red(stage), mls_of(alice).credentials._revocations
    await service.listener.revoke([b"\x05"])
    service.server.fault = KdsFault(is_down=True)
    await asyncio.sleep(REFRESH_S)
    assert stage.states(alice, "revocation list")[:1] == ["not fetched"]
    assert held.serials == frozenset()
    service.server.fault = KdsFault()
    await asyncio.sleep(RETRY_S + 60)
    assert held.serials == {b"\x05"}


@scenario("two-carriers")
async def test_a_phone_that_is_off_asks_nobody_and_asks_when_it_is_on_again(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    await asyncio.sleep(2)
    await alice.power_off()
    await _red(stage).listener.revoke([b"\x05"])
    await asyncio.sleep(2 * REFRESH_S)
    held = mls_of(alice).credentials._revocations
    assert held.serials == frozenset()
    await alice.power_on()
    await asyncio.sleep(10)
    assert held.serials == {b"\x05"}
