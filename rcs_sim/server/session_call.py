"""One SIP side of a session: a call, and how its outputs become actions of the server (RFC 3261 §13-15)."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from ims_core.wire.sip import call_outputs
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_outputs import (
    Answered,
    CallOutput,
    Confirmed,
    Ended,
    Modified,
    ModifyRefused,
    Offered,
    Received,
    Refreshed,
    Refused,
    Released,
    Ringing,
    Withdrawn,
)
from ims_core.wire.sip.headers import From, To
from ims_core.wire.sip.message import HeaderInput, Request, Response
from rcs_sim.server.messaging_actions import (
    Deadlines,
    Exchange,
    Outbox,
    Release,
    RespondInCall,
    SendAck,
    SendCancel,
    SendInCall,
)

__all__ = ["CallBook", "CallEvent", "CallUser", "SessionCall"]

CallEvent: TypeAlias = (
    Ringing
    | Answered
    | Refused
    | Confirmed
    | Offered
    | Withdrawn
    | Modified
    | ModifyRefused
    | Received
    | Refreshed
    | Ended
    | Released
)


class CallUser(Protocol):
    """Whoever a call belongs to."""

    def call_event(self, event: CallEvent, now: float) -> None: ...


class CallBook:
    """The calls of this server by Call-ID and own tag: both ends of one dialog may be here, when the users at both
    ends of a session are served here."""

    __slots__ = ("_calls", "_invites", "_last_number")

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], SessionCall] = {}
        self._invites: dict[Exchange, SessionCall] = {}
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._calls)

    def next_number(self) -> int:
        """For the user part of a Contact."""
        self._last_number += 1
        return self._last_number

    @property
    def users(self) -> list[CallUser]:
        """Those whose calls are not over."""
        return [call.user for call in self._calls.values() if not call.is_over]

    def add(self, call: SessionCall) -> None:
        self._calls[call.key] = call

    def drop(self, call: SessionCall) -> None:
        if self._calls.get(call.key) is call:
            del self._calls[call.key]

    def of_request(self, request: Request) -> SessionCall | None:
        """The call of a request inside a dialog, by our tag in its To. Raises SipParseError."""
        return self._calls.get((request.call_id, request.require(To).tag or ""))

    def of_response(self, response: Response) -> SessionCall | None:
        """The call of a response to a request of ours. Raises SipParseError."""
        return self._calls.get((response.call_id, response.require(From).tag or ""))

    def of_invite(self, exchange: Exchange) -> SessionCall | None:
        """The call that an INVITE is about which came with *exchange* and has no ACK yet."""
        return self._invites.get(exchange)

    def open_invite(self, exchange: Exchange, call: SessionCall) -> None:
        """An INVITE has come."""
        self._invites[exchange] = call

    def close_invite(self, exchange: Exchange) -> None:
        """It needs no answer any more."""
        self._invites.pop(exchange, None)


class SessionCall:
    """A call at work; errand of its requests and keeper of its clock.

    *contact*: the text of Contact in our responses, if it changed since the call was made."""

    __slots__ = ("_alarm", "_book", "_deadlines", "_exchanges", "_outbox", "call", "contact", "key", "user")

    def __init__(self, book: CallBook, outbox: Outbox, deadlines: Deadlines, call: Call, user: CallUser) -> None:
        self._book = book
        self._outbox = outbox
        self._deadlines = deadlines
        self.user = user
        self._alarm: _Alarm | None = None
        self._exchanges: dict[tuple[str, int], Exchange] = {}
        self.call = call
        self.contact = ""
        self.key = (call.call_id, call.local_tag)
        book.add(self)

    @property
    def is_over(self) -> bool:
        return self.call.is_over

    # -- inputs ------------------------------------------------------------------------------------------------------

    def begin(self, exchange: Exchange, now: float) -> None:
        """The INVITE came with that exchange."""
        self._open(exchange, self.call.invite)
        self.run(self.call.start(now), now)

    def request(self, exchange: Exchange, request: Request, now: float) -> None:
        """A request of the peer other than ACK. One that came before by another way is a loop (RFC 3261 §8.2.2.2)."""
        if (request.method, request.cseq.number) in self._exchanges:
            self._outbox.respond(exchange, 482)
            return
        self._open(exchange, request)
        self.run(self.call.request_received(request, now), now)

    def _open(self, exchange: Exchange, request: Request) -> None:
        self._exchanges[request.method, request.cseq.number] = exchange
        if request.method == "INVITE":
            self._book.open_invite(exchange, self)

    def acknowledge(self, ack: Request, now: float) -> None:
        """The ACK to a 2xx: that is not repeated any more."""
        self.run(self.call.request_received(ack, now), now)
        exchange = self._exchanges.pop(("INVITE", ack.cseq.number), None)
        if exchange is not None:
            self._release(exchange)

    def response(self, response: Response, now: float) -> None:
        self.run(self.call.response_received(response, now), now)

    def failed(self, request: Request, status: int, now: float) -> None:
        self.run(self.call.request_failed(request, status, now), now)

    def answer_other(self, request: Request, status: int, headers: tuple[HeaderInput, ...] = ()) -> None:
        """Answers a request of a method that the call does not know."""
        exchange = self._exchanges.pop((request.method, request.cseq.number), None)
        if exchange is not None:
            self._outbox.respond(exchange, status, headers)

    def alarm_came(self, now: float) -> None:
        self._alarm = None
        self.run(self.call.handle_deadline(now), now)

    # -- outputs -----------------------------------------------------------------------------------------------------

    def run(self, outputs: list[CallOutput], now: float) -> None:
        """Carries out what the call says."""
        for output in outputs:
            match output:
                case call_outputs.SendRequest(request):
                    self._outbox.add(SendInCall(request, _Sent(self, request)))
                case call_outputs.SendAck(request):
                    self._outbox.add(SendAck(request))
                case call_outputs.SendCancel(invite, headers):
                    self._outbox.add(SendCancel(invite, headers))
                case call_outputs.Respond(request, response):
                    self._respond(request, response)
                case Released():
                    self._release_all()
                    self.user.call_event(output, now)
                case _:
                    self.user.call_event(output, now)
        self._set_alarm()

    def _respond(self, request: Request, response: Response) -> None:
        """A 2xx to INVITE keeps its exchange: it may have to go out again."""
        key, method = (request.method, request.cseq.number), request.method
        is_kept = response.status < 200 or (method == "INVITE" and response.status < 300)
        exchange = self._exchanges.get(key) if is_kept else self._exchanges.pop(key, None)
        if exchange is None:
            return
        if not is_kept:
            self._book.close_invite(exchange)
        if self.contact and method == "INVITE" and response.has("Contact"):
            response = response.edit().set("Contact", self.contact).done()
        self._outbox.add(RespondInCall(exchange, response))

    def _release_all(self) -> None:
        self._book.drop(self)
        for exchange in self._exchanges.values():
            self._release(exchange)
        self._exchanges.clear()

    def _release(self, exchange: Exchange) -> None:
        self._book.close_invite(exchange)
        self._outbox.add(Release(exchange))

    def _set_alarm(self) -> None:
        due, alarm = self.call.next_deadline(), self._alarm
        if alarm is not None:
            if alarm.at == due:
                return
            alarm.is_over, self._alarm = True, None
        if due is not None:
            self._alarm = _Alarm(self, due)
            self._deadlines.arm(due, self._alarm)


class _Alarm:
    """The next deadline of a call."""

    __slots__ = ("_call", "at", "is_over")

    def __init__(self, call: SessionCall, at: float) -> None:
        self._call = call
        self.at = at
        self.is_over = False

    def expired(self, now: float) -> None:
        self.is_over = True
        self._call.alarm_came(now)


class _Sent:
    """A request of a call on its way."""

    __slots__ = ("_call", "_request")

    def __init__(self, call: SessionCall, request: Request) -> None:
        self._call = call
        self._request = request

    def progressed(self, response: Response, now: float) -> None:
        self._call.response(response, now)

    def finished(self, status: int, response: Response | None, now: float) -> None:
        if response is None:
            self._call.failed(self._request, status, now)
        else:
            self._call.response(response, now)
