"""Two MSRP connections whose chunks pass through: a message session that does not end here (digest §17.3)."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from ims_core.errors import TransportError
from ims_core.nodes.msrp_forwarder import ChunkForwarder, ForwardPolicy
from ims_core.reference_points import BridgeUser, LegEnd, LegEndKind
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import HIGH_WATER_OCTETS, Address, Transport
from ims_core.transport.msrp_channel import own_media
from ims_core.transport.msrp_link import MsrpLink
from ims_core.transport.msrp_stack import MsrpStack
from ims_core.transport.msrp_tls import FingerprintMismatch
from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.fingerprint import Fingerprint
from ims_core.wire.msrp.media import MsrpMedia, Setup
from ims_core.wire.msrp.message import ByteRange, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import MsrpEvent, MsrpParseError, Piece
from ims_core.wire.msrp.roles import plan_connection
from ims_core.wire.msrp.uri import MsrpUri

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BridgeSide", "MsrpBridge"]

_NO_SESSION, _METHOD_UNKNOWN, _TIMED_OUT = 481, 501, 408
_BAD, _STOP_SENDING, _TYPE_UNKNOWN = 400, 413, 415
_MAX_EARLY_EVENTS = 4096  # of one read of a connection whose other side is not there yet


class BridgeSide:
    """One of the two sides: a `MediaSide`, and the endpoint of its connection."""

    __slots__ = (
        "_bridge",
        "_early",
        "_head",
        "_is_active",
        "_is_type_taken",
        "_local",
        "_remote",
        "_session_id",
        "_stack",
        "link",
        "onward",
        "other",
        "waits_until",
    )

    def __init__(self, bridge: MsrpBridge, stack: MsrpStack, session_id: str) -> None:
        self._bridge, self._stack, self._session_id = bridge, stack, session_id
        self._local: MsrpMedia | None = None
        self._remote: MsrpMedia | None = None
        self._is_active = False
        self._early: list[MsrpEvent] = []
        self._head: MsrpRequest | None = None  # of the chunk that was looked at last
        self._is_type_taken = True
        self.waits_until = math.inf
        self.link: MsrpLink | None = None
        self.other: BridgeSide
        self.onward: ChunkForwarder  # what comes from this side

    # --- MediaSide ---------------------------------------------------------------------------------------------------

    @property
    def path(self) -> MsrpUri:
        return (self._local or self.media(is_tls=False, setup=Setup.ACTPASS)).path[0]

    def media(self, *, is_tls: bool, setup: Setup, like: MsrpMedia | None = None) -> MsrpMedia:
        return own_media(self._stack, self._session_id, is_tls=is_tls, setup=setup, like=like)

    def expect(self, local: MsrpMedia) -> None:
        """The offer is out."""
        if local.setup is not Setup.ACTIVE and not self._bridge.is_over:
            self._stack.expect(self._session_id, self)

    def open(self, local: MsrpMedia, remote: MsrpMedia, *, is_offerer: bool) -> None:
        """Raises MediaRefused if nobody could connect."""
        if self._bridge.is_over or self._remote is not None:
            return
        offer, answer = (local, remote) if is_offerer else (remote, local)
        plan = plan_connection(offer, answer, is_offerer=is_offerer)
        self._local, self._remote, self._is_active = local, remote, plan.is_active
        self._stack.forget(self._session_id)
        config = self._stack.config
        fingerprints = plan.fingerprints if plan.is_tls else ()
        if self.link is not None:
            self._verify(self.link, fingerprints)
        elif plan.is_active:
            address = Address(Transport.TLS if plan.is_tls else Transport.TCP, plan.host, plan.port)
            self.link = self._stack.connect(address, self, fingerprints=fingerprints, session_id=self._session_id)
        else:
            self.waits_until = self._bridge.now() + config.connect_s + config.bind_s
            self._stack.expect(self._session_id, self, fingerprints=fingerprints)
        self._bridge.go_on()

    def _verify(self, link: MsrpLink, fingerprints: tuple[Fingerprint, ...]) -> None:
        """The peer connected before his answer was here."""
        try:
            link.verify(fingerprints)
        except FingerprintMismatch as mismatch:
            end = LegEnd(LegEndKind.FINGERPRINT, str(mismatch))
            asyncio.get_running_loop().call_soon(self._bridge.end, end)

    def close(self) -> None:
        """A side alone cannot go on."""
        self._bridge.close()

    # --- MsrpEndpoint ------------------------------------------------------------------------------------------------

    def opened(self, link: MsrpLink) -> None:
        self.link = link
        self.waits_until = math.inf
        if self._is_active:
            self._bind(link)
        self._bridge.go_on()

    def received(self, event: MsrpEvent, link: MsrpLink) -> None:
        if not self._bridge.is_open:
            if len(self._early) < _MAX_EARLY_EVENTS:
                self._early.append(event)
            link.pause()
            return
        self._take(event, link)
        self._bridge.settle()

    def drained(self, link: MsrpLink) -> None:
        self._bridge.settle()

    def lost(self, link: MsrpLink, error: TransportError | None) -> None:
        if isinstance(error, FingerprintMismatch):
            self._bridge.end(LegEnd(LegEndKind.FINGERPRINT, str(error)))
        elif link is self.link:
            kind = LegEndKind.LOST if self._bridge.is_open else LegEndKind.NOT_CONNECTED
            self._bridge.end(LegEnd(kind, "the peer closed the connection" if error is None else str(error)))

    # --- for the bridge ----------------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether frames can be passed on to this side."""
        return self._remote is not None and self.link is not None and self.link.is_open

    @property
    def deadline(self) -> float:
        """When somebody has waited too long."""
        due = self.onward.next_deadline()
        return self.waits_until if due is None else min(due, self.waits_until)

    def replay(self) -> None:
        """What came before the other side was there."""
        early, self._early = self._early, []
        link = self.link
        if link is None:
            return
        for event in early:
            self._take(event, link)

    def paths_onward(self, request: MsrpRequest) -> tuple[tuple[MsrpUri, ...], tuple[MsrpUri, ...]]:
        """To-Path and From-Path on the other side."""
        remote = self.other._remote
        assert remote is not None  # frames pass only when both sides are ready
        return remote.path, (self.other.path,)

    def send(self, octets: bytes) -> None:
        """To the peer of this side."""
        if self.link is not None:
            self.link.send(octets)

    def leave(self) -> None:
        self._stack.forget(self._session_id)
        link, self.link = self.link, None
        if link is not None:
            link.close()

    def flow_control(self) -> None:
        """A source whose octets have nowhere to go is not read."""
        target, link = self.other.link, self.link
        if link is None or target is None:
            return
        if target.backlog > HIGH_WATER_OCTETS or self.onward.is_congested:
            link.pause()
        elif link.is_paused:
            link.resume()

    # --- frames ------------------------------------------------------------------------------------------------------

    def _bind(self, link: MsrpLink) -> None:
        """The active side speaks first (RFC 4975 §5.4)."""
        remote, tokens = self._remote, self._bridge.tokens
        if remote is None:
            return
        headers = (("Message-ID", tokens.word(64)), ("Byte-Range", str(ByteRange(1, 0, 0))))
        bind = MsrpRequest(tokens.word(64), "SEND", remote.path, (self.path,), headers)
        link.send(bind.encode(), bind)

    def _take(self, event: MsrpEvent, link: MsrpLink) -> None:
        if isinstance(event, Piece):
            if self._is_from_peer(event.head):
                self._pass_on(event)
            elif event.continuation is not None:
                link.refuse(event.head, _NO_SESSION)
        elif isinstance(event, MsrpResponse):
            self.other.onward.response(event)
        elif isinstance(event, MsrpParseError):
            if event.head is not None:
                link.refuse(event.head, event.status)
        else:
            self._take_request(event, link)

    def _pass_on(self, piece: Piece) -> None:
        fault = self._fault_of(piece)
        if fault:
            self.onward.refuse(piece, fault, self._bridge.now())
        else:
            self.onward.piece(piece, self._bridge.now())

    def _fault_of(self, piece: Piece) -> int:
        """The status for what our description to this peer does not allow, 0 for the rest (RFC 4975 §7.3.1, §8.6)."""
        local, total = self._local, piece.head.byte_range.total
        if local is None:
            return 0
        if total is not None and piece.end > total:
            return _BAD
        if local.max_size is not None and max(piece.end, total or 0) > local.max_size:
            return _STOP_SENDING
        if piece.head is not self._head:
            self._head = piece.head
            self._is_type_taken = local.accepts(piece.head.content_type or "")
        return 0 if self._is_type_taken else _TYPE_UNKNOWN

    def _take_request(self, request: MsrpRequest, link: MsrpLink) -> None:
        if not self._is_from_peer(request):
            link.refuse(request, _NO_SESSION)
        elif request.method == "REPORT":
            self.onward.report(request)
        elif request.method == "SEND" and request.continuation is not None:
            link.refuse(request, 200)  # a bind: nothing to pass on
        else:
            link.refuse(request, _METHOD_UNKNOWN)

    def _is_from_peer(self, request: MsrpRequest) -> bool:
        """Whether From-Path is the peer's of the SDP (RFC 4975 §7.3)."""
        remote = self._remote
        return remote is not None and request.from_path[-1].key == remote.path[-1].key


