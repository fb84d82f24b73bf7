"""Two calls over a fake wire: each message is one piece in flight, delivered in any order, lost where SIP allows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_outputs import (
    CallConfig,
    CallOutput,
    Released,
    Respond,
    SendAck,
    SendCancel,
    SendRequest,
)
from ims_core.wire.sip.call_table import CallState
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sip.transaction import cancel_of

__all__ = [
    "ANSWER",
    "CALLEE",
    "CALLER",
    "OFFER",
    "CallPair",
    "End",
    "Flight",
    "arrived",
    "make_invite",
    "only",
    "those",
]

CALLER, CALLEE = "caller", "callee"
OFFER, ANSWER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n", b"v=0\r\no=- 2 1 IN IP4 192.0.2.2\r\n"

T = TypeVar("T", bound=CallOutput)


def make_invite(*headers: tuple[str, str], body: bytes = OFFER, number: int = 1) -> Request:
    """An INVITE of Alice as her owner makes it."""
    fields = [
        ("Max-Forwards", "70"),
        ("From", "<sip:alice@red.example>;tag=at"),
        ("To", "<sip:bob@blue.example>"),
        ("Call-ID", "c1"),
        ("CSeq", f"{number} INVITE"),
        ("Contact", "<sip:alice@192.0.2.1>;+sip.instance=x"),
        *headers,
    ]
    return Request.new("INVITE", "sip:bob@blue.example", fields, body, "application/sdp" if body else None)


def arrived(request: Request, *more: tuple[str, str]) -> Request:
    """*request* as its receiver reads it from the octets, with a Via and what proxies added."""
    editor = request.edit().push("Via", f"SIP/2.0/TCP a.example;branch=z9hG4bK{request.cseq.number}{request.method}")
    for name, text in more:
        editor.push(name, text)
    message = parse_datagram(editor.done().encode())
    assert isinstance(message, Request)
    return message


def those(kind: type[T], outputs: list[CallOutput]) -> list[T]:
    return [output for output in outputs if isinstance(output, kind)]


def only(kind: type[T], outputs: list[CallOutput]) -> T:
    (found,) = those(kind, outputs)
    return found


@dataclass
class Flight:
    """A message on its way."""

    source: str
    message: Request | Response

    @property
    def can_be_lost(self) -> bool:
        """Everything else is sent again by its transaction: here it always arrives."""
        if isinstance(self.message, Request):
            return self.message.method == "ACK"
        return self.message.cseq.method == "INVITE" and 200 <= self.message.status < 300


@dataclass
class End:
    """One side: its call, and all that it was told or asked to do."""

    name: str
    call: Call | None = None
    events: list[CallOutput] = field(default_factory=list)
    finals: list[Respond] = field(default_factory=list)

    def told(self, kind: type[T]) -> list[T]:
        return those(kind, self.events)


class CallPair:
    """Alice calls Bob. `do` runs an input of one side; `deliver` and `pass_time` move the rest."""

    def __init__(
        self,
        *headers: tuple[str, str],
        body: bytes = OFFER,
        caller: CallConfig | None = None,
        callee: CallConfig | None = None,
    ) -> None:
        self.now = 0.0
        self.flights: list[Flight] = []
        self.caller, self.callee = End(CALLER), End(CALLEE)
        self._configs = {CALLER: caller or CallConfig(), CALLEE: callee or CallConfig()}
        self._tokens = Tokens("call pair")
        invite = make_invite(*headers, body=body)
        self.caller.call = Call.outgoing(invite, uniform=self._tokens.uniform, config=self._configs[CALLER])
        self.do(CALLER, lambda call: call.start(self.now))

    def end(self, name: str) -> End:
        return self.caller if name == CALLER else self.callee

    @property
    def states(self) -> tuple[CallState | None, CallState | None]:
        caller, callee = self.caller.call, self.callee.call
        return caller.state if caller else None, callee.state if callee else None

    # --- what happens ------------------------------------------------------------------------------------------------

    def do(self, name: str, what: Callable[[Call], list[CallOutput]]) -> list[CallOutput]:
        """An input of one side, whose outputs are carried out."""
        end = self.end(name)
        assert end.call is not None
        outputs = what(end.call)
        for output in outputs:
            self._carry_out(end, output)
        return outputs

    def establish(self) -> CallPair:
        """Rings, answers, acknowledges."""
        self.deliver_all()
        self.do(CALLEE, lambda call: call.ring(self.now))
        self.do(CALLEE, lambda call: call.answer(ANSWER, self.now))
        self.deliver_all()
        assert self.states == (CallState.ESTABLISHED, CallState.ESTABLISHED)
        return self

    def deliver(self, index: int = 0) -> None:
        """The message at that place arrives."""
        flight = self.flights.pop(index)
        end = self.end(CALLEE if flight.source == CALLER else CALLER)
        message = parse_datagram(flight.message.encode())
        if isinstance(message, Request):
            self._request_arrives(end, message)
        elif end.call is not None and not end.call.is_released:
            self.do(end.name, lambda call: call.response_received(message, self.now))

    def lose(self, index: int = 0) -> None:
        assert self.flights[index].can_be_lost
        del self.flights[index]

    def deliver_all(self) -> None:
        while self.flights:
            self.deliver()

    def next_deadline(self) -> float | None:
        calls = [end.call for end in (self.caller, self.callee) if end.call is not None]
        return min((due for call in calls if (due := call.next_deadline()) is not None), default=None)

    def pass_time(self, *, until: float) -> None:
        """Deadlines and deliveries in order up to *until*."""
        self.deliver_all()
        while (due := self.next_deadline()) is not None and due <= until:
            self.fire(due)
            self.deliver_all()
        self.now = max(self.now, until)

    def fire(self, at: float) -> None:
        self.now = max(self.now, at)
        for name in (CALLER, CALLEE):
            call = self.end(name).call
            if call is not None and (due := call.next_deadline()) is not None and due <= self.now:
                self.do(name, lambda call: call.handle_deadline(self.now))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _request_arrives(self, end: End, request: Request) -> None:
        if end.call is None:
            assert request.method == "INVITE"
            end.call = Call.incoming(
                request,
                "bt",
                contact="<sip:bob@192.0.2.2>",
                uniform=self._tokens.uniform,
                config=self._configs[end.name],
            )
            self.do(end.name, lambda call: call.start(self.now))
        elif end.call.is_released:
            if request.method != "ACK":
                self.flights.append(Flight(end.name, Response.to(request, 481, to_tag="gone")))
        else:
            self.do(end.name, lambda call: call.request_received(request, self.now))

    def _carry_out(self, end: End, output: CallOutput) -> None:
        end.events.append(output)
        if isinstance(output, SendRequest | SendAck):
            sent = output.request.edit().push("Via", f"SIP/2.0/TCP {end.name};branch=z9hG4bK1").done()
            self.flights.append(Flight(end.name, sent))
        elif isinstance(output, SendCancel):
            invite = output.invite.edit().push("Via", f"SIP/2.0/TCP {end.name};branch=z9hG4bK1").done()
            self.flights.append(Flight(end.name, cancel_of(invite, output.headers)))
        elif isinstance(output, Respond):
            self._respond(end, output)
        elif isinstance(output, Released):
            assert output is end.events[-1]

    def _respond(self, end: End, output: Respond) -> None:
        """A server transaction has one final response; only a 2xx to INVITE may be given again."""
        before = next((final for final in end.finals if final.request is output.request), None)
        if before is not None:
            assert output.response is before.response
            assert output.request.method == "INVITE"
            assert output.response.status < 300
        elif output.response.status >= 200:
            end.finals.append(output)
        self.flights.append(Flight(end.name, output.response))
