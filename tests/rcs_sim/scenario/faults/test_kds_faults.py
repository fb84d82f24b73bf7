"""``kds.``: each word acts on key distribution servers, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.faults.kds_faults import KDS_FAULTS
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.stage import ALICE, AMY, BEN, BOB, Stage, scenario, texts
from tests.support.faults import marks


def fault_of(stage: Stage, carrier: str) -> KdsFault:
    service = stage.sim.carrier(carrier).key_service
    assert service is not None
    return service.server.fault


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word.partition(".")[2] for kind in KDS_FAULTS}
    designed = {"down", "slow", "peer_down", "empty_pool", "last_resort", "wrong_identity", "equivocate"}
    of_the_digest = {"reused_package", "wrong_directory", "stale_anchors"}  # RCC.16 §14.14
    assert words == designed | of_the_digest | {"revoked", "forged_revocations"}


@pytest.mark.parametrize(
    ("word", "scope"),
    [("kds.down", {}), ("kds.empty_pool", {"carrier": "blue"}), ("kds.peer_down", {"carrier": "red", "peer": "blue"})],
)
@scenario("two-carriers")
async def test_without_keys_nothing_is_sealed_and_with_them_it_is(
    stage: Stage, word: str, scope: dict[str, str]
) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault(word, **scope):
        first = alice.chat(BOB).send("no keys for you")
        await asyncio.sleep(60)
        assert first.scheme is not Scheme.MLS
    assert fault_of(stage, "blue") == fault_of(stage, "red") == KdsFault()
    await asyncio.sleep(3600)
    message = await alice.chat(BOB).send("here they are")
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS
    assert texts(bob)[-1] == "here they are"
    assert marks(stage.sink.records, word) == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_slow_server_takes_time(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    began = stage.sim.clock.now()
    async with stage.sim.fault("kds.slow", carrier="blue", delay_s=3):
        message = await alice.chat(BOB).send("in a while")
        await message.delivered(within_s=60)
        assert message.scheme is Scheme.MLS
        assert stage.sim.clock.now() - began > 3
    assert fault_of(stage, "blue").delay_s == 0


@scenario("two-carriers")
async def test_the_last_resort_serves_everybody(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    amy = await stage.phone("amy", AMY)
    await asyncio.sleep(2)
    async with stage.sim.fault("kds.last_resort", carrier="blue"):
        for phone in (alice, amy):
            message = await phone.chat(BOB).send("with the last one")
            await message.delivered(within_s=60)
            assert message.scheme is Scheme.MLS
    assert marks(stage.sink.records, "kds.last_resort") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_package_that_is_served_twice_loses_nothing_silently(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    amy = await stage.phone("amy", AMY)
    await asyncio.sleep(2)
    async with stage.sim.fault("kds.reused_package", carrier="blue"):
        await (await alice.chat(BOB).send("of alice")).delivered(within_s=60)
        message = await amy.chat(BOB).send("of amy")  # its Welcome is for a key that bob has used up
        await asyncio.sleep(600)
        assert message.scheme is Scheme.MLS
        assert message.state in (MessageState.FAILED, MessageState.DELIVERED)
    await asyncio.sleep(3600)
    for text in ("the package is still there once", "of amy again"):
        again = await amy.chat(BOB).send(text)
        await asyncio.sleep(900)
        assert again.scheme is Scheme.MLS
    assert again.state is MessageState.DELIVERED
    assert (texts(bob)[0], texts(bob)[-1]) == ("of alice", "of amy again")
    assert fault_of(stage, "blue") == KdsFault()
    assert marks(stage.sink.records, "kds.reused_package") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_wrong_directory_says_nothing_about_the_peer(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    async with stage.sim.fault("kds.wrong_directory", carrier="blue"):
        message = alice.chat(BOB).send("nobody lives there")
        await asyncio.sleep(60)
        assert message.scheme is not Scheme.MLS
    assert marks(stage.sink.records, "kds.wrong_directory") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_list_of_anchors_that_stays_behind_is_the_one_of_its_beginning(stage: Stage) -> None:
    await stage.alice_and_bob()
    service = stage.sim.carrier("red").key_service
    assert service is not None
    async with stage.sim.fault("kds.stale_anchors", carrier="red"):
        assert fault_of(stage, "red").stale_anchors == service.server.anchors.generation
    assert fault_of(stage, "red") == KdsFault()


@scenario("two-carriers")
async def test_the_keys_of_somebody_else_are_refused(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    await stage.phone("ben", BEN)
    await asyncio.sleep(2)
    async with stage.sim.fault("kds.wrong_identity", carrier="blue", **{"as": "ben"}):
        message = alice.chat(BOB).send("for bob only")
        await asyncio.sleep(60)
        assert message.scheme is not Scheme.MLS
        assert texts(stage.sim.phones["ben"]) == []
    assert "peer_lying" in [one.details.get("outcome") for one in stage.sink.records if one.source == "red.kds"]
    assert fault_of(stage, "blue") == KdsFault()


@scenario("two-carriers")
async def test_every_second_requester_is_given_a_device_that_bob_does_not_have(stage: Stage) -> None:
    phones = [await stage.phone("alice", ALICE), await stage.phone("amy", AMY)]
    bob = await stage.phone("bob", BOB)
    assert bob.encryption is not None
    assert bob.encryption.mls is not None
    await asyncio.sleep(2)
    async with stage.sim.fault("kds.equivocate", carrier="blue", of="bob"):
        for phone in phones:
            phone.chat(BOB).send("who are you?")
            await asyncio.sleep(0.5)
    told = [one.details["clients"] for one in stage.sink.records if one.source == "blue.kds" and one.details.get("way")]
    served = {clients[0] for clients in told if clients}
    assert len(served) == 2
    assert bob.encryption.mls.credentials.client_id in served
    assert fault_of(stage, "blue") == KdsFault()
    assert marks(stage.sink.records, "kds.equivocate") == ["begins", "acts", "ends"]


@scenario()
async def test_a_network_without_encryption_has_none_of_these(stage: Stage) -> None:
    with pytest.raises(FaultError, match="no key distribution servers"):
        await stage.sim.begin_fault("kds.down")
