"""MSRP connections and the sessions on them: frames in, octets out, each to its own session (RFC 4975 §5.4, §7.3)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ims_core.errors import ConnectionLost, TransportError
from ims_core.transport.link import HIGH_WATER_OCTETS, Address, Flow, Transport
from ims_core.transport.msrp_tls import FingerprintMismatch, TlsFlow
from ims_core.transport.msrp_trace import ConnectionTrace, MsrpTracer
from ims_core.wire.msrp.fingerprint import Fingerprint
from ims_core.wire.msrp.message import FailureReport, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder, Limits, MsrpEvent, MsrpParseError, Piece

__all__ = ["ConnectionHost", "Expectation", "MsrpConnection", "MsrpEndpoint", "MsrpLink"]

_log = logging.getLogger(__name__)

_NO_SESSION, _ALREADY_BOUND = 481, 506  # RFC 4975 §10.7, §10.9
_UNSENT_OCTETS = 64 * 1024  # of answers to a read: more are not worth a copy
_UNBOUND_OCTETS = 64 * 1024  # of a connection that belongs to no session: more is no attempt to bind


class MsrpEndpoint(Protocol):
    """One end of a session. Called in the turn of the loop in which octets came, never from within `MsrpLink.send`."""

    def opened(self, link: MsrpLink) -> None:
        """The connection that we asked for stands, or the peer's first request has bound his to the session."""
        ...

    def received(self, event: MsrpEvent, link: MsrpLink) -> None:
        """A frame of this session, or a piece of one. A malformed request is the endpoint's to answer."""
        ...

    def drained(self, link: MsrpLink) -> None:
        """A backlog above `HIGH_WATER_OCTETS` has come down: there is room for more."""
        ...

    def lost(self, link: MsrpLink, error: TransportError | None) -> None:
        """The connection ended, or was not made; None for an orderly end. Not called after `MsrpLink.close`.

        A FingerprintMismatch may come for a link that was never opened: somebody else has tried to bind."""
        ...


@dataclass(slots=True)
class Expectation:
    """A session that a peer will bind a connection to, or that has one: *link*.

    One that *is_forgotten* lasts as long as its link; one that *is_shared* has any number of them, as at a relay."""

    endpoint: MsrpEndpoint
    fingerprints: Sequence[Fingerprint] = ()
    link: MsrpLink | None = field(default=None, repr=False)
    is_forgotten: bool = False
    is_shared: bool = False


class ConnectionHost(Protocol):
    """The element that connections belong to."""

    name: str
    tracer: MsrpTracer
    unsent: list[MsrpConnection] | None
    """While octets that came are being read: connections with something to send, which goes out together. Else None."""

    def expected(self, session_id: str) -> Expectation | None: ...

    def unbound(self, session_id: str, link: MsrpLink) -> None:
        """The session has left *link*."""
        ...

    def connection_over(self, connection: MsrpConnection) -> None:
        """No octets come or go any more."""
        ...

    def is_bound(self, connection: MsrpConnection) -> None:
        """A session has taken the connection: it need not prove itself any longer."""
        ...

    def deadline_came(self, connection: MsrpConnection) -> None: ...


