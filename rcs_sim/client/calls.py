"""The calls of a phone on its user agent: dialogs, transactions and deadlines of `ims_core.wire.sip.call` (RFC 3261 §12
to §15)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from ims_core.transport.link import Flow
from ims_core.transport.sip_stack import ClientHandle, Outcome, ServerTransaction
from ims_core.wire.sip.address_headers import From, To
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_outputs import (
    CALL_METHODS,
    CallConfig,
    CallOutput,
    Released,
    Respond,
    SendAck,
    SendCancel,
    SendRequest,
)
from ims_core.wire.sip.core_headers import Reason
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.offer_answer import SDP_TYPE, Description
from ims_core.wire.sip.session_timer import SessionTimerConfig
from ims_core.wire.sip.transaction import State, TransactionKey, cancelled_key, transaction_key
from ims_core.wire.sip.uas import uas_check
from ims_core.wire.sip.uri import Uri
from rcs_sim.client.alarms import Alarm, Alarms
from rcs_sim.client.user_agent import UserAgent

__all__ = ["CallUser", "Calls", "PhoneCall"]

_OPTIONS = frozenset(("timer", "100rel", "gruu", "outbound", "path", "sec-agree"))
_METHODS = frozenset((*CALL_METHODS, "MESSAGE", "OPTIONS", "NOTIFY"))
_DESCRIPTIONS = frozenset((SDP_TYPE,))


class CallUser(Protocol):
    """Whom a call is for."""

    def told(self, event: CallOutput) -> None:
        """Something happened to the call: no message to be sent, that is done already."""
        ...


class _Nobody:
    def told(self, event: CallOutput) -> None:
        """A call before somebody takes it, or after."""


_NOBODY = _Nobody()


class PhoneCall:
    """One call. *user* may be set anew; `told` comes for everything that is not a message to carry out."""

    __slots__ = ("_alarm", "_calls", "_clients", "_servers", "call", "invite_key", "target", "user")

    def __init__(self, calls: Calls, call: Call, user: CallUser, target: Uri | None = None) -> None:
        self._calls = calls
        self.call = call
        self.user = user
        self.target = target  # where the INVITE goes instead of the P-CSCF (305)
        self.invite_key: TransactionKey | None = None
        self._alarm: Alarm = calls.alarms.new(self._rang)
        self._clients: dict[int, ClientHandle] = {}
        self._servers: dict[tuple[int, str], ServerTransaction] = {}

    # --- the owner ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The INVITE goes out, or is looked at."""
        self.carry_out(self.call.start(self._now()))

    def ring(self) -> None:
        """180."""
        self.carry_out(self.call.ring(self._now()))

    def answer(self, body: bytes, headers: Iterable[HeaderInput] = ()) -> None:
        """200 with that description, to the INVITE or to what was offered since."""
        self.carry_out(self.call.answer(body, self._now(), headers=headers))

    def refuse(self, status: int, headers: Iterable[HeaderInput] = ()) -> None:
        self.carry_out(self.call.refuse(status, self._now(), headers=headers))

    def reinvite(self, body: bytes) -> None:
        self.carry_out(self.call.reinvite(body, self._now()))

    def hang_up(self, reason: Reason | None = None) -> None:
        """BYE, CANCEL or 480, whatever the call needs."""
        self.carry_out(self.call.bye(self._now(), reason=reason))

    def refresh_with(self, offer: bytes) -> None:
        """What a re-INVITE offers that only refreshes."""
        self.call.refresh_offer = Description(offer)

    # --- the network -------------------------------------------------------------------------------------------------

    def request_received(self, request: Request, server: ServerTransaction | None) -> None:
        if server is not None:
            self._servers[request.cseq.number, request.method] = server
        self.carry_out(self.call.request_received(request, self._now()))
        if request.method == "ACK" and self.call.can_offer:
            self._servers.pop((request.cseq.number, "INVITE"), None)  # its 2xx is not repeated any more

    def invite_received(self, server: ServerTransaction) -> None:
        """The request that made the call."""
        self.invite_key = server.key
        self._servers[server.request.cseq.number, "INVITE"] = server

    def response_received(self, response: Response) -> None:
        self.carry_out(self.call.response_received(response, self._now()))

    def _outcome(self, outcome: Outcome, request: Request) -> None:
        if self._calls.ua.is_deaf:
            return
        now = self._now()
        if request.method == "INVITE" and not (isinstance(outcome, Response) and outcome.status < 200):
            self._clients.pop(request.cseq.number, None)  # it cannot be cancelled any more
        if isinstance(outcome, Response):
            self.carry_out(self.call.response_received(outcome, now))
        else:
            self.carry_out(self.call.request_failed(request, outcome.status, now))

    def _rang(self, now: float) -> None:
        self.carry_out(self.call.handle_deadline(now))

    def stop(self) -> None:
        """Nothing more is done for it."""
        self._alarm.set(None)
        self.user = _NOBODY

    # --- carrying out ------------------------------------------------------------------------------------------------

    def carry_out(self, outputs: Iterable[CallOutput]) -> None:
        for output in outputs:
            match output:
                case SendRequest():
                    self._send(output.request)
                case SendAck():
                    self._calls.ua.send_ack(output.request, self.target)
                case SendCancel():
                    client = self._clients.get(output.invite.cseq.number)
                    if client is not None:
                        client.cancel(output.headers)
                case Respond():
                    self._respond(output.request, output.response)
                case Released():
                    self._calls.released(self)
                case _:
                    self.user.told(output)
        self._alarm.set(None if self.call.is_released else self.call.next_deadline())

    def _send(self, request: Request) -> None:
        if not self._calls.may_send(request, is_first=request.cseq == self.call.invite.cseq):
            return

        def settle(outcome: Outcome) -> None:
            self._outcome(outcome, request)

        client = self._calls.ua.send_in_call(request, settle, self.target)
        if request.method == "INVITE":
            self._clients[request.cseq.number] = client

    def _respond(self, request: Request, response: Response) -> None:
        key = (request.cseq.number, request.method)
        server = self._servers.get(key)
        if server is None or server.state is State.TERMINATED:
            return
        server.respond(response)
        if request.method != "INVITE" and response.status >= 200:
            del self._servers[key]

    def _now(self) -> float:
        return self._calls.alarms.now()


