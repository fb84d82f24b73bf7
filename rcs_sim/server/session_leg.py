"""One leg of a session: a call with one party, and its side of the media anchor (digest §15.5, §17.3).

The server is a B2BUA: each leg has its own dialog, SDP, session timer and MSRP connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ims_core.reference_points import LegEnd, MediaLeg, MediaSide
from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.media import MediaRefused, MsrpMedia
from ims_core.wire.msrp.session_events import MessageFailed, MessageReceived, OutgoingMessage, Reported
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_outputs import (
    CALL_METHODS,
    Answered,
    CallConfig,
    Confirmed,
    Ended,
    Modified,
    ModifyRefused,
    Offered,
    Received,
    Refused,
    Ringing,
)
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.offer_answer import Description
from ims_core.wire.sip.session_timer import SessionTimerConfig
from rcs_sim.server.device_capabilities import CPM_LARGE, CPM_SESSION
from rcs_sim.server.messaging_actions import Exchange
from rcs_sim.server.pager_content import ContentRefused
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.session_call import CallBook, CallEvent, SessionCall
from rcs_sim.server.session_description import LegDescription, OfferedMedia
from rcs_sim.server.session_media import SessionMedia

__all__ = ["NOBODY", "AwaitsAnswer", "LegOwner", "SessionContext", "SessionLeg"]

_SDP_TYPE = "application/sdp"
_ALLOW = (*CALL_METHODS, "OPTIONS")
_LARGEST_SDP_NUMBER = 2**53
_NOT_FOR_TLS = (415, 488, 606)
"""How a peer refuses an offer for TLS that may take one without (RFC 3261 §21.4.26)."""


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions of a server share."""

    context: PartContext
    media: SessionMedia
    calls: CallBook

    @property
    def offers_tls(self) -> bool:
        """Whether our offers are for TLS."""
        return self.context.config.msrp_tls and self.media.offers_tls

    def contact(self, icsi: str, *, has_fallback: bool = False) -> str:
        """Contact of a new leg. What it says of fallback decides how the phone falls back (digest §8.1): who speaks for
        a user says whether that user's network does it, who speaks to him what the other side has said."""
        uri = f"sip:pf-leg-{self.calls.next_number()}@{self.media.contact_address()}"
        tag = f'+g.3gpp.icsi-ref="{icsi.replace(":", "%3A")}"'
        fallback = ";+g.gsma.rcs.msgfallback" if has_fallback else ""
        return f"<{uri}>;{tag};+g.gsma.rcs.msgrevoke{fallback}"

    def call_config(self, *, is_to_user: bool) -> CallConfig:
        """A device may forget its session timer, and leave UPDATE unanswered (real clients, rows 9 and 10)."""
        config = self.context.config
        timer = SessionTimerConfig(
            interval_s=config.session_expires_s, min_se_s=config.session_min_se_s, tolerates_silence=is_to_user
        )
        return CallConfig(session=timer, allow=_ALLOW)


class LegOwner(Protocol):
    """Whoever a leg belongs to."""

    def leg_rang(self, leg: SessionLeg, response: Response, now: float) -> None: ...

    def leg_answered(self, leg: SessionLeg, response: Response, now: float) -> None:
        """The peer took our offer, and the side of the anchor is open."""
        ...

    def leg_refused(self, leg: SessionLeg, status: int, response: Response | None, now: float) -> None:
        """Our INVITE has failed."""
        ...

    def leg_ended(self, leg: SessionLeg, end: Ended, now: float) -> None:
        """Its call is over, by either side."""
        ...

    def message_received(self, leg: SessionLeg, message: MessageReceived, now: float) -> None: ...

    def message_sent(self, leg: SessionLeg, message_id: str, now: float) -> None: ...

    def message_failed(self, leg: SessionLeg, failure: MessageFailed, now: float) -> None: ...

    def message_reported(self, leg: SessionLeg, report: Reported, now: float) -> None:
        """The far end has it, or some of it."""
        ...

    def media_ended(self, leg: SessionLeg, end: LegEnd, now: float) -> None: ...

    def shut_down(self, now: float, reason: str) -> None:
        """The server ends: so do all legs, with *reason* in BYE and CANCEL."""
        ...


