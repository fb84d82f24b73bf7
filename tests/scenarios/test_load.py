"""Many plain clients at once, 64 requests in flight: nothing is lost, and nothing is remembered for longer than the
protocol asks. (`rcs-sim bench` measures how fast; the full size is 2,000 users and 10,000 messages.)"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest

import rcs_sim
from ims_core.trace import RecordKind, TraceRecord
from ims_core.transport.link import Address, Flow, Transport
from ims_core.wire.sip.message import Request
from rcs_sim.scenario.lab import Carrier
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import BulkEntry, NetworkFile
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.subscribers import LabSubscriber
from rcs_sim.wire.cpim import compose_cpim
from tests.support.plain_client import PlainClient

_USERS, _MESSAGES, _IN_FLIGHT = 150, 900, 64
_FIRST = "+12125550000"
_ICSI = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg"
_TAGS = f';+g.3gpp.icsi-ref="{_ICSI.replace(":", "%3A")}"'
_TRANSACTIONS_END_S, _REGISTRATIONS_END_S = 40.0, 3700.0


class Errors:
    """A sink that keeps what went wrong."""

    def __init__(self) -> None:
        self.summaries: list[str] = []

    def write(self, record: TraceRecord) -> None:
        if record.kind is RecordKind.ERROR:
            self.summaries.append(record.summary)

    def close(self) -> None:
        """Nothing to close."""


class Client(PlainClient):
    """Answers each MESSAGE with 200 and counts it."""

    number = 0
    count = 0

    def received(self, octets: bytes, flow: Flow) -> None:
        super().received(octets, flow)
        self.octets.clear()
        for message in [each for each in self.received_messages if isinstance(each, Request)]:
            self.received_messages.remove(message)
            self.count += 1
            self.answer(message, 200)

    @property
    def rcs_contact(self) -> str:
        return f'{self.contact};+sip.instance="<urn:uuid:{self.number}>"{_TAGS}'


def _network(service: str) -> NetworkFile:
    network = load_network("two-carriers-plain")
    bulk = BulkEntry.model_validate({"first": _FIRST, "count": _USERS, "service": service})
    red = network.carriers["red"].model_copy(update={"bulk": [bulk]})
    return network.model_copy(update={"carriers": {**network.carriers, "red": red}})


async def _each(work: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Does all of it, so much at a time."""
    gate = asyncio.Semaphore(_IN_FLIGHT)

    async def one(job: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await job()

    async with asyncio.TaskGroup() as group:
        for job in work:
            group.create_task(one(job))


async def _register(sim: Simulation, carrier: Carrier, transport: Transport, service: str) -> list[Client]:
    clients: list[Client] = []

    async def register(number: int, subscriber: LabSubscriber) -> None:
        assert subscriber.password is not None
        client = Client(
            f"user{number}",
            sim.world.network,
            f"10.9.{number // 250}.{number % 250 + 1}",
            _proxy(carrier, transport),
            impi=subscriber.impi,
            password=subscriber.password.octets.decode(),
        )
        client.number, client.impu = number, subscriber.impus[0]
        await client.open()
        contacts = [client.rcs_contact if service == "rcs" else client.contact]
        client.take_challenge(await client.ask(client.register_octets(contacts=contacts)))
        answer = await client.ask(client.register_octets(contacts=contacts, authorization=client.authorization()))
        assert answer.status == 200
        clients.append(client)

    bulk = [each for each in carrier.subscribers if (each.msisdn or "").startswith(_FIRST[:8])]
    await _each([lambda n=n, each=each: register(n, each) for n, each in enumerate(bulk)])  # type: ignore[misc]  # bound
    return clients


def _proxy(carrier: Carrier, transport: Transport) -> Address:
    return carrier.core.address("pcscf", transport)


async def _exchange(clients: list[Client], service: str) -> list[int]:
    statuses: list[int] = []

    async def send(number: int) -> None:
        sender, receiver = clients[number % _USERS], clients[(number * 7 + 1) % _USERS]
        if service == "rcs":
            answer = await sender.ask(sender.compose("MESSAGE", receiver.impu, *_pager(f"m{number}")))
        else:
            answer = await sender.ask(
                sender.compose("MESSAGE", receiver.impu, [("Content-Type", "text/plain")], b"x" * 300)
            )
        statuses.append(answer.status)

    await _each([lambda number=number: send(number) for number in range(_MESSAGES)])  # type: ignore[misc]  # bound
    return statuses


def _pager(message_id: str) -> tuple[list[tuple[str, str]], bytes]:
    anonymous = "sip:anonymous@anonymous.invalid"
    body = compose_cpim(
        sender=anonymous,
        recipient=anonymous,
        message_id=message_id,
        date_time="2026-03-02T10:15:30Z",
        body=b"x" * 200,
    )
    fields = [("Content-Type", "message/cpim"), ("P-Preferred-Service", _ICSI)]
    return [*fields, ("Accept-Contact", f'*;+g.3gpp.icsi-ref="{_ICSI.replace(":", "%3A")}"')], body


def _open_in(carrier: Carrier) -> dict[str, object]:
    """What is still open in each element: transactions, requests on their way, deadlines of ended transactions."""
    core = carrier.core
    stacks = {name: getattr(core, name).stack for name in ("pcscf", "icscf", "scscf", "ibcf")}
    stacks |= {"messaging server": carrier.messaging_server.stack, "gateway": carrier.ipsmgw.stack}
    return {name: stack.open_transactions for name, stack in stacks.items() if stack.open_transactions != (0, 0)}


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP], ids=lambda each: each.value)
@pytest.mark.parametrize("service", ["sip", "rcs"])
def test_no_message_is_lost_and_nothing_stays_behind(transport: Transport, service: str) -> None:
    async def main() -> None:
        errors = Errors()
        async with Simulation(_network(service), sinks=[errors]) as sim:
            red = sim.carrier("red")
            clients = await _register(sim, red, transport, service)
            assert len(red.core.pcscf.core.accesses) == _USERS
            statuses = await _exchange(clients, service)
            assert (len(statuses), set(statuses)) == (_MESSAGES, {200})
            assert sum(client.count for client in clients) == _MESSAGES
            await asyncio.sleep(_TRANSACTIONS_END_S)
            assert _open_in(red) == {}
            await asyncio.sleep(_REGISTRATIONS_END_S)
            assert len(red.core.pcscf.core.accesses) == 0
            assert red.core.scscf.registered_user(clients[0].impu) is None
        assert errors.summaries == []

    rcs_sim.run(main, clock="virtual")