class MsrpBridge:
    """Both sides and what passes between them. *released* is told when it is over, whoever ended it."""

    __slots__ = (
        "_deadlines",
        "_released",
        "_user",
        "armed",
        "due",
        "far",
        "is_open",
        "is_over",
        "near",
        "tokens",
    )

    def __init__(
        self,
        stack: MsrpStack,
        user: BridgeUser,
        tokens: Tokens,
        deadlines: DeadlineHeap,
        released: Callable[[MsrpBridge], None] | None = None,
    ) -> None:
        self._user, self._deadlines, self._released = user, deadlines, released
        self.tokens = tokens
        self.is_open = self.is_over = False
        self.near, self.far = BridgeSide(self, stack, tokens.word()), BridgeSide(self, stack, tokens.word())
        self.near.other, self.far.other = self.far, self.near
        for side in (self.near, self.far):
            side.onward = ChunkForwarder(
                ForwardPolicy.ANCHOR,
                side.paths_onward,
                tokens,
                reply=side.send,
                forward=side.other.send,
                passed=self._passed,
            )
        self.due = self.armed = math.inf

    def now(self) -> float:
        """Loop time."""
        return self._deadlines.time()

    def go_on(self) -> None:
        """A side has come further: when both are ready, what waits passes."""
        if not self.is_over and not self.is_open and self.near.is_ready and self.far.is_ready:
            self.is_open = True
            for side in (self.near, self.far):
                side.replay()
        self.settle()

    def settle(self) -> None:
        """Flow control and deadlines after each turn."""
        if self.is_over:
            return
        if self.is_open:
            self.near.flow_control()
            self.far.flow_control()
        first = min(self.near.deadline, self.far.deadline)
        if first < self.due:  # one that has moved on is looked at again when it comes
            self._deadlines.set(self, first)

    def deadline_came(self, now: float) -> None:
        if min(self.near.waits_until, self.far.waits_until) <= now:
            self.end(LegEnd(LegEndKind.NOT_CONNECTED, "nobody connected in time"))
            return
        for side in (self.near, self.far):
            side.onward.handle_deadline(now)
        self.settle()

    def end(self, end: LegEnd) -> None:
        """A side ended by itself: what the other side's peer waits for is answered, and the user told."""
        if self.is_over:
            return
        for side in (self.near, self.far):
            side.onward.failed(_TIMED_OUT)
        self.close()
        self._user.bridge_ended(self, end)

    def close(self) -> None:
        """Ends both sides, after what was sent before; the user is not called any more."""
        if self.is_over:
            return
        self.is_over = True
        self._deadlines.set(self, None)
        self.near.leave()
        self.far.leave()
        if self._released is not None:
            self._released(self)

    def _passed(self, message_id: str) -> None:
        self._user.passed(self, message_id)
