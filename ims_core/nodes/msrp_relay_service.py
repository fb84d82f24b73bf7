"""Relaying by To-Path for clients that have authenticated (RFC 4976 §6): what MSRP knew before CEMA."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ims_core.errors import TransportError
from ims_core.nodes.msrp_forwarder import ChunkForwarder, ForwardPolicy
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import HIGH_WATER_OCTETS, Address, Transport
from ims_core.transport.msrp_link import MsrpLink
from ims_core.transport.msrp_stack import MsrpStack
from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.auth_server import Grant, RelayRegistrar
from ims_core.wire.msrp.message import MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import MsrpEvent, MsrpParseError, Piece
from ims_core.wire.msrp.uri import MsrpUri

__all__ = ["RelayService"]

_NO_SESSION, _METHOD_UNKNOWN, _TIMED_OUT = 481, 501, 408
_MAX_HOPS_OUT = 1024  # connections to next hops


@dataclass(slots=True)
class _Way:
    """From one connection to another."""

    source: MsrpLink
    target: MsrpLink
    forwarder: ChunkForwarder


class RelayService:
    """Lets clients in (AUTH), and passes chunks and reports on: those of a client to the next hop of To-Path, those for
    a client to its connection. Nobody else is served.

    SENDs are answered hop by hop at once; what fails later is told by REPORT (RFC 4976 §6.4.1)."""

    def __init__(self, stack: MsrpStack, registrar: RelayRegistrar, tokens: Tokens, deadlines: DeadlineHeap) -> None:
        self._stack, self._registrar, self._tokens, self._deadlines = stack, registrar, tokens, deadlines
        self._clients: dict[Address, MsrpLink] = {}  # the connection that each client authenticated on
        self._next_hops: dict[Address, MsrpLink] = {}
        self._ways: dict[tuple[Address, Address], _Way] = {}
        self.due = self.armed = math.inf

    def start(self) -> None:
        """Requests to the relay as such are taken from now on."""
        self._stack.expect("", self)

    # --- MsrpEndpoint ------------------------------------------------------------------------------------------------

    def opened(self, link: MsrpLink) -> None:
        """A client that connected, or a next hop that stands."""

    def received(self, event: MsrpEvent, link: MsrpLink) -> None:
        if isinstance(event, MsrpResponse):
            any(way.forwarder.response(event) for way in self._ways_to(link))
        elif isinstance(event, MsrpParseError):
            if event.head is not None:
                link.refuse(event.head, event.status)
        elif isinstance(event, Piece):
            self._relay(event.head, event, link)
        elif event.method == "AUTH" and len(event.to_path) == 1:
            self._authenticate(event, link)
        else:
            self._relay(event, None, link)
        self._settle()

    def drained(self, link: MsrpLink) -> None:
        self._settle()

    def lost(self, link: MsrpLink, error: TransportError | None) -> None:
        remote = link.remote
        self._next_hops.pop(remote, None)
        if self._clients.pop(remote, None) is not None:
            self._forget(self._registrar.forget_connection(remote))
        for key, way in tuple(self._ways.items()):
            if remote in key:
                way.forwarder.failed(_TIMED_OUT)
                del self._ways[key]
        self._settle()

    # --- AUTH --------------------------------------------------------------------------------------------------------

    def _authenticate(self, request: MsrpRequest, link: MsrpLink) -> None:
        answer = self._registrar.handle(request, link.remote, self._deadlines.time())
        if answer.grant is not None:
            self._clients[link.remote] = link
            self._stack.forget(answer.grant.uri.key)
            self._stack.expect(answer.grant.uri.key, self, is_shared=True)
        link.send(answer.response.encode(), answer.response)

    def _forget(self, grants: list[Grant]) -> None:
        for grant in grants:
            self._stack.forget(grant.uri.key)

    # --- relaying ----------------------------------------------------------------------------------------------------

    def _relay(self, head: MsrpRequest, piece: Piece | None, link: MsrpLink) -> None:
        target = self._target_of(head, link)
        if target is None:
            if piece is None or piece.continuation is not None:
                link.refuse(head, _NO_SESSION if head.method in ("SEND", "REPORT", "AUTH") else _METHOD_UNKNOWN)
            return
        forwarder = self._way(link, target).forwarder
        if piece is not None:
            forwarder.piece(piece, self._deadlines.time())
        elif head.method == "REPORT":
            forwarder.report(head)
        elif head.method == "SEND":
            link.refuse(head, 200)
            forwarder.report(head)  # a bind goes on as it is; its answer is ours to drop
        else:
            link.refuse(head, _METHOD_UNKNOWN)

    def _target_of(self, head: MsrpRequest, link: MsrpLink) -> MsrpLink | None:
        """Where *head* goes next; None if its sender may not use the relay, or names nobody."""
        grant = self._registrar.lookup(head.to_path[0].key, self._deadlines.time())
        if grant is None or len(head.to_path) < 2:
            return None
        if grant.connection == link.remote:
            return self._next_hop(head.to_path[1])
        if not head.to_path[1].same_as(grant.client):
            return None
        client = self._clients.get(link.remote if not isinstance(grant.connection, Address) else grant.connection)
        return client

    def _next_hop(self, uri: MsrpUri) -> MsrpLink | None:
        address = Address(Transport.TLS if uri.is_tls else Transport.TCP, uri.address, uri.connect_port)
        link = self._next_hops.get(address)
        if link is None and len(self._next_hops) < _MAX_HOPS_OUT:
            link = self._next_hops[address] = self._stack.connect(address, self)
        return link

    def _way(self, source: MsrpLink, target: MsrpLink) -> _Way:
        key = source.remote, target.remote
        way = self._ways.get(key)
        if way is None:
            forwarder = ChunkForwarder(
                ForwardPolicy.RELAY, _one_hop_on, self._tokens, reply=source.send, forward=target.send
            )
            way = self._ways[key] = _Way(source, target, forwarder)
        return way

    def _ways_to(self, link: MsrpLink) -> list[_Way]:
        return [way for key, way in self._ways.items() if key[1] == link.remote]

    # --- time --------------------------------------------------------------------------------------------------------

    def deadline_came(self, now: float) -> None:
        self._forget(self._registrar.handle_deadline(now))
        for way in self._ways.values():
            way.forwarder.handle_deadline(now)
        self._settle()

    def _settle(self) -> None:
        """Flow control, and the next deadline."""
        due = [self._registrar.next_deadline()]
        for way in self._ways.values():
            due.append(way.forwarder.next_deadline())
            if way.target.backlog > HIGH_WATER_OCTETS or way.forwarder.is_congested:
                way.source.pause()
            elif way.source.is_paused:
                way.source.resume()
        first = min((each for each in due if each is not None), default=math.inf)
        if first != self.due:
            self._deadlines.set(self, None if first == math.inf else first)


def _one_hop_on(request: MsrpRequest) -> tuple[tuple[MsrpUri, ...], tuple[MsrpUri, ...]]:
    """The relay's URI goes from the front of To-Path to the front of From-Path (RFC 4976 §6.4)."""
    return request.to_path[1:], (request.to_path[0], *request.from_path)
