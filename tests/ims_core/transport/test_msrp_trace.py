from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import ListSink, RecordKind, Trace
from ims_core.transport.link import Address, AddressBook, Transport, VoidFlow
from ims_core.transport.msrp_trace import MAX_RECORD_OCTETS, ConnectionTrace, FrameTap, MsrpTracer
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.msrp.message import Continuation, MsrpResponse
from tests.support.msrp_endpoints import send_frame

_FRAMES = (
    send_frame("bind", "s1").encode(),
    send_frame("text", "s1", b"hello\r\n-------other$\r\n\r\n-------tex$\r\n-------").encode(),
    MsrpResponse.to(send_frame("text", "s1", b"x"), 200).encode(),
    send_frame("more", "s1", b"", continuation=Continuation.MORE).encode(),
    send_frame("stop", "s1", b"abc", continuation=Continuation.ABORTED).encode(),
)


@given(st.lists(st.integers(1, sum(map(len, _FRAMES)))))
def test_frames_are_found_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    stream, tap, found = b"".join(_FRAMES), FrameTap(), list[bytes]()
    places = sorted({0, *cuts, len(stream)})
    for start, end in pairwise(places):
        found += tap.feed(stream[start:end])
    assert tuple(found) == _FRAMES
    assert tap.is_empty


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(_FRAMES))))
def test_no_octet_is_lost_whatever_they_are(pieces: list[bytes]) -> None:
    tap, found = FrameTap(), list[bytes]()
    for piece in pieces:
        found += tap.feed(piece)
    assert b"".join([*found, tap.rest()]) == b"".join(pieces)


class Desk:
    """A connection of ``red.msrp_relay`` with ``alice`` whose frames are traced."""

    def __init__(self, peer: str | None = "alice") -> None:
        self.sink, trace, book = ListSink(), Trace(), AddressBook()
        trace.add_sink(self.sink)
        flow = VoidFlow(Address(Transport.TLS, "10.0.0.1", 49152))
        flow.local = Address(Transport.TLS, "127.0.1.22", 2856)
        if peer is not None:
            book.register(flow.remote, peer)
        self.flow = flow
        self.tracer = MsrpTracer("red.msrp_relay", book, VirtualClock(), trace)
        self.tracing = ConnectionTrace(self.tracer, flow)

    @property
    def summaries(self) -> list[str]:
        return [record.summary for record in self.sink.records]


def _desk(peer: str | None = "alice") -> Desk:
    async def main() -> Desk:
        return Desk(peer)

    return run(main)


def test_a_record_says_who_where_and_what(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        desk = Desk()
        frame = send_frame("text", "s1", b"hello")
        desk.tracing.sent(frame.encode(), frame)
        desk.tracer.error(desk.flow, "481: no such session", b"MSRP")
        message, error = desk.sink.records
        assert (message.kind, message.protocol, message.summary) == (RecordKind.MESSAGE, "MSRP", "SEND 1-5/5 $")
        assert (message.source, message.target, message.reference_point) == ("red.msrp_relay", "alice", "Mb")
        assert (message.source_address, message.target_address) == ("127.0.1.22:2856", "10.0.0.1:49152")
        assert (message.transport, message.raw) == ("TLS", frame.encode())
        assert (error.kind, error.source, error.target, error.raw) == (
            RecordKind.ERROR,
            "alice",
            "red.msrp_relay",
            b"MSRP",
        )

    run(main)


def test_responses_say_what_they_answer() -> None:
    async def main() -> None:
        desk = Desk()
        auth, send = send_frame("auth", "s1", method="AUTH"), send_frame("send", "s1", b"x")
        desk.tracing.request_received(auth)
        desk.tracing.request_received(send)
        for request, status in ((auth, 401), (send, 200)):
            response = MsrpResponse.to(request, status)
            desk.tracing.sent(response.encode(), response)
        for number in range(1000):
            desk.tracing.request_received(send_frame(f"a{number:04}", "s1", method="AUTH"))
        assert desk.summaries == ["401 Unauthorized (AUTH)", "200 OK (SEND)"]

    run(main)


def test_a_long_chunk_sent_in_pieces_is_one_record() -> None:
    async def main() -> None:
        desk = Desk()
        frame = send_frame("long", "s1", b"z" * 5000)
        octets = frame.encode()
        desk.tracing.sent(octets[:300], frame)
        for start in range(300, len(octets), 1000):
            desk.tracing.sent(octets[start : start + 1000], None)
        assert [(record.summary, record.raw) for record in desk.sink.records] == [("SEND 1-5000/5000 $", octets)]

    run(main)


def test_a_very_long_chunk_is_told_in_parts_that_make_the_whole() -> None:
    async def main() -> None:
        desk = Desk()
        frame = send_frame("huge", "s1", bytes(3 * MAX_RECORD_OCTETS))
        octets = frame.encode()
        for start in range(0, len(octets), 65536):
            desk.tracing.sent(octets[start : start + 65536], None)
        assert b"".join(record.raw for record in desk.sink.records) == octets
        assert desk.summaries[0] == f"SEND 1-{3 * MAX_RECORD_OCTETS}/{3 * MAX_RECORD_OCTETS} (begins)"
        assert set(desk.summaries[1:]) == {"(part of a frame)"}

    run(main)


def test_what_was_cut_short_is_told_at_the_end() -> None:
    async def main() -> None:
        desk = Desk(peer=None)
        octets = send_frame("text", "s1", b"hello world").encode()
        desk.tracing.sent(octets[:-20], None)
        desk.tracing.received(octets + octets[:30])
        desk.tracing.ended()
        desk.tracing.ended()
        assert desk.summaries == ["SEND 1-11/11 $", "MSRP text SEND (cut)", "MSRP text SEND (cut)"]
        assert [record.source for record in desk.sink.records] == [
            "tls:10.0.0.1:49152",
            "red.msrp_relay",
            "tls:10.0.0.1:49152",
        ]

    run(main)


def test_foreign_peers_are_told_from_our_own() -> None:
    assert _desk(None).tracing.is_foreign
    assert not _desk().tracing.is_foreign
    assert not _desk().tracer.is_foreign(_desk().flow)


@pytest.mark.parametrize(
    "octets", [b"GET / HTTP/1.1\r\n\r\n", b"MSRP\r\n", b"MSRP abcd\r\n-------abcd$\r\n", b"\xff" * 70 + b"\r\n"]
)
def test_octets_that_are_no_frame_are_kept_as_they_are(octets: bytes) -> None:
    async def main() -> None:
        desk = Desk(peer=None)
        desk.tracing.received(octets)
        desk.tracing.received(_FRAMES[0])
        assert desk.sink.records[0].raw == octets
        assert desk.summaries[-1] == "SEND 1-0/0"

    run(main)
