"""The messaging server with a media anchor, on in-memory links or on sockets: an S-CSCF that is a bare SIP stack,
behind it the parties of sessions, each with a real call and a real MSRP connection (digest §15.5, §19.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from ims_core.errors import TransportError
from ims_core.nodes.msrp_relay import MsrpRelay, MsrpRelayConfig
from ims_core.store.memory import MemoryStore
from ims_core.store.record_table import Store
from ims_core.trace import Trace, TraceRecord
from ims_core.transport.clock import Clock
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Flow, Network, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.name_table import Hop, NameTable
from ims_core.transport.sip_stack import ClientHandle, Outcome, ServerTransaction, SipStack, StackConfig
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import clock_of_running_loop, run
from ims_core.wire.msrp.media import Direction, MsrpMedia, Setup, answer, offer
from ims_core.wire.msrp.message import FailureReport
from ims_core.wire.msrp.session_events import OutgoingMessage, SessionConfig
from ims_core.wire.sdp import Origin, SessionDescription
from ims_core.wire.sip import call_outputs
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_outputs import Answered, CallOutput, Ended, Refused, Ringing
from ims_core.wire.sip.message import HeaderInput, Request, Response
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.server.messaging_server import MessagingServer
from rcs_sim.server.mls_trust import TrustSource
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    C1,
    CAROL,
    CONFIG,
    ICSI,
    K1,
    RED,
    Directory,
    UeBinding,
    cpim,
    message,
    third_party_register,
)
from tests.support.msrp_legs import LegNotes
from tests.support.peers import free_port

AS = Address(Transport.TCP, "127.0.2.20", 5060)
CSCF = Address(Transport.TCP, "127.0.2.12", 5060)
RELAY = Address(Transport.TCP, "127.0.2.22", 2855)
SESSION, LARGE = f"{ICSI}.session", f"{ICSI}.largemsg"
TYPES = ("message/cpim", "application/im-iscomposing+xml")

__all__ = ["LARGE", "SESSION", "Party", "SessionLab", "on_virtual_time", "session_lab"]


def on_virtual_time(test: Callable[..., Awaitable[None]]) -> Callable[[], None]:
    def runs() -> None:
        run(test, clock="virtual")

    runs.__name__ = test.__name__
    return runs


class Sink:
    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def write(self, record: TraceRecord) -> None:
        self.records.append(record)

    def close(self) -> None: ...


class Party:
    """A phone, or the network of the other carrier, as far as the server sees it: at most one call at a time.

    *uri* is the Request-URI by which it is invited. *on_invite* is what it does with an INVITE: answer, ring, refuse
    with a status, or None: nothing."""

    def __init__(self, lab: SessionLab, name: str, host: str, uri: str) -> None:
        self.lab, self.name, self.uri = lab, name, uri
        self.on_invite: str | int | None = "answer"
        self.setup = Setup.PASSIVE
        self.direction = Direction.SENDRECV
        self.answers_offers = True
        self.takes_tls = True
        self.contact_tags = ""
        self.max_octets = 1024 * 1024
        self.media_headers: tuple[HeaderInput, ...] = ()
        self.notes = LegNotes()
        self.invites: list[Request] = []
        self.messages: list[Request] = []
        self.events: list[CallOutput] = []
        self.call: Call | None = None
        self.remote: MsrpMedia | None = None
        self.stack = MsrpStack(
            MsrpStackConfig(name=name, listen=lab.media_addresses(host), is_encrypted=lab.is_real),
            network=lab.network,
            clock=lab.clock,
            tokens=Tokens(name),
            trace=lab.trace,
        )
        self.tokens = Tokens(f"sip-{name}")
        self.channel = self._new_channel()
        self._deadlines = DeadlineHeap()
        self._servers: dict[tuple[str, int], ServerTransaction] = {}
        self._handles: dict[tuple[str, int], ClientHandle] = {}
        self._offered: SessionDescription | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.last_id = 0

    def _new_channel(self) -> MsrpChannel:
        heap = DeadlineHeap()
        return MsrpChannel(
            self.stack, self.notes, Tokens(f"msrp-{self.name}"), heap, SessionConfig(max_octets=self.max_octets)
        )

    # -- as caller ---------------------------------------------------------------------------------------------------

    def invite(
        self,
        *,
        sender: str = ALICE,
        recipient: str = BOB,
        case: str = "term",
        service: str = SESSION,
        headers: tuple[HeaderInput, ...] = (("Conversation-ID", C1), ("Contribution-ID", K1)),
        body: bytes | None = None,
        domain: str = RED,
        expires: int = 1800,
        is_tls: bool = False,
        content_type: str = "application/sdp",
    ) -> None:
        """Sends an INVITE as the S-CSCF hands it over."""
        self.channel = self._new_channel()
        self.events.clear()
        local = self._media(Setup.ACTPASS, is_tls=is_tls)
        self._offered = offer(local, Origin.of(local.host, 3981))
        self.channel.expect(local)
        self._local = local
        request = message(
            self._offered.encode() if body is None else body,
            sender=sender,
            recipient=recipient,
            case=case,
            domain=domain,
            content_type=content_type,
            service=service,
            method="INVITE",
            call_id=f"{self.tokens.word()}@{self.name}",
            headers=(*headers, ("Contact", f"{self.lab.contact(self.name)}{self.contact_tags}")),
        )
        request = request.edit().remove("Via").set("Session-Expires", str(expires)).done()
        self.call = Call.outgoing(request, uniform=self.tokens.uniform)
        self._run(self.call.start(self.lab.clock.now()))

    def _media(self, setup: Setup, *, is_tls: bool = False) -> MsrpMedia:
        local = self.channel.media(is_tls=is_tls, setup=setup)
        return replace(local, accept_types=TYPES, accept_wrapped_types=("*",), direction=self.direction)

    def cancel(self) -> None:
        assert self.call is not None
        self._run(self.call.cancel(self.lab.clock.now(), reason='SIP;cause=200;text="changed my mind"'))

    def hang_up(self, reason: str | None = None) -> None:
        assert self.call is not None
        self._run(self.call.bye(self.lab.clock.now(), reason=reason))

    def update(self, body: bytes = b"") -> None:
        assert self.call is not None
        self._run(self.call.update(body, self.lab.clock.now()))

    def reinvite(self, body: bytes) -> None:
        assert self.call is not None
        self._run(self.call.reinvite(body, self.lab.clock.now()))

    @property
    def status(self) -> int | None:
        """Of the answer to the own INVITE."""
        for event in self.events:
            if isinstance(event, Answered):
                return event.response.status
            if isinstance(event, Refused):
                return event.status
        return None

    @property
    def response(self) -> Response:
        (response,) = [event.response for event in self.events if isinstance(event, Answered | Refused)]
        assert response is not None
        return response

    @property
    def rang(self) -> int:
        return sum(isinstance(event, Ringing) for event in self.events)

    @property
    def end(self) -> Ended | None:
        return next((event for event in self.events if isinstance(event, Ended)), None)

    # -- as called ---------------------------------------------------------------------------------------------------

    def invited(self, request: Request, server: ServerTransaction) -> None:
        self.invites.append(request)
        self.channel = self._new_channel()
        self.events.clear()
        self.call = Call.incoming(
            request,
            self.tokens.word(),
            contact=f"{self.lab.contact(self.name)};+g.gsma.rcs.msgrevoke",
            uniform=self.tokens.uniform,
        )
        self._servers["INVITE", request.cseq.number] = server
        now = self.lab.clock.now()
        self._run(self.call.start(now))
        if self.on_invite == "answer":
            self.answer()
        elif self.on_invite == "ring":
            self._run(self.call.ring(now))
        elif isinstance(self.on_invite, int):
            self._run(self.call.refuse(self.on_invite, now))

    def answer(self) -> None:
        assert self.call is not None
        offered = SessionDescription.parse(self.call.invite.body)
        index, self.remote = MsrpMedia.of(offered)
        if self.remote.is_tls and not self.takes_tls:
            self._run(self.call.refuse(488, self.lab.clock.now()))
            return
        local = self._media(self.setup, is_tls=self.remote.is_tls)
        local = replace(local, direction=self.direction.answering(self.remote.direction))
        self.channel.open(local, self.remote, is_offerer=False)
        body = answer(offered, index, local, Origin.of(local.host, 771)).encode()
        self._run(self.call.answer(body, self.lab.clock.now()))

    # -- messages ----------------------------------------------------------------------------------------------------

    def send(
        self,
        body: bytes | None = None,
        content_type: str = "message/cpim",
        *,
        report: bool = False,
        quiet: bool = False,
    ) -> str:
        """Sends a message in the session; its MSRP Message-ID."""
        self.last_id += 1
        message_id = f"{self.name}-{self.last_id}"
        failure = FailureReport.NO if quiet else FailureReport.YES
        octets = cpim() if body is None else body
        self.channel.send(
            OutgoingMessage(message_id, content_type, octets, success_report=report, failure_report=failure)
        )
        return message_id

    # -- the call ----------------------------------------------------------------------------------------------------

    def request(self, request: Request, server: ServerTransaction | None) -> None:
        """A request inside the dialog, or a CANCEL."""
        assert self.call is not None
        if server is not None:
            self._servers[request.method, request.cseq.number] = server
        self._run(self.call.request_received(request, self.lab.clock.now()))

    def owns(self, request: Request) -> bool:
        if self.call is None:
            return False
        if request.method == "CANCEL":
            return request.call_id == self.call.call_id
        return self.call.owns(request)

    def _run(self, outputs: list[CallOutput]) -> None:
        stack = self.lab.core.stack
        for output in outputs:
            match output:
                case call_outputs.SendRequest(request):
                    handle = stack.send_request(
                        request, Hop(self.lab.server_at), lambda o, r=request: self._outcome(r, o)
                    )
                    self._handles[request.call_id, request.cseq.number] = handle
                case call_outputs.SendAck(request):
                    stack.send_stateless(request, Hop(self.lab.server_at))
                case call_outputs.SendCancel(invite, headers):
                    self._handles[invite.call_id, invite.cseq.number].cancel(headers)
                case call_outputs.Respond(request, response):
                    self._servers[request.method, request.cseq.number].respond(response)
                case _:
                    self.events.append(output)
                    if isinstance(output, Answered) and output.needs_answer:
                        self._confirm(output.response)
                    elif isinstance(output, Answered):
                        self._answered(output.response)
        self._arm()

    def _answered(self, response: Response) -> None:
        assert self._offered is not None
        self.remote = MsrpMedia.of_answer(self._offered, 0, SessionDescription.parse(response.body))
        self.channel.open(self._local, self.remote, is_offerer=True)

    def _confirm(self, response: Response) -> None:
        """Answers the offer of a 2xx."""
        assert self.call is not None
        offered = SessionDescription.parse(response.body)
        index, self.remote = MsrpMedia.of(offered)
        local = self._media(Setup.ACTIVE)
        body = answer(offered, index, local, Origin.of(local.host, 3981)).encode()
        if self.answers_offers:
            self.channel.open(local, self.remote, is_offerer=False)
        self._run(self.call.confirm(body if self.answers_offers else b"", self.lab.clock.now()))

    def _outcome(self, request: Request, outcome: Outcome) -> None:
        assert self.call is not None
        now = self.lab.clock.now()
        if isinstance(outcome, Response):
            self._run(self.call.response_received(outcome, now))
        else:
            self._run(self.call.request_failed(request, outcome.status, now))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = None if self.call is None else self.call.next_deadline()
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - self.lab.clock.now()), self._fire)

    def _fire(self) -> None:
        assert self.call is not None
        self._run(self.call.handle_deadline(self.lab.clock.now()))

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self.stack.close()


class CoreStub:
    """An S-CSCF made of a stack: requests go to the party of their dialog or Request-URI; MESSAGEs are answered by
    *statuses*, then with 200."""

    def __init__(self, lab: SessionLab) -> None:
        self.lab = lab
        self.messages: list[Request] = []
        self.statuses: list[int | None] = []
        self.stack = SipStack(
            StackConfig(name="blue.scscf", listen=(lab.core_at,)),
            self,
            network=lab.network,
            clock=lab.clock,
            tokens=Tokens("scscf"),
            trace=lab.trace,
            names=lab.names,
        )

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        party = next((party for party in self.lab.parties if party.owns(request)), None)
        if party is not None:
            party.request(request, server)
        elif request.method == "INVITE":
            assert server is not None
            self._invite(request, server)
        elif request.method == "MESSAGE":
            assert server is not None
            self.messages.append(request)
            status = self.statuses.pop(0) if self.statuses else 200
            if status is not None:
                self.stack.reply(server, status)
        elif server is not None:
            self.stack.reply(server, 481)

    def _invite(self, request: Request, server: ServerTransaction) -> None:
        for party in self.lab.parties:
            if request.request_uri_text == party.uri:
                party.invited(request, server)
                return
        self.stack.reply(server, 404)

    def stray_response(self, response: Response, flow: Flow) -> None: ...

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None: ...

    def keep_alive(self, flow: Flow, pong: bool) -> None: ...

    async def send(self, request: Request) -> int:
        """Hands a request to the server; status of its answer."""
        outcome = await self.stack.request(request.edit().remove("Via").done(), Hop(self.lab.server_at))
        assert isinstance(outcome, Response)
        return outcome.status


def _anywhere(address: Address) -> Address:
    """The same place at a port that nobody listens on now."""
    return replace(address, port=free_port(address.host))


class SessionLab:
    """The server of carrier blue, which serves Bob and Carol."""

    def __init__(
        self,
        store: Store,
        config: MessagingServerConfig,
        blocked: dict[str, frozenset[str]],
        smsc: Address | None = None,
        *,
        is_real: bool = False,
        trust: TrustSource | None = None,
    ) -> None:
        self.is_real = is_real
        self.server_at, self.core_at = (_anywhere(AS), _anywhere(CSCF)) if is_real else (AS, CSCF)
        self.clock: Clock = clock_of_running_loop()
        self.trace, self.sink = Trace(), Sink()
        self.trace.add_sink(self.sink)
        self.network: Network = SocketNetwork(self.clock) if is_real else MemoryNetwork(self.clock, Tokens("network"))
        self.names = NameTable()
        self.names.add(f"scscf.{BLUE}", self.core_at)
        self.names.add(f"rcsas.{BLUE}", self.server_at)
        self.parties: list[Party] = []
        self.core = CoreStub(self)
        self.relay = MsrpRelay(
            MsrpRelayConfig(name="blue.msrp_relay", listen=self.media_addresses(RELAY.host), is_encrypted=is_real),
            network=self.network,
            clock=self.clock,
            tokens=Tokens("relay"),
            trace=self.trace,
        )
        self.server = MessagingServer(
            replace(config, listen=(self.server_at,)),
            network=self.network,
            clock=self.clock,
            tokens=Tokens("as"),
            trace=self.trace,
            names=self.names,
            store=store,
            subscribers=Directory(BLUE, [BOB, CAROL]),
            anchor=self.relay,
            blocked=blocked,
            smsc=smsc,
            trust=trust,
        )

    def media_addresses(self, host: str) -> tuple[Address, ...]:
        """Where an element of the lab listens for MSRP."""
        if self.is_real:
            return Address(Transport.TCP, host, 0), Address(Transport.TLS, host, 0)
        return (Address(Transport.TCP, host, 2855),)

    def contact(self, name: str) -> str:
        """Of a party, which is reached by the S-CSCF."""
        return f"<sip:{name}@{self.core_at.host}:{self.core_at.port};transport=tcp>"

    async def party(self, name: str, uri: str) -> Party:
        """A party that is reached by that Request-URI."""
        party = Party(self, name, f"127.0.3.{len(self.parties) + 1}", uri)
        await party.stack.start()
        self.parties.append(party)
        return party

    async def register(self, *bindings: UeBinding, by: UeBinding | None = None, number: str = BOB) -> None:
        present = bindings or (UeBinding(),)
        assert await self.core.send(third_party_register(*present, by=by, number=number)) == 200

    async def settle(self, seconds: float = 0.5) -> None:
        """Lets everything that needs no more time happen."""
        await asyncio.sleep(seconds)

    @property
    def notes(self) -> list[str]:
        return [record.summary for record in self.sink.records if record.protocol == "CPM"]

    @property
    def reasons(self) -> list[str]:
        """Why, of the same."""
        return [record.details["reason"] for record in self.sink.records if record.protocol == "CPM"]

    def msrp(self, source: str) -> list[str]:
        """Summaries of what an element sent."""
        return [r.summary for r in self.sink.records if r.protocol == "MSRP" and r.source == source]


@asynccontextmanager
async def session_lab(
    store: Store | None = None,
    config: MessagingServerConfig = CONFIG,
    blocked: dict[str, frozenset[str]] | None = None,
    smsc: Address | None = None,
    *,
    is_real: bool = False,
    trust: TrustSource | None = None,
) -> AsyncIterator[SessionLab]:
    lab = SessionLab(store or MemoryStore(), config, blocked or {}, smsc, is_real=is_real, trust=trust)
    await lab.core.stack.start()
    await lab.relay.start()
    await lab.server.start()
    try:
        yield lab
    finally:
        await lab.server.close()
        await lab.relay.close()
        for party in lab.parties:
            await party.close()
        await lab.core.stack.close()
        await lab.network.close()
