"""The callee's end of a call: provisional responses, the 2xx until its ACK, CANCEL (RFC 3261 §9.2, §13.3, §15.1.2,
RFC 3262 §3, RFC 4028 §9).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.call_machine import CallMachine, reason_header_of
from ims_core.wire.sip.call_outputs import Authorize, CallConfig, Confirmed, Ended, EndReason, Respond, Uniform
from ims_core.wire.sip.call_table import INCOMING_CALL, INCOMING_CALL_IGNORED, CallAction, CallInput
from ims_core.wire.sip.core_headers import RAck, Require
from ims_core.wire.sip.dialog import Dialog, DialogState
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.offer_answer import Description, OfferInput, carries_description, description_of
from ims_core.wire.sip.response_repeater import RELIABLE_OPTION, ReliableProvisionals, Repeat, SuccessRepeater

__all__ = ["IncomingCall"]

_LAST_FIRST_RSEQ: Final = 2**31 - 1  # RFC 3262 §3
_HUNG_UP_STATUS: Final = 480


class IncomingCall(CallMachine):
    """A call of the peer, from its INVITE on."""

    __slots__ = ("_provisionals", "_refusal", "_rejection", "local_tag")

    TABLE = INCOMING_CALL
    IGNORED = INCOMING_CALL_IGNORED
    IS_OUTGOING: ClassVar[bool] = False

    def __init__(
        self,
        invite: Request,
        local_tag: str,
        contact: str,
        config: CallConfig,
        uniform: Uniform,
        authorize: Authorize | None,
    ) -> None:
        """Raises SipParseError, to be answered with 400, if *invite* cannot make a dialog."""
        super().__init__(invite, contact, config, uniform, authorize)
        self.local_tag = local_tag
        self.adopt(Dialog.as_uas(invite, local_tag, state=DialogState.EARLY, is_secure=config.is_secure))
        self.note_peer(invite)
        self.remote = description_of(invite)
        required = invite.get(Require)
        number = None
        if required is not None and RELIABLE_OPTION in required:  # a peer that only supports it gets plain ones
            number = 1 + min(int(uniform(0, _LAST_FIRST_RSEQ)), _LAST_FIRST_RSEQ - 1)
        self._provisionals = ReliableProvisionals(number, config.timers)
        self._rejection = self.timer.refusal(invite)
        self._refusal: tuple[int, tuple[HeaderInput, ...]] = (_HUNG_UP_STATUS, ())
        if carries_description(invite):
            self.offers.step(OfferInput.RECEIVE_OFFER)

    # --- the owner ---------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Refuses a session interval that is too small."""
        rejection = self._rejection
        if rejection is not None:
            self._refuse(CallInput.REFUSE, now, Ended(EndReason.REFUSED), rejection.status, rejection.headers)

    def ring(self, status: int, headers: Iterable[HeaderInput], now: float) -> None:
        """A provisional response other than 100, which is the transaction's."""
        if not 100 < status < 200:
            raise LocalProtocolError(f"{status} does not ring", spec="RFC 3261 §13.3.1.1")
        if self.step(CallInput.RING, now) is CallAction.NOTHING:
            return
        self.standing_dialog.answered(status)
        fields = (*self._dialog_fields(), ("Contact", self.contact), *headers, *self.config.response_headers)
        response = Response.to(self.invite, status, to_tag=self.local_tag, headers=fields)
        self._send_provisional(self._provisionals.send(response, now))

    def answer(self, description: Description | None, headers: Iterable[HeaderInput], now: float) -> None:
        """200. A provisional response that waits for its PRACK is not waited for: none carries an answer."""
        if self.step(CallInput.ANSWER, now) is CallAction.NOTHING:
            return
        is_answer = not self.offers.is_stable
        if is_answer:
            self.offers.step(OfferInput.SEND_ANSWER)
        elif description is not None:
            self.offers.step(OfferInput.SEND_OFFER)
        self.agree(description, None, is_answer=is_answer)
        self.standing_dialog.answered(200)
        fields = (*self._dialog_fields(), *self.session_fields(), *self.timer.grant(self.invite, now), *headers)
        response = self.respond(self.invite, 200, fields, description, to_tag=self.local_tag)
        self.repeat_until_ack(self.invite, response, now)

    def refuse(self, status: int, headers: Iterable[HeaderInput], now: float) -> None:
        """A final response other than 2xx."""
        self._refuse(CallInput.REFUSE, now, Ended(EndReason.HUNG_UP), status, headers)

    # --- the peer ----------------------------------------------------------------------------------------------------

    def cancelled(self, cancel: Request, now: float) -> None:
        """CANCEL for the INVITE: without effect once it has its final response (RFC 3261 §9.2)."""
        self.respond(cancel, 200, to_tag=self.local_tag)
        why = Ended(EndReason.CANCELLED, reason_header_of(cancel))
        self._refuse(CallInput.CANCEL, now, why, 487)

    def acknowledged(self, prack: Request, now: float) -> None:
        """PRACK (RFC 3262 §3). Raises SipParseError. An offer in it is refused: no answer was given before."""
        rack = prack.require(RAck)
        if carries_description(prack):
            self.respond(prack, 488)
        elif not self.is_unanswered or not self._provisionals.acknowledge(rack, now):
            self.respond(prack, 481)
        else:
            self.respond(prack, 200)
            self._send_provisional(self._provisionals.next_waiting(now))

    def confirm_success(self, repeater: SuccessRepeater, ack: Request | None, now: float) -> None:
        if repeater.request is not self.invite:
            super().confirm_success(repeater, ack, now)
            return
        action = self.step(CallInput.ACK, now)
        if action is CallAction.TELL_CONFIRMED:
            self.shorten_invite()
            self._provisionals = ReliableProvisionals(None, self.config.timers)
            self.emit(Confirmed(ack))
        else:
            self.depart(action, now)

    # --- the end -----------------------------------------------------------------------------------------------------

    def bye_received(self, bye: Request, now: float) -> None:
        """Before the answer it also ends the INVITE, with 487 (RFC 3261 §15.1.2)."""
        self._refusal = (487, ())
        super().bye_received(bye, now)

    def depart(self, action: CallAction, now: float) -> None:
        if action is CallAction.SEND_FAILURE:
            status, headers = self._refusal
            self.respond(self.invite, status, headers, to_tag=self.local_tag)
        else:
            super().depart(action, now)

    def _refuse(
        self, event: CallInput, now: float, why: Ended, status: int, headers: Iterable[HeaderInput] = ()
    ) -> None:
        self._refusal = (status, tuple(headers))
        self.leave(event, now, why)

    # --- the clock ---------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        waiting = self._provisionals.next_deadline() if self.is_unanswered else None
        return super().next_deadline() if waiting is None else min(waiting, super().next_deadline())

    def handle_deadline(self, now: float) -> None:
        super().handle_deadline(now)
        if not self.is_unanswered:
            return
        what = self._provisionals.handle_deadline(now)
        if what is Repeat.SEND:
            self._send_provisional(self._provisionals.last)
        elif what is Repeat.GIVE_UP:
            self._refuse(CallInput.NO_PRACK, now, Ended(EndReason.NO_PRACK), 500)

    # --- responses ---------------------------------------------------------------------------------------------------

    def _send_provisional(self, response: Response | None) -> None:
        if response is not None:
            self.emit(Respond(self.invite, response))

    def _dialog_fields(self) -> tuple[HeaderInput, ...]:
        """What a response has to carry that makes a dialog (RFC 3261 §12.1.1), but for Contact."""
        return tuple(("Record-Route", text) for text in self.invite.texts("Record-Route"))
