"""The decision cores of an S-CSCF with an HSS behind them, without a stack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ims_core.nodes.decision import Answer, Decision, Defer, Persist
from ims_core.nodes.default_criteria import messaging_profile
from ims_core.nodes.delivery import Delivery
from ims_core.nodes.destination import Destinations
from ims_core.nodes.hss import Hss, HssConfig
from ims_core.nodes.number_table import NumberTable
from ims_core.nodes.original_dialog import OriginalDialogs
from ims_core.nodes.own_address import OwnAddress
from ims_core.nodes.reg_event import RegEventNotifier
from ims_core.nodes.registrar import Registrar
from ims_core.nodes.scscf_config import ScscfConfig
from ims_core.nodes.session_router import SessionRouter
from ims_core.service_profile import ServiceProfile
from ims_core.store.subscribers import AuthenticationScheme, Subscriber
from ims_core.transport.link import Address, Transport
from ims_core.transport.tokens import Tokens
from ims_core.wire.digest import DigestChallenge, DigestClient, DigestCredentials, parse_challenges
from ims_core.wire.secret import Secret
from ims_core.wire.sip.message import HeaderInput, Request, Response
from tests.support.core_cases import NOW, StillFlow, answer_of, hop_to, make_request

__all__ = ["ALICE", "CAROL", "HOME", "INSTANCE", "MESSAGING", "PCSCF", "TAGS", "USIM", "ScscfBench"]

HOME = "home.test"
INSTANCE = "urn:gsma:imei:00499901-000101-0"
TAGS = (
    ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg,'
    'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session";+g.3gpp.smsip'
)
PCSCF, MESSAGING, GATEWAY = StillFlow("127.0.1.10"), StillFlow("127.0.1.20"), StillFlow("127.0.1.30")
OWN = Address(Transport.TCP, "127.0.1.12", 5060)

ALICE = Subscriber(
    impi="alice@home.test",
    implicit_sets=(("sip:+12025550101@home.test", "tel:+12025550101"),),
    password=Secret.of_text("secret-alice"),
)
CAROL = Subscriber(
    impi="carol@home.test",
    implicit_sets=(("sip:carol@home.test",),),
    password=Secret.of_text("secret-carol"),
    service_profile="sip",
)
USIM = Subscriber(
    impi="usim@home.test",
    implicit_sets=(("sip:usim@home.test",),),
    scheme=AuthenticationScheme.AKA_V1_MD5,
    k=Secret(bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")),
    opc=Secret(bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")),
    service_profile="sip",
)


class ScscfBench:
    """Registrar, reg event and session router as `Scscf` composes them; what would be done later is kept."""

    def __init__(self, *, is_durable: bool = False, **changes: Any) -> None:
        self.tokens = Tokens("bench")
        self.later: list[tuple[tuple[object, ...], tuple[Persist, ...]]] = []
        self.numbers = NumberTable({"+1202555010": HOME, "+1202555015": "blue.test"})
        self.hss = Hss(
            HssConfig(
                home_domain=HOME,
                scscf="sip:scscf.home.test",
                profiles={
                    "rcs": messaging_profile(
                        "rcs",
                        HOME,
                        messaging_server="sip:rcsas.home.test;lr",
                        sms_gateway="sip:127.0.1.30;lr",
                    ),
                    "sip": ServiceProfile("sip"),
                },
                subscribers=(ALICE, CAROL, USIM),
                service_identities={"focus.home.test": "sip:focus.home.test"},
            ),
            tokens=self.tokens.child("hss"),
        )
        config = ScscfConfig(
            name="red.scscf",
            home_domain=HOME,
            uri="sip:scscf.home.test",
            listen=(OWN,),
            ibcf=Address(Transport.TCP, "127.0.1.13", 5060),
            trusted_hosts=frozenset(("127.0.1.10", "127.0.1.11", "127.0.1.13", "127.0.1.20", "127.0.1.30")),
            server_hosts=frozenset(("127.0.1.20", "127.0.1.30")),
            sms_hosts=frozenset(("127.0.1.30",)),
        )
        self.config = replace(config, **changes)
        own = OwnAddress((OWN,), ("scscf.home.test",))
        self.registrar = Registrar(
            self.config,
            self.hss,
            service_route=f"<{own.uri('orig')}>",
            octets=self.tokens.octets,
            new_tag=self.tokens.word,
            is_durable=is_durable,
        )
        self.reg_event = RegEventNotifier(own.uri(params=""), new_tag=self.tokens.word, longest_s=600_000)
        self.sessions = SessionRouter(
            self.config,
            own,
            self.registrar,
            self.reg_event,
            Delivery(self.registrar, hop_to, lambda actions, writes: self.later.append((actions, writes))),
            Destinations(HOME, self.numbers),
            OriginalDialogs(b"k" * 16),
            cx=self.hss,
            hop_of=hop_to,
        )
        self.cseq = 0

    # --- registration ------------------------------------------------------------------------------------------------

    def register_request(
        self,
        subscriber: Subscriber,
        credentials: DigestCredentials | None,
        *headers: HeaderInput,
        contact: str,
        call_id: str = "reg-1",
    ) -> Request:
        self.cseq += 1
        impu = subscriber.implicit_sets[0][0]
        fields: list[HeaderInput] = [
            ("Contact", contact),
            ("Path", "<sip:token@127.0.1.10:5060;lr;ob>"),
            ("Supported", "path, gruu, outbound"),
            *headers,
        ]
        if credentials is not None:
            fields.append(("Authorization", str(credentials)))
        return make_request("REGISTER", f"sip:{HOME}", *fields, sender=impu, to=impu, call_id=call_id, cseq=self.cseq)

    def challenge(
        self, subscriber: Subscriber, *, now: float = NOW, contact: str = "<sip:a@192.0.2.1>"
    ) -> DigestChallenge:
        first = DigestCredentials(subscriber.impi, HOME, f"sip:{HOME}")
        request = self.register_request(subscriber, first, contact=contact)
        response = answer_of(self.settled(self.registrar.register(request, now)))
        assert response.status == 401
        return parse_challenges(response.texts("WWW-Authenticate"))[0]

    def client(self, subscriber: Subscriber, *, now: float = NOW) -> DigestClient:
        assert subscriber.password is not None
        return DigestClient(self.challenge(subscriber, now=now), subscriber.impi, subscriber.password)

    def credentials(self, client: DigestClient) -> DigestCredentials:
        return client.authorize("REGISTER", f"sip:{HOME}", "c0ffee")

    def register(
        self,
        subscriber: Subscriber = ALICE,
        *headers: HeaderInput,
        contact: str = "",
        now: float = NOW,
        client: DigestClient | None = None,
        call_id: str = "reg-1",
    ) -> tuple[Response, Answer]:
        """A whole registration: the 200 (or what else came) and the answer that it was in."""
        contact = contact or f'<sip:alice@192.0.2.11:5060>;+sip.instance="<{INSTANCE}>"{TAGS};reg-id=1'
        credentials = self.credentials(client or self.client(subscriber, now=now))
        request = self.register_request(subscriber, credentials, *headers, contact=contact, call_id=call_id)
        decision = self.settled(self.registrar.register(request, now))
        assert isinstance(decision, Answer), decision
        return decision.response, decision

    def settled(self, decision: Decision) -> Decision:
        """The decision behind one that waits for the store."""
        return decision.then if isinstance(decision, Defer) else decision

    # --- everything else ---------------------------------------------------------------------------------------------

    def originate(self, request: Request, flow: StillFlow = PCSCF, *, now: float = NOW) -> Decision:
        return self.sessions.route(request.edit().push("Route", "<sip:orig@127.0.1.12:5060;lr>").done(), flow, now)

    def terminate(self, request: Request, flow: StillFlow | None = None, *, now: float = NOW) -> Decision:
        """As from the I-CSCF."""
        routed = request.edit().push("Route", "<sip:scscf.home.test;lr>").done()
        return self.sessions.route(routed, flow or StillFlow("127.0.1.11"), now)

    def from_server(self, request: Request, route: str, flow: StillFlow = MESSAGING, *, now: float = NOW) -> Decision:
        """A server sends *request* with that Route on top."""
        return self.sessions.route(request.edit().push("Route", route).done(), flow, now)
