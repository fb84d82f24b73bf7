"""Ends of SM links over the network's streams: frames in and out, traced (see `ims_core.wire.sms.sm_link`)."""

from __future__ import annotations

from typing import Protocol

from ims_core.errors import ConnectionLost, LocalProtocolError, TransportError
from ims_core.reference_points import reference_point
from ims_core.trace import RecordKind, Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, Listener, Network
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import RpAck, RpData, RpError, parse_rpdu
from ims_core.wire.sms.sm_link import (
    Accepted,
    Attach,
    Bind,
    Detach,
    Failure,
    Forward,
    MalformedFrame,
    Refused,
    Result,
    SmAlert,
    SmLinkDecoder,
    SmLinkMessage,
    encode_frame,
)

__all__ = ["SmLink", "SmLinkEndpoint", "SmLinkUser", "summary_of"]


class SmLinkUser(Protocol):
    """The element behind an endpoint. Called in the turn of the loop in which the octets came."""

    def link_opened(self, link: SmLink) -> None:
        """A peer connected. Not called for connections that this element dialled."""
        ...

    def frame_received(self, link: SmLink, message: SmLinkMessage) -> None: ...

    def link_closed(self, link: SmLink, error: TransportError | None) -> None:
        """The far end, or the network, ended it; not called after `SmLink.close`."""
        ...


class SmLink:
    """One connection. *user* is a slot for the owner."""

    __slots__ = ("_endpoint", "decoder", "flow", "user")

    def __init__(self, endpoint: SmLinkEndpoint, flow: Flow) -> None:
        self._endpoint = endpoint
        self.flow = flow
        self.decoder = SmLinkDecoder()
        self.user: object | None = None

    @property
    def remote(self) -> Address:
        return self.flow.remote

    @property
    def is_open(self) -> bool:
        return self.flow.is_open

    def send(self, message: SmLinkMessage) -> None:
        """Queued until the connection stands. What cannot be sent ends in `link_closed`. Raises LocalProtocolError for
        a message that does not fit a frame."""
        octets = encode_frame(message)
        if self.flow.is_open:
            self._endpoint.trace_sent(self, message, octets)
            self.flow.send(octets)

    def close(self) -> None:
        self._endpoint.drop(self)
        self.flow.close()


class SmLinkEndpoint:
    """All SM links of one element; the `FlowHandler` of their flows."""

    __slots__ = ("_clock", "_links", "_listener", "_network", "_trace", "_user", "name")

    def __init__(
        self,
        name: str,
        user: SmLinkUser,
        *,
        network: Network,
        clock: Clock,
        trace: Trace,
    ) -> None:
        self.name = name
        self._user = user
        self._network = network
        self._clock = clock
        self._trace = trace
        self._links: dict[Flow, SmLink] = {}
        self._listener: Listener | None = None

    @property
    def address(self) -> Address:
        """Where it listens, with the port that was really taken. Raises LocalProtocolError if it does not."""
        if self._listener is None:
            raise LocalProtocolError(f"{self.name} does not listen", spec="SM link")
        return self._listener.address

    async def listen(self, address: Address) -> None:
        """Raises TransportError."""
        self._listener = await self._network.listen(address, self)

    def connect(self, local_host: str, remote: Address, *, timeout_s: float = 10.0) -> SmLink:
        return self._add(self._network.connect(local_host, remote, self, timeout_s=timeout_s))

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()
            self._listener = None
        for link in tuple(self._links.values()):
            link.close()

    def drop(self, link: SmLink) -> None:
        self._links.pop(link.flow, None)

    def accepted(self, flow: Flow) -> None:
        self._user.link_opened(self._add(flow))

    def received(self, octets: bytes, flow: Flow) -> None:
        link = self._links.get(flow)
        if link is None:
            return
        for message in link.decoder.feed(octets):
            if isinstance(message, MalformedFrame):
                self._refuse(link, message)
            elif link.flow in self._links:
                self._trace_received(link, message)
                self._user.frame_received(link, message)

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        link = self._links.pop(flow, None)
        if link is not None:
            self._user.link_closed(link, error)

    def _add(self, flow: Flow) -> SmLink:
        link = self._links[flow] = SmLink(self, flow)
        return link

    def _refuse(self, link: SmLink, fault: MalformedFrame) -> None:
        if self._trace.enabled:
            self._record(
                RecordKind.ERROR, link, self._name_of(link), self.name, str(fault.error), fault.octets, is_sent=False
            )
        if fault.is_fatal and link.flow in self._links:
            link.close()
            self._user.link_closed(link, ConnectionLost("the peer's frames cannot be told apart any more"))

    # --- trace -------------------------------------------------------------------------------------------------------

    def trace_sent(self, link: SmLink, message: SmLinkMessage, octets: bytes) -> None:
        if self._trace.enabled:
            self._record(
                RecordKind.MESSAGE, link, self.name, self._name_of(link), summary_of(message), octets, is_sent=True
            )

    def _trace_received(self, link: SmLink, message: SmLinkMessage) -> None:
        """Only what a foreign peer sent: ours trace what they send."""
        if self._trace.enabled and self._network.book.name_of(link.remote) is None:
            self._record(
                RecordKind.MESSAGE,
                link,
                self._name_of(link),
                self.name,
                summary_of(message),
                encode_frame(message),
                is_sent=False,
            )

    def _name_of(self, link: SmLink) -> str:
        return self._network.book.name_of(link.remote) or str(link.remote)

    def _record(
        self, kind: RecordKind, link: SmLink, source: str, target: str, summary: str, raw: bytes, *, is_sent: bool
    ) -> None:
        near, far = _host_port(link.flow.local), _host_port(link.flow.remote)
        self._trace.record(
            at=self._clock.now(),
            kind=kind,
            source=source,
            target=target,
            reference_point=reference_point(source, target),
            protocol="SM",
            summary=summary,
            raw=raw,
            transport=link.remote.transport.value,
            source_address=near if is_sent else far,
            target_address=far if is_sent else near,
        )


def _host_port(address: Address) -> str:
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def summary_of(message: SmLinkMessage) -> str:
    """One line for a trace or a ladder."""
    match message:
        case Bind():
            return f"BIND {message.role.name} {message.name}"
        case Attach():
            return f"ATTACH {message.imsi}"
        case Accepted():
            return "ACCEPTED"
        case Refused():
            return f"REFUSED {message.error}"
        case Detach():
            return "DETACH"
        case Forward():
            return f"{message.kind.name} {_rp_summary(message.rpdu)}"
        case Result():
            return _rp_summary(message.rpdu)
        case Failure():
            return f"FAILURE {message.error}"
        case SmAlert():
            return f"ALERT {message.subscriber.value} {message.reason.name}"


def _rp_summary(octets: bytes) -> str:
    try:
        rpdu = parse_rpdu(octets)
    except SmsParseError:
        return "unreadable RP message"
    match rpdu:
        case RpData():
            return f"RP-DATA {rpdu.reference}"
        case RpAck():
            return f"RP-ACK {rpdu.reference}"
        case RpError():
            return f"RP-ERROR {rpdu.reference} cause {rpdu.cause}"
        case _:
            return f"RP-SMMA {rpdu.reference}"
