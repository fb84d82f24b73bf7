"""The notifier of the reg event package (RFC 3680, TS 24.229 §5.4.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ims_core.cx import DeregistrationReason
from ims_core.nodes.deadlines import Deadlines
from ims_core.nodes.decision import Answer, Decision, Defer, Delete, Persist, Put, Reject
from ims_core.nodes.registrar import ContactChange
from ims_core.nodes.served_user import Binding, RegSubscription, ServedUser
from ims_core.store.bindings import REG_SUBSCRIPTIONS, StoredSubscription
from ims_core.transport.sip_stack import Outcome
from ims_core.wire.reginfo import CONTENT_TYPE, RegContact, RegInfo, RegRegistration
from ims_core.wire.sip.address_headers import From, Route, To
from ims_core.wire.sip.core_headers import Accept, Event, Expires, SubscriptionState, is_acceptable
from ims_core.wire.sip.dialog import Dialog, DialogId, DialogState, DialogVerdict
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.params import parse_header_params
from ims_core.wire.sip.subscription import Notifier, NotifierState, NotifyDue
from ims_core.wire.sip.uri import parse_uri

__all__ = ["RegEventNotifier", "SendNotify", "reg_info"]

_MAX_SUBSCRIPTIONS = 16  # for one user: devices, application servers, the P-CSCF
_LEFT_OUT = 10_000  # numbers that a restart leaves out: NOTIFYs sent since the subscription was stored had some
# Subscription-State reasons (RFC 6665 §4.1.3) for the end of a registration
_REASONS = {
    DeregistrationReason.REJECTED: "rejected",
    DeregistrationReason.DEACTIVATED: "deactivated",
    DeregistrationReason.PROBATION: "probation",
    DeregistrationReason.UNREGISTERED: "noresource",
}

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class SendNotify:
    """Send *request* within the dialog of *subscription*."""

    subscription: RegSubscription
    request: Request


class RegEventNotifier:
    """Decision core: subscriptions in, NOTIFY requests out. What has to be stored beside is asked for with
    `take_writes`."""

    def __init__(self, contact: str, *, new_tag: Callable[[], str], longest_s: int, is_durable: bool = False) -> None:
        """*contact* is the own URI for Contact; *longest_s* what a subscription gets at most; *is_durable*: what is
        subscribed outlives the process."""
        self.deadlines: Deadlines[RegSubscription] = Deadlines()
        self._contact = contact
        self._new_tag = new_tag
        self._longest_s = longest_s
        self._subscriptions: dict[_Key, RegSubscription] = {}
        self._is_durable = is_durable
        self._writes: list[Persist] = []

    def take_writes(self) -> tuple[Persist, ...]:
        """What has to be stored since this was asked last."""
        writes, self._writes = tuple(self._writes), []
        return writes

    def __len__(self) -> int:
        return len(self._subscriptions)

    # --- SUBSCRIBE ---------------------------------------------------------------------------------------------------

    def subscribe(self, request: Request, user: ServedUser, now: float) -> Decision:
        """A first SUBSCRIBE of somebody who may. Raises SipParseError."""
        if request.has("Accept") and not is_acceptable(CONTENT_TYPE, request.get_all(Accept)):
            return Reject(406, headers=(("Accept", CONTENT_TYPE),))
        tag = self._new_tag()
        dialog = Dialog.as_uas(request, tag)
        subscription = RegSubscription(user, dialog, Notifier(), _event_of(request))
        self._replace_older(user, dialog)
        if user.subscriptions is not None and len(user.subscriptions) >= _MAX_SUBSCRIPTIONS:
            self._drop(user.subscriptions[0])
        self._add(subscription)
        granted_s = self._granted_s(request)
        due = subscription.notifier.start(granted_s, now)
        answer = Answer(self._accepted(request, granted_s, tag), self._notifies(subscription, due, (), now))
        return self._when_kept(subscription, answer)

    def _add(self, subscription: RegSubscription) -> None:
        user = subscription.user
        user.subscriptions = [*(user.subscriptions or ()), subscription]
        self._subscriptions[_key(subscription.dialog)] = subscription

    def _when_kept(self, subscription: RegSubscription, answer: Answer) -> Decision:
        """A 2xx promises that the subscription lasts, whatever becomes of this process."""
        if self._is_durable and subscription.notifier.state is not NotifierState.TERMINATED:
            self._writes.append(Put(REG_SUBSCRIPTIONS, _record_of(subscription)))
        writes = self.take_writes()
        return Defer(writes, answer) if writes else answer

    def restore(self, record: StoredSubscription, user: ServedUser | None, now: float) -> None:
        """Takes in a subscription of an earlier run, unless its *user* is gone or its time is over. Raises
        SipParseError."""
        if user is None or not user.bindings or record.expires_at <= now:
            self._writes.append(Delete(REG_SUBSCRIPTIONS, REG_SUBSCRIPTIONS.key(record)))
            return
        version = record.version + _LEFT_OUT
        subscription = RegSubscription(
            user, _dialog_of(record), Notifier.restored(record.expires_at), record.event, version
        )
        self._add(subscription)
        self.deadlines.set(subscription, record.expires_at)
        self._writes.append(Put(REG_SUBSCRIPTIONS, _record_of(subscription)))

    def refresh(self, request: Request, now: float) -> Decision:
        """A SUBSCRIBE within a dialog. Raises SipParseError."""
        subscription = self._find(request)
        if subscription is None or subscription.notifier.state is NotifierState.TERMINATED:
            return Reject(481)
        if subscription.dialog.receive_request(request) is DialogVerdict.OUT_OF_ORDER:
            return Reject(500)
        granted_s = self._granted_s(request)
        due = subscription.notifier.refresh(granted_s, now)
        answer = Answer(self._accepted(request, granted_s, None), self._notifies(subscription, due, (), now))
        return self._when_kept(subscription, answer)

    def _find(self, request: Request) -> RegSubscription | None:
        found = DialogId.of(request)
        return self._subscriptions.get((found.call_id, found.local_tag, found.remote_tag))

    def _granted_s(self, request: Request) -> int:
        expires = request.get(Expires)
        return self._longest_s if expires is None else min(expires.seconds, self._longest_s)

    def _accepted(self, request: Request, granted_s: int, tag: str | None) -> Response:
        headers = [("Record-Route", text) for text in request.texts("Record-Route")]
        headers += [("Contact", f"<{self._contact}>"), ("Expires", str(granted_s))]
        return Response.to(request, 200, to_tag=tag, headers=headers)

    def _replace_older(self, user: ServedUser, dialog: Dialog) -> None:
        """A UE that subscribes anew after a restart has forgotten the dialog before."""
        for subscription in list(user.subscriptions or ()):
            if subscription.dialog.remote_target == dialog.remote_target:
                self._drop(subscription)

    # --- NOTIFY ------------------------------------------------------------------------------------------------------

    def changed(
        self,
        user: ServedUser,
        changes: tuple[ContactChange, ...],
        ended: DeregistrationReason | None,
        now: float,
        retry_after_s: int | None,
    ) -> tuple[SendNotify, ...]:
        """Bindings of *user* changed; *ended* also ends the subscriptions (TS 24.229 §5.4.1.5)."""
        notifies: list[SendNotify] = []
        for subscription in list(user.subscriptions or ()):
            notifier = subscription.notifier
            if notifier.state is NotifierState.TERMINATED:
                continue
            if ended is None:
                due = [NotifyDue(notifier.subscription_state(now))]
            else:
                wait_s = retry_after_s if ended is DeregistrationReason.PROBATION else None
                due = notifier.deactivate(_REASONS[ended], wait_s)
            notifies += self._notifies(subscription, due, changes, now)
        return tuple(notifies)

    def handle_deadline(self, now: float) -> tuple[SendNotify, ...]:
        """Subscriptions that nobody refreshed."""
        notifies: list[SendNotify] = []
        for subscription in self.deadlines.pop_due(now):
            notifies += self._notifies(subscription, subscription.notifier.handle_deadline(now), (), now)
        return tuple(notifies)

    def notify_answered(self, subscription: RegSubscription, outcome: Outcome) -> None:
        """481 and silence end a subscription (RFC 6665 §4.2.2)."""
        if isinstance(outcome, Response):
            if outcome.status >= 200:
                subscription.notifier.receive_response(outcome)
        else:
            subscription.notifier.notify_timed_out()
        if subscription.notifier.state is NotifierState.TERMINATED:
            self._drop(subscription)

    def _notifies(
        self, subscription: RegSubscription, due: list[NotifyDue], changes: tuple[ContactChange, ...], now: float
    ) -> tuple[SendNotify, ...]:
        sends = tuple(
            SendNotify(subscription, self._notify(subscription, each.subscription_state, changes, now)) for each in due
        )
        if subscription.notifier.state is NotifierState.TERMINATED:
            self._drop(subscription)
        else:
            deadline = subscription.notifier.next_deadline()
            if deadline is not None:
                self.deadlines.set(subscription, deadline)
        return sends

    def _notify(
        self, subscription: RegSubscription, state: SubscriptionState, changes: tuple[ContactChange, ...], now: float
    ) -> Request:
        info = reg_info(subscription.user, changes, subscription.version, now)
        subscription.version += 1
        headers = [("Event", subscription.event), ("Subscription-State", str(state)), ("Contact", f"<{self._contact}>")]
        return subscription.dialog.request("NOTIFY", headers, info.encode(), CONTENT_TYPE)

    def _drop(self, subscription: RegSubscription) -> None:
        found = self._subscriptions.pop(_key(subscription.dialog), None)
        self.deadlines.remove(subscription)
        if found is not None and self._is_durable:
            self._writes.append(Delete(REG_SUBSCRIPTIONS, REG_SUBSCRIPTIONS.key(_record_of(subscription))))
        user = subscription.user
        rest = [each for each in user.subscriptions or () if each is not subscription]
        user.subscriptions = rest or None


def reg_info(user: ServedUser, changes: tuple[ContactChange, ...], version: int, now: float) -> RegInfo:
    """The full state of *user*: each IMPU with its contacts, those that just went away among them."""
    events = {id(change.binding): change for change in changes}
    gone = [change for change in changes if change.binding not in user.bindings]
    contacts = tuple(
        _contact(user, binding, "active", change.event if (change := events.get(id(binding))) else "registered", now)
        for binding in user.bindings
    )
    contacts += tuple(
        _contact(user, change.binding, "terminated", change.event, now, change.retry_after_s) for change in gone
    )
    state = "active" if user.bindings else "terminated" if gone else "init"
    registrations = tuple(
        RegRegistration(impu, f"r{user.number}.{place}", state, contacts) for place, impu in enumerate(user.impus)
    )
    return RegInfo(version, "full", registrations)


def _contact(
    user: ServedUser, binding: Binding, state: str, event: str, now: float, retry_after_s: int | None = None
) -> RegContact:
    params = [(name, value or "") for name, value in parse_header_params(binding.tags)]
    if binding.instance:
        params.insert(0, ("+sip.instance", f'"<{binding.instance}>"'))
    return RegContact(
        f"c{binding.number}",
        state,
        event,
        binding.contact,
        expires=max(0, round(binding.expires_at - now)) if state == "active" else 0,
        retry_after=retry_after_s,
        call_id=binding.call_id,
        cseq=binding.cseq,
        unknown_params=tuple(params),
        pub_gruu=binding.pub_gruu(user.sip_impu() or ""),
    )


def _event_of(request: Request) -> str:
    """What Event of its NOTIFYs says: the package, and the id of the SUBSCRIBE (RFC 6665 §8.2.1)."""
    event = request.get(Event)
    event_id = None if event is None else event.params.raw("id")
    return "reg" if event_id is None else f"reg;id={event_id}"


def _record_of(subscription: RegSubscription) -> StoredSubscription:
    dialog = subscription.dialog
    return StoredSubscription(
        owner=subscription.user.default_impu,
        event=subscription.event,
        call_id=dialog.call_id,
        local_party=str(dialog.local_party),
        remote_party=str(dialog.remote_party),
        remote_target=str(dialog.remote_target),
        route_set=tuple(str(route) for route in dialog.route_set),
        local_cseq=dialog.local_cseq or 0,
        remote_cseq=dialog.remote_cseq or 0,
        version=subscription.version,
        expires_at=subscription.notifier.expires_at,
    )


def _dialog_of(record: StoredSubscription) -> Dialog:
    return Dialog(
        call_id=record.call_id,
        local_party=From.parse(record.local_party),
        remote_party=To.parse(record.remote_party),
        remote_target=parse_uri(record.remote_target),
        route_set=tuple(Route.parse(route) for route in record.route_set),
        local_cseq=record.local_cseq + _LEFT_OUT,
        remote_cseq=record.remote_cseq,
        state=DialogState.CONFIRMED,
    )


def _key(dialog: Dialog) -> _Key:
    return dialog.call_id, dialog.local_party.tag or "", dialog.remote_party.tag or ""
