from __future__ import annotations

from collections.abc import Awaitable, Callable

from ims_core.transport.virtual_loop import run
from rcs_sim.client.message_state import MessageState, MessageTransport
from tests.support.stub_core import ALICE, BOB, World, device

Story = Callable[[World], Awaitable[None]]


def play(story: Story) -> None:
    async def main() -> None:
        async with World.running() as world:
            await story(world)

    run(main(), clock="virtual")


async def _two(world: World) -> tuple:  # type: ignore[type-arg]
    alice, bob = world.phone("alice", ALICE), world.phone("bob", BOB, device("ios"))
    await alice.power_on()
    await bob.power_on()
    return alice, bob


def test_a_message_is_sent_delivered_and_displayed() -> None:
    async def story(world: World) -> None:
        alice, bob = await _two(world)
        message = await alice.chat(BOB).send("Hello Bob")
        await message.delivered(5)
        chat = bob.chat(ALICE)
        assert [each.text for each in chat.messages] == ["Hello Bob"]
        chat.read()
        await message.displayed(5)
        assert [change.state.value for change in message.history] == [
            "queued",
            "sending",
            "sent",
            "delivered",
            "displayed",
        ]
        assert message.transport is MessageTransport.RCS
        assert message.state is MessageState.DISPLAYED
        print("\n".join(f"{r.at:.3f} {r.kind.value} {r.source}>{r.target} {r.summary}" for r in world.sink.records))

    play(story)
