"""Calls of the messaging server on its SIP stack: INVITE transactions, ACK and CANCEL (RFC 3261 §9, §13)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from ims_core.errors import LocalProtocolError, TransportError
from ims_core.transport.sip_stack import ClientHandle, FailureReason, Hop, Outcome, ServerTransaction, SipStack
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.transaction import TransactionKey, cancelled_key
from rcs_sim.server.messaging_actions import CallErrand, Exchange, SendAck, SendCancel, SendInCall

__all__ = ["CallTransport"]

_log = logging.getLogger(__name__)


class CallTransport:
    """*progressed* and *finished* are told what comes of a `SendInCall`."""

    __slots__ = ("_finished", "_hop_of", "_invites", "_progressed", "_sent", "_stack", "unanswered")

    def __init__(
        self,
        stack: SipStack,
        hop_of: Callable[[Request], Hop | None],
        progressed: Callable[[CallErrand, Response], None],
        finished: Callable[[CallErrand, int, Response | None], None],
    ) -> None:
        self._stack = stack
        self._hop_of = hop_of
        self._progressed = progressed
        self._finished = finished
        self._invites: dict[TransactionKey, Exchange] = {}
        self._sent: dict[tuple[str, int], ClientHandle] = {}  # INVITEs of ours by Call-ID and CSeq
        self.unanswered = 0  # requests of calls without a final answer

    # -- received ----------------------------------------------------------------------------------------------------

    def received(self, exchange: Exchange, server: ServerTransaction) -> None:
        """An INVITE, which may be cancelled."""
        self._invites[server.key] = exchange

    def cancelled_by(self, cancel: Request) -> Exchange | None:
        """The exchange of the INVITE that a CANCEL is about (RFC 3261 §9.2)."""
        return self._invites.get(cancelled_key(cancel))

    def released(self, server: ServerTransaction) -> None:
        """The exchange is over."""
        self._invites.pop(server.key, None)

    # -- sent --------------------------------------------------------------------------------------------------------

    def send(self, action: SendInCall | SendAck | SendCancel) -> None:
        match action:
            case SendInCall():
                self._send_request(action)
            case SendAck():
                self._send_ack(action.request)
            case SendCancel():
                handle = self._sent.get(_key(action.invite))
                if handle is not None:
                    handle.cancel(action.headers)

    def _send_request(self, action: SendInCall) -> None:
        request, errand = action.request, action.errand
        hop = self._hop_of(request)
        try:
            if hop is None:
                raise TransportError(f"no address for the next hop of {request.summary()}")
            handle = self._stack.send_request(request, hop, partial(self._outcome, request, errand))
        except (LocalProtocolError, TransportError) as error:
            _log.warning("%s: %s", self._stack.name, error)
            asyncio.get_running_loop().call_soon(self._finished, errand, 503, None)
            return
        self.unanswered += 1
        if request.method == "INVITE":
            self._sent[_key(request)] = handle

    def _send_ack(self, ack: Request) -> None:
        hop = self._hop_of(ack)
        try:
            if hop is not None:
                self._stack.send_stateless(ack, hop)
        except (LocalProtocolError, TransportError) as error:
            _log.warning("%s: %s", self._stack.name, error)

    def _outcome(self, request: Request, errand: CallErrand, outcome: Outcome) -> None:
        if isinstance(outcome, Response) and outcome.status < 200:
            self._progressed(errand, outcome)
            return
        self.unanswered -= 1
        if request.method == "INVITE":
            self._sent.pop(_key(request), None)
        if isinstance(outcome, Response):
            self._finished(errand, outcome.status, outcome)
        else:
            self._finished(errand, 408 if outcome.reason is FailureReason.TIMEOUT else 503, None)


def _key(invite: Request) -> tuple[str, int]:
    return invite.call_id, invite.cseq.number
