"""IP-SM-GW: the gateway on its SIP stack and its SM link (TS 24.341, TS 23.204; digest §15.7). The decisions are in
`ipsmgw_core`."""

from __future__ import annotations

from functools import partial
from itertools import count

from ims_core.cx import Sh
from ims_core.errors import TransportError
from ims_core.nodes.deadlines import Alarm
from ims_core.nodes.ipsmgw_actions import Action, IpSmGwConfig, Note, Respond, SendMessage, SendToSmsc
from ims_core.nodes.ipsmgw_core import IpSmGateway
from ims_core.trace import RecordKind, Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Flow, Network
from ims_core.transport.sip_stack import (
    FailureReason,
    Hop,
    NameTable,
    Outcome,
    ServerTransaction,
    SipStack,
    StackConfig,
)
from ims_core.transport.sm_link import SmLink, SmLinkEndpoint
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.headers import Route
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sms.sm_link import Accepted, Bind, LinkRole, Refused, SmLinkMessage

__all__ = ["IpSmGw", "IpSmGwConfig"]


class IpSmGw:
    """One gateway. It keeps its SM link to the SMSC up, and tries again every *reconnect_s*."""

    __slots__ = (
        "_alarm",
        "_clock",
        "_endpoint",
        "_exchange_numbers",
        "_exchanges",
        "_link",
        "_reconnect",
        "_trace",
        "config",
        "core",
        "name",
        "stack",
    )

    def __init__(
        self,
        config: IpSmGwConfig,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
        sh: Sh,
    ) -> None:
        self.config = config
        self.name = config.name
        self.stack = SipStack(
            StackConfig(name=config.name, listen=config.listen),
            self,
            network=network,
            clock=clock,
            tokens=tokens,
            trace=trace,
            names=names,
        )
        self.core = IpSmGateway(config, sh=sh, new_word=tokens.child("ipsmgw").word)
        self._clock = clock
        self._trace = trace
        self._endpoint = SmLinkEndpoint(config.name, self, network=network, clock=clock, trace=trace)
        self._link: SmLink | None = None
        self._alarm = Alarm(clock, self._deadline_came)
        self._reconnect = Alarm(clock, self._dial)
        self._exchanges: dict[int, ServerTransaction] = {}
        self._exchange_numbers = count(1)

    async def start(self) -> None:
        """Raises TransportError if it cannot listen. The SMSC need not be there yet."""
        await self.stack.start()
        self._dial()

    async def close(self) -> None:
        self._alarm.close()
        self._reconnect.close()
        await self._endpoint.close()
        await self.stack.close()

    # --- SIP ---------------------------------------------------------------------------------------------------------

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        if server is None:
            return  # an ACK: this node has no dialogs
        if request.method == "CANCEL":
            self.stack.reply(server, 481)  # nothing here lasts long enough to be cancelled
            return
        exchange = next(self._exchange_numbers)
        self._exchanges[exchange] = server
        try:
            self._perform(self.core.receive(exchange, request, flow.remote.host, self._clock.now()))
        finally:
            self._exchanges.pop(exchange, None)

    def stray_response(self, response: Response, flow: Flow) -> None:
        """Of a MESSAGE that was given up."""

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        """The transactions tell."""

    def keep_alive(self, flow: Flow, pong: bool) -> None:
        """Answered by the stack."""

    def _send(self, action: SendMessage) -> None:
        request = action.request
        hop: Hop | None = self.stack.names.hop(request.get(Route) or request.request_uri)
        if hop is None:
            self._note(Note("no way to the next hop", {"uri": request.request_uri_text}))
            self._perform(self.core.message_answered(action.errand, 503, self._clock.now()))
            return
        self.stack.send_request(request, hop, partial(self._answered, action.errand))

    def _answered(self, errand: int, outcome: Outcome) -> None:
        if isinstance(outcome, Response):
            status = outcome.status
        else:
            status = 408 if outcome.reason is FailureReason.TIMEOUT else 503
        if status >= 200:
            self._perform(self.core.message_answered(errand, status, self._clock.now()))

    # --- SM link -----------------------------------------------------------------------------------------------------

    def _dial(self) -> None:
        """Also when the SMSC did not accept the link in time."""
        if self._link is not None:
            self._link.close()
        self._reconnect.set(self._clock.now() + self.config.connect_s + self.config.reconnect_s)
        self._link = self._endpoint.connect(
            self.config.listen[0].host, self.config.smsc, timeout_s=self.config.connect_s
        )
        self._link.send(Bind(0, LinkRole.IP_SM_GW, self.name))

    def link_opened(self, link: SmLink) -> None:
        """Nobody dials a gateway: it does not listen."""

    def frame_received(self, link: SmLink, message: SmLinkMessage) -> None:
        if link is not self._link:
            return
        match message:
            case Accepted():
                self._reconnect.set(None)
                self._perform(self.core.link_up())
            case Refused():
                self._note(Note("refused by the SMSC"))
            case _:
                self._perform(self.core.receive_frame(message, self._clock.now()))

    def link_closed(self, link: SmLink, error: TransportError | None) -> None:
        if link is not self._link:
            return
        self._link = None
        self._reconnect.set(self._clock.now() + self.config.reconnect_s)
        self._perform(self.core.link_down())

    # --- actions -----------------------------------------------------------------------------------------------------

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            self._do(action)
        self._alarm.set(self.core.next_deadline())

    def _do(self, action: Action) -> None:
        match action:
            case Respond():
                server = self._exchanges.pop(action.exchange, None)
                if server is not None:
                    self.stack.reply(server, action.status, headers=action.headers)
            case SendMessage():
                self._send(action)
            case SendToSmsc():
                if self._link is not None:
                    self._link.send(action.message)
            case Note():
                self._note(action)

    def _note(self, note: Note) -> None:
        self._trace.record(
            at=self._clock.now(),
            kind=RecordKind.STATE,
            source=self.name,
            protocol="SMS",
            summary=note.summary,
            details=note.details,
        )

    def _deadline_came(self) -> None:
        self._perform(self.core.handle_deadline(self._clock.now()))
