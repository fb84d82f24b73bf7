"""Receipts that a phone owes for what it received (RFC 5438, digest §5.1): when, once, and again after a failure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from ims_core.transport.sip_stack import Outcome
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.identity import ContactKey, request_uri_text
from rcs_sim.client.messages import ReceivedMessage
from rcs_sim.client.pager import compose_receipt, date_time_of, message_headers, receipt_about
from rcs_sim.client.user_agent import UserAgent
from rcs_sim.devices.policy import DevicePolicy, ReceiptTarget
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import Imdn, ImdnKind

__all__ = ["ReceiptSender", "receipt_target"]

MAX_OWED = 500  # receipts kept until the network can be reached; older ones are given up
_WISHES = {ImdnKind.DELIVERY: "positive-delivery", ImdnKind.DISPLAY: "display"}
_FAILURES = "negative-delivery"
_PASSING = frozenset((408, 430, 480, 500, 502, 503, 504))  # answers after which it is worth trying again later


def receipt_target(policy: DevicePolicy, sender: ContactKey, cpim_from: str, home_domain: str) -> str:
    """URI that receipts for a message go to: the asserted sender, or what its CPIM From says if the device does so."""
    is_usable = bool(cpim_from) and cpim_from.lower() != ANONYMOUS_URI
    if policy.messaging.receipt_target is ReceiptTarget.CPIM_FROM and is_usable:
        return cpim_from
    return request_uri_text(sender, policy.messaging.request_uri, home_domain)


class ReceiptSender:
    """*ua* is None while there is no RCS. What falls due then, or did not get through, is owed: it is sent after the
    next REGISTER, or when another receipt has got through (choice). *in_session* sends the CPIM of one over the message
    session that the message came on, and calls back if the session loses it; it says whether that can be done (digest
    §5.1). *signed* gives the headers that prove a receipt about a sealed message, None where it cannot be proven: such
    a receipt is not sent (RCC.16 §7.6). *new_id* makes the id of such a receipt in the form of the device."""

    __slots__ = ("_owed", "_policy", "allows_display", "in_session", "new_id", "signed", "ua")

    def __init__(self, policy: DevicePolicy) -> None:
        self._policy = policy
        self._owed: deque[tuple[ReceivedMessage, ImdnKind]] | None = None
        self.allows_display = True  # by the operator, whose document may forbid it
        self.ua: UserAgent | None = None
        self.in_session: Callable[[ReceivedMessage, bytes, Callable[[], None]], bool] | None = None
        self.new_id: Callable[[], str] | None = None
        self.signed: Callable[[ReceivedMessage, str, Imdn], Iterable[CpimHeader] | None] | None = None

    def delivered(self, message: ReceivedMessage) -> None:
        """The device has stored it. Of what it cannot read it tells that, if it was asked to (RFC 5438 §7.2.1.1)."""
        if message.is_unreadable:
            if message.id and _FAILURES in message.wishes:
                self._send(message, ImdnKind.DELIVERY)
        elif self._policy.messaging.sends_delivered:
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
        ua = self.ua
        if ua is None:
            self._owe(message, kind)
            return
        cpim = self._compose(message, kind, ua)
        if cpim is None:
            return
        by_session = self.in_session if message.session is not None else None
        if by_session is None or not by_session(message, cpim, lambda: self._lost(message, kind)):
            self._send_by_pager(message, kind, cpim, ua)

    def _compose(self, message: ReceivedMessage, kind: ImdnKind, ua: UserAgent) -> bytes | None:
        now = date_time_of(ua.wall_clock.now())
        imdn = receipt_about(message, kind, now)
        if message.scheme is not Scheme.MLS:
            return compose_receipt(imdn, ua.tokens.uuid(), now)
        receipt_id = ua.tokens.uuid() if self.new_id is None else self.new_id()
        headers = None if self.signed is None else self.signed(message, receipt_id, imdn)
        return None if headers is None else compose_receipt(imdn, receipt_id, now, headers)

    def _lost(self, message: ReceivedMessage, kind: ImdnKind) -> None:
        """The session did not carry it: in pager mode then."""
        ua = self.ua
        cpim = None if ua is None else self._compose(message, kind, ua)
        if ua is None:
            self._owe(message, kind)
        elif cpim is not None:
            self._send_by_pager(message, kind, cpim, ua)

    def _send_by_pager(self, message: ReceivedMessage, kind: ImdnKind, cpim: bytes, ua: UserAgent) -> None:
        """In a MESSAGE of its own."""
        headers = message_headers(message.thread_id, message.contribution_id or ua.tokens.uuid())
        request = ua.new_request("MESSAGE", message.receipts_to, headers, cpim, CPIM_CONTENT_TYPE)

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
