from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.e2ee.claims import ClaimFailed, Claims
from rcs_sim.client.kds_client import ClaimResult
from rcs_sim.client.phone import Phone
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.key_directory import ClaimOutcome, ClaimRequest
from tests.scenarios.stage import AMY, BEN, BOB, Stage, scenario


def _claims(phone: Phone) -> Claims:
    assert phone.encryption is not None
    assert phone.encryption.mls is not None
    return Claims(phone.encryption.mls.credentials)


def _fault(stage: Stage, carrier: str, fault: KdsFault) -> None:
    service = stage.sim.lab.carriers[carrier].key_service
    assert service is not None
    service.server.fault = fault


@scenario("two-carriers")
async def test_there_is_one_for_each_device_of_the_peer_and_each_further_one_of_the_own_user(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    await stage.phone("tablet", BOB)
    await stage.sim.add_phone("second", "android", "red", msisdn=alice.number)
    found = await _claims(alice).packages(BOB.lstrip("+"), 1)
    numbers = [each.certificate.msisdn for each in found]
    assert numbers == [BOB.lstrip("+")] * 2 + [alice.number.lstrip("+")]
    own = alice.encryption.mls.credentials.client_id  # type: ignore[union-attr]  # it has claimed
    assert own not in {each.client_id for each in found}
    assert await _claims(alice).own_clients() == {found[-1].client_id}


@pytest.mark.parametrize(
    ("carrier", "fault", "outcome"),
    [
        ("blue", KdsFault(empty_pool=True), ClaimOutcome.PEER_HAS_NONE),
        ("red", KdsFault(is_down=True), ClaimOutcome.TRANSPORT_FAILED),
        ("blue", KdsFault(is_down=True), ClaimOutcome.TRANSPORT_FAILED),
        ("red", KdsFault(peers_down=frozenset((1,))), ClaimOutcome.TRANSPORT_FAILED),
        ("red", KdsFault(retry_after_s=30), ClaimOutcome.REFUSED),
        ("blue", KdsFault(wrong_directory=True), ClaimOutcome.REFUSED),
    ],
)
@scenario("two-carriers")
async def test_why_there_are_none_is_kept_apart(
    stage: Stage, carrier: str, fault: KdsFault, outcome: ClaimOutcome
) -> None:
    alice, _bob = await stage.alice_and_bob()
    _fault(stage, carrier, fault)
    with pytest.raises(ClaimFailed) as failed:
        await _claims(alice).packages(BOB.lstrip("+"), 1)
    assert failed.value.outcome is outcome


@scenario("two-carriers")
async def test_packages_of_somebody_else_are_not_taken(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    await stage.phone("ben", BEN)
    _fault(stage, "blue", KdsFault(wrong_identity=BEN.lstrip("+")))
    with pytest.raises(ClaimFailed):
        await _claims(alice).packages(BOB.lstrip("+"), 1)


@scenario("two-carriers")
async def test_a_package_of_last_resort_is_better_than_none(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    _fault(stage, "blue", KdsFault(last_resort_only=True))
    (found,) = await _claims(alice).packages(BOB.lstrip("+"), 1)
    assert found.is_last_resort


@scenario("two-carriers")
async def test_a_directory_that_asks_to_wait_is_not_asked_before_and_others_are(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    amy = await stage.phone("amy", AMY)
    claims, amys = _claims(alice), AMY.lstrip("+")
    assert amy.is_registered

    def asked() -> int:
        return sum(one.summary.endswith("/keypackages/claim") for one in stage.sink.records if one.source == "alice")

    _fault(stage, "blue", KdsFault(retry_after_s=60))
    with pytest.raises(ClaimFailed) as refused:
        await claims.packages(BOB.lstrip("+"), 1)
    assert (refused.value.outcome, asked()) == (ClaimOutcome.REFUSED, 1)
    await asyncio.sleep(50)
    with pytest.raises(ClaimFailed, match="asked to wait") as waiting:
        await claims.packages(BOB.lstrip("+"), 1)
    assert (waiting.value.outcome, asked()) == (ClaimOutcome.NOT_ATTEMPTED, 1)
    assert await claims.packages(amys, 2)
    _fault(stage, "blue", KdsFault())
    await asyncio.sleep(11)
    assert await claims.packages(BOB.lstrip("+"), 1)


@scenario("two-carriers")
async def test_of_two_packages_of_one_device_one_is_taken(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    claims = _claims(alice)
    kds, number = claims.credentials.kds, BOB.lstrip("+")
    assert kds is not None
    served = [await kds.claim(ClaimRequest(target_msisdn=number, kds=1)) for _ in range(2)]
    listed = tuple(package for each in served for package in each.key_packages)
    assert len({each.key_package for each in listed}) == 2
    (found,) = claims._verified(ClaimResult(ClaimOutcome.SERVED, listed), number)
    assert found.message == listed[0].key_package
    assert "a second key package of one device is left out" in stage.errors()
