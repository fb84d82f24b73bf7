from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ims_core.wire.digest import DigestCredentials
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.phone import Phone
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_acs import ACS_URL, StubAcs
from tests.support.stub_core import ALICE, BOB, HOME, World, subscriber
from tests.support.stub_smsc import SMSC_ADDRESS, SMSC_NUMBER, StubSmsc


def test_a_message_is_sent_delivered_and_displayed() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        message = await alice.chat(BOB).send("Hello Bob")
        await message.delivered(5)
        chat = bob.chat(ALICE)
        assert [each.text for each in chat.messages] == ["Hello Bob"]
        chat.read()
        await message.displayed(5)
        states = [change.state.value for change in message.history]
        assert states == ["queued", "sending", "sent", "delivered", "displayed"]
        assert message.transport is MessageTransport.RCS
        assert [each.partition(" ")[0] for each in world.shown("alice")] == [
            "label",
            "message",
            "sent",
            "delivered",
            "displayed",
        ]

    play(story)


def test_power_on_registers_and_subscribes_and_power_off_deregisters_r01_r10() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        first, second = world.core.of("REGISTER", ALICE)[:2]
        assert DigestCredentials.parse(first.text("Authorization") or "").nonce == ""
        assert second.cseq.number == first.cseq.number + 1
        assert world.core.of("SUBSCRIBE", ALICE)[0].text("Event") == "reg"
        await alice.power_off()
        assert not alice.is_registered
        last = world.core.of("REGISTER", ALICE)[-1]
        assert last.text("Expires") == "0"
        assert set(world.core.bindings) == {BOB}

    play(story)


def test_a_configuration_that_cannot_be_used_is_shown_and_nothing_else_happens() -> None:
    async def story(world: World) -> None:
        alice = world.phone("alice", ALICE, configuration=subscriber(ALICE, pcscf_addresses=()))
        await alice.power_on()
        assert not alice.is_registered
        assert any("no P-CSCF" in line for line in world.shown("alice"))

    play(story)


def test_the_power_can_be_lost_without_a_word_and_come_back() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        await (await alice.chat(BOB).send("before")).delivered(5)
        requests = len(world.core.requests)
        await bob.lose_power()
        await asyncio.sleep(100)
        assert len(world.core.requests) == requests
        await bob.power_on()
        assert bob.is_registered
        registers = world.core.of("REGISTER", BOB)
        assert registers[-1].call_id != registers[0].call_id
        assert [each.text for each in bob.chat(ALICE).messages] == ["before"]
        await (await alice.chat(BOB).send("after")).delivered(60)

    play(story)


def test_airplane_mode_leaves_and_comes_back() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        await alice.airplane(True)
        assert not alice.is_registered
        assert ALICE not in world.core.bindings
        await alice.airplane(False)
        assert alice.is_registered

    play(story)


def test_a_lineage_like_phone_registers_chats_and_leaves_rows_1_to_6_9_10() -> None:
    async def story(world: World) -> None:
        world.core.opaque = "op"
        alice, bob = await two_phones(world, ios="lineage-like")
        first, second = world.core.of("REGISTER", BOB)[:2]
        assert first.call_id == second.call_id
        assert first.text("From") != second.text("From")
        assert "+sip.instance" not in (second.text("Contact") or "")
        assert "opaque" not in (second.text("Authorization") or "")
        assert "qop=auth" in (second.text("Authorization") or "")
        assert not second.has("Route")
        assert world.core.of("SUBSCRIBE", BOB) == []
        message = await (await bob.chat(ALICE).send("from lineage")).delivered(10)
        request = world.core.of("MESSAGE", "from lineage")[0]
        assert not request.has("Route")
        assert request.request_uri_text == f"sip:{ALICE}@{HOME}"
        alice.chat(BOB).read()
        await message.displayed(10)
        received = await (await alice.chat(BOB).send("to lineage")).delivered(200)
        assert received.transport is MessageTransport.RCS
        receipt = world.core.of("MESSAGE", received.id)[-1]
        assert receipt.request_uri_text == f"sip:{ALICE}@{HOME}"  # the CPIM From
        await bob.power_off()
        await asyncio.sleep(1)
        last = world.core.of("REGISTER", BOB)[-1]
        assert (last.text("Expires"), last.text("Contact")) == ("0", (second.text("Contact") or "").partition(";+")[0])
        assert last.call_id != first.call_id
        assert DigestCredentials.parse(last.text("Authorization") or "").nc == "00000002"
        assert BOB not in world.core.bindings

    play(story)


