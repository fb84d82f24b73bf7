from __future__ import annotations

import asyncio
from dataclasses import replace

from rcs_sim.client.message_state import MessageTransport
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import ALICE, BOB, World, device, subscriber


def test_requests_carry_p_cscf_and_service_route_r07() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        expected = "<sip:127.0.1.10;transport=tcp;lr>, <sip:orig@127.0.1.10;lr>"
        for method in ("MESSAGE", "OPTIONS", "SUBSCRIBE"):
            assert world.core.of(method)[0].text("Route") == expected

    play(story)


def test_other_methods_get_405_or_481_and_unknown_extensions_420() -> None:
    async def story(world: World) -> None:
        await two_phones(world)
        statuses: dict[str, int] = {}

        def ask(method: str, *headers: tuple[str, str]) -> None:
            base = world.core.message(f"tel:{BOB}", b"", "text/plain")
            fields = [(name, base.text(name) or "") for name in ("From", "To", "Call-ID", "Max-Forwards")]
            request = type(base).new(method, f"tel:{ALICE}", [*fields, ("CSeq", f"1 {method}"), *headers])
            key = method + "".join(value for _, value in headers)
            world.core.send(ALICE, request, lambda outcome: statuses.update({key: getattr(outcome, "status", 0)}))

        ask("BYE")
        ask("REFER")
        ask("PUBLISH")
        ask("MESSAGE", ("Require", "nothing-known"))
        await asyncio.sleep(1)
        assert statuses == {"BYE": 481, "REFER": 481, "PUBLISH": 405, "MESSAGEnothing-known": 420}

    play(story)


def test_a_phone_registers_over_udp_and_chats_without_service_route() -> None:
    async def story(world: World) -> None:
        policy = device("android")
        plain = replace(
            policy,
            registration=replace(policy.registration, uses_service_route=False, sends_proxy_route=False),
        )
        phones = []
        for name, number in (("alice", ALICE), ("bob", BOB)):
            document = subscriber(number, ps_signalling="SIPoUDP")
            udp = replace(
                plain, registration=replace(plain.registration, transport=type(plain.registration.transport).DOCUMENT)
            )
            phone = world.phone(name, number, udp, configuration=document)
            await phone.power_on()
            phones.append(phone)
        message = await (await phones[0].chat(BOB).send("Hello")).delivered(30)
        assert message.transport is MessageTransport.RCS
        request = world.core.of("MESSAGE", "Hello")[0]
        assert not request.has("Route")
        assert request.top_via.transport == "UDP"

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