class AwaitsAnswer:
    """The part of an owner whose INVITE has no final answer: there are no messages yet."""

    __slots__ = ()

    def message_received(self, leg: SessionLeg, message: MessageReceived, now: float) -> None:
        leg.settle(message.delivery, 481)

    def message_sent(self, leg: SessionLeg, message_id: str, now: float) -> None:
        """None was."""

    def message_failed(self, leg: SessionLeg, failure: MessageFailed, now: float) -> None:
        """None was sent."""

    def message_reported(self, leg: SessionLeg, report: Reported, now: float) -> None:
        """None was sent."""

    def media_ended(self, leg: SessionLeg, end: LegEnd, now: float) -> None:
        """The answer to the INVITE tells."""


class _Nobody:
    """Owner of a leg that is only waited for: a device that was not needed."""

    __slots__ = ()

    def leg_rang(self, leg: SessionLeg, response: Response, now: float) -> None:
        """Too late."""

    def leg_answered(self, leg: SessionLeg, response: Response, now: float) -> None:
        """The call ends it by itself: it was cancelled."""

    def leg_refused(self, leg: SessionLeg, status: int, response: Response | None, now: float) -> None:
        """As was to be expected."""

    def leg_ended(self, leg: SessionLeg, end: Ended, now: float) -> None:
        """As was to be expected."""

    def message_received(self, leg: SessionLeg, message: MessageReceived, now: float) -> None:
        """Its sender has no answer, and will send it elsewhere."""

    def message_sent(self, leg: SessionLeg, message_id: str, now: float) -> None:
        """Nobody asks any more."""

    def message_failed(self, leg: SessionLeg, failure: MessageFailed, now: float) -> None:
        """Nobody asks any more."""

    def message_reported(self, leg: SessionLeg, report: Reported, now: float) -> None:
        """Nobody asks any more."""

    def media_ended(self, leg: SessionLeg, end: LegEnd, now: float) -> None:
        """Nobody asks any more."""

    def shut_down(self, now: float, reason: str) -> None:
        """It ends already."""


NOBODY: LegOwner = _Nobody()


