"""A whole network: its carriers, their addresses, and what is undone when one of them cannot start."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import pytest

import rcs_sim
from ims_core.errors import SimulatorError
from ims_core.store.memory import MemoryStore, MemoryTable
from ims_core.store.record_table import RecordTable, RecordType, Store
from ims_core.store.short_messages import SHORT_MESSAGES
from ims_core.trace import ListSink, Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, FlowHandler, Transport
from ims_core.transport.memory import MemoryListener, MemoryNetwork
from ims_core.transport.tokens import Tokens
from rcs_sim.scenario.documents import schema_text
from rcs_sim.scenario.lab import Lab
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.world import SM_LINK_PORT, MemoryWorld
from tests.support.flows import Recorder


class _StuckTable(MemoryTable[Any]):
    """Of a disk that hangs."""

    async def put(self, record: Any) -> None:
        await asyncio.get_running_loop().create_future()


class _StuckStore(MemoryStore):
    def table(self, record_type: RecordType[Any]) -> RecordTable[Any]:
        return _StuckTable(record_type) if record_type is SHORT_MESSAGES else super().table(record_type)


class _StuckWorld(MemoryWorld):
    def store(self, carrier: str) -> Store:
        return _StuckStore()


def _lab(world: MemoryWorld | None = None) -> Lab:
    world = world or MemoryWorld(1, Trace())
    return Lab(load_network("two-carriers-plain"), world, secrets=world.tokens.child("secrets"), file="net.yaml")


def test_elements_stand_at_the_addresses_of_the_network_file() -> None:
    async def main() -> None:
        lab = _lab()
        assert lab.carriers["red"].hosts() == {
            "pcscf": "127.0.1.10",
            "icscf": "127.0.1.11",
            "scscf": "127.0.1.12",
            "ibcf": "127.0.1.13",
            "messaging_server": "127.0.1.20",
            "msrp_relay": "127.0.1.22",
            "ipsmgw": "127.0.1.30",
            "smsc": "127.0.1.31",
            "acs": "127.0.1.40",
        }
        assert lab.carriers["blue"].hosts()["pcscf"] == "127.0.2.10"

    rcs_sim.run(main, clock="virtual")


class _WatchedNetwork(MemoryNetwork):
    """Notes who listens, in order."""

    def __init__(self, clock: Clock, tokens: Tokens) -> None:
        super().__init__(clock, tokens)
        self.hosts: list[str] = []

    async def listen(self, address: Address, handler: FlowHandler) -> MemoryListener:
        self.hosts.append(address.host)
        return await super().listen(address, handler)


def test_the_way_in_opens_when_all_carriers_are_there() -> None:
    """A network that comes back under phones that wait for it fails none of their messages by being half there."""

    async def main() -> None:
        world = MemoryWorld(1, Trace())
        watched = world.network = _WatchedNetwork(world.clock, world.tokens.child("network"))
        lab = _lab(world)
        try:
            await lab.start()
            ways_in = ("127.0.1.10", "127.0.2.10")
            first = min(watched.hosts.index(host) for host in ways_in)
            behind = {host for host in watched.hosts if not host.endswith((".10", ".40", ".41"))}
            assert behind
            assert behind <= set(watched.hosts[:first])
        finally:
            await lab.close()

    rcs_sim.run(main)


def test_the_document_of_a_running_lab_is_as_its_schema_says() -> None:
    async def main() -> None:
        lab = _lab()
        await lab.start()
        document = lab.document(state=None).model_dump()
        jsonschema.validate(document, json.loads(schema_text("up")))
        red = document["carriers"]["red"]
        assert (red["pcscf"], red["acs"]) == (
            {"udp": "127.0.1.10:5060", "tcp": "127.0.1.10:5060", "tls": None},
            "http://127.0.1.40:80/",
        )
        assert red["cs"] == "127.0.1.31:29168"
        assert len(red["subscribers"]) == len(lab.network.carriers["red"].subscribers)
        await lab.close()

    rcs_sim.run(main, clock="virtual")


@pytest.mark.parametrize("host", ["127.0.1.10", "127.0.1.31", "127.0.2.13", "127.0.2.20", "127.0.2.40"])
def test_what_cannot_start_leaves_nothing_behind(host: str) -> None:
    """Each element in turn finds its address taken."""

    async def main() -> None:
        lab = _lab()
        network = lab.world.network
        ports = {"127.0.1.31": 29168, "127.0.2.40": 80}
        taken = await network.listen(Address(Transport.TCP, host, ports.get(host, 5060)), _Squatter())
        with pytest.raises(SimulatorError, match=r"port \d+ on " + host.replace(".", r"\.")):
            await lab.start()
        await taken.close()
        second = _lab()
        await second.start()
        await second.close()

    rcs_sim.run(main, clock="virtual")


class _Squatter:
    name = "squatter"

    def accepted(self, flow: object) -> None: ...

    def received(self, octets: bytes, flow: object) -> None: ...

    def closed(self, flow: object, error: object) -> None: ...


def test_one_carrier_alone_is_a_network_too() -> None:
    async def main() -> None:
        file = load_network("two-carriers-plain")
        alone = file.model_copy(update={"carriers": {"red": file.carriers["red"]}})
        async with Simulation(alone) as sim:
            alice = await sim.add_phone("alice")
            amy = await sim.add_phone("amy")
            await (await alice.chat(amy).send("just us")).delivered(within_s=5)
            lost = alice.chat("+12025550152").send("over the border")
            await lost.final(within_s=600)
            assert lost.state.value == "failed"

    rcs_sim.run(main, clock="virtual")


def test_three_carriers_reach_each_other() -> None:
    async def main() -> None:
        file = load_network("two-carriers-plain")
        blue = file.carriers["blue"].model_dump()
        green = type(file.carriers["blue"]).model_validate(
            blue
            | {
                "domain": "ims.mnc003.mcc001.3gppnetwork.org",
                "addresses": "127.0.3.0/24",
                "smsc": "+12025550197",
                "prefixes": ["+1303555"],
                "subscribers": [{"msisdn": "+13035550161"}],
            }
        )
        async with Simulation(file.model_copy(update={"carriers": {**file.carriers, "green": green}})) as sim:
            phones = [await sim.add_phone(name, carrier=name) for name in ("red", "blue", "green")]
            for sender in phones:
                for receiver in phones:
                    if sender is not receiver:
                        await (await sender.chat(receiver).send("hi")).delivered(within_s=5)
                        await sender.send_sms(receiver, "hi by sms").delivered(within_s=30)

    rcs_sim.run(main, clock="virtual")


def test_while_the_elements_write_their_last_nobody_is_heard_and_no_carrier_waits_for_another() -> None:
    async def main() -> None:
        lab = _lab(_StuckWorld(1, Trace()))
        await lab.start()
        loop = asyncio.get_running_loop()
        for carrier in lab.carriers.values():
            carrier.send_sms(carrier.subscribers[0].msisdn, "never on disk")
        await asyncio.sleep(1)
        began = loop.time()
        closing = loop.create_task(lab.close())
        await asyncio.sleep(0)
        assert not closing.done()
        client = Recorder("client")
        for carrier in lab.carriers.values():
            for role, host in carrier.hosts().items():
                port = {"acs": 80, "smsc": SM_LINK_PORT}.get(role, 5060)
                flow = lab.world.network.connect("192.0.2.1", Address(Transport.TCP, host, port), client)
                await asyncio.sleep(0.01)
                assert not flow.is_open, role
        await closing
        assert loop.time() - began <= 2.5

    rcs_sim.run(main, clock="virtual")


def test_when_the_network_ends_phones_in_a_session_learn_why_and_it_takes_no_time() -> None:
    async def main() -> None:
        sink = ListSink()
        async with Simulation("two-carriers-plain", sinks=[sink]) as sim:
            alice, bob = await sim.add_phone("alice"), await sim.add_phone("bob", "ios", "blue")
            await (await alice.chat(bob).send("more than pager mode takes " * 60)).delivered(within_s=10)
            assert alice.chat(bob).session == "open"
            began = sim.clock.now()
            await sim.lab.close()
            assert sim.clock.now() - began < 0.5
        for phone, carrier in (("alice", "red"), ("bob", "blue")):
            byes = [
                record
                for record in sink.records
                if record.summary.startswith("BYE") and (record.source, record.target) == (f"{carrier}.pcscf", phone)
            ]
            assert len(byes) == 1
            assert b'Reason: SIP;cause=503;text="The network is shutting down"' in byes[0].raw

    rcs_sim.run(main, clock="virtual")