class MsrpLink:
    """A session's use of a connection. *user* is a slot for the owner.

    *on_finished*, if set, is called when the peer has closed his half of the connection: what he has sent can still be
    answered until `close`, for half a minute at most. Else the link is then `lost`."""

    __slots__ = ("_connection", "endpoint", "is_active", "is_open", "is_paused", "on_finished", "session_id", "user")

    def __init__(
        self, connection: MsrpConnection, endpoint: MsrpEndpoint, session_id: str | None, *, is_active: bool
    ) -> None:
        self._connection = connection
        self.endpoint = endpoint
        self.session_id = session_id
        self.is_active = is_active
        self.is_open = True
        self.is_paused = False
        self.user: object | None = None
        self.on_finished: Callable[[MsrpLink], None] | None = None

    @property
    def local(self) -> Address:
        return self._connection.flow.local

    @property
    def remote(self) -> Address:
        return self._connection.flow.remote

    @property
    def is_tls(self) -> bool:
        return self._connection.flow.local.transport is Transport.TLS

    @property
    def peer_fingerprint(self) -> Fingerprint | None:
        """SHA-256 fingerprint of the peer's certificate; None without encryption, or before it stands."""
        flow = self._connection.flow
        return Fingerprint.of(flow.peer_certificate) if isinstance(flow, TlsFlow) and flow.peer_certificate else None

    @property
    def backlog(self) -> int:
        """Octets that wait in the connection: stop at `HIGH_WATER_OCTETS`, and go on in `drained`."""
        return self._connection.backlog

    def send(self, octets: bytes, frame: MsrpRequest | MsrpResponse | None = None) -> None:
        """*frame* is the message that the octets are or begin, for the trace. What cannot be sent ends in `lost`."""
        if self.is_open:
            self._connection.send(octets, frame)

    def refuse(self, request: MsrpRequest, status: int, comment: str | None = None) -> None:
        """Answers *request* with an error, as far as its sender wants to know (RFC 4975 §7.2)."""
        if self.is_open:
            self._connection.refuse(request, status, comment)

    def verify(self, fingerprints: Sequence[Fingerprint]) -> None:
        """Checks whom the connection comes from, where that was not known when it was bound. Raises
        FingerprintMismatch."""
        self._connection.verify(fingerprints)

    def pause(self) -> None:
        """Stops reading the connection, for all its sessions."""
        if self.is_open and not self.is_paused:
            self.is_paused = True
            self._connection.hold()

    def resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self._connection.release()

    def close(self) -> None:
        """Leaves the connection; the last session on it closes it, after what was sent before."""
        if self.is_open:
            self.is_open = False
            self.resume()
            self._connection.leave(self)


