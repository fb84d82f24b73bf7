"""Messages that a device cannot take as a MESSAGE go to it in a session that the server opens in the name of the sender
(digest §4.8, §19.4 step 4): long ones, and all for a device without pager mode."""

from __future__ import annotations

from typing import TypeAlias

from ims_core.wire.sip.call_outputs import Ended
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response
from rcs_sim.server.device_capabilities import takes_messages, takes_sessions
from rcs_sim.server.device_copy import send_message
from rcs_sim.server.device_offer import DeviceOffer
from rcs_sim.server.pager_content import ContentKind, ContentRefused, read_pager
from rcs_sim.server.served_users import ServedUser, key_of
from rcs_sim.server.session_chat import ChatSession
from rcs_sim.server.session_description import OWN_OFFER
from rcs_sim.server.session_invite import invite_for_message
from rcs_sim.server.session_leg import AwaitsAnswer, SessionLeg
from rcs_sim.server.session_parties import SessionParties
from rcs_sim.server.session_services import SessionServices
from rcs_sim.server.session_terminating import is_incapable

__all__ = ["SessionHandOut"]

_Key: TypeAlias = tuple[str, str, str]
"""Identity key of the user, instance id of his device, identity key of the sender."""
_UNAVAILABLE, _TIMED_OUT, _OVERLOADED = 480, 408, 503


class SessionHandOut:
    """A `SessionDelivery`. Sessions are kept by device and sender, and used again until they are idle."""

    __slots__ = ("_opening", "_services", "_standing")

    def __init__(self, services: SessionServices) -> None:
        self._services = services
        self._opening: dict[_Key, _Opening] = {}
        self._standing: dict[_Key, ChatSession] = {}

    def takes(self, offer: DeviceOffer, template: Request) -> bool:
        """By what the device announces; typing never, and what it does not say is pager mode."""
        features, limit = offer.device.features, self._services.context.config.pager_max_octets
        if features is None or not takes_sessions(features):
            return False
        has_pager = takes_messages(features)
        if has_pager and len(template.body) <= limit:
            return False
        kind = _kind_of(template)
        return kind is ContentKind.CHAT or (kind is ContentKind.RECEIPT and not has_pager)

    def hand_out(self, offer: DeviceOffer, template: Request, identity: str, now: float) -> None:
        services = self._services
        user = services.context.subscribers.find(key_of(identity))
        parties = None if user is None else SessionParties.calling(user, template)
        if user is None or parties is None:
            offer.finished(_UNAVAILABLE, None, now)
            return
        key = (user.key, offer.instance, parties.peer_key)
        session = self._session(key, parties, offer)
        if session is not None:
            session.hand_out(offer, template, now)
        elif key in self._opening:
            self._opening[key].add(offer, template, now)
        else:
            self._open(key, user, parties, offer, template, now)

    def _session(self, key: _Key, parties: SessionParties, offer: DeviceOffer) -> ChatSession | None:
        """One that was opened before, else the one that device and sender are in."""
        for session in (self._standing.get(key), self._services.book.standing(parties.pair)):
            if isinstance(session, ChatSession) and session.reaches(offer.instance):
                return session
        return None

    def _open(
        self, key: _Key, user: ServedUser, parties: SessionParties, offer: DeviceOffer, template: Request, now: float
    ) -> None:
        services = self._services
        if not services.has_room(user.key):
            offer.finished(_OVERLOADED, None, now)
            return
        services.book.enter(user.key)
        opening = self._opening[key] = _Opening(self, services, key, parties)
        opening.add(offer, template, now)
        opening.start(is_tls=services.offers_tls, now=now)

    def opened(self, key: _Key, session: ChatSession | None) -> None:
        """A device has answered; None: not with a session."""
        self._opening.pop(key, None)
        if session is None:
            return
        self._standing[key] = session
        session.on_close = lambda: self._closed(key, session)

    def _closed(self, key: _Key, session: ChatSession) -> None:
        if self._standing.get(key) is session:
            del self._standing[key]


