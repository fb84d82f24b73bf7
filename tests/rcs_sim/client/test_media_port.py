from __future__ import annotations

from ims_core.errors import TransportError
from ims_core.trace import RecordKind
from ims_core.transport.link import Address, FlowHandler
from ims_core.transport.memory import MemoryListener, MemoryNetwork
from ims_core.transport.tokens import Tokens
from rcs_sim.client.media_port import MediaPort
from rcs_sim.client.phone import Phone
from tests.rcs_sim.client.stories import play
from tests.support.session_phones import two_in_sessions
from tests.support.stub_core import BOB, World


class _Crowded(MemoryNetwork):
    """All ports are taken."""

    async def listen(self, address: Address, handler: FlowHandler) -> MemoryListener:
        raise TransportError("no port is free")


def _port(phone: Phone) -> MediaPort:
    assert phone._ims is not None
    assert phone._ims.sessions is not None
    return phone._ims.sessions._media


def test_a_phone_without_sessions_has_no_msrp_stack() -> None:
    async def story(world: World) -> None:
        alice, bob, _ = await two_in_sessions(world)
        assert _port(alice)._stack is None
        assert _port(bob)._stack is None
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        assert _port(alice)._stack is not None

    play(story)


def test_a_port_that_cannot_be_had_ends_the_attempt_and_says_so() -> None:
    async def story(world: World) -> None:
        alice, _, relay = await two_in_sessions(world)
        _port(alice)._network = _Crowded(world.clock, Tokens("crowded"))
        message = await (await alice.chat(BOB).send("Hello")).final(30)
        assert relay.invites == []
        assert message.is_final
        assert any("no port" in each.summary for each in world.records(RecordKind.ERROR, "alice"))

    play(story)
