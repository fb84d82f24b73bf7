"""The P-CSCF node: what only shows with a stack. Its decisions are tested with its core."""

from __future__ import annotations

import asyncio

import pytest

from ims_core.nodes.pcscf import Pcscf, PcscfConfig
from ims_core.store.bindings import ACCESS_FLOWS
from ims_core.store.memory import MemoryStore
from ims_core.trace import Trace
from ims_core.transport.link import Address, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.sip_stack import NameTable
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from tests.support.ims_lab import BLUE, RED, Lab, lab_story, plain_subscriber, subscriber

CAROL, DAVE = plain_subscriber(RED, "carol"), plain_subscriber(RED, "dave")
ALL = ((subscriber(RED, 101), CAROL, DAVE), (subscriber(BLUE, 152),))


def test_it_has_no_core_before_it_is_started() -> None:
    async def main() -> None:
        clock = VirtualClock()
        address = Address(Transport.TCP, "127.0.1.10", 5060)
        node = Pcscf(
            PcscfConfig(name="p", home_domain="x", listen=(address,), icscf=address),
            network=MemoryNetwork(clock, Tokens("n")),
            clock=clock,
            tokens=Tokens("p"),
            trace=Trace(),
            names=NameTable(),
        )
        with pytest.raises(RuntimeError):
            _ = node.core

    run(main())


def test_stored_registrations_go_when_they_end() -> None:
    stores = (MemoryStore(), MemoryStore())

    async def tell(lab: Lab) -> None:
        carol = await lab.ue("carol", "192.0.2.30", CAROL, transport=Transport.UDP)
        await carol.register()
        await asyncio.sleep(1)
        (record,) = await stores[0].table(ACCESS_FLOWS).load_all()
        assert (record.remote_host, record.impus) == ("192.0.2.30", (carol.impu,))
        await asyncio.sleep(3601)
        assert await stores[0].table(ACCESS_FLOWS).load_all() == []
        assert (await carol.message(carol.impu)).status == 403

    lab_story(tell, subscribers=ALL, stores=stores)


def test_a_ue_whose_requests_leave_from_another_port_than_it_names_is_served_on_its_connection() -> None:
    async def tell(lab: Lab) -> None:
        carol = await lab.ue("carol", "192.0.2.30", CAROL)
        dave = await lab.ue("dave", "192.0.2.31", DAVE)
        await carol.register()
        await dave.register()
        carol.service_route = []  # it never sends one
        carol.routes_itself = False
        assert (await carol.message(dave.impu)).status == 200
        assert (await dave.message(carol.impu)).status == 200
        listening = [record for record in lab.records.records if record.target_address == "192.0.2.30:5060"]
        assert listening == []

    lab_story(tell, subscribers=ALL)


def test_a_ue_that_leaves_and_hangs_up_at_once_is_no_error() -> None:
    async def tell(lab: Lab) -> None:
        carol = await lab.ue("carol", "192.0.2.30", CAROL)
        await carol.register()
        assert carol.client is not None
        carol.call_id, carol.cseq = "another", 0
        credentials = carol.client.authorize("REGISTER", f"sip:{RED}", "c")
        leaving = carol.register_request(credentials, 0, f"<{carol.contact}>")
        carol.stack.send_request(leaving, carol.hop, lambda outcome: None)
        await carol.stack.close()
        await asyncio.sleep(1)
        assert not lab.red.is_registered(carol.impu)

    lab_story(tell, subscribers=ALL)
