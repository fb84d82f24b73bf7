"""The S-CSCF node: what only shows with a stack. Its decisions are tested with its cores."""

from __future__ import annotations

import asyncio

from ims_core.cx import DeregistrationReason
from ims_core.nodes.scscf import Scscf, ScscfConfig
from ims_core.transport.sip_stack import Hop
from ims_core.wire.sip.message import Request, Response
from tests.support.ims_lab import BLUE, RED, Lab, lab_story, plain_subscriber, subscriber

ALICE, CAROL = subscriber(RED, 101), plain_subscriber(RED, "carol")
ALL = ((ALICE, CAROL), (subscriber(BLUE, 152),))


def test_it_has_no_state_before_it_is_started() -> None:
    async def tell(lab: Lab) -> None:
        assert lab.red.scscf.registered_user("sip:nobody@x") is None
        assert not lab.red.scscf.registration_termination("not a uri", DeregistrationReason.REJECTED)
        assert not lab.red.deregister(f"sip:carol@{RED}")

    lab_story(tell, subscribers=ALL)
    assert Scscf
    assert ScscfConfig


def test_a_server_that_refuses_a_third_party_register_costs_nothing_else() -> None:
    async def tell(lab: Lab) -> None:
        messaging, gateway, _, _ = await lab.servers()

        def refuse(request: Request) -> Response:
            return messaging.reply(request, 500)

        messaging.answer = refuse
        phone = await lab.ue("alice", "192.0.2.11", ALICE)
        assert (await phone.register()).status == 200
        await asyncio.sleep(1)
        assert lab.red.is_registered(phone.impu)
        assert len(gateway.received("REGISTER")) == 1

    lab_story(tell, subscribers=ALL)


def test_a_request_without_any_route_is_for_a_user_of_its_own() -> None:
    async def tell(lab: Lab) -> None:
        carol = await lab.ue("carol", "192.0.2.30", CAROL)
        await carol.register()
        carol.routes_itself = False
        request = carol.request("MESSAGE", carol.impu, (), b"to myself", content_type="text/plain")
        assert (await carol.send(request, Hop(address=lab.red.address("scscf")))).status == 200
        assert len(carol.received("MESSAGE")) == 1

    lab_story(tell, subscribers=ALL)


def test_a_node_that_stops_and_starts_forgets_what_was_not_stored() -> None:
    async def tell(lab: Lab) -> None:
        carol = await lab.ue("carol", "192.0.2.30", CAROL)
        await carol.register()
        await lab.red.stop_node("scscf")
        assert (await carol.message(carol.impu)).status == 504
        await lab.red.start_node("scscf")
        assert (await carol.message(carol.impu)).status == 403
        carol.client = None
        assert (await carol.register()).status == 200
        assert lab.red.deregister(carol.impu)

    lab_story(tell, subscribers=ALL)
