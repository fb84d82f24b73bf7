"""``cert.``: each word acts on certificates, shows in the trace, and ends."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.e2ee.credentials import Credentials
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.faults.cert_faults import CERT_FAULTS
from rcs_sim.scenario.faults.fault_kind import FaultError
from tests.scenarios.stage import BOB, Stage, scenario
from tests.support.faults import marks

DAY_S = 86_400


def credentials(phone: Phone) -> Credentials:
    assert phone.encryption is not None
    assert phone.encryption.mls is not None
    return phone.encryption.mls.credentials


def days_left(stage: Stage, phone: Phone) -> float:
    setting = credentials(phone).setting
    assert setting is not None
    return (setting.identity.certificate.not_after_s - stage.sim.clock.now()) / DAY_S


def is_ready(phone: Phone) -> bool:
    return credentials(phone).is_ready


def test_the_words_are_those_of_the_design() -> None:
    assert {kind.word for kind in CERT_FAULTS} == {"cert.expire", "cert.age", "cert.wrong_root"}


@scenario("two-carriers")
async def test_an_expired_certificate_is_announced_no_more_and_a_new_one_is(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    async with stage.sim.fault("cert.expire", of="bob", in_s=30):
        assert days_left(stage, bob) < 1
        await asyncio.sleep(60)
        assert days_left(stage, bob) < 0.01
        assert not is_ready(bob)
    await asyncio.sleep(60)
    assert days_left(stage, bob) > 30
    assert is_ready(bob)
    message = await alice.chat(BOB).send("with a new one")
    await message.delivered(within_s=60)
    assert message.label == "RCS · encrypted"
    assert marks(stage.sink.records, "cert.expire") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_certificate_inside_the_floor_gives_no_key_packages(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    async with stage.sim.fault("cert.age", of="bob", days_left=20):
        await asyncio.sleep(5)
        assert 19 < days_left(stage, bob) <= 20
        told = [one.summary for one in stage.sink.records if one.source == "blue.kds"]
        assert any(text.startswith("bad_key_package") and "remaining certificate lifetime" in text for text in told)
    await asyncio.sleep(60)
    assert days_left(stage, bob) > 30
    assert is_ready(bob)
    assert marks(stage.sink.records, "cert.age") == ["begins", "acts", "ends"]


@scenario("two-carriers")
async def test_a_certificate_of_a_strange_root_is_not_taken(stage: Stage) -> None:
    _, bob = await stage.alice_and_bob()
    before = days_left(stage, bob)
    async with stage.sim.fault("cert.wrong_root", of="bob"):
        assert days_left(stage, bob) == pytest.approx(before, abs=0.01)
        states = [one.details.get("reason", "") for one in stage.sink.records if one.source == "bob"]
        assert any("anchor" in str(reason) or "root" in str(reason) for reason in states)
    await asyncio.sleep(60)
    assert is_ready(bob)
    assert marks(stage.sink.records, "cert.wrong_root") == ["begins", "acts", "ends"]


@scenario()
async def test_a_phone_without_a_certificate_has_none_that_could_expire(stage: Stage) -> None:
    await stage.alice_and_bob()
    with pytest.raises(FaultError):
        await stage.sim.begin_fault("cert.expire", of="bob")
