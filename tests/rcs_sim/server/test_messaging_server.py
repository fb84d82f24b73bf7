"""The server on a real SIP stack and in-memory links, against an S-CSCF that is a bare SIP stack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ims_core.errors import TransportError
from ims_core.store.deferred_messages import DEFERRED_MESSAGES
from ims_core.store.memory import MemoryStore
from ims_core.store.record_table import Store
from ims_core.store.sqlite import SqliteStore
from ims_core.trace import RecordKind, Trace, TraceRecord
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Flow, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.name_table import Hop, NameTable
from ims_core.transport.sip_stack import ServerTransaction, SipStack, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import clock_of_running_loop, run
from ims_core.wire.sip.message import Request, Response
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.server.messaging_server import MessagingServer
from rcs_sim.wire.cpim import CpimMessage
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    CONFIG,
    M1,
    PHONE,
    Directory,
    UeBinding,
    cpim,
    gruu,
    message,
    third_party_register,
)

AS = Address(Transport.TCP, "127.0.2.20", 5060)
CSCF = Address(Transport.TCP, "127.0.2.12", 5060)


class CoreStub:
    """An S-CSCF made of a stack: it answers what the server sends by *answers*, and remembers it."""

    def __init__(self, network: MemoryNetwork, clock: Clock, trace: Trace, names: NameTable) -> None:
        self.received: list[Request] = []
        self.statuses: list[int | None] = []  # of the next requests; None: no answer; then 200
        config = StackConfig(name="blue.scscf", listen=(CSCF,))
        self.stack = SipStack(
            config, self, network=network, clock=clock, tokens=Tokens("scscf"), trace=trace, names=names
        )

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        assert server is not None
        self.received.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if status is not None:
            self.stack.reply(server, status)

    def stray_response(self, response: Response, flow: Flow) -> None: ...

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None: ...

    def keep_alive(self, flow: Flow, pong: bool) -> None: ...

    async def send(self, request: Request) -> int:
        """Hands a request to the server; status of its answer."""
        bare = request.edit().remove("Via").done()
        outcome = await self.stack.request(bare, Hop(AS))
        assert isinstance(outcome, Response)
        return outcome.status


class Sink:
    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def write(self, record: TraceRecord) -> None:
        self.records.append(record)

    def close(self) -> None: ...


class Rig:
    def __init__(self, store: Store, config: MessagingServerConfig = CONFIG) -> None:
        clock = clock_of_running_loop()
        self.trace, self.sink = Trace(), Sink()
        self.trace.add_sink(self.sink)
        network = MemoryNetwork(clock, Tokens("network"))
        names = NameTable()
        names.add(f"scscf.{BLUE}", CSCF)
        names.add(f"rcsas.{BLUE}", AS)
        self.core = CoreStub(network, clock, self.trace, names)
        self.server = MessagingServer(
            config,
            network=network,
            clock=clock,
            tokens=Tokens("as"),
            trace=self.trace,
            names=names,
            store=store,
            subscribers=Directory(BLUE, [BOB]),
        )

    async def settle(self) -> None:
        """Lets everything that needs no time happen."""
        await asyncio.sleep(0.5)


@asynccontextmanager
async def rig(store: Store | None = None, config: MessagingServerConfig = CONFIG) -> AsyncIterator[Rig]:
    made = Rig(store or MemoryStore(), config)
    await made.core.stack.start()
    await made.server.start()
    try:
        yield made
    finally:
        await made.server.close()
        await made.core.stack.close()


def on_virtual_time(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def runs() -> None:
        async def main() -> None:
            await test()

        run(main, clock="virtual")

    runs.__name__ = test.__name__
    return runs


@on_virtual_time
async def test_a_message_goes_to_the_registered_device_and_its_200_back() -> None:
    async with rig() as made:
        assert await made.core.send(third_party_register(UeBinding())) == 200
        assert await made.core.send(message()) == 200
        (copy,) = made.core.received
        assert copy.request_uri_text == gruu(PHONE)
        assert copy.text("Route") == f"<sip:odi-7@scscf.{BLUE};lr>"


@on_virtual_time
async def test_a_message_for_nobody_is_stored_and_handed_out_after_the_registration() -> None:
    async with rig() as made:
        assert await made.core.send(message()) == 202
        assert await made.core.send(message(cpim(message_id="m2"))) == 202
        assert await made.core.send(third_party_register(UeBinding())) == 200
        await made.settle()
        assert [CpimMessage.parse(request.body).message_id for request in made.core.received] == [M1, "m2"]
        assert {request.text("Route") for request in made.core.received} == {f"<sip:term@scscf.{BLUE};lr>"}


@on_virtual_time
async def test_silence_of_a_device_is_202_within_the_deadline_and_redelivered() -> None:
    async with rig() as made:
        await made.core.send(third_party_register(UeBinding()))
        made.core.statuses = [None]
        started = asyncio.get_running_loop().time()
        assert await made.core.send(message()) == 202
        assert 19 < asyncio.get_running_loop().time() - started < 21
        await made.core.send(third_party_register(UeBinding()))
        await asyncio.sleep(31)
        assert len(made.core.received) == 2


@on_virtual_time
async def test_an_s_cscf_that_is_gone_is_503_not_an_exception() -> None:
    async with rig(config=replace(CONFIG, has_store_and_forward=False)) as made:
        nowhere = message(sender=BOB, recipient=ALICE, case="orig")
        nowhere = nowhere.edit().set("Route", f"<sip:rcsas.{BLUE};lr>, <sip:odi@nowhere.invalid;lr>").done()
        assert await made.core.send(nowhere) == 503


@on_virtual_time
async def test_decisions_are_in_the_trace_with_their_reason() -> None:
    async with rig() as made:
        await made.core.send(message())
        states = [record for record in made.sink.records if record.kind is RecordKind.STATE]
        assert [(record.source, record.summary, record.imdn_message_id) for record in states] == [
            ("blue.messaging_server", "message stored", M1)
        ]
        assert states[0].details["reason"] == "no device registered"


@on_virtual_time
async def test_too_many_open_exchanges_are_503() -> None:
    async with rig(config=replace(CONFIG, max_exchanges=1)) as made:
        made.core.statuses = [None]
        request = message(sender=BOB, recipient=ALICE, case="orig")
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(made.core.send(request), name="first")
            await made.settle()
            assert await made.core.send(request) == 503
        assert first.result() == 480


@on_virtual_time
async def test_a_restart_over_the_same_store_loses_nothing() -> None:
    store = MemoryStore()
    async with rig(store) as made:
        await made.core.send(third_party_register(UeBinding()))
        await made.core.send(third_party_register(expires=0))
        assert await made.core.send(message()) == 202
    async with rig(store) as made:
        assert await made.core.send(message()) == 200  # a duplicate, known from the store
        await made.core.send(third_party_register(UeBinding()))
        await made.settle()
        assert len(made.core.received) == 1


@on_virtual_time
async def test_a_message_whose_delivery_the_end_interrupts_is_stored() -> None:
    store = MemoryStore()
    async with rig(store) as made:
        await made.core.send(third_party_register(UeBinding()))
        made.core.statuses = [None]
        bare = message().edit().remove("Via").done()
        made.core.stack.send_request(bare, Hop(AS), lambda outcome: None)
        await made.settle()
        await made.server.close()
        assert len(await store.table(DEFERRED_MESSAGES).load_all()) == 1


async def test_a_202_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "blue.sqlite"
    store = SqliteStore(path)
    await store.open()
    made = Rig(store)
    await made.core.stack.start()
    await made.server.start()
    assert await made.core.send(message()) == 202
    await made.server.close()
    await made.core.stack.close()
    await store.close()
    again = SqliteStore(path)
    await again.open()
    assert len(await again.table(DEFERRED_MESSAGES).load_all()) == 1
    await again.close()


@pytest.mark.parametrize(
    "octets", [b"MESSAGE sip:x SIP/2.0\r\n\r\n", b"\x00" * 9 + b"\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n"]
)
def test_octets_that_are_no_sip_do_not_stop_the_server(octets: bytes) -> None:
    async def main() -> None:
        async with rig() as made:
            flow = made.core.stack.connect(Hop(AS))
            flow.send(octets)
            await made.settle()
            assert await made.core.send(message()) == 202

    run(main, clock="virtual")


def test_only_the_s_cscf_may_assert_an_identity_or_report_a_registration() -> None:
    async def main() -> None:
        async with rig(config=replace(CONFIG, trusted_hosts=frozenset(("127.0.2.99",)))) as made:
            for request in (message(), third_party_register(UeBinding())):
                assert await made.core.send(request) == 403
        async with rig(config=replace(CONFIG, trusted_hosts=frozenset((CSCF.host,)))) as made:
            assert await made.core.send(message()) == 202

    run(main, clock="virtual")
