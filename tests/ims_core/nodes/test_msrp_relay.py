from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ims_core.nodes.msrp_bridge import MsrpBridge
from ims_core.nodes.msrp_relay import MsrpRelay, MsrpRelayConfig
from ims_core.reference_points import Bridge, LegEnd, LegEndKind, MediaAnchor, MediaLeg, MediaSide
from ims_core.trace import ListSink, RecordKind, Trace
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Network, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, VirtualClock, run
from ims_core.wire.msrp.fingerprint import Fingerprint
from ims_core.wire.msrp.media import Setup
from ims_core.wire.msrp.message import FailureReport
from ims_core.wire.msrp.session_events import FailureReason, OutgoingMessage, SessionConfig
from tests.support.msrp_legs import LegNotes
from tests.support.real_links import until

_HOSTS = {"red.msrp_relay": "127.0.0.3", "blue.msrp_relay": "127.0.0.4", "alice": "127.0.0.1", "bob": "127.0.0.2"}


class BridgeNotes:
    def __init__(self) -> None:
        self.passed_ids: list[str] = []
        self.ends: list[LegEnd] = []

    def passed(self, bridge: Bridge, message_id: str) -> None:
        self.passed_ids.append(message_id)

    def bridge_ended(self, bridge: Bridge, end: LegEnd) -> None:
        self.ends.append(end)


class Handset:
    """A phone with one session."""

    def __init__(self, name: str, scene: Scene, config: SessionConfig) -> None:
        self.stack = MsrpStack(
            MsrpStackConfig(
                name=name,
                listen=_any_port(_HOSTS[name]),
                is_encrypted=scene.is_real,
            ),
            network=scene.network,
            clock=scene.clock,
            tokens=Tokens(name),
            trace=scene.trace,
        )
        self.notes = LegNotes()
        self.deadlines = DeadlineHeap()
        self.config = config
        self.channel: MsrpChannel

    async def start(self) -> None:
        await self.stack.start()
        self.channel = MsrpChannel(self.stack, self.notes, Tokens(self.stack.name), self.deadlines, self.config)


class Scene:
    """Alice, the relay of her carrier, the relay of his, Bob: two bridges, three connections (digest §17.3)."""

    def __init__(self, *, is_real: bool, config: SessionConfig) -> None:
        self.is_real = is_real
        self.clock = RealClock() if is_real else VirtualClock()
        self.network: Network = (
            SocketNetwork(RealClock()) if is_real else MemoryNetwork(VirtualClock(), Tokens("links"))
        )
        self.sink, self.trace = ListSink(), Trace()
        self.trace.add_sink(self.sink)
        self.alice, self.bob = Handset("alice", self, config), Handset("bob", self, config)
        self.red, self.blue = self._relay("red.msrp_relay"), self._relay("blue.msrp_relay")
        self.red_notes, self.blue_notes = BridgeNotes(), BridgeNotes()
        self.red_bridge: MsrpBridge
        self.blue_bridge: MsrpBridge

    def _relay(self, name: str) -> MsrpRelay:
        config = MsrpRelayConfig(name=name, listen=_any_port(_HOSTS[name]), is_encrypted=self.is_real)
        return MsrpRelay(config, network=self.network, clock=self.clock, tokens=Tokens(name), trace=self.trace)

    async def start(self) -> None:
        for part in (self.red, self.blue, self.alice, self.bob):
            await part.start()
        self.red_bridge, self.blue_bridge = self.red.bridge(self.red_notes), self.blue.bridge(self.blue_notes)

    def connect(self, *, is_tls: bool, answers: Setup = Setup.ACTIVE) -> None:
        """Offers go from Alice to Bob, answers back; relays answer passive."""
        join(self.blue_bridge.far, self.bob.channel, is_tls=is_tls, answers=answers)
        join(self.red_bridge.far, self.blue_bridge.near, is_tls=is_tls)
        join(self.alice.channel, self.red_bridge.near, is_tls=is_tls)

    async def close(self) -> None:
        for part in (self.alice.stack, self.bob.stack, self.red, self.blue):
            await part.close()
        await self.network.close()


