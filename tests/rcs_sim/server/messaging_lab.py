"""A participating function without stack and store, two subscribers, and the messages of digest §4.4, §5.1 and §19."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ims_core.cx import ShUser
from ims_core.store.record_table import StoreError
from ims_core.transport.link import Address, Transport
from ims_core.transport.tokens import Tokens
from ims_core.wire.secret import Secret
from ims_core.wire.sip.message import HeaderInput, Request, Response
from rcs_sim.server.messaging_actions import (
    Action,
    Errand,
    Exchange,
    Forget,
    Note,
    Persist,
    Respond,
    SendRequest,
    StoreErrand,
    SubmitText,
)
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.server.participating_function import ParticipatingFunction
from rcs_sim.wire.cpim import ANONYMOUS_URI, compose_cpim
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import Imdn
from rcs_sim.wire.message_reference import MessageReference, ReferenceDialect, ReferenceType, reference_headers
from rcs_sim.wire.multipart import BodyPart, Multipart
from rcs_sim.wire.revocation import RevokeRequest

RED, BLUE = "ims.mnc001.mcc001.3gppnetwork.org", "ims.mnc002.mcc001.3gppnetwork.org"
ALICE, BOB, CAROL = "+12025550101", "+12025550152", "+12025550154"
ICSI = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm"
SERVICES = frozenset(f"{ICSI}.{name}" for name in ("msg", "session", "largemsg", "deferred", "systemmsg"))
RCS_TAGS = (
    ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session,'
    'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";+g.gsma.rcs.msgrevoke'
)
PHONE, TABLET = "urn:gsma:imei:00499901-000152-0", "urn:gsma:imei:00499901-000153-0"
M1 = "7b0c2f1e-3c55-4c7b-9a55-0f4c6d1a0001"
C1, K1 = "2f6b0a52-7d1c-4c2f-8f4e-5a9f3d7e1001", "90d1b6c4-18f2-4c0e-9b53-77a1f2ce2001"
T0 = 1772446530.0  # 2026-03-02T10:15:30Z
CONFIG = MessagingServerConfig(
    name="blue.messaging_server",
    domain=BLUE,
    listen=(Address(Transport.TCP, "127.0.2.20", 5060),),
    scscf=f"sip:scscf.{BLUE};lr",
    smsc_number="+12025550198",
)


def sip(number: str, domain: str) -> str:
    return f"sip:{number}@{domain}"


class Directory:
    """Subscribers of one carrier over Sh."""

    def __init__(self, domain: str, numbers: Sequence[str], services: frozenset[str] = SERVICES) -> None:
        self.users = {f"tel:{number}": _user(number, domain, services) for number in numbers}

    def user_by_identity(self, key: str) -> ShUser | None:
        return self.users.get(key)

    def user_by_impi(self, impi: str) -> ShUser | None:
        return None

    def user_by_msisdn(self, msisdn: str) -> ShUser | None:
        return self.users.get(f"tel:{msisdn}")

    def user_by_imsi(self, imsi: str) -> ShUser | None:
        return None

    def password_of(self, impi: str) -> Secret | None:
        return None


def _user(number: str, domain: str, services: frozenset[str]) -> ShUser:
    impus = (sip(number, domain), f"tel:{number}")
    return ShUser(f"{number[1:]}@{domain}", impus, number, None, "rcs", services, False, False)


def cpim(
    text: str = "Hello Bob",
    message_id: str = M1,
    wishes: Sequence[str] = ("positive-delivery", "display"),
    sender: str = ANONYMOUS_URI,
    content_type: str = "text/plain;charset=UTF-8",
    about: Sequence[CpimHeader] = (),
) -> bytes:
    return compose_cpim(
        sender=sender,
        recipient=ANONYMOUS_URI,
        message_id=message_id,
        date_time="2026-03-02T10:15:30.120Z",
        body=text.encode(),
        content_type=content_type,
        disposition_notification=wishes,
        extra=about,
    )


def about(kind: ReferenceType, target_id: str = M1) -> tuple[CpimHeader, ...]:
    """The headers of a reaction to that message, of an edit of it, and so on."""
    return reference_headers(MessageReference(target_id, kind), (ReferenceDialect.GSMA,))


def imdn_cpim(imdn: Imdn, message_id: str = "5e0d51a7-6f0e-47cf-b0b6-5a53f0aa0002") -> bytes:
    return cpim(imdn.encode().decode(), message_id, (), content_type="message/imdn+xml")


def revoke_cpim(message_id: str = M1, own_id: str = "9a7e11c0-2d0b-4c1f-8a66-1f2e3d4c0007") -> bytes:
    body = RevokeRequest(message_id, f"tel:{ALICE}", f"tel:{BOB}").encode().decode()
    return cpim(body, own_id, (), content_type="application/vnd.gsma.rcsrevoke+xml")


def message(
    body: bytes | None = None,
    *,
    sender: str = ALICE,
    recipient: str = BOB,
    case: str = "term",
    domain: str = RED,
    content_type: str = "message/cpim",
    service: str | None = f"{ICSI}.msg",
    headers: Sequence[HeaderInput] = (("Conversation-ID", C1), ("Contribution-ID", K1)),
    call_id: str = "msg-21@192.0.2.11",
    method: str = "MESSAGE",
    target: str | None = None,
) -> Request:
    """A request as the S-CSCF hands it over ISC (digest §19.2 steps 3 and 8)."""
    served = sender if case == "orig" else recipient
    return Request.new(
        method,
        target or f"tel:{recipient}",
        (
            ("Via", "SIP/2.0/TCP 127.0.2.12:5060;branch=z9hG4bK-s2"),
            ("Via", "SIP/2.0/TCP 192.0.2.11:5060;branch=z9hG4bK-msg-1;rport=5060;received=192.0.2.11"),
            ("Max-Forwards", "66"),
            ("Route", f"<sip:rcsas.{BLUE};lr>, <sip:odi-7@scscf.{BLUE};lr>"),
            ("From", f"<{sip(sender, domain)}>;tag=a21"),
            ("To", f"<tel:{recipient}>"),
            ("Call-ID", call_id),
            ("CSeq", f"1 {method}"),
            ("P-Asserted-Identity", f"<{sip(sender, domain)}>, <tel:{sender}>"),
            ("P-Served-User", f"<tel:{served}>;sescase={case};regstate=reg"),
            *((("P-Asserted-Service", service),) if service else ()),
            ("Accept-Contact", f'*;+g.3gpp.icsi-ref="{(service or f"{ICSI}.msg").replace(":", "%3A")}"'),
            *headers,
        ),
        cpim() if body is None else body,
        content_type,
    )


def gruu(instance: str, number: str = BOB, domain: str = BLUE) -> str:
    return f"sip:{number}@{domain};gr={instance}"


@dataclass(frozen=True)
class UeBinding:
    """A Contact of a UE in the tests."""

    instance: str = PHONE
    tags: str = RCS_TAGS
    host: str = "192.0.2.12"
    expires: int = 3600
    boot: str = "1"  # becomes part of the Call-ID

    def contact(self, number: str, *, is_response: bool) -> str:
        instance = f';+sip.instance="<{self.instance}>"' if self.instance else ""
        pub_gruu = f';pub-gruu="{gruu(self.instance, number)}"' if self.instance and is_response else ""
        tags = "" if is_response else self.tags
        return f"<sip:001010000000152@{self.host}:5060;transport=tcp>{instance}{tags}{pub_gruu};expires={self.expires}"


def third_party_register(
    *present: UeBinding, by: UeBinding | None = None, number: str = BOB, expires: int = 3600, embedded: bool = True
) -> Request:
    """The S-CSCF's REGISTER after *by* (default: the first of *present*) did; *present* is what is bound then."""
    impu = sip(number, BLUE)
    registering = by or (present[0] if present else UeBinding(expires=0))
    headers: list[HeaderInput] = [
        ("Via", "SIP/2.0/TCP 192.0.2.12:5060;branch=z9hG4bK-reg-2"),
        ("Max-Forwards", "70"),
        ("From", f"<{impu}>;tag=a1"),
        ("To", f"<{impu}>"),
        ("Call-ID", f"reg-{registering.boot}@192.0.2.12"),
        ("CSeq", "2 REGISTER"),
    ]
    register = Request.new(
        "REGISTER",
        f"sip:{BLUE}",
        [*headers, ("Contact", registering.contact(number, is_response=False)), ("User-Agent", "IM-client/OMA1.0 Sim")],
    )
    contacts = [("Contact", binding.contact(number, is_response=True)) for binding in present]
    response = Response.to(register, 200, to_tag="s2", headers=contacts)
    parts = (BodyPart.of("message/sip", register.encode()), BodyPart.of("message/sip", response.encode()))
    content_type, body = Multipart(parts).encode("3pb")
    return Request.new(
        "REGISTER",
        f"sip:rcsas.{BLUE}",
        (
            ("Via", "SIP/2.0/TCP 127.0.2.12:5060;branch=z9hG4bK-3p-1"),
            ("Max-Forwards", "70"),
            ("Route", f"<sip:rcsas.{BLUE};lr>"),
            ("From", f"<sip:scscf.{BLUE}>;tag=3p1"),
            ("To", f"<{impu}>"),
            ("Call-ID", "3p-reg-0152@scscf"),
            ("CSeq", "1 REGISTER"),
            ("Contact", f"<sip:scscf.{BLUE}>"),
            ("Expires", str(expires)),
        ),
        body if embedded else b"",
        content_type if embedded else None,
    )


