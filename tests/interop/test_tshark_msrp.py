"""tshark reads message sessions out of our captures: SDP and MSRP as we meant them, plain and TLS."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ims_core.nodes.msrp_relay import MsrpRelay, MsrpRelayConfig
from ims_core.reference_points import LegEnd, MediaSide
from ims_core.trace import ListSink, RecordKind, Trace, TraceRecord
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.msrp import media as sdp_media
from ims_core.wire.msrp.media import MsrpMedia, Setup
from ims_core.wire.msrp.message import MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from ims_core.wire.msrp.session_events import OutgoingMessage, SessionConfig
from ims_core.wire.sdp import Origin, SessionDescription
from rcs_sim.scenario.annotator import RcsAnnotator
from rcs_sim.scenario.ladder import ladder_text
from rcs_sim.scenario.trace_views import save_pcapng
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE, compose_cpim
from tests.support.msrp_legs import LegNotes
from tests.support.peers import require
from tests.support.real_links import until
from tests.support.traces import tshark_fields

pytestmark = pytest.mark.interop

_BAD = "_ws.malformed || _ws.expert.severity >= 0x800000"
_ALICE, _RELAY, _BOB = "10.1.0.5", "127.0.1.22", "10.1.0.9"
_ONE_OF_EACH = {False: "TCP/MSRP", True: "TCP/TLS/MSRP"}
_CONFIG = SessionConfig(chunk_octets=2048)


def _cpim(message_id: str, size: int) -> bytes:
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=message_id,
        date_time="2026-03-02T10:15:30Z",
        body=b"x" * size,
        content_type="text/plain;charset=UTF-8",
    )


class _BridgeUser:
    def passed(self, bridge: object, message_id: str) -> None:
        """Nothing to note."""

    def bridge_ended(self, bridge: object, end: LegEnd) -> None:
        """Nothing to note."""


class _Scene:
    """Alice, the relay, and Bob, who listens; every call of theirs is a record as a SIP stack would write it."""

    def __init__(self, *, is_tls: bool) -> None:
        self.is_tls = is_tls
        self.sink, self.trace, self.clock = ListSink(), Trace(), VirtualClock()
        self.trace.add_sink(self.sink)
        self.trace.add_annotator(RcsAnnotator())
        self.network = MemoryNetwork(self.clock, Tokens("links"))
        listen = Address(Transport.TCP, _RELAY, 2855), Address(Transport.TLS, _RELAY, 2856)
        config = MsrpRelayConfig(name="red.msrp_relay", listen=listen, is_encrypted=False)
        self.relay = MsrpRelay(config, network=self.network, clock=self.clock, tokens=Tokens("relay"), trace=self.trace)
        self.notes = {"alice": LegNotes(), "bob": LegNotes()}
        self.stacks = {"alice": self._stack("alice", _ALICE), "bob": self._stack("bob", _BOB)}
        self.deadlines = DeadlineHeap()

    def _stack(self, name: str, host: str) -> MsrpStack:
        listen = (Address(Transport.TCP, host, 51001), Address(Transport.TLS, host, 51002))
        config = MsrpStackConfig(name=name, listen=listen, is_encrypted=False)
        return MsrpStack(config, network=self.network, clock=self.clock, tokens=Tokens(name), trace=self.trace)

    def channel(self, name: str) -> MsrpChannel:
        return MsrpChannel(self.stacks[name], self.notes[name], Tokens(name), self.deadlines, _CONFIG)

    async def play(self) -> None:
        for part in (self.relay, *self.stacks.values()):
            await part.start()
        bridge = self.relay.bridge(_BridgeUser())
        alice, bob = self.channel("alice"), self.channel("bob")
        self._call("leg-2", ("red.messaging_server", bridge.far), ("bob", bob), Setup.PASSIVE)
        self._call("leg-1", ("alice", alice), ("red.messaging_server", bridge.near), Setup.PASSIVE)
        alice.send(OutgoingMessage("m1", CPIM_CONTENT_TYPE, _cpim("imdn-1", 20)))
        bob.send(OutgoingMessage("m2", CPIM_CONTENT_TYPE, _cpim("imdn-2", 5000), success_report=True))
        await until(lambda: bool(self.notes["bob"].reports) and bool(self.notes["bob"].messages))
        for stack in self.stacks.values():
            await stack.close()
        await self.relay.close()
        await self.network.close()

    def _call(
        self, call_id: str, offerer: tuple[str, MediaSide], answerer: tuple[str, MediaSide], answers: Setup
    ) -> None:
        local = replace(_typed(offerer[1].media(is_tls=self.is_tls, setup=Setup.ACTPASS)))
        offered = sdp_media.offer(local, Origin.of(local.host, 1))
        self._sip(call_id, offerer[0], answerer[0], f"INVITE sip:{answerer[0]}@ims.test SIP/2.0", offered)
        index, remote = MsrpMedia.of(SessionDescription.parse(offered.encode()))
        offerer[1].expect(local)
        answer = _typed(answerer[1].media(is_tls=self.is_tls, setup=answers))
        answered = sdp_media.answer(offered, index, answer, Origin.of(answer.host, 2))
        self._sip(call_id, answerer[0], offerer[0], "SIP/2.0 200 OK", answered)
        answerer[1].open(answer, remote, is_offerer=False)
        offerer[1].open(local, MsrpMedia.of_answer(offered, index, answered), is_offerer=True)

    def _sip(self, call_id: str, source: str, target: str, first_line: str, sdp: SessionDescription) -> None:
        body = sdp.encode()
        head = (
            f"{first_line}\r\nVia: SIP/2.0/UDP 10.1.0.1;branch=z9hG4bK{call_id}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:a@ims.test>;tag=1\r\nTo: <sip:b@ims.test>;tag=2\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n"
            "Contact: <sip:x@10.1.0.1>\r\nConversation-ID: conv-1\r\nContent-Type: application/sdp\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        hosts = {"alice": _ALICE, "bob": _BOB, "red.messaging_server": "127.0.1.20"}
        self.trace.record(
            at=self.clock.now(),
            kind=RecordKind.MESSAGE,
            source=source,
            target=target,
            protocol="SIP",
            summary=first_line,
            raw=head.encode() + body,
            transport="UDP",
            source_address=f"{hosts[source]}:5060",
            target_address=f"{hosts[target]}:5060",
            call_id=call_id,
        )


def _typed(media: MsrpMedia) -> MsrpMedia:
    return replace(media, accept_types=("message/cpim",), accept_wrapped_types=("text/plain",), max_size=1_000_000)


@dataclass(frozen=True, slots=True)
class _Played:
    records: list[TraceRecord]
    capture: Path
    is_tls: bool

    @property
    def msrp(self) -> list[TraceRecord]:
        return [record for record in self.records if record.protocol == "MSRP"]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "tls"])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> _Played:
    require("tshark")
    scenes: list[_Scene] = []

    async def story() -> None:
        scenes.append(_Scene(is_tls=request.param))
        await scenes[0].play()

    run(story, clock="virtual")
    records = list(scenes[0].sink.records)
    assert [record for record in records if record.kind is RecordKind.ERROR] == []
    file = tmp_path_factory.mktemp("msrp") / "trace.ndjson"
    file.write_text("".join(record.to_json() + "\n" for record in records), encoding="utf-8")
    save_pcapng(file, file.with_suffix(".pcapng"))
    return _Played(records, file.with_suffix(".pcapng"), request.param)


def _frames(records: list[TraceRecord]) -> list[tuple[bytes, MsrpRequest | MsrpResponse]]:
    """What our own reader makes of the records: one frame each."""
    frames: list[tuple[bytes, MsrpRequest | MsrpResponse]] = []
    for record in records:
        (event,) = FrameDecoder().feed(record.raw)
        frame = event.head if isinstance(event, Piece) else event
        assert isinstance(frame, MsrpRequest | MsrpResponse)
        frames.append((record.raw, frame))
    return frames


def test_nothing_is_malformed(played: _Played) -> None:
    assert tshark_fields(played.capture, ["frame.number", "_ws.col.Info"], _BAD) == []
    assert tshark_fields(played.capture, ["frame.number"], "tcp.analysis.flags") == []


def test_each_frame_is_a_packet_with_the_fields_that_our_reader_finds(played: _Played) -> None:
    names = ["msrp.transaction.id", "msrp.method", "msrp.messageid", "msrp.byte.range", "msrp.to.path"]
    names += ["msrp.from.path", "msrp.content.type", "msrp.status", "msrp.cnt.flg"]
    rows = tshark_fields(played.capture, names, "msrp.request.line")
    requests = [(octets, frame) for octets, frame in _frames(played.msrp) if isinstance(frame, MsrpRequest)]
    assert (
        rows
        == [
            [
                f"{frame.transaction_id},{frame.transaction_id}",  # of the start line and of the end line
                frame.method,
                frame.message_id,
                frame.text("Byte-Range") or "",
                frame.text("To-Path") or "",
                frame.text("From-Path") or "",
                frame.content_type or "",
                frame.text("Status") or "",
                octets[-3:-2].decode(),
            ]
            for octets, frame in requests
        ]
    )
    assert {frame.method for _, frame in requests} == {"SEND", "REPORT"}
    assert sum(frame.byte_range.start > 1 for _, frame in requests) >= 4  # chunks of the long one, on both legs


def test_each_response_is_a_packet_with_its_status(played: _Played) -> None:
    rows = tshark_fields(played.capture, ["msrp.transaction.id", "msrp.status.code"], "msrp.response.line")
    responses = [frame for _, frame in _frames(played.msrp) if isinstance(frame, MsrpResponse)]
    assert rows == [[f"{frame.transaction_id},{frame.transaction_id}", str(frame.status)] for frame in responses]


def test_the_offers_and_answers_are_read_as_they_were_meant(played: _Played) -> None:
    names = ["sip.Call-ID", "sdp.media", "sdp.connection_info", "sdp.media_attr"]
    rows = tshark_fields(played.capture, names, "sdp")
    assert len(rows) == 4
    relay_port, phone_port = (2856, 51002) if played.is_tls else (2855, 51001)
    expected = {
        (_RELAY, f"message {relay_port} {_ONE_OF_EACH[played.is_tls]} *"),
        (_ALICE, f"message {phone_port} {_ONE_OF_EACH[played.is_tls]} *"),
        (_BOB, f"message {phone_port} {_ONE_OF_EACH[played.is_tls]} *"),
    }
    assert {(row[2].removeprefix("IN IP4 "), row[1]) for row in rows} == expected
    for row in rows:
        names_of_attributes = {attribute.partition(":")[0] for attribute in row[3].split(",")}
        assert {"accept-types", "path", "setup", "msrp-cema"} <= names_of_attributes
        assert ("fingerprint" in names_of_attributes) == played.is_tls


def test_sessions_on_tls_stand_at_the_plain_port_and_say_so(played: _Played) -> None:
    """A capture cannot tell a reader to decode another port; those of phones are the ones that they had."""
    ports = {
        int(port) for row in tshark_fields(played.capture, ["tcp.port"], "msrp") for port in row[0].split(",") if port
    }
    assert 2855 in ports
    assert 2856 not in ports
    assert (51002 if played.is_tls else 51001) in ports
    comments = [row[0] for row in tshark_fields(played.capture, ["frame.comment"], "msrp")]
    assert {"was inside TLS" in comment for comment in comments} == {played.is_tls}


def test_each_frame_has_its_call_and_conversation_and_is_readable_in_a_ladder(played: _Played) -> None:
    assert Counter(record.conversation_id for record in played.msrp) == {"conv-1": len(played.msrp)}
    for record in played.msrp:
        leg = "leg-1" if "alice" in (record.source, record.target) else "leg-2"
        assert record.call_id == leg
    texts = [record for record in played.msrp if record.imdn_message_id == "imdn-1"]
    assert len(texts) == 4  # SEND and 200 on each leg
    size = len(_cpim("imdn-1", 20))
    ladder = ladder_text(played.msrp)
    assert ladder.count(f"SEND 1-{size}/{size} $ text/plain") == 2
    assert set(ladder.splitlines()[0].split()) == {"alice", "red.msrp_relay", "bob"}
