"""Session mode of the messaging server: what comes of an INVITE, and of what belongs to one (digest §15.5)."""

from __future__ import annotations

from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import SipUri
from rcs_sim.server.deferred import StoreAndForward
from rcs_sim.server.device_registry import Device
from rcs_sim.server.interworking import Interworking
from rcs_sim.server.messaging_actions import Exchange
from rcs_sim.server.originating import OriginatingMessages
from rcs_sim.server.pager_content import ContentRefused, without_encoding
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.rate_limit import RateLimit
from rcs_sim.server.served_users import ServedUser, key_of_uri
from rcs_sim.server.session_book import Pair, SessionBook
from rcs_sim.server.session_call import CallBook
from rcs_sim.server.session_case import SessionCase
from rcs_sim.server.session_delivery import SessionHandOut
from rcs_sim.server.session_description import OfferedMedia, read_offer
from rcs_sim.server.session_invite import is_large, is_of_group, services_of, with_ids
from rcs_sim.server.session_large import OriginatingLarge, TerminatingLarge
from rcs_sim.server.session_leg import LegOwner, SessionContext, SessionLeg
from rcs_sim.server.session_media import SessionMedia
from rcs_sim.server.session_originating import OriginatingSession
from rcs_sim.server.session_parties import SessionParties
from rcs_sim.server.session_services import SessionServices
from rcs_sim.server.session_terminating import TerminatingSession
from rcs_sim.server.session_to_peer import PeerSessions
from rcs_sim.server.terminating import TerminatingMessages

__all__ = ["Sessions"]

_REFUSED_IN_DIALOG = 481
_SHUT_DOWN = 'SIP;cause=503;text="The network is shutting down"'


