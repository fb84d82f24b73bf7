"""Two SIP stacks on a link, and a transaction user that writes down what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ims_core.errors import TransportError
from ims_core.trace import Trace, TraceRecord
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, FlowHandler, Network, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.sip_stack import (
    Hop,
    NameTable,
    Outcome,
    ServerTransaction,
    SipStack,
    StackConfig,
    TransactionFailure,
)
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.sip.message import Request, Response

__all__ = [
    "BOTH",
    "HOST_A",
    "HOST_B",
    "Element",
    "Pair",
    "Records",
    "config",
    "loop_time",
    "make_request",
    "never_answer",
    "story",
    "wire",
]

HOST_A, HOST_B = "10.0.0.1", "10.0.0.2"
BOTH = (Transport.UDP, Transport.TCP)

Answer = Callable[["Element", Request, ServerTransaction], None]


def answer_200(element: Element, request: Request, server: ServerTransaction) -> None:
    element.stack.reply(server, 200)


def make_request(method: str = "MESSAGE", *, call_id: str = "call-1", body: bytes = b"", **headers: Any) -> Request:
    """A request with what every request needs; *headers* by name with ``_`` for ``-``."""
    fields = [
        ("Max-Forwards", "70"),
        ("From", "<sip:alice@red.example>;tag=a1"),
        ("To", "<sip:bob@blue.example>"),
        ("Call-ID", call_id),
        ("CSeq", f"1 {method}"),
        *((name.replace("_", "-"), value) for name, value in headers.items()),
    ]
    return Request.new(method, "sip:bob@blue.example", fields, body, "text/plain" if body else None)


class Records:
    """A trace sink in memory."""

    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def write(self, record: TraceRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        """Nothing to close."""

    def lines(self) -> list[str]:
        return [record.to_json() for record in self.records]


class Element:
    """A stack with a transaction user that answers as told (200 by default)."""

    def __init__(self, config: StackConfig, network: Network, clock: Clock, trace: Trace | None = None) -> None:
        self.requests: list[Request] = []
        self.servers: list[ServerTransaction | None] = []
        self.strays: list[Response] = []
        self.ends: list[TransportError | None] = []
        self.pings: list[bool] = []
        self.flows: list[Flow] = []
        self.outcomes: list[Outcome] = []
        self.answer: Answer = answer_200
        self.stack = SipStack(
            config,
            self,
            network=network,
            clock=clock,
            tokens=Tokens(f"seed/{config.name}"),
            trace=trace or Trace(),
            names=NameTable(),
        )

    @property
    def statuses(self) -> list[int]:
        return [outcome.status for outcome in self.outcomes]

    @property
    def failures(self) -> list[TransactionFailure]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, TransactionFailure)]

    def hop(self, transport: Transport) -> Hop:
        """How others reach this element."""
        return Hop(self.stack.address(transport))

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        self.requests.append(request)
        self.servers.append(server)
        self.flows.append(flow)
        if server is not None:
            self.answer(self, request, server)

    def stray_response(self, response: Response, flow: Flow) -> None:
        self.strays.append(response)

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        self.ends.append(error)

    def keep_alive(self, flow: Flow, pong: bool) -> None:
        self.pings.append(pong)


def config(name: str, host: str, *transports: Transport, port: int = 5060, **members: Any) -> StackConfig:
    listen = tuple(Address(transport, host, port) for transport in transports)
    return StackConfig(name=name, listen=listen, local_host=host, **members)


class Pair:
    """Alice and Bob, both listening on UDP and TCP."""

    def __init__(self, trace: Trace | None = None, seed: str = "seed", **members: Any) -> None:
        self.network = MemoryNetwork(VirtualClock(), Tokens(seed))
        self.alice = Element(config("red.alice", HOST_A, *BOTH), self.network, self.network.clock, trace)
        self.bob = Element(config("red.bob", HOST_B, *BOTH, **members), self.network, self.network.clock, trace)

    async def start(self) -> Pair:
        await self.alice.stack.start()
        await self.bob.stack.start()
        return self

    async def close(self) -> None:
        await self.alice.stack.close()
        await self.bob.stack.close()

    def send(self, request: Request, transport: Transport = Transport.TCP) -> None:
        alice = self.alice
        alice.stack.send_request(request, self.bob.hop(transport), alice.outcomes.append)

    def raw(self, transport: Transport, handler: FlowHandler, host: str = "10.0.0.9") -> Flow:
        """A flow to Bob on which a test writes octets of its own."""
        return self.network.connect(host, self.bob.stack.address(transport), handler)


def story(tell: Callable[[Pair], Awaitable[None]], **members: Any) -> None:
    async def main() -> None:
        pair = await Pair(**members).start()
        await tell(pair)
        await pair.close()
        assert pair.alice.stack.open_transactions == (0, 0)

    run(main)


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def never_answer(element: Element, request: Request, server: ServerTransaction) -> None:
    """Leaves the client waiting."""


def wire(
    method: str = "MESSAGE", via: str = "SIP/2.0/TCP 10.0.0.9:5060;branch=z9hG4bK1", call_id: str = "c", **fields: Any
) -> bytes:
    request = make_request(method, call_id=call_id, **fields)
    branch = f"{via}-{call_id}" if "branch" in via else via
    return request.edit().push("Via", branch).done().encode()
