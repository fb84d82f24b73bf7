"""All MSRP connections of one element: listening, connecting, and who may bind them (RFC 4975 §5.4, digest §4.5)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ims_core.errors import ConnectionLost, LocalProtocolError, TransportError
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Flow, Listener, Network, Transport, VoidFlow
from ims_core.transport.msrp_identity import MsrpIdentity
from ims_core.transport.msrp_link import Expectation, MsrpConnection, MsrpEndpoint, MsrpLink
from ims_core.transport.msrp_tls import TlsLayer
from ims_core.transport.msrp_trace import MsrpTracer
from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.fingerprint import Fingerprint
from ims_core.wire.msrp.parser import DEFAULT_LIMITS, Limits

__all__ = ["MsrpStack", "MsrpStackConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MsrpStackConfig:
    """Settings of one MSRP element (digest §18: msrp.connect_s, msrp.bind_s).

    *local_host* is where connections leave from; the first listening host by default. With *is_encrypted* False TLS is
    a name only, as on in-memory links: fingerprints are then not checked (choice). Beyond *max_connections* new
    ones are closed at once."""

    name: str
    listen: tuple[Address, ...] = ()
    local_host: str = ""
    connect_s: float = 10.0
    bind_s: float = 10.0
    limits: Limits = DEFAULT_LIMITS
    max_connections: int = 20_000
    is_encrypted: bool = True

    @property
    def host(self) -> str:
        """Raises LocalProtocolError if nothing tells."""
        if self.local_host:
            return self.local_host
        if not self.listen:
            raise LocalProtocolError(
                f"{self.name} has neither a listening address nor a local host", spec="MsrpStackConfig"
            )
        return self.listen[0].host


class MsrpStack:
    """Listens, connects, frames and traces MSRP for one element. It is the `FlowHandler` of all its flows."""

    __slots__ = (
        "_connections",
        "_deadlines",
        "_expected",
        "_identity",
        "_is_closed",
        "_listeners",
        "_network",
        "_tls",
        "_tokens",
        "clock",
        "config",
        "name",
        "tracer",
        "unsent",
    )

    def __init__(
        self,
        config: MsrpStackConfig,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        identity: MsrpIdentity | None = None,
    ) -> None:
        """*identity* is made from *tokens* when it is first needed, if none is given."""
        self.config, self.name, self.clock = config, config.name, clock
        self._network, self._tokens, self._identity = network, tokens, identity
        self.tracer = MsrpTracer(config.name, network.book, clock, trace)
        self._deadlines = DeadlineHeap()
        self._listeners: list[Listener] = []
        self._connections: dict[MsrpConnection, None] = {}
        self._expected: dict[str, Expectation] = {}
        self._tls: TlsLayer | None = None
        self._is_closed = False
        self.unsent: list[MsrpConnection] | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts to listen. Raises TransportError, after which nothing listens."""
        self._is_closed = False
        try:
            for address in self.config.listen:
                self._listeners.append(await self._listen(address))
        except TransportError:
            await self.close()
            raise

    async def close(self) -> None:
        """Stops listening and ends every connection, after what was sent before. No endpoint is told."""
        self._is_closed = True
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.close()
        for connection in tuple(self._connections):
            for link in connection.links:
                link.is_open = False
            connection.close()
        self._expected.clear()
        self._deadlines.close()

    def drop(self, why: str) -> None:
        """Every connection breaks, and whoever has one is told."""
        for connection in tuple(self._connections):
            connection.give_up(why)

    @property
    def is_listening(self) -> bool:
        """Whether anybody can connect."""
        return bool(self._listeners)

    def address(self, transport: Transport) -> Address:
        """The own listening address with its real port. Raises LocalProtocolError if there is none."""
        for listener in self._listeners:
            if listener.address.transport is transport:
                return listener.address
        raise LocalProtocolError(f"{self.name} does not listen on {transport.value}", spec="MsrpStackConfig")

    @property
    def identity(self) -> MsrpIdentity:
        """What this element shows in TLS; its fingerprint goes into the SDP."""
        if self._identity is None:
            self._identity = MsrpIdentity.make(self.name, self.clock.now(), self._tokens.child("msrp-identity"))
        return self._identity

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    # --- sessions ----------------------------------------------------------------------------------------------------

    def expect(
        self,
        session_id: str,
        endpoint: MsrpEndpoint,
        *,
        fingerprints: Sequence[Fingerprint] = (),
        is_shared: bool = False,
    ) -> None:
        """The first request whose To-Path begins with that session id binds its connection to *endpoint*.

        Other connections that name the session meanwhile get 506, sessions that nobody expects 481. *fingerprints* are
        those of the peer's SDP: with any, only TLS with such a certificate will do. *is_shared* is for what a relay
        has granted (RFC 4976): any number of connections may name it; so it is with the empty id, which stands for
        requests to the relay as such. Raises LocalProtocolError if the id is taken."""
        known = self._expected.get(session_id)
        if known is not None and not known.is_forgotten:
            raise LocalProtocolError(f"two sessions called {session_id!r}", spec="RFC 4975 §6")
        link = None if known is None else known.link
        self._expected[session_id] = Expectation(endpoint, fingerprints, link, is_shared=is_shared or not session_id)

    def forget(self, session_id: str) -> None:
        """Expects the session no more. A link that is open stays so until it is closed."""
        known = self._expected.get(session_id)
        if known is not None:
            known.is_forgotten = True
            if known.link is None:
                del self._expected[session_id]

    def connect(
        self,
        address: Address,
        endpoint: MsrpEndpoint,
        *,
        fingerprints: Sequence[Fingerprint] = (),
        session_id: str | None = None,
    ) -> MsrpLink:
        """A connection of its own for the session, by TLS if *address* says so.

        `opened` follows when it stands (TLS with one of *fingerprints*, if any), else `lost`; what is sent before that
        waits. *session_id* is the own one: requests to another session that is expected may then share the connection,
        others get 481. Without it all that comes is for *endpoint*."""
        if self._is_closed or len(self._connections) >= self.config.max_connections:
            return self._stillborn(address, endpoint, session_id)
        flow = self._open(address, fingerprints)
        connection = MsrpConnection(self, flow, self.config.limits, is_accepted=False)
        self._connections[connection] = None
        link = connection.begin(endpoint, session_id)
        if session_id:
            expectation = self._expected.setdefault(session_id, Expectation(endpoint, is_forgotten=True))
            expectation.link = expectation.link or link
        return link

    # --- from the network --------------------------------------------------------------------------------------------

    def accepted(self, flow: Flow) -> None:
        if self._is_closed or len(self._connections) >= self.config.max_connections:
            self.tracer.error(flow, "too many connections: refused one")
            flow.close()
            return
        connection = MsrpConnection(self, flow, self.config.limits, is_accepted=True)
        self._connections[connection] = None
        self._deadlines.set(connection, self._deadlines.time() + self.config.bind_s)

    def received(self, octets: bytes, flow: Flow) -> None:
        connection = flow.user
        if not isinstance(connection, MsrpConnection):
            return
        unsent = self.unsent = []
        try:
            connection.take(octets)
        finally:
            self.unsent = None
            for each in unsent:
                each.flush()

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        connection = flow.user
        if isinstance(connection, MsrpConnection):
            connection.ended(error)

    # --- from the connections ----------------------------------------------------------------------------------------

    def expected(self, session_id: str) -> Expectation | None:
        return self._expected.get(session_id)

    def unbound(self, session_id: str, link: MsrpLink) -> None:
        known = self._expected.get(session_id)
        if known is not None and known.link is link:
            known.link = None
            if known.is_forgotten:
                del self._expected[session_id]

    def is_bound(self, connection: MsrpConnection) -> None:
        if connection.due != math.inf:
            self._deadlines.set(connection, None)

    def connection_over(self, connection: MsrpConnection) -> None:
        self._deadlines.set(connection, None)
        self._connections.pop(connection, None)

    def deadline_came(self, connection: MsrpConnection) -> None:
        connection.give_up(f"no session was bound within {self.config.bind_s:g} s")

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _listen(self, address: Address) -> Listener:
        if address.transport is Transport.TLS and self.config.is_encrypted:
            return await self._tls_layer().listen(address)
        return await self._network.listen(address, self)

    def _open(self, address: Address, fingerprints: Sequence[Fingerprint]) -> Flow:
        host, connect_s = self.config.host, self.config.connect_s
        if address.transport is Transport.TLS and self.config.is_encrypted:
            return self._tls_layer().connect(host, address, fingerprints, timeout_s=connect_s)
        return self._network.connect(host, address, self, timeout_s=connect_s)

    def _tls_layer(self) -> TlsLayer:
        if self._tls is None:
            self._tls = TlsLayer(self._network, self, self.identity, handshake_s=self.config.bind_s)
        return self._tls

    def _stillborn(self, address: Address, endpoint: MsrpEndpoint, session_id: str | None) -> MsrpLink:
        """A link that is lost in the next turn of the loop."""
        reason = f"{self.name} is closed" if self._is_closed else f"{self.name} has too many connections"
        connection = MsrpConnection(self, VoidFlow(address), self.config.limits, is_accepted=False)
        link = connection.begin(endpoint, session_id)
        asyncio.get_running_loop().call_soon(connection.ended, ConnectionLost(reason))
        return link
