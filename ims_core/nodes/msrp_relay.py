"""MSRP relay and media anchor of a carrier (design §14.6, digest §17.3)."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.nodes.msrp_bridge import MsrpBridge
from ims_core.reference_points import BridgeUser, MediaLegUser
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Network, Transport
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.session_events import SessionConfig

__all__ = ["MsrpRelay", "MsrpRelayConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MsrpRelayConfig:
    """One relay. *is_encrypted* False makes TLS a name only, as on in-memory links. Times in seconds (digest §18)."""

    name: str
    listen: tuple[Address, ...]
    is_encrypted: bool = True
    chunk_octets: int = 2048
    response_s: float = 30.0
    connect_s: float = 10.0
    bind_s: float = 10.0


class MsrpRelay:
    """To be started and closed once. A `MediaAnchor` for the application servers of its carrier."""

    def __init__(
        self, config: MsrpRelayConfig, *, network: Network, clock: Clock, tokens: Tokens, trace: Trace
    ) -> None:
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

    async def start(self) -> None:
        """Raises TransportError with one sentence that says what to do."""
        await self.stack.start()

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