class MsrpConnection:
    """One connection; also its deadline. *first* has it from the beginning, if this side asked for it."""

    __slots__ = (
        "_decoder",
        "_first",
        "_head",
        "_head_link",
        "_holds",
        "_host",
        "_is_full",
        "_links",
        "_trace",
        "_unbound_octets",
        "_unsent",
        "_unsent_octets",
        "armed",
        "due",
        "flow",
        "is_accepted",
    )

    def __init__(self, host: ConnectionHost, flow: Flow, limits: Limits, *, is_accepted: bool) -> None:
        self._host, self.flow, self.is_accepted = host, flow, is_accepted
        self._decoder = FrameDecoder(limits)
        self._links: dict[str, MsrpLink] = {}  # by the session id that To-Path begins with
        self._first: MsrpLink | None = None  # takes what names no session that is expected
        self._head: MsrpRequest | None = None  # of the chunk under way
        self._head_link: MsrpLink | None = None
        self._holds = 0  # sessions that want nothing read, and the peer's own slowness
        self._is_full = False
        self._unbound_octets = 0
        self._unsent: list[bytes] = []
        self._unsent_octets = 0
        self._trace: ConnectionTrace | None = None
        self.due = self.armed = math.inf
        flow.user = self
        flow.is_bulk = True
        flow.on_drained, flow.on_finished = self._drained, self._finished

    def begin(self, endpoint: MsrpEndpoint, session_id: str | None) -> MsrpLink:
        """The link of the session that this side connects for."""
        link = MsrpLink(self, endpoint, session_id, is_active=True)
        if session_id is None:
            self._first = link
        else:
            self._links[session_id] = link
        self.flow.on_opened = lambda _flow: self._call(endpoint.opened, link)
        return link

    @property
    def links(self) -> tuple[MsrpLink, ...]:
        return (*self._links.values(), *(() if self._first is None else (self._first,)))

    def deadline_came(self, now: float) -> None:
        self._host.deadline_came(self)

    # --- for the links -----------------------------------------------------------------------------------------------

    def send(self, octets: bytes, frame: MsrpRequest | MsrpResponse | None) -> None:
        flow = self.flow
        if self._host.tracer.trace.enabled and flow.is_open:
            self._tracing().sent(octets, frame)
        unsent = self._host.unsent
        if unsent is None:
            flow.send(octets)
        else:
            self._send_later(octets, unsent)
        # Who does not read his answers is not read. The accepting end alone does so: else two could wait for ever.
        if self.is_accepted and not self._is_full and self.backlog > HIGH_WATER_OCTETS:
            self._is_full = True
            self.hold()

    @property
    def backlog(self) -> int:
        """Octets that have not left."""
        return self.flow.backlog + self._unsent_octets

    def _send_later(self, octets: bytes, unsent: list[MsrpConnection]) -> None:
        """A read may lead to many short frames: one call of the system for all of them."""
        if not self._unsent:
            unsent.append(self)
        self._unsent.append(octets)
        self._unsent_octets += len(octets)
        if self._unsent_octets > _UNSENT_OCTETS:
            self.flush()

    def flush(self) -> None:
        """Sends what has waited for the end of a read."""
        unsent, self._unsent = self._unsent, []
        was_above = self.backlog > HIGH_WATER_OCTETS
        self._unsent_octets = 0
        if unsent:
            self.flow.send(unsent[0] if len(unsent) == 1 else b"".join(unsent))
        if was_above and self.flow.backlog <= HIGH_WATER_OCTETS:  # nobody else would say so
            asyncio.get_running_loop().call_soon(self._drained, self.flow)

    def verify(self, announced: Sequence[Fingerprint]) -> None:
        """Checks whom the connection comes from. Raises FingerprintMismatch."""
        flow = self.flow
        if isinstance(flow, TlsFlow):
            flow.verify(announced)
        elif announced and flow.local.transport is not Transport.TLS:
            raise FingerprintMismatch("the session was announced with TLS, the connection comes without")

    def refuse(self, request: MsrpRequest, status: int, comment: str | None = None) -> None:
        if request.method != "REPORT" and request.failure_report is not FailureReport.NO:
            response = MsrpResponse.to(request, status, comment)
            self.send(response.encode(), response)

    def hold(self) -> None:
        self._holds += 1
        if self._holds == 1:
            self.flow.pause()

    def release(self) -> None:
        self._holds -= 1
        if not self._holds and self.flow.is_open:
            self.flow.resume()

    def leave(self, link: MsrpLink) -> None:
        self._drop(link)
        self._unbind(link)
        if not self.links:
            self.close()

    def close(self) -> None:
        """Ends the connection; nobody is told."""
        if self.flow.is_open:
            self.flush()
            self.flow.close()
        self._over()

    # --- from the flow -----------------------------------------------------------------------------------------------

    def take(self, octets: bytes) -> None:
        if self._host.tracer.trace.enabled:
            tracing = self._tracing()
            if tracing.is_foreign:
                tracing.received(octets)
        if not self._links and self._first is None:
            self._unbound_octets += len(octets)
        for event in self._decoder.feed(octets):
            self._take(event)
            if not self.flow.is_open:
                return
        if self._unbound_octets > _UNBOUND_OCTETS and not self._links and self._first is None:
            self.give_up(f"no session after {self._unbound_octets} octets")

    def ended(self, error: TransportError | None) -> None:
        """The flow ended by itself: the peer left, or it broke."""
        links = self.links
        if error is not None and (not links or isinstance(error, FingerprintMismatch)):
            self._host.tracer.error(self.flow, str(error))
        self._over()
        for link in links:
            self._lose(link, error)

    def give_up(self, reason: str) -> None:
        """Ends the connection because of what the peer did, or did not."""
        if self.links:
            self._host.tracer.error(self.flow, reason)
        self.flush()
        self.flow.close()
        self.ended(ConnectionLost(reason))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _take(self, event: MsrpEvent) -> None:
        if isinstance(event, Piece):
            if event.head is not self._head:
                self._head, self._head_link = event.head, self._link_for(event.head)
            link = self._head_link
            if event.continuation is not None:
                self._head = self._head_link = None
        elif isinstance(event, MsrpRequest):
            link = self._link_for(event)
        elif isinstance(event, MsrpResponse):
            link = self._links.get(event.to_path[0].key) or self._only_link()
            if link is None:
                self._host.tracer.error(self.flow, "a response for no session", event.encode())
        else:
            self._malformed(event)
            return
        if link is not None:
            self._deliver(event, link)

    def _only_link(self) -> MsrpLink | None:
        """Whose a response must be, whatever its path says: its transaction id decides in the end."""
        links = self.links
        return links[0] if len(links) == 1 else self._first

    def _deliver(self, event: MsrpEvent, link: MsrpLink) -> None:
        if link.is_open:
            try:
                link.endpoint.received(event, link)
            except Exception as error:  # the edge: one session's fault must not cost the others their frames
                self._failed(error)

    def _link_for(self, request: MsrpRequest) -> MsrpLink | None:
        """The link of the session that *request* names; one that is expected is bound to this connection."""
        if self._trace is not None:
            self._trace.request_received(request)
        session_id = request.to_path[0].key
        link = self._links.get(session_id)
        if link is not None:
            return link
        expectation = self._host.expected(session_id)
        if expectation is not None:
            return self._bind(session_id, expectation, request)
        if self._first is None:
            self._refuse_session(request, _NO_SESSION, "no such session")
        return self._first

    def _bind(self, session_id: str, expectation: Expectation, request: MsrpRequest) -> MsrpLink | None:
        if expectation.link is not None and not expectation.is_shared:
            self._refuse_session(request, _ALREADY_BOUND, "the session is bound to another connection")
            return None
        link = MsrpLink(self, expectation.endpoint, session_id, is_active=False)
        try:
            self.verify(expectation.fingerprints)
        except FingerprintMismatch as mismatch:
            self._refuse_stranger(link, request, mismatch)
            return None
        self._links[session_id] = expectation.link = link
        self._host.is_bound(self)
        self._call(link.endpoint.opened, link)
        return link

    def _refuse_stranger(self, link: MsrpLink, request: MsrpRequest, mismatch: FingerprintMismatch) -> None:
        link.is_open = False
        self._refuse_session(request, _NO_SESSION, str(mismatch))
        if not self.links:
            self.close()
        self._call(link.endpoint.lost, link, mismatch)

    def _refuse_session(self, request: MsrpRequest, status: int, why: str) -> None:
        self._host.tracer.error(self.flow, f"{status}: {why}", request.head_octets())
        self.refuse(request, status)

    def _malformed(self, fault: MsrpParseError) -> None:
        self._host.tracer.error(self.flow, str(fault), fault.raw)
        head = fault.head
        link = self._first if head is None else self._links.get(head.to_path[0].key, self._first)
        if fault.is_fatal:
            self._framing_lost(fault)
        elif link is not None:
            self._deliver(fault, link)
        elif head is not None:
            self.refuse(head, fault.status)

    def _framing_lost(self, fault: MsrpParseError) -> None:
        links = self.links
        for link in links:
            self._deliver(fault, link)
        if not links and fault.head is not None:
            self.refuse(fault.head, fault.status)
        if self.flow.is_open:
            self.give_up(f"framing lost: {fault}")

    def _drained(self, _flow: Flow) -> None:
        if self._is_full:
            self._is_full = False
            self.release()
        for link in self.links:
            if link.is_open:
                self._call(link.endpoint.drained, link)

    def _finished(self, _flow: Flow) -> None:
        """The peer has closed his half: sessions that still have something to answer keep theirs."""
        for link in self.links:
            if link.on_finished is not None:
                self._call(link.on_finished, link)
            else:
                self._drop(link)
                self._lose(link, None)
        if not self.links:
            self.close()

    def _drop(self, link: MsrpLink) -> None:
        if self._first is link:
            self._first = None
        else:
            self._links.pop(link.session_id or "", None)

    def _lose(self, link: MsrpLink, error: TransportError | None) -> None:
        if link.is_open:
            link.is_open = False
            self._unbind(link)
            self._call(link.endpoint.lost, link, error)

    def _unbind(self, link: MsrpLink) -> None:
        if link.session_id is not None:
            self._host.unbound(link.session_id, link)

    def _over(self) -> None:
        if self._trace is not None:
            self._trace.ended()
        self._links, self._first = {}, None
        self._head = self._head_link = None
        self._host.connection_over(self)

    def _tracing(self) -> ConnectionTrace:
        if self._trace is None:
            self._trace = ConnectionTrace(self._host.tracer, self.flow)
        return self._trace

    def _call(self, event: Callable[..., None], *arguments: object) -> None:
        try:
            event(*arguments)
        except Exception as error:  # the edge, as above
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        _log.exception("%s: a session failed", self._host.name)
        self._host.tracer.error(self.flow, f"a session failed: {error!r}")
