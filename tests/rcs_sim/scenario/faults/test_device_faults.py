"""``device.``: each word acts on a handset, a SIM or a number, shows in the trace, and ends."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.faults.device_faults import DEVICE_FAULTS
from rcs_sim.scenario.faults.fault_kind import FaultError
from tests.scenarios.stage import BOB, Stage, scenario, texts
from tests.support.faults import is_registered, marks


def test_the_words_are_those_of_the_design() -> None:
    words = {kind.word.partition(".")[2] for kind in DEVICE_FAULTS}
    assert words == {"wipe", "crash", "old_version", "add", "sim_swap", "number_recycled", "clock_skew", "off"}


def encrypts(stage: Stage) -> bool:
    return stage.sim.phones["bob"].encryption is not None


def is_on(phone: Phone) -> bool:
    return phone.is_on


@scenario("two-carriers")
async def test_a_wiped_phone_has_lost_everything_and_is_on_again(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("before")).delivered(within_s=30)
    async with stage.sim.fault("device.wipe", of="bob"):
        assert is_registered(bob)
        assert texts(bob) == []
    message = await alice.chat(BOB).send("after")
    await asyncio.sleep(300)
    assert "after" in texts(bob), message.history
    assert marks(stage.sink.records, "device.wipe") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_crashed_phone_is_back_with_what_it_had(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("before")).delivered(within_s=30)
    fault = await stage.sim.begin_fault("device.crash", of="bob", for_s=60)
    assert not is_on(bob)
    await asyncio.sleep(90)
    assert fault.has_ended
    assert is_registered(bob)
    message = await alice.chat(BOB).send("after")
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS
    assert texts(bob) == ["before", "after"]


@scenario()
async def test_a_phone_is_off_as_long_as_it_lasts(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    async with stage.sim.fault("device.off", of="bob"):
        assert not is_on(bob)
        await asyncio.sleep(600)
    assert is_registered(bob)
    assert marks(stage.sink.records, "device.off") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_old_software_encrypts_nothing_and_new_software_does(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    async with stage.sim.fault("device.old_version", of="bob"):
        message = await alice.chat(BOB).send("in clear")
        await message.delivered(within_s=60)
        assert message.scheme is not Scheme.MLS
        assert not encrypts(stage)
    assert encrypts(stage)
    assert is_registered(stage.sim.phones["bob"])
    assert marks(stage.sink.records, "device.old_version") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_further_device_gets_what_the_first_one_gets(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("device.add", of="bob", **{"as": "tablet", "device": "android"}):
        tablet = stage.sim.phones["tablet"]
        await asyncio.sleep(5)
        alice.chat(BOB).send("to both")
        await asyncio.sleep(60)
        assert "to both" in texts(bob)
        assert "to both" in texts(tablet)
    assert not is_on(tablet)
    assert marks(stage.sink.records, "device.add") == ["begins", "acts", "ends"]
    with pytest.raises(FaultError, match="already"):
        await stage.sim.begin_fault("device.add", of="bob", **{"as": "tablet"})


@scenario("two-carriers")
async def test_the_sim_goes_on_in_another_handset(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("to the first")).delivered(within_s=30)
    async with stage.sim.fault("device.sim_swap", of="bob", device="android"):
        second = stage.sim.phones["bob"]
        assert second is not bob
        assert second.config.policy.name == "android"
        assert texts(second) == []
        alice.chat(BOB).send("to the second")
        await asyncio.sleep(300)
        assert "to the second" in texts(second)
    assert stage.sim.phones["bob"].config.policy.name == "ios"
    assert is_registered(stage.sim.phones["bob"])


@scenario("two-carriers")
async def test_the_number_belongs_to_somebody_else(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("to bob")).delivered(within_s=30)
    code = alice.chat(BOB).security_code
    async with stage.sim.fault("device.number_recycled", of="bob", **{"as": "nora"}):
        nora = stage.sim.phones["nora"]
        assert "bob" not in stage.sim.phones
        assert not is_on(bob)
        assert is_registered(nora)
        alice.chat(BOB).send("who are you?")
        await asyncio.sleep(300)
        assert texts(nora) == ["who are you?"]
        assert alice.chat(BOB).security_code != code
    assert not is_on(nora)
    assert marks(stage.sink.records, "device.number_recycled") == ["begins", "acts", "ends"]


@pytest.mark.parametrize("ahead", ["yes", "no"])
@scenario("two-carriers-plain")
async def test_a_wrong_clock_stamps_everything_that_the_phone_dates(stage: Stage, ahead: str) -> None:
    """Messages, receipts and revocations, in pager mode and in sessions; what others date stays right."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("now")).delivered(within_s=30)
    skew_s = 86_400 if ahead == "yes" else -86_400
    async with stage.sim.fault("device.clock_skew", of="bob", skew_s=86_400, ahead=ahead):
        first = len(stage.sink.records)
        await (await alice.chat(BOB).send("what day is it?")).delivered(within_s=30)
        await (await bob.chat("+12025550101").send("another day")).delivered(within_s=30)
        await (await alice.chat(BOB).send("x" * 1400)).delivered(within_s=30)
        await (await bob.chat("+12025550101").send("y" * 1400)).delivered(within_s=30)
        await alice.power_off()
        bob.chat("+12025550101").send("taken back")
        await asyncio.sleep(60)
    kinds = set()
    for record in list(stage.sink.records)[first:]:
        if record.source not in ("alice", "bob") or b"DateTime" not in record.raw:
            continue
        kinds.add((record.source, record.protocol, b"imdn+xml" in record.raw, b"rcsrevoke" in record.raw))
        for stamp in re.findall(rb"\r\nDateTime: *([^\r]+)", record.raw):
            off_s = datetime.fromisoformat(stamp.decode()).timestamp() - record.at
            assert off_s == pytest.approx(skew_s if record.source == "bob" else 0, abs=60), (record.summary, stamp)
    assert {
        ("bob", "SIP", True, False),
        ("bob", "SIP", False, True),
        ("bob", "MSRP", False, False),
        ("bob", "MSRP", True, False),
        ("alice", "SIP", False, False),
    } <= kinds


