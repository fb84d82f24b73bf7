"""What both ends of a call have in common: state, dialog, requests inside it, and the ways in which it ends
(RFC 3261 §12.2, §15).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.address_headers import To
from ims_core.wire.sip.call_outputs import (
    Authorize,
    CallConfig,
    CallOutput,
    Confirmed,
    Ended,
    EndReason,
    Refused,
    Released,
    Respond,
    SendAck,
    SendRequest,
    Uniform,
)
from ims_core.wire.sip.call_table import CallAction, CallIgnored, CallInput, CallState, CallTable
from ims_core.wire.sip.core_headers import Allow, CSeq, Reason, RetryAfter
from ims_core.wire.sip.dialog import Dialog
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.header import Header
from ims_core.wire.sip.message import HeaderInput, Request, Response, SipMessage
from ims_core.wire.sip.offer_answer import Description, OfferAnswer, OfferInput, OfferState, description_of
from ims_core.wire.sip.response_repeater import Repeat, SuccessRepeater
from ims_core.wire.sip.session_timer import TIMER_OPTION, SessionTimer

__all__ = ["CallMachine", "Sent", "reason_header_of"]

INVITE_USAGE: Final = "invite"
_MAX_CHALLENGES: Final = 2  # for one request: a second one comes with a new nonce after stale=true (RFC 3261 §22.2)
_CREDENTIALS: Final = ("Authorization", "Proxy-Authorization")
_NOT_IN_ACK: Final = "p-access-network-info"
_BYE_TRIES: Final = 3  # transactions that a BYE may last, with challenges, before nobody waits for it any more
_RETRY_AFTER_S: Final = 10  # RFC 3261 §14.2: 0 to 10 s after a 500
_KEPT_OF_INVITE: Final = frozenset(("from", "to", "call-id", "cseq", "authorization", "proxy-authorization"))
_NO_ACK_REASON: Final = Reason.of(408, "No ACK")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request of ours inside a dialog that has no final answer yet."""

    request: Request
    dialog: Dialog
    challenges: int = 0