class SessionLeg:
    """*is_to_user*: it leads to the own subscriber, not to the other side of the session. *instance*: the device, if
    known. *side*: the side of a bridge; without it whole messages go in and out here."""

    __slots__ = (
        "_answer",
        "_awaits_answer",
        "_icsi",
        "_media_leg",
        "_shared",
        "call",
        "description",
        "instance",
        "is_media_over",
        "is_to_user",
        "owner",
        "says_goodbye",
    )

    def __init__(
        self,
        shared: SessionContext,
        owner: LegOwner,
        *,
        is_to_user: bool,
        icsi: str = CPM_SESSION,
        instance: str = "",
        side: MediaSide | None = None,
    ) -> None:
        self._shared = shared
        self._icsi = icsi
        self.owner = owner
        self.is_to_user = is_to_user
        self.instance = instance
        self.is_media_over = False
        self._awaits_answer = False  # the offer was in our 2xx
        self._answer: Response | None = None  # to our INVITE, while another offer is on its way
        self.says_goodbye = False  # a BYE or CANCEL of ours is on the way
        self.call: SessionCall | None = None
        config = shared.context.config
        self._media_leg: MediaLeg | None = None
        limit = config.large_max_octets if icsi == CPM_LARGE else config.session_max_octets
        if side is None:
            side = self._media_leg = shared.media.leg(self, max_octets=limit)
        self.description = LegDescription(side, shared.context.tokens.number(1, _LARGEST_SDP_NUMBER), limit)

    @property
    def is_up(self) -> bool:
        """Whether messages can go out."""
        return not self.is_media_over and self.call is not None and not self.call.is_over

    def use(self, side: MediaSide) -> None:
        """The side of a bridge in the place of its own, before its offer or answer."""
        self.description.close()
        self._media_leg = None
        self.description = self.description.at(side)

    # -- as called party ---------------------------------------------------------------------------------------------

    def take(self, exchange: Exchange, invite: Request, offered: OfferedMedia, now: float) -> None:
        """An INVITE of the peer with a usable offer. It is over at once if its session timer is refused. Raises
        ContentRefused if nobody could connect, SipParseError if it can make no dialog."""
        shared = self._shared
        self.description.check(offered, offers_tls=shared.media.offers_tls)
        call = Call.incoming(
            invite,
            shared.context.tokens.word(),
            contact=self._contact(),
            uniform=shared.context.tokens.uniform,
            config=shared.call_config(is_to_user=self.is_to_user),
        )
        self.call = self._run(call)
        self.call.begin(exchange, now)

    def ring(self, now: float) -> None:
        """180 to the INVITE."""
        if self.call is not None:
            self.call.run(self.call.call.ring(now), now)

    def accept(
        self,
        offered: OfferedMedia,
        like: MsrpMedia,
        now: float,
        *,
        headers: tuple[HeaderInput, ...] = (),
        has_fallback: bool = False,
    ) -> None:
        """200 to the INVITE. Raises MediaRefused."""
        assert self.call is not None
        self._awaits_answer = offered.description is None
        if self._awaits_answer:
            body = self.description.offer(like, is_tls=self._shared.offers_tls)
        else:
            body = self.description.answer(offered, like)
        if has_fallback:
            self.call.contact = self._contact(has_fallback=True)
        outputs = self.call.call.answer(body, now, headers=headers)
        self._offer_at_refresh()
        self.call.run(outputs, now)

    def refuse(self, status: int, now: float, headers: tuple[HeaderInput, ...] = ()) -> None:
        """Another answer to the INVITE."""
        if self.call is not None and not self.call.is_over:
            self.call.run(self.call.call.refuse(status, now, headers=headers), now)

    # -- as calling party --------------------------------------------------------------------------------------------

    def invite(
        self, template: Editor[Request], like: MsrpMedia, *, is_tls: bool, now: float, has_fallback: bool = False
    ) -> None:
        """Sends an INVITE: *template* with Contact and offer."""
        shared = self._shared
        body = self.description.offer(like, is_tls=is_tls)
        invite = template.set("Contact", self._contact(has_fallback=has_fallback)).body(body, _SDP_TYPE).done()
        call = Call.outgoing(
            invite,
            uniform=shared.context.tokens.uniform,
            config=shared.call_config(is_to_user=self.is_to_user),
        )
        self.call = self._run(call)
        self.call.run(call.start(now), now)

    def goes_without_tls(self, status: int) -> bool:
        """Whether an offer that was refused with *status* may be made again without TLS."""
        local, is_there = self.description.local, self._shared.media.is_in_service
        return status in _NOT_FOR_TLS and local is not None and local.is_tls and is_there

    def _contact(self, *, has_fallback: bool = False) -> str:
        speaks_for_user = not self.is_to_user and self._shared.context.config.falls_back
        return self._shared.contact(self._icsi, has_fallback=has_fallback or speaks_for_user)

    def _offer_at_refresh(self) -> None:
        offered = self.description.as_offer
        if offered and self.call is not None:
            self.call.call.refresh_offer = Description(offered)

    def _run(self, call: Call) -> SessionCall:
        context = self._shared.context
        return SessionCall(self._shared.calls, context.outbox, context.deadlines, call, self)

    # -- its end -----------------------------------------------------------------------------------------------------

    def hang_up(self, now: float, reason: str | None = None) -> None:
        """BYE or CANCEL, whatever its state. The side of the anchor stays until `close`."""
        if self.call is not None and not self.call.is_over:
            self.says_goodbye = True
            self.call.run(self.call.call.bye(now, reason=reason), now)

    def close(self) -> None:
        """The side of the anchor ends after what is under way."""
        self.is_media_over = True
        self.description.close()

    def abandon(self, now: float, reason: str | None = None) -> None:
        """Ends all of it, and nobody is told any more."""
        self.owner = NOBODY
        self.hang_up(now, reason)
        self.close()

    # -- messages ----------------------------------------------------------------------------------------------------

    def send(self, message: OutgoingMessage) -> None:
        if self._media_leg is not None and not self.is_media_over:
            self._media_leg.send(message)

    def settle(self, delivery: Delivery, status: int = 200, *, reports: bool = True) -> None:
        if self._media_leg is not None:
            self._media_leg.settle(delivery, status, reports=reports)

    def report(self, delivery: Delivery, status: int) -> None:
        if self._media_leg is not None and not self.is_media_over:
            self._media_leg.report(delivery, status)

    # -- TimedLegUser ------------------------------------------------------------------------------------------------

    def message_received(self, message: MessageReceived, now: float) -> None:
        self.owner.message_received(self, message, now)

    def message_sent(self, message_id: str, now: float) -> None:
        self.owner.message_sent(self, message_id, now)

    def message_failed(self, failure: MessageFailed, now: float) -> None:
        self.owner.message_failed(self, failure, now)

    def message_reported(self, report: Reported, now: float) -> None:
        self.owner.message_reported(self, report, now)

    def media_ended(self, end: LegEnd, now: float) -> None:
        self.is_media_over = True
        self.owner.media_ended(self, end, now)

    # -- CallUser ----------------------------------------------------------------------------------------------------

    def call_event(self, event: CallEvent, now: float) -> None:
        match event:
            case Ringing(response):
                self.owner.leg_rang(self, response, now)
            case Answered(response):
                self._answered(response, now)
            case Modified(response):
                self._reoffered(response, now)
            case ModifyRefused():
                self._reoffer_refused(now)
            case Confirmed(ack):
                self._confirmed(ack, now)
            case Refused(status, response):
                self.owner.leg_refused(self, status, response, now)
            case Offered(request):
                self._offered(request, now)
            case Received(request):
                assert self.call is not None
                # a capability query is answered (RFC 3261 §11.2); messages go by MSRP or outside of the dialog
                status = 200 if request.method == "OPTIONS" else 405
                self.call.answer_other(request, status, (("Allow", ", ".join(_ALLOW)),))
            case Ended():
                self.owner.leg_ended(self, event, now)
            case _:
                pass  # Refreshed, Released and the like change nothing here

    def _answered(self, response: Response, now: float) -> None:
        assert self.call is not None
        try:
            self._take_answer(response)
        except MediaRefused as refusal:
            if refusal.is_cema_in_the_way and self.call.call.can_offer:
                self._answer = response
                self.call.run(self.call.call.reinvite(self.description.offer_without_cema(), now), now)
            else:
                self._fail(refusal.why, now)
            return
        self.owner.leg_answered(self, response, now)

    def _take_answer(self, message: Request | Response) -> None:
        """Raises MediaRefused."""
        self.description.take_answer(message.body, message.text("Content-Type") or "")
        self._offer_at_refresh()

    def _fail(self, why: str, now: float) -> None:
        owner, self.owner = self.owner, NOBODY
        self.hang_up(now, _no_media(why))
        owner.leg_refused(self, 488, None, now)

    def _reoffered(self, response: Response, now: float) -> None:
        """The answer to the offer without CEMA."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        try:
            self._take_answer(response)
        except MediaRefused as refusal:
            self._fail(refusal.why, now)
            return
        self.owner.leg_answered(self, answer, now)

    def _reoffer_refused(self, now: float) -> None:
        if self._answer is not None:
            self._answer = None
            self._fail("an anchor without CEMA is in the way", now)

    def _confirmed(self, ack: Request | None, now: float) -> None:
        """The ACK carries the answer if the offer was in our 2xx."""
        if not self._awaits_answer:
            return
        self._awaits_answer = False
        try:
            if ack is None:
                raise MediaRefused("no answer in an ACK")
            self._take_answer(ack)
        except MediaRefused as refusal:
            self.hang_up(now, _no_media(refusal.why))

    def _offered(self, request: Request, now: float) -> None:
        """A further INVITE or UPDATE with an offer, or an INVITE that asks for one: each leg for itself."""
        assert self.call is not None
        call, said = self.call.call, self.call.call.local_description
        if said is not None:
            self.description.said(said.octets)
        try:
            if request.body:
                body = self.description.answer_again(request.text("Content-Type") or "", request.body)
            else:
                body = self.description.as_offer
            outputs = call.answer(body, now)
            self._offer_at_refresh()
        except ContentRefused as refusal:
            warning = self._shared.context.warning(refusal.text)
            outputs = call.refuse(refusal.status, now, headers=(warning, *refusal.headers))
        self.call.run(outputs, now)


def _no_media(why: str) -> str:
    text = why[:80].replace('"', "'").replace("\\", "/")
    return f'SIP;cause=488;text="{text}"'
