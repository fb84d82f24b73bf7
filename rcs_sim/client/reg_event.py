"""Subscription to the own registration state (RFC 3680, TS 24.229 §5.1.1.3, digest §2.5)."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.transport.link import Flow
from ims_core.transport.sip_stack import Outcome, ServerTransaction
from ims_core.wire.reginfo import CONTENT_TYPE, RegContact, RegInfo, RegInfoParseError
from ims_core.wire.sip.core_headers import Event
from ims_core.wire.sip.dialog import Dialog, DialogSet, DialogVerdict
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.subscription import RefreshDue, Subscriber, SubscriberOutput, SubscriptionEnded
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.display import Display
from rcs_sim.client.user_agent import UserAgent

__all__ = ["RegistrationEvents"]

REQUESTED_EXPIRY_S = 600_000
RETRY_S = 300.0  # after a subscription ended that nobody ended on purpose (choice)

_NOT_SERVED = frozenset((403, 404, 405, 489, 501))  # no such package, or not for us

_HEADERS: tuple[HeaderInput, ...] = (("Event", "reg"), ("Accept", CONTENT_TYPE), ("Expires", str(REQUESTED_EXPIRY_S)))


class RegistrationEvents:
    """One phone's ``reg`` subscription. *told* gets event and retry-after of the own contact at its end."""

    __slots__ = (
        "_alarm",
        "_alarms",
        "_dialog",
        "_dialogs",
        "_display",
        "_notify_wait_s",
        "_subscriber",
        "_told",
        "_ua",
    )

    def __init__(
        self,
        ua: UserAgent,
        alarms: Alarms,
        display: Display,
        told: Callable[[str, float | None], None],
        *,
        notify_wait_s: float,
    ) -> None:
        self._ua = ua
        self._alarms, self._alarm = alarms, alarms.new(self._rang)
        self._display = display
        self._told = told
        self._notify_wait_s = notify_wait_s
        self._subscriber: Subscriber | None = None
        self._dialogs: DialogSet | None = None
        self._dialog: Dialog | None = None

    def subscribe(self, now: float) -> None:
        """A new subscription; one that was there before is forgotten with its binding."""
        ua = self._ua
        headers: tuple[HeaderInput, ...] = (("Contact", ua.dialog_contact), *_HEADERS)
        request = ua.new_request("SUBSCRIBE", ua.account.impu, headers)
        self._subscriber = subscriber = Subscriber(notify_wait_s=self._notify_wait_s)
        self._dialogs, self._dialog = DialogSet(request), None
        subscriber.start(now)

        def settle(outcome: Outcome, sent: Request) -> None:
            if subscriber is self._subscriber:
                self._answered(outcome, subscriber)

        ua.send(request, settle)
        self._alarm.set(subscriber.next_deadline())

    def stop(self) -> None:
        """The binding is gone, and with it the subscription."""
        self._subscriber = self._dialogs = self._dialog = None
        self._alarm.set(None)

    def notify_received(self, request: Request, server: ServerTransaction, flow: Flow) -> None:
        """Handler for NOTIFY."""
        status = self._take_notify(request)
        self._ua.respond(server, status)
        if status == 200:
            self._read(request)

    def _take_notify(self, request: Request) -> int:
        subscriber = self._subscriber
        try:
            if subscriber is None or not self._is_ours(request):
                return 481
            event = request.get(Event)
            if event is None or event.package != "reg":
                return 489
            dialog = self._dialog
            if dialog is None and self._dialogs is not None:
                dialog = self._dialogs.receive_notify(request)
            if dialog is None:
                return 481
            if dialog.receive_request(request) is DialogVerdict.OUT_OF_ORDER:
                return 500
            self._dialog = dialog
            self._carry_out(subscriber.receive_notify(request, self._now()))
        except SipParseError:
            return 400
        return 200

    def _is_ours(self, request: Request) -> bool:
        """One dialog is enough: the subscription is to the own registrar, which nobody forks."""
        if self._dialog is not None:
            return self._dialog.is_about(request)
        return self._dialogs is not None and self._dialogs.is_about(request)

    def _read(self, request: Request) -> None:
        if not request.body:
            return
        try:
            document = RegInfo.parse(request.body)
        except RegInfoParseError as error:
            self._display.error(f"NOTIFY: {error}", request.body)
            return
        own = [each for one in document.registrations for each in one.contacts if self._is_own(each)]
        if own and not any(each.is_active for each in own):
            contact = own[0]
            self._told(contact.event, None if contact.retry_after is None else float(contact.retry_after))

    def _is_own(self, contact: RegContact) -> bool:
        instance = self._ua.account.instance
        named = next((value for name, value in contact.unknown_params if name.lower() == "+sip.instance"), None)
        if instance and named is not None:
            return named.strip('"<>') == instance
        try:
            return parse_uri(contact.uri).same_as(parse_uri(self._ua.contact))
        except SipParseError:
            return False

    def _answered(self, outcome: Outcome, subscriber: Subscriber) -> None:
        if not isinstance(outcome, Response):
            self._carry_out(subscriber.subscribe_timed_out())
            return
        try:
            if self._dialogs is not None:
                self._dialog = self._dialogs.receive_response(outcome) or self._dialog
                self._dialogs = None  # the SUBSCRIBE has done its work
            elif self._dialog is not None:
                self._dialog.receive_response(outcome)
            self._carry_out(subscriber.receive_response(outcome, self._now()))
        except SipParseError as error:
            self._display.error(f"answer to SUBSCRIBE: {error}")
        if outcome.status in _NOT_SERVED:
            self.stop()  # until the next registration: asking again would not change it (digest §8.6, row 489)

    def _rang(self, now: float) -> None:
        if self._subscriber is None:
            self.subscribe(now)
        else:
            self._carry_out(self._subscriber.handle_deadline(now))

    def _carry_out(self, outputs: list[SubscriberOutput]) -> None:
        for output in outputs:
            match output:
                case RefreshDue():
                    self._refresh()
                case SubscriptionEnded():
                    self._display.state("reg subscription", "ended", reason=output.reason or "")
                    self.stop()
                    self._alarm.set(self._now() + (RETRY_S if not output.retry_after_s else output.retry_after_s))
                    return
        if self._subscriber is not None:
            self._alarm.set(self._subscriber.next_deadline())

    def _refresh(self) -> None:
        dialog, subscriber = self._dialog, self._subscriber
        if dialog is None or subscriber is None:
            return
        headers: tuple[HeaderInput, ...] = (("Contact", self._ua.dialog_contact), *_HEADERS, *self._ua.security())

        def settle(outcome: Outcome, sent: Request) -> None:
            if subscriber is self._subscriber:
                self._answered(outcome, subscriber)

        self._ua.send(dialog.request("SUBSCRIBE", headers), settle)

    def _now(self) -> float:
        return self._alarms.now()
