"""The stateful proxy on in-memory links (RFC 3261 §16)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ims_core.errors import TransportError
from ims_core.nodes.decision import Answer, Decision, Defer, Discard, Forward, Put, Target
from ims_core.nodes.proxy import Proxy
from ims_core.store.bindings import FLOW_TOKEN_KEYS, FlowTokenKey
from ims_core.store.memory import MemoryStore
from ims_core.store.record_table import StoreError
from ims_core.trace import RecordKind, Trace
from ims_core.transport.link import Address, Flow, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.sip_stack import Hop, NameTable, Outcome, SipStack, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.sip.message import Request, Response
from tests.support.core_cases import make_request
from tests.support.sip_pair import Records

CLIENT, PROXY, SERVER = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def at(host: str, transport: Transport = Transport.TCP) -> Address:
    return Address(transport, host, 5060)


class World:
    """A client, a proxy whose router is *route*, and a server that answers as *answer* says."""

    def __init__(self, store: Any = None) -> None:
        self.clock, self.trace, self.records = VirtualClock(), Trace(), Records()
        self.trace.add_sink(self.records)
        self.network = MemoryNetwork(self.clock, Tokens("net"))
        self.route_as: Callable[[Request], Decision] = self.onward
        self.answer: Callable[[Request], Response | None] = lambda request: Response.to(request, 200, to_tag="s")
        self.received: list[Request] = []
        self.performed: list[object] = []
        self.closed: list[Flow] = []
        self.supported_extensions = frozenset(("path",))
        self.proxy = Proxy(
            StackConfig(name="proxy", listen=(at(PROXY), at(PROXY, Transport.UDP))),
            self,
            store=store,
            on_flow_closed=self.closed.append,
            **self.parts("proxy"),
        )
        self.client = SipStack(StackConfig(name="client", listen=(at(CLIENT),)), self, **self.parts("client"))
        self.server = SipStack(StackConfig(name="server", listen=(at(SERVER),)), self, **self.parts("server"))

    def parts(self, name: str) -> dict[str, Any]:
        return {
            "network": self.network,
            "clock": self.clock,
            "tokens": Tokens(name),
            "trace": self.trace,
            "names": NameTable(),
        }

    # --- Router of the proxy
    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        return self.route_as(request)

    def perform(self, actions: tuple[object, ...], now: float) -> None:
        self.performed += actions

    def onward(self, request: Request, *hosts: str) -> Decision:
        onward = request.edit().set("Max-Forwards", "69").done()
        return Forward(tuple(Target(onward, Hop(address=at(host))) for host in hosts or (SERVER,)))

    # --- TransactionUser of both ends
    def request_received(self, request: Request, server: Any, flow: Flow) -> None:
        self.received.append(request)
        response = None if server is None else self.answer(request)
        if response is not None:
            server.respond(response)
        self.last = server

    def stray_response(self, response: Response, flow: Flow) -> None:
        self.strays = [*getattr(self, "strays", []), response]

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        """Seen in the outcome."""

    def keep_alive(self, flow: Flow, pong: bool) -> None:
        """Answered by the stack."""

    async def ask(self, request: Request | None = None) -> int:
        outcome: Outcome = await self.client.request(request or ask_for("MESSAGE"), Hop(address=at(PROXY)))
        return outcome.status

    def errors(self) -> list[str]:
        return [record.summary for record in self.records.records if record.kind is RecordKind.ERROR]


def ask_for(method: str, *headers: tuple[str, str]) -> Request:
    return make_request(method, "sip:b@x", *headers).edit().remove("Via").done()


def story(tell: Callable[[World], Awaitable[None]], store: Any = None) -> None:
    async def main() -> None:
        world = World(store)
        await world.proxy.start()
        await world.client.start()
        await world.server.start()
        try:
            await tell(world)
        finally:
            for each in (world.client, world.server, world.proxy):
                await each.close()
            await world.network.close()

    run(main())


def test_a_request_is_proxied_and_its_answer_comes_back() -> None:
    async def tell(world: World) -> None:
        assert await world.ask() == 200
        assert len(world.received[0].texts("Via")) == 2
        assert world.proxy._sent == {}

    story(tell)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Max-Forwards": "0"}, 483),
        ({"Max-Forwards": "x"}, 400),
        ({"Proxy-Require": "warp"}, 420),
        ({"Proxy-Require": "path"}, 200),
    ],
)
def test_a_request_that_must_not_go_on_is_refused(changes: dict[str, str], status: int) -> None:
    async def tell(world: World) -> None:
        editor = ask_for("MESSAGE").edit()
        for name, text in changes.items():
            editor.set(name, text)
        assert await world.ask(editor.done()) == status

    story(tell)


def test_a_loop_is_482_and_does_not_turn_for_long() -> None:
    async def tell(world: World) -> None:
        world.route_as = lambda request: world.onward(request, PROXY)
        assert await world.ask() == 482
        assert len([each for each in world.records.records if each.summary.startswith("MESSAGE")]) == 2

    story(tell)


def test_a_spiral_with_another_request_uri_goes_on() -> None:
    async def tell(world: World) -> None:
        def route(request: Request) -> Decision:
            if request.request_uri_text == "sip:b@x":
                again = request.edit().set("Max-Forwards", "68").request_uri("sip:c@x").done()
                return Forward((Target(again, Hop(address=at(PROXY))),))
            return world.onward(request)

        world.route_as = route
        assert await world.ask() == 200

    story(tell)


def test_an_invite_is_answered_100_at_once_and_its_ack_goes_end_to_end() -> None:
    async def tell(world: World) -> None:
        world.answer = lambda request: Response.to(request, 200, to_tag="s", headers=[("Contact", "<sip:b@10.0.0.3>")])
        outcomes: list[Outcome] = []
        world.client.send_request(ask_for("INVITE"), Hop(address=at(PROXY)), outcomes.append)
        await asyncio.sleep(1)
        assert [outcome.status for outcome in outcomes] == [100, 200]
        world.client.send_stateless(ask_for("ACK"), Hop(address=at(PROXY)))
        await asyncio.sleep(1)
        assert [request.method for request in world.received] == ["INVITE", "ACK"]

    story(tell)


def test_the_2xx_to_invite_once_more_is_passed_on() -> None:
    async def tell(world: World) -> None:
        outcomes: list[Outcome] = []
        world.client.send_request(ask_for("INVITE"), Hop(address=at(PROXY)), outcomes.append)
        await asyncio.sleep(1)
        world.last.respond(Response.to(world.received[0], 200, to_tag="s"))
        await asyncio.sleep(1)
        assert [each.status for each in world.strays] == [200]

    story(tell)


def test_cancel_is_answered_200_and_ends_the_invite_with_487() -> None:
    async def tell(world: World) -> None:
        world.answer = lambda request: None if request.method == "INVITE" else Response.to(request, 200, to_tag="s")
        outcomes: list[Outcome] = []
        handle = world.client.send_request(ask_for("INVITE"), Hop(address=at(PROXY)), outcomes.append)
        await asyncio.sleep(1)
        invite, ringing = world.received[0], world.last
        ringing.respond(Response.to(invite, 180, to_tag="s"))
        handle.cancel((("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),))
        await asyncio.sleep(1)
        assert [request.method for request in world.received] == ["INVITE", "CANCEL"]
        # The next hop learns why (RFC 3326 §2).
        assert world.received[1].text("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
        ringing.respond(Response.to(invite, 487, to_tag="s"))
        await asyncio.sleep(1)
        assert [outcome.status for outcome in outcomes] == [100, 180, 487]
        assert world.proxy._invites == {}

    story(tell)


def test_a_cancel_of_nothing_is_481() -> None:
    async def tell(world: World) -> None:
        assert await world.ask(ask_for("CANCEL")) == 481

    story(tell)


def test_a_server_that_is_silent_or_unreachable() -> None:
    async def tell(world: World) -> None:
        world.answer = lambda request: None
        assert await world.ask() == 408  # the client gives up as early
        world.answer = lambda request: None
        await world.server.close()
        assert await world.ask() == 503

    story(tell)


def test_an_answer_may_have_actions_and_discard_answers_nothing() -> None:
    async def tell(world: World) -> None:
        world.route_as = lambda request: Answer(Response.to(request, 202, to_tag="p"), ("then this",))
        assert await world.ask() == 202
        assert world.performed == ["then this"]
        world.route_as = lambda request: Discard()
        assert await world.ask() == 408

    story(tell)


def test_an_answer_waits_for_the_store() -> None:
    store = MemoryStore()
    record = FlowTokenKey("x", b"k")

    async def tell(world: World) -> None:
        world.route_as = lambda request: Defer(
            (Put(FLOW_TOKEN_KEYS, record),), Answer(Response.to(request, 200, to_tag="p"))
        )
        assert await world.ask() == 200
        assert await store.table(FLOW_TOKEN_KEYS).load_all() == [record]

    story(tell, store)


def test_a_store_that_fails_is_500() -> None:
    class Full:
        """A disk without room."""

        def table(self, record_type: object) -> Full:
            return self

        async def put(self, record: object) -> None:
            raise StoreError("the disk is full: make room")

    async def tell(world: World) -> None:
        world.route_as = lambda request: Defer(
            (Put(FLOW_TOKEN_KEYS, FlowTokenKey("x", b"k")),), Answer(Response.to(request, 200, to_tag="p"))
        )
        assert await world.ask() == 500

    story(tell, Full())


def test_a_header_that_cannot_be_read_is_answered_and_traced() -> None:
    async def tell(world: World) -> None:
        from ims_core.wire.sip.headers import AcceptContact

        world.route_as = lambda request: world.onward(request) if request.get(AcceptContact) else Discard()
        assert await world.ask(ask_for("MESSAGE", ("Accept-Contact", "no star"))) == 400
        assert len(world.errors()) == 1

    story(tell)


def test_flows_that_end_are_told() -> None:
    async def tell(world: World) -> None:
        await world.ask()
        await world.client.close()
        await asyncio.sleep(1)
        assert len(world.closed) == 1

    story(tell)


def test_a_port_in_use_is_said_and_nothing_is_left_running() -> None:
    async def main() -> None:
        world, other = World(), None
        await world.proxy.start()
        other = Proxy(StackConfig(name="other", listen=(at(PROXY),)), world, **world.parts("other"))
        with pytest.raises(TransportError, match="in use"):
            await other.start()
        await world.proxy.close()
        await world.network.close()

    run(main())
