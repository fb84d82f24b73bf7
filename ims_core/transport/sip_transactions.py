"""The two ends of a transaction as the transaction user holds them, and the machines that they drive (RFC 3261 §17)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from ims_core.errors import ConnectTimeout, TransportError
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Flow, Transport
from ims_core.transport.sip_transport import SipTransport
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.headers import Via
from ims_core.wire.sip.message import HeaderInput, Request, Response, SipMessage
from ims_core.wire.sip.transaction import (
    Deliver,
    InviteClient,
    InviteServer,
    NonInviteClient,
    NonInviteServer,
    Outputs,
    Send,
    State,
    Terminated,
    TimedOut,
    TimerConfig,
    TransactionKey,
    cancel_of,
)

__all__ = [
    "ClientHandle",
    "FailureReason",
    "KeptAnswer",
    "OnOutcome",
    "Outcome",
    "ServerExchange",
    "ServerTransaction",
    "TransactionFailure",
    "TransactionOwner",
]

_FIRST_FINAL_STATUS = 200
_NEVER_SENT = 408  # by another server transaction than that of INVITE (RFC 4320 §4.2)


class FailureReason(Enum):
    """Why a client transaction ended without a response."""

    TIMEOUT = "timeout"  # treat as 408
    TRANSPORT = "transport"  # treat as 503


@dataclass(frozen=True, slots=True)
class TransactionFailure:
    """A client transaction ended without a final response (RFC 3261 §8.1.3.1)."""

    reason: FailureReason
    error: TransportError | None = None

    @property
    def status(self) -> int:
        """The status code that this is to be taken for."""
        return 408 if self.reason is FailureReason.TIMEOUT else 503


Outcome: TypeAlias = Response | TransactionFailure
OnOutcome: TypeAlias = Callable[[Outcome], None]


class TransactionOwner(Protocol):
    """What a transaction needs of its stack."""

    transport: SipTransport
    deadlines: DeadlineHeap
    timers: TimerConfig

    def client_begins(self, client: ClientHandle) -> None: ...

    def client_ended(self, client: ClientHandle) -> None: ...

    def server_begins(self, server: ServerExchange | KeptAnswer) -> None: ...

    def server_ended(self, server: ServerExchange | KeptAnswer) -> None: ...

    def tell_outcome(self, client: ClientHandle, on_outcome: OnOutcome, outcome: Outcome) -> None:
        """Calls the transaction user; what it raises is traced and goes no further."""
        ...

    def tell_stray(self, response: Response, flow: Flow) -> None:
        """A further 2xx to an INVITE (RFC 6026 §7.2)."""
        ...

    def tell_ack(self, ack: Request, flow: Flow) -> None:
        """An ACK to a 2xx with the branch of its INVITE, which some clients send (RFC 6026 §7.1)."""
        ...


class ClientHandle:
    """A client transaction: the request as it was sent, the flow it was sent on, and the way to cancel it."""

    __slots__ = (
        "_fallback",
        "_gives_up_at",
        "_is_final",
        "_machine",
        "_on_outcome",
        "_owner",
        "_wants_cancel",
        "armed",
        "due",
        "flow",
        "key",
        "request",
    )

    def __init__(
        self,
        owner: TransactionOwner,
        key: TransactionKey,
        request: Request,
        flow: Flow,
        on_outcome: OnOutcome,
        fallback: Address | None = None,
    ) -> None:
        self._owner, self.key, self._on_outcome = owner, key, on_outcome
        self.request, self.flow = request, flow
        self._fallback = fallback  # the UDP address that size alone kept the request from (RFC 3261 §18.1.1)
        self._machine = self._new_machine()
        self._is_final = False
        self._wants_cancel: tuple[HeaderInput, ...] | None = None
        self._gives_up_at = math.inf  # when a cancelled INVITE ends unanswered (RFC 3261 §9.1)
        self.due = self.armed = math.inf

    @property
    def is_final(self) -> bool:
        """Whether the final outcome has been delivered."""
        return self._is_final

    @property
    def state(self) -> State:
        return self._machine.state

    def cancel(self, headers: Iterable[HeaderInput] = ()) -> None:
        """Cancels an INVITE, once it is allowed (RFC 3261 §9.1); nothing for other methods and after the end.

        *headers*, such as Reason, go into the CANCEL. The outcome still comes: 487 as a rule."""
        if self._is_final or not isinstance(self._machine, InviteClient) or self._wants_cancel is not None:
            return
        self._wants_cancel = tuple(headers)
        if self._machine.can_cancel:
            self._send_cancel()

    def start(self) -> None:
        """Sends the request (for the stack)."""
        owner = self._owner
        owner.transport.send(self._machine.begin(owner.deadlines.time()), self.flow)
        self._set_deadline()

    def receive(self, response: Response) -> None:
        """A response of this transaction has come (for the stack)."""
        machine = self._machine
        if response.status >= _FIRST_FINAL_STATUS and isinstance(machine, NonInviteClient) and machine.end_at_once():
            self._deliver(response)
            self._end()
            return
        self._carry_out(self._machine.receive(response, self._owner.deadlines.time()))

    def flow_failed(self, error: TransportError | None) -> None:
        """The flow is gone (for the stack). What was too large for UDP is tried there all the same."""
        if self._fallback is not None and isinstance(error, ConnectTimeout) and not self._is_final:
            self._fall_back(self._fallback)
            return
        self._carry_out(self._machine.transport_failed(self._owner.deadlines.time()), error)

    def abandon(self, error: TransportError) -> None:
        """The stack closes (for the stack)."""
        if not self._is_final:
            self._finish(TransactionFailure(FailureReason.TRANSPORT, error))
        self._end()

    def deadline_came(self, now: float) -> None:
        if now >= self._gives_up_at:
            self._finish(TransactionFailure(FailureReason.TIMEOUT))
            self._end()
        else:
            self._carry_out(self._machine.handle_deadline(now))

    def _new_machine(self) -> InviteClient | NonInviteClient:
        kind = InviteClient if self.request.method == "INVITE" else NonInviteClient
        is_reliable = self.flow.local.transport.is_reliable
        return kind(self.request, self._owner.timers, is_reliable=is_reliable)

    def _fall_back(self, address: Address) -> None:
        owner, self._fallback = self._owner, None
        self.flow = owner.transport.connect(address)
        via = owner.transport.via_text(self.flow, self.request.top_via.branch or "")
        self.request = self.request.edit().pop(Via).push("Via", via).done()
        self._machine = self._new_machine()
        self.start()

    def _send_cancel(self) -> None:
        owner = self._owner
        cancel = cancel_of(self.request, self._wants_cancel or ())
        key = TransactionKey(f"{self.request.top_via.branch} CANCEL")
        owner.client_begins(ClientHandle(owner, key, cancel, self.flow, _nobody_waits))
        self._gives_up_at = owner.deadlines.time() + owner.timers.timeout_s
        self._set_deadline()

    def _carry_out(self, outputs: Outputs, error: TransportError | None = None) -> None:
        is_over = False
        for output in outputs:
            if isinstance(output, Send):
                self._owner.transport.send(output.octets, self.flow)
            elif isinstance(output, Deliver):
                self._deliver(output.message)
            elif isinstance(output, Terminated):
                is_over = True
            else:
                reason = FailureReason.TIMEOUT if isinstance(output, TimedOut) else FailureReason.TRANSPORT
                self._finish(TransactionFailure(reason, error))
        if is_over:
            self._end()
        else:
            self._set_deadline()

    def _set_deadline(self) -> None:
        due = self._machine.next_deadline()
        if self._gives_up_at != math.inf:
            due = self._gives_up_at if due is None else min(due, self._gives_up_at)
        self._owner.deadlines.set(self, due)

    def _deliver(self, message: SipMessage) -> None:
        if not isinstance(message, Response):
            return
        if self._is_final:
            self._owner.tell_stray(message, self.flow)
        elif message.status >= _FIRST_FINAL_STATUS:
            self._gives_up_at = math.inf
            self._finish(message)
        else:
            self._owner.tell_outcome(self, self._on_outcome, message)
            if self._wants_cancel is not None and self._gives_up_at == math.inf:
                self._send_cancel()

    def _finish(self, outcome: Outcome) -> None:
        """The one final outcome."""
        if not self._is_final:
            self._is_final = True
            on_outcome, self._on_outcome = self._on_outcome, _nobody_waits
            self._owner.tell_outcome(self, on_outcome, outcome)

    def _end(self) -> None:
        self._owner.deadlines.set(self, None)
        self._owner.client_ended(self)


def _nobody_waits(outcome: Outcome) -> None:
    """The answer to a CANCEL says nothing that the answer to its INVITE does not."""


class ServerExchange:
    """What the stack keeps of a server transaction: its machine and the way back, not the request."""

    __slots__ = ("_machine", "_owner", "_way_back", "armed", "due", "flow", "key")

    def __init__(
        self, owner: TransactionOwner, key: TransactionKey, request: Request, way_back: Flow | str, flow: Flow
    ) -> None:
        """To be begun. *way_back* of a request that came on a stream is the topmost Via field: it tells
        the way when there is something to send."""
        self._owner, self.key, self.flow, self._way_back = owner, key, flow, way_back
        is_reliable = flow.local.transport is not Transport.UDP
        kind = InviteServer if request.method == "INVITE" else NonInviteServer
        self._machine = kind(request, owner.timers, is_reliable=is_reliable)
        self.due = self.armed = math.inf

    @property
    def state(self) -> State:
        return self._machine.state

    def begin(self) -> None:
        """The request is the caller's to deliver."""
        self._machine.begin(self._owner.deadlines.time())

    def await_answer(self) -> None:
        """Sets the clock for an answer that was not given at once."""
        self._owner.deadlines.set(self, self._machine.next_deadline())

    def receive(self, request: Request) -> None:
        """The request once more, or its ACK."""
        self._carry_out(self._machine.receive(request, self._owner.deadlines.time()))

    def respond(self, response: Response) -> None:
        """Raises LocalProtocolError for a second final response to an INVITE."""
        machine, status = self._machine, response.status
        is_final = status >= _FIRST_FINAL_STATUS and status != _NEVER_SENT
        if is_final and isinstance(machine, NonInviteServer) and machine.end_at_once():
            self._send(response.encode())
            self._end()
            return
        self._carry_out(self._machine.respond(response, self._owner.deadlines.time()))

    def deadline_came(self, now: float) -> None:
        self._carry_out(self._machine.handle_deadline(now))

    def _carry_out(self, outputs: Outputs) -> None:
        owner = self._owner
        for output in outputs:
            if isinstance(output, Send):
                self._send(output.octets)
            elif isinstance(output, Deliver):
                if isinstance(output.message, Request):
                    owner.tell_ack(output.message, self.flow)
            elif isinstance(output, Terminated):  # always the last
                self._end()
                return
        owner.deadlines.set(self, self._machine.next_deadline())

    def _send(self, octets: bytes) -> None:
        transport, way = self._owner.transport, self._way_back
        transport.send(octets, _found_way_back(transport, way, self.flow) if isinstance(way, str) else way)

    def _end(self) -> None:
        self._owner.deadlines.set(self, None)
        self._owner.server_ended(self)


