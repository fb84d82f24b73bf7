"""Whole frames out of what an end sends, and whole messages out of chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.msrp.header_fields import ByteRange
from ims_core.wire.msrp.message import Continuation, MsrpRequest, MsrpResponse
from rcs_sim.scenario.faults.msrp_frames import ChunkBook, FrameCutter, read_frame, rechunked


def chunk(number: int, start: int, body: bytes, total: int, *, is_last: bool) -> MsrpRequest:
    return MsrpRequest(
        f"tid{number:04d}",
        "SEND",
        "msrp://a.example:1/s;tcp",
        "msrp://b.example:2/t;tcp",
        [
            ("Message-ID", "mid12345"),
            ("Byte-Range", str(ByteRange(start, start + len(body) - 1, total))),
            ("Content-Type", "message/cpim"),
        ],
        body,
        Continuation.COMPLETE if is_last else Continuation.MORE,
    )


ONE, TWO = chunk(1, 1, b"first half ", 22, is_last=False), chunk(2, 12, b"second half", 22, is_last=True)


@given(st.lists(st.integers(1, 60), max_size=12))
def test_frames_are_found_however_they_are_cut(lengths: list[int]) -> None:
    answer = MsrpResponse.to(ONE, 200)
    octets = ONE.encode() + answer.encode() + TWO.encode()
    cutter, parts, place = FrameCutter(), [], 0
    for length in (*lengths, len(octets)):
        parts += cutter.feed(octets[place : place + length])
        place += length
    assert parts == [(True, each.encode()) for each in (ONE, answer, TWO)]
    assert cutter.is_idle


def test_what_began_before_passes_as_it_is() -> None:
    cutter = FrameCutter()
    assert cutter.feed(b"the rest of a body\r\n-------tid0$\r\n") == [
        (False, b"the rest of a body\r\n-------tid0$\r\n")
    ]
    assert cutter.feed(ONE.encode()[:30]) == []
    assert cutter.rest() == ONE.encode()[:30]
    assert cutter.is_idle


@given(st.binary(max_size=300))
def test_any_octets_are_read_or_not_and_none_is_lost(octets: bytes) -> None:
    read_frame(octets)
    cutter = FrameCutter()
    assert b"".join(part for _, part in cutter.feed(octets)) + cutter.rest() == octets


def test_a_body_that_looks_like_an_end_line_does_not_end_a_frame() -> None:
    frame = chunk(3, 1, b"x\r\n-------tid0004$\r\n-------tid000", 34, is_last=True)
    assert FrameCutter().feed(frame.encode()) == [(True, frame.encode())]
    assert read_frame(frame.encode()) == frame


def test_chunks_wait_for_the_last_one() -> None:
    book = ChunkBook()
    assert book.add(ONE) is None
    assert not book.is_idle
    assert book.add(TWO) == (ONE, TWO)
    assert book.is_idle


def test_a_chunk_whose_beginning_was_missed_waits_for_nothing() -> None:
    middle = chunk(5, 12, b"second", 22, is_last=False)
    assert ChunkBook().add(middle) == (middle,)


def test_what_is_held_can_be_taken_out() -> None:
    book = ChunkBook()
    book.add(ONE)
    assert book.rest() == (ONE,)
    assert book.is_idle


@given(st.binary(max_size=60).filter(lambda body: b"-------" not in body))
def test_other_content_goes_into_the_same_chunks(content: bytes) -> None:
    octets = rechunked((ONE, TWO), content)
    frames = [read_frame(part) for is_frame, part in FrameCutter().feed(octets) if is_frame]
    sent = [frame for frame in frames if isinstance(frame, MsrpRequest)]
    assert [frame.transaction_id for frame in sent] == ["tid0001", "tid0002"]
    assert b"".join(frame.body or b"" for frame in sent) == content
    assert [frame.continuation for frame in sent] == [Continuation.MORE, Continuation.COMPLETE]
    assert sent[-1].byte_range.total == len(content)
