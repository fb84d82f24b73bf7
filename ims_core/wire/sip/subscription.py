"""The two ends of an event subscription, a usage of a dialog (RFC 6665 §4.1, §4.2).

`Subscriber` and `Notifier` know when to refresh, when to give up and which Subscription-State to write; the owner sends
the requests through the dialog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Self, TypeAlias

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.core_headers import Expires, SubscriptionState
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.params import NO_PARAMS

__all__ = [
    "NOTIFIER",
    "NOTIFIER_IGNORED",
    "SUBSCRIBER",
    "SUBSCRIBER_IGNORED",
    "Notifier",
    "NotifierInput",
    "NotifierState",
    "NotifyDue",
    "RefreshDue",
    "Subscriber",
    "SubscriberInput",
    "SubscriberOutput",
    "SubscriberState",
    "SubscriptionEnded",
    "refresh_after_s",
]

DEFAULT_EXPIRES_S: Final = 3600
"""What a 2xx without Expires means here (choice): RFC 6665 §3.1.1 leaves it to the package."""

_NO_EXPIRY: Final = float("inf")
# RFC 6665 §4.1.2.2, §4.2.2: answers after which the subscription is over at once; others leave it to run out
_FATAL_STATUSES: Final = frozenset({404, 405, 408, 410, 416, *range(480, 486), 489, 501, 604})


def refresh_after_s(lifetime_s: float) -> float:
    """When to renew what lasts *lifetime_s*: 600 s before its end, at half up to 1200 s (TS 24.229 §5.1.1.3)."""
    return lifetime_s - 600 if lifetime_s > 1200 else lifetime_s / 2


# --------------------------------------------------------------------------------------------------------- subscriber


class SubscriberState(Enum):
    """RFC 6665 Figure 1."""

    INIT = auto()
    NOTIFY_WAIT = auto()
    PENDING = auto()
    ACTIVE = auto()
    TERMINATED = auto()


class SubscriberInput(Enum):
    SUBSCRIBE = auto()  # the first one is sent
    ACCEPTED = auto()  # 2xx to any SUBSCRIBE
    REFUSED = auto()  # a final answer after which nothing is left
    FAILED = auto()  # another failure of a refresh
    NOTIFY_PENDING = auto()
    NOTIFY_ACTIVE = auto()
    NOTIFY_TERMINATED = auto()
    TIMER_N = auto()  # no NOTIFY within 64*T1 (§4.1.2.4)
    EXPIRED = auto()


# RFC 6665 Figure 1
SUBSCRIBER: Mapping[tuple[SubscriberState, SubscriberInput], SubscriberState] = {
    (SubscriberState.INIT, SubscriberInput.SUBSCRIBE): SubscriberState.NOTIFY_WAIT,
    (SubscriberState.NOTIFY_WAIT, SubscriberInput.ACCEPTED): SubscriberState.NOTIFY_WAIT,
    (SubscriberState.NOTIFY_WAIT, SubscriberInput.REFUSED): SubscriberState.TERMINATED,
    (SubscriberState.NOTIFY_WAIT, SubscriberInput.FAILED): SubscriberState.TERMINATED,
    (SubscriberState.NOTIFY_WAIT, SubscriberInput.NOTIFY_PENDING): SubscriberState.PENDING,
    (SubscriberState.NOTIFY_WAIT, SubscriberInput.NOTIFY_ACTIVE): SubscriberState.ACTIVE,
    (SubscriberState.NOTIFY_WAIT, SubscriberInput.NOTIFY_TERMINATED): SubscriberState.TERMINATED,
    (SubscriberState.NOTIFY_WAIT, SubscriberInput.TIMER_N): SubscriberState.TERMINATED,
    **{
        (state, event): after
        for state in (SubscriberState.PENDING, SubscriberState.ACTIVE)
        for event, after in (
            (SubscriberInput.ACCEPTED, state),
            (SubscriberInput.FAILED, state),
            (SubscriberInput.REFUSED, SubscriberState.TERMINATED),
            (SubscriberInput.NOTIFY_PENDING, SubscriberState.PENDING),
            (SubscriberInput.NOTIFY_ACTIVE, SubscriberState.ACTIVE),
            (SubscriberInput.NOTIFY_TERMINATED, SubscriberState.TERMINATED),
            (SubscriberInput.EXPIRED, SubscriberState.TERMINATED),
        )
    },
}
SUBSCRIBER_IGNORED: frozenset[tuple[SubscriberState, SubscriberInput]] = frozenset(
    (SubscriberState.TERMINATED, event)
    for event in SubscriberInput
    if event not in (SubscriberInput.SUBSCRIBE, SubscriberInput.TIMER_N, SubscriberInput.EXPIRED)
)

_NOTIFY_INPUTS: Final = {
    "active": SubscriberInput.NOTIFY_ACTIVE,
    "pending": SubscriberInput.NOTIFY_PENDING,
    "terminated": SubscriberInput.NOTIFY_TERMINATED,
}


@dataclass(frozen=True, slots=True)
class RefreshDue:
    """Time to send SUBSCRIBE again in the dialog."""


@dataclass(frozen=True, slots=True)
class SubscriptionEnded:
    """The subscription is over. *reason* is that of the notifier (RFC 6665 §4.1.3), ``timeout`` if it just stopped.

    *retry_after_s*: when the notifier asks to be tried again; 0 at once, None not at all or at the subscriber's choice.
    """

    reason: str | None
    retry_after_s: int | None = None


SubscriberOutput: TypeAlias = RefreshDue | SubscriptionEnded


class Subscriber:
    """The subscriber's end of one subscription (RFC 6665 §4.1)."""

    __slots__ = ("_expires_at", "_granted_s", "_refresh_at", "_state", "_wait_s")

    def __init__(self, *, notify_wait_s: float = 32.0) -> None:
        """*notify_wait_s* is Timer N, 64*T1."""
        self._state = SubscriberState.INIT
        self._wait_s = notify_wait_s
        self._granted_s = DEFAULT_EXPIRES_S
        self._expires_at = _NO_EXPIRY
        self._refresh_at = _NO_EXPIRY

    @property
    def state(self) -> SubscriberState:
        return self._state

    def start(self, now: float) -> list[SubscriberOutput]:
        """The first SUBSCRIBE is being sent."""
        self._expires_at = now + self._wait_s
        return self._step(SubscriberInput.SUBSCRIBE)

    def receive_response(self, response: Response, now: float) -> list[SubscriberOutput]:
        """An answer to a SUBSCRIBE. One after which it is repeated (401, 407, 423, 3xx) is not handed in.

        Raises SipParseError for a malformed Expires.
        """
        if response.status < 200:
            return []
        if response.status < 300:
            self._granted_s = _expires_of(response)
            outputs = self._step(SubscriberInput.ACCEPTED)
            if self._state in (SubscriberState.PENDING, SubscriberState.ACTIVE):
                self._last_until(now, self._granted_s)
            return outputs
        is_fatal = response.status in _FATAL_STATUSES
        return self._step(SubscriberInput.REFUSED if is_fatal else SubscriberInput.FAILED)

    def subscribe_timed_out(self) -> list[SubscriberOutput]:
        """No answer to a SUBSCRIBE: it counts as a 408 (RFC 3261 §8.1.3.1)."""
        return self._step(SubscriberInput.REFUSED)

    def receive_notify(self, notify: Request, now: float) -> list[SubscriberOutput]:
        """A NOTIFY of this dialog. A state that is not known counts as active (RFC 6665 §4.1.3).

        Raises SipParseError, to be answered with 400, without a proper Subscription-State.
        """
        told = notify.require(SubscriptionState)
        event = _NOTIFY_INPUTS.get(told.state, SubscriberInput.NOTIFY_ACTIVE)
        is_first = self._state is SubscriberState.NOTIFY_WAIT
        outputs = self._step(event, told)
        if self._state is not SubscriberState.TERMINATED and (told.expires is not None or is_first):
            self._last_until(now, self._granted_s if told.expires is None else told.expires)
        return outputs

    def next_deadline(self) -> float | None:
        earliest = min(self._expires_at, self._refresh_at)
        return None if earliest == _NO_EXPIRY else earliest

    def handle_deadline(self, now: float) -> list[SubscriberOutput]:
        """Timer N, the time to refresh, or the end."""
        if self._expires_at <= now:
            is_waiting = self._state is SubscriberState.NOTIFY_WAIT
            return self._step(SubscriberInput.TIMER_N if is_waiting else SubscriberInput.EXPIRED)
        if self._refresh_at <= now:
            self._refresh_at = _NO_EXPIRY
            return [RefreshDue()]
        return []

    def _last_until(self, now: float, lifetime_s: float) -> None:
        """A lifetime of 0 is the end, which one more NOTIFY tells: that is waited for (RFC 6665 §4.1.2.3)."""
        self._expires_at = now + (lifetime_s or self._wait_s)
        self._refresh_at = now + refresh_after_s(lifetime_s) if lifetime_s else _NO_EXPIRY

    def _step(self, event: SubscriberInput, told: SubscriptionState | None = None) -> list[SubscriberOutput]:
        if (self._state, event) in SUBSCRIBER_IGNORED:
            return []
        after = SUBSCRIBER.get((self._state, event))
        if after is None:
            raise LocalProtocolError(f"subscriber in {self._state.name} cannot take {event.name}", spec="RFC 6665 §4.1")
        self._state = after
        if after is not SubscriberState.TERMINATED:
            return []
        self._expires_at = self._refresh_at = _NO_EXPIRY
        return [_ended(told)]


