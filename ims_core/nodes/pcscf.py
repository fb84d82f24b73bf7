"""P-CSCF: the first hop of every UE (TS 24.229 §5.2; digest §15.1)."""

from __future__ import annotations

from ims_core.nodes.deadlines import Alarm
from ims_core.nodes.decision import Decision, Defer, Discard, Persist, Reject
from ims_core.nodes.dialog_table import ProxiedDialog
from ims_core.nodes.own_address import OwnAddress, top_route
from ims_core.nodes.pcscf_config import PcscfConfig
from ims_core.nodes.pcscf_core import PcscfCore, PcscfEffects
from ims_core.nodes.proxy import Proxy
from ims_core.store.bindings import ACCESS_FLOWS, FLOW_TOKEN_KEYS, FlowTokenKey
from ims_core.store.record_table import Store
from ims_core.trace import RecordKind, Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, Network, Transport
from ims_core.transport.sip_stack import Hop, NameTable, Outcome, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request

__all__ = ["Pcscf", "PcscfConfig"]

_TOKEN_KEY_OCTETS = 32
_RUN_OCTETS = 4
_RELEASE_REASON = 'SIP;cause=503;text="Registration ended"'


class Pcscf:
    """The node: core, stack and timer."""

    def __init__(
        self,
        config: PcscfConfig,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
        store: Store | None = None,
    ) -> None:
        self._config = config
        self._network = network
        self._clock = clock
        self._tokens = tokens
        self._trace = trace
        self._names = names
        self._store = store
        self._alarm = Alarm(clock, self._handle_deadline)
        self._proxy = Proxy(
            StackConfig(name=config.name, listen=config.listen),
            self,
            network=network,
            clock=clock,
            tokens=tokens,
            trace=trace,
            names=names,
            store=store,
            on_flow_closed=self._flow_closed,
        )
        self.stack = self._proxy.stack
        self.supported_extensions = PcscfCore.supported_extensions
        self._core: PcscfCore | None = None

    @property
    def core(self) -> PcscfCore:
        """Raises RuntimeError before `start`."""
        if self._core is None:
            raise RuntimeError("the P-CSCF has not been started")
        return self._core

    async def start(self) -> None:
        """Raises TransportError, StoreError."""
        await self._proxy.start()
        own = OwnAddress(self._proxy.addresses(), self._config.host_names, prefer=Transport.TCP)
        effects = PcscfEffects(self._names.hop, self._flow_to, self._write, self._release, self._rearm)
        self._core = PcscfCore(
            self._config,
            own,
            effects,
            now=self._clock.now,
            token_key=await self._token_key(),
            run=self._tokens.octets(_RUN_OCTETS),
            icid_prefix=f"{self._tokens.word(40)}.",
        )
        await self._restore()

    async def close(self) -> None:
        self._alarm.close()
        await self._proxy.close()

    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        return Reject(503) if self._core is None else self._core.route(request, flow, now)

    def perform(self, actions: tuple[object, ...], now: float) -> None:
        """There are none."""

    async def _token_key(self) -> bytes:
        """The stored key, so that tokens of UDP flows survive a restart; a new one is stored."""
        key = self._tokens.octets(_TOKEN_KEY_OCTETS)
        if self._store is None:
            return key
        table = self._store.table(FLOW_TOKEN_KEYS)
        for record in await table.load_all():
            if record.node == self._config.name:
                return bytes(record.octets)
        await table.put(FlowTokenKey(self._config.name, key))
        return key

    async def _restore(self) -> None:
        if self._store is None:
            return
        table = self._store.table(ACCESS_FLOWS)
        for record in await table.load_all():
            if not self.core.restore(record):
                await table.delete(record.contact_id)
        self._rearm()

    def _flow_to(self, address: Address) -> Flow:
        return self.stack.connect(Hop(address=address))

    def _write(self, writes: tuple[Persist, ...]) -> None:
        self._proxy.write_later(Defer(writes, Discard()))

    def _flow_closed(self, flow: Flow) -> None:
        if self._core is not None:
            self._core.flow_closed(flow)

    def _release(self, dialog: ProxiedDialog, token: str) -> None:
        """BYE to both sides, as far as they can be reached (TS 24.229 §5.2.8.1)."""
        for to_callee in (True, False):
            bye = dialog.bye(to_callee=to_callee, reason=_RELEASE_REASON)
            if to_callee is not dialog.is_ue_caller:
                key = self.core.flows.key_of_token(token)
                hop = None if key is None else self.core.hop_to_ue(key)
            else:
                hop = self._hop_of(bye)
            if hop is not None:
                self.stack.send_request(bye, hop, _ignore)

    def _hop_of(self, request: Request) -> Hop | None:
        try:
            return self._names.hop(top_route(request) or request.request_uri)
        except SipParseError:
            return None

    def _rearm(self) -> None:
        if self._core is not None:
            self._alarm.set(self._core.next_deadline())

    def _handle_deadline(self) -> None:
        if self._trace.enabled:
            self._trace.record(
                at=self._clock.now(),
                kind=RecordKind.STATE,
                source=self._config.name,
                summary="a registration or a dialog ran out",
            )
        self.core.handle_deadline(self._clock.now())
        self._rearm()


def _ignore(outcome: Outcome) -> None:
    """Nobody waits for the answer to a BYE that releases a dialog."""
