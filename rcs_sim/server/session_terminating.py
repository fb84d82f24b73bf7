"""A chat session for a user of ours: forked to his devices, else taken by the server itself (digest §15.5, §19.3,
§19.4)."""

from __future__ import annotations

from typing import ClassVar

from ims_core.wire.msrp.media import MediaRefused
from ims_core.wire.sip.call_outputs import Ended
from ims_core.wire.sip.core_headers import Reason
from ims_core.wire.sip.feature_tags import FeatureSet
from ims_core.wire.sip.message import REASONS, Request, Response
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.server.device_capabilities import CPM_SESSION, takes_messages, takes_sessions
from rcs_sim.server.device_offer import OfferInput, verdict_of
from rcs_sim.server.device_registry import Device
from rcs_sim.server.messaging_actions import Exchange
from rcs_sim.server.relayed_request import route_of_dialog
from rcs_sim.server.session_body import first_message_in
from rcs_sim.server.session_chat import ChatSession
from rcs_sim.server.session_description import OfferedMedia
from rcs_sim.server.session_interworking import avoids_interworking
from rcs_sim.server.session_invite import invite_for_device, is_of_group, leg_headers
from rcs_sim.server.session_leg import AwaitsAnswer, SessionLeg
from rcs_sim.server.session_originating import has_fallback_tag
from rcs_sim.server.session_parties import SessionParties
from rcs_sim.server.session_services import SessionServices

__all__ = ["TerminatingSession", "is_incapable"]

_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
_NO_ANSWER = 'SIP;cause=408;text="No answer"'
_INCAPABLE = frozenset((405, 406, 415, 416, 420, 488, 501, 505, 513, 606))


def _reason_of(status: int) -> str:
    """Why the other devices are cancelled where one has answered for the user (RFC 3326 §3.1)."""
    return str(Reason.of(status, REASONS.get(status)))


def is_incapable(status: int) -> bool:
    """Whether a device cannot take a session, so that it may get what is sent in another way."""
    return status in _INCAPABLE


