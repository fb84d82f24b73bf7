"""What an operator says by autoconfiguration, and what the phone does about it (RCC.14, digest §1)."""

from __future__ import annotations

import asyncio

import pytest

from ims_core.trace import RecordKind
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.client.provisioning_values import ServiceState
from rcs_sim.e2ee.vendor_pki import VendorPki
from rcs_sim.scenario.lab import Carrier
from rcs_sim.server.config_actions import ConfigAction, SendSms
from rcs_sim.server.config_server import ConfigServer
from rcs_sim.server.config_settings import ConfigFault
from rcs_sim.wire.key_directory import FederationAnchor, FederationAnchors
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, network, scenario

_DAY_S = 86400.0


def _server(stage: Stage, carrier: str = "red") -> ConfigServer:
    server = stage.sim.carrier(carrier).config_server
    assert server is not None
    return server


def _send(carrier: Carrier, actions: list[ConfigAction]) -> None:
    for action in actions:
        if isinstance(action, SendSms):
            carrier.send_sms(action.msisdn, action.content, action.port)


async def _ask_now(stage: Stage, msisdn: str = ALICE) -> None:
    """The operator triggers a configuration by SMS."""
    carrier = stage.sim.carrier("red")
    _send(carrier, _server(stage).reconfigure(msisdn))
    await asyncio.sleep(60)


def _http(stage: Stage, source: str) -> list[str]:
    return [
        record.summary
        for record in stage.sink.records
        if record.kind is RecordKind.MESSAGE and record.protocol == "HTTP" and record.source == source
    ]


def _state(phone: Phone) -> ServiceState:
    assert phone.provisioning is not None
    return phone.provisioning.state


@scenario(lambda: network(red="otp"))
async def test_a_phone_proves_its_number_by_a_one_time_password_over_the_circuit_switched_link(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB, reads_after_s=1.0)
    passwords = [record for record in stage.sink.records if record.reference_point == "CS" and record.target == "alice"]
    assert passwords
    assert any("RCS code" in text for text in stage.arrivals(alice))
    await (await alice.chat(BOB).send("verified")).displayed(within_s=10)
    assert stage.arrivals(bob) == ["verified"]


@scenario(lambda: network(red="otp"))
@pytest.mark.parametrize("device", ["android", "ios"])
async def test_a_device_without_sim_gets_the_password_that_its_user_reads_on_the_first(
    stage: Stage, device: str
) -> None:
    alice = await stage.phone("alice", ALICE)
    tablet = await stage.phone("tablet", ALICE, device)
    assert tablet.is_registered
    assert sum("RCS code" in text for text in stage.arrivals(alice)) == 2
    assert stage.arrivals(tablet) == []
    bob = await stage.phone("bob", BOB)
    await (await tablet.chat(BOB).send("from the tablet")).delivered(within_s=10)
    assert stage.arrivals(bob) == ["from the tablet"]
    alice.send_sms(BOB, "123456 is no code")  # nobody asks for one now
    await asyncio.sleep(60)
    assert alice.is_registered
    assert tablet.is_registered


