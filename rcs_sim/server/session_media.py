"""The media anchor as the session part of the messaging server sees it: calls of the anchor come with the time, and
what they lead to is carried out (design §14.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ims_core.reference_points import Bridge, LegEnd, MediaAnchor, MediaLeg
from ims_core.wire.msrp.session_events import MessageFailed, MessageReceived, Reported

__all__ = ["SessionMedia", "TimedBridgeUser", "TimedLegUser"]


class TimedLegUser(Protocol):
    """A `MediaLegUser` that is told the time."""

    def message_received(self, message: MessageReceived, now: float) -> None: ...

    def message_sent(self, message_id: str, now: float) -> None: ...

    def message_failed(self, failure: MessageFailed, now: float) -> None: ...

    def message_reported(self, report: Reported, now: float) -> None:
        """A success; a failure comes as `message_failed`."""
        ...

    def media_ended(self, end: LegEnd, now: float) -> None: ...


class TimedBridgeUser(Protocol):
    """A `BridgeUser` that is told the time."""

    def message_passed(self, message_id: str, now: float) -> None: ...

    def bridge_ended(self, end: LegEnd, now: float) -> None: ...


class SessionMedia:
    """*now* is the clock; *after* is called after each call of the anchor, to carry out what was decided in it;
    *contact_address* is host, port and URI parameters of the own Contact."""

    __slots__ = ("_after", "_anchor", "_now", "contact_address")

    def __init__(
        self,
        anchor: MediaAnchor,
        *,
        now: Callable[[], float],
        after: Callable[[], None],
        contact_address: Callable[[], str],
    ) -> None:
        self._anchor = anchor
        self._now = now
        self._after = after
        self.contact_address = contact_address

    @property
    def offers_tls(self) -> bool:
        return self._anchor.offers_tls

    @property
    def is_in_service(self) -> bool:
        """Whether sessions can be begun."""
        return self._anchor.is_in_service

    def leg(self, user: TimedLegUser, *, max_octets: int) -> MediaLeg:
        """A side of a session that ends here."""
        return self._anchor.leg(_LegUser(self, user), max_octets=max_octets)

    def bridge(self, user: TimedBridgeUser) -> Bridge:
        """Two sides that stream to each other."""
        return self._anchor.bridge(_BridgeUser(self, user))

    def now(self) -> float:
        return self._now()

    def after(self) -> None:
        self._after()


class _LegUser:
    """MediaLegUser."""

    __slots__ = ("_media", "_user")

    def __init__(self, media: SessionMedia, user: TimedLegUser) -> None:
        self._media = media
        self._user = user

    def bound(self, leg: MediaLeg) -> None:
        """Nothing waits for it: a message is sent when it can be."""

    def received(self, leg: MediaLeg, message: MessageReceived) -> None:
        try:
            self._user.message_received(message, self._media.now())
        finally:
            self._media.after()

    def sent(self, leg: MediaLeg, message_id: str) -> None:
        try:
            self._user.message_sent(message_id, self._media.now())
        finally:
            self._media.after()

    def failed(self, leg: MediaLeg, failure: MessageFailed) -> None:
        try:
            self._user.message_failed(failure, self._media.now())
        finally:
            self._media.after()

    def reported(self, leg: MediaLeg, report: Reported) -> None:
        if not 200 <= report.status < 300:
            return
        try:
            self._user.message_reported(report, self._media.now())
        finally:
            self._media.after()

    def ended(self, leg: MediaLeg, end: LegEnd) -> None:
        try:
            self._user.media_ended(end, self._media.now())
        finally:
            self._media.after()


class _BridgeUser:
    """BridgeUser."""

    __slots__ = ("_media", "_user")

    def __init__(self, media: SessionMedia, user: TimedBridgeUser) -> None:
        self._media = media
        self._user = user

    def passed(self, bridge: Bridge, message_id: str) -> None:
        try:
            self._user.message_passed(message_id, self._media.now())
        finally:
            self._media.after()

    def bridge_ended(self, bridge: Bridge, end: LegEnd) -> None:
        try:
            self._user.bridge_ended(end, self._media.now())
        finally:
            self._media.after()
