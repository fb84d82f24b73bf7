"""Two service centres on in-memory links: phones by the circuit-switched link, the other carrier, the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ims_core.errors import TransportError
from ims_core.nodes.smsc import ApplicationMessage, Smsc, SmscConfig
from ims_core.store.memory import MemoryStore
from ims_core.store.record_table import Store, StoreError
from ims_core.store.short_messages import SHORT_MESSAGES, ShortMessage
from ims_core.trace import RecordKind, Trace, TraceRecord
from ims_core.transport.link import Address, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.sm_link import SmLink, SmLinkEndpoint
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.sms.rpdu import Direction, RpAck, RpCause, RpError, parse_rpdu
from ims_core.wire.sms.sm_link import Accepted, Attach, Forward, ForwardKind, Result, SmLinkMessage
from tests.support.short_messages import (
    ALICE,
    BOB,
    Directory,
    deliver_of,
    imsi_of,
    report_of,
    rp_ack,
    rp_submit,
    smsc_of,
)

_RED, _BLUE = Address(Transport.TCP, "127.0.1.31", 2775), Address(Transport.TCP, "127.0.2.31", 2775)


class _List:
    """A trace sink."""

    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def write(self, record: TraceRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.records = []


class _FullStore(MemoryStore):
    """Cannot keep anything new."""

    class _Table:
        async def load_all(self) -> list[ShortMessage]:
            return []

        async def put(self, record: ShortMessage) -> None:
            raise StoreError("the disk is full: make room")

        async def delete(self, key: str) -> None:
            raise StoreError("the disk is full: make room")

    def table(self, record_type: object) -> object:  # type: ignore[override]  # only this table is asked for
        return self._Table()


class _Phone:
    """The phone's end of a circuit-switched link; acknowledges what it gets."""

    def __init__(self, world: _World, number: str, host: str) -> None:
        self.number = number
        self.endpoint = SmLinkEndpoint(number, self, network=world.network, clock=world.clock, trace=world.trace)
        self.texts: list[str] = []
        self.statuses: list[int] = []
        self.answers: list[RpAck | RpError] = []
        self.is_attached = False
        self.ends: list[TransportError | None] = []
        smsc = _RED if smsc_of(number) == "red.smsc" else _BLUE
        self.link = self.endpoint.connect(host, smsc)
        self.link.send(Attach(1, imsi_of(number)))

    def link_opened(self, link: SmLink) -> None:
        raise AssertionError("nobody dials a phone")

    def link_closed(self, link: SmLink, error: TransportError | None) -> None:
        self.ends.append(error)

    def frame_received(self, link: SmLink, message: SmLinkMessage) -> None:
        match message:
            case Accepted():
                self.is_attached = message.msisdn == self.number
            case Result():
                answer = parse_rpdu(message.rpdu)
                assert isinstance(answer, RpAck | RpError)
                self.answers.append(answer)
            case Forward():
                self._take(message)
                link.send(Result(message.reference, rp_ack(message.rpdu[1])))

    def _take(self, message: Forward) -> None:
        try:
            self.texts.append(deliver_of(message.rpdu)[1].text)
        except AssertionError:
            self.statuses.append(report_of(message.rpdu)[1].status)

    def send(self, text: str, to: str, *, status_report: bool = False) -> None:
        rpdu = rp_submit(text, to, status_report=status_report)
        self.link.send(Forward(reference=5, kind=ForwardKind.MO, rpdu=rpdu))


