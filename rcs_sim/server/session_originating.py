"""A chat session that a user of ours opens: the leg to him and the leg to the other side (digest §15.5, §19.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from ims_core.wire.msrp.media import Direction, MediaRefused
from ims_core.wire.sip.call_outputs import Ended
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.server.device_capabilities import CPM_SESSION
from rcs_sim.server.messaging_actions import Exchange
from rcs_sim.server.relayed_request import route_of_dialog
from rcs_sim.server.session_body import first_message_in
from rcs_sim.server.session_chat import ChatSession
from rcs_sim.server.session_description import OfferedMedia
from rcs_sim.server.session_interworking import NO_RCS_THERE, InterworkedSession, avoids_interworking
from rcs_sim.server.session_invite import instance_of, is_of_group, leg_headers, onward_invite
from rcs_sim.server.session_leg import AwaitsAnswer, SessionLeg
from rcs_sim.server.session_parties import SessionParties
from rcs_sim.server.session_services import SessionServices

__all__ = ["OriginatingSession", "has_fallback_tag"]

_INTERWORKED_TYPES = ("message/cpim", "application/im-iscomposing+xml")
_INTERWORKED_CONTENT = ("text/plain", "message/imdn+xml")


class OriginatingSession(AwaitsAnswer):
    """Owner of both legs until the other side has answered; deadline of that."""

    ICSI: ClassVar[str] = CPM_SESSION

    __slots__ = ("_far", "_invite", "_near", "_offered", "_parties", "_route", "_services", "has_rung", "is_over")

    def __init__(
        self, services: SessionServices, parties: SessionParties, invite: Request, offered: OfferedMedia
    ) -> None:
        self._services = services
        self._parties = parties
        self._invite = invite
        self._offered = offered
        self._route = route_of_dialog(invite) or services.context.originating_route
        self._near = SessionLeg(services.shared, self, is_to_user=True, icsi=self.ICSI, instance=instance_of(invite))
        self._far: SessionLeg | None = None
        self.has_rung = False
        self.is_over = False

    def start(self, exchange: Exchange, now: float) -> None:
        """Raises ContentRefused or SipParseError for an INVITE that makes no session."""
        services = self._services
        services.book.enter(self._parties.user.key)
        services.book.set_up(self._parties.pair)
        try:
            self._near.take(exchange, self._invite, self._offered, now)
        except Exception:
            self._leave()
            raise
        if self.is_over:
            return  # its session timer was refused
        self._begin()
        services.context.deadlines.arm(now + services.context.config.session_onward_s, self)
        self._send_on(is_tls=services.offers_tls, now=now)

    def _send_on(self, *, is_tls: bool, now: float) -> None:
        services = self._services
        self._far = self._far_leg()
        editor = onward_invite(self._invite, services.context).push("Route", self._route)
        self._far.invite(editor, self._offered.media, is_tls=is_tls, now=now)

    # -- what large message mode does otherwise ----------------------------------------------------------------------

    def _begin(self) -> None:
        self._services.book.begin(self._parties.pair, self)

    def _far_leg(self) -> SessionLeg:
        return SessionLeg(self._services.shared, self, is_to_user=False)

    def _before_answer(self, leg: SessionLeg) -> None:
        """The user is about to be answered."""

    def _established(self, leg: SessionLeg, now: float) -> None:
        chat = ChatSession(self._services, self._parties, user_leg=self._near, net_leg=leg, now=now)
        self._say_first(chat, now)

    def _say_first(self, chat: ChatSession, now: float) -> None:
        first = first_message_in(self._invite.text("Content-Type") or "", self._invite.body)
        if first is not None:
            chat.begin_with(first, self._near, now)

    # -- the other side ----------------------------------------------------------------------------------------------

    def leg_rang(self, leg: SessionLeg, response: Response, now: float) -> None:
        if not self.has_rung and response.status != 183:
            self.has_rung = True
            self._near.ring(now)

    def leg_answered(self, leg: SessionLeg, response: Response, now: float) -> None:
        remote = leg.description.remote
        assert remote is not None
        self._before_answer(leg)
        try:
            self._near.accept(
                self._offered,
                remote,
                now,
                headers=self._parties.answered_by(response),
                has_fallback=has_fallback_tag(response),
            )
        except MediaRefused as refusal:
            leg.abandon(now)
            self._refuse(refusal.status, now, refusal.why)
            return
        self._decided()
        self._services.book.settle(self._parties.pair, self)
        self._established(leg, now)
        self._note("session opened", "the other side took it")

    def leg_refused(self, leg: SessionLeg, status: int, response: Response | None, now: float) -> None:
        goes_without_tls = leg.goes_without_tls(status)
        leg.abandon(now)
        if goes_without_tls:
            self._note("session offered anew", f"{status} to TLS")
            self._send_on(is_tls=False, now=now)
            return
        if status in NO_RCS_THERE and self._interwork(now):
            return
        headers = () if response is None else leg_headers(response)
        self._near.refuse(status, now, headers)
        self._leave()

    def _interwork(self, now: float) -> bool:
        """Whether the network takes the session itself."""
        services, parties = self._services, self._parties
        interworking, sender = services.interworking, parse_uri(parties.user.identity)
        if interworking is None or self.ICSI != CPM_SESSION or not interworking.joins(sender, parties.peer):
            return False
        if avoids_interworking(self._invite) or is_of_group(self._invite):
            return False
        like = replace(
            self._offered.media,
            accept_types=_INTERWORKED_TYPES,
            accept_wrapped_types=_INTERWORKED_CONTENT,
            direction=Direction.SENDRECV,
        )
        try:
            self._near.accept(self._offered, like, now, has_fallback=True)
        except MediaRefused:
            return False
        self._decided()
        services.book.settle(parties.pair, self)
        chat = InterworkedSession(services, parties, interworking, user_leg=self._near, now=now)
        self._note("session opened", "the network takes it: the other side has no RCS")
        self._say_first(chat, now)
        return True

    def _refuse(self, status: int, now: float, why: str) -> None:
        self._near.refuse(status, now, (self._services.context.warning(why),))
        self._leave()

    # -- the user, and time ------------------------------------------------------------------------------------------

    def leg_ended(self, leg: SessionLeg, end: Ended, now: float) -> None:
        """CANCEL, or the session timer was refused; or our own refusal."""
        if leg is not self._near or self.is_over:
            return
        if self._far is not None:
            self._far.abandon(now, end.reason_header)
        self._leave()

    def expired(self, now: float) -> None:
        if self._far is not None:
            self._far.abandon(now, 'SIP;cause=408;text="No answer"')
        self._refuse(408, now, "the other side does not answer in time")

    def shut_down(self, now: float, reason: str) -> None:
        if self.is_over:
            return
        if self._far is not None:
            self._far.abandon(now, reason)
        self._refuse(503, now, "the server ends")

    def _decided(self) -> None:
        """It waits for no answer any more."""
        self.is_over = True
        self._services.book.answered(self._parties.pair)

    def _leave(self) -> None:
        """It comes to nothing."""
        if self.is_over:
            return
        self._decided()
        self._services.book.settle(self._parties.pair, self)
        self._services.book.leave(self._parties.user.key)
        self._near.close()

    def _note(self, summary: str, why: str) -> None:
        self._services.context.outbox.note(summary, why, user=self._parties.user.key)


def has_fallback_tag(message: Request | Response) -> bool:
    """Whether the network of who says this falls back to SMS (digest §8.1)."""
    return any("+g.gsma.rcs.msgfallback" in contact.lower() for contact in message.texts("Contact"))
