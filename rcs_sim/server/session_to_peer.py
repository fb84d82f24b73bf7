"""Sessions that the server opens away from a user of ours, to say what is too long for a MESSAGE (digest §4.8; RCC.16
digest §14.1): from a focus to the other carrier."""

from __future__ import annotations

from typing import TypeAlias

from ims_core.wire.sip.call_outputs import Ended
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import Uri
from rcs_sim.server.device_capabilities import CPM_SESSION
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.passing_message import Said, SpeakingSession
from rcs_sim.server.relayed_request import accept_contact_of, as_service
from rcs_sim.server.served_users import ServedUser, key_of_uri
from rcs_sim.server.session_chat import ChatSession
from rcs_sim.server.session_description import OWN_OFFER
from rcs_sim.server.session_leg import AwaitsAnswer, SessionLeg
from rcs_sim.server.session_parties import SessionParties
from rcs_sim.server.session_services import SessionServices
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE

__all__ = ["PeerSessions", "invite_to_peer"]

_Key: TypeAlias = tuple[str, str]
"""Identity keys of the user and of the other party."""
_TIMED_OUT, _OVERLOADED = 408, 503


class PeerSessions:
    """A `PeerDelivery`. A session stays until it is idle, and is used again."""

    __slots__ = ("_opening", "_services", "_standing")

    def __init__(self, services: SessionServices) -> None:
        self._services = services
        self._opening: dict[_Key, _Opening] = {}
        self._standing: dict[_Key, ChatSession] = {}

    def standing(self, user_key: str, peer_key: str) -> SpeakingSession | None:
        """The chat of the two, else one that was opened here."""
        chat = self._services.book.standing((user_key, peer_key))
        if isinstance(chat, ChatSession) and chat.net_leg is not None and chat.net_leg.is_up:
            return chat
        return self._standing.get((user_key, peer_key))

    def say(
        self, user: ServedUser, peer: Uri, ids: tuple[HeaderInput, ...], body: bytes, said: Said, now: float
    ) -> None:
        """Opens a session, or waits for the one that is being opened."""
        key = (user.key, key_of_uri(peer))
        opening = self._opening.get(key)
        if opening is not None:
            opening.add(body, said)
            return
        if not self._services.has_room(user.key):
            said(_OVERLOADED, now)
            return
        self._services.book.enter(user.key)
        opening = self._opening[key] = _Opening(self, self._services, key, SessionParties(user, peer, (peer,), ids))
        opening.add(body, said)
        opening.start(now)

    def opened(self, key: _Key, session: ChatSession | None) -> None:
        """The other side has answered; None: not with a session."""
        self._opening.pop(key, None)
        if session is None:
            return
        self._standing[key] = session
        session.on_close = lambda: self._closed(key, session)

    def _closed(self, key: _Key, session: ChatSession) -> None:
        if self._standing.get(key) is session:
            del self._standing[key]


def invite_to_peer(parties: SessionParties, context: PartContext) -> Request:
    """An INVITE in the name of the user, but for Contact and body."""
    identity = parties.user.identity
    request = Request.new(
        "INVITE",
        parties.peer,
        (
            ("Route", context.originating_route),
            ("Max-Forwards", "70"),
            ("From", f"<{identity}>;tag={context.tokens.word(48)}"),
            ("To", f"<{parties.peer}>"),
            ("Call-ID", f"{context.tokens.word()}@{context.config.domain}"),
            ("CSeq", "1 INVITE"),
            ("P-Asserted-Identity", f"<{identity}>"),
            ("P-Asserted-Service", CPM_SESSION),
            ("Accept-Contact", accept_contact_of(CPM_SESSION)),
            *parties.ids,
            *(() if any(_is_contribution(field) for field in parties.ids) else _contribution(context)),
        ),
    )
    return as_service(request, context.service_identity, identity)


def _is_contribution(field: HeaderInput) -> bool:
    return isinstance(field, tuple) and field[0] == "Contribution-ID"


def _contribution(context: PartContext) -> tuple[HeaderInput, ...]:
    return (("Contribution-ID", context.tokens.uuid()),)


class _Opening(AwaitsAnswer):
    """An INVITE on its way, and what waits for its answer; owner of the leg, deadline."""

    __slots__ = ("_key", "_leg", "_owner", "_parties", "_services", "_waiting", "is_over")

    def __init__(self, owner: PeerSessions, services: SessionServices, key: _Key, parties: SessionParties) -> None:
        self._owner = owner
        self._services = services
        self._key = key
        self._parties = parties
        self._leg: SessionLeg | None = None
        self._waiting: list[tuple[bytes, Said]] = []
        self.is_over = False

    def add(self, body: bytes, said: Said) -> None:
        self._waiting.append((body, said))

    def start(self, now: float) -> None:
        services = self._services
        services.context.deadlines.arm(now + services.context.config.session_onward_s, self)
        self._invite(is_tls=services.offers_tls, now=now)

    def _invite(self, *, is_tls: bool, now: float) -> None:
        self._leg = SessionLeg(self._services.shared, self, is_to_user=False)
        editor = invite_to_peer(self._parties, self._services.context).edit()
        self._leg.invite(editor, OWN_OFFER, is_tls=is_tls, now=now)

    # -- the other side ----------------------------------------------------------------------------------------------

    def leg_rang(self, leg: SessionLeg, response: Response, now: float) -> None:
        """The deadline is far enough."""

    def leg_answered(self, leg: SessionLeg, response: Response, now: float) -> None:
        self.is_over = True
        session = ChatSession(self._services, self._parties, user_leg=None, net_leg=leg, now=now, stands=False)
        self._owner.opened(self._key, session)
        for body, said in self._take():
            if not session.say(CPIM_CONTENT_TYPE, body, said, now, to_user=False):
                said(_TIMED_OUT, now)

    def leg_refused(self, leg: SessionLeg, status: int, response: Response | None, now: float) -> None:
        goes_without_tls = leg.goes_without_tls(status)
        leg.abandon(now)
        if goes_without_tls:
            self._invite(is_tls=False, now=now)
        else:
            self._fail(status, now)

    def _fail(self, status: int, now: float) -> None:
        if self.is_over:
            return
        self.is_over = True
        if self._leg is not None:
            self._leg.abandon(now, 'SIP;cause=408;text="No answer"')
        self._owner.opened(self._key, None)
        self._services.book.leave(self._parties.user.key)
        for _, said in self._take():
            said(status, now)

    def _take(self) -> list[tuple[bytes, Said]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def leg_ended(self, leg: SessionLeg, end: Ended, now: float) -> None:
        if leg is self._leg:
            self._fail(_TIMED_OUT, now)

    def shut_down(self, now: float, reason: str) -> None:
        """What waits is said after the restart."""
        self._fail(_OVERLOADED, now)

    def expired(self, now: float) -> None:
        self._fail(_TIMED_OUT, now)