@dataclass
class Lab:
    """Runs the core turn by turn. The store answers at once unless *holds_store*; nothing else happens by itself."""

    config: MessagingServerConfig = CONFIG
    sh: Directory = field(default_factory=lambda: Directory(BLUE, [BOB, CAROL]))
    now: float = T0
    store_error: StoreError | None = None
    holds_store: bool = False
    blocked: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.core = ParticipatingFunction(self.config, self.sh, Tokens("test"), blocked=self.blocked)
        self.answers: dict[Exchange, Respond] = {}
        self.sent: list[SendRequest] = []
        self.notes: list[Note] = []
        self.texts: list[SubmitText] = []
        self.records: dict[tuple[str, str], object] = {}
        self.held: list[Persist | Forget] = []
        self.timeline: list[str] = []
        self._exchange = 0

    # -- driving -----------------------------------------------------------------------------------------------------

    def receive(self, request: Request) -> Exchange:
        self._exchange += 1
        exchange = Exchange(self._exchange)
        self.run(self.core.handle_request(exchange, request, self.now))
        return exchange

    def ask(self, request: Request) -> Respond | None:
        """The answer, if it was given at once."""
        return self.answers.get(self.receive(request))

    def status_of(self, request: Request) -> int | None:
        """Status of the answer, if it was given at once."""
        answer = self.ask(request)
        return None if answer is None else answer.status

    def answer(
        self, sent: SendRequest, status: int = 200, headers: Sequence[HeaderInput] = (), body: bytes = b""
    ) -> None:
        response = Response.to(
            sent.request.edit().push("Via", "SIP/2.0/TCP 127.0.2.20;branch=z9hG4bK-x").done(),
            status,
            to_tag="b7",
            headers=headers,
        )
        self.finish(sent.errand, status, response)

    def finish(self, errand: Errand, status: int, response: Response | None = None) -> None:
        self.run(self.core.handle_outcome(errand, status, response, self.now))

    def advance(self, seconds: float) -> None:
        """Time passes; deadlines fire when they are due."""
        end = self.now + seconds
        while (at := self.core.next_deadline()) is not None and at <= end:
            self.now = max(self.now, at)
            self.run(self.core.handle_deadline(self.now))
        self.now = end

    def release_store(self) -> None:
        held, self.held = self.held, []
        for action in held:
            self._store(action)

    def take(self) -> list[SendRequest]:
        """What was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent

    def take_one(self) -> SendRequest:
        (sent,) = self.take()
        return sent

    def register(self, *present: UeBinding, by: UeBinding | None = None, expires: int = 3600) -> Respond | None:
        return self.ask(third_party_register(*(present or (UeBinding(),)), by=by, expires=expires))

    def deregister(self) -> Respond | None:
        return self.ask(third_party_register(expires=0))

    def restarted(self) -> Lab:
        """A new server over what this one stored."""
        lab = Lab(config=self.config, sh=self.sh, now=self.now)
        lab.records = dict(self.records)
        tables = [
            [record for (table, _), record in sorted(self.records.items()) if table == name]
            for name in ("deferred_messages", "delivery_cursors", "registered_devices")
        ]
        messages, cursors, devices = (cast(list[Any], table) for table in tables)
        lab.run(lab.core.load(messages, cursors, devices, self.now))
        return lab

    def run(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Respond():
                    assert action.exchange not in self.answers, "answered twice"
                    self.answers[action.exchange] = action
                    self.timeline.append(f"answer {action.status}")
                case SendRequest():
                    self.sent.append(action)
                    self.timeline.append("send")
                case Note():
                    self.notes.append(action)
                case SubmitText():
                    self.texts.append(action)
                case Persist() | Forget():
                    self.timeline.append(f"{type(action).__name__.lower()} {action.record_type.name}")
                    if self.holds_store:
                        self.held.append(action)
                    else:
                        self._store(action)

    def _store(self, action: Persist | Forget) -> None:
        if self.store_error is None:
            name = action.record_type.name
            if isinstance(action, Persist):
                self.records[name, action.record_type.key(action.record)] = action.record
            else:
                self.records.pop((name, action.key), None)
        errand: StoreErrand | None = action.errand
        if errand is not None:
            self.run(self.core.handle_stored(errand, self.store_error, self.now))

    def stored_messages(self) -> int:
        return sum(table == "deferred_messages" for table, _ in self.records)
