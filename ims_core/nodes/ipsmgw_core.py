"""Decision core of the IP-SM-GW: SMS over IP between the S-CSCF and the SMSC (TS 24.341 §5.3.3, digest §15.7).

Every RP-DATA of a phone is answered 202 at once; its RP-ACK or RP-ERROR follows in a MESSAGE of the gateway's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ims_core.cx import Sh
from ims_core.nodes.deadlines import Deadlines
from ims_core.nodes.embedded_registration import read_embedded_registration
from ims_core.nodes.ipsmgw_actions import Action, IpSmGwConfig, Note, Respond, SendMessage, SendToSmsc
from ims_core.nodes.ipsmgw_transfer import Transfer, TransferAction, TransferInput, TransferState
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import Expires, InReplyTo, PAssertedIdentity, To
from ims_core.wire.sip.message import HeaderInput, Request
from ims_core.wire.sip.uas import uas_check
from ims_core.wire.sip.uri import identity_key, tel_of_sip
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import (
    Direction,
    RpAck,
    RpCause,
    RpData,
    Rpdu,
    RpError,
    RpSmma,
    parse_rpdu,
    readable_reference,
)
from ims_core.wire.sms.sm_link import (
    AlertReason,
    Failure,
    Forward,
    ForwardKind,
    Party,
    PartyKind,
    Result,
    SmAlert,
    SmError,
    SmLinkMessage,
)

__all__ = ["SMS_CONTENT_TYPE", "IpSmGateway"]

SMS_CONTENT_TYPE = "application/vnd.3gpp.sms"
_SMSIP = "+g.3gpp.smsip"
_METHODS = frozenset(("MESSAGE", "OPTIONS", "REGISTER"))
_CONTENT = {
    "MESSAGE": frozenset((SMS_CONTENT_TYPE,)),
    "REGISTER": frozenset(("multipart/*", "message/sip")),
    "OPTIONS": frozenset(("*/*", "application/sdp")),
}
_ALLOW: tuple[HeaderInput, ...] = (("Allow", "MESSAGE, OPTIONS, REGISTER"), ("Accept", SMS_CONTENT_TYPE))
_UNREACHABLE = frozenset((404, 408, 410, 430, 480))
_DEFAULT_EXPIRES_S = 3600


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who sent an RP message: *uri* gets the answers; *report_to* is set for an application server."""

    uri: str
    number: str
    report_to: str = ""

    @property
    def party(self) -> str:
        """What transfers to him are kept under."""
        return self.report_to or self.number


@dataclass(frozen=True, slots=True)
class _Submission:
    """An RP-DATA that the SMSC has not answered yet."""

    sender: _Sender
    rp_reference: int
    call_id: str


_TimerKey = tuple[bool, int]  # whether it is a submission (else a transfer), and its number


