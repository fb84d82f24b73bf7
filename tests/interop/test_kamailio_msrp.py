"""Kamailio as a relay between two of our endpoints: message sessions over somebody else's MSRP."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ims_core.trace import ListSink, RecordKind, Trace
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Transport
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock
from ims_core.wire.msrp import media as sdp_media
from ims_core.wire.msrp.media import MsrpMedia, Setup
from ims_core.wire.msrp.session_events import OutgoingMessage, SessionConfig
from ims_core.wire.msrp.uri import MsrpUri
from ims_core.wire.sdp import Origin, SessionDescription
from tests.support.msrp_legs import LegNotes
from tests.support.peers import kamailio
from tests.support.real_links import HOST, until

pytestmark = pytest.mark.interop

_CHUNK_OCTETS = 2048
_CONFIG = SessionConfig(chunk_octets=_CHUNK_OCTETS)


class _End:
    """One endpoint with one session. Behind a relay its SDP has that first in the path; CEMA is off, so that paths
    alone decide."""

    def __init__(self, name: str, network: SocketNetwork, trace: Trace, relay: MsrpUri | None = None) -> None:
        config = MsrpStackConfig(name=name, listen=(Address(Transport.TCP, HOST, 0),))
        self.stack = MsrpStack(config, network=network, clock=RealClock(), tokens=Tokens(name), trace=trace)
        self.notes, self.deadlines, self._relay = LegNotes(), DeadlineHeap(), relay
        self.channel: MsrpChannel

    async def start(self) -> None:
        await self.stack.start()
        self.channel = MsrpChannel(self.stack, self.notes, Tokens(self.stack.name), self.deadlines, _CONFIG)

    def media(self, setup: Setup) -> MsrpMedia:
        media, relay = self.channel.media(is_tls=False, setup=setup), self._relay
        if relay is None:
            return replace(media, has_cema=False)
        host, port = relay.address, relay.connect_port
        return replace(media, has_cema=False, host=host, port=port, path=(relay, *media.path))

    async def close(self) -> None:
        await self.stack.close()
        self.deadlines.close()


def _agree(offerer: _End, answerer: _End) -> None:
    """Offer and answer as octets; then both sides know where to go."""
    origin = Origin("-", 1, 1, "IN", "IP4", HOST)
    local = offerer.media(Setup.ACTPASS)
    offered = SessionDescription.parse(sdp_media.offer(local, origin).encode())
    offerer.channel.expect(local)
    index, remote = MsrpMedia.of(offered)
    answer = answerer.media(Setup.PASSIVE)
    answered = SessionDescription.parse(sdp_media.answer(offered, index, answer, origin).encode())
    answerer.channel.open(answer, remote, is_offerer=False)
    offerer.channel.open(local, MsrpMedia.of_answer(offered, index, answered), is_offerer=True)


@asynccontextmanager
async def _two_ends(relay: MsrpUri | None, sink: ListSink) -> AsyncIterator[tuple[_End, _End]]:
    """Alice behind the relay, if any, and Bob, whom it connects to."""
    network, trace = SocketNetwork(RealClock()), Trace()
    trace.add_sink(sink)
    alice, bob = _End("alice", network, trace, relay), _End("bob", network, trace)
    try:
        await alice.start()
        await bob.start()
        yield alice, bob
    finally:
        await alice.close()
        await bob.close()
        await network.close()


def _at(port: int, session_id: str) -> MsrpUri:
    return MsrpUri("msrp", None, HOST, port, session_id)


def _body(seed: int, size: int) -> bytes:
    """Octets of every value, with what looks like the end of a frame among them."""
    octets = random.Random(seed).randbytes(size)
    return octets + b"\r\n-------x$\r\n\r\n\0" + octets[:7]


async def test_chunked_messages_and_their_reports_pass_both_ways_octet_for_octet(tmp_path: Path) -> None:
    there, back = _body(1, 150_000), _body(2, 110_001)
    sink = ListSink()
    with kamailio(tmp_path, "msrp_relay.cfg") as port:
        async with _two_ends(_at(port, "relay"), sink) as (alice, bob):
            _agree(alice, bob)
            alice.channel.send(OutgoingMessage("there", "application/octet-stream", there, success_report=True))
            await until(lambda: bob.notes.is_bound)
            bob.channel.send(OutgoingMessage("back", "application/octet-stream", back, success_report=True))
            alice.channel.send(OutgoingMessage("short", "text/plain", b"hello", is_urgent=True))
            await until(lambda: bool(alice.notes.reports and bob.notes.reports) and "short" in alice.notes.sent_ids)
    assert {message.message_id: message.body for message in bob.notes.messages} == {"there": there, "short": b"hello"}
    assert alice.notes.bodies == [back]
    for end, message_id in ((alice, "there"), (bob, "back")):
        assert message_id in end.notes.sent_ids
        assert [(each.message_id, each.status) for each in end.notes.reports] == [(message_id, 200)]
        assert end.notes.failures == []
        assert end.notes.ends == []
    assert [record.summary for record in sink.records if record.kind is RecordKind.ERROR] == []
    for sender, body in (("alice", there), ("bob", back)):
        chunks = [record for record in sink.records if record.source == sender and record.summary.startswith("SEND")]
        assert len(chunks) > len(body) // _CHUNK_OCTETS


async def test_a_session_that_the_relay_does_not_know_is_refused_and_its_message_given_back(tmp_path: Path) -> None:
    with kamailio(tmp_path, "msrp_relay.cfg") as port:
        async with _two_ends(None, ListSink()) as (alice, _):
            local = alice.media(Setup.ACTPASS)
            stranger = replace(local, host=HOST, port=port, path=(_at(port, "nobody"),), setup=Setup.PASSIVE)
            alice.channel.open(local, stranger, is_offerer=True)
            alice.channel.send(OutgoingMessage("m1", "text/plain", b"hello"))
            await until(lambda: bool(alice.notes.ends))
    assert alice.notes.ends[0].status == 481
    assert [(failure.message_id, failure.reason.is_resendable) for failure in alice.notes.failures] == [("m1", True)]