class Calls:
    """All calls of one phone. *invited* gets the call and the request of each INVITE that RFC 3261 §8.2 lets pass."""

    __slots__ = ("_by_tag", "_config", "_invited", "_invites", "alarms", "ua")

    def __init__(self, ua: UserAgent, alarms: Alarms, invited: Callable[[PhoneCall, Request], None]) -> None:
        self.ua, self.alarms = ua, alarms
        self._invited = invited
        self._by_tag: dict[tuple[str, str], PhoneCall] = {}
        self._invites: dict[TransactionKey, PhoneCall] = {}
        self._config: CallConfig | None = None

    def __len__(self) -> int:
        return len(self._by_tag)

    def invite(self, invite: Request, user: CallUser, target: Uri | None = None) -> PhoneCall:
        """A call of ours; it goes out by `PhoneCall.start`."""
        call = Call.outgoing(
            invite, uniform=self.ua.tokens.uniform, config=self._call_config(), authorize=self.ua.authorized
        )
        phone_call = PhoneCall(self, call, user, target)
        self._by_tag[call.call_id, call.local_tag] = phone_call
        return phone_call

    def may_send(self, request: Request, *, is_first: bool) -> bool:
        """Some devices never refresh a session, and some announce 100rel and send no PRACK."""
        policy = self.ua.policy.session
        if request.method == "PRACK":
            return policy.acknowledges_reliably
        return policy.refreshes or is_first or request.method not in ("INVITE", "UPDATE")

    def released(self, phone_call: PhoneCall) -> None:
        """Nothing is expected of it any more."""
        phone_call.stop()
        self._by_tag.pop((phone_call.call.call_id, phone_call.call.local_tag), None)
        if phone_call.invite_key is not None:
            self._invites.pop(phone_call.invite_key, None)

    def close(self) -> None:
        """The phone leaves: nobody is told anything."""
        for phone_call in self._by_tag.values():
            phone_call.stop()
        self._by_tag.clear()
        self._invites.clear()

    # --- from the user agent -----------------------------------------------------------------------------------------

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        """Handler for the methods of calls; *server* is None for an ACK."""
        try:
            if request.method == "CANCEL":
                found = self._invites.get(cancelled_key(request))
            else:
                found = self._by_tag.get((request.call_id, request.require(To).tag or ""))
        except SipParseError:
            found = None
        if found is not None:
            found.request_received(request, server)
        elif server is None:
            return
        elif request.method == "INVITE" and not _is_in_dialog(request):
            self._new_call(request, server)
        else:
            self.ua.respond(server, 481)

    def stray_response(self, response: Response) -> None:
        """A 2xx to INVITE that no transaction waits for (RFC 6026 §8.4)."""
        try:
            found = self._by_tag.get((response.call_id, response.require(From).tag or ""))
        except SipParseError:
            return
        if found is not None:
            found.response_received(response)

    def _new_call(self, request: Request, server: ServerTransaction) -> None:
        rejection = uas_check(
            request,
            supported=_OPTIONS,
            methods=_METHODS,
            content_types=_DESCRIPTIONS,
            answers_with=SDP_TYPE,
        )
        if rejection is not None:
            self.ua.respond(server, rejection.status, rejection.headers)
            return
        if self._is_merged(request):
            self.ua.respond(server, 482)
            return
        try:
            call = Call.incoming(
                request,
                server.to_tag(self.ua.tokens),
                contact=self.ua.session_contact,
                uniform=self.ua.tokens.uniform,
                config=self._call_config(),
                authorize=self.ua.authorized,
            )
        except SipParseError:
            self.ua.respond(server, 400)
            return
        phone_call = PhoneCall(self, call, _NOBODY)
        phone_call.invite_received(server)
        self._by_tag[call.call_id, call.local_tag] = phone_call
        self._invites[transaction_key(request)] = phone_call
        phone_call.start()
        if not call.is_over:
            self._invited(phone_call, request)

    def _is_merged(self, request: Request) -> bool:
        """The same request over another path (RFC 3261 §8.2.2.2)."""
        sender = request.require(From).tag
        for found in self._invites.values():
            invite = found.call.invite
            is_same = invite.call_id == request.call_id and invite.cseq == request.cseq
            if is_same and invite.require(From).tag == sender:
                return True
        return False

    def _call_config(self) -> CallConfig:
        """Made once: the headers of a registration stay."""
        if self._config is None:
            ua, policy = self.ua, self.ua.policy.session
            self._config = CallConfig(
                timers=ua.stack.timers,
                session=SessionTimerConfig(interval_s=max(policy.expires_s, 90)),
                headers=ua.dialog_headers,
            )
        return self._config


def _is_in_dialog(request: Request) -> bool:
    try:
        return bool(request.require(To).tag)
    except SipParseError:
        return False
