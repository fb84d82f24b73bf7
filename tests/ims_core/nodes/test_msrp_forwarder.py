from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.nodes.msrp_forwarder import (
    ANSWER_S,
    HOLD_S,
    PART_OCTETS,
    PART_S,
    WINDOW_OCTETS,
    ChunkForwarder,
    ForwardPolicy,
)
from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.message import Continuation, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from ims_core.wire.msrp.reassembly import Complete, Reassembler
from ims_core.wire.msrp.uri import parse_path

_TO = parse_path("msrp://127.0.0.3:2855/near;tcp")
_FROM = parse_path("msrp://127.0.0.1:9/alice;tcp")
_NEXT_TO = parse_path("msrp://127.0.0.4:2855/far;tcp")
_NEXT_FROM = parse_path("msrp://127.0.0.3:2855/onward;tcp")


class Hop:
    def __init__(self, policy: ForwardPolicy) -> None:
        self.back: list[bytes] = []
        self.on: list[bytes] = []
        self.passed: list[str] = []
        self.forwarder = ChunkForwarder(
            policy,
            lambda request: (_NEXT_TO, _NEXT_FROM),
            Tokens("seed"),
            reply=self.back.append,
            forward=self.on.append,
            passed=self.passed.append,
        )

    def send(
        self,
        body: bytes,
        *,
        reads: int = 0,
        flag: Continuation = Continuation.COMPLETE,
        now: float = 0.0,
        **headers: str,
    ) -> None:
        """One chunk of message m1, which comes in reads of so many octets (0: at once)."""
        start = int(headers.pop("start", "1"))
        total = headers.pop("total", str(len(body)))
        fields = [("Message-ID", "m1"), ("Byte-Range", f"{start}-{start + len(body) - 1}/{total}")]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        fields.append(("Content-Type", "text/plain"))
        octets = MsrpRequest("tid0", "SEND", _TO, _FROM, fields, body, flag).encode()
        decoder = FrameDecoder()
        step = reads or len(octets)
        for place in range(0, len(octets), step):
            for event in decoder.feed(octets[place : place + step]):
                assert isinstance(event, Piece)
                self.forwarder.piece(event, now)

    def forwarded(self) -> list[MsrpRequest]:
        return [event.head.with_body(event.octets, event.continuation) for event in self._pieces()]

    def _pieces(self) -> list[Piece]:
        return [event for event in FrameDecoder().feed(b"".join(self.on)) if isinstance(event, Piece)]

    def answer_all(self, status: int = 200) -> None:
        sent = self.forwarded()
        self.on.clear()
        for request in sent:
            self.forwarder.response(MsrpResponse.to(request, status))

    def answers(self) -> list[int]:
        return [event.status for event in FrameDecoder().feed(b"".join(self.back)) if isinstance(event, MsrpResponse)]

    def reports(self) -> list[str]:
        events = FrameDecoder().feed(b"".join(self.back))
        return [event.text("Status") or "" for event in events if isinstance(event, MsrpRequest)]


def test_a_chunk_has_new_paths_and_id_and_keeps_the_rest() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    hop.send(b"Hello", Success_Report="yes")
    (onward,) = hop.forwarded()
    assert (onward.to_path, onward.from_path) == (_NEXT_TO, _NEXT_FROM)
    assert onward.transaction_id != "tid0"
    assert onward.headers == (
        ("Message-ID", "m1"),
        ("Byte-Range", "1-5/5"),
        ("Success-Report", "yes"),
        ("Content-Type", "text/plain"),
    )
    assert onward.body == b"Hello"


def test_an_anchor_answers_the_completing_chunk_when_the_next_hop_has_all() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    hop.send(b"Hel", flag=Continuation.MORE, total="5")
    assert hop.answers() == [200]
    hop.send(b"lo", start="4", total="5")
    assert hop.answers() == [200]
    assert not hop.passed
    hop.answer_all()
    assert hop.answers() == [200, 200]
    assert hop.passed == ["m1"]


def test_what_comes_quickly_goes_on_together_and_never_in_more_than_a_part() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    body = bytes(range(256)) * 512
    hop.send(body, reads=10_000)
    sizes = [len(request.body or b"") for request in hop.forwarded()]
    assert max(sizes) <= PART_OCTETS
    assert len(sizes) == 3
    assert b"".join(request.body or b"" for request in hop.forwarded()) == body
    assert [request.byte_range.start for request in hop.forwarded()] == [1, 1 + sizes[0], 1 + sizes[0] + sizes[1]]