class KeptAnswer:
    """What is left of another request than INVITE that came as a datagram and was answered at once: its transaction is
    Completed, and the octets of its response are kept for Timer J (RFC 3261 §17.2.2)."""

    __slots__ = ("_octets", "_owner", "_way_back", "armed", "due", "key")
    state = State.COMPLETED

    def __init__(self, owner: TransactionOwner, key: TransactionKey, octets: bytes, way_back: Flow) -> None:
        self._owner, self.key, self._octets, self._way_back = owner, key, octets, way_back
        self.due = self.armed = math.inf
        owner.server_begins(self)
        deadlines = owner.deadlines
        deadlines.set(self, deadlines.time() + owner.timers.timeout_s)

    def receive(self, request: Request) -> None:
        """The request once more."""
        self._owner.transport.send(self._octets, self._way_back)

    def respond(self, response: Response) -> None:
        """What the transaction user says after its final response is dropped."""

    def deadline_came(self, now: float) -> None:
        self._owner.server_ended(self)


def _found_way_back(transport: SipTransport, via: str, flow: Flow) -> Flow:
    """For the response to a request with the field *via* on top that came on the stream *flow*."""
    return flow if flow.is_open else transport.way_back(Via.parse(via.partition(": ")[2]), flow)


class ServerTransaction:
    """A request that came, and the way to answer it. *request* has received and rport in its top Via (RFC 3581).

    State is kept for it from the moment when some is needed: not if it is answered at once on a stream, where Timer J
    is 0, nor if its answer is to be stateless."""

    __slots__ = ("_exchange", "_owner", "_to_tag", "_way_back", "flow", "is_answered", "key", "request")

    def __init__(
        self, owner: TransactionOwner, key: TransactionKey, request: Request, way_back: Flow | str, flow: Flow
    ) -> None:
        """*way_back*: see `ServerExchange`."""
        self._owner, self.key, self._way_back, self.flow = owner, key, way_back, flow
        self._exchange: ServerExchange | KeptAnswer | None = None
        self._to_tag = ""
        self.request = request
        self.is_answered = False  # a final response was given

    @property
    def state(self) -> State:
        if self._exchange is None:
            return State.TERMINATED if self.is_answered else State.INITIAL
        return self._exchange.state

    def begin(self) -> ServerExchange | KeptAnswer:
        """Keeps state from now on (for the stack)."""
        exchange = self._exchange
        if exchange is None:
            owner = self._owner
            exchange = self._exchange = ServerExchange(owner, self.key, self.request, self._way_back, self.flow)
            owner.server_begins(exchange)
            exchange.begin()
        return exchange

    def await_answer(self) -> None:
        """The transaction user has not answered at once: sets the clock for that (for the stack)."""
        exchange = self.begin()
        if isinstance(exchange, ServerExchange):
            exchange.await_answer()

    def respond(self, response: Response) -> None:
        """Sends *response*. A second final one is dropped, but raises LocalProtocolError for INVITE."""
        exchange, status = self._exchange, response.status
        is_final = status >= _FIRST_FINAL_STATUS
        if exchange is None and is_final and status != _NEVER_SENT:
            self._respond_at_once(response)
            return
        if is_final:
            self.is_answered = True
        (exchange or self.begin()).respond(response)

    def respond_stateless(self, response: Response) -> None:
        """Sends a final *response* to another request than INVITE without keeping it: should the request come once
        more it is a new one (RFC 3261 §8.2.7)."""
        if self._exchange is not None:
            self.respond(response)
        elif not self.is_answered:
            self.is_answered = True
            self._send(response.encode())

    def _respond_at_once(self, response: Response) -> None:
        """Trying is over before it began; on a stream, where Timer J is 0, so is the transaction."""
        if self.is_answered:
            return
        self.is_answered = True
        octets, way = response.encode(), self._way_back
        if isinstance(way, str):
            self._send(octets)
            return
        self._owner.transport.send(octets, way)
        self._exchange = KeptAnswer(self._owner, self.key, octets, way)

    def _send(self, octets: bytes) -> None:
        transport, way = self._owner.transport, self._way_back
        transport.send(octets, _found_way_back(transport, way, self.flow) if isinstance(way, str) else way)

    def to_tag(self, tokens: Tokens) -> str:
        """The tag that all our responses to this request carry in To (RFC 3261 §8.2.6.2)."""
        if not self._to_tag:
            self._to_tag = tokens.word()
        return self._to_tag
