"""Where a phone's message sessions come and go: its MSRP stack, made when the first session needs it (RFC 4975 §8)."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.errors import TransportError
from ims_core.reference_points import MediaLeg, MediaLegUser
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Network, Transport
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.session_events import SessionConfig
from rcs_sim.client.display import Display
from rcs_sim.client.errands import Errands
from rcs_sim.client.msrp_dialect import DialectChannel
from rcs_sim.client.session_offer import OfferRules
from rcs_sim.client.user_agent import UserAgent

__all__ = ["MediaPort"]

_MAX_CONNECTIONS = 256  # of one phone


class MediaPort:
    """*is_encrypted* is False on in-memory links, where TLS is a name only. A phone that does not listen has no port of
    its own: it always connects."""

    __slots__ = (
        "_clock",
        "_display",
        "_errands",
        "_host",
        "_is_encrypted",
        "_is_starting",
        "_network",
        "_rules",
        "_stack",
        "_tokens",
        "_trace",
        "_ua",
        "_waiting",
    )

    def __init__(
        self,
        ua: UserAgent,
        rules: OfferRules,
        *,
        host: str,
        network: Network,
        clock: Clock,
        trace: Trace,
        errands: Errands,
        display: Display,
        is_encrypted: bool,
    ) -> None:
        self._ua, self._rules, self._host = ua, rules, host
        self._network, self._clock, self._trace = network, clock, trace
        self._errands, self._display, self._is_encrypted = errands, display, is_encrypted
        self._tokens: Tokens | None = None
        self._stack: MsrpStack | None = None
        self._is_starting = False
        self._waiting: list[Callable[[bool], None]] = []

    def when_ready(self, told: Callable[[bool], None]) -> None:
        """Calls *told*, at once if it can: True when legs can be made, False if there is no port to be had."""
        if self._stack is not None and not self._is_starting:
            told(True)
            return
        self._waiting.append(told)
        if not self._is_starting:
            self._is_starting = True
            self._errands.create_task(self._start(), name="MSRP")

    def leg(self, user: MediaLegUser) -> MediaLeg:
        """A new side of a session; only after `when_ready` said yes."""
        stack, policy = self._stack, self._rules.policy
        assert stack is not None
        config = SessionConfig(
            chunk_octets=policy.chunk_octets, max_octets=self._rules.max_octets, bind_s=policy.connect_s
        )
        is_plain = not (policy.writes_bare_first_send or policy.writes_type_first or policy.drops_unranged)
        tokens, deadlines = self._child(), self._ua.stack.deadlines
        if is_plain:
            return MsrpChannel(stack, user, tokens, deadlines, config)
        return DialectChannel(stack, user, tokens, deadlines, config, policy)

    async def close(self) -> None:
        """Ends every connection."""
        stack, self._stack = self._stack, None
        self._waiting.clear()
        if stack is not None:
            await stack.close()

    async def _start(self) -> None:
        stack = self._stack = self._new_stack()
        is_ready = True
        try:
            await stack.start()
        except TransportError as error:
            self._display.error(f"no port for message sessions: {error}")
            is_ready, self._stack = False, None
        self._is_starting = False
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            told(is_ready)

    def _new_stack(self) -> MsrpStack:
        rules = self._rules
        transport = Transport.TLS if rules.is_tls else Transport.TCP
        config = MsrpStackConfig(
            name=self._ua.stack.name,
            listen=(Address(transport, self._host, 0),) if rules.policy.listens else (),
            local_host=self._host,
            connect_s=rules.policy.connect_s,
            bind_s=rules.policy.connect_s,
            max_connections=_MAX_CONNECTIONS,
            is_encrypted=self._is_encrypted,
        )
        return MsrpStack(config, network=self._network, clock=self._clock, tokens=self._child(), trace=self._trace)

    def _child(self) -> Tokens:
        """One stream for all sessions: made with the first, as everything here."""
        if self._tokens is None:
            self._tokens = self._ua.tokens.child("msrp")
        return self._tokens