@scenario("two-carriers-plain")
async def test_a_phone_whose_clock_is_ahead_of_its_configuration_asks_for_another(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()

    def asked() -> int:
        return sum(one.source == "bob" and one.summary.startswith("GET ") for one in stage.sink.records)

    await bob.power_cycle()
    before = asked()
    async with stage.sim.fault("device.clock_skew", of="bob", skew_s=8 * 86_400):
        await bob.power_cycle()
        assert asked() > before
        assert bob.is_registered
    before = asked()
    await asyncio.sleep(6 * 86_400)  # what came then is valid for longer by the right clock
    assert asked() == before


@scenario("two-carriers-plain")
async def test_a_clock_that_is_put_back_holds_up_nothing_that_waits(stage: Stage) -> None:
    bob = await stage.phone("bob", BOB, is_on=False)
    async with stage.sim.fault("acs.unreachable", carrier="blue", retry_after_s=30):
        await bob.power_on()
    async with stage.sim.fault("device.clock_skew", of="bob", skew_s=86_400, ahead="no"):
        await asyncio.sleep(120)
        assert bob.is_registered


@pytest.mark.parametrize("ahead", ["yes", "no"])
@scenario("two-carriers")
async def test_a_wrong_clock_stamps_messages_and_a_right_one_does_not(stage: Stage, ahead: str) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await bob.chat("+12025550101").send("now")).delivered(within_s=30)
    async with stage.sim.fault("device.clock_skew", of="bob", skew_s=86_400, ahead=ahead):
        assert bob.clock_skew_s == (86_400 if ahead == "yes" else -86_400)
        message = await bob.chat("+12025550101").send("another day")
        await message.delivered(within_s=60)
        await asyncio.sleep(7200)
    assert bob.clock_skew_s == 0
    assert texts(alice) == ["now", "another day"]
    count = len([one for one in stage.sink.records if one.source == "bob"])
    assert count < 1000  # no alarm rings without end
    await (await bob.chat("+12025550101").send("now again")).delivered(within_s=60)
    assert marks(stage.sink.records, "device.clock_skew") == ["begins", "acts", "ends"]


@scenario("two-carriers-plain")
async def test_a_phone_that_was_just_back_when_its_clock_was_put_back_is_not_just_back_for_days(stage: Stage) -> None:
    _alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("device.clock_skew", of="bob", skew_s=30 * 86_400):
        await stage.sim.cut("blue.pcscf")
        await asyncio.sleep(3600)
        await stage.sim.restore("blue.pcscf")
        await asyncio.sleep(3600)
        assert bob.is_registered
    await asyncio.sleep(1800)
    assert bob.chat("+12025550101").label == "RCS"
    message = await bob.chat("+12025550101").send("by RCS")
    await message.delivered(within_s=60)
    assert message.transport is MessageTransport.RCS