class TerminatingSession(AwaitsAnswer):
    """Owner of all legs until a device has answered or none will; deadline of that."""

    ICSI: ClassVar[str] = CPM_SESSION

    __slots__ = (
        "_branches",
        "_invite",
        "_near",
        "_offered",
        "_parties",
        "_refusals",
        "_route",
        "_services",
        "_takes_texts",
        "_until",
        "has_rung",
        "is_over",
    )

    def __init__(
        self, services: SessionServices, parties: SessionParties, invite: Request, offered: OfferedMedia
    ) -> None:
        self._services = services
        self._parties = parties
        self._invite = invite
        self._offered = offered
        self._route = route_of_dialog(invite) or services.context.terminating_route
        self._near = SessionLeg(services.shared, self, is_to_user=False, icsi=self.ICSI)
        self._branches: dict[SessionLeg, Device] = {}
        self._refusals: list[tuple[int, Response | None]] = []
        self._takes_texts = False
        self._until = 0.0
        self.has_rung = False
        self.is_over = False

    def start(self, exchange: Exchange, devices: list[Device], now: float) -> None:
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
        self._until = now + services.context.config.session_fork_s
        services.context.deadlines.arm(self._until, self)
        for device in devices:
            if device.features is None or self._is_for(device.features):
                self._send_to(device, is_tls=services.offers_tls, now=now)
            elif takes_messages(device.features):
                self._takes_texts = True
        if not self._branches:
            self._conclude(now)

    def _send_to(self, device: Device, *, is_tls: bool, now: float) -> None:
        services = self._services
        leg = self._user_leg(device)
        self._branches[leg] = device
        identity = self._parties.user.identity
        editor = invite_for_device(self._invite, services.context, device, identity, self._route)
        has_fallback = has_fallback_tag(self._invite)
        leg.invite(editor, self._offered.media, is_tls=is_tls, now=now, has_fallback=has_fallback)

    # -- what large message mode does otherwise ----------------------------------------------------------------------

    def _is_for(self, features: FeatureSet) -> bool:
        """Whether a device can be invited."""
        return takes_sessions(features)

    def _user_leg(self, device: Device) -> SessionLeg:
        return SessionLeg(self._services.shared, self, is_to_user=True, instance=device.instance)

    def _before_answer(self, leg: SessionLeg) -> None:
        """The sender is about to be answered, as that device took it."""

    def _established(self, leg: SessionLeg | None, now: float) -> None:
        chat = ChatSession(self._services, self._parties, user_leg=leg, net_leg=self._near, now=now)
        first = first_message_in(self._invite.text("Content-Type") or "", self._invite.body)
        if first is not None:
            chat.begin_with(first, self._near, now)

    # -- the devices -------------------------------------------------------------------------------------------------

    def leg_rang(self, leg: SessionLeg, response: Response, now: float) -> None:
        if self.has_rung or response.status == 183:
            return
        self.has_rung = True
        self._near.ring(now)
        self._until = now + self._services.context.config.session_ringing_s

    def leg_answered(self, leg: SessionLeg, response: Response, now: float) -> None:
        """The first wins."""
        remote = leg.description.remote
        assert remote is not None
        del self._branches[leg]
        self._abandon_all(now, _ELSEWHERE)
        self._before_answer(leg)
        try:
            headers = self._parties.answered_by(response)
            self._near.accept(self._offered, remote, now, headers=headers, has_fallback=has_fallback_tag(response))
        except MediaRefused as refusal:
            leg.abandon(now)
            self._refuse(refusal.status, now, refusal.why)
            return
        self._decided()
        self._established(leg, now)
        self._note("session opened", f"{leg.instance or 'the device'} took it")

    def leg_refused(self, leg: SessionLeg, status: int, response: Response | None, now: float) -> None:
        device, goes_without_tls = self._branches.pop(leg), leg.goes_without_tls(status)
        leg.abandon(now)
        if goes_without_tls:
            self._note("session offered anew", f"{status} to TLS")
            self._send_to(device, is_tls=False, now=now)
            return
        self._refusals.append((status, response))
        if status >= 600:
            self._abandon_all(now, _reason_of(status))  # no device of the user takes it (RFC 3261 §16.7 step 5)
        if not self._branches:
            self._conclude(now)

    def _abandon_all(self, now: float, reason: str | None) -> None:
        branches, self._branches = self._branches, {}
        for leg in branches:
            leg.abandon(now, reason)

    # -- without a device --------------------------------------------------------------------------------------------

    def _conclude(self, now: float) -> None:
        """No device took it. What a user or his device declined stays declined; else the server may take it."""
        declined = [
            (status, response)
            for status, response in self._refusals
            if verdict_of(status) is OfferInput.REFUSED and not is_incapable(status)
        ]
        if declined:
            self._relay(*min(declined, key=lambda refusal: (refusal[0] < 600, refusal[0])), now)
        elif self._is_interworked():
            self._accept(now, has_fallback=True)
        elif self._may_be_stored() or self._may_be_converted():
            self._accept(now)
        elif self._refusals:
            self._relay(*min(self._refusals, key=lambda refusal: refusal[0]), now)
        else:
            self._refuse(480, now, "no device of the recipient takes sessions at present")

    def _may_be_stored(self) -> bool:
        config = self._services.context.config
        return config.accepts_for_absent and config.has_store_and_forward and not is_of_group(self._invite)

    def _may_be_converted(self) -> bool:
        """Whether a device that is there has no sessions and gets each message by itself, for which there need be no
        store."""
        is_chat = self.ICSI == CPM_SESSION and not is_of_group(self._invite)
        return self._takes_texts and is_chat and self._services.context.config.accepts_for_absent

    def _is_interworked(self) -> bool:
        """Whether what comes will leave as short messages (§19.8 step 5), because no RCS device of the user is known or
        because his network does that for RCS users too."""
        interworking, falls_back = self._services.interworking, self._services.context.config.falls_back
        if interworking is None or self.ICSI != CPM_SESSION:
            return False
        if avoids_interworking(self._invite) or is_of_group(self._invite):
            return False
        parties = self._parties
        return (falls_back or interworking.serves(parties.user.key)) and interworking.joins(
            parties.asserted[0], parse_uri(parties.user.identity)
        )

    def _accept(self, now: float, *, has_fallback: bool = False) -> None:
        """On behalf of the user: each message goes to the devices in another way, or into the store (§19.4 step 2)."""
        try:
            self._near.accept(self._offered, self._offered.media, now, has_fallback=has_fallback)
        except MediaRefused as refusal:
            self._refuse(refusal.status, now, refusal.why)
            return
        self._decided()
        self._established(None, now)
        self._note("session opened", "the server took it for the user")

    def _relay(self, status: int, response: Response | None, now: float) -> None:
        self._near.refuse(status, now, () if response is None else leg_headers(response))
        self._leave()

    def _refuse(self, status: int, now: float, why: str) -> None:
        self._near.refuse(status, now, (self._services.context.warning(why),))
        self._leave()

    # -- the sender, and time ----------------------------------------------------------------------------------------

    def leg_ended(self, leg: SessionLeg, end: Ended, now: float) -> None:
        """CANCEL, or the session timer was refused; or our own refusal."""
        if leg is self._near and not self.is_over:
            self._abandon_all(now, end.reason_header)
            self._leave()

    def expired(self, now: float) -> None:
        if now < self._until:
            self._services.context.deadlines.arm(self._until, self)
            return
        self._refusals.extend((408, None) for _ in self._branches)
        self._abandon_all(now, _NO_ANSWER)
        self._conclude(now)

    def shut_down(self, now: float, reason: str) -> None:
        if not self.is_over:
            self._abandon_all(now, reason)
            self._refuse(503, now, "the server ends")

    def _decided(self) -> None:
        """It waits for no answer any more."""
        self.is_over = True
        self._services.book.answered(self._parties.pair)

    def _leave(self) -> None:
        """It comes to nothing."""
        if not self.is_over:
            self._decided()
            self._services.book.leave(self._parties.user.key)
            self._near.close()

    def _note(self, summary: str, why: str) -> None:
        self._services.context.outbox.note(summary, why, user=self._parties.user.key)
