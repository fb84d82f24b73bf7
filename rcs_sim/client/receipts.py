"""Receipts that a phone owes for what it received (RFC 5438, digest §5.1): when, once, and again after a failure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ims_core.transport.sip_stack import Outcome
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.identity import ContactKey, request_uri_text
from rcs_sim.client.messages import ReceivedMessage
from rcs_sim.client.pager import compose_receipt, date_time_of, message_headers
from rcs_sim.client.user_agent import UserAgent
from rcs_sim.devices.policy import DevicePolicy, ReceiptTarget
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE
from rcs_sim.wire.imdn import ImdnKind

__all__ = ["ReceiptSender", "receipt_target"]

MAX_OWED = 500  # receipts kept until the network can be reached; older ones are given up
_WISHES = {ImdnKind.DELIVERY: "positive-delivery", ImdnKind.DISPLAY: "display"}
_PASSING = frozenset((408, 430, 480, 500, 502, 503, 504))  # answers after which it is worth trying again later


def receipt_target(policy: DevicePolicy, sender: ContactKey, cpim_from: str, home_domain: str) -> str:
    """URI that receipts for a message go to: the asserted sender, or what its CPIM From says if the device does so."""
    is_usable = bool(cpim_from) and cpim_from.lower() != ANONYMOUS_URI
    if policy.messaging.receipt_target is ReceiptTarget.CPIM_FROM and is_usable:
        return cpim_from
    return request_uri_text(sender, policy.messaging.request_uri, home_domain)


class ReceiptSender:
    """*ua* is None while there is no RCS. What falls due then, or did not get through, is owed: it is sent after the
    next REGISTER, or when another receipt has got through (choice). *in_session* sends one over the message session
    that the message came on; it says whether that can be done (digest §5.1)."""

    __slots__ = ("_owed", "_policy", "allows_display", "in_session", "ua")

    def __init__(self, policy: DevicePolicy) -> None:
        self._policy = policy
        self._owed: deque[tuple[ReceivedMessage, ImdnKind]] | None = None
        self.allows_display = True  # by the operator, whose document may forbid it
        self.ua: UserAgent | None = None
        self.in_session: Callable[[ReceivedMessage, ImdnKind], bool] | None = None

    def delivered(self, message: ReceivedMessage) -> None:
        """The device has stored it."""
        if self._policy.messaging.sends_delivered:
            self._send_if_wanted(message, ImdnKind.DELIVERY)

    def displayed(self, message: ReceivedMessage) -> None:
        """It was on screen."""
        if self._policy.messaging.sends_displayed and self.allows_display:
            self._send_if_wanted(message, ImdnKind.DISPLAY)

    def send_owed(self) -> None:
        """The network can be reached: what is owed is sent."""
        owed, self._owed = self._owed, None
        for message, kind in owed or ():
            self._send(message, kind)

    def _send_if_wanted(self, message: ReceivedMessage, kind: ImdnKind) -> None:
        """Only what was asked for, and never about what has no Message-ID: that covers IMDN about IMDN too."""
        if message.id and _WISHES[kind] in message.wishes:
            self._send(message, kind)

    def _send(self, message: ReceivedMessage, kind: ImdnKind) -> None:
        if message.session is not None and self.in_session is not None and self.in_session(message, kind):
            return
        self.send_by_pager(message, kind)

    def send_by_pager(self, message: ReceivedMessage, kind: ImdnKind) -> None:
        """In a MESSAGE of its own."""
        ua = self.ua
        if ua is None:
            self._owe(message, kind)
            return
        cpim = compose_receipt(message, kind, ua.tokens.uuid(), date_time_of(ua.stack.clock.now()))
        headers = message_headers(message.thread_id, message.contribution_id or ua.tokens.uuid())
        request = ua.new_request("MESSAGE", message.reply_to, headers, cpim, CPIM_CONTENT_TYPE)

        def settle(outcome: Outcome, sent: Request) -> None:
            if not isinstance(outcome, Response) or outcome.status in _PASSING:
                self._owe(message, kind)
            elif outcome.status < 300:
                self.send_owed()

        ua.send(request, settle)

    def _owe(self, message: ReceivedMessage, kind: ImdnKind) -> None:
        if self._owed is None:
            self._owed = deque(maxlen=MAX_OWED)
        self._owed.append((message, kind))
