from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ims_core.reference_points import LegEndKind
from ims_core.trace import Trace
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Network, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.memory_link import LinkProfile
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, VirtualClock, run
from ims_core.wire.msrp.fingerprint import Fingerprint
from ims_core.wire.msrp.media import MsrpMedia, Setup
from ims_core.wire.msrp.message import FailureReport
from ims_core.wire.msrp.session_events import FailureReason, OutgoingMessage, SessionConfig, Transmit
from tests.support.msrp_legs import LegNotes
from tests.support.real_links import until

_A, _B = "127.0.0.1", "127.0.0.2"


class Side:
    """One element with one channel."""

    def __init__(self, name: str, host: str, network: Network, *, listens: bool, is_real: bool) -> None:
        any_port = (Address(Transport.TCP, host, 0), Address(Transport.TLS, host, 0)) if listens else ()
        config = MsrpStackConfig(name=name, listen=any_port, local_host=host, is_encrypted=is_real)
        clock = RealClock() if is_real else VirtualClock()
        self.stack = MsrpStack(config, network=network, clock=clock, tokens=Tokens(name), trace=Trace())
        self.notes = LegNotes()
        self.deadlines = DeadlineHeap()
        self.channel: MsrpChannel

    async def start(self) -> None:
        await self.stack.start()
        self.channel = MsrpChannel(self.stack, self.notes, Tokens(self.stack.name), self.deadlines, SessionConfig())

    async def close(self) -> None:
        await self.stack.close()
        self.deadlines.close()


class Pair:
    def __init__(self, network: Network, *, is_real: bool = False, answerer_listens: bool = True) -> None:
        self.network = network
        self.offerer = Side("alice", _A, network, listens=True, is_real=is_real)
        self.answerer = Side("red.msrp_relay", _B, network, listens=answerer_listens, is_real=is_real)
        self.offer: MsrpMedia
        self.answer: MsrpMedia

    async def start(self, *, is_tls: bool, answers: Setup) -> None:
        await self.offerer.start()
        await self.answerer.start()
        self.offer = self.offerer.channel.media(is_tls=is_tls, setup=Setup.ACTPASS)
        self.answer = self.answerer.channel.media(is_tls=is_tls, setup=answers)

    def answer_first(self) -> None:
        """As it is: the answerer goes ahead, the offerer learns the answer later."""
        self.offerer.channel.expect(self.offer)
        self.answerer.channel.open(self.answer, self.offer, is_offerer=False)

    def offerer_learns(self) -> None:
        self.offerer.channel.open(self.offer, self.answer, is_offerer=True)

    async def close(self) -> None:
        await self.offerer.close()
        await self.answerer.close()
        await self.network.close()


Story = Callable[[Pair], Awaitable[None]]


def tell(story: Story, *, is_real: bool = False, answerer_listens: bool = True) -> None:
    async def main() -> None:
        network: Network
        network = SocketNetwork(RealClock()) if is_real else MemoryNetwork(VirtualClock(), Tokens("links"))
        pair = Pair(network, is_real=is_real, answerer_listens=answerer_listens)
        try:
            await story(pair)
        finally:
            await pair.close()

    run(main, clock="real" if is_real else "virtual")


def _text(message_id: str, body: bytes = b"Hello", **settings: object) -> OutgoingMessage:
    return OutgoingMessage(message_id, "text/plain", body, **settings)  # type: ignore[arg-type]  # of several types


@pytest.mark.parametrize("is_real", [False, True])
@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("answers", [Setup.ACTIVE, Setup.PASSIVE])
def test_messages_go_both_ways_whoever_connects(is_real: bool, is_tls: bool, answers: Setup) -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=is_tls, answers=answers)
        pair.answer_first()
        pair.offerer.channel.send(_text("m1", success_report=True))
        pair.offerer_learns()
        pair.answerer.channel.send(_text("m2", b"x" * 100_000))
        await until(lambda: pair.answerer.notes.bodies == [b"Hello"] and len(pair.offerer.notes.bodies) == 1)
        await until(lambda: bool(pair.offerer.notes.reports) and pair.answerer.notes.sent_ids == ["m2"])
        assert pair.offerer.notes.bodies == [b"x" * 100_000]
        assert pair.offerer.notes.sent_ids == ["m1"]
        assert pair.offerer.notes.reports[0].status == 200
        assert pair.offerer.notes.is_bound
        assert pair.answerer.notes.is_bound

    tell(story, is_real=is_real)


