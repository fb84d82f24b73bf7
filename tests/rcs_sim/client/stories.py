"""How the phone tests run: a story in a world of its own, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ims_core.transport.virtual_loop import run
from rcs_sim.client.phone import Phone
from tests.support.stub_core import ALICE, BOB, World, device

__all__ = ["play", "two_phones"]


def play(story: Callable[[World], Awaitable[None]]) -> None:
    """Runs *story*; phones are switched off at its end, and no handler may have failed."""

    async def main() -> None:
        async with World.running() as world:
            await story(world)

    run(main(), clock="virtual")


async def two_phones(world: World, *, android: str = "android", ios: str = "ios") -> tuple[Phone, Phone]:
    """Alice and Bob, registered."""
    alice, bob = world.phone("alice", ALICE, device(android)), world.phone("bob", BOB, device(ios))
    await alice.power_on()
    await bob.power_on()
    assert alice.is_registered
    assert bob.is_registered
    return alice, bob