class Sessions:
    """A `SessionPart`."""

    __slots__ = ("_invites", "_leaving", "_services")

    def __init__(
        self,
        context: PartContext,
        media: SessionMedia,
        originating: OriginatingMessages,
        terminating: TerminatingMessages,
        forward: StoreAndForward,
        interworking: Interworking | None = None,
    ) -> None:
        config = context.config
        self._services = SessionServices(
            SessionContext(context, media, CallBook()),
            SessionBook(config.session_max_per_user, config.session_max_total),
            RateLimit(config.rate_per_s, config.rate_burst),
            originating,
            terminating,
            forward,
            interworking,
        )
        self._invites = RateLimit(config.session_rate_per_s, config.session_rate_burst)
        self._leaving: list[LegOwner] | None = None  # sessions that are still to be told that the server ends
        context.ways.by_session = SessionHandOut(self._services)
        context.ways.to_peer = PeerSessions(self._services)

    @property
    def services(self) -> SessionServices:
        """To be read only."""
        return self._services

    @property
    def is_idle(self) -> bool:
        return not len(self._services.book)

    def shut_down(self, now: float, at_most: int) -> bool:
        """BYE or CANCEL on every leg; connections close after what is under way."""
        if self._leaving is None:
            self._services.book.close()
            users = self._services.shared.calls.users
            self._leaving = list(dict.fromkeys(user.owner for user in users if isinstance(user, SessionLeg)))
        leaving, self._leaving = self._leaving[:at_most], self._leaving[at_most:]
        for owner in leaving:
            owner.shut_down(now, _SHUT_DOWN)
        return bool(self._leaving)

    # -- INVITE ------------------------------------------------------------------------------------------------------

    def invite(self, exchange: Exchange, request: Request, case: SessionCase, user: ServedUser, now: float) -> None:
        is_originating = case is SessionCase.ORIGINATING
        try:
            request = without_encoding(request)
            self._check(request, user, is_originating=is_originating, now=now)
            (self._originate if is_originating else self._terminate)(exchange, request, user, now)
        except ContentRefused as refusal:
            self._services.context.refuse(exchange, refusal.status, refusal.text, refusal.headers)

    def _check(self, request: Request, user: ServedUser, *, is_originating: bool, now: float) -> None:
        """Raises ContentRefused: 403 service, 503 rate and number; content and blocking are looked at later."""
        context = self._services.context
        retry = (("Retry-After", str(context.config.retry_after_s)),)
        if user.is_barred:
            raise ContentRefused(403, "the subscriber is barred")
        known = frozenset(service.lower() for service in user.services)
        for service in services_of(request) if is_originating else ():
            if service not in known:
                raise ContentRefused(403, f"no service {service}"[:150])
        if is_originating and not self._services.rate.allows(user.key, now):
            raise ContentRefused(503, "too many messages and sessions in a short time", retry)
        if not self._services.shared.media.is_in_service:
            raise ContentRefused(503, "the MSRP relay is out of service", retry)
        is_full = len(self._services.shared.calls) >= context.config.session_max_calls
        if is_full or not self._services.book.has_room(user.key):
            raise ContentRefused(503, "there is no room for another session", retry)

    def _originate(self, exchange: Exchange, request: Request, user: ServedUser, now: float) -> None:
        target = key_of_uri(request.request_uri)
        if target in user.blocked:
            raise ContentRefused(403, "the recipient is blocked")
        offered = read_offer(request.text("Content-Type") or "", request.body)
        invite = with_ids(request, (user.key, target), self._services.context)
        parties = SessionParties.called_by(user, invite)
        self._check_pair(parties.pair, user.key, now)
        self._check_offer(invite, offered)
        kind = OriginatingLarge if is_large(invite) else OriginatingSession
        kind(self._services, parties, invite, offered).start(exchange, now)

    def _terminate(self, exchange: Exchange, request: Request, user: ServedUser, now: float) -> None:
        services, context = self._services, self._services.context
        parties = SessionParties.calling(user, request)
        if parties is None:
            raise ContentRefused(400, "no readable P-Asserted-Identity or From")
        if parties.peer_key in user.blocked:
            raise ContentRefused(403, "the recipient takes no messages from this sender")
        self._check_pair(parties.pair, f"{parties.peer_key} {user.key}", now)
        devices = self._devices(request, user.key, now)
        if not devices and is_of_group(request):
            raise ContentRefused(480, "the recipient is not registered")  # the focus stores for its members (§19.6)
        if services.book.is_glare(parties.pair) and not is_large(request):
            raise ContentRefused(491, "the recipient is inviting the sender")
        offered = read_offer(request.text("Content-Type") or "", request.body)
        invite = with_ids(request, (parties.peer_key, user.key), context)
        parties = SessionParties.calling(user, invite) or parties
        self._check_offer(invite, offered)
        kind = TerminatingLarge if is_large(invite) else TerminatingSession
        kind(services, parties, invite, offered).start(exchange, devices, now)

    def _check_pair(self, pair: Pair, caller: str, now: float) -> None:
        """Raises ContentRefused with 503 for INVITEs that come too fast, or while too many wait for an answer."""
        config = self._services.context.config
        retry = (("Retry-After", str(config.retry_after_s)),)
        if self._services.book.setting_up(pair) >= config.session_max_pending:
            raise ContentRefused(503, "too many invitations without an answer", retry)
        if not self._invites.allows(caller, now):
            raise ContentRefused(503, "too many invitations in a short time", retry)

    def _check_offer(self, invite: Request, offered: OfferedMedia) -> None:
        """Raises ContentRefused for a large message without an offer: who sends it knows what it is (choice)."""
        if offered.description is None and is_large(invite):
            raise ContentRefused(488, "large message mode without an offer")

    def _devices(self, request: Request, owner: str, now: float) -> list[Device]:
        """The registered devices; only the one that a pub-gruu names (RFC 5627)."""
        devices = self._services.context.devices.reachable(owner, now)
        uri = request.request_uri
        if isinstance(uri, SipUri) and uri.params.has("gr"):
            return [device for device in devices if device.gruu == request.request_uri_text]
        return devices

    # -- in a dialog -------------------------------------------------------------------------------------------------

    def knows(self, request: Request) -> bool:
        return self._services.shared.calls.of_request(request) is not None

    def in_dialog(self, exchange: Exchange, request: Request, now: float) -> None:
        call = self._services.shared.calls.of_request(request)
        if call is None:
            self._services.context.outbox.respond(exchange, _REFUSED_IN_DIALOG)
        else:
            call.request(exchange, request, now)

    def cancel(self, exchange: Exchange, cancel: Request, invite: Exchange | None, now: float) -> None:
        call = None if invite is None else self._services.shared.calls.of_invite(invite)
        if call is None:
            self._services.context.outbox.respond(exchange, _REFUSED_IN_DIALOG)
        else:
            call.request(exchange, cancel, now)

    def acknowledge(self, ack: Request, now: float) -> None:
        call = self._services.shared.calls.of_request(ack)
        if call is not None:
            call.acknowledge(ack, now)

    def stray_response(self, response: Response, now: float) -> None:
        call = self._services.shared.calls.of_response(response)
        if call is not None:
            call.response(response, now)