def _ended(told: SubscriptionState | None) -> SubscriptionEnded:
    if told is None:
        return SubscriptionEnded("timeout")
    retry_after = told.params.get("retry-after") or ""
    is_number = retry_after.isascii() and retry_after.isdigit() and len(retry_after) <= 10
    at_once = told.reason is not None and told.reason.lower() in ("deactivated", "timeout")
    return SubscriptionEnded(told.reason, int(retry_after) if is_number else 0 if at_once else None)


def _expires_of(response: Response) -> int:
    expires = response.get(Expires)
    return DEFAULT_EXPIRES_S if expires is None else expires.seconds


# ----------------------------------------------------------------------------------------------------------- notifier


class NotifierState(Enum):
    """RFC 6665 Figure 2, without the wait for the response of the owner, which is one call here."""

    INIT = auto()
    PENDING = auto()
    ACTIVE = auto()
    TERMINATED = auto()


class NotifierInput(Enum):
    DEFER = auto()  # 2xx, but the decision is still to come
    ACCEPT = auto()  # 2xx, or the decision came
    SUBSCRIBE = auto()  # a refresh
    UNSUBSCRIBE = auto()  # Expires: 0
    EXPIRED = auto()
    DEACTIVATE = auto()  # the notifier ends it
    NOTIFY_REFUSED = auto()  # the subscriber has forgotten it