def join(offerer: MediaSide, answerer: MediaSide, *, is_tls: bool, answers: Setup = Setup.PASSIVE) -> None:
    offer = offerer.media(is_tls=is_tls, setup=Setup.ACTPASS)
    offerer.expect(offer)
    answer = answerer.media(is_tls=is_tls, setup=answers)
    answerer.open(answer, offer, is_offerer=False)
    offerer.open(offer, answer, is_offerer=True)


def _any_port(host: str) -> tuple[Address, ...]:
    return Address(Transport.TCP, host, 0), Address(Transport.TLS, host, 0)


Story = Callable[[Scene], Awaitable[None]]


def tell(story: Story, *, is_real: bool = False, **settings: int) -> Scene:
    scenes: list[Scene] = []

    async def main() -> None:
        scene = Scene(is_real=is_real, config=SessionConfig(**settings))  # type: ignore[arg-type]  # all are integers
        scenes.append(scene)
        try:
            await scene.start()
            await story(scene)
        finally:
            await scene.close()

    run(main, clock="real" if is_real else "virtual")
    return scenes[0]


def _text(message_id: str, body: bytes = b"Hello", **settings: object) -> OutgoingMessage:
    return OutgoingMessage(message_id, "text/plain", body, **settings)  # type: ignore[arg-type]  # of several types


def test_a_relay_is_a_media_anchor() -> None:
    async def story(scene: Scene) -> None:
        anchor: MediaAnchor = scene.red
        notes = LegNotes()
        leg: MediaLeg = anchor.leg(notes, max_octets=1000)
        assert anchor.offers_tls
        assert leg.path.host == _HOSTS["red.msrp_relay"]

    tell(story)


@pytest.mark.parametrize("is_real", [False, True])
@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("answers", [Setup.ACTIVE, Setup.PASSIVE])
def test_messages_and_reports_pass_both_carriers_octet_for_octet_s16(
    is_real: bool, is_tls: bool, answers: Setup
) -> None:
    body = bytes(range(256)) * 1000

    async def story(scene: Scene) -> None:
        scene.connect(is_tls=is_tls, answers=answers)
        scene.alice.channel.send(_text("m1", body, success_report=True))
        scene.bob.channel.send(_text("m2"))
        await until(lambda: len(scene.alice.notes.reports) == 1 and scene.bob.notes.sent_ids == ["m2"])
        assert scene.bob.notes.bodies == [body]
        assert scene.alice.notes.bodies == [b"Hello"]
        assert scene.alice.notes.sent_ids == ["m1"]
        assert scene.red_notes.passed_ids == ["m1", "m2"] or scene.red_notes.passed_ids == ["m2", "m1"]

    tell(story, is_real=is_real)


def test_the_answer_to_the_last_chunk_comes_when_the_far_end_has_the_message() -> None:
    async def story(scene: Scene) -> None:
        scene.bob.notes.settles_with = None
        scene.connect(is_tls=False)
        scene.alice.channel.send(_text("m1"))
        await until(lambda: bool(scene.bob.notes.messages))
        await asyncio.sleep(1)
        assert not scene.alice.notes.sent_ids
        scene.bob.channel.settle(scene.bob.notes.messages[0].delivery)
        await until(lambda: scene.alice.notes.sent_ids == ["m1"])

    tell(story)


@pytest.mark.parametrize("status", [400, 403, 413, 415])
def test_a_refusal_of_the_far_end_reaches_the_sender_and_harms_no_other_message(status: int) -> None:
    async def story(scene: Scene) -> None:
        scene.bob.notes.settles_with = status
        scene.connect(is_tls=False)
        scene.alice.channel.send(_text("m1", b"x" * 5000))
        await until(lambda: bool(scene.alice.notes.failures))
        assert [(each.message_id, each.status) for each in scene.alice.notes.failures] == [("m1", status)]
        scene.bob.notes.settles_with = 200
        scene.alice.channel.send(_text("m2"))
        await until(lambda: scene.alice.notes.sent_ids == ["m2"])

    tell(story)


def test_a_far_end_that_never_answers_is_told_to_the_sender_before_he_gives_up() -> None:
    async def story(scene: Scene) -> None:
        scene.bob.notes.settles_with = None
        scene.connect(is_tls=False)
        scene.alice.channel.send(_text("m1"))
        await asyncio.sleep(29)
        assert [(each.reason, each.status) for each in scene.alice.notes.failures] == [(FailureReason.LOST, 408)]

    tell(story)


