"""How the scenario tests run: a whole network on the virtual clock, and phones that come on stage by name."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import rcs_sim
from ims_core.trace import ListSink, RecordKind, TraceRecord
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.client.display import Shown
from rcs_sim.client.messages import ReceivedMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_carrier_profile, load_network
from rcs_sim.scenario.model import LinkEntry, NetworkFile
from rcs_sim.scenario.simulation import Simulation
from tests.support.traces import recorded

__all__ = [
    "ALICE",
    "AMY",
    "BEN",
    "BOB",
    "Stage",
    "network",
    "received",
    "scenario",
    "texts",
]

ALICE, AMY = "+12025550101", "+12025550102"  # of red
BOB, BEN = "+12025550152", "+12025550153"  # of blue
_HOMES = {ALICE: ("android", "red"), AMY: ("android", "red"), BOB: ("ios", "blue"), BEN: ("ios", "blue")}
_SETTLE_S = 1.0
_READ_FROM = "tests.scenarios."  # whose conftest has the other readers look


class Stage:
    """A running simulation, its trace, and its phones."""

    def __init__(self, sim: Simulation, sink: ListSink) -> None:
        self.sim = sim
        self.sink = sink

    async def phone(self, name: str, msisdn: str, device: str | None = None, **more: Any) -> Phone:
        """A phone of one of the four subscribers, switched on."""
        kind, carrier = _HOMES[msisdn]
        phone = await self.sim.add_phone(name, device or kind, carrier, msisdn=msisdn, **more)
        assert phone.is_registered or not more.get("is_on", True)
        return phone

    async def alice_and_bob(self, **more: Any) -> tuple[Phone, Phone]:
        """An Android-like phone of red and an iOS-like one of blue, both registered, and a moment later."""
        alice = await self.phone("alice", ALICE)
        bob = await self.phone("bob", BOB, **more)
        await asyncio.sleep(_SETTLE_S)
        return alice, bob

    def shown(self, phone: Phone, what: Shown, text: str | None = None) -> list[TraceRecord]:
        """What the phone showed, of one kind, in order."""
        return [
            record
            for record in self.sink.records
            if record.kind is RecordKind.SHOWN
            and record.source == phone.name
            and record.details["what"] == what
            and text in (None, record.details.get("text"))
        ]

    def arrivals(self, phone: Phone) -> list[str]:
        """Texts that the phone showed as coming in, in order, doubles and all."""
        shown = self.shown(phone, Shown.MESSAGE)
        return [record.details["text"] for record in shown if record.details["direction"] == "in"]

    def requests(self, method: str, source: str = "", target: str = "") -> list[Request]:
        """Requests on links between elements of these names."""
        found = [
            parse_datagram(record.raw)
            for record in self.sink.records
            if record.kind is RecordKind.MESSAGE
            and record.summary.startswith(method + " ")
            and source in ("", record.source)
            and target in ("", record.target)
        ]
        return [each for each in found if isinstance(each, Request)]

    def states(self, phone: Phone, machine: str) -> list[str]:
        """The states that a machine of the phone went through."""
        return [
            record.details["state"]
            for record in self.sink.records
            if record.kind is RecordKind.STATE
            and record.source == phone.name
            and record.details.get("machine") == machine
        ]

    def errors(self) -> list[str]:
        return [record.summary for record in self.sink.records if record.kind is RecordKind.ERROR]


def scenario(
    net: str | NetworkFile | Callable[[], NetworkFile] = "two-carriers-plain",
    *,
    seed: int = 7,
    is_read_by_others: bool = True,
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Makes a test of ``async def story(stage, ...)``; what follows *stage* are fixtures and parameters.

    *is_read_by_others* False spares the trace the other readers: days of keep-alives teach them nothing."""

    def decorate(story: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        is_read = is_read_by_others and story.__module__.startswith(_READ_FROM)  # elsewhere faults spoil octets

        def test(**given: Any) -> None:
            async def main() -> None:
                sink = ListSink()
                chosen = net() if callable(net) else net
                try:
                    async with Simulation(chosen, seed, sinks=[sink]) as sim:
                        await story(Stage(sim, sink), **given)
                finally:
                    if is_read:
                        recorded(sink)

            rcs_sim.run(main, clock="virtual")

        signature = inspect.signature(story)
        test.__name__, test.__qualname__, test.__module__ = story.__name__, story.__qualname__, story.__module__
        test.__doc__ = story.__doc__
        kept = list(signature.parameters.values())[1:]
        test.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]  # what pytest reads
        if hasattr(story, "pytestmark"):
            test.pytestmark = story.pytestmark  # type: ignore[attr-defined]  # marks below the decorator
        return test

    return decorate


def network(
    *, red: str | None = None, blue: str | None = None, access: LinkEntry | None = None, border: LinkEntry | None = None
) -> NetworkFile:
    """The two carriers with other carrier profiles or other links."""
    file = load_network("two-carriers-plain")
    changes: dict[str, Any] = {}
    profiles = {name: profile for name, profile in (("red", red), ("blue", blue)) if profile is not None}
    for profile in profiles.values():
        load_carrier_profile(profile)
    changes["carriers"] = {
        name: entry.model_copy(update={"profile": profiles.get(name, entry.profile)})
        for name, entry in file.carriers.items()
    }
    links = {name: link for name, link in (("access", access), ("border", border)) if link is not None}
    return file.model_copy(update=changes | links)


def texts(phone: Phone, peer: str | None = None) -> list[str | None]:
    """Texts of the messages that came to the phone, in the order of the screen."""
    return [one.text for one in received(phone, peer)]


def received(phone: Phone, peer: str | None = None) -> list[ReceivedMessage]:
    return [
        one
        for chat in phone.chats
        if peer in (None, str(chat.peer))
        for one in chat.messages
        if isinstance(one, ReceivedMessage)
    ]
