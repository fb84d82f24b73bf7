"""MESSAGE and OPTIONS of one of our users (digest §15.5, column "originating")."""

from __future__ import annotations

from ims_core.wire.sip.feature_tags import AcceptContact
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import PAssertedService, Via
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import SipUri, Uri, parse_uri
from rcs_sim.server.deferred import StoreAndForward
from rcs_sim.server.device_capabilities import CPM_MSG, CPM_SYSTEM
from rcs_sim.server.device_copy import send_copy
from rcs_sim.server.device_offer import DeviceOffer
from rcs_sim.server.device_registry import Device
from rcs_sim.server.interworking import Interworking
from rcs_sim.server.messaging_actions import Exchange, Respond, SendRequest
from rcs_sim.server.pager_content import ContentKind, ContentRefused, PagerContent, read_pager
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.passing_message import PassingMessage
from rcs_sim.server.rate_limit import RateLimit
from rcs_sim.server.relayed_request import (
    copied_headers,
    ids_of,
    name_service,
    relay,
    route_of_dialog,
    supply_ids,
    wrap_bare_body,
)
from rcs_sim.server.served_users import ServedUser, key_of_uri
from rcs_sim.wire.imdn import ImdnStatus

__all__ = ["OriginatingMessages"]

_NO_RCS_THERE = (404, 405)
# RFC 4320 §4.2: nobody but an INVITE client is sent a 408. 480 tells the same (digest §8.6) and goes through (choice)
_TIMED_OUT: HeaderInput = ("Reason", 'SIP;cause=408;text="Request Timeout"')
_ICSI_TAG = "+g.3gpp.icsi-ref"
_SEEN_BY_DEVICE = (ImdnStatus.DELIVERED, ImdnStatus.DISPLAYED)


