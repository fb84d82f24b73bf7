"""Capability discovery of a phone: OPTIONS both ways (RCC.07 §2.6, digest §3.1)."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.transport.link import Flow
from ims_core.transport.sip_stack import Outcome, ServerTransaction
from ims_core.wire.sip.address_headers import Contact
from ims_core.wire.sip.core_headers import RetryAfter, Warning
from ims_core.wire.sip.feature_tags import FeatureSet
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import Uri
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.capabilities import CapabilityCache, Occasion, OptionsEffect, PeerTags, options_effect
from rcs_sim.client.contact import CPM_MESSAGE, accept_contact
from rcs_sim.client.fallback import LatchEvent
from rcs_sim.client.identity import ContactKey, request_uri_text, sender_of
from rcs_sim.client.register_request import ALLOW
from rcs_sim.client.user_agent import UserAgent, outcome_of, redirection_of

__all__ = ["Discovery", "is_stored_nowhere", "retry_after_of", "tags_of"]

_MISCELLANEOUS = 399  # RFC 3261 §20.43: the code of whatever is told in words
_SESSION = "ims.icsi.oma.cpm.session"


class Discovery:
    """Asks and answers. *learned* is called after every final answer, and after an OPTIONS of a peer, with what it
    means for the contact's latch."""

    __slots__ = ("_alarms", "_cache", "_learned", "_ua")

    def __init__(
        self,
        ua: UserAgent,
        cache: CapabilityCache,
        alarms: Alarms,
        learned: Callable[[ContactKey, LatchEvent | None], None],
    ) -> None:
        self._ua = ua
        self._cache = cache
        self._alarms = alarms
        self._learned = learned
        ua.handlers["OPTIONS"] = self.options_received

    def ask_if_due(self, contact: ContactKey, occasion: Occasion) -> bool:
        """Sends an OPTIONS unless what is known is good enough, or asking is on hold."""
        if not self._cache.should_ask(contact, occasion, self._alarms.now()):
            return False
        self._cache.entry(contact).asked(self._alarms.now())
        ua = self._ua
        target = request_uri_text(contact, ua.policy.messaging.request_uri, ua.account.home_domain)
        service = _SESSION if _SESSION in ua.policy.features.icsi else CPM_MESSAGE
        headers: tuple[HeaderInput, ...] = (
            ("Contact", ua.contact_header),
            ("Accept-Contact", accept_contact(service)),
            ("Accept", "application/sdp"),
            ("Allow", ALLOW),
        )
        self._send(contact, ua.new_request("OPTIONS", target, headers), None, may_repeat=True)
        return True

    def options_received(self, request: Request, server: ServerTransaction, flow: Flow) -> None:
        """Handler for OPTIONS: both sides learn at once."""
        self._ua.respond_to_options(server)
        sender = sender_of(request, self._ua.account.home_domain.lower())
        if sender is not None:
            event = self._cache.asked_by(sender[0], tags_of(request), self._alarms.now())
            if event is not None:
                self._learned(sender[0], event)

    def _send(self, contact: ContactKey, request: Request, target: Uri | None, *, may_repeat: bool) -> None:
        def settle(outcome: Outcome, sent: Request) -> None:
            if not (may_repeat and self._repeat(contact, outcome, sent)):
                self._answered(contact, outcome)

        self._ua.send(request, settle, target=target)

    def _repeat(self, contact: ContactKey, outcome: Outcome, request: Request) -> bool:
        """Follows a redirection once; asks once more over a new flow."""
        effect = options_effect(outcome_of(outcome))
        again = request.edit().set("Call-ID", self._ua.tokens.word())
        if effect is OptionsEffect.RETRY:
            self._send(contact, again.done(), None, may_repeat=False)
            return True
        uri = redirection_of(outcome) if isinstance(outcome, Response) else None
        if effect is not OptionsEffect.FOLLOW or uri is None or not isinstance(outcome, Response):
            return False
        if outcome.status == 305:
            self._send(contact, again.done(), uri, may_repeat=False)
        else:
            self._send(contact, again.request_uri(uri).done(), None, may_repeat=False)
        return True

    def _answered(self, contact: ContactKey, outcome: Outcome) -> None:
        now = self._alarms.now()
        if isinstance(outcome, Response):
            tags = tags_of(outcome) if outcome.status < 300 else PeerTags()
            retry_after_s = retry_after_of(outcome)
            event = self._cache.answered(contact, outcome.status, now, tags=tags, retry_after_s=retry_after_s)
        else:
            event = self._cache.answered(contact, outcome_of(outcome), now)
        self._learned(contact, event)


def tags_of(message: Request | Response) -> PeerTags:
    """The tags of all Contacts: several devices answer with the union of theirs."""
    try:
        contacts = message.get_all(Contact)
    except SipParseError:
        return PeerTags()
    features = FeatureSet()
    for contact in contacts:
        features = features.union(FeatureSet.of_contact(contact)) if features else FeatureSet.of_contact(contact)
    return PeerTags.of(features)


def is_stored_nowhere(response: Response) -> bool:
    """Whether the answer to a message says that nobody has it: the 480 of a server that explains itself by Warning 399.
    One that stores answers 202, and a time-out on the way leaves it open (digest §8.6 rows 408 and 480)."""
    if response.status != 480:
        return False
    try:
        return any(warning.code == _MISCELLANEOUS for warning in response.get_all(Warning))
    except SipParseError:
        return False


def retry_after_of(response: Response) -> float | None:
    """Retry-After in seconds; None if it is absent or malformed."""
    try:
        value = response.get(RetryAfter)
    except SipParseError:
        return None
    return None if value is None else float(value.seconds)