@pytest.mark.parametrize("is_real", [False, True])
def test_the_answerer_may_connect_and_speak_before_his_answer_is_known(is_real: bool) -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=is_real, answers=Setup.ACTIVE)
        pair.answer_first()
        pair.answerer.channel.send(_text("early"))
        await asyncio.sleep(0.2)
        assert not pair.offerer.notes.messages
        pair.offerer_learns()
        await until(lambda: pair.offerer.notes.bodies == [b"Hello"])
        await until(lambda: pair.answerer.notes.sent_ids == ["early"])

    tell(story, is_real=is_real)


@pytest.mark.parametrize("answers", [Setup.ACTIVE, Setup.PASSIVE])
def test_a_fingerprint_that_differs_ends_it_s04(answers: Setup) -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=True, answers=answers)
        wrong = (Fingerprint("SHA-256", bytes(32)),)
        pair.answer = MsrpMedia(
            **{name: getattr(pair.answer, name) for name in pair.answer.__slots__} | {"fingerprints": wrong}
        )
        pair.answer_first()
        pair.offerer.channel.send(_text("secret"))
        pair.offerer_learns()
        await until(lambda: bool(pair.offerer.notes.ends))
        assert pair.offerer.notes.ends[0].kind is LegEndKind.FINGERPRINT
        assert [failure.message_id for failure in pair.offerer.notes.failures] == ["secret"]
        assert not pair.answerer.notes.messages

    tell(story, is_real=True)


@pytest.mark.parametrize("answers", [Setup.ACTIVE, Setup.PASSIVE])
def test_nobody_there_is_told_within_a_bounded_time(answers: Setup) -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=False, answers=answers)
        pair.offerer.channel.send(_text("m1"))
        pair.offerer.channel.send(_text("m2"))
        pair.network.set_link(_A, _B, LinkProfile(is_up=False))  # type: ignore[attr-defined]  # in memory
        pair.answer_first()
        pair.offerer_learns()
        await asyncio.sleep(60)
        assert [end.kind for end in pair.offerer.notes.ends] == [LegEndKind.NOT_CONNECTED]
        assert [(each.message_id, each.reason) for each in pair.offerer.notes.failures] == [
            ("m1", FailureReason.LOST),
            ("m2", FailureReason.LOST),
        ]

    tell(story)


def test_an_element_that_does_not_listen_connects() -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=False, answers=Setup.ACTIVE)
        assert pair.answer.port == 9
        pair.answer_first()
        pair.offerer_learns()
        pair.offerer.channel.send(_text("m1", failure_report=FailureReport.NO))
        await until(lambda: pair.answerer.notes.bodies == [b"Hello"])

    tell(story, answerer_listens=False)


def test_what_is_unanswered_when_the_connection_goes_is_told_once() -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=False, answers=Setup.PASSIVE)
        pair.answerer.notes.settles_with = None
        pair.answer_first()
        pair.offerer_learns()
        pair.offerer.channel.send(_text("m1"))
        await until(lambda: bool(pair.answerer.notes.messages))
        pair.answerer.channel.close()
        pair.offerer.channel.send(_text("m2"))
        await asyncio.sleep(60)
        assert sorted(failure.message_id for failure in pair.offerer.notes.failures) == ["m1", "m2"]
        assert len(pair.offerer.notes.ends) == 1
        assert not pair.answerer.notes.ends
        assert not pair.answerer.stack.connection_count
        assert not pair.offerer.stack.connection_count

    tell(story)


def test_closing_ends_in_order_what_is_under_way() -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=False, answers=Setup.PASSIVE)
        pair.answer_first()
        pair.offerer_learns()
        await until(lambda: pair.offerer.notes.is_bound)
        pair.offerer.channel.send(_text("last", b"y" * 5000))
        pair.offerer.channel.close()
        await until(lambda: pair.answerer.notes.bodies == [b"y" * 5000])
        await until(lambda: bool(pair.answerer.notes.ends))
        assert pair.answerer.notes.ends[0].kind is LegEndKind.LOST
        assert not pair.offerer.notes.ends

    tell(story)


def test_a_long_message_without_answers_goes_out_whole() -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=False, answers=Setup.PASSIVE)
        pair.answer_first()
        pair.offerer_learns()
        pair.offerer.channel.send(_text("long", b"z" * 900_000, failure_report=FailureReport.NO))
        await until(lambda: bool(pair.answerer.notes.messages))
        assert pair.answerer.notes.bodies == [b"z" * 900_000]

    tell(story, is_real=True)