class CallMachine:
    """One end of a call along its table. Outputs are collected until `take`."""

    __slots__ = (
        "_authorize",
        "_is_told",
        "_outputs",
        "_peer_allow",
        "_sent",
        "allow",
        "config",
        "contact",
        "dialog",
        "invite",
        "is_local_answer",
        "local",
        "offers",
        "reason",
        "refresh_offer",
        "release_at",
        "remote",
        "repeater",
        "state",
        "timer",
        "uniform",
    )

    TABLE: ClassVar[CallTable] = {}
    IGNORED: ClassVar[CallIgnored] = frozenset()
    IS_OUTGOING: ClassVar[bool]

    def __init__(
        self, invite: Request, contact: str, config: CallConfig, uniform: Uniform, authorize: Authorize | None
    ) -> None:
        self.invite = invite
        self.contact = contact
        self.config = config
        self.uniform = uniform
        self.state = CallState.PREPARATIVE
        self.dialog: Dialog | None = None
        self.timer = SessionTimer(config.session)
        self.offers = OfferAnswer()
        self.local: Description | None = None
        self.remote: Description | None = None
        self.is_local_answer = False
        self.refresh_offer: Description | None = None
        self.allow = ", ".join(config.allow)
        self._peer_allow: tuple[str, ...] | None = None  # of a header value that many calls share
        self.repeater: SuccessRepeater | None = None
        self.release_at = inf
        self._authorize = authorize
        self._is_told = False
        self._outputs: list[CallOutput] = []
        self.reason: tuple[HeaderInput, ...] = ()  # of the BYE or CANCEL to come
        self._sent: dict[tuple[str, int, str], Sent] = {}

    # --- state and outputs -------------------------------------------------------------------------------------------

    @property
    def is_told(self) -> bool:
        """Whether the owner has heard that the call is over."""
        return self._is_told

    @property
    def is_released(self) -> bool:
        """Whether nothing can come any more."""
        return self.state is CallState.ENDED and self.release_at == inf

    @property
    def is_unanswered(self) -> bool:
        return self.state in (CallState.PREPARATIVE, CallState.EARLY)

    def step(self, event: CallInput, now: float) -> CallAction:
        """Goes along one arrow. Raises LocalProtocolError if there is none."""
        if (self.state, event) in self.IGNORED:
            return CallAction.NOTHING
        found = self.TABLE.get((self.state, event))
        if found is None:
            text = f"{type(self).__name__} in {self.state.name} cannot take {event.name}"
            raise LocalProtocolError(text, spec="RFC 3261 §13")
        before, (self.state, action) = self.state, found
        if self.state is not before and self.state in (CallState.MORTAL, CallState.ENDED):
            self._wind_up(now)
        return action

    def emit(self, *outputs: CallOutput) -> None:
        self._outputs += outputs

    def take(self) -> list[CallOutput]:
        """The outputs so far; none are left afterwards."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _wind_up(self, now: float) -> None:
        """What is still on its way, such as a late 2xx, is waited for (RFC 3261 §13.2.2.4)."""
        timeout_s = self.config.timers.timeout_s
        self.repeater = None
        if self.state is CallState.MORTAL:
            self.release_at = now + _BYE_TRIES * timeout_s
            return
        self.release_at = now + timeout_s
        if self.dialog is not None:
            self.dialog.end_usage(INVITE_USAGE)

    # --- messages ----------------------------------------------------------------------------------------------------

    def adopt(self, dialog: Dialog) -> None:
        """The dialog that the call runs in."""
        self.dialog = dialog
        dialog.begin_usage(INVITE_USAGE)

    @property
    def standing_dialog(self) -> Dialog:
        """The dialog of a call that was answered."""
        if self.dialog is None:
            raise LocalProtocolError("the call has no dialog yet", spec="RFC 3261 §12")
        return self.dialog

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog of this call that a request is in. Raises SipParseError."""
        return self.dialog if self.dialog is not None and self.dialog.is_about(request) else None

    def session_fields(self) -> tuple[HeaderInput, ...]:
        """What INVITE, UPDATE and their 2xx carry (RFC 3261 §13.2.1, §13.3.1.4)."""
        return (("Contact", self.contact), ("Allow", self.allow), ("Supported", TIMER_OPTION))

    def send(
        self,
        method: str,
        headers: Iterable[HeaderInput] = (),
        description: Description | None = None,
        *,
        dialog: Dialog | None = None,
    ) -> Request:
        """The next request inside the dialog."""
        dialog = dialog or self.standing_dialog
        octets, content_type = (b"", None) if description is None else (description.octets, description.content_type)
        request = dialog.request(method, (*self.config.headers, *headers), octets, content_type)
        self._expect(Sent(request, dialog))
        return request

    def acknowledge(self, invite: Request, dialog: Dialog, description: Description | None = None) -> Request:
        """The ACK to a 2xx to an INVITE of ours, with its credentials (RFC 3261 §13.2.2.4)."""
        credentials = [(name, text) for name in _CREDENTIALS for text in invite.texts(name)]
        fixed = [field for field in self.config.headers if _name_of(field) != _NOT_IN_ACK]
        octets, content_type = (b"", None) if description is None else (description.octets, description.content_type)
        ack = dialog.ack(invite, (*credentials, *fixed), octets, content_type)
        self.emit(SendAck(ack))
        return ack

    def respond(
        self,
        request: Request,
        status: int,
        headers: Iterable[HeaderInput] = (),
        description: Description | None = None,
        *,
        to_tag: str | None = None,
    ) -> Response:
        """Answers a request of the peer."""
        octets, content_type = (b"", None) if description is None else (description.octets, description.content_type)
        fields = (*headers, *self.config.response_headers)
        response = Response.to(request, status, to_tag=to_tag, headers=fields, body=octets, content_type=content_type)
        self.emit(Respond(request, response))
        return response

    def refuse_glare(self, request: Request, status: int) -> None:
        """491, or 500 after which the peer tries again within 10 s (RFC 3261 §14.2)."""
        wait_s = min(int(self.uniform(0, _RETRY_AFTER_S + 1)), _RETRY_AFTER_S)
        self.respond(request, status, (RetryAfter(wait_s),) if status == 500 else ())

    def agree(self, local: Description | None, remote: Description | None, *, is_answer: bool) -> None:
        """What the sides say of the session from now on; None leaves it. *is_answer*: ours answers theirs."""
        self.local = self.refresh_offer = local or self.local
        self.remote = remote or self.remote
        self.is_local_answer = is_answer

    def note_peer(self, message: SipMessage) -> None:
        """What the peer says of itself in INVITE, UPDATE and their 2xx."""
        try:
            allow = message.get(Allow)
        except SipParseError:
            return
        if allow is not None:
            self._peer_allow = allow.tokens

    @property
    def peer_allow(self) -> frozenset[str] | None:
        """The methods that the peer takes; None if it has not said."""
        return None if self._peer_allow is None else frozenset(self._peer_allow)

    @peer_allow.setter
    def peer_allow(self, methods: frozenset[str]) -> None:
        self._peer_allow = tuple(sorted(methods))

    def shorten_invite(self) -> None:
        """The call stands: what is still needed of its INVITE is kept, which for a long session is little."""
        self.invite = self.invite.outline(_KEPT_OF_INVITE)

    # --- requests of ours inside the dialog --------------------------------------------------------------------------

    def find_sent(self, message: SipMessage) -> Sent | None:
        """The request of ours inside a dialog that *message*, a response or that request itself, is about. A response
        that has lost its tag is taken if only one request can be meant. Raises SipParseError."""
        cseq = message.cseq
        found = self._sent.get((cseq.method, cseq.number, _remote_tag(message)))
        if found is not None:
            return found
        alike = [each for key, each in self._sent.items() if key[:2] == (cseq.method, cseq.number)]
        return alike[0] if len(alike) == 1 else None

    def settle(self, sent: Sent) -> None:
        """It has its final answer, or none will come."""
        self._sent.pop(_key(sent), None)

    def authorize(self, request: Request, response: Response, tries: int, cseq: int) -> Request | None:
        """*request* again, with that sequence number and credentials for the challenge in *response*."""
        if response.status not in (401, 407) or self._authorize is None or tries >= _MAX_CHALLENGES:
            return None
        again = self._authorize(request, response)
        return None if again is None else again.edit().set(CSeq(cseq, request.method)).done()

    def authorize_sent(self, sent: Sent, response: Response) -> Request | None:
        """Sends a request inside a dialog again that was challenged. None if it cannot be."""
        cseq = (sent.dialog.local_cseq or 0) + 1
        again = self.authorize(sent.request, response, sent.challenges, cseq)
        if again is not None:
            sent.dialog.local_cseq = cseq
            self._expect(Sent(again, sent.dialog, sent.challenges + 1))
        return again

    def _expect(self, sent: Sent) -> None:
        self._sent[_key(sent)] = sent
        self.emit(SendRequest(sent.request))

    # --- the end -----------------------------------------------------------------------------------------------------

    def leave(self, event: CallInput, now: float, why: Ended, reason: tuple[HeaderInput, ...] = ()) -> CallAction:
        """An input that may end the call. *reason* goes into the BYE or CANCEL, now or when one may be sent."""
        action = self.step(event, now)
        if action is not CallAction.NOTHING:
            self.reason = reason
            self.depart(action, now)
            self._tell(why)
        return action

    def bye_received(self, bye: Request, now: float) -> None:
        """BYE in the dialog of the call."""
        self.respond(bye, 200)
        self.leave(CallInput.BYE, now, Ended(EndReason.PEER_HUNG_UP, reason_header_of(bye)))

    def depart(self, action: CallAction, now: float) -> None:
        """Does what the table says about an end."""
        if action is CallAction.SEND_BYE:
            self.send_bye()

    def send_bye(self) -> None:
        self.send("BYE", self.reason)

    def tell_refused(self, output: Refused) -> None:
        """Our INVITE has failed: said once, and never after Ended."""
        self._tell(output)

    def _tell(self, why: Ended | Refused) -> None:
        if not self._is_told:
            self._is_told = True
            self.timer.stop()
            self.emit(why)

    # --- the 2xx that waits for its ACK ------------------------------------------------------------------------------

    def repeat_until_ack(self, request: Request, response: Response, now: float, *, is_quiet: bool = False) -> None:
        """A 2xx to INVITE has gone out."""
        self.repeater = SuccessRepeater(request, response, self.config.timers, now, is_quiet=is_quiet)

    def ack_received(self, ack: Request | None, now: float) -> None:
        """The ACK to the 2xx that is being repeated, or (None) another sign that the peer has it."""
        repeater = self.repeater
        if repeater is None or (ack is not None and ack.cseq.number != repeater.request.cseq.number):
            return
        self.repeater = None
        if self.offers.state is OfferState.LOCAL_OFFER:
            self.offers.step(OfferInput.RECEIVE_ANSWER)
            self.agree(None, None if ack is None else description_of(ack), is_answer=False)
        self.confirm_success(repeater, ack, now)

    def confirm_success(self, repeater: SuccessRepeater, ack: Request | None, now: float) -> None:
        """The peer has our 2xx."""
        if not repeater.is_quiet:
            self.emit(Confirmed(ack))

    # --- the clock ---------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When to call `handle_deadline`; infinity = never."""
        repeater = self.repeater
        return self.release_at if repeater is None else min(self.release_at, repeater.next_deadline())

    def handle_deadline(self, now: float) -> None:
        """The repetition of a 2xx, and the end of waiting."""
        if self.release_at <= now:
            self._release(now)
        repeater = self.repeater
        if repeater is None:
            return
        what = repeater.handle_deadline(now)
        if what is Repeat.SEND:
            self.emit(Respond(repeater.request, repeater.response))
        elif what is Repeat.GIVE_UP:
            self.repeater = None
            self.leave(CallInput.NO_ACK, now, Ended(EndReason.NO_ACK), (_NO_ACK_REASON,))

    def _release(self, now: float) -> None:
        if self.state is CallState.MORTAL:
            self.step(CallInput.BYE_DONE, now)
        else:
            self.release_at = inf
            self.emit(Released())


def reason_header_of(request: Request) -> str | None:
    """The Reason of a BYE or CANCEL as one text to be passed on (RFC 3326); None if there is none that can be read."""
    try:
        reasons = request.get_all(Reason)
    except SipParseError:
        return None
    return ", ".join(map(str, reasons)) or None


def _key(sent: Sent) -> tuple[str, int, str]:
    cseq = sent.request.cseq
    return cseq.method, cseq.number, sent.dialog.remote_party.tag or ""


def _remote_tag(message: SipMessage) -> str:
    """To of our requests and of the responses to them."""
    return message.require(To).tag or ""


def _name_of(field: HeaderInput) -> str:
    return field.KEY if isinstance(field, Header) else field[0].lower()