# RFC 6665 Figure 2
NOTIFIER: Mapping[tuple[NotifierState, NotifierInput], NotifierState] = {
    (NotifierState.INIT, NotifierInput.DEFER): NotifierState.PENDING,
    (NotifierState.INIT, NotifierInput.ACCEPT): NotifierState.ACTIVE,
    (NotifierState.PENDING, NotifierInput.ACCEPT): NotifierState.ACTIVE,
    **{
        (state, event): after
        for state in (NotifierState.PENDING, NotifierState.ACTIVE)
        for event, after in (
            (NotifierInput.SUBSCRIBE, state),
            (NotifierInput.UNSUBSCRIBE, NotifierState.TERMINATED),
            (NotifierInput.EXPIRED, NotifierState.TERMINATED),
            (NotifierInput.DEACTIVATE, NotifierState.TERMINATED),
            (NotifierInput.NOTIFY_REFUSED, NotifierState.TERMINATED),
        )
    },
}
NOTIFIER_IGNORED: frozenset[tuple[NotifierState, NotifierInput]] = frozenset(
    (NotifierState.TERMINATED, event)
    for event in (NotifierInput.NOTIFY_REFUSED, NotifierInput.DEACTIVATE, NotifierInput.UNSUBSCRIBE)
)


@dataclass(frozen=True, slots=True)
class NotifyDue:
    """A NOTIFY has to be sent now, with this Subscription-State and the whole state (RFC 6665 §4.2.1.2)."""

    subscription_state: SubscriptionState


