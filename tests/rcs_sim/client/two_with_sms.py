"""Two phones with circuit-switched links, and their service centre."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import DevicePolicy
from tests.support.stub_core import ALICE, BOB, World, subscriber
from tests.support.stub_smsc import SMSC_ADDRESS, SMSC_NUMBER, StubSmsc

__all__ = ["texts_of", "with_sms"]


@asynccontextmanager
async def with_sms(
    world: World, policy: DevicePolicy | None = None, *, by_ip: bool = False, **changes: Any
) -> AsyncIterator[tuple[Phone, Phone, StubSmsc]]:
    """Alice and Bob with circuit-switched links, and their service centre."""
    smsc = StubSmsc(world, by_ip=by_ip)
    await smsc.start()
    settings: dict[str, Any] = {"smsc": SMSC_ADDRESS, "service_centre": SMSC_NUMBER, **changes}
    alice = world.phone("alice", ALICE, policy, **settings)
    bob = world.phone("bob", BOB, **{**settings, "configuration": subscriber(BOB)})
    await alice.power_on()
    await bob.power_on()
    yield alice, bob, smsc
    await alice.power_off()
    await bob.power_off()
    await smsc.close()


def texts_of(phone: Phone, peer: str) -> list[tuple[str | None, str]]:
    return [(each.text, each.transport.value) for each in phone.chat(peer).messages]