def test_when_one_end_is_gone_the_other_is_told_and_nothing_is_left_behind() -> None:
    async def story(scene: Scene) -> None:
        scene.connect(is_tls=False)
        scene.alice.channel.send(_text("m1"))
        await until(lambda: scene.alice.notes.sent_ids == ["m1"])
        await scene.bob.stack.close()
        await until(lambda: bool(scene.alice.notes.ends))
        assert scene.alice.notes.ends[0].kind is LegEndKind.LOST
        assert [end.kind for end in scene.blue_notes.ends] == [LegEndKind.LOST]
        await until(lambda: not scene.red.stack.connection_count and not scene.blue.stack.connection_count)

    tell(story)


@pytest.mark.parametrize("is_real", [False, True])
def test_a_relay_that_fails_tells_everybody_and_can_be_started_again(is_real: bool) -> None:
    async def story(scene: Scene) -> None:
        scene.connect(is_tls=False)
        scene.alice.channel.send(_text("m1"))
        await until(lambda: scene.alice.notes.sent_ids == ["m1"])
        await scene.red.fail()
        assert [end.kind for end in scene.red_notes.ends] == [LegEndKind.LOST]
        await until(lambda: bool(scene.alice.notes.ends and scene.bob.notes.ends))
        assert scene.red.stack.connection_count == 0
        await scene.red.start()
        assert scene.red.address(Transport.TCP).port

    tell(story, is_real=is_real)


def test_a_side_that_nobody_connects_to_ends_the_bridge() -> None:
    async def story(scene: Scene) -> None:
        side, bob = scene.blue_bridge.far, scene.bob.channel
        offer = side.media(is_tls=False, setup=Setup.ACTPASS)
        side.open(offer, bob.media(is_tls=False, setup=Setup.ACTIVE), is_offerer=True)
        await asyncio.sleep(60)
        assert [end.kind for end in scene.blue_notes.ends] == [LegEndKind.NOT_CONNECTED]

    tell(story)


def test_a_stranger_on_a_side_ends_the_bridge_s04() -> None:
    async def story(scene: Scene) -> None:
        side, bob = scene.blue_bridge.far, scene.bob.channel
        offer = side.media(is_tls=True, setup=Setup.ACTPASS)
        side.expect(offer)
        answer = bob.media(is_tls=True, setup=Setup.ACTIVE)
        bob.open(answer, offer, is_offerer=False)
        side.open(offer, replace(answer, fingerprints=(Fingerprint("SHA-256", bytes(32)),)), is_offerer=True)
        await until(lambda: bool(scene.blue_notes.ends))
        assert [end.kind for end in scene.blue_notes.ends] == [LegEndKind.FINGERPRINT]
        await until(lambda: bool(scene.bob.notes.ends))

    tell(story, is_real=True)


def test_typing_passes_without_answers() -> None:
    async def story(scene: Scene) -> None:
        scene.connect(is_tls=False)
        scene.alice.channel.send(_text("t1", failure_report=FailureReport.NO, is_urgent=True))
        await until(lambda: scene.bob.notes.bodies == [b"Hello"])
        await asyncio.sleep(1)

    scene = tell(story)
    frames = [
        each.raw for each in scene.sink.records if each.kind is RecordKind.MESSAGE and b"Message-ID: t1" in each.raw
    ]
    assert len(frames) == 3
    answered = {frame.split(b" ")[1] for frame in frames}
    responses = [each.raw.split(b" ")[1] for each in scene.sink.records if b" 200 " in each.raw.partition(b"\r\n")[0]]
    assert not answered.intersection(responses)


def test_ten_megabytes_pass_and_the_relays_keep_none_of_it() -> None:
    body = bytes(range(256)) * 40_000

    async def story(scene: Scene) -> None:
        scene.connect(is_tls=False)
        scene.alice.channel.send(_text("big", body))
        peak = 0

        def is_done() -> bool:
            nonlocal peak
            for bridge in (scene.red_bridge, scene.blue_bridge):
                link = bridge.far.link
                peak = max(peak, 0 if link is None else link.backlog)
            return scene.alice.notes.sent_ids == ["big"]

        await until(is_done)
        assert scene.bob.notes.bodies == [body]
        assert peak < 2_000_000

    tell(story, is_real=True, max_octets=16_000_000, chunk_octets=1_000_000, window_octets=4_000_000)
