from __future__ import annotations

from dataclasses import replace

from ims_core.nodes.msrp_bridge import MsrpBridge
from ims_core.reference_points import Bridge, LegEndKind
from ims_core.wire.msrp.media import Setup
from ims_core.wire.msrp.session_events import OutgoingMessage
from tests.ims_core.nodes.test_msrp_relay import Scene, join, tell
from tests.support.real_links import until


def test_a_bridge_is_what_the_reference_point_asks_for() -> None:
    async def story(scene: Scene) -> None:
        bridge: Bridge = scene.red_bridge
        assert isinstance(bridge, MsrpBridge)
        assert bridge.near.path.session_id != bridge.far.path.session_id

    tell(story)


def test_what_comes_before_the_other_side_is_there_waits_for_it() -> None:
    async def story(scene: Scene) -> None:
        near, far = scene.red_bridge.near, scene.red_bridge.far
        join(scene.alice.channel, near, is_tls=False)
        scene.alice.channel.send(OutgoingMessage("m1", "text/plain", b"early"))
        await until(lambda: scene.red.stack.connection_count == 1)
        assert not scene.bob.notes.messages
        join(far, scene.bob.channel, is_tls=False, answers=Setup.ACTIVE)
        await until(lambda: scene.alice.notes.sent_ids == ["m1"])
        assert scene.bob.notes.bodies == [b"early"]

    tell(story)


def test_closing_a_bridge_closes_both_connections_and_tells_nobody_here() -> None:
    async def story(scene: Scene) -> None:
        scene.connect(is_tls=False)
        await until(lambda: scene.alice.notes.is_bound)
        scene.red_bridge.close()
        await until(lambda: bool(scene.alice.notes.ends) and bool(scene.blue_notes.ends))
        assert scene.alice.notes.ends[0].kind is LegEndKind.LOST
        assert not scene.red_notes.ends

    tell(story)


def test_what_our_answer_does_not_allow_is_refused_and_does_not_go_on() -> None:
    async def story(scene: Scene) -> None:
        near, far, alice = scene.red_bridge.near, scene.red_bridge.far, scene.alice.channel
        offer = alice.media(is_tls=False, setup=Setup.ACTPASS)
        alice.expect(offer)
        answer = near.media(is_tls=False, setup=Setup.PASSIVE)
        near.open(replace(answer, accept_types=("text/plain",), max_size=10), offer, is_offerer=False)
        alice.open(offer, answer, is_offerer=True)  # who does not look at what was answered
        join(far, scene.bob.channel, is_tls=False, answers=Setup.ACTIVE)
        for message_id, content_type, body in (
            ("m1", "text/plain", b"more than ten octets"),
            ("m2", "image/png", b"picture"),
            ("m3", "text/plain", b"ten octets"),
        ):
            alice.send(OutgoingMessage(message_id, content_type, body))
        await until(lambda: scene.alice.notes.sent_ids == ["m3"] and len(scene.alice.notes.failures) == 2)
        assert [(each.message_id, each.status) for each in scene.alice.notes.failures] == [("m1", 413), ("m2", 415)]
        assert scene.bob.notes.bodies == [b"ten octets"]

    tell(story)
