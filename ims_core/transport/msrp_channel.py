"""One side of a message session: whole messages on an MSRP connection that SDP has agreed on (RFC 4975 §5, §8).

Phones have one for each chat session, the media anchor one for each leg that ends there. It is a `MediaLeg`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import replace

from ims_core.errors import LocalProtocolError, TransportError
from ims_core.reference_points import LegEnd, LegEndKind, MediaLegUser
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import HIGH_WATER_OCTETS, Address, Transport
from ims_core.transport.msrp_link import MsrpLink
from ims_core.transport.msrp_stack import MsrpStack
from ims_core.transport.msrp_tls import FingerprintMismatch
from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.media import NO_PORT, MsrpMedia, Setup
from ims_core.wire.msrp.parser import MsrpEvent
from ims_core.wire.msrp.roles import ConnectionPlan, plan_connection
from ims_core.wire.msrp.session import MsrpSession, State
from ims_core.wire.msrp.session_events import (
    Bound,
    Closed,
    FailureReason,
    MessageFailed,
    MessageReceived,
    MessageSent,
    OutgoingMessage,
    Output,
    Reported,
    SessionConfig,
    SessionFailed,
    Transmit,
)
from ims_core.wire.msrp.uri import MsrpUri

__all__ = ["MsrpChannel", "own_media"]

CLOSE_S = 5.0  # what is under way when a session is closed gets so long
_MAX_EARLY_EVENTS = 4096  # of one read of a connection that came before the answer of its owner


def own_media(
    stack: MsrpStack, session_id: str, *, is_tls: bool, setup: Setup, like: MsrpMedia | None = None
) -> MsrpMedia:
    """What an SDP of this element says about a session of it (digest §17.3): own address, path and fingerprint; types,
    size and direction as *like* has them. An element that does not listen has port 9 and is to be active."""
    transport = Transport.TLS if is_tls else Transport.TCP
    port = _listening_port(stack, transport)
    host = stack.config.host
    written = f"[{host}]" if ":" in host else host
    path = MsrpUri("msrps" if is_tls else "msrp", None, written, port, session_id)
    media = MsrpMedia(
        host=host,
        port=NO_PORT if setup is Setup.ACTIVE else port,
        is_tls=is_tls,
        path=(path,),
        setup=setup,
        has_cema=True,
        fingerprints=(stack.identity.fingerprint,) if is_tls else (),
    )
    if like is None:
        return media
    return replace(
        media,
        accept_types=like.accept_types,
        accept_wrapped_types=like.accept_wrapped_types,
        max_size=like.max_size,
        direction=like.direction,
        extra=like.extra,
    )


def _listening_port(stack: MsrpStack, transport: Transport) -> int:
    try:
        return stack.address(transport).port
    except LocalProtocolError:
        return NO_PORT


class MsrpChannel:
    """*user* is told what happens, never from within a call of the channel. *config* is the policy of the session, but
    for the two sides of the SDP.

    Received messages wait for `settle`. A peer who should connect and does not is given up like one who cannot be
    connected to."""

    __slots__ = (
        "_config",
        "_deadlines",
        "_early",
        "_gives_up_at",
        "_is_over",
        "_link",
        "_plan",
        "_queue",
        "_session",
        "_session_id",
        "_stack",
        "_tokens",
        "_user",
        "armed",
        "due",
        "is_bound",
        "path",
    )

    def __init__(
        self, stack: MsrpStack, user: MediaLegUser, tokens: Tokens, deadlines: DeadlineHeap, config: SessionConfig
    ) -> None:
        self._stack, self._user, self._tokens, self._deadlines = stack, user, tokens, deadlines
        self._config = replace(config, is_settled_by_owner=True)
        self._session_id = tokens.word()
        self._session: MsrpSession | None = None
        self._link: MsrpLink | None = None
        self._plan: ConnectionPlan | None = None
        self._early: list[MsrpEvent] = []
        self._queue: list[OutgoingMessage] = []
        self._gives_up_at = math.inf
        self._is_over = False
        self.is_bound = False
        self.path = self.media(is_tls=False, setup=Setup.ACTPASS).path[0]
        self.due = self.armed = math.inf

    # --- SDP ---------------------------------------------------------------------------------------------------------

    def media(self, *, is_tls: bool, setup: Setup, like: MsrpMedia | None = None) -> MsrpMedia:
        """What the own SDP says."""
        media = own_media(self._stack, self._session_id, is_tls=is_tls, setup=setup, like=like)
        self.path = media.path[0]
        return media

    def expect(self, local: MsrpMedia) -> None:
        """The offer is out."""
        if local.setup is not Setup.ACTIVE and not self._is_over:
            self._stack.expect(self._session_id, self)

    def open(self, local: MsrpMedia, remote: MsrpMedia, *, is_offerer: bool) -> None:
        """Raises MediaRefused if nobody could connect."""
        if self._is_over or self._plan is not None:
            return
        offer, answer = (local, remote) if is_offerer else (remote, local)
        plan = self._plan = plan_connection(offer, answer, is_offerer=is_offerer)
        config = replace(self._config, local=local, remote=remote)
        session = self._session = MsrpSession(config, local.path, remote.path, self._word)
        queue, self._queue = self._queue, []
        for message in queue:
            self._carry_out_own(session.send(message, self._deadlines.time()))
        self._stack.forget(self._session_id)
        self._gives_up_at = self._deadlines.time() + self._stack.config.connect_s + self._stack.config.bind_s
        if self._link is not None:
            self._go_on_with(self._link, plan)
        elif plan.is_active or plan.is_own_relay:
            self._connect(plan)
        else:
            self._stack.expect(self._session_id, self, fingerprints=plan.fingerprints)
        self._arm()

    def _connect(self, plan: ConnectionPlan) -> None:
        address = Address(Transport.TLS if plan.is_tls else Transport.TCP, plan.host, plan.port)
        self._link = self._stack.connect(
            address, self, fingerprints=plan.fingerprints if plan.is_tls else (), session_id=self._session_id
        )

    def _go_on_with(self, link: MsrpLink, plan: ConnectionPlan) -> None:
        """The peer connected before his answer was here."""
        try:
            link.verify(plan.fingerprints if plan.is_tls else ())
        except FingerprintMismatch as mismatch:
            link.close()
            asyncio.get_running_loop().call_soon(self._end, LegEnd(LegEndKind.FINGERPRINT, str(mismatch)))
            return
        asyncio.get_running_loop().call_soon(self._replay, link)

    def _replay(self, link: MsrpLink) -> None:
        if self._is_over or self._link is not link:
            return
        self._begin(is_active=False)
        early, self._early = self._early, []
        for event in early:
            self.received(event, link)
        link.resume()

    # --- messages ----------------------------------------------------------------------------------------------------

    def send(self, message: OutgoingMessage) -> None:
        """Queued until the session is open."""
        if self._session is None:
            self._queue.append(message)
        else:
            self._carry_out_own(self._session.send(message, self._deadlines.time()))

    def settle(self, delivery: Delivery, status: int = 200, *, reports: bool = True) -> None:
        """Answers the chunk that completed a received message."""
        if self._session is not None:
            self._carry_out_own(self._session.settle(delivery, self._deadlines.time(), status, reports=reports))

    def report(self, delivery: Delivery, status: int = 200) -> None:
        """A REPORT about a received message, if its sender wants one."""
        if self._session is not None:
            self._carry_out_own(self._session.report(delivery, self._deadlines.time(), status))

    def close(self) -> None:
        """Ends it after what is under way, within a bounded time; the user is not called any more."""
        if self._is_over:
            return
        self._is_over = True
        self._stack.forget(self._session_id)
        self._queue.clear()
        if self._session is None or self._link is None or not self._link.is_open:
            self._leave()
            return
        self._gives_up_at = self._deadlines.time() + CLOSE_S
        self._carry_out_own(self._session.close(self._deadlines.time()))

    # --- MsrpEndpoint ------------------------------------------------------------------------------------------------

    def opened(self, link: MsrpLink) -> None:
        """The connection stands, or the peer's first request came."""
        self._link = link
        link.on_finished = self._peer_finished
        if self._session is None:
            link.pause()
            return
        self._begin(is_active=self._plan is not None and self._plan.is_active)

    def _begin(self, *, is_active: bool) -> None:
        session = self._session
        if session is None:
            return
        self._gives_up_at = math.inf
        self._carry_out(session.start(is_active, self._deadlines.time()))

    def _word(self) -> str:
        return self._tokens.word(64)

    def received(self, event: MsrpEvent, link: MsrpLink) -> None:
        session = self._session
        if session is None:
            if len(self._early) < _MAX_EARLY_EVENTS:
                self._early.append(event)
            return
        self._carry_out(session.receive(event, self._deadlines.time()))
        if session.is_congested:
            link.pause()

    def _peer_finished(self, link: MsrpLink) -> None:
        """The peer closed his half of the connection: what he sent is still answered."""
        if self._session is not None and self._session.state in (State.OPEN, State.CLOSING):
            self._carry_out(self._session.peer_finished(self._deadlines.time()))
        else:
            self.lost(link, None)

    def drained(self, link: MsrpLink) -> None:
        if self._session is not None:
            self._carry_out(self._session.writable(self._deadlines.time()))

    def lost(self, link: MsrpLink, error: TransportError | None) -> None:
        if isinstance(error, FingerprintMismatch):
            kind = LegEndKind.FINGERPRINT
        elif link is not self._link:
            return  # some other connection
        elif self._is_over:
            self._leave()
            return
        else:
            kind = LegEndKind.LOST if self.is_bound else LegEndKind.NOT_CONNECTED
        self._end(LegEnd(kind, str(error) if error is not None else "the peer closed the connection"))

    # --- time --------------------------------------------------------------------------------------------------------

    def deadline_came(self, now: float) -> None:
        if now >= self._gives_up_at:
            self._gives_up_at = math.inf
            if self._is_over:
                self._leave()
            else:
                self._end(LegEnd(LegEndKind.NOT_CONNECTED, "nobody connected in time"))
        elif self._session is not None:
            self._carry_out(self._session.handle_deadline(now))

    def _arm(self) -> None:
        due = None if self._session is None else self._session.next_deadline()
        due = self._gives_up_at if due is None else min(due, self._gives_up_at)
        if due != self.due:
            self._deadlines.set(self, None if due == math.inf else due)

    # --- carrying out ------------------------------------------------------------------------------------------------

    def _carry_out(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self.write(output)
            else:
                self._tell(output)
        self._write_more()

    def _write_more(self) -> None:
        """As much as the connection takes, then the next deadline."""
        session, link = self._session, self._link
        if session is None or link is None or not link.is_open:
            if not self._is_over:
                self._arm()
            return
        while session.awaits_writable and link.backlog < HIGH_WATER_OCTETS:
            outputs = session.writable(self._deadlines.time())
            if not outputs:
                break
            for output in outputs:
                if isinstance(output, Transmit):
                    self.write(output)
                else:
                    asyncio.get_running_loop().call_soon(self._carry_out, (output,))
        self._arm()

    def _carry_out_own(self, outputs: Iterable[Output]) -> None:
        """In a call of the owner: octets leave at once, the owner is told in the next turn of the loop."""
        told = []
        for output in outputs:
            if isinstance(output, Transmit):
                self.write(output)
            else:
                told.append(output)
        if told:
            asyncio.get_running_loop().call_soon(self._carry_out, told)
        self._write_more()
        session, link = self._session, self._link
        if session is not None and link is not None and link.is_paused and not session.is_congested:
            link.resume()

    def write(self, output: Transmit) -> None:
        """Everything that leaves passes here: the place for a client that writes it in another way."""
        if self._link is not None:
            self._link.send(output.octets, output.frame)

    def _tell(self, output: Output) -> None:
        if isinstance(output, Closed):
            if self._is_over:
                self._leave()
            else:
                self._end(LegEnd(LegEndKind.LOST, "the peer closed the connection"))
        elif self._is_over:
            return
        elif isinstance(output, MessageReceived):
            self._user.received(self, output)
        elif isinstance(output, MessageSent):
            self._user.sent(self, output.message_id)
        elif isinstance(output, MessageFailed):
            self._user.failed(self, output)
        elif isinstance(output, Reported):
            self._user.reported(self, output)
        elif isinstance(output, Bound):
            self.is_bound = True
            self._user.bound(self)
        elif isinstance(output, SessionFailed):
            asyncio.get_running_loop().call_soon(self._end, LegEnd(LegEndKind.FAILED, output.why, output.status))

    def _end(self, end: LegEnd) -> None:
        if self._is_over:
            return
        queue, self._queue = self._queue, []
        for message in queue:
            self._user.failed(self, MessageFailed(message.message_id, FailureReason.LOST, end.status, was_begun=False))
        for output in () if self._session is None else self._session.lost(self._deadlines.time()):
            self._tell(output)
        self._is_over = True
        self._leave()
        self._user.ended(self, end)

    def _leave(self) -> None:
        self._stack.forget(self._session_id)
        self._gives_up_at = math.inf
        self._deadlines.set(self, None)
        link, self._link = self._link, None
        if link is not None:
            link.close()
