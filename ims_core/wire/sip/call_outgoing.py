"""The caller's end of a call: INVITE, its forks, CANCEL (RFC 3261 §9.1, §13.2, RFC 3262 §4, RFC 4028 §7)."""

from __future__ import annotations

from math import inf
from typing import ClassVar, Final

from ims_core.wire.sip.address_headers import Contact, To
from ims_core.wire.sip.call_machine import CallMachine
from ims_core.wire.sip.call_outputs import (
    Answered,
    Authorize,
    CallConfig,
    Ended,
    EndReason,
    Refused,
    Ringing,
    SendCancel,
    SendRequest,
    Uniform,
)
from ims_core.wire.sip.call_table import OUTGOING_CALL, OUTGOING_CALL_IGNORED, CallAction, CallInput, CallState
from ims_core.wire.sip.core_headers import CSeq, SessionExpires, Supported
from ims_core.wire.sip.dialog import Dialog, DialogSet
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.offer_answer import Description, OfferInput, carries_description, description_of
from ims_core.wire.sip.response_repeater import is_reliable, rack_of
from ims_core.wire.sip.session_timer import TIMER_OPTION

__all__ = ["OutgoingCall"]

_MAX_TOO_SMALL: Final = 3  # INVITEs answered 422: each proxy on the way may have its own minimum (RFC 4028 §7.3)
_UNREADABLE: Final = 500  # what a final response counts as that makes no dialog (RFC 3261 §8.1.3.2)