class _Opening(AwaitsAnswer):
    """An INVITE of the server to a device, and the messages that wait for its answer; owner of the leg, deadline."""

    __slots__ = ("_key", "_leg", "_owner", "_parties", "_services", "_until", "_waiting", "is_over")

    def __init__(self, owner: SessionHandOut, services: SessionServices, key: _Key, parties: SessionParties) -> None:
        self._owner = owner
        self._services = services
        self._key = key
        self._parties = parties
        self._leg: SessionLeg | None = None
        self._waiting: list[tuple[DeviceOffer, Request]] = []
        self._until = 0.0
        self.is_over = False

    def add(self, offer: DeviceOffer, template: Request, now: float) -> None:
        """One more message. The same once more takes the place of its first offer, which was given up."""
        known = [each for each in self._waiting if each[1] is template or each[1].body == template.body]
        self._waiting = [each for each in self._waiting if each not in known]
        self._waiting.append((offer, template))
        for old, _ in known:
            old.finished(_TIMED_OUT, None, now)

    def start(self, *, is_tls: bool, now: float) -> None:
        services = self._services
        offer, template = self._waiting[0]
        self._until = now + services.context.config.session_fork_s
        services.context.deadlines.arm(self._until, self)
        self._invite(offer, template, is_tls=is_tls, now=now)

    def _invite(self, offer: DeviceOffer, template: Request, *, is_tls: bool, now: float) -> None:
        services = self._services
        self._leg = SessionLeg(services.shared, self, is_to_user=True, instance=offer.instance)
        try:
            editor = invite_for_message(template, services.context, offer.device, self._parties.user.identity)
            self._leg.invite(editor, OWN_OFFER, is_tls=is_tls, now=now)
        except SipParseError:
            self._fail(_UNAVAILABLE, now)

    # -- the device --------------------------------------------------------------------------------------------------

    def leg_rang(self, leg: SessionLeg, response: Response, now: float) -> None:
        self._until = max(self._until, now + self._services.context.config.session_ringing_s)

    def leg_answered(self, leg: SessionLeg, response: Response, now: float) -> None:
        self.is_over = True
        session = ChatSession(self._services, self._parties, user_leg=leg, net_leg=None, now=now, stands=False)
        self._owner.opened(self._key, session)
        for offer, template in self._take():
            session.hand_out(offer, template, now)

    def leg_refused(self, leg: SessionLeg, status: int, response: Response | None, now: float) -> None:
        goes_without_tls = leg.goes_without_tls(status)
        leg.abandon(now)
        if goes_without_tls:
            offer, template = self._waiting[0]
            self._invite(offer, template, is_tls=False, now=now)
        elif is_incapable(status):
            self._send_by_pager(now)
        else:
            self._fail(_UNAVAILABLE, now)  # whatever the user did with the call, the message is still for him (choice)

    def _send_by_pager(self, now: float) -> None:
        """It takes no session after all."""
        context, identity = self._services.context, self._parties.user.identity
        for offer, template in self._end():
            send_message(context, offer, template, identity, context.terminating_route)

    def _fail(self, status: int, now: float) -> None:
        if self._leg is not None:
            self._leg.abandon(now, 'SIP;cause=408;text="No answer"')
        for offer, _ in self._end():
            offer.finished(status, None, now)

    def _end(self) -> list[tuple[DeviceOffer, Request]]:
        self.is_over = True
        self._owner.opened(self._key, None)
        self._services.book.leave(self._parties.user.key)
        return self._take()

    def _take(self) -> list[tuple[DeviceOffer, Request]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def leg_ended(self, leg: SessionLeg, end: Ended, now: float) -> None:
        if not self.is_over and leg is self._leg:
            self._fail(_UNAVAILABLE, now)

    def shut_down(self, now: float, reason: str) -> None:
        """What waits stays in the store."""
        if not self.is_over:
            self._fail(_UNAVAILABLE, now)

    def expired(self, now: float) -> None:
        if now < self._until:
            self._services.context.deadlines.arm(self._until, self)
        else:
            self._fail(_TIMED_OUT, now)


def _kind_of(template: Request) -> ContentKind | None:
    try:
        return read_pager(template).kind
    except ContentRefused:
        return None
