"""A carrier in one element, for tests of phones: registrar, relay and store on a plain SipStack, no product nodes.

Every request it gets is kept in `requests`. `answers` overrides what it does with the next requests of a method.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter
from ruamel.yaml import YAML

from ims_core.errors import TransportError
from ims_core.trace import ListSink, RecordKind, Trace, TraceRecord
from ims_core.transport.clock import Clock
from ims_core.transport.http_message import HttpClient
from ims_core.transport.link import Address, Flow, Network, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.sip_stack import Hop, NameTable, Outcome, ServerTransaction, SipStack, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock
from ims_core.wire.digest import MD5, DigestChallenge, DigestCredentials, compute_ha1, is_authentic
from ims_core.wire.reginfo import CONTENT_TYPE, RegContact, RegInfo, RegRegistration
from ims_core.wire.secret import Secret
from ims_core.wire.sip.headers import Contact, From, Via
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.client.identity import contact_key
from rcs_sim.client.phone import Phone, PhoneConfig
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.wire.rcs_configuration import PcscfAddress, RcsConfiguration
from tests.support.session_relay import SessionRelay

__all__ = ["ALICE", "BOB", "CORE_HOST", "HOME", "CoreBinding", "StubCore", "World", "device", "subscriber"]

HOME = "ims.mnc001.mcc001.3gppnetwork.org"
CORE_HOST = "127.0.1.10"
ALICE, BOB = "+12025550101", "+12025550102"
PASSWORD = "lab-secret"
_PROFILES = Path(__file__).resolve().parents[2] / "profiles" / "devices"
_POLICY = TypeAdapter(DevicePolicy)
_NEVER = object()

Answer = Callable[[Request, ServerTransaction], None]


def device(name: str) -> DevicePolicy:
    """A profile of profiles/devices."""
    return _POLICY.validate_python(YAML(typ="safe").load((_PROFILES / f"{name}.yaml").read_text(encoding="utf-8")))


def subscriber(number: str, **changes: Any) -> RcsConfiguration:
    """The configuration of a subscriber of the stub."""
    impi = f"00101{number[-10:]}@{HOME}"
    document = RcsConfiguration(
        msisdn=number,
        public_identities=(f"sip:{number}@{HOME}", f"tel:{number}"),
        pcscf_addresses=(PcscfAddress(CORE_HOST),),
        realm=HOME,
        user_name=impi,
        password=Secret.of_text(PASSWORD),
        home_domain=HOME,
        private_identity=impi,
        standalone_auth=1,
        revoke_timer_s=30,
        reconnect_guard_s=10,
    )
    return replace(document, **changes)


class ShortMessageCentre(Protocol):
    """Who takes SMS over IP."""

    def received_by_ip(self, request: Request, server: ServerTransaction) -> None: ...


class CoreBinding:
    """What the registrar knows about one phone."""

    def __init__(self, contact: Contact, flow: Flow, expires_s: int) -> None:
        self.contact, self.flow, self.expires_s = contact, flow, expires_s


class StubCore:
    """Numbers in `barred` are not RCS subscribers (404). Messages for the unregistered are stored and answered 202."""

    def __init__(self, network: Network, clock: Clock, trace: Trace, names: NameTable) -> None:
        listen = tuple(Address(transport, CORE_HOST, 5060) for transport in (Transport.TCP, Transport.UDP))
        self.stack = SipStack(
            StackConfig(name="red.pcscf", listen=listen),
            self,
            network=network,
            clock=clock,
            tokens=Tokens("core"),
            trace=trace,
            names=names,
        )
        self.requests: list[Request] = []
        self.bindings: dict[str, CoreBinding] = {}
        self.answers: defaultdict[str, deque[int | Answer | object]] = defaultdict(deque)
        self.barred: set[str] = set()
        self.stored: list[tuple[str, Request]] = []
        self.expires_s = 3600
        self.keep_s: int | None = None
        self.qop = ("auth",)
        self.opaque: str | None = None
        self.subscriptions: dict[str, tuple[Request, str, Flow, int]] = {}
        self.pings = 0
        self.closed_flows = 0
        self.revokes = True
        self.sms: ShortMessageCentre | None = None
        self.host, self.home = CORE_HOST, HOME
        self.calls: SessionRelay | None = None  # without it nobody knows INVITE here

    # --- what tests ask ----------------------------------------------------------------------------------------------

    def of(self, method: str, content: str = "") -> list[Request]:
        """Requests of that method, with *content* somewhere in their octets."""
        return [each for each in self.requests if each.method == method and content.encode() in each.encode()]

    def never_answer(self, method: str, times: int = 1) -> None:
        self.answers[method].extend([_NEVER] * times)

    def send(self, number: str, request: Request, on_outcome: Callable[[Outcome], None] = lambda outcome: None) -> None:
        """A request of the network's own to a registered phone."""
        binding = self.bindings[number]
        target = request.edit().request_uri(binding.contact.uri).done()
        self.stack.send_request(target, Hop(flow=binding.flow), on_outcome)

    def message(self, sender: str, body: bytes, content_type: str, *headers: tuple[str, str]) -> Request:
        """A MESSAGE as a server writes it, from the asserted *sender*."""
        tokens = self.stack.tokens
        fields = [
            ("Max-Forwards", "70"),
            ("From", f"<sip:server@{HOME}>;tag={tokens.word()}"),
            ("To", f"<tel:{ALICE}>"),
            ("Call-ID", tokens.word()),
            ("CSeq", "1 MESSAGE"),
            ("P-Asserted-Identity", f"<{sender}>"),
            *headers,
        ]
        return Request.new("MESSAGE", f"tel:{ALICE}", fields, body, content_type)

    def notify(self, number: str, event: str, *, retry_after: int | None = None) -> None:
        """Terminates the contact of *number* in a NOTIFY of its subscription."""
        binding = self.bindings[number]
        contact = RegContact("c1", "terminated", event, str(binding.contact.uri), retry_after=retry_after)
        registration = RegRegistration(f"sip:{number}@{HOME}", "r1", "active", (contact,))
        self._notify(number, RegInfo(1, "partial", (registration,)))

    # --- TransactionUser ---------------------------------------------------------------------------------------------

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        if server is None:
            if self.calls is not None:
                self.calls.received(request, None, flow)
            return
        self.requests.append(request)
        queued = self.answers[request.method]
        if queued:
            answer = queued.popleft()
            if callable(answer):
                answer(request, server)
            elif isinstance(answer, int):
                self.stack.reply(server, answer)
            return
        match request.method:
            case "REGISTER":
                self._register(request, server, flow)
            case "SUBSCRIBE":
                self._subscribe(request, server, flow)
            case "OPTIONS" | "MESSAGE":
                self._relay(request, server)
            case "INVITE" | "BYE" | "CANCEL" | "UPDATE" | "PRACK" if self.calls is not None:
                self.calls.received(request, server, flow)
            case _:
                self.stack.reply(server, 405)

    def stray_response(self, response: Response, flow: Flow) -> None:
        """A repeated 2xx: the phones' streams lose nothing, so none is needed."""

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        self.closed_flows += 1

    def keep_alive(self, flow: Flow, pong: bool) -> None:
        self.pings += not pong

    # --- registrar ---------------------------------------------------------------------------------------------------

    def _register(self, request: Request, server: ServerTransaction, flow: Flow) -> None:
        credentials = DigestCredentials.parse(request.text("Authorization") or "")
        ha1 = compute_ha1(MD5, credentials.username, HOME, PASSWORD)
        if credentials.nonce != "nonce-1" or not is_authentic(credentials, ha1, "REGISTER"):
            challenge = DigestChallenge(HOME, "nonce-1", MD5, self.qop, opaque=self.opaque)
            self.stack.reply(server, 401, headers=(("WWW-Authenticate", str(challenge)),))
            return
        number = contact_key(request.require(From).uri)
        contact = request.require(Contact)
        if request.text("Expires") == "0":
            self.bindings.pop(number, None)
            self.stack.reply(server, 200)
            return
        self.bindings[number] = CoreBinding(contact, flow, self.expires_s)
        self._grant(number, contact, server)
        pending = [each for each in self.stored if each[0] == number]
        self.stored = [each for each in self.stored if each[0] != number]
        for _, message in pending:
            self.send(number, message)

    def _grant(self, number: str, contact: Contact, server: ServerTransaction) -> None:
        granted = replace(contact, params=contact.params.with_("expires", str(self.expires_s)))
        headers = (
            ("Contact", str(granted)),
            ("Service-Route", f"<sip:orig@{CORE_HOST};lr>"),
            ("P-Associated-URI", f"<sip:{number}@{HOME}>, <tel:{number}>"),
        )
        response = Response.to(server.request, 200, to_tag=server.to_tag(self.stack.tokens), headers=headers)
        via = response.top_via
        if self.keep_s is not None and via.params.has("keep"):
            value = replace(via, params=via.params.with_("keep", str(self.keep_s)))
            response = response.edit().pop(Via).push(value).done()
        server.respond(response)

    def _subscribe(self, request: Request, server: ServerTransaction, flow: Flow) -> None:
        tag = server.to_tag(self.stack.tokens)
        number = contact_key(request.require(From).uri)
        self.stack.reply(server, 200, headers=(("Expires", "3600"), ("Contact", f"<sip:{CORE_HOST}>")))
        self.subscriptions[number] = (request, tag, flow, 0)
        self._notify(number, RegInfo(0, "full", ()))

    def _notify(self, number: str, document: RegInfo) -> None:
        subscribe, tag, flow, cseq = self.subscriptions[number]
        self.subscriptions[number] = (subscribe, tag, flow, cseq + 1)
        fields = (
            ("Max-Forwards", "70"),
            ("From", f"{subscribe.text('To')};tag={tag}"),
            ("To", subscribe.text("From") or ""),
            ("Call-ID", subscribe.call_id),
            ("CSeq", f"{cseq + 1} NOTIFY"),
            ("Contact", f"<sip:{CORE_HOST}>"),
            ("Event", "reg"),
            ("Subscription-State", "active;expires=3600"),
        )
        request = Request.new("NOTIFY", subscribe.require(Contact).uri, fields, document.encode(), CONTENT_TYPE)
        self.stack.send_request(request, Hop(flow=flow), lambda outcome: None)

    # --- relay -------------------------------------------------------------------------------------------------------

    def _relay(self, request: Request, server: ServerTransaction) -> None:
        sender = contact_key(request.require(From).uri)
        number = contact_key(parse_uri(request.request_uri_text))
        content_type = request.content_type
        if self.sms is not None and content_type is not None and content_type.type == "application/vnd.3gpp.sms":
            self.sms.received_by_ip(request, server)
            return
        if number in self.barred:
            self.stack.reply(server, 404)
            return
        onward = request.edit().remove("Via", "Route", "P-Preferred-Identity", "P-Preferred-Service")
        onward = onward.set("P-Asserted-Identity", f"<sip:{sender}@{HOME}>, <tel:{sender}>")
        onward = onward.set("Call-ID", self.stack.tokens.word())
        binding = self.bindings.get(number)
        if b"MessageRevokeRequest" in request.body:
            self._revoke(sender, number, request, server)
        elif binding is None or not binding.flow.is_open:
            is_message = request.method == "MESSAGE"
            if is_message:
                self.stored.append((number, onward.done()))
            self.stack.reply(server, 202 if is_message else 480)
        else:
            self.send(number, onward.done(), lambda outcome: self._back(outcome, server))

    def _back(self, outcome: Outcome, server: ServerTransaction) -> None:
        if not isinstance(outcome, Response):
            self.stack.reply(server, 408)
        elif outcome.status >= 200:
            headers = tuple(("Contact", text) for text in outcome.texts("Contact"))
            self.stack.reply(server, outcome.status, headers=headers)

    def _revoke(self, sender: str, number: str, request: Request, server: ServerTransaction) -> None:
        self.stack.reply(server, 200)
        message_id = request.body.partition(b"<Message-ID>")[2].partition(b"<")[0]
        kept = [each for each in self.stored if not (each[0] == number and message_id in each[1].body)]
        is_success, self.stored = self.revokes and len(kept) < len(self.stored), kept
        result = b"success" if is_success else b"failure"
        body = b"<MessageRevokeResponse><Message-ID>%s</Message-ID><result>%s</result></MessageRevokeResponse>"
        answer = self.message(f"tel:{number}", body % (message_id, result), "application/vnd.gsma.rcsrevoke+xml")
        self.send(sender, answer)


