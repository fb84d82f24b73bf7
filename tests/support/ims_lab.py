"""A two-carrier core on in-memory links and virtual time, with bare user agents and application servers.

The agents are a `SipStack` and a transaction user, no more: what they send is written out by the test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ims_core.carrier import ApplicationServer, CarrierConfig, CoreHosts, Neighbour
from ims_core.core import ImsCore
from ims_core.errors import TransportError
from ims_core.nodes.default_criteria import PLAIN_PROFILE, messaging_profile
from ims_core.service_profile import ServiceProfile
from ims_core.store.record_table import Store
from ims_core.store.subscribers import AuthenticationScheme, Subscriber
from ims_core.trace import Trace, TraceRecord
from ims_core.transport.link import Address, Flow, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.sip_stack import Hop, NameTable, Outcome, ServerTransaction, SipStack, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.digest import DigestClient, DigestCredentials, parse_challenges
from ims_core.wire.secret import Secret
from ims_core.wire.sip.aka import AKAV1_MD5, AkaChallenge, AkaResponse, SyncFailure, Usim, resynchronisation_credentials
from ims_core.wire.sip.message import HeaderInput, Request, Response

__all__ = [
    "BLUE",
    "OPC",
    "RED",
    "Agent",
    "K",
    "Lab",
    "Records",
    "carrier_config",
    "lab_story",
    "plain_subscriber",
    "subscriber",
]

RED, BLUE = "ims.mnc001.mcc001.3gppnetwork.org", "ims.mnc002.mcc001.3gppnetwork.org"
NUMBERS = (("+1202555010", RED), ("+1202555015", BLUE), ("+12025550199", RED))
K = Secret(bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc"))
OPC = Secret(bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf"))
TAGS = (
    ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg,urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"'
    ";+g.3gpp.smsip"
)
ALLOW = "INVITE, ACK, CANCEL, BYE, MESSAGE, OPTIONS, NOTIFY, UPDATE, REFER"


class Records:
    """Trace sink that keeps everything."""

    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def write(self, record: TraceRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        """Nothing to close."""


def subscriber(domain: str, last: int, scheme: AuthenticationScheme = AuthenticationScheme.DIGEST_MD5) -> Subscriber:
    """A messaging subscriber of the default numbering: *last* are the last three digits."""
    number = f"+12025550{last}"
    return Subscriber(
        impi=f"001010000000{last}@{domain}",
        implicit_sets=((f"sip:{number}@{domain}", f"tel:{number}"),),
        msisdn=number,
        imsi=f"001010000000{last}",
        scheme=scheme,
        password=Secret.of_text(f"secret-{last}"),
        k=K,
        opc=OPC,
    )


def plain_subscriber(domain: str, name: str) -> Subscriber:
    """A subscriber with a SIP client."""
    return Subscriber(
        impi=f"{name}@{domain}",
        implicit_sets=((f"sip:{name}@{domain}",),),
        password=Secret.of_text(f"secret-{name}"),
        service_profile=PLAIN_PROFILE,
    )


def carrier_config(
    name: str, domain: str, prefix: str, neighbour: tuple[str, str], subscribers: tuple[Subscriber, ...], **more: Any
) -> CarrierConfig:
    """One carrier as in the default network: messaging server at .20, IP-SM-GW at .30."""
    profile = messaging_profile(
        "rcs",
        domain,
        messaging_server=f"sip:rcsas.{domain};lr",
        sms_gateway=f"sip:ipsmgw.{domain};lr",
    )
    servers = (
        ApplicationServer(host_name=f"rcsas.{domain}", addresses=(Address(Transport.TCP, f"{prefix}.20", 5060),)),
        ApplicationServer(
            host_name=f"ipsmgw.{domain}",
            addresses=(Address(Transport.TCP, f"{prefix}.30", 5060),),
            is_sms_gateway=True,
        ),
    )
    other_domain, other_prefix = neighbour
    values: dict[str, Any] = {
        "name": name,
        "home_domain": domain,
        "hosts": CoreHosts.of_network(prefix),
        "profiles": (profile, ServiceProfile(PLAIN_PROFILE)),
        "numbers": NUMBERS,
        "subscribers": subscribers,
        "servers": servers,
        "service_identities": {f"ipsmgw.{domain}": f"sip:ipsmgw.{domain};lr"},
        "neighbours": (Neighbour(domain=other_domain, hosts=frozenset((f"{other_prefix}.13",))),),
    }
    return CarrierConfig(**{**values, **more})


Answer = Callable[[Request], "Response | None"]


class Agent:
    """A user agent or application server: keeps what it receives, answers 200 or what *answer* says."""

    def __init__(self, lab: Lab, name: str, host: str, *, transport: Transport = Transport.TCP) -> None:
        self.lab = lab
        self.host = host
        self.transport = transport
        self.requests: list[Request] = []
        self.strays: list[Response] = []
        self.answer: Answer | None = None
        self.on_request: Callable[[Request, ServerTransaction | None], None] | None = None
        self.tokens = lab.tokens.child(name)
        listen = (Address(Transport.TCP, host, 5060), Address(Transport.UDP, host, 5060))
        self.stack = SipStack(
            StackConfig(name=name, listen=listen, via_params=(("rport", None), ("keep", None))),
            self,
            network=lab.network,
            clock=lab.clock,
            tokens=self.tokens,
            trace=lab.trace,
            names=lab.names,
        )
        self.impi = self.impu = self.secret = self.domain = ""
        self.usim: Usim | None = None
        self.tags = TAGS
        self.instance = ""
        self.client: DigestClient | None = None
        self.call_id = f"reg-{name}@{host}"
        self.cseq = 0
        self.service_route: list[str] = []
        self.extra: list[tuple[str, str]] = []
        self.routes_itself = True

    # --- TransactionUser ---------------------------------------------------------------------------------------------

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        self.requests.append(request)
        if self.on_request is not None:
            return self.on_request(request, server)
        if server is None:
            return None
        response = self.answer(request) if self.answer is not None else self.reply(request)
        if response is not None:
            server.respond(response)
        return None

    def stray_response(self, response: Response, flow: Flow) -> None:
        self.strays.append(response)

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        """The test looks at the outcome."""

    def keep_alive(self, flow: Flow, pong: bool) -> None:
        """Answered by the stack."""

    def reply(self, request: Request, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
        record_route = [("Record-Route", text) for text in request.texts("Record-Route")]
        return Response.to(request, status, to_tag=self.tokens.word(), headers=[*record_route, *headers])

    # --- as a UE -----------------------------------------------------------------------------------------------------

    def be(self, subscription: Subscriber, domain: str, *, instance: str = "") -> Agent:
        """Takes the identity and the secrets of a subscriber."""
        self.impi, self.impu, self.domain = subscription.impi, subscription.implicit_sets[0][0], domain
        self.secret = (subscription.password or Secret(b"")).octets.decode()
        self.instance = instance
        if subscription.scheme is AuthenticationScheme.AKA_V1_MD5:
            self.usim = Usim(K, OPC)
        return self

    @property
    def pcscf(self) -> Address:
        return self.lab.core_of(self.domain).address("pcscf", self.transport)

    @property
    def contact(self) -> str:
        user = self.impi.partition("@")[0]
        return f"sip:{user}@{self.host}:5060;transport={self.transport.value.lower()}"

    def contact_header(self, expires: int | None) -> str:
        text = f"<{self.contact}>"
        if self.instance:
            text += f';+sip.instance="<{self.instance}>";reg-id=1'
        return text + self.tags + ("" if expires is None else f";expires={expires}")

    def register_request(
        self, credentials: DigestCredentials | None, expires: int, contact: str | None = None
    ) -> Request:
        self.cseq += 1
        headers: list[HeaderInput] = [
            ("Max-Forwards", "70"),
            ("From", f"<{self.impu}>;tag={self.tokens.word(20)}"),
            ("To", f"<{self.impu}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} REGISTER"),
            ("Contact", contact or self.contact_header(expires)),
            ("Supported", "path, gruu, outbound"),
            ("Expires", str(expires)),
            *self.extra,
        ]
        if credentials is not None:
            headers.append(("Authorization", str(credentials)))
        return Request.new("REGISTER", f"sip:{self.domain}", headers)

    async def register(self, expires: int = 600_000, *, contact: str | None = None) -> Response:
        """REGISTER until it is answered by something other than 401, at most four times."""
        uri = f"sip:{self.domain}"
        credentials: DigestCredentials | None = DigestCredentials(self.impi, self.domain, uri)
        if self.client is not None:
            credentials = self.client.authorize("REGISTER", uri, self.tokens.word(40))
        for _ in range(4):
            response = await self.send(self.register_request(credentials, expires, contact))
            if response.status != 401:
                break
            credentials = self.credentials_for(response, uri)
        if response.status == 200:
            self.service_route = list(response.texts("Service-Route"))
        return response

    def credentials_for(self, challenge: Response, uri: str) -> DigestCredentials:
        offered = parse_challenges(challenge.texts("WWW-Authenticate"))[0]
        password: str | Secret = self.secret
        if self.usim is not None:
            nonce = AkaChallenge.from_nonce(offered.nonce)
            result = self.usim.authenticate(nonce.rand, nonce.autn)
            if isinstance(result, SyncFailure):
                return resynchronisation_credentials(offered, result, self.impi, "REGISTER", uri, "c1")
            assert isinstance(result, AkaResponse)
            password = result.password(AKAV1_MD5)
        self.client = DigestClient(offered, self.impi, password)
        return self.client.authorize("REGISTER", uri, self.tokens.word(40))

    @property
    def hop(self) -> Hop:
        return Hop(address=self.pcscf)

    def request(
        self, method: str, target: str, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"", **more: str
    ) -> Request:
        """An out-of-dialog request of the registered user."""
        fields: list[HeaderInput] = [("Max-Forwards", "70")]
        if self.routes_itself:
            pcscf = self.pcscf
            fields.append(("Route", f"<sip:{pcscf.host}:{pcscf.port};lr>"))
            fields += [("Route", route) for route in self.service_route]
        fields += [
            ("From", f"<{self.impu}>;tag={self.tokens.word(20)}"),
            ("To", f"<{target}>"),
            ("Call-ID", self.tokens.word(60)),
            ("CSeq", f"1 {method}"),
            *headers,
        ]
        return Request.new(method, target, fields, body, more.get("content_type"))

    async def send(self, request: Request, hop: Hop | None = None) -> Response:
        outcome = await self.outcome(request, hop)
        assert isinstance(outcome, Response), outcome
        return outcome

    async def outcome(self, request: Request, hop: Hop | None = None) -> Outcome:
        return await self.stack.request(request, hop or self.hop)

    async def message(self, target: str, body: bytes = b"hello", **headers: str) -> Response:
        named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
        return await self.send(self.request("MESSAGE", target, named, body, content_type="text/plain"))

    def received(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]


@dataclass
class Lab:
    """The world of one test."""

    network: MemoryNetwork
    clock: VirtualClock
    tokens: Tokens
    trace: Trace
    names: NameTable
    records: Records
    red: ImsCore
    blue: ImsCore
    agents: list[Agent]

    def core_of(self, domain: str) -> ImsCore:
        return self.red if domain == RED else self.blue

    async def agent(self, name: str, host: str, **more: Any) -> Agent:
        agent = Agent(self, name, host, **more)
        await agent.stack.start()
        self.agents.append(agent)
        return agent

    async def ue(self, name: str, host: str, subscription: Subscriber, *, instance: str = "", **more: Any) -> Agent:
        """A UE with that subscription, not yet registered."""
        domain = subscription.impi.partition("@")[2]
        return (await self.agent(name, host, **more)).be(subscription, domain, instance=instance)

    async def servers(self) -> tuple[Agent, Agent, Agent, Agent]:
        """Messaging server and IP-SM-GW of red, then of blue."""
        return (
            await self.agent("red.messaging_server", "127.0.1.20"),
            await self.agent("red.ipsmgw", "127.0.1.30"),
            await self.agent("blue.messaging_server", "127.0.2.20"),
            await self.agent("blue.ipsmgw", "127.0.2.30"),
        )


def lab_story(
    tell: Callable[[Lab], Awaitable[None]],
    *,
    subscribers: tuple[tuple[Subscriber, ...], tuple[Subscriber, ...]],
    stores: tuple[Store | None, Store | None] = (None, None),
    **more: Any,
) -> None:
    """Runs *tell* in a fresh world; the cores start before and end after it."""

    async def main() -> None:
        clock, tokens = VirtualClock(), Tokens("lab")
        network = MemoryNetwork(clock, tokens.child("network"))
        trace, records, names = Trace(), Records(), NameTable()
        trace.add_sink(records)
        configs = (
            carrier_config("red", RED, "127.0.1", (BLUE, "127.0.2"), subscribers[0], **more),
            carrier_config("blue", BLUE, "127.0.2", (RED, "127.0.1"), subscribers[1], **more),
        )
        red, blue = (
            ImsCore(
                config,
                network=network,
                clock=clock,
                tokens=tokens.child(config.name),
                trace=trace,
                names=names,
                store=store,
            )
            for config, store in zip(configs, stores, strict=True)
        )
        lab = Lab(network, clock, tokens, trace, names, records, red, blue, [])
        await red.start()
        await blue.start()
        try:
            await tell(lab)
        finally:
            for agent in lab.agents:
                await agent.stack.close()
            await red.close()
            await blue.close()
            await network.close()

    coroutine: Coroutine[Any, Any, None] = main()
    run(coroutine)