class Notifier:
    """The notifier's end of one subscription (RFC 6665 §4.2). After each accepted SUBSCRIBE a NOTIFY is due at once."""

    __slots__ = ("_expires_at", "_state")

    def __init__(self) -> None:
        self._state = NotifierState.INIT
        self._expires_at = _NO_EXPIRY

    @property
    def state(self) -> NotifierState:
        return self._state

    @classmethod
    def restored(cls, expires_at: float, *, is_pending: bool = False) -> Self:
        """A subscription that was stored as running until *expires_at*."""
        notifier = cls()
        notifier._state = NotifierState.PENDING if is_pending else NotifierState.ACTIVE
        notifier._expires_at = expires_at
        return notifier

    @property
    def expires_at(self) -> float:
        """When it runs out: to be stored if the subscription has to survive a restart."""
        return self._expires_at

    def start(self, expires_s: int, now: float, *, is_pending: bool = False) -> list[NotifyDue]:
        """The first SUBSCRIBE was answered with 2xx and *expires_s*; 0 asks for the state once (RFC 6665 §4.4.3)."""
        self._step(NotifierInput.DEFER if is_pending else NotifierInput.ACCEPT)
        return self._granted(expires_s, now)

    def refresh(self, expires_s: int, now: float) -> list[NotifyDue]:
        """A SUBSCRIBE in the dialog got 2xx and *expires_s*. Raises LocalProtocolError if it is over: answer 481."""
        if self._state is NotifierState.TERMINATED or expires_s > 0:
            self._step(NotifierInput.SUBSCRIBE)
        return self._granted(expires_s, now)

    def accept(self, now: float) -> list[NotifyDue]:
        """What was pending is granted."""
        self._step(NotifierInput.ACCEPT)
        return [NotifyDue(self.subscription_state(now))]

    def deactivate(self, reason: str, retry_after_s: int | None = None) -> list[NotifyDue]:
        """The notifier ends it: *reason* as in RFC 6665 §4.1.3, such as ``noresource`` or ``deactivated``."""
        return self._end(NotifierInput.DEACTIVATE, reason, retry_after_s)

    def receive_response(self, response: Response) -> None:
        """The answer to a NOTIFY: 481 and the like end the subscription without another one (RFC 6665 §4.2.2)."""
        if response.status in _FATAL_STATUSES:
            self.notify_timed_out()

    def notify_timed_out(self) -> None:
        """No answer to a NOTIFY."""
        self._step(NotifierInput.NOTIFY_REFUSED)
        self._expires_at = _NO_EXPIRY

    def subscription_state(self, now: float) -> SubscriptionState:
        """The header for a NOTIFY sent now, while the subscription lasts."""
        if self._state not in (NotifierState.PENDING, NotifierState.ACTIVE):
            raise LocalProtocolError(f"no NOTIFY in {self._state.name}", spec="RFC 6665 §4.2.2")
        value = "pending" if self._state is NotifierState.PENDING else "active"
        return SubscriptionState(value, NO_PARAMS.with_("expires", str(max(0, int(self._expires_at - now)))))

    def next_deadline(self) -> float | None:
        return None if self._expires_at == _NO_EXPIRY else self._expires_at

    def handle_deadline(self, now: float) -> list[NotifyDue]:
        """The end, when nobody has refreshed."""
        return self._end(NotifierInput.EXPIRED, "timeout") if self._expires_at <= now else []

    def _granted(self, expires_s: int, now: float) -> list[NotifyDue]:
        if expires_s <= 0:
            return self._end(NotifierInput.UNSUBSCRIBE, "timeout")
        self._expires_at = now + expires_s
        return [NotifyDue(self.subscription_state(now))]

    def _end(self, event: NotifierInput, reason: str, retry_after_s: int | None = None) -> list[NotifyDue]:
        if not self._step(event):
            return []
        self._expires_at = _NO_EXPIRY
        params = NO_PARAMS.with_("reason", reason)
        if retry_after_s is not None:
            params = params.with_("retry-after", str(retry_after_s))
        return [NotifyDue(SubscriptionState("terminated", params))]

    def _step(self, event: NotifierInput) -> bool:
        """False if the input is ignored. Raises LocalProtocolError if it is illegal."""
        if (self._state, event) in NOTIFIER_IGNORED:
            return False
        after = NOTIFIER.get((self._state, event))
        if after is None:
            raise LocalProtocolError(f"notifier in {self._state.name} cannot take {event.name}", spec="RFC 6665 §4.2")
        self._state = after
        return True