class World:
    """One in-memory network with a stub core, and the trace of everything. Used inside a virtual loop."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.trace = Trace()
        self.sink = ListSink()
        self.trace.add_sink(self.sink)
        self.names = NameTable()
        self.network = MemoryNetwork(self.clock, Tokens("network"))
        self.core = StubCore(self.network, self.clock, self.trace, self.names)
        self.phones: list[Phone] = []

    def phone(
        self,
        name: str,
        number: str,
        policy: DevicePolicy | None = None,
        *,
        http: HttpClient | None = None,
        **changes: Any,
    ) -> Phone:
        """A phone, switched off. *changes* are members of its `PhoneConfig`."""
        settings: dict[str, Any] = {
            "name": name,
            "policy": policy or device("android"),
            "imsi": f"00101{number[-10:]}",
            "imei": f"004999{number[-8:]}",
            "host": f"192.0.2.{len(self.phones) + 11}",
            "configuration": subscriber(number),
            "encrypts_media": False,
        }
        phone = Phone(
            PhoneConfig(**{**settings, **changes}),
            network=self.network,
            http=http,
            clock=self.clock,
            tokens=Tokens("seed").child(name),
            trace=self.trace,
            names=self.names,
        )
        self.phones.append(phone)
        return phone

    def records(self, kind: RecordKind, source: str = "") -> Iterator[TraceRecord]:
        return (each for each in self.sink.records if each.kind is kind and source in ("", each.source))

    def shown(self, name: str) -> list[str]:
        """What *name* showed, as ``what text`` lines."""
        return [each.summary for each in self.records(RecordKind.SHOWN, name)]

    def states(self, name: str, machine: str) -> list[str]:
        """States that *machine* of *name* went through, with reasons."""
        found = (each.details for each in self.records(RecordKind.STATE, name) if each.details["machine"] == machine)
        return [f"{each['state']}: {each.get('reason', '')}".removesuffix(": ") for each in found]

    @classmethod
    @asynccontextmanager
    async def running(cls) -> Any:
        """The world with its core listening; at the end phones are off and nobody's handler has failed."""
        world = cls()
        await world.core.stack.start()
        try:
            yield world
        finally:
            for phone in world.phones:
                await phone.power_off()
            await world.core.stack.close()
            await world.network.close()
        failures = [
            each.summary for each in world.records(RecordKind.ERROR) if "transaction user failed" in each.summary
        ]
        assert not failures, failures