@scenario(lambda: network(red="otp"), is_read_by_others=False)
async def test_the_token_saves_the_next_password(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    await asyncio.sleep(8 * _DAY_S)
    assert alice.is_registered
    assert sum("RCS code" in text for text in stage.arrivals(alice)) == 1
    assert len(_http(stage, "alice")) >= 3


@scenario(lambda: network(red="otp"))
async def test_two_phones_that_prove_their_numbers_at_once_do_not_get_each_others_password(stage: Stage) -> None:
    alice, amy = await asyncio.gather(stage.phone("alice", ALICE), stage.phone("amy", AMY))
    assert (alice.number, amy.number) == (ALICE, AMY)


@scenario()
@pytest.mark.parametrize(
    ("version", "state"),
    [
        (0, ServiceState.RESET),
        (-1, ServiceState.OFF_FOR_GOOD),
        (-2, ServiceState.OFF_UNTIL_USER),
        (-3, ServiceState.DORMANT),
    ],
)
async def test_an_operator_stops_the_service_and_the_phone_goes_on_with_sms(
    stage: Stage, version: int, state: ServiceState
) -> None:
    alice, bob = await stage.alice_and_bob()
    _server(stage).impose(ALICE, version)
    await _ask_now(stage)
    assert _state(alice) is state
    assert not alice.is_registered
    message = alice.chat(BOB).send("no RCS any more")
    await message.delivered(within_s=60)
    assert message.transport is MessageTransport.SMS
    answer = bob.chat(ALICE).send("so it seems")
    for _ in range(10):
        await asyncio.sleep(60)
        answer.send_as_sms()
    await answer.delivered(within_s=600)
    assert stage.arrivals(alice)[-1] == "so it seems"
    assert stage.arrivals(alice).count("so it seems") == 1


@scenario()
@pytest.mark.parametrize(("version", "asks_again"), [(0, True), (-1, False), (-2, False), (-3, True)])
async def test_after_a_boot_the_phone_asks_again_only_where_it_may(
    stage: Stage, version: int, asks_again: bool
) -> None:
    alice, _ = await stage.alice_and_bob()
    _server(stage).impose(ALICE, version)
    await _ask_now(stage)
    await alice.power_off()
    _server(stage).release(ALICE)
    before = len(_http(stage, "alice"))
    await alice.power_on()
    await asyncio.sleep(60)
    assert (len(_http(stage, "alice")) > before) is asks_again
    assert alice.is_registered is asks_again


@scenario()
@pytest.mark.parametrize(("version", "asks_again"), [(0, True), (-1, False), (-2, False), (-3, True)])
async def test_after_the_servers_sms_the_phone_asks_again_only_where_it_may(
    stage: Stage, version: int, asks_again: bool
) -> None:
    alice, _ = await stage.alice_and_bob()
    _server(stage).impose(ALICE, version)
    await _ask_now(stage)
    _server(stage).release(ALICE)
    await _ask_now(stage)
    await asyncio.sleep(60)
    assert alice.is_registered is asks_again


@scenario()
async def test_a_dormant_phone_polls_and_comes_back_by_itself(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    _server(stage).impose(ALICE, -3, 600)
    await _ask_now(stage)
    before = len(_http(stage, "alice"))
    await asyncio.sleep(3600)
    assert 4 <= len(_http(stage, "alice")) - before <= 14
    assert not alice.is_registered
    _server(stage).release(ALICE)
    await asyncio.sleep(700)
    assert alice.is_registered


@scenario(is_read_by_others=False)
async def test_when_the_validity_runs_out_the_phone_asks_and_stays_registered(stage: Stage) -> None:
    alice, _ = await stage.alice_and_bob()
    first = stage.states(alice, "registration").count("registering")
    before = len(_http(stage, "alice"))
    await asyncio.sleep(7.2 * _DAY_S)
    assert len(_http(stage, "alice")) > before
    assert alice.is_registered
    assert stage.states(alice, "registration").count("registering") == first


@scenario()
async def test_a_busy_server_is_not_asked_before_its_time(stage: Stage) -> None:
    _server(stage).fault = ConfigFault(retry_after_s=1200)
    alice = await stage.sim.add_phone("alice", "android", "red", msisdn=ALICE)
    asked = len(_http(stage, "alice"))
    await asyncio.sleep(1100)
    assert len(_http(stage, "alice")) == asked
    assert not alice.is_registered
    _server(stage).fault = ConfigFault()
    await asyncio.sleep(200)
    assert alice.is_registered


@scenario()
async def test_a_subscription_that_is_barred_gets_no_rcs_and_keeps_sms(stage: Stage) -> None:
    _server(stage).fault = ConfigFault(is_disabled=True)
    alice = await stage.sim.add_phone("alice", "android", "red", msisdn=ALICE)
    bob = await stage.phone("bob", BOB)
    assert not alice.is_registered
    await alice.chat(BOB).send("barred").delivered(within_s=60)
    assert stage.arrivals(bob) == ["barred"]


@scenario()
async def test_an_unreachable_server_is_asked_again_and_again_until_it_is_there(stage: Stage) -> None:
    await stage.sim.cut("red.acs")
    alice = await stage.sim.add_phone("alice", "android", "red", msisdn=ALICE)
    assert not alice.is_registered
    await asyncio.sleep(1800)
    await stage.sim.restore("red.acs")
    await asyncio.sleep(3 * 3600)
    assert alice.is_registered


@scenario()
async def test_a_configured_phone_does_without_the_server(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await stage.sim.cut("red.acs")
    await alice.power_off()
    await alice.power_on()
    assert alice.is_registered
    await (await alice.chat(BOB).send("from memory")).delivered(within_s=10)
    assert stage.arrivals(bob) == ["from memory"]


@scenario("two-carriers")
async def test_a_document_that_only_brings_other_trust_anchors_leaves_registration_and_sessions_alone(
    stage: Stage,
) -> None:
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send("hello")).delivered(within_s=30)
    service, encryption = stage.sim.lab.carriers["red"].key_service, alice.encryption
    assert service is not None
    assert encryption is not None
    assert encryption.mls is not None
    registers, sessions = len(stage.requests("REGISTER", "alice")), stage.states(alice, "session")
    far = stage.sim.lab.carriers["blue"].key_service
    assert far is not None
    moved = VendorPki.derive(b"moved", vendor_id=1, kds=1, operator="blue", now_s=int(stage.sim.clock.now()))
    told = [each for each in far.anchors if each.kds == 1] + [moved.anchor]
    listed = tuple(FederationAnchor(vendor_id=1, kds=1, der=each.der) for each in told)
    service.server.anchors_told(far.plan.peer(), FederationAnchors(2, listed).encode(), stage.sim.clock.now())
    assert service.server.anchors.generation == 2
    await _ask_now(stage)
    assert alice.configuration is not None
    assert alice.configuration.encryption is not None
    assert alice.configuration.encryption.trust_anchors_generation == 2
    validator = encryption.mls.credentials.validator
    assert validator is not None
    assert len(validator.anchors.anchors) == 3
    assert len(stage.requests("REGISTER", "alice")) == registers
    assert stage.states(alice, "session") == sessions
    await (await alice.chat(BOB).send("still here")).delivered(within_s=30)
    assert stage.arrivals(bob)[-1] == "still here"