def test_a_peer_who_closed_his_half_still_gets_his_answers() -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=False, answers=Setup.PASSIVE)
        pair.offerer.notes.settles_with = None
        pair.offerer.channel.expect(pair.offer)
        reader, writer = await asyncio.open_connection(_A, pair.offer.port)
        peer = replace(pair.answer, setup=Setup.ACTIVE, port=9)
        pair.offerer.channel.open(pair.offer, peer, is_offerer=True)
        to_path, from_path = pair.offer.path[0], peer.path[0]
        head = f"To-Path: {to_path}\r\nFrom-Path: {from_path}\r\nMessage-ID: m1\r\nByte-Range: 1-2/2\r\n"
        writer.write(f"MSRP last1 SEND\r\n{head}Content-Type: text/plain\r\n\r\nhi\r\n-------last1$\r\n".encode())
        writer.write_eof()
        await until(lambda: bool(pair.offerer.notes.messages))
        pair.offerer.channel.settle(pair.offerer.notes.messages[0].delivery)
        assert (await reader.read(1000)).startswith(b"MSRP last1 200 OK")
        await until(lambda: [end.kind for end in pair.offerer.notes.ends] == [LegEndKind.LOST])
        writer.close()

    tell(story, is_real=True)


class _Shouting(MsrpChannel):
    """Of a client that writes everything in another way."""

    __slots__ = ()

    def write(self, output: Transmit) -> None:
        super().write(Transmit(output.octets.replace(b"hello", b"HELLO")))


def test_a_client_may_change_whatever_leaves() -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=False, answers=Setup.PASSIVE)
        side = pair.offerer
        side.channel = _Shouting(side.stack, side.notes, Tokens("other"), side.deadlines, SessionConfig())
        pair.offer = side.channel.media(is_tls=False, setup=Setup.ACTPASS)
        pair.answer_first()
        pair.offerer_learns()
        side.channel.send(_text("m1", b"hello"))
        await until(lambda: pair.answerer.notes.bodies == [b"HELLO"])

    tell(story)


def test_a_message_may_be_settled_first_and_reported_later() -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=False, answers=Setup.PASSIVE)
        pair.answerer.notes.settles_with = None
        pair.answer_first()
        pair.offerer_learns()
        sender, receiver = pair.offerer, pair.answerer
        for name in ("m1", "m2", "m3"):
            sender.channel.send(_text(name, success_report=True))
        await until(lambda: len(receiver.notes.messages) == 3)
        deliveries = [message.delivery for message in receiver.notes.messages]
        for delivery in deliveries:
            receiver.channel.settle(delivery, reports=False)
        await until(lambda: len(sender.notes.sent_ids) == 3)
        assert sender.notes.reports == []
        receiver.channel.report(deliveries[1])
        receiver.channel.report(deliveries[2], 403)
        receiver.channel.report(deliveries[2])
        await until(lambda: len(sender.notes.reports) == 2)
        assert [(report.message_id, report.status) for report in sender.notes.reports] == [("m2", 200), ("m3", 403)]
        assert [failure.message_id for failure in sender.notes.failures] == ["m3"]

    tell(story)


@pytest.mark.parametrize("is_real", [False, True])
def test_a_receiver_that_does_not_settle_stops_the_sender_and_goes_on_when_it_does(is_real: bool) -> None:
    async def story(pair: Pair) -> None:
        await pair.start(is_tls=False, answers=Setup.PASSIVE)
        sender, receiver = pair.offerer, pair.answerer
        receiver.notes.settles_with = None
        pair.answer_first()
        pair.offerer_learns()
        for number in range(40):
            sender.channel.send(_text(f"m{number}", bytes(200_000)))
        await until(lambda: len(receiver.notes.messages) == 6)
        await asyncio.sleep(0.3)
        held = sum(len(message.body) for message in receiver.notes.messages)
        assert held <= 1024 * 1024 + 2 * 200_000
        receiver.notes.settles_with = 200
        for message in list(receiver.notes.messages):
            receiver.channel.settle(message.delivery)
        await until(lambda: len(sender.notes.sent_ids) == 40)
        assert sender.notes.failures == []

    tell(story, is_real=is_real)