class OutgoingCall(CallMachine):
    """A call of ours, from its INVITE on."""

    __slots__ = ("_acks", "_cancel_at", "_challenges", "_forks", "_racked", "_too_small")

    TABLE = OUTGOING_CALL
    IGNORED = OUTGOING_CALL_IGNORED
    IS_OUTGOING: ClassVar[bool] = True

    def __init__(self, invite: Request, config: CallConfig, uniform: Uniform, authorize: Authorize | None) -> None:
        """Completes *invite* with what the session timer needs. Raises SipParseError if it is malformed."""
        super().__init__(invite, str(invite.require(Contact)), config, uniform, authorize)
        self.timer.take_over(invite)
        self.allow = ", ".join(invite.texts("Allow")) or self.allow
        self.agree(description_of(invite), None, is_answer=False)
        self._challenges = 0
        self._too_small = 0
        self._cancel_at = inf
        self._acks: dict[str, Description | None] = {}  # what is in the ACK of each branch
        self._racked: dict[str, int] = {}
        self.invite = self._completed(invite)
        self._forks = DialogSet(self.invite, is_secure=config.is_secure)
        if carries_description(invite):
            self.offers.step(OfferInput.SEND_OFFER)

    def _completed(self, invite: Request) -> Request:
        editor = invite.edit().set("Allow", self.allow)
        supported = invite.get(Supported)
        if supported is None or TIMER_OPTION not in supported:
            editor.append("Supported", TIMER_OPTION)
        session = invite.get(SessionExpires)
        for field in self.timer.request_fields():
            if session is None or field != SessionExpires(session.seconds):  # else it stays, with its refresher
                editor.set(field)
        return editor.done()

    # --- inputs ------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """The INVITE goes out."""
        self.step(CallInput.INVITE, now)
        self.emit(SendRequest(self.invite))

    def is_of_invite(self, cseq: CSeq) -> bool:
        """Whether a response is to the INVITE that made the call."""
        return cseq == self.invite.cseq

    def response_received(self, response: Response, now: float) -> None:
        """A response to the INVITE, once more perhaps."""
        try:
            if response.status < 200:
                self._provisional(response, now)
            elif response.status < 300:
                self._success(response, now)
            elif not self._tries_again(response, now):
                self._forks.receive_response(response)
                self.failed(response.status, response, now)
        except SipParseError:
            if response.status >= 200:
                self.failed(_UNREADABLE, response, now)

    def failed(self, status: int, response: Response | None, now: float) -> None:
        """The final answer is no 2xx, or there is none."""
        if self.step(CallInput.STATUS_3XX_6XX, now) is CallAction.TELL_REFUSED:
            self.tell_refused(Refused(status, response))

    def confirm(self, description: Description, now: float) -> None:
        """The owner's answer to the offer in the 2xx."""
        if self.step(CallInput.CONFIRM, now) is CallAction.ACKNOWLEDGE:
            self.offers.step(OfferInput.SEND_ANSWER)
            self.agree(description, None, is_answer=True)
            self._acknowledge(self.standing_dialog, description)

    def dialog_of(self, request: Request) -> Dialog | None:
        """Also of an early dialog, and of a fork that is being ended."""
        return next((dialog for dialog in self._forks.dialogs if dialog.is_about(request)), None)

    # --- responses ---------------------------------------------------------------------------------------------------

    def _provisional(self, response: Response, now: float) -> None:
        if response.status > 100 and not self._is_next_provisional(response):
            return
        action = self.step(CallInput.STATUS_1XX, now)
        if action is CallAction.SEND_CANCEL:
            self.depart(action, now)
        elif action is CallAction.TELL_RINGING and response.status > 100:
            self.note_peer(response)
            self.emit(Ringing(response))

    def _is_next_provisional(self, response: Response) -> bool:
        """Makes the early dialog and sends the PRACK. False for one that came before, or too early (RFC 3262 §4)."""
        dialog = self._forks.receive_response(response)
        if not is_reliable(response):
            return True
        tag = response.require(To).tag or ""
        rack = rack_of(response, self._racked.get(tag))
        if rack is None or dialog is None:
            return False
        self._racked[tag] = rack.response_number
        if self.is_unanswered:
            self.send("PRACK", (rack,), dialog=dialog)
        return True

    def _success(self, response: Response, now: float) -> None:
        dialog = self._forks.receive_response(response)
        tag = response.require(To).tag or ""
        if dialog is None:
            return
        if tag in self._acks:
            self.acknowledge(self.invite, dialog, self._acks[tag])  # the 2xx once more: our ACK is lost
        elif dialog is not self.dialog:
            self._first_success(dialog, response, now)

    def _first_success(self, dialog: Dialog, response: Response, now: float) -> None:
        """The first 2xx of a branch."""
        is_offer = self.offers.is_stable and not self.is_told and carries_description(response)
        action = self.step(CallInput.OFFER_2XX if is_offer else CallInput.STATUS_2XX, now)
        if action is CallAction.END_FORK:
            self._end_fork(dialog, now)
            return
        self.adopt(dialog)
        if action is CallAction.ACK_AND_BYE:
            self.depart(action, now)
        else:
            self._establish(dialog, response, now, needs_answer=is_offer)

    def _establish(self, dialog: Dialog, response: Response, now: float, *, needs_answer: bool) -> None:
        self.note_peer(response)
        self.timer.receive_success(response, now)
        self.offers.step(OfferInput.RECEIVE_OFFER if needs_answer else OfferInput.RECEIVE_ANSWER)
        self.agree(None, description_of(response), is_answer=False)
        if not needs_answer:
            self._acknowledge(dialog)
        self.emit(Answered(response, needs_answer))

    def _end_fork(self, dialog: Dialog, now: float) -> None:
        """RFC 3261 §13.2.2.4: only one dialog is kept."""
        if self.is_released:
            return
        self.release_at = max(self.release_at, now + self.config.timers.timeout_s)
        self._acknowledge(dialog)
        self.send("BYE", dialog=dialog)

    def _acknowledge(self, dialog: Dialog, description: Description | None = None) -> None:
        self._acks[dialog.remote_party.tag or ""] = description
        self.acknowledge(self.invite, dialog, description)
        if self.state is CallState.ESTABLISHED:
            self.shorten_invite()

    def shorten_invite(self) -> None:
        """Also where further branches would be made of it."""
        super().shorten_invite()
        self._forks.request = self.invite

    # --- the INVITE again --------------------------------------------------------------------------------------------

    def _tries_again(self, response: Response, now: float) -> bool:
        """After a challenge, or a 422: the same INVITE with the next number (RFC 3261 §22.2, RFC 4028 §7.3)."""
        if not self.is_unanswered:
            return False
        cseq = self.invite.cseq.number + 1
        again = self.authorize(self.invite, response, self._challenges, cseq)
        if again is not None:
            self._challenges += 1
        elif response.status == 422 and self._too_small < _MAX_TOO_SMALL and self.timer.receive_too_small(response):
            self._too_small += 1
            again = self._completed(self.invite.edit().set(CSeq(cseq, "INVITE")).done())
        if again is None:
            return False
        self.invite = again
        self._forks = DialogSet(again, is_secure=self.config.is_secure)
        self._racked.clear()
        self.start(now)
        return True

    # --- the end -----------------------------------------------------------------------------------------------------

    def depart(self, action: CallAction, now: float) -> None:
        if action is CallAction.NOTE_CANCEL or action is CallAction.SEND_CANCEL:
            self._cancel_at = now + self.config.timers.timeout_s
        if action is CallAction.SEND_CANCEL:
            self.emit(SendCancel(self.invite, self.reason))
        elif action is CallAction.ACK_AND_BYE:
            self._acknowledge(self.standing_dialog)
            self.send_bye()
        else:
            super().depart(action, now)

    def next_deadline(self) -> float:
        return min(self._cancel_at, super().next_deadline())

    def handle_deadline(self, now: float) -> None:
        if self._cancel_at <= now:
            self._cancel_at = inf
            if self.state in (CallState.CANCEL_DUE, CallState.CANCELLING):
                self.leave(CallInput.NO_FINAL, now, Ended(EndReason.HUNG_UP))
        super().handle_deadline(now)