class _World:
    """Red and blue, each with a service centre; Alice is red, Bob blue."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.network = MemoryNetwork(self.clock, Tokens("seed"))
        self.trace = Trace()
        self.sink = _List()
        self.trace.add_sink(self.sink)
        self.red_store: Store = MemoryStore()
        self.blue_store: Store = MemoryStore()

    def red(self) -> Smsc:
        config = SmscConfig(name="red.smsc", address="+12025550199", listen=_RED, peers={"blue.smsc": _BLUE})
        return self._smsc(config, self.red_store, Directory(ALICE))

    def blue(self) -> Smsc:
        config = SmscConfig(name="blue.smsc", address="+12025550198", listen=_BLUE, peers={"red.smsc": _RED})
        return self._smsc(config, self.blue_store, Directory(BOB))

    def _smsc(self, config: SmscConfig, store: Store, directory: Directory) -> Smsc:
        return Smsc(
            config,
            network=self.network,
            clock=self.clock,
            trace=self.trace,
            store=store,
            sh=directory,
            smsc_of=smsc_of,
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _play(story: Callable[[_World], Awaitable[None]]) -> None:
    async def main() -> None:
        await story(_World())

    run(main)


def test_a_text_crosses_carriers_and_its_report_comes_back() -> None:
    async def story(world: _World) -> None:
        red, blue = world.red(), world.blue()
        await red.start()
        await blue.start()
        alice, bob = _Phone(world, ALICE, "127.0.1.100"), _Phone(world, BOB, "127.0.2.100")
        await world.sleep(1)
        assert alice.is_attached
        assert bob.is_attached
        alice.send("hello", BOB, status_report=True)
        await world.sleep(1)
        assert bob.texts == ["hello"]
        assert [type(answer) for answer in alice.answers] == [RpAck]
        assert alice.statuses == [0]
        for store in (world.red_store, world.blue_store):
            assert await store.table(SHORT_MESSAGES).load_all() == []
        summaries = [record.summary for record in world.sink.records if record.kind is RecordKind.MESSAGE]
        assert "BIND SMSC red.smsc" in summaries
        assert "MO RP-DATA 7" in summaries
        hops = {(record.source, record.target) for record in world.sink.records}
        assert {("red.smsc", "blue.smsc"), ("blue.smsc", BOB)} <= hops
        await red.close()
        await blue.close()

    _play(story)


def test_a_message_survives_the_restart_of_its_service_centre() -> None:
    async def story(world: _World) -> None:
        red, blue = world.red(), world.blue()
        await red.start()
        await blue.start()
        alice = _Phone(world, ALICE, "127.0.1.100")
        alice.send("later", BOB)
        await world.sleep(1)
        assert isinstance(alice.answers[0], RpAck)
        await blue.close()
        assert len(await world.blue_store.table(SHORT_MESSAGES).load_all()) == 1
        blue = world.blue()
        await blue.start()
        bob = _Phone(world, BOB, "127.0.2.100")
        await world.sleep(1)
        assert bob.texts == ["later"]
        await red.close()
        await blue.close()

    _play(story)


def test_a_peer_that_is_down_gets_the_message_when_it_is_back() -> None:
    async def story(world: _World) -> None:
        red = world.red()
        await red.start()
        alice = _Phone(world, ALICE, "127.0.1.100")
        alice.send("patience", BOB)
        await world.sleep(40)
        assert isinstance(alice.answers[0], RpAck)
        blue = world.blue()
        await blue.start()
        bob = _Phone(world, BOB, "127.0.2.100")
        await world.sleep(400)
        assert bob.texts == ["patience"]
        await red.close()
        await blue.close()

    _play(story)


def test_a_full_store_refuses_and_the_service_centre_goes_on() -> None:
    async def story(world: _World) -> None:
        world.red_store = _FullStore()
        red = world.red()
        await red.start()
        alice = _Phone(world, ALICE, "127.0.1.100")
        for _ in range(2):
            alice.send("x", ALICE)
            await world.sleep(1)
        causes = [answer.cause for answer in alice.answers if isinstance(answer, RpError)]
        assert causes == [RpCause.NETWORK_OUT_OF_ORDER] * 2
        message = ApplicationMessage(originator="Lab", destination=ALICE, text="x")
        assert await red.submit(message) == RpCause.NETWORK_OUT_OF_ORDER
        await red.close()

    _play(story)


def test_an_application_in_the_process_submits() -> None:
    async def story(world: _World) -> None:
        red = world.red()
        await red.start()
        alice = _Phone(world, ALICE, "127.0.1.100")
        message = ApplicationMessage(originator="Lab", destination=ALICE, text="123456 is your code")
        assert await red.submit(message) is None
        await world.sleep(1)
        assert alice.texts == ["123456 is your code"]
        red.submit_nowait(ApplicationMessage(originator="Lab", destination=ALICE, text="1-rcscfg", port=37273))
        await world.sleep(1)
        assert alice.texts[1:] == ["1-rcscfg"]
        nobody = ApplicationMessage(originator="Lab", destination="+12025550107", text="x")
        assert await red.submit(nobody) == RpCause.UNASSIGNED_NUMBER
        red.submit_nowait(nobody)
        assert world.sink.records[-1].summary == "application message refused"
        await red.close()

    _play(story)


@pytest.mark.parametrize(
    "octets", [b"\xff\xff", b"GET / HTTP/1.1\r\n\r\n", bytes(4096), b"\x00\x05\x63\x00\x00\x00\x00"]
)
def test_rubbish_on_a_link_costs_that_link_only(octets: bytes) -> None:
    async def story(world: _World) -> None:
        red = world.red()
        await red.start()
        alice = _Phone(world, ALICE, "127.0.1.100")
        await world.sleep(1)
        vandal = _Phone(world, ALICE, "127.0.1.101")
        vandal.link.flow.send(octets)
        await world.sleep(20)
        alice = _Phone(world, ALICE, "127.0.1.100")
        alice.send("still there", ALICE)
        await world.sleep(1)
        assert alice.texts == ["still there"]
        assert any(record.kind is RecordKind.ERROR for record in world.sink.records)
        await red.close()

    _play(story)


def test_the_direction_of_answers_is_that_of_the_network() -> None:
    async def story(world: _World) -> None:
        red = world.red()
        await red.start()
        alice = _Phone(world, ALICE, "127.0.1.100")
        alice.send("x", "+12025550107")
        await world.sleep(1)
        assert alice.answers == [RpError(Direction.TO_MS, 7, RpCause.UNASSIGNED_NUMBER)]
        await red.close()

    _play(story)
