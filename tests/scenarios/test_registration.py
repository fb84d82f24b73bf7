"""Registration over hours: refreshes, ends by the phone and by the network, time-outs, every kind of credentials."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ims_core.cx import DeregistrationReason
from ims_core.trace import RecordKind
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.scenario.loader import profile_folder
from rcs_sim.scenario.world import MemoryWorld
from tests.scenarios.stage import ALICE, BOB, Stage, scenario


def _registers(stage: Stage, name: str) -> int:
    return len(stage.requests("REGISTER", name))


@scenario()
async def test_a_phone_stays_registered_and_reachable_for_a_day(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    for hour in range(24):
        await asyncio.sleep(3600)
        await (await alice.chat(BOB).send(f"hour {hour}")).delivered(within_s=5)
    assert stage.arrivals(bob) == [f"hour {hour}" for hour in range(24)]
    assert stage.states(alice, "registration").count("lost") == 0
    assert stage.errors() == []


@scenario()
async def test_refreshes_come_600_s_before_the_end(stage: Stage) -> None:
    await stage.phone("alice", ALICE)
    times = [
        record.at
        for record in stage.sink.records
        if record.source == "alice" and record.details.get("state") == "registered"
    ]
    await asyncio.sleep(3 * 3600)
    refreshed = [
        record.at
        for record in stage.sink.records
        if record.source == "alice" and record.details.get("state") == "refreshing"
    ]
    assert [round(at - times[0]) for at in refreshed] == [3000, 6000, 9000]


@scenario()
@pytest.mark.parametrize(
    ("carrier", "msisdn"),
    [
        ("red", "+12025550101"),
        ("red", "+12025550104"),  # SHA-256
        ("red", "+12025550105"),  # AKA
        ("blue", "+12025550155"),
        ("blue", "+12025550156"),
    ],
)
@pytest.mark.parametrize("device", ["android", "ios", "lineage-like"])
async def test_every_device_registers_with_every_kind_of_credentials(
    stage: Stage, carrier: str, msisdn: str, device: str
) -> None:
    phone = await stage.sim.add_phone("phone", device, carrier, msisdn=msisdn)
    was_registered = [phone.is_registered]
    await asyncio.sleep(7200)
    was_registered.append(phone.is_registered)
    await phone.power_off()
    was_registered.append(phone.is_registered)
    await phone.power_on()
    was_registered.append(phone.is_registered)
    assert was_registered == [True, True, False, True]


@scenario()
@pytest.mark.parametrize("msisdn", [ALICE, "+12025550105"])  # Digest, AKA
async def test_a_phone_with_security_agreement_refreshes_moves_and_is_never_refused(
    stage: Stage, msisdn: str, tmp_path: Path
) -> None:
    profile = (profile_folder() / "devices" / "android.yaml").read_text(encoding="utf-8")
    profile = profile.replace("registration:\n", "registration:\n  offers_security_agreement: true\n")
    (tmp_path / "secured.yaml").write_text(profile, encoding="utf-8")
    alice = await stage.sim.add_phone("alice", str(tmp_path / "secured.yaml"), "red", msisdn=msisdn)
    bob = await stage.phone("bob", BOB)
    for _ in range(2):
        await asyncio.sleep(2 * 3600)  # refreshes
        await (await alice.chat(BOB).send("still here")).delivered(within_s=5)
        world = stage.sim.world
        assert isinstance(world, MemoryWorld)
        world.memory_network.reset(alice.config.host)  # every connection of the phone is lost
        await asyncio.sleep(60)
        await (await bob.chat(msisdn).send("still there?")).delivered(within_s=5)
    answers = [
        record.summary.partition(" ")[0]
        for record in stage.sink.records
        if record.target == "alice" and record.summary.endswith("(REGISTER)")
    ]
    assert set(answers) == {"200", "401"}
    assert len(stage.requests("REGISTER", "alice")) > 8
    assert all(request.has("Security-Verify") for request in stage.requests("MESSAGE", "alice"))


@scenario()
async def test_a_messaging_server_that_missed_a_refresh_learns_from_what_the_user_sends(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("before")).delivered(within_s=5)
    await asyncio.sleep(2900)
    await stage.sim.cut("blue.messaging_server")
    await asyncio.sleep(1250)  # the refresh, at 3000 s; what the server knew expires at 3600 s
    await stage.sim.restore("blue.messaging_server")  # it was told in vain five times, and is told again at some 5000 s
    await asyncio.sleep(10)
    stored = alice.chat(BOB).send("stored")
    await asyncio.sleep(5)
    assert stage.arrivals(bob) == ["before"]
    await (await bob.chat(ALICE).send("I am here")).delivered(within_s=5)
    await stored.delivered(within_s=5)
    assert stage.arrivals(bob) == ["before", "stored"]
    await (await alice.chat(BOB).send("at once")).delivered(within_s=5)


@scenario()
async def test_switching_off_ends_the_registration_and_the_network_knows(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await bob.power_off()
    assert any(
        b"Expires: 0" in one.encode() or b"expires=0" in one.encode() for one in stage.requests("REGISTER", "bob")
    )
    before = len(stage.requests("MESSAGE", "blue.pcscf", "bob"))
    await alice.chat(BOB).send("gone?")
    await asyncio.sleep(5)
    assert len(stage.requests("MESSAGE", "blue.pcscf", "bob")) == before


@scenario()
@pytest.mark.parametrize(
    ("reason", "is_back_after_s"),
    [
        (DeregistrationReason.DEACTIVATED, 5),
        (DeregistrationReason.PROBATION, 3600),
        (DeregistrationReason.UNREGISTERED, 60),  # nobody asks the phone back: it comes as after a failure
        (DeregistrationReason.REJECTED, None),
    ],
)
async def test_the_network_ends_a_registration(
    stage: Stage, reason: DeregistrationReason, is_back_after_s: float | None
) -> None:
    alice, bob = await stage.alice_and_bob()
    red = stage.sim.carrier("red").core
    assert red.deregister(f"tel:{ALICE}", reason)
    assert not red.is_registered(f"tel:{ALICE}")
    await asyncio.sleep(0.5)
    assert "lost" in stage.states(alice, "registration")
    await asyncio.sleep(is_back_after_s or 7200)
    assert stage.requests("NOTIFY", "red.pcscf", "alice")
    assert red.is_registered(f"tel:{ALICE}") is (is_back_after_s is not None)
    message = bob.chat(ALICE).send("are you back?")
    await asyncio.sleep(120)
    message.send_as_sms()
    await message.delivered(within_s=120)
    assert stage.arrivals(alice) == ["are you back?"]
    assert (message.transport is MessageTransport.RCS) is (is_back_after_s is not None)


@scenario()
async def test_a_phone_that_vanished_is_forgotten_when_its_time_is_over(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    await bob.lose_power()
    await asyncio.sleep(4000)
    assert not stage.sim.carrier("blue").core.is_registered(f"tel:{BOB}")


@scenario()
async def test_fifty_power_cycles_leave_nothing_behind(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    for _ in range(50):
        await bob.power_off()
        await bob.power_on()
    assert bob.is_registered
    await (await alice.chat(BOB).send("still you?")).delivered(within_s=10)
    assert stage.arrivals(bob) == ["still you?"]
    assert not [record for record in stage.sink.records if record.kind is RecordKind.ERROR]
