"""Two phones with message sessions on the stub core, and the MSRP between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ims_core.trace import RecordKind
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import DevicePolicy
from tests.support.session_relay import SessionRelay
from tests.support.stub_core import ALICE, BOB, World, device, subscriber

__all__ = ["frames", "session_phone", "texts", "two_in_sessions"]


def session_phone(
    world: World,
    name: str,
    number: str,
    policy: str | DevicePolicy = "ios",
    document: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Phone:
    """A phone that is provisioned for sessions, switched off."""
    configuration = subscriber(number, **{"chat_auth": True, **(document or {})})
    chosen = device(policy) if isinstance(policy, str) else policy
    return world.phone(name, number, chosen, configuration=configuration, **changes)


async def two_in_sessions(
    world: World,
    one: str | DevicePolicy = "ios",
    other: str | DevicePolicy = "ios",
    document: Mapping[str, Any] | None = None,
    **changes: Any,
) -> tuple[Phone, Phone, SessionRelay]:
    """Alice and Bob, registered, on a core that relays calls."""
    relay = world.core.calls = SessionRelay(world.core)
    alice = session_phone(world, "alice", ALICE, one, document, **changes)
    bob = session_phone(world, "bob", BOB, other, document, **changes)
    await alice.power_on()
    await bob.power_on()
    return alice, bob, relay


def frames(world: World, start: str = "", source: str = "") -> list[bytes]:
    """MSRP frames in order."""
    return [
        each.raw
        for each in world.records(RecordKind.MESSAGE, source)
        if each.protocol == "MSRP" and each.summary.startswith(start)
    ]


def texts(phone: Phone, peer: str) -> list[str | None]:
    """What the conversation shows, in order."""
    return [each.text for each in phone.chat(peer).messages]
