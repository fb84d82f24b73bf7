"""The transport layer of one SIP element: flows in, whole messages out (RFC 3261 §18, RFC 3581, RFC 5626 §3.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

from ims_core.errors import LocalProtocolError, RemoteProtocolError, TransportError
from ims_core.reference_points import reference_point
from ims_core.trace import RecordKind, Trace
from ims_core.transport.clock import Clock
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Flow, Listener, Network, Transport, VoidFlow
from ims_core.transport.name_table import DEFAULT_PORTS, Hop, is_ip_literal
from ims_core.wire.sip.headers import Via
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import (
    DEFAULT_LIMITS,
    KeepAlive,
    Limits,
    SipParseError,
    StreamDecoder,
    StreamEvent,
    parse_datagram,
)
from ims_core.wire.sip.transaction import CORE_TIMERS, TimerConfig
from ims_core.wire.stun import binding_response, is_stun

__all__ = ["MessageReceiver", "SipTransport", "StackConfig"]

PING, PONG = b"\r\n\r\n", b"\r\n"  # RFC 5626 §3.5.1
_TRANSACTION_S = 32.0  # 64 times T1: what a request waits for its answer (RFC 3261 §17.1.2.2)
_MAX_DATAGRAM_OCTETS = 65507  # UDP payload over IPv4
_MTU_MARGIN_OCTETS = 200  # RFC 3261 §18.1.1
_MESSAGES = (Request, Response)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """Settings of one SIP element (digest §18).

    *local_host* is where flows leave from; the first listening host by default. Limits beyond the parser's: at most
    *max_transactions* server transactions, then 503; at most *max_connections* streams; a stream whose message does not
    get complete within *message_within_s* is closed, and so is one that carries nothing for *idle_limit_s*.
    """

    name: str
    listen: tuple[Address, ...] = ()
    timers: TimerConfig = CORE_TIMERS
    udp_max_octets: int = 1300
    limits: Limits = DEFAULT_LIMITS
    max_transactions: int = 100_000
    via_params: tuple[tuple[str, str | None], ...] = ()
    local_host: str = ""
    max_connections: int = 50_000
    message_within_s: float = 32.0
    idle_limit_s: float = 7200.0
    connect_within_s: float = 10.0
    overload_retry_after_s: int = 10

    @property
    def host(self) -> str:
        """Where flows leave from. Raises LocalProtocolError if nothing tells."""
        if self.local_host:
            return self.local_host
        if not self.listen:
            raise LocalProtocolError(
                f"{self.name} has neither a listening address nor a local host", spec="StackConfig"
            )
        return self.listen[0].host


class MessageReceiver(Protocol):
    """What stands above the transport layer."""

    def message_received(self, message: Request | Response, flow: Flow) -> None: ...

    def request_refused(self, fault: SipParseError, flow: Flow) -> None:
        """Octets that are no message; *fault* may hold a request that can be answered."""
        ...

    def keep_alive_received(self, flow: Flow, pong: bool) -> None: ...

    def flow_ended(self, flow: Flow, error: TransportError | None) -> None: ...

    def awaits(self, flow: Flow) -> bool:
        """Whether a request that went out on *flow* has no answer yet."""
        ...


class _Stream:
    """What is kept for one connection; also its deadline."""

    __slots__ = ("armed", "decoder", "due", "flow", "idle_limit_s", "last_at", "pending_since", "transport")

    def __init__(self, transport: SipTransport, flow: Flow, now: float, idle_limit_s: float) -> None:
        self.transport, self.flow, self.idle_limit_s = transport, flow, idle_limit_s
        self.decoder = StreamDecoder(transport.config.limits)
        self.last_at = now
        self.pending_since = math.inf  # when the message began that is not complete yet
        self.due = self.armed = math.inf

    def deadline_came(self, now: float) -> None:
        self.transport.look_at(self, now)


@dataclass(slots=True)
class _OwnAddresses:
    """Where this element listens, and how its Via begins there."""

    by_transport: dict[Transport, Address] = field(default_factory=dict)
    by_host: dict[tuple[Transport, str], Address] = field(default_factory=dict)
    sent_by: set[tuple[str, int | None]] = field(default_factory=set)
    via_starts: dict[tuple[Transport, str], str] = field(default_factory=dict)

    def add(self, address: Address) -> None:
        self.by_transport.setdefault(address.transport, address)
        self.by_host.setdefault((address.transport, address.host), address)
        self.via_starts.setdefault((address.transport, address.host), _via_start(address))
        self.sent_by.add((address.host.lower(), address.port))


class SipTransport:
    """Listens, connects, frames and traces for one element. It is the `FlowHandler` of all its flows."""

    __slots__ = (
        "_clock",
        "_deadlines",
        "_flows",
        "_is_closed",
        "_listeners",
        "_network",
        "_own",
        "_receiver",
        "_streams",
        "_trace",
        "_via_end",
        "config",
        "name",
    )

    def __init__(
        self,
        config: StackConfig,
        receiver: MessageReceiver,
        *,
        network: Network,
        clock: Clock,
        trace: Trace,
        deadlines: DeadlineHeap,
    ) -> None:
        self.config, self.name = config, config.name
        self._receiver, self._network, self._clock, self._trace = receiver, network, clock, trace
        self._deadlines = deadlines
        self._listeners: list[Listener] = []
        self._own = _OwnAddresses()
        self._flows: dict[Address, Flow] = {}  # by remote address, for reuse
        self._streams: dict[Flow, _Stream] = {}
        self._is_closed = False
        self._via_end = "".join(f";{key}" if value is None else f";{key}={value}" for key, value in config.via_params)

    # --- addresses ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts to listen. Raises TransportError, after which nothing listens."""
        self._is_closed = False
        try:
            for address in self.config.listen:
                listener = await self._network.listen(address, self)
                self._listeners.append(listener)
                self._own.add(listener.address)
        except TransportError:
            await self.close()
            raise

    async def close(self) -> None:
        """Stops listening and ends every flow."""
        self._is_closed = True
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.close()
        for flow in (*self._streams, *self._flows.values()):
            flow.close()
        self._streams.clear()
        self._flows.clear()

    def address(self, transport: Transport) -> Address:
        """The own listening address. Raises LocalProtocolError if there is none."""
        found = self._own.by_transport.get(transport)
        if found is None:
            raise LocalProtocolError(f"{self.name} does not listen on {transport.value}", spec="StackConfig")
        return found

    def sent_by(self, flow: Flow) -> Address:
        """The address that a Via names for messages on *flow*: where this element listens, else the flow's own."""
        local = flow.local
        own = self._own
        return own.by_host.get((local.transport, local.host)) or own.by_transport.get(local.transport) or local

    def via_text(self, flow: Flow, branch: str) -> str:
        """The value of the own Via for a request on *flow* (RFC 3261 §18.1.1)."""
        local = flow.local
        start = self._own.via_starts.get((local.transport, local.host)) or _via_start(self.sent_by(flow))
        return f"{start}{branch}{self._via_end}"

    def is_own(self, via: Via, flow: Flow) -> bool:
        """Whether *via* was put there by this element (RFC 3261 §18.1.2)."""
        host = via.host.strip("[]").lower()
        return (host, via.port) in self._own.sent_by or (host, via.port) == (flow.local.host.lower(), flow.local.port)

    # --- sending -----------------------------------------------------------------------------------------------------

    def connect(self, address: Address) -> Flow:
        """The open flow to *address*, or a new one."""
        flow = self._flows.get(address)
        if flow is not None and flow.is_open:
            return flow
        if self._is_closed:
            return VoidFlow(address)
        flow = self._network.connect(self.config.host, address, self, timeout_s=self.config.connect_within_s)
        self._flows[address] = flow
        if address.transport is not Transport.UDP and flow not in self._streams:
            # who has opened it closes it first: what it sends is not lost at the other end
            self._adopt(flow, max(self.config.idle_limit_s - 2 * _TRANSACTION_S, self.config.idle_limit_s / 2))
        return flow

    def flow_of(self, hop: Hop) -> Flow:
        """The flow of a hop, opened if need be."""
        return hop.flow if hop.flow is not None else self.connect(self._address_of(hop))

    def _address_of(self, hop: Hop) -> Address:
        if hop.address is None:
            raise LocalProtocolError("a hop is an address or a flow", spec="RFC 3261 §16.6 step 7")
        return hop.address

    def is_too_large(self, size: int, address: Address) -> bool:
        """Whether a request of *size* octets must not go to a UDP *address* (RFC 3261 §18.1.1)."""
        mtu = self._network.path_mtu(self.config.host, address)
        return size > (self.config.udp_max_octets if mtu is None else mtu - _MTU_MARGIN_OCTETS)

    def can_carry(self, size: int, flow: Flow) -> bool:
        """Whether a message of *size* octets can go on *flow* at all."""
        return size <= _MAX_DATAGRAM_OCTETS or flow.remote.transport.is_reliable

    def send(self, octets: bytes, flow: Flow) -> None:
        """Sends one message. What no datagram holds is reported and dropped, and its flow lives on."""
        if len(octets) > _MAX_DATAGRAM_OCTETS and not self.can_carry(len(octets), flow):
            self.report(f"not sent: no datagram holds {len(octets)} octets", b"", flow)
            return
        if self._trace.enabled and flow.is_open:
            self._trace_message(octets, flow, is_sent=True)
        flow.send(octets)

    def send_keep_alive(self, flow: Flow) -> None:
        stream = self._streams.get(flow)
        if stream is not None:
            stream.decoder.ping_sent()
        flow.send(PING)

    def way_back(self, via: Via, flow: Flow) -> Flow:
        """The flow for the response to a request that came on *flow* with *via* on top (RFC 3261 §18.2.2, RFC 3581 §4).

        DEVIATION: RFC 3261 §18.2.2 sends to maddr if there is one; here the source is answered, so that nobody can
        have responses sent to a third party."""
        remote = flow.remote
        if remote.transport.is_reliable:
            if flow.is_open:
                return flow
            host = via.received or via.host.strip("[]")
            if not is_ip_literal(host):
                host = remote.host
            return self.connect(Address(remote.transport, host, via.port or DEFAULT_PORTS[remote.transport]))
        port = via.port or DEFAULT_PORTS[Transport.UDP]
        if port == remote.port or via.has_rport:
            return flow
        return self.connect(Address(Transport.UDP, remote.host, port))

    # --- flows -------------------------------------------------------------------------------------------------------

    def accepted(self, flow: Flow) -> None:
        if flow.local.transport is Transport.UDP:
            return
        if len(self._streams) >= self.config.max_connections or self._is_closed:
            self.report("too many connections: refused one", b"", flow)
            flow.close()
            return
        self._flows[flow.remote] = flow
        self._adopt(flow, self.config.idle_limit_s, self.config.message_within_s)

    def received(self, octets: bytes, flow: Flow) -> None:
        if flow.local.transport is Transport.UDP:
            if len(octets) <= len(PING) and not octets.strip(b"\r\n\0"):
                self._blanks_received(octets, flow)
                return
            try:
                message = parse_datagram(octets, self.config.limits)
            except SipParseError as fault:
                if is_stun(octets):
                    self._stun_received(octets, flow)
                else:
                    self.refuse(fault, flow)
                return
            if self._trace.enabled:
                self._trace_received(message, flow)
            self._receiver.message_received(message, flow)
            return
        stream = self._streams.get(flow)
        if stream is None:
            return  # closed by us: what was on its way is void
        now = self._deadlines.time()
        stream.last_at = now
        for event in stream.decoder.feed(octets):
            stream.pending_since = math.inf
            self._take(event, flow)
        if stream.decoder.is_between_messages:
            return
        if stream.pending_since == math.inf:
            stream.pending_since = now
            self._deadlines.set(stream, now + self.config.message_within_s)

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        self._forget(flow)
        self._receiver.flow_ended(flow, error)

    def drop(self, flow: Flow, error: TransportError) -> None:
        """Ends *flow* from this side."""
        flow.close()
        self._forget(flow)
        self._receiver.flow_ended(flow, error)

    def look_at(self, stream: _Stream, now: float) -> None:
        """A deadline of a stream has come: for a message to be complete, or for the first octets after a long time."""
        if now >= stream.pending_since + self.config.message_within_s:
            reason = f"no complete message within {self.config.message_within_s:g} s"
        elif now < stream.last_at + stream.idle_limit_s:
            pending = stream.pending_since + self.config.message_within_s
            self._deadlines.set(stream, min(pending, stream.last_at + stream.idle_limit_s))
            return
        elif self._receiver.awaits(stream.flow):
            self._deadlines.set(stream, now + _TRANSACTION_S)
            return
        else:
            reason = f"nothing received for {stream.idle_limit_s:g} s"
        self.report(reason, b"", stream.flow)
        self.drop(stream.flow, TransportError(reason))

    def _adopt(self, flow: Flow, idle_limit_s: float, first_octets_within_s: float = math.inf) -> None:
        now = self._deadlines.time()
        stream = self._streams[flow] = _Stream(self, flow, now, idle_limit_s)
        if first_octets_within_s < idle_limit_s:
            stream.pending_since = now
        self._deadlines.set(stream, now + min(idle_limit_s, first_octets_within_s))

    def _forget(self, flow: Flow) -> None:
        stream = self._streams.pop(flow, None)
        if stream is not None:
            self._deadlines.set(stream, None)
        if self._flows.get(flow.remote) is flow:
            del self._flows[flow.remote]

    # --- receiving ---------------------------------------------------------------------------------------------------

    def _blanks_received(self, octets: bytes, flow: Flow) -> None:
        if octets in (PING, PONG):  # other blanks keep a NAT binding open and want no answer
            self._take(KeepAlive.PING if octets == PING else KeepAlive.PONG, flow)

    def _stun_received(self, octets: bytes, flow: Flow) -> None:
        """A Binding request of a UE behind a NAT, its keep-alive over UDP (RFC 5626 §3.5.2)."""
        answer = binding_response(octets, flow.remote.host, flow.remote.port)
        if answer is not None:
            flow.send(answer)
            self._receiver.keep_alive_received(flow, False)

    def _hand_on(self, message: Request | Response, flow: Flow) -> None:
        if self._trace.enabled:
            self._trace_received(message, flow)
        self._receiver.message_received(message, flow)

    def _trace_received(self, message: Request | Response, flow: Flow) -> None:
        """What an element of this network sent was traced when it went out."""
        if self._network.book.name_of(flow.remote) is None:
            self._trace_message(message.encode(), flow, is_sent=False)

    def _take(self, event: StreamEvent, flow: Flow) -> None:
        if isinstance(event, _MESSAGES):
            self._hand_on(event, flow)
        elif isinstance(event, KeepAlive):
            if event is KeepAlive.PING:
                flow.send(PONG)
            self._receiver.keep_alive_received(flow, event is KeepAlive.PONG)
        else:
            self.refuse(event, flow)

    def refuse(self, fault: SipParseError, flow: Flow) -> None:
        """Answers what cannot be read as far as it can be answered; ends a stream whose framing is lost."""
        self.report(str(fault), fault.raw, flow)
        self._receiver.request_refused(fault, flow)
        if fault.is_fatal:
            self.drop(flow, TransportError(f"framing lost: {fault}"))

    # --- trace -------------------------------------------------------------------------------------------------------

    def peer_name(self, flow: Flow) -> str:
        """What the trace calls the other end."""
        return self._network.book.name_of(flow.remote) or str(flow.remote)

    def report(self, summary: str, octets: bytes, flow: Flow) -> None:
        """An ERROR record about something that came on *flow*."""
        if self._trace.enabled:
            self._record(RecordKind.ERROR, summary, octets, flow, None, is_sent=False)

    def _trace_message(self, octets: bytes, flow: Flow, *, is_sent: bool) -> None:
        try:
            message = parse_datagram(octets, self.config.limits)
            summary, call_id = message.summary(), message.text("Call-ID")
        except RemoteProtocolError:  # what this element sends may be larger than what it takes
            summary, call_id = octets[:64].partition(b"\r\n")[0].decode("utf-8", "replace"), None
        self._record(RecordKind.MESSAGE, summary, octets, flow, call_id, is_sent=is_sent)

    def _record(
        self, kind: RecordKind, summary: str, octets: bytes, flow: Flow, call_id: str | None, *, is_sent: bool
    ) -> None:
        ends = (self.name, flow.local), (self.peer_name(flow), flow.remote)
        (source, source_address), (target, target_address) = ends if is_sent else ends[::-1]
        self._trace.record(
            at=self._clock.now(),
            kind=kind,
            source=source,
            target=target,
            reference_point=reference_point(source, target),
            protocol="SIP",
            summary=summary,
            raw=octets,
            transport=flow.local.transport.value,
            source_address=f"{source_address.host}:{source_address.port}",
            target_address=f"{target_address.host}:{target_address.port}",
            call_id=call_id,
        )


def _via_start(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"SIP/2.0/{address.transport.value} {host}:{address.port};branch="
