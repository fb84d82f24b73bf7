"""MSRP relay and media anchor of a carrier (design §14.6, digest §17.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ims_core.nodes.msrp_bridge import MsrpBridge
from ims_core.nodes.msrp_relay_service import RelayService
from ims_core.reference_points import BridgeUser, MediaLegUser
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Network, Transport
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.tokens import Tokens
from ims_core.wire.digest import Algorithm
from ims_core.wire.msrp.auth_server import RelayConfig, RelayRegistrar
from ims_core.wire.msrp.session_events import SessionConfig
from ims_core.wire.msrp.uri import MsrpUri

__all__ = ["Ha1Of", "MsrpRelay", "MsrpRelayConfig"]

Ha1Of = Callable[[str, Algorithm], str | None]
"""H(user:realm:password) of a user for an algorithm, None for nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MsrpRelayConfig:
    """One relay. *is_encrypted* False makes TLS a name only, as on in-memory links. Times in seconds (digest §18).

    *realm* is what clients authenticate for (RFC 4976)."""

    name: str
    listen: tuple[Address, ...]
    is_encrypted: bool = True
    chunk_octets: int = 2048
    response_s: float = 30.0
    connect_s: float = 10.0
    bind_s: float = 10.0
    realm: str = ""


class MsrpRelay:
    """To be started, again after `fail`, and closed once. A `MediaAnchor` for the servers of its carrier."""

    def __init__(
        self,
        config: MsrpRelayConfig,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        ha1_of: Ha1Of | None = None,
    ) -> None:
        """*ha1_of* gives H(user:realm:password) of those who may authenticate; without it AUTH is a 501."""
        self.config = config
        self.stack = MsrpStack(
            MsrpStackConfig(
                name=config.name,
                listen=config.listen,
                connect_s=config.connect_s,
                bind_s=config.bind_s,
                is_encrypted=config.is_encrypted,
            ),
            network=network,
            clock=clock,
            tokens=tokens,
            trace=trace,
        )
        self._tokens = tokens
        self._deadlines = DeadlineHeap()
        self._ha1_of = ha1_of
        self._service: RelayService | None = None

    async def start(self) -> None:
        """Raises TransportError with one sentence that says what to do."""
        await self.stack.start()
        if self._ha1_of is not None:
            self._service = self._new_service(self._ha1_of)
            self._service.start()

    def _new_service(self, ha1_of: Ha1Of) -> RelayService:
        address, tokens = self.address(Transport.TCP), self._tokens.child("relay")
        config = RelayConfig(uri=MsrpUri("msrp", None, address.host, address.port, None), realm=self.config.realm)
        registrar = RelayRegistrar(config, ha1_of, tokens.octets, tokens.word)
        return RelayService(self.stack, registrar, tokens, self._deadlines)

    async def fail(self) -> None:
        """It is out of service until `start`: all connections break, and nobody can connect."""
        self.stack.drop(f"{self.config.name} is out of service")
        await self.stack.close()

    async def stop_listening(self) -> None:
        """Nobody is heard any more; every connection ends, after what was sent before."""
        await self.stack.close()

    async def close(self) -> None:
        """Ends every connection. Nobody is told: the servers close before."""
        await self.stack.close()
        self._deadlines.close()

    @property
    def offers_tls(self) -> bool:
        """Whether it listens for TLS."""
        return any(address.transport is Transport.TLS for address in self.config.listen)

    @property
    def is_in_service(self) -> bool:
        """Between `start` and `fail` or the end."""
        return self.stack.is_listening

    def address(self, transport: Transport) -> Address:
        """Own listening address. Raises LocalProtocolError if there is none."""
        return self.stack.address(transport)

    def leg(self, user: MediaLegUser, *, max_octets: int) -> MsrpChannel:
        """A side of a session that ends here: its owner has whole messages."""
        config = SessionConfig(
            max_octets=max_octets,
            chunk_octets=self.config.chunk_octets,
            response_s=self.config.response_s,
            bind_s=self.config.bind_s,
        )
        return MsrpChannel(self.stack, user, self._tokens, self._deadlines, config)

    def bridge(self, user: BridgeUser) -> MsrpBridge:
        """Two sides that pass chunks to each other."""
        return MsrpBridge(self.stack, user, self._tokens, self._deadlines)