class OriginatingMessages:
    """Checks in the order of the table, then relays and returns the answer of the other side."""

    __slots__ = ("_context", "_forward", "_interworking", "_rate")

    def __init__(self, context: PartContext, forward: StoreAndForward, interworking: Interworking | None) -> None:
        self._context = context
        self._forward = forward
        self._interworking = interworking
        self._rate = RateLimit(context.config.rate_per_s, context.config.rate_burst)

    def receive(self, exchange: Exchange, request: Request, user: ServedUser, now: float) -> None:
        """A MESSAGE that *user* sends."""
        try:
            target = request.request_uri
            content = self._checked(request, user, key_of_uri(target), now)
        except SipParseError as error:
            self._context.refuse(exchange, 400, str(error))
        except ContentRefused as refusal:
            self._context.refuse(exchange, refusal.status, refusal.text, refusal.headers)
        else:
            if self._is_taken(exchange, request, user, content, now):
                return
            if content.kind is ContentKind.RECEIPT:
                self.match_receipts(request, user, content, key_of_uri(target), now)
            self._relay(exchange, request, user, content, now)

    def _is_taken(
        self, exchange: Exchange, request: Request, user: ServedUser, content: PagerContent, now: float
    ) -> bool:
        """Whether the focus of the conversation, which is here, has taken it, or no phone may say that."""
        focus = self._context.ways.focus
        if focus is None or not focus.looks_at(content, is_from_user=True):
            return False
        peer = key_of_uri(request.request_uri)
        instance = self._instance_of(request, user, now)
        passing = PassingMessage(user, peer, content, True, ids_of(request, (user.key, peer)), None, instance)
        if focus.takes(passing, now):
            self._context.outbox.respond(exchange, 200)
            return True
        return False

    def _instance_of(self, request: Request, user: ServedUser, now: float) -> str:
        devices = self._context.devices.reachable(user.key, now)
        return next((device.instance for device in devices if _sent_by(request, device)), "")

    # -- checks (403 service, 400 content, 413 size, 403 blocked, 503 rate) --------------------------------------------

    def _checked(self, request: Request, user: ServedUser, target: str, now: float) -> PagerContent:
        """Raises ContentRefused."""
        self._check_service(request, user)
        content = read_pager(request)
        limit = self._context.config.pager_max_octets
        if content.kind is ContentKind.CHAT and len(request.body) > limit:
            raise ContentRefused(413, f"{len(request.body)} octets: a pager message has at most {limit}")
        if target in user.blocked:
            raise ContentRefused(403, "the recipient is blocked")
        if content.kind is ContentKind.CHAT and not self._rate.allows(user.key, now):
            retry = (("Retry-After", str(self._context.config.retry_after_s)),)
            raise ContentRefused(503, "too many messages in a short time", retry)
        return content

    def _check_service(self, request: Request, user: ServedUser) -> None:
        if user.is_barred:
            raise ContentRefused(403, "the subscriber is barred")
        for service in _services_of(request):
            if "oma.cpm." in service and service not in user.services:
                raise ContentRefused(403, f"no service {service}"[:150])

    # -- relaying ----------------------------------------------------------------------------------------------------

    def _relay(self, exchange: Exchange, request: Request, user: ServedUser, content: PagerContent, now: float) -> None:
        context = self._context
        editor = relay(request, context.tokens, context.config.domain)
        supply_ids(request, editor, (user.key, key_of_uri(request.request_uri)), context.tokens)
        if content.is_bare:
            wrap_bare_body(editor, content, context.tokens, now)
            name_service(request, editor, CPM_SYSTEM if content.kind is ContentKind.REVOCATION else CPM_MSG)
        onward = editor.push("Route", route_of_dialog(request) or context.originating_route).done()
        errand = _Relay(self, exchange, onward, content, user)
        context.outbox.add(SendRequest(onward, errand))
        context.deadlines.arm(now + context.config.relay_answer_s, errand)

    def query(self, exchange: Exchange, request: Request, user: ServedUser, now: float) -> None:
        """OPTIONS that *user* sends: relayed, its Contact with the feature tags kept."""
        context = self._context
        contacts = request.texts("Contact")
        editor = relay(request, context.tokens, context.config.domain)
        for contact in contacts:
            editor.append("Contact", contact)
        onward = editor.push("Route", route_of_dialog(request) or context.originating_route).done()
        errand = _Relay(self, exchange, onward, None, user)
        context.outbox.add(SendRequest(onward, errand))
        context.deadlines.arm(now + context.config.relay_answer_s, errand)

    def answered(self, relayed: _Relay, status: int, response: Response | None, now: float) -> None:
        """The other side's answer: back to the user, or, where nobody takes RCS there, the text goes by SMS."""
        if status in _NO_RCS_THERE and self._interwork(relayed, status, response, now):
            return
        self._respond(relayed.exchange, status, response, relayed.content is None)

    def _respond(self, exchange: Exchange, status: int, response: Response | None, is_query: bool) -> None:
        if status == 408:
            self._context.refuse(exchange, 480, "the other side does not answer in time", (_TIMED_OUT,))
            return
        if response is None:
            self._context.refuse(exchange, status, "the other side cannot be reached")
            return
        headers = copied_headers(response)
        if is_query:
            headers = (*headers, *(("Contact", contact) for contact in response.texts("Contact")))
        body_type = response.text("Content-Type") if response.body else None
        body = response.body if body_type else b""
        self._context.outbox.add(Respond(exchange, status, headers, response.reason, body=body, content_type=body_type))

    def _interwork(self, relayed: _Relay, status: int, response: Response | None, now: float) -> bool:
        content = relayed.content
        if self._interworking is None or content is None:
            return False

        def submitted(is_accepted: bool, then: float) -> None:
            if is_accepted:
                self._context.outbox.note(
                    "message interworked", f"the other side answered {status}", content.message_id
                )
                self._context.outbox.respond(relayed.exchange, 202)
            else:
                self._respond(relayed.exchange, status, response, False)

        return self._interworking.submit(relayed.request, content, parse_uri(relayed.user.identity), submitted, now)

    # -- receipts ----------------------------------------------------------------------------------------------------

    def match_receipts(
        self, request: Request, user: ServedUser, content: PagerContent, target: str, now: float, *, instance: str = ""
    ) -> None:
        """What *user* received is not waiting any more; the user's other devices learn what was displayed. *instance*:
        the device that it comes from, where *request* does not tell."""
        devices = self._context.devices.reachable(user.key, now)
        if self._context.mailboxes.get(user.key) is None and len(devices) < 2:
            return
        for receipt in content.receipts:
            if receipt.status in _SEEN_BY_DEVICE:
                self._forward.receipt(user.key, target, receipt.message_id, now)
        if len(devices) > 1 and any(receipt.status == ImdnStatus.DISPLAYED for receipt in content.receipts):
            others = [device for device in devices if not (instance and device.instance == instance)]
            self._tell_other_devices(request, user, content, others, now)

    def _tell_other_devices(
        self, request: Request, user: ServedUser, content: PagerContent, devices: list[Device], now: float
    ) -> None:
        """A copy of a display receipt, so that they clear the badge (digest §5.1)."""
        context = self._context
        editor = relay(request, context.tokens, context.config.domain)
        if content.is_bare:
            wrap_bare_body(editor, content, context.tokens, now)
        template = editor.done()
        for device in devices:
            if not _sent_by(request, device):
                offer = DeviceOffer(_Courtesy(), device, now)
                send_copy(context, offer, template, user.identity, context.terminating_route, now)