def test_what_comes_slowly_does_not_wait_for_much() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    head = MsrpRequest("tid0", "SEND", _TO, _FROM, (("Message-ID", "m1"), ("Byte-Range", "1-*/6")), continuation=None)
    for place, now in enumerate((0.0, PART_S, 2 * PART_S, 2.1 * PART_S), 1):
        hop.forwarder.piece(Piece(head, place, b"x", None), now)
    assert [request.text("Byte-Range") for request in hop.forwarded()] == ["1-1/6", "2-2/6"]
    hop.forwarder.piece(Piece(head, 5, b"xx", Continuation.COMPLETE), 2.2 * PART_S)
    assert [request.text("Byte-Range") for request in hop.forwarded()] == ["1-1/6", "2-2/6", "3-6/6"]


def test_a_relay_answers_at_once_and_tells_a_late_refusal_by_report() -> None:
    hop = Hop(ForwardPolicy.RELAY)
    hop.send(b"Hello")
    assert hop.answers() == [200]
    hop.answer_all(403)
    assert hop.reports() == ["000 403 Forbidden"]


@pytest.mark.parametrize("wish", ["no", "partial"])
def test_without_failure_reports_nothing_is_answered_and_nothing_waited_for(wish: str) -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    hop.send(b"Hello", Failure_Report=wish)
    assert not hop.back
    assert hop.passed == ["m1"]
    assert hop.forwarder.next_deadline() is None


def test_a_refusal_in_the_middle_answers_what_follows_and_stops_it() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    hop.send(b"Hel", flag=Continuation.MORE, total="9")
    hop.answer_all(413)
    hop.send(b"lo ", start="4", flag=Continuation.MORE, total="9")
    assert hop.answers() == [200, 413]
    assert not hop.on
    hop.send(b"", start="7", flag=Continuation.ABORTED, total="9")
    assert hop.answers() == [200, 413, 413]
    hop.send(b"again")
    assert hop.forwarded()[0].body == b"again"


def test_an_abort_goes_on() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    hop.send(b"Hel", flag=Continuation.ABORTED, total="9")
    assert hop.forwarded()[0].continuation is Continuation.ABORTED
    assert hop.answers() == [200]
    assert not hop.passed


def test_beyond_the_window_the_sender_waits_for_his_answers() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    piece = b"x" * (WINDOW_OCTETS // 2)
    for number in range(3):
        hop.send(piece, start=str(1 + number * len(piece)), flag=Continuation.MORE, total="*")
    assert hop.answers() == [200, 200]
    hop.answer_all()
    assert hop.answers() == [200, 200, 200]


def test_silence_of_the_next_hop_is_408_before_the_sender_gives_up() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    hop.send(b"Hello")
    assert hop.forwarder.next_deadline() == HOLD_S
    hop.forwarder.handle_deadline(HOLD_S)
    assert hop.answers() == [408]
    hop.forwarder.handle_deadline(ANSWER_S)
    assert hop.answers() == [408]
    assert hop.forwarder.next_deadline() is None


def test_a_next_hop_that_is_gone_fails_what_waits_once() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    hop.send(b"Hello")
    hop.forwarder.failed(408)
    hop.forwarder.failed(408)
    assert hop.answers() == [408]


def test_answers_that_belong_to_nothing_are_dropped() -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    hop.forwarder.response(MsrpResponse("none", 200, None, _FROM, _TO))
    assert not hop.back


@given(
    body=st.binary(min_size=1, max_size=400), cuts=st.lists(st.integers(1, 399), max_size=6), reads=st.integers(1, 50)
)
def test_any_chunking_in_any_reads_comes_out_whole(body: bytes, cuts: list[int], reads: int) -> None:
    hop = Hop(ForwardPolicy.ANCHOR)
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    for first, last in itertools.pairwise(edges):
        flag = Continuation.COMPLETE if last == len(body) else Continuation.MORE
        hop.send(body[first:last], reads=reads, flag=flag, start=str(first + 1), total=str(len(body)))
    reassembler, done = Reassembler(1000), []
    for request in hop.forwarded():
        piece = Piece(request, request.byte_range.start, request.body or b"", request.continuation)
        event = reassembler.add(piece)
        if isinstance(event, Complete):
            done.append(event.body)
    assert done == [body]
