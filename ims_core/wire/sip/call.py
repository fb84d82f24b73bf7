"""A call: the INVITE usage of a dialog, at either end, driven by messages and by a clock of the owner (RFC 3261 §13 to
§15, RFC 3262, RFC 3311, RFC 3326, RFC 4028, RFC 5407).

The owner hands in what comes and the outcome of what it sent, carries the outputs out in their order, calls
`handle_deadline` when `next_deadline` has come, and drops the call at Released. The transactions are the owner's: they
send a request or its answer again, and acknowledge a final response other than 2xx.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final, Self

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.address_headers import From, To
from ims_core.wire.sip.call_changes import SessionChanges
from ims_core.wire.sip.call_incoming import IncomingCall
from ims_core.wire.sip.call_machine import CallMachine, Sent
from ims_core.wire.sip.call_outgoing import OutgoingCall
from ims_core.wire.sip.call_outputs import Authorize, CallConfig, CallOutput, Ended, EndReason, Received, Uniform
from ims_core.wire.sip.call_table import CallInput, CallState
from ims_core.wire.sip.core_headers import Reason
from ims_core.wire.sip.dialog import Dialog, DialogVerdict
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response, SipMessage
from ims_core.wire.sip.offer_answer import SDP_TYPE, Description
from ims_core.wire.sip.session_timer import SessionTimer

__all__ = ["Call"]

_DEFAULT_CONFIG: Final = CallConfig()


class Call:
    """One call at one end, made by `outgoing` or `incoming`; `start` is the first thing to call.

    Nothing that a peer sends raises. What the owner asks of a call that has ended meanwhile is passed over; what makes
    no sense at all raises LocalProtocolError.
    """

    __slots__ = ("_changes", "_incoming", "_machine", "_outgoing")

    def __init__(self, machine: OutgoingCall | IncomingCall) -> None:
        self._machine: CallMachine = machine
        self._outgoing = machine if isinstance(machine, OutgoingCall) else None
        self._incoming = machine if isinstance(machine, IncomingCall) else None
        self._changes = SessionChanges(machine)

    @classmethod
    def outgoing(
        cls,
        invite: Request,
        *,
        uniform: Uniform,
        config: CallConfig = _DEFAULT_CONFIG,
        authorize: Authorize | None = None,
    ) -> Self:
        """A call of ours. *invite* has all that an INVITE needs but Via; Allow, Supported and the session timer are
        added where they are missing. With a body it makes the offer, without one the peer does (RFC 3261 §13.2.1).

        *authorize* answers challenges to any request of the call; without it they end in Refused or ModifyRefused.
        Raises SipParseError for a malformed *invite*."""
        return cls(OutgoingCall(invite, config, uniform, authorize))

    @classmethod
    def incoming(
        cls,
        invite: Request,
        to_tag: str,
        *,
        contact: str,
        uniform: Uniform,
        config: CallConfig = _DEFAULT_CONFIG,
        authorize: Authorize | None = None,
    ) -> Self:
        """A call of the peer. *to_tag* is ours in all responses, *contact* the text of our Contact.

        What RFC 3261 §8.2 asks of any UAS is the owner's: 100rel and timer count as supported. Raises SipParseError, to
        be answered with 400, if *invite* cannot make a dialog."""
        return cls(IncomingCall(invite, to_tag, contact, config, uniform, authorize))

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def state(self) -> CallState:
        return self._machine.state

    @property
    def is_outgoing(self) -> bool:
        return self._machine.IS_OUTGOING

    @property
    def is_over(self) -> bool:
        """Whether Ended or Refused was told."""
        return self._machine.is_told

    @property
    def is_released(self) -> bool:
        """Whether Released was told."""
        return self._machine.is_released

    @property
    def invite(self) -> Request:
        """The INVITE that makes the call, as it went out last. Once it stands, no more is kept of it than From, To,
        Call-ID, CSeq and credentials."""
        return self._machine.invite

    @property
    def call_id(self) -> str:
        return self._machine.invite.call_id

    @property
    def local_tag(self) -> str:
        """Ours, by which the owner finds the call, with the Call-ID."""
        if self._incoming is not None:
            return self._incoming.local_tag
        return self._machine.invite.require(From).tag or ""

    @property
    def dialog(self) -> Dialog | None:
        """The dialog of the call, for requests of other usages in it; None before our INVITE has its 2xx."""
        return self._machine.dialog

    @property
    def session_timer(self) -> SessionTimer:
        """To be read only."""
        return self._machine.timer

    @property
    def local_description(self) -> Description | None:
        """What we said last of the session, in an offer or in an answer."""
        return self._machine.local

    @property
    def remote_description(self) -> Description | None:
        """What the peer said last, if it was a whole body."""
        return self._machine.remote

    @property
    def refresh_offer(self) -> Description | None:
        """What a re-INVITE offers that only refreshes the session timer: `local_description` unless it was set since,
        to what means the same as an offer (RFC 3264 §8)."""
        return self._machine.refresh_offer

    @refresh_offer.setter
    def refresh_offer(self, description: Description) -> None:
        self._machine.refresh_offer = description

    @property
    def can_offer(self) -> bool:
        """Whether `reinvite` and `update` are allowed now."""
        return self._changes.can_offer

    def owns(self, message: SipMessage) -> bool:
        """Whether a received message has the Call-ID and our tag of this call. The CANCEL of its INVITE has not."""
        try:
            party = message.require(To) if isinstance(message, Request) else message.require(From)
            return message.call_id == self.call_id and party.tag == self.local_tag
        except SipParseError:
            return False

    # --- the owner ---------------------------------------------------------------------------------------------------

    def start(self, now: float) -> list[CallOutput]:
        """Sends the INVITE; refuses one whose session interval is too small (RFC 4028 §9)."""
        (self._outgoing or self._callee("start")).start(now)
        return self._take()

    def ring(self, now: float, *, status: int = 180, headers: Iterable[HeaderInput] = ()) -> list[CallOutput]:
        """A provisional response: reliable if the INVITE requires it, and again each minute (RFC 3261 §13.3.1.1)."""
        self._callee("ring").ring(status, headers, now)
        return self._take()

    def answer(
        self,
        body: bytes,
        now: float,
        *,
        content_type: str = SDP_TYPE,
        headers: Iterable[HeaderInput] = (),
    ) -> list[CallOutput]:
        """200 to the INVITE, or to what was Offered. *body* is the answer, or the offer if the request had none; empty
        for none. The 2xx to an INVITE is repeated until its ACK; without one the call ends."""
        description = _description(body, content_type)
        if not self._changes.answer(description, headers, now):
            if self._incoming is not None:
                self._incoming.answer(description, headers, now)
            else:
                self._machine.step(CallInput.ANSWER, now)
        return self._take()

    def refuse(self, status: int, now: float, *, headers: Iterable[HeaderInput] = ()) -> list[CallOutput]:
        """Another final response to the INVITE, which ends the call, or to what was Offered, which does not."""
        if not 300 <= status < 700:
            raise LocalProtocolError(f"{status} refuses nothing", spec="RFC 3261 §13.3.1.3")
        if not self._changes.refuse(status, headers):
            if self._incoming is not None:
                self._incoming.refuse(status, headers, now)
            else:
                self._machine.step(CallInput.REFUSE, now)
        return self._take()

    def confirm(self, body: bytes, now: float, *, content_type: str = SDP_TYPE) -> list[CallOutput]:
        """The answer to the offer in a 2xx, after Answered or Modified with *needs_answer*: it goes into the ACK."""
        description = Description(body, content_type)
        if self._changes.awaits_confirmation:
            self._changes.confirm(description, now)
        elif self._outgoing is not None:
            self._outgoing.confirm(description, now)
        else:
            self._machine.step(CallInput.CONFIRM, now)
        return self._take()

    def reinvite(
        self, body: bytes, now: float, *, content_type: str = SDP_TYPE, headers: Iterable[HeaderInput] = ()
    ) -> list[CallOutput]:
        """Offers *body*; an empty one asks the peer for an offer. It ends in Modified or ModifyRefused; after glare it
        is tried again by itself (RFC 3261 §14.1). Raises LocalProtocolError unless `can_offer`."""
        self._changes.begin("INVITE", _description(body, content_type), headers, now)
        return self._take()

    def update(
        self, body: bytes, now: float, *, content_type: str = SDP_TYPE, headers: Iterable[HeaderInput] = ()
    ) -> list[CallOutput]:
        """The same as `reinvite`, for what the peer can answer at once (RFC 3311); an empty *body* offers nothing."""
        self._changes.begin("UPDATE", _description(body, content_type), headers, now)
        return self._take()

    def bye(
        self, now: float, *, reason: Reason | str | None = None, headers: Iterable[HeaderInput] = ()
    ) -> list[CallOutput]:
        """Ends the call, whatever its state, by BYE, by CANCEL or with 480; what cannot be sent yet is sent when it
        may be. *reason* is a Reason, or the text of one (RFC 3326)."""
        fields = () if reason is None else (reason if isinstance(reason, Reason) else (Reason.NAME, reason),)
        self._machine.leave(CallInput.HANG_UP, now, Ended(EndReason.HUNG_UP), (*fields, *headers))
        return self._take()

    def cancel(
        self, now: float, *, reason: Reason | str | None = None, headers: Iterable[HeaderInput] = ()
    ) -> list[CallOutput]:
        """Gives up a call of ours. If the 2xx has come already, or crosses the CANCEL, it is `bye`."""
        return self.bye(now, reason=reason, headers=headers)

    # --- the peer ----------------------------------------------------------------------------------------------------

    def response_received(self, response: Response, now: float) -> list[CallOutput]:
        """A response to a request of this call, also a 2xx to INVITE that comes once more or that no transaction
        expects (RFC 6026 §8.4)."""
        try:
            if self._outgoing is not None and self._outgoing.is_of_invite(response.cseq):
                self._outgoing.response_received(response, now)
            else:
                self._response_in_dialog(response, now)
        except SipParseError:
            pass  # it says nothing that could be used; the transaction will time out
        return self._take()

    def request_failed(self, request: Request, status: int, now: float) -> list[CallOutput]:
        """No final response to *request*, one of ours: *status* is 408, or 503 if it could not be sent (RFC 3261
        §8.1.3.1)."""
        if self._outgoing is not None and self._outgoing.is_of_invite(request.cseq):
            self._outgoing.failed(status, None, now)
            return self._take()
        sent = self._machine.find_sent(request)
        if sent is not None and request.method in ("INVITE", "UPDATE"):
            self._changes.request_failed(sent, status, now)
        elif sent is not None:
            self._settle(sent, now)
        return self._take()

    def request_received(self, request: Request, now: float) -> list[CallOutput]:
        """A request of the peer after its INVITE: inside the dialog, or a CANCEL. One that is not about this call gets
        481, one out of order 500, a malformed one 400."""
        try:
            if request.method == "ACK":
                self._ack(request, now)
            elif request.method == "CANCEL":
                self._cancel(request, now)
            else:
                self._request_in_dialog(request, now)
        except SipParseError as fault:
            if request.method != "ACK":
                self._machine.respond(request, fault.status, to_tag=self.local_tag)
        return self._take()

    # --- the clock ---------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When to call `handle_deadline`; None = never."""
        earliest = min(self._machine.next_deadline(), self._changes.next_deadline())
        return None if earliest == inf else earliest

    def handle_deadline(self, now: float) -> list[CallOutput]:
        """Does what is due; there may be more of it."""
        self._machine.handle_deadline(now)
        if not self._machine.is_told:
            self._changes.handle_deadline(now)
        return self._take()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _take(self) -> list[CallOutput]:
        if self._machine.is_told:
            self._changes.abandon()
        return self._machine.take()

    def _callee(self, what: str) -> IncomingCall:
        if self._incoming is None:
            raise LocalProtocolError(f"{what}: this call is ours", spec="RFC 3261 §13.3")
        return self._incoming

    def _response_in_dialog(self, response: Response, now: float) -> None:
        sent, method = self._machine.find_sent(response), response.cseq.method
        if sent is None:
            if method == "INVITE" and 200 <= response.status < 300:
                self._changes.success_again(response.cseq.number, response.require(To).tag or "")
        elif method in ("INVITE", "UPDATE"):
            self._changes.response_received(sent, response, now)
        elif response.status >= 200:
            self._machine.settle(sent)
            if self._machine.authorize_sent(sent, response) is None:
                self._settle(sent, now)

    def _settle(self, sent: Sent, now: float) -> None:
        """BYE or PRACK has its final answer. PRACK has no say: without it the peer gives up by itself."""
        self._machine.settle(sent)
        if sent.request.method == "BYE" and sent.dialog is self._machine.dialog:
            self._machine.step(CallInput.BYE_DONE, now)

    def _ack(self, ack: Request, now: float) -> None:
        if self._machine.dialog is not None and self._machine.dialog.is_about(ack):
            self._machine.ack_received(ack, now)

    def _cancel(self, cancel: Request, now: float) -> None:
        machine, number = self._machine, cancel.cseq.number
        repeater = machine.repeater
        if self._incoming is not None and number == machine.invite.cseq.number:
            self._incoming.cancelled(cancel, now)
        elif repeater is not None and number == repeater.request.cseq.number:
            machine.respond(cancel, 200)  # too late: without effect (RFC 3261 §9.2)
        elif not self._changes.cancelled(cancel):
            machine.respond(cancel, 481, to_tag=self.local_tag)

    def _request_in_dialog(self, request: Request, now: float) -> None:
        machine = self._machine
        if self._incoming is not None and request.cseq == machine.invite.cseq:
            return  # the INVITE once more, which its transaction answers
        dialog = machine.dialog_of(request)
        if dialog is None or machine.state is CallState.ENDED:
            machine.respond(request, 481, to_tag=self.local_tag)
        elif dialog.receive_request(request) is DialogVerdict.OUT_OF_ORDER:
            machine.respond(request, 500)
        elif dialog is machine.dialog or machine.is_unanswered:
            self._request_in_call(request, now)
        else:
            machine.respond(request, 200 if request.method == "BYE" else 481)  # a fork that we are ending

    def _request_in_call(self, request: Request, now: float) -> None:
        machine, method = self._machine, request.method
        if method == "BYE":
            machine.bye_received(request, now)
        elif machine.is_told:
            machine.respond(request, 481)
        elif method in ("INVITE", "UPDATE"):
            self._changes.request_received(request, now)
        elif method == "PRACK" and self._incoming is not None:
            self._incoming.acknowledged(request, now)
        elif method == "PRACK":
            machine.respond(request, 481)
        else:
            machine.emit(Received(request))


def _description(body: bytes, content_type: str) -> Description | None:
    return Description(body, content_type) if body else None