class _Relay:
    """A request on its way to the other side; errand and deadline."""

    __slots__ = ("_owner", "content", "exchange", "is_over", "request", "user")

    def __init__(
        self,
        owner: OriginatingMessages,
        exchange: Exchange,
        request: Request,
        content: PagerContent | None,
        user: ServedUser,
    ) -> None:
        self._owner = owner
        self.exchange = exchange
        self.request = request
        self.content = content
        self.user = user
        self.is_over = False

    def finished(self, status: int, response: Response | None, now: float) -> None:
        if not self.is_over:
            self.is_over = True
            self._owner.answered(self, status, response, now)

    def expired(self, now: float) -> None:
        self.finished(408, None, now)


class _Courtesy:
    """A copy for another device of the sender: nobody waits for it."""

    __slots__ = ()

    def taken(self, offer: DeviceOffer, now: float) -> None:
        """Fine."""

    def absent(self, offer: DeviceOffer, status: int, now: float) -> None:
        """It will ask for nothing: the badge stays until the chat is opened there."""

    def refused(self, offer: DeviceOffer, status: int, response: Response | None, now: float) -> None:
        """As absent."""

    def settled(self, offer: DeviceOffer, now: float) -> None:
        """As absent."""


def _services_of(request: Request) -> list[str]:
    """The CPM services that a request is for: P-Asserted-Service, else Accept-Contact (digest §17.1)."""
    try:
        asserted = [value.urn for value in request.get_all(PAssertedService)]
        if asserted:
            return asserted
        accepted = request.get_all(AcceptContact)
    except SipParseError:
        return []
    return [value for accept in accepted for tag, values in accept.terms if tag == _ICSI_TAG for value in values]


def _sent_by(request: Request, device: Device) -> bool:
    """Whether the request came from that device: its first Via names the host and port of the device's Contact."""
    try:
        first = request.get_all(Via)[-1]
        contact: Uri = parse_uri(device.contact)
    except (SipParseError, IndexError):
        return False
    if not isinstance(contact, SipUri):
        return False
    hosts = {first.host.lower(), (first.received or first.host).lower()}
    ports = {first.port or 5060, first.rport or first.port or 5060}
    return contact.host.lower() in hosts and (contact.port or 5060) in ports
