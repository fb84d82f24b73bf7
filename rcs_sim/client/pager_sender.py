"""Puts messages and revocations on the wire in pager mode, first and again (digest §4.4, §5.4, §8.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ims_core.transport.sip_stack import Outcome
from ims_core.wire.sip.core_headers import Accept, ProxyRequire, Require, Unsupported, is_acceptable
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import Uri
from rcs_sim.client.fallback import Step
from rcs_sim.client.identity import ContactKey, is_number, request_uri_text
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.pager import (
    compose_revocation,
    compose_text,
    date_time_of,
    message_headers,
    wishes_about_change,
    wishes_of,
)
from rcs_sim.client.sealing import must_stay_sealed
from rcs_sim.client.user_agent import FinalOutcome, UserAgent, redirection_of
from rcs_sim.devices.policy import CpimIdentity, DevicePolicy
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["PagerSender"]

_PLAIN_TEXT = "text/plain;charset=UTF-8"


class PagerSender:
    """*answered* gets the final outcome of each MESSAGE with content; *revoke_refused* a revocation nobody took."""

    __slots__ = ("_answered", "_policy", "_revoke_refused", "_ua", "_wishes")

    def __init__(
        self,
        ua: UserAgent,
        policy: DevicePolicy,
        configuration: RcsConfiguration,
        *,
        answered: Callable[[SentMessage, Outcome], None],
        revoke_refused: Callable[[SentMessage], None],
    ) -> None:
        self._ua = ua
        self._policy = policy.messaging
        self._wishes = wishes_of(policy.messaging, allows_display=configuration.display_notification_switch == 0)
        self._answered = answered
        self._revoke_refused = revoke_refused

    def target(self, peer: ContactKey) -> str:
        """Request-URI for *peer*."""
        return request_uri_text(peer, self._policy.request_uri, self._ua.account.home_domain)

    @property
    def wishes(self) -> tuple[str, ...]:
        """imdn.Disposition-Notification of content."""
        return self._wishes

    def compose(self, message: SentMessage) -> bytes:
        """The CPIM body of *message*, composed once."""
        if not message.cpim:
            is_anonymous = self._policy.cpim_identity is CpimIdentity.ANONYMOUS
            message.cpim = compose_text(
                message.text,
                sender=ANONYMOUS_URI if is_anonymous else self._ua.account.shown_identity,
                recipient=ANONYMOUS_URI if is_anonymous else self.target(message.conversation.peer),
                message_id=message.wire_id,
                date_time=message.date_time,
                wishes=self._wishes if message.change is None else wishes_about_change(self._wishes),
                sealed=message.sealed,
                about=message.about,
            )
        return message.cpim

    def send(self, message: SentMessage) -> None:
        """A new MESSAGE: new Call-ID, the same imdn.Message-ID."""
        conversation = message.conversation
        headers = message_headers(conversation.id, message.contribution_id)
        target = self.target(conversation.peer)
        self._send(message, self._ua.new_request("MESSAGE", target, headers, self.compose(message), CPIM_CONTENT_TYPE))

    def resend(self, message: SentMessage) -> None:
        """The retry that the decision about the last answer asks for."""
        request, response = message.last_request, message.last_response
        if request is None or response is None:
            self.send(message)
            return
        match message.delivery.decision.step:
            case Step.AUTHENTICATE:
                self._send_or_give_up(message, self._ua.authorized(request, response), response)
            case Step.FOLLOW:
                self._follow(message, request, response)
            case Step.DROP_OPTION:
                self._send(message, _without_options(request, response, self._ua.tokens.word()))
            case _:
                self.send(message)

    def revoke(self, message: SentMessage) -> None:
        """MessageRevokeRequest, in pager mode even where a session is open."""
        ua, conversation = self._ua, message.conversation
        cpim = compose_revocation(
            message.id,
            _tel_or_sip(ua.account.number),
            _tel_or_sip(conversation.peer),
            ua.tokens.uuid(),
            date_time_of(ua.wall_clock.now()),
        )
        headers = message_headers(conversation.id, message.contribution_id, is_system=True)
        request = ua.new_request("MESSAGE", self.target(conversation.peer), headers, cpim, CPIM_CONTENT_TYPE)

        def settle(outcome: Outcome, sent: Request) -> None:
            if not isinstance(outcome, Response) or outcome.status >= 300:
                self._revoke_refused(message)

        ua.send(request, settle)

    def send_octets(
        self,
        peer: ContactKey,
        headers: Iterable[HeaderInput],
        body: bytes,
        content_type: str,
        on_final: FinalOutcome,
    ) -> None:
        """A MESSAGE that is none of the user's: *on_final* is called once."""
        self._ua.send(self._ua.new_request("MESSAGE", self.target(peer), headers, body, content_type), on_final)

    def _send(self, message: SentMessage, request: Request, target: Uri | None = None) -> None:
        def settle(outcome: Outcome, sent: Request) -> None:
            is_change = message.change is not None  # bare, it would be a text of its own
            may_be_bare = not is_change and not must_stay_sealed(message) and not message.conversation.is_encrypted
            if may_be_bare and self._wants_plain_text(sent, outcome):
                body = message.text.encode("utf-8", "replace")
                plain = self._ua.new_request("MESSAGE", sent.request_uri_text, (), body, _PLAIN_TEXT)
                self._send(message, plain, target)
                return
            if isinstance(outcome, Response) and outcome.status >= 300:
                message.last_request, message.last_response = sent, outcome
            else:
                message.last_request = message.last_response = None
            self._answered(message, outcome)

        self._ua.send(request, settle, target=target, authenticates=False)

    @staticmethod
    def _wants_plain_text(sent: Request, outcome: Outcome) -> bool:
        """Whether the 415 of a plain SIP contact asks for the text as it is, without CPIM and so without receipts: it
        lists text/plain in Accept (RFC 3261 §8.1.3.5)."""
        if not isinstance(outcome, Response) or outcome.status != 415 or _is_plain(sent):
            return False
        try:
            return is_acceptable("text/plain", outcome.get_all(Accept))
        except SipParseError:
            return False

    def _send_or_give_up(self, message: SentMessage, again: Request | None, response: Response) -> None:
        if again is None:
            self._answered(message, response)
        else:
            self._send(message, again)

    def _follow(self, message: SentMessage, request: Request, response: Response) -> None:
        uri = redirection_of(response)
        again = request.edit().set("Call-ID", self._ua.tokens.word())
        if uri is None:
            self._answered(message, response)
        elif response.status == 305:
            self._send(message, again.done(), uri)
        else:
            self._send(message, again.request_uri(uri).done())


def _is_plain(request: Request) -> bool:
    return request.content_type is not None and request.content_type.type == "text/plain"


def _tel_or_sip(key: ContactKey) -> str:
    return f"tel:{key}" if is_number(key) else str(key)


def _without_options(request: Request, response: Response, call_id: str) -> Request:
    """*request* without the option tags that a 420 names; without any if it names none."""
    try:
        refused = response.get(Unsupported)
    except SipParseError:
        refused = None
    names = {token.lower() for token in refused.tokens} if refused is not None else set()
    editor = request.edit().set("Call-ID", call_id)
    for header in (Require, ProxyRequire):
        value = request.get(header)
        kept = [token for token in value.tokens if token.lower() not in names] if value is not None and names else []
        editor = editor.set(header.NAME, ", ".join(kept)) if kept else editor.remove(header.NAME)
    return editor.done()
