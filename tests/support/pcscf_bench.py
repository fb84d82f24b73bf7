"""A P-CSCF core with its effects written down, and one UE registered at it."""

from __future__ import annotations

import itertools

from ims_core.nodes.decision import Decision, Persist
from ims_core.nodes.dialog_table import ProxiedDialog
from ims_core.nodes.own_address import OwnAddress
from ims_core.nodes.pcscf_config import PcscfConfig
from ims_core.nodes.pcscf_core import PcscfCore, PcscfEffects
from ims_core.store.bindings import StoredAccess
from ims_core.transport.link import Address, Flow, Transport
from ims_core.wire.sip.message import Request, Response
from tests.support.core_cases import NOW, StillFlow, forward_of, hop_to, make_request

__all__ = [
    "CONFIG",
    "CONTACT",
    "SCSCF",
    "SERVICE_ROUTE",
    "SIP",
    "TEL",
    "PcscfBench",
    "invite_answer",
    "message",
    "terminating",
]

OWN = (Address(Transport.TCP, "127.0.1.10", 5060), Address(Transport.UDP, "127.0.1.10", 5060))
SIP, TEL = "sip:+12025550101@home.test", "tel:+12025550101"
SERVICE_ROUTE = "<sip:orig@127.0.1.12:5060;transport=tcp;lr>"
CONTACT = "sip:alice@192.0.2.11:5060"
SCSCF = StillFlow("127.0.1.12")
CONFIG = PcscfConfig(
    name="red.pcscf",
    home_domain="home.test",
    listen=OWN,
    icscf=Address(Transport.TCP, "127.0.1.11", 5060),
    core_hosts=frozenset(("127.0.1.11", "127.0.1.12")),
)


class PcscfBench:
    """A core with its effects written down, and one registered UE."""

    def __init__(self, *, has_outbound: bool = True, transport: Transport = Transport.TCP, port: int = 40_000) -> None:
        self.writes: list[Persist] = []
        self.released: list[ProxiedDialog] = []
        self.udp: dict[Address, Flow] = {}
        numbers = itertools.count(1)
        effects = PcscfEffects(
            hop_to, self._flow_to, self.writes.extend, lambda dialog, _: self.released.append(dialog), lambda: None
        )
        self.core = PcscfCore(
            CONFIG,
            OwnAddress(OWN, ("pcscf.home.test",), prefer=Transport.TCP),
            effects,
            now=lambda: NOW,
            token_key=b"k" * 32,
            run=b"run1",
            icid_prefix=f"icid{next(numbers)}.",
        )
        self.flow = StillFlow("192.0.2.11", port, transport)
        self.token = self.register(self.flow, has_outbound=has_outbound)

    def _flow_to(self, address: Address) -> Flow:
        return self.udp.setdefault(address, StillFlow(address.host, address.port, address.transport))

    def register(
        self, flow: StillFlow, impus: tuple[str, ...] = (SIP, TEL), contact: str = CONTACT, *, has_outbound: bool = True
    ) -> str:
        key = self.core.flows.key_of(flow)
        token = self.core.flows.token_of(key)
        remote = flow.remote
        record = StoredAccess(
            token,
            f"{impus[0]} {contact}",
            remote.transport.value,
            remote.host,
            remote.port,
            contact,
            impus,
            SERVICE_ROUTE,
            NOW + 3600,
            has_outbound,
        )
        self.core.register(record, key)
        return token

    def from_ue(self, request: Request, flow: StillFlow | None = None) -> Decision:
        return self.core.route(request, flow or self.flow, NOW)

    def to_ue(self, request: Request, token: str | None = None, flow: StillFlow = SCSCF) -> Decision:
        route = ("Route", f"<sip:{self.token if token is None else token}@127.0.1.10:5060;lr;ob>")
        return self.core.route(request.edit().push(*route).done(), flow, NOW)

    def back(self, decision: Decision, response: Response) -> Response:
        forward = forward_of(decision)
        assert forward.hook is not None
        editor = response.edit()
        forward.hook.edit(editor, response, forward.targets[0])
        return editor.done()


def message(*headers: tuple[str, str], sender: str = SIP) -> Request:
    return make_request("MESSAGE", "tel:+12025550152", *headers, sender=sender)


def invite_answer(invite: Request, *, tag: str = "t1") -> Response:
    routes = [("Record-Route", text) for text in invite.texts("Record-Route")]
    return Response.to(invite, 200, to_tag=tag, headers=[*routes, ("Contact", "<sip:bob@192.0.2.22>")])


def terminating(method: str = "MESSAGE", *headers: tuple[str, str]) -> Request:
    called = ("P-Called-Party-ID", f"<{TEL}>")
    return make_request(method, CONTACT, called, *headers, sender="sip:bob@blue.test")