def test_a_lineage_like_phone_ignores_an_imdn_without_cpim_row_6() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world, ios="lineage-like")
        await alice.power_off()
        message = await (await bob.chat(ALICE).send("Hello")).sent(5)
        status = "<delivery-notification><status><delivered/></status></delivery-notification>"
        imdn = f"<imdn><message-id>{message.id}</message-id><datetime/>{status}</imdn>"
        world.core.send(BOB, world.core.message(f"tel:{ALICE}", imdn.encode(), "message/imdn+xml"))
        await asyncio.sleep(2)
        assert message.state.value == "sent"

    play(story)


@asynccontextmanager
async def _provisioned(world: World, *, by_password: bool = False) -> AsyncIterator[tuple[Phone, StubAcs]]:
    """Alice, switched off, and her configuration server."""
    smsc = StubSmsc(world)
    await smsc.start()
    acs = StubAcs(world, subscriber(ALICE), (lambda code: smsc.text(ALICE, "ACS", code)) if by_password else None)
    await acs.start()
    alice = world.phone(
        "alice",
        ALICE,
        http=acs.client("alice", "192.0.2.11"),
        configuration=None,
        acs_url=ACS_URL,
        header_enrichment=not by_password,
        smsc=SMSC_ADDRESS,
        service_centre=SMSC_NUMBER,
    )
    yield alice, acs
    await alice.power_off()
    await acs.close()
    await smsc.close()


@pytest.mark.parametrize("by_password", [False, True])
def test_power_on_provisions_and_registers_by_header_enrichment_or_password(by_password: bool) -> None:
    async def story(world: World) -> None:
        async with _provisioned(world, by_password=by_password) as (alice, acs):
            await alice.power_on()
            assert alice.is_registered
            assert alice.configuration == acs.configuration
            assert alice.number == ALICE
            assert "User-Agent" in dict(acs.requests[0].headers) or "user-agent" in dict(acs.requests[0].headers)
            asked = len(acs.requests)
            await alice.power_off()
            await alice.power_on()
            assert alice.is_registered
            assert len(acs.requests) == asked  # the document is still valid

    play(story)


def test_403_to_register_asks_for_the_configuration_once_r15() -> None:
    async def story(world: World) -> None:
        async with _provisioned(world) as (alice, acs):
            world.core.answers["REGISTER"].append(403)
            await alice.power_on()
            await asyncio.sleep(5)
            assert len([each for each in acs.requests if each.query()]) == 2
            assert alice.is_registered

    play(story)


def test_403_again_stops_without_asking_for_ever_r15() -> None:
    async def story(world: World) -> None:
        async with _provisioned(world) as (alice, acs):
            world.core.answers["REGISTER"].extend([403] * 100)
            await alice.power_on()
            await asyncio.sleep(3600)
            assert not alice.is_registered
            assert len([each for each in acs.requests if each.query()]) == 2
            assert len(world.core.of("REGISTER")) == 2

    play(story)


@pytest.mark.parametrize(("version", "state"), [(-1, "off for good"), (-2, "off until the user acts"), (0, "reset")])
def test_a_trigger_message_can_end_the_service(version: int, state: str) -> None:
    async def story(world: World) -> None:
        async with _provisioned(world) as (alice, acs):
            await alice.power_on()
            acs.version = acs.validity_s = version
            world.core.sms.text(ALICE, "ACS", "001012025550101-rcscfg")  # type: ignore[union-attr]  # the stub SMSC
            await asyncio.sleep(30)
            assert not alice.is_registered
            assert alice.provisioning is not None
            assert alice.provisioning.state.value == state
            assert ALICE not in world.core.bindings

    play(story)


def test_without_a_configuration_server_power_on_comes_back_and_sms_works() -> None:
    async def story(world: World) -> None:
        async with _provisioned(world) as (alice, acs):
            acs.statuses = [500] * 100
            await alice.power_on()
            assert not alice.is_registered
            assert alice.chat(BOB).label == "SMS"
            message = await alice.chat(BOB).send("Hello")
            await message.sent(10)
            assert message.transport.value == "SMS"

    play(story)
