"""re-INVITE and UPDATE inside a call, of both sides: new offers, glare, refreshes of the session timer (RFC 3261 §14,
RFC 3311 §5, RFC 4028 §7.4, §10, RFC 5407 §3).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.call_machine import CallMachine, Sent
from ims_core.wire.sip.call_outputs import (
    Ended,
    EndReason,
    Modified,
    ModifyRefused,
    Offered,
    Refreshed,
    SendAck,
    SendCancel,
    Withdrawn,
)
from ims_core.wire.sip.call_table import CallInput, CallState
from ims_core.wire.sip.core_headers import Reason
from ims_core.wire.sip.dialog import Dialog
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.offer_answer import Description, OfferInput, OfferState, carries_description, description_of
from ims_core.wire.sip.session_timer import SessionRefreshDue

__all__ = ["SessionChanges", "is_silence"]

_OWNER_WAITS_S: Final = (2.1, 4.0)  # RFC 3261 §14.1, after 491: who chose the Call-ID waits longer
_OTHER_WAITS_S: Final = (0.0, 2.0)
_MAX_TRIES: Final = 8  # of one change; each 491 means that the peer was changing something itself (choice)
_FINAL_WITHIN_S: Final = 181.0  # as Timer C of proxies: a re-INVITE may not block the call for ever (choice)
_MAX_ACKS: Final = 4  # of past re-INVITEs whose 2xx may come once more
_EXPIRED: Final = Reason.of(408, "Session timer expired")
_UNANSWERED: Final = Reason.of(408, "No answer")
_NO_SUCH_METHOD: Final = frozenset({405, 501})


class _Change:
    """A re-INVITE or UPDATE of ours, over all its tries."""

    __slots__ = (
        "description",
        "guard_at",
        "headers",
        "is_refresh",
        "method",
        "request",
        "retry_at",
        "success",
        "tries",
    )

    def __init__(
        self, method: str, description: Description | None, headers: tuple[HeaderInput, ...], *, is_refresh: bool
    ) -> None:
        self.method = method
        self.description = description
        self.headers = headers
        self.is_refresh = is_refresh
        self.tries = 0
        self.request: Request | None = None  # while it is out
        self.success: Response | None = None  # a 2xx with an offer that the owner has to answer
        self.retry_at = inf
        self.guard_at = inf


class SessionChanges:
    """What changes or refreshes the session of one call. One change of each side is under way at a time."""

    __slots__ = ("_acks", "_call", "_own", "_peer")

    def __init__(self, call: CallMachine) -> None:
        self._call = call
        self._own: _Change | None = None
        self._peer: Request | None = None
        self._acks: dict[tuple[int, str], Request] = {}

    # --- of ours -----------------------------------------------------------------------------------------------------

    @property
    def can_offer(self) -> bool:
        """Whether `begin` is allowed: the call stands and no other change, nor a 2xx without ACK, is under way."""
        call = self._call
        is_free = self._own is None and self._peer is None and call.repeater is None and call.offers.is_stable
        return is_free and call.state is CallState.ESTABLISHED

    @property
    def awaits_confirmation(self) -> bool:
        """Whether the 2xx to our re-INVITE holds an offer that has no answer yet."""
        return self._own is not None and self._own.success is not None

    def begin(self, method: str, description: Description | None, headers: Iterable[HeaderInput], now: float) -> None:
        """A change that the owner wants. Raises LocalProtocolError unless `can_offer`; nothing if the call is over."""
        if self._call.is_told:
            return
        if not self.can_offer:
            raise LocalProtocolError(f"{method}: another change is under way", spec="RFC 3261 §14.1")
        self._own = _Change(method, description, tuple(headers), is_refresh=False)
        self._send(self._own, now)

    def refresh(self, now: float) -> None:
        """The session timer wants a refresh (RFC 4028 §7.4): an UPDATE without an offer, or a re-INVITE with what we
        offered last, which changes nothing (RFC 3264 §8)."""
        call = self._call
        method = self._refresh_method()
        is_free = self.can_offer if method == "INVITE" else self._own is None and call.state is CallState.ESTABLISHED
        if method is None:
            call.timer.refresh_failed(now)
        elif not is_free:
            call.timer.postpone(now)
        else:
            offer = call.refresh_offer if method == "INVITE" else None
            self._own = _Change(method, offer, (), is_refresh=True)
            self._send(self._own, now)

    def confirm(self, description: Description, now: float) -> None:
        """The owner's answer to the offer in the 2xx to our re-INVITE."""
        own, call = self._own, self._call
        if own is None or own.request is None or own.success is None:
            return
        self._own = None
        call.offers.step(OfferInput.SEND_ANSWER)
        call.agree(description, description_of(own.success), is_answer=True)
        self._acknowledge(own.request, call.standing_dialog, description)

    def response_received(self, sent: Sent, response: Response, now: float) -> None:
        """A response to a re-INVITE or UPDATE of ours."""
        if response.status < 200:
            return
        self._call.settle(sent)
        own = self._own
        is_current = own is not None and own.request is sent.request
        if response.status < 300:
            self._target_refreshed(sent.dialog, response)
            if own is not None and is_current:
                self._succeed(own, sent, response, now)
            elif sent.request.method == "INVITE":
                self._acknowledge(sent.request, sent.dialog)  # too late to change anything (RFC 5407 §3.2)
        elif own is not None and is_current:
            self._failed(own, sent, response.status, response, now)

    def request_failed(self, sent: Sent, status: int, now: float) -> None:
        """No final response to a re-INVITE or UPDATE of ours: *status* is 408, or 503 if it could not be sent."""
        self._call.settle(sent)
        own = self._own
        if own is not None and own.request is sent.request:
            self._failed(own, sent, status, None, now)

    def success_again(self, number: int, tag: str) -> None:
        """The 2xx to a re-INVITE of ours once more: its ACK is lost."""
        ack = self._acks.get((number, tag))
        if ack is not None:
            self._call.emit(SendAck(ack))

    def _send(self, own: _Change, now: float) -> None:
        call = self._call
        fields = (*call.session_fields(), *call.timer.request_fields(), *own.headers)
        if own.description is not None:
            call.offers.step(OfferInput.SEND_OFFER)
        own.retry_at = inf
        own.guard_at = now + _FINAL_WITHIN_S if own.method == "INVITE" else inf
        own.request = call.send(own.method, fields, own.description)

    def _succeed(self, own: _Change, sent: Sent, response: Response, now: float) -> None:
        call = self._call
        call.note_peer(response)
        call.timer.receive_success(response, now)
        own.guard_at = inf
        is_offer = own.description is None and own.method == "INVITE" and carries_description(response)
        if own.description is not None:
            call.offers.step(OfferInput.RECEIVE_ANSWER)
            call.agree(own.description, description_of(response), is_answer=False)
        if is_offer:
            call.offers.step(OfferInput.RECEIVE_OFFER)
            own.success = response
        else:
            self._own = None
            if own.method == "INVITE":
                self._acknowledge(sent.request, sent.dialog)
        call.emit(Refreshed() if own.is_refresh else Modified(response, is_offer))

    def _target_refreshed(self, dialog: Dialog, response: Response) -> None:
        try:
            dialog.receive_response(response)
        except SipParseError:
            return  # a Contact that cannot be read leaves the dialog its target (choice)

    def _acknowledge(self, invite: Request, dialog: Dialog, description: Description | None = None) -> None:
        acks = self._acks
        acks[invite.cseq.number, dialog.remote_party.tag or ""] = self._call.acknowledge(invite, dialog, description)
        if len(acks) > _MAX_ACKS:
            del acks[next(iter(acks))]

    # --- failures of ours --------------------------------------------------------------------------------------------

    def _failed(self, own: _Change, sent: Sent, status: int, response: Response | None, now: float) -> None:
        call = self._call
        own.guard_at = inf
        again = None if response is None else call.authorize_sent(sent, response)
        if again is not None:
            own.request = again
            return
        own.request = None
        self._take_back(own)
        own.tries += 1
        if status == 481:
            call.leave(CallInput.GONE, now, Ended(EndReason.GONE))
        elif is_silence(status, response):
            self._unanswered(own, status, response, now)
        elif not self._tries_again(own, status, response, now):
            self._give_up(own, status, response, now)

    def _tries_again(self, own: _Change, status: int, response: Response | None, now: float) -> bool:
        call = self._call
        if own.tries >= _MAX_TRIES:
            return False
        if status == 491:
            own.retry_at = now + self._glare_wait()
        elif status == 422 and response is not None and call.timer.receive_too_small(response):
            self._send(own, now)
        elif status in _NO_SUCH_METHOD and own.method == "UPDATE" and own.is_refresh:
            call.peer_allow = (call.peer_allow or frozenset(("INVITE",))) - {"UPDATE"}
            self._own = None
            self.refresh(now)
        else:
            return False
        return True

    def _unanswered(self, own: _Change, status: int, response: Response | None, now: float) -> None:
        """RFC 3261 §12.2.1.2 ends the dialog, RFC 4028 §10 too. But a session with a peer who never promised to answer
        UPDATE, or refreshes, goes on (real clients, row 10)."""
        call = self._call
        if own.is_refresh:
            is_fatal = bool(call.timer.refresh_unanswered(now))
        else:
            is_fatal = own.method == "INVITE" or call.timer.is_silence_fatal
        self._own = None
        if is_fatal:
            call.leave(CallInput.SILENT, now, Ended(EndReason.SILENT), (_UNANSWERED,))
        elif not own.is_refresh:
            call.emit(ModifyRefused(status, response))

    def _give_up(self, own: _Change, status: int, response: Response | None, now: float) -> None:
        self._own = None
        if own.is_refresh:
            self._call.timer.refresh_failed(now)
        else:
            self._call.emit(ModifyRefused(status, response))

    def _take_back(self, own: _Change) -> None:
        """The offer in a request that failed does not count; one of the peer that came meanwhile does."""
        if own.description is not None:
            self._call.offers.step(OfferInput.REFUSED)

    def _glare_wait(self) -> float:
        """In units of 10 ms (RFC 3261 §14.1)."""
        low, high = _OWNER_WAITS_S if self._call.IS_OUTGOING else _OTHER_WAITS_S
        return round(self._call.uniform(low, high), 2)

    def _refresh_method(self) -> str | None:
        """UPDATE if the peer allows it, else a re-INVITE (RFC 4028 §7.4). A peer that says nothing about UPDATE gets a
        re-INVITE where the session depends on its answer; where not, an UPDATE, which it may pass over, while a
        re-INVITE would ring at some (choice)."""
        call = self._call
        allow = call.peer_allow
        prefers_invite = call.timer.is_silence_fatal if allow is None else "UPDATE" not in allow
        if prefers_invite and call.refresh_offer is not None:
            return "INVITE"
        return "UPDATE" if allow is None or "UPDATE" in allow else None

    # --- of the peer -------------------------------------------------------------------------------------------------

    def request_received(self, request: Request, now: float) -> None:
        """A re-INVITE or UPDATE, in order, in the dialog of the call. Raises SipParseError, and then nothing has
        changed."""
        call, pending = self._call, self._peer
        if pending is not None and pending.cseq == request.cseq:
            return  # once more, which its transaction answers
        rejection = call.timer.refusal(request)
        if request.method == "INVITE" and self._is_acknowledged_by(request):
            call.ack_received(None, now)
        glare = self._glare_status(request)
        if glare is not None:
            call.refuse_glare(request, glare)
        elif rejection is not None:
            call.respond(request, rejection.status, rejection.headers)
        else:
            call.note_peer(request)
            self._accept(request, now)

    def answer(self, description: Description | None, headers: Iterable[HeaderInput], now: float) -> bool:
        """The owner accepts what was Offered. False if nothing is."""
        request, self._peer = self._peer, None
        if request is None:
            return False
        self._answer(request, description, headers, now)
        return True

    def refuse(self, status: int, headers: Iterable[HeaderInput]) -> bool:
        """The owner refuses what was Offered. False if nothing is."""
        request = self._withdraw()
        if request is None:
            return False
        self._call.respond(request, status, headers)
        return True

    def cancelled(self, cancel: Request) -> bool:
        """CANCEL for the re-INVITE that was Offered (RFC 3261 §9.2). False if it is about another one."""
        if self._peer is None or self._peer.method != "INVITE" or self._peer.cseq.number != cancel.cseq.number:
            return False
        request = self._withdraw()
        if request is not None:
            self._call.respond(cancel, 200)
            self._call.respond(request, 487)
            self._call.emit(Withdrawn(request))
        return True

    def abandon(self) -> None:
        """The call is over: what the peer asked last gets 487 (RFC 3261 §15.1.2)."""
        self._own = None
        request = self._withdraw()
        if request is not None:
            self._call.respond(request, 487)

    def _withdraw(self) -> Request | None:
        request, self._peer = self._peer, None
        if request is not None and self._call.offers.state is OfferState.REMOTE_OFFER:
            self._call.offers.step(OfferInput.REFUSED)
        return request

    def _is_acknowledged_by(self, invite: Request) -> bool:
        """A new INVITE shows that the peer has our 2xx, though its ACK is lost or late, unless that ACK has to bring an
        answer (RFC 5407 §3.1)."""
        return self._call.repeater is not None and self._call.offers.is_stable

    def _glare_status(self, request: Request) -> int | None:
        """491 against a change of ours, 500 against an earlier one of the peer (RFC 3261 §14.2, RFC 3311 §5.2)."""
        call, own = self._call, self._own
        is_invite = request.method == "INVITE"
        if not is_invite and not request.body:
            return None
        if call.is_unanswered:
            return 491 if call.IS_OUTGOING else 500
        if self._peer is not None:
            return 500
        if own is not None and own.method == "INVITE" and own.request is not None:
            return 491
        if is_invite and call.state is CallState.MORATORIUM and call.IS_OUTGOING:
            return 491
        return call.offers.glare_status

    def _accept(self, request: Request, now: float) -> None:
        call = self._call
        if request.method == "UPDATE" and not request.body:
            fields = () if call.is_unanswered else call.timer.grant(request, now)
            call.respond(request, 200, (*call.session_fields(), *fields))
            if not call.is_unanswered:
                call.emit(Refreshed())
        elif self._changes_nothing(request):
            call.offers.step(OfferInput.RECEIVE_OFFER)
            self._answer(request, call.local, (), now, is_quiet=True)
            call.emit(Refreshed())
        else:
            self._peer = request
            if carries_description(request):
                call.offers.step(OfferInput.RECEIVE_OFFER)
            call.emit(Offered(request))

    def _changes_nothing(self, request: Request) -> bool:
        """The offer that we answered last, once more: a refresh (RFC 3264 §8)."""
        call = self._call
        return call.is_local_answer and call.local is not None and description_of(request) == call.remote

    def _answer(
        self,
        request: Request,
        description: Description | None,
        headers: Iterable[HeaderInput],
        now: float,
        *,
        is_quiet: bool = False,
    ) -> None:
        call = self._call
        if call.offers.state is OfferState.REMOTE_OFFER:
            call.offers.step(OfferInput.SEND_ANSWER)
            call.agree(description, description_of(request), is_answer=True)
        elif description is not None:
            call.offers.step(OfferInput.SEND_OFFER)
            call.agree(description, None, is_answer=False)
        fields = (*call.session_fields(), *call.timer.grant(request, now), *headers)
        response = call.respond(request, 200, fields, description)
        if request.method == "INVITE":
            call.repeat_until_ack(request, response, now, is_quiet=is_quiet)

    # --- the clock ---------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When to call `handle_deadline`; infinity = never."""
        own, session = self._own, self._call.timer.next_deadline()
        earliest = inf if session is None else session
        return earliest if own is None else min(earliest, own.retry_at, own.guard_at)

    def handle_deadline(self, now: float) -> None:
        """The next try after glare, a re-INVITE that takes too long, the session timer."""
        own = self._own
        if own is not None and own.guard_at <= now:
            self._cut_short(own, now)
        elif own is not None and own.retry_at <= now:
            self._retry(own, now)
        for due in self._call.timer.handle_deadline(now):
            if isinstance(due, SessionRefreshDue):
                self.refresh(now)
            else:
                self._call.leave(CallInput.EXPIRED, now, Ended(EndReason.EXPIRED), (_EXPIRED,))

    def _retry(self, own: _Change, now: float) -> None:
        self._own = None
        is_free = self.can_offer
        self._own = own
        if is_free:
            self._send(own, now)
        else:
            own.retry_at = now + max(self._glare_wait(), 0.01)

    def _cut_short(self, own: _Change, now: float) -> None:
        """The session stays as it is; what still comes is acknowledged, no more."""
        own.guard_at = inf
        if own.request is not None:
            self._call.emit(SendCancel(own.request))
        self._take_back(own)
        self._give_up(own, 408, None, now)


def is_silence(status: int, response: Response | None) -> bool:
    """Whether nobody answered: 408, or 480 of a proxy that says so, since nobody may be sent a late 408 (RFC 4320)."""
    if status == 408:
        return True
    if status != 480 or response is None:
        return False
    try:
        reasons = response.get_all(Reason)
    except SipParseError:
        return False
    return any(reason.protocol.upper() == "SIP" and reason.cause == 408 for reason in reasons)