class IpSmGateway:
    """*new_word* draws Call-IDs and tags. Every input gives the actions to carry out, in order."""

    __slots__ = (
        "_by_answer",
        "_config",
        "_deadlines",
        "_is_linked",
        "_new_word",
        "_next",
        "_out",
        "_registered",
        "_sh",
        "_submissions",
        "_transfers",
    )

    def __init__(self, config: IpSmGwConfig, *, sh: Sh, new_word: Callable[[], str]) -> None:
        self._config = config
        self._sh = sh
        self._new_word = new_word
        self._out: list[Action] = []
        self._is_linked = False
        self._next = 0
        self._submissions: dict[int, _Submission] = {}
        self._transfers: dict[int, Transfer] = {}
        self._by_answer: dict[tuple[str, int], Transfer] = {}  # by party and RP-MR
        self._registered: dict[str, float] = {}  # by number: expiry; 0 = known to be away
        self._deadlines: Deadlines[_TimerKey] = Deadlines()

    # --- inputs ------------------------------------------------------------------------------------------------------

    def receive(self, exchange: int, request: Request, source_host: str, now: float) -> list[Action]:
        """A request other than ACK and CANCEL; exactly one `Respond` with *exchange* comes back."""
        try:
            self._receive(exchange, request, source_host, now)
        except SipParseError as error:
            self._respond(exchange, error.status)
        return self._drain()

    def message_answered(self, errand: int, status: int, now: float) -> list[Action]:
        """The final answer to a MESSAGE of ours; 408 for none."""
        transfer = self._transfers.get(errand)
        if transfer is not None:
            self._step(transfer, _input_of_status(status), now)
        elif status >= 300:
            self._note("RP answer not delivered", status=str(status))
        return self._drain()

    def receive_frame(self, message: SmLinkMessage, now: float) -> list[Action]:
        """A frame of the SMSC, once it has accepted the link."""
        match message:
            case Forward():
                self._forward(message, now)
            case Result():
                self._submission_answered(message.reference, message.rpdu)
            case Failure():
                self._submission_failed(message.reference, RpCause.NETWORK_OUT_OF_ORDER)
            case _:
                self._note("frame out of place", frame=type(message).__name__)
        return self._drain()

    def link_up(self) -> list[Action]:
        self._is_linked = True
        return []

    def link_down(self) -> list[Action]:
        """Submissions without answer fail; the SMSC has given up its transfers."""
        self._is_linked = False
        for number in list(self._submissions):
            self._submission_failed(number, RpCause.TEMPORARY_FAILURE)
        for transfer in list(self._transfers.values()):
            self._end(transfer)
        return self._drain()

    def next_deadline(self) -> float | None:
        return self._deadlines.next_deadline()

    def handle_deadline(self, now: float) -> list[Action]:
        for is_submission, number in self._deadlines.pop_due(now):
            if is_submission:
                self._submission_failed(number, RpCause.TEMPORARY_FAILURE)
            elif number in self._transfers:
                self._step(self._transfers[number], TransferInput.TIMER, now)
        return self._drain()

    def is_reachable(self, number: str, now: float) -> bool | None:
        """By IP, as the last third-party REGISTER said; None if that is not known (any more)."""
        expires_at = self._registered.get(number)
        if expires_at is None:
            return None
        if expires_at == 0:
            return False
        return True if expires_at > now else None

    @property
    def open_transfers(self) -> tuple[int, int]:
        """How many submissions and deliveries wait for an answer."""
        return len(self._submissions), len(self._transfers)

    # --- requests ----------------------------------------------------------------------------------------------------

    def _receive(self, exchange: int, request: Request, source_host: str, now: float) -> None:
        """Raises SipParseError."""
        content = _CONTENT.get(request.method, frozenset())
        rejection = uas_check(request, supported=frozenset(("path",)), methods=_METHODS, content_types=content)
        if rejection is not None:
            self._respond(exchange, rejection.status, *rejection.headers)
        elif request.method == "OPTIONS":
            self._respond(exchange, 200, *_ALLOW)
        elif source_host not in self._config.trusted_hosts and source_host not in self._config.application_servers:
            self._respond(exchange, 403)
        elif request.method == "REGISTER":
            self._third_party_register(exchange, request, now)
        elif request.text("Content-Type") is None:
            self._respond(exchange, 415, ("Accept", SMS_CONTENT_TYPE))
        else:
            self._short_message(exchange, request, source_host, now)

    def _third_party_register(self, exchange: int, request: Request, now: float) -> None:
        expires = request.get(Expires)
        seconds = _DEFAULT_EXPIRES_S if expires is None else expires.seconds
        user = self._sh.user_by_identity(identity_key(request.require(To).uri))
        self._respond(exchange, 200, ("Expires", str(seconds)))
        if user is None or user.msisdn is None:
            return
        number = user.msisdn
        embedded = read_embedded_registration(request)
        if seconds == 0:
            self._registered[number] = 0
        elif embedded.has_tag(_SMSIP) or (embedded.register is None and embedded.answer is None):
            self._registered[number] = now + seconds
            self._tell(SmAlert(Party.msisdn(number), AlertReason.PRESENT))
        else:
            self._registered.pop(number, None)  # devices are left, perhaps one that takes short messages
        self._note("reachable" if self.is_reachable(number, now) else "not reachable", user=number)

    def _short_message(self, exchange: int, request: Request, source_host: str, now: float) -> None:
        sender = self._sender_of(request, source_host)
        if sender is None:
            self._respond(exchange, 403)
            return
        try:
            rpdu = parse_rpdu(request.body)
        except SmsParseError as error:
            self._note("unreadable RP message", reason=str(error), user=sender.number)
            self._respond(exchange, 202)
            self._refuse(sender, readable_reference(request.body) or 0, RpCause.PROTOCOL_ERROR, request.call_id)
            return
        self._rp_message(exchange, request, sender, rpdu, now)

    def _rp_message(self, exchange: int, request: Request, sender: _Sender, rpdu: Rpdu, now: float) -> None:
        match rpdu:
            case RpData(direction=Direction.FROM_MS):
                self._respond(exchange, 202)
                self._submit(request, sender, rpdu.reference, now)
            case RpSmma():
                self._respond(exchange, 202)
                self._answer(sender, RpAck(Direction.TO_MS, rpdu.reference).encode(), request.call_id)
                self._tell(SmAlert(Party.msisdn(sender.number), AlertReason.MEMORY_AVAILABLE))
            case RpAck(direction=Direction.FROM_MS) | RpError(direction=Direction.FROM_MS):
                replied_to = request.get(InReplyTo)
                self._respond(exchange, 200)
                self._transfer_answered(sender, rpdu.reference, replied_to, request.body, now)
            case RpData():
                self._respond(exchange, 202)
                self._refuse(sender, rpdu.reference, RpCause.MESSAGE_NOT_COMPATIBLE, request.call_id)
            case _:
                self._respond(exchange, 200)
                self._note("RP answer in the wrong direction", user=sender.number)

    def _sender_of(self, request: Request, source_host: str) -> _Sender | None:
        """From P-Asserted-Identity: a subscriber who may send, or whomever an application server speaks for."""
        identities = [identity.uri for identity in request.get_all(PAssertedIdentity)]
        server = self._config.application_servers.get(source_host)
        for uri in identities:
            if server is not None:
                tel = tel_of_sip(uri)
                if tel is not None and tel.is_global:
                    return _Sender(server, tel.digits, server)
                continue
            user = self._sh.user_by_identity(identity_key(uri))
            if user is not None and user.msisdn is not None and not user.is_barred:
                return _Sender(str(uri), user.msisdn)
        return None

    # --- mobile originated -------------------------------------------------------------------------------------------

    def _submit(self, request: Request, sender: _Sender, rp_reference: int, now: float) -> None:
        if not self._is_linked:
            self._refuse(sender, rp_reference, RpCause.NETWORK_OUT_OF_ORDER, request.call_id)
            return
        if len(self._submissions) >= self._config.max_transfers:
            self._refuse(sender, rp_reference, RpCause.CONGESTION, request.call_id)
            return
        number = self._new_number()
        self._submissions[number] = _Submission(sender, rp_reference, request.call_id)
        self._deadlines.set((True, number), now + self._config.smsc_answer_s)
        self._tell(
            Forward(
                reference=number,
                kind=ForwardKind.MO,
                rpdu=request.body,
                originator=Party.msisdn(sender.number),
                report_to=sender.report_to,
                report_key=request.call_id[:200] if sender.report_to else "",
            )
        )

    def _submission_answered(self, number: int, octets: bytes) -> None:
        submission = self._submissions.get(number)
        try:
            rpdu = parse_rpdu(octets)
        except SmsParseError as error:
            self._note("unreadable RP answer of the SMSC", reason=str(error))
            return
        if submission is None or not isinstance(rpdu, RpAck | RpError) or rpdu.reference != submission.rp_reference:
            self._note("answer to nothing", reference=str(number))
            return
        self._end_submission(number)
        self._answer(submission.sender, octets, submission.call_id)

    def _submission_failed(self, number: int, cause: RpCause) -> None:
        submission = self._end_submission(number)
        if submission is not None:
            self._refuse(submission.sender, submission.rp_reference, cause, submission.call_id)

    def _end_submission(self, number: int) -> _Submission | None:
        self._deadlines.remove((True, number))
        return self._submissions.pop(number, None)

    def _refuse(self, sender: _Sender, rp_reference: int, cause: RpCause, call_id: str) -> None:
        self._answer(sender, RpError(Direction.TO_MS, rp_reference, cause).encode(), call_id)

    def _answer(self, sender: _Sender, rpdu: bytes, call_id: str) -> None:
        """RP-ACK or RP-ERROR to who submitted."""
        request = self._message(
            sender.uri, rpdu, self._new_call_id(), is_to_server=bool(sender.report_to), reply=call_id
        )
        self._out.append(SendMessage(self._new_number(), request))

    # --- mobile terminated -------------------------------------------------------------------------------------------

    def _forward(self, forward: Forward, now: float) -> None:
        """RP-DATA of the SMSC for a phone, or a status report for an application server."""
        is_to_server = forward.kind is ForwardKind.REPORT
        target = forward.report_to if is_to_server else _number_of(forward)
        try:
            rpdu = parse_rpdu(forward.rpdu)
        except SmsParseError as error:
            self._note("unreadable RP message of the SMSC", reason=str(error))
            rpdu = None
        is_deliverable = isinstance(rpdu, RpData) and rpdu.direction is Direction.TO_MS
        if rpdu is None or not is_deliverable or not target or (is_to_server and not self._is_server(target)):
            self._tell(Failure(forward.reference, SmError.SYSTEM_FAILURE))
        elif not is_to_server and self.is_reachable(target, now) is False:
            self._tell(Failure(forward.reference, SmError.ABSENT_SUBSCRIBER))
        elif len(self._transfers) >= self._config.max_transfers:
            self._tell(Failure(forward.reference, SmError.SYSTEM_FAILURE))
        else:
            self._deliver(forward, target, rpdu.reference, is_to_server, now)

    def _deliver(self, forward: Forward, target: str, rp_reference: int, is_to_server: bool, now: float) -> None:
        transfer = Transfer(self._new_number(), forward.reference, target, rp_reference, self._new_call_id())
        earlier = self._by_answer.get((target, rp_reference))
        if earlier is not None:  # the SMSC repeats itself: the answer to the earlier one would be ambiguous
            self._end(earlier)
            self._tell(Failure(earlier.reference, SmError.SYSTEM_FAILURE))
        self._transfers[transfer.number] = self._by_answer[target, rp_reference] = transfer
        self._deadlines.set((False, transfer.number), now + self._config.sip_answer_s)
        uri = target if is_to_server else self._impu_of(target)
        request = self._message(uri, forward.rpdu, transfer.call_id, is_to_server=is_to_server)
        self._out.append(SendMessage(transfer.number, request))

    def _impu_of(self, number: str) -> str:
        user = self._sh.user_by_msisdn(number)
        tel = f"tel:{number}"
        return tel if user is None or tel in user.impus else user.impus[0]

    def _transfer_answered(
        self, sender: _Sender, rp_reference: int, replied_to: InReplyTo | None, octets: bytes, now: float
    ) -> None:
        """RP-MR and sender have to match, and In-Reply-To where it is there (choice: some phones leave it out)."""
        transfer = self._by_answer.get((sender.party, rp_reference))
        if transfer is None or (replied_to is not None and transfer.call_id not in replied_to.tokens):
            self._note("RP answer to nothing", user=sender.number, reference=str(rp_reference))
            return
        if self._step(transfer, TransferInput.RP_ANSWER, now) is TransferAction.PASS_ON:
            self._tell(Result(transfer.reference, octets))

    def _step(self, transfer: Transfer, event: TransferInput, now: float) -> TransferAction | None:
        action = transfer.step(event)
        match action:
            case TransferAction.START_TR1N:
                self._deadlines.set((False, transfer.number), now + self._config.tr1n_s)
            case TransferAction.TELL_ABSENT:
                self._tell(Failure(transfer.reference, SmError.ABSENT_SUBSCRIBER))
            case TransferAction.TELL_FAILURE:
                self._tell(Failure(transfer.reference, SmError.SYSTEM_FAILURE))
            case TransferAction.PASS_ON | None:
                pass
        if transfer.state is TransferState.ENDED:
            self._end(transfer)
        return action

    def _end(self, transfer: Transfer) -> None:
        self._deadlines.remove((False, transfer.number))
        self._transfers.pop(transfer.number, None)
        key = (transfer.party, transfer.rp_reference)
        if self._by_answer.get(key) is transfer:
            del self._by_answer[key]

    def _is_server(self, uri: str) -> bool:
        return uri in self._config.application_servers.values()

    # --- outputs -----------------------------------------------------------------------------------------------------

    def _message(self, uri: str, rpdu: bytes, call_id: str, *, is_to_server: bool, reply: str = "") -> Request:
        """A MESSAGE with an RP message (TS 24.341 §5.3.3.4)."""
        headers: list[HeaderInput] = [("Max-Forwards", "70")]
        if not is_to_server:
            headers += [("Route", route) for route in self._config.route]
        headers += [
            ("From", f"<{self._config.uri}>;tag={self._new_word()}"),
            ("To", f"<{uri}>"),
            ("Call-ID", call_id),
            ("CSeq", "1 MESSAGE"),
            ("P-Asserted-Identity", f"<{self._config.uri}>"),
        ]
        if reply:
            headers.append(("In-Reply-To", reply))
        if not is_to_server:
            headers.append(("Accept-Contact", f"*;{_SMSIP};require;explicit"))
        headers.append(("Request-Disposition", "no-fork"))
        return Request.new("MESSAGE", uri, headers, rpdu, SMS_CONTENT_TYPE)

    def _new_call_id(self) -> str:
        return f"{self._new_word()}@{self._config.name}"

    def _new_number(self) -> int:
        self._next = self._next % 0xFFFF_FFFF + 1
        return self._next

    def _respond(self, exchange: int, status: int, *headers: HeaderInput) -> None:
        self._out.append(Respond(exchange, status, headers))

    def _tell(self, message: SmLinkMessage) -> None:
        """To the SMSC; while the link is down it is lost: the SMSC tries again when the link is back."""
        if self._is_linked:
            self._out.append(SendToSmsc(message))

    def _note(self, summary: str, **details: str) -> None:
        self._out.append(Note(summary, details))

    def _drain(self) -> list[Action]:
        out, self._out = self._out, []
        return out


def _input_of_status(status: int) -> TransferInput:
    if status < 300:
        return TransferInput.SUCCESS
    return TransferInput.UNREACHABLE if status in _UNREACHABLE else TransferInput.FAILURE


def _number_of(forward: Forward) -> str:
    party = forward.destination
    return party.value if party is not None and party.kind is PartyKind.MSISDN else ""
