"""Short messages of a phone over IP and over the circuit-switched link (TS 24.341, digest §8.7, §19.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ims_core.transport.sip_stack import Outcome
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.address_headers import From, PAssertedIdentity
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.circuit_switched import CircuitSwitchedLink
from rcs_sim.client.content import SMS_CONTENT_TYPE
from rcs_sim.client.sms_incoming import DataReceived, IncomingMessages, IncomingRp, ReportReceived, TextReceived
from rcs_sim.client.sms_outgoing import (
    OutgoingMessages,
    Output,
    SendRp,
    SmsPath,
    SubmissionAccepted,
    SubmissionDelivered,
    SubmissionFailed,
)
from rcs_sim.client.user_agent import UserAgent
from rcs_sim.devices.policy import SmsPolicy

__all__ = ["SmsService", "SmsUser"]


class SmsUser:
    """Who gets what short messages bring; the phone fills it in. *owner* is what was given to `SmsService.submit`.
    *left* is called for each of its parts that goes out, *taken_back* when the rest of them never will."""

    __slots__ = ("accepted", "data_received", "delivered", "failed", "left", "taken_back", "text_received")

    def __init__(
        self,
        *,
        left: Callable[[object], None],
        taken_back: Callable[[object], None],
        accepted: Callable[[object, SmsPath], None],
        failed: Callable[[object, int | None], None],
        delivered: Callable[[object], None],
        text_received: Callable[[TextReceived], None],
        data_received: Callable[[DataReceived], None],
    ) -> None:
        self.left = left
        self.taken_back = taken_back
        self.accepted = accepted
        self.failed = failed
        self.delivered = delivered
        self.text_received = text_received
        self.data_received = data_received


class SmsService:
    """The short message entity of one phone. *ip* is set while the phone is registered for SMS over IP."""

    __slots__ = (
        "_alarm",
        "_alarms",
        "_incoming",
        "_outgoing",
        "_policy",
        "_service_centre",
        "_smma_reference",
        "_user",
        "cs",
        "ip",
    )

    def __init__(self, policy: SmsPolicy, service_centre: str, alarms: Alarms, tokens: Tokens, user: SmsUser) -> None:
        self._policy = policy
        self._service_centre = service_centre
        self._alarms = alarms
        self._alarm = alarms.new(self._rang)
        self._outgoing = OutgoingMessages(policy, service_centre, tokens)
        self._incoming = IncomingMessages(policy.storage_messages)
        self._user = user
        self._smma_reference = tokens.number(0, 255)
        self.ip: UserAgent | None = None
        self.cs: CircuitSwitchedLink | None = None

    @property
    def paths(self) -> tuple[SmsPath, ...]:
        """Available now, best first."""
        if not self._service_centre:
            return ()
        ip = (SmsPath.IP,) if self.ip is not None else ()
        return (*ip, SmsPath.CS) if self.cs is not None and self.cs.is_attached else ip

    def use_circuit_switched(self, link: CircuitSwitchedLink) -> None:
        self.cs = link
        link.received = self._received_by_cs
        link.answered = self._answered_by_cs

    def submit(self, destination: str, text: str, owner: object) -> None:
        """Sends *text* to the number *destination*; the user is told what becomes of it."""
        _, outputs = self._outgoing.submit(destination, text, owner, self.paths, self._alarms.now())
        self._perform(outputs)

    def take_back(self, destination: str) -> None:
        """Nothing more leaves for that number of what was submitted before."""
        for owner in self._outgoing.take_back(destination):
            self._user.taken_back(owner)

    def received_by_ip(self, octets: bytes, request: Request) -> None:
        """An RP message in a MESSAGE, which has been answered with 200."""
        came = self._incoming.receive(octets, self._alarms.now())
        if came.network_answer is not None:
            reply_to = (request.text("In-Reply-To") or "").partition(",")[0].strip()
            self._perform(self._outgoing.answered(came.network_answer, reply_to, self.paths, self._alarms.now()))
        if came.answer is not None:
            self._send_by_ip(SendRp(came.answer, SmsPath.IP, "", request.call_id, _gateway_of(request)))
        self._deliver(came)

    def free_memory(self, count: int) -> None:
        """The user deleted *count* short messages; the network is told if it waits for that (RP-SMMA)."""
        octets = self._incoming.deleted(count, self._next_reference(), self._alarms.now())
        self._send_smma(octets)
        self._arm()

    def _received_by_cs(self, octets: bytes, reference: int) -> None:
        came = self._incoming.receive(octets, self._alarms.now())
        if came.answer is not None and self.cs is not None:
            self.cs.answer(came.answer, reference)
        self._deliver(came)

    def _answered_by_cs(self, octets: bytes | None) -> None:
        now = self._alarms.now()
        if octets is None:
            self._perform(self._outgoing.path_failed("", self.paths, now))
            return
        came = self._incoming.receive(octets, now)
        if came.network_answer is not None:
            self._perform(self._outgoing.answered(came.network_answer, "", self.paths, now))

    def _deliver(self, came: IncomingRp) -> None:
        for each in came.received:
            match each:
                case TextReceived():
                    self._user.text_received(each)
                case DataReceived():
                    self._user.data_received(each)
                case ReportReceived():
                    self._perform(self._outgoing.reported(each.report))
        self._arm()

    def _perform(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, SendRp) and output.owner is not None:
                self._user.left(output.owner)
            match output:
                case SendRp(path=SmsPath.IP):
                    self._send_by_ip(output)
                case SendRp():
                    if self.cs is not None:
                        self.cs.send(output.octets)
                case SubmissionAccepted():
                    self._user.accepted(output.submission.owner, output.path)
                case SubmissionFailed():
                    self._user.failed(output.submission.owner, output.cause)
                case SubmissionDelivered():
                    self._user.delivered(output.submission.owner)
        self._arm()

    def _send_by_ip(self, rp: SendRp) -> None:
        ua = self.ip
        if ua is None:
            if rp.call_id:
                self._perform(self._outgoing.path_failed(rp.call_id, self.paths, self._alarms.now()))
            return
        headers: list[HeaderInput] = []
        if rp.in_reply_to:
            headers.append(("In-Reply-To", rp.in_reply_to))
        if self._policy.forbids_forking:
            headers.append(("Request-Disposition", "no-fork"))
        request = ua.new_request(
            "MESSAGE",
            rp.to or f"tel:{self._service_centre}",
            headers,
            rp.octets,
            SMS_CONTENT_TYPE,
            call_id=rp.call_id,
        )
        ua.send(request, self._sent_by_ip)

    def _sent_by_ip(self, outcome: Outcome, request: Request) -> None:
        if isinstance(outcome, Response) and outcome.status < 300:
            return  # the RP answer comes in a MESSAGE of its own
        self._perform(self._outgoing.path_failed(request.call_id, self.paths, self._alarms.now()))

    def _send_smma(self, octets: bytes | None) -> None:
        if octets is None:
            return
        if self.ip is not None:
            self._send_by_ip(SendRp(octets, SmsPath.IP))
        elif self.cs is not None:
            self.cs.send(octets)

    def _rang(self, now: float) -> None:
        self._perform(self._outgoing.handle_deadline(self.paths, now))
        octets, texts = self._incoming.handle_deadline(self._next_reference(), now)
        self._send_smma(octets)
        for text in texts:
            self._user.text_received(text)
        self._arm()

    def _arm(self) -> None:
        deadlines = (self._outgoing.next_deadline(), self._incoming.next_deadline())
        self._alarm.set(min((each for each in deadlines if each is not None), default=None))

    def _next_reference(self) -> int:
        self._smma_reference = (self._smma_reference + 1) % 256
        return self._smma_reference


def _gateway_of(request: Request) -> str:
    """URI of the IP-SM-GW that sent an MT message: its asserted identity (TS 24.341 §5.3.2.4)."""
    try:
        asserted = request.get(PAssertedIdentity)
        return str(asserted.uri) if asserted is not None else str(request.require(From).uri)
    except SipParseError:
        return ""
