from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ims_core.trace import RecordKind
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import Hop, Outcome, ServerTransaction, SipStack, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import SipUri
from rcs_sim.client.message_state import MessageTransport
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import ALICE, BOB, CORE_HOST, World, device, subscriber


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


class _Stranger:
    """Another SIP element, which sends from *host*."""

    def __init__(self, world: World, host: str) -> None:
        self.stack = SipStack(
            StackConfig(name="stranger", local_host=host),
            self,
            network=world.network,
            clock=world.clock,
            tokens=Tokens(host),
            trace=world.trace,
            names=world.names,
        )
        self.outcomes: list[Outcome] = []

    def request_received(self, request: Request, server: ServerTransaction | None, flow: object) -> None: ...

    def stray_response(self, response: Response, flow: object) -> None: ...

    def flow_closed(self, flow: object, error: object) -> None: ...

    def keep_alive(self, flow: object, pong: bool) -> None: ...

    async def ask(self, world: World, request: Request) -> Outcome:
        """Sends *request* straight to the address that Alice's contact names."""
        contact = world.core.bindings[ALICE].contact.uri
        assert isinstance(contact, SipUri)
        transport = Transport((contact.params.get("transport") or "udp").upper())
        address = Address(transport, contact.host, contact.port or 5060)
        return await self.stack.request(request.edit().request_uri(contact).done(), Hop(address))


@pytest.mark.parametrize("signalling", ["SIPoTCP", "SIPoUDP"])
def test_a_request_from_another_host_is_refused_403_shown_to_nobody_and_traced(signalling: str) -> None:
    async def story(world: World) -> None:
        policy = device("android")
        by_document = type(policy.registration.transport).DOCUMENT
        policy = replace(policy, registration=replace(policy.registration, transport=by_document))
        document = subscriber(ALICE, ps_signalling=signalling)
        alice = world.phone("alice", ALICE, policy, configuration=document)
        await alice.power_on()
        stranger = _Stranger(world, "198.51.100.66")
        for method in ("MESSAGE", "OPTIONS", "INVITE", "NOTIFY"):
            message = world.core.message(f"tel:{BOB}", b"your bank", "text/plain")
            fields = [(name, message.text(name) or "") for name in ("From", "To", "Call-ID", "Max-Forwards")]
            fields.append(("CSeq", f"1 {method}"))
            request = Request.new(method, f"tel:{ALICE}", fields, b"your bank", "text/plain")
            outcome = await stranger.ask(world, request)
            assert isinstance(outcome, Response)
            assert outcome.status == 403, method
        assert not [line for line in world.shown("alice") if "your bank" in line]
        refused = [each for each in world.records(RecordKind.ERROR) if "not from the P-CSCF" in each.summary]
        assert len(refused) == 4
        await stranger.stack.close()

    play(story)


def test_the_p_cscf_may_come_over_a_connection_of_its_own() -> None:
    async def story(world: World) -> None:
        await two_phones(world)
        proxy = _Stranger(world, CORE_HOST)
        outcome = await proxy.ask(world, world.core.message(f"tel:{BOB}", b"from the network", "text/plain"))
        assert isinstance(outcome, Response)
        assert outcome.status == 200
        assert any("from the network" in line for line in world.shown("alice"))
        await proxy.stack.close()

    play(story)
