"""Ends of SM links on in-memory streams."""

from __future__ import annotations

import asyncio

import pytest

from ims_core.errors import ConnectionLost, LocalProtocolError, TransportError
from ims_core.trace import RecordKind, Trace, TraceRecord
from ims_core.transport.link import Address, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.sm_link import SmLink, SmLinkEndpoint, summary_of
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.sms.rpdu import Direction, RpError, RpSmma
from ims_core.wire.sms.sm_link import (
    Accepted,
    AlertReason,
    Attach,
    Bind,
    Detach,
    Failure,
    Forward,
    ForwardKind,
    LinkRole,
    Party,
    Refused,
    Result,
    SmAlert,
    SmLinkMessage,
)

_SERVER = Address(Transport.TCP, "127.0.1.31", 2775)


class _User:
    def __init__(self) -> None:
        self.links: list[SmLink] = []
        self.messages: list[SmLinkMessage] = []
        self.ends: list[TransportError | None] = []

    def link_opened(self, link: SmLink) -> None:
        self.links.append(link)

    def frame_received(self, link: SmLink, message: SmLinkMessage) -> None:
        self.messages.append(message)

    def link_closed(self, link: SmLink, error: TransportError | None) -> None:
        self.ends.append(error)


class _Records:
    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def write(self, record: TraceRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.records = []


class _Pair:
    """A server and a client, both traced."""

    def __init__(self) -> None:
        clock = VirtualClock()
        network = MemoryNetwork(clock, Tokens("seed"))
        self.sink = _Records()
        trace = Trace()
        trace.add_sink(self.sink)
        self.server_user, self.client_user = _User(), _User()
        self.server = SmLinkEndpoint("red.smsc", self.server_user, network=network, clock=clock, trace=trace)
        self.client = SmLinkEndpoint("alice", self.client_user, network=network, clock=clock, trace=trace)

    async def connect(self) -> SmLink:
        await self.server.listen(_SERVER)
        return self.client.connect("127.0.1.100", _SERVER)


def test_frames_cross_both_ways_and_are_traced_once() -> None:
    async def main() -> None:
        pair = _Pair()
        link = await pair.connect()
        link.send(Attach(1, "001010000000101"))
        await asyncio.sleep(1)
        assert pair.server_user.messages == [Attach(1, "001010000000101")]
        pair.server_user.links[0].send(Accepted(1, "+12025550101"))
        await asyncio.sleep(1)
        assert pair.client_user.messages == [Accepted(1, "+12025550101")]
        hops = [(record.source, record.target, record.reference_point) for record in pair.sink.records]
        assert hops == [("alice", "red.smsc", "CS"), ("red.smsc", "alice", "CS")]
        assert [record.summary for record in pair.sink.records] == ["ATTACH 001010000000101", "ACCEPTED"]
        await pair.server.close()
        await asyncio.sleep(1)
        assert pair.client_user.ends == [None]
        assert not link.is_open

    run(main)


def test_a_fatal_frame_closes_the_link_and_is_traced() -> None:
    async def main() -> None:
        pair = _Pair()
        link = await pair.connect()
        link.flow.send(b"\x00\x05\x63\x00\x00\x00\x00" + b"\xff\xff")
        await asyncio.sleep(1)
        assert [record.kind for record in pair.sink.records] == [RecordKind.ERROR, RecordKind.ERROR]
        assert isinstance(pair.server_user.ends[0], ConnectionLost)
        assert pair.client_user.ends == [None]

    run(main)


def test_a_refused_connection_ends_in_link_closed() -> None:
    async def main() -> None:
        pair = _Pair()
        link = pair.client.connect("127.0.1.100", _SERVER)
        link.send(Detach())
        await asyncio.sleep(1)
        assert len(pair.client_user.ends) == 1
        link.send(Detach())  # into the void
        with pytest.raises(LocalProtocolError):
            _ = pair.client.address

    run(main)


@pytest.mark.parametrize(
    ("message", "summary"),
    [
        (Bind(0, LinkRole.SMSC, "red.smsc"), "BIND SMSC red.smsc"),
        (Refused(0, 49), "REFUSED 49"),
        (Detach(), "DETACH"),
        (Forward(reference=1, kind=ForwardKind.MO, rpdu=RpSmma(3).encode()), "MO RP-SMMA 3"),
        (Forward(reference=1, kind=ForwardKind.MT, rpdu=b""), "MT unreadable RP message"),
        (Result(1, RpError(Direction.TO_MS, 7, 38).encode()), "RP-ERROR 7 cause 38"),
        (Failure(1, 27), "FAILURE 27"),
        (SmAlert(Party.msisdn("+1"), AlertReason.PRESENT), "ALERT +1 PRESENT"),
    ],
)
def test_a_frame_has_one_line_for_the_ladder(message: SmLinkMessage, summary: str) -> None:
    assert summary_of(message) == summary
