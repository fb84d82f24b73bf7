from __future__ import annotations

import asyncio

import pytest

from ims_core.wire.digest import DigestCredentials
from rcs_sim.client.message_state import MessageTransport
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import ALICE, BOB, CORE_HOST, HOME, World, subscriber


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


def test_the_registration_is_refreshed_for_hours_r08() -> None:
    async def story(world: World) -> None:
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        await asyncio.sleep(4 * 3000 + 1)
        assert len(world.core.of("REGISTER")) == 2 + 4
        assert alice.is_registered
        await asyncio.sleep(86400)
        assert alice.is_registered

    play(story)


@pytest.mark.parametrize(
    ("event", "state", "registers"), [("deactivated", "registered", True), ("rejected", "refused", False)]
)
def test_a_notified_end_is_obeyed_r13(event: str, state: str, registers: bool) -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        before = len(world.core.of("REGISTER", ALICE))
        world.core.notify(ALICE, event)
        await asyncio.sleep(5)
        assert alice.registration is not None
        assert alice.registration.state.value == state
        assert (len(world.core.of("REGISTER", ALICE)) > before) is registers
        assert alice.is_registered is registers

    play(story)


def test_probation_registers_again_after_its_time_r13() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        world.core.notify(ALICE, "probation", retry_after=120)
        await asyncio.sleep(110)
        assert not alice.is_registered
        await asyncio.sleep(20)
        assert alice.is_registered

    play(story)


def test_a_refused_network_is_tried_again_with_back_off_r14() -> None:
    async def story(world: World) -> None:
        world.core.answers["REGISTER"].extend([503, 503, 503])
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        assert not alice.is_registered
        await asyncio.sleep(15 + 30 + 60 + 120)
        assert alice.is_registered
        assert any("lost: 503" in line for line in world.states("alice", "registration"))

    play(story)


def test_a_network_that_is_not_there_is_found_when_it_comes() -> None:
    async def story(world: World) -> None:
        world.network.cut(CORE_HOST)
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        assert not alice.is_registered
        await asyncio.sleep(600)
        world.network.restore(CORE_HOST)
        await asyncio.sleep(1900)
        assert alice.is_registered

    play(story)


def test_keep_alives_are_sent_only_if_the_via_came_back_with_a_value() -> None:
    async def story(world: World) -> None:
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        await asyncio.sleep(1000)
        assert world.core.pings == 0
        await alice.power_off()
        world.core.keep_s = 120
        await alice.power_on()
        await asyncio.sleep(1000)
        assert 8 <= world.core.pings <= 11

    play(story)


def test_without_a_pong_the_flow_has_failed_and_a_new_one_is_registered() -> None:
    async def story(world: World) -> None:
        world.core.keep_s = 120
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        before = len(world.core.of("REGISTER"))
        world.network.cut(CORE_HOST)
        await asyncio.sleep(140)
        assert not alice.is_registered
        world.network.restore(CORE_HOST)
        await asyncio.sleep(3600)
        assert alice.is_registered
        assert len(world.core.of("REGISTER")) > before
        assert any("flow" in line for line in world.states("alice", "registration"))

    play(story)


def test_a_flow_closed_by_the_network_is_replaced_at_once() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        world.core.stack.close_flow(world.core.bindings[ALICE].flow, "restart")
        await asyncio.sleep(2)
        assert alice.is_registered
        message = await (await alice.chat(BOB).send("Hello")).delivered(5)
        assert message.transport is MessageTransport.RCS

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


def test_a_lineage_like_phone_gives_no_answer_to_options_and_stays_unknown_row_10() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world, ios="lineage-like")
        chat = alice.chat(BOB)
        await asyncio.sleep(200)
        assert chat.label == "RCS"
        for _ in range(20):
            alice.chat(BOB)
            await asyncio.sleep(10)
        assert len(world.core.of("OPTIONS")) == 1

    play(story)


def test_responses_of_a_lineage_like_phone_have_no_to_tag_row_6() -> None:
    async def story(world: World) -> None:
        await two_phones(world, ios="lineage-like")
        tags: list[str | None] = []
        message = world.core.message(f"tel:{ALICE}", b"x", "text/plain")
        world.core.send(BOB, message, lambda outcome: tags.append(outcome.text("To")))  # type: ignore[union-attr]  # a response
        await asyncio.sleep(1)
        assert tags == [message.text("To")]

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
