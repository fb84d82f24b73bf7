"""The default network with its phones, run as a story in virtual time, and what crossed its links."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import rcs_sim
from ims_core.trace import ListSink, RecordKind, TraceRecord
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.wire.cpim import CpimMessage

__all__ = ["ALICE", "BOB", "CAROL", "Stage", "network_with", "play"]

ALICE, BOB, CAROL = "+12025550101", "+12025550152", "+12025550103"


class Stage:
    """A running simulation and its trace."""

    def __init__(self, sim: Simulation, sink: ListSink) -> None:
        self.sim = sim
        self.sink = sink

    async def alice(self, **more: object) -> Phone:
        return await self.sim.add_phone("alice", "android", "red", msisdn=ALICE, **more)  # type: ignore[arg-type]  # forwarded

    async def bob(self, **more: object) -> Phone:
        return await self.sim.add_phone("bob", "ios", "blue", msisdn=BOB, **more)  # type: ignore[arg-type]  # forwarded

    def records(self, source: str = "", target: str = "") -> list[TraceRecord]:
        """What crossed the links between elements whose names begin so."""
        return [
            record
            for record in self.sink.records
            if record.kind is RecordKind.MESSAGE
            and record.protocol == "SIP"
            and record.source.startswith(source)
            and record.target.startswith(target)
        ]

    def messages(self, source: str = "", target: str = "") -> list[Request | Response]:
        return [parse_datagram(record.raw) for record in self.records(source, target)]

    def requests(self, method: str, source: str = "", target: str = "") -> list[Request]:
        return [each for each in self.messages(source, target) if isinstance(each, Request) and each.method == method]

    def cpims(self, source: str, target: str, content_type: str) -> list[CpimMessage]:
        """Pager messages from *source* to *target* with content of that type."""
        requests = self.requests("MESSAGE", source, target)
        found = [CpimMessage.parse(each.body) for each in requests if each.text("Content-Type") == "message/cpim"]
        return [each for each in found if each.content_type.essence == content_type]


def network_with(**profiles: str) -> NetworkFile:
    """The default network, with the carrier profiles named (``red="no-store"``)."""
    network = load_network("two-carriers-plain")
    carriers = {
        name: entry.model_copy(update={"profile": profiles[name]}) if name in profiles else entry
        for name, entry in network.carriers.items()
    }
    return network.model_copy(update={"carriers": carriers})


def play(story: Callable[[Stage], Awaitable[None]], network: str | NetworkFile = "two-carriers-plain") -> None:
    """Runs *story* on a network that ends with it."""

    async def main() -> None:
        sink = ListSink()
        async with Simulation(network, sinks=[sink]) as sim:
            await story(Stage(sim, sink))

    rcs_sim.run(main, clock="virtual")
