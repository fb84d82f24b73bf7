"""Incoming messages out of their chunks."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.msrp.chunking import ChunkWriter
from ims_core.wire.msrp.message import Continuation, MsrpRequest
from ims_core.wire.msrp.parser import FrameDecoder, MsrpParseError, Piece
from ims_core.wire.msrp.reassembly import Aborted, ChunkRefused, Complete, Reassembled, Reassembler
from ims_core.wire.msrp.uri import parse_msrp_uri
from tests.support.vectors import load_vectors

_FILE = "rcs/msrp_chunking.json"
_TO = "msrps://203.0.113.5:2855/relayLegA77;tcp"
_FROM = "msrps://192.0.2.11:51001/a1Sess0001;tcp"
_LAST, _MORE, _ABORT = Continuation.COMPLETE, Continuation.MORE, Continuation.ABORTED


def _piece(text: str, byte_range: str, flag: Continuation = _MORE, message_id: str = "m1") -> Piece:
    headers = (("Message-ID", message_id), ("Byte-Range", byte_range), ("Content-Type", "text/plain"))
    head = MsrpRequest("txAA0001", "SEND", _TO, _FROM, headers, None, None)
    return Piece(head, head.byte_range.start, text.encode(), flag)


def _parts(text: str, byte_range: str, flag: Continuation = _MORE, message_id: str = "m1") -> list[Piece]:
    """The same, one octet after the other."""
    whole = _piece(text, byte_range, flag, message_id)
    pieces = [Piece(whole.head, whole.start + at, octet.encode(), None) for at, octet in enumerate(text)]
    return [*pieces, Piece(whole.head, whole.end + 1, b"", flag)]


def _added(pieces: list[Piece], reassembler: Reassembler | None = None) -> list[Reassembled]:
    reassembler = reassembler or Reassembler(1000)
    return [result for piece in pieces if (result := reassembler.add(piece)) is not None]


def _bodies(results: list[Reassembled]) -> list[bytes]:
    assert all(isinstance(result, Complete) for result in results)
    return [result.body for result in results if isinstance(result, Complete)]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in load_vectors(_FILE)["receiver"]])
@pytest.mark.parametrize("read_octets", [1, 100000])
def test_frames_give_what_the_vector_says(case: dict[str, Any], read_octets: int) -> None:
    octets = b"".join(base64.b64decode(frame) for frame in case["frames_b64"])
    assert _outcome(octets, read_octets) == case["result"]


def _outcome(octets: bytes, read_octets: int) -> str:
    decoder, reassembler = FrameDecoder(), Reassembler(1000)
    outcome = "incomplete"
    for place in range(0, len(octets), read_octets):
        for event in decoder.feed(octets[place : place + read_octets]):
            if isinstance(event, Piece) and not event.head.to_path[0].same_as(parse_msrp_uri(_TO)):
                return "response 481"
            outcome = _word(reassembler.add(event) if isinstance(event, Piece) else event) or outcome
    return outcome


def _word(result: object) -> str:
    match result:
        case Complete(body=body):
            return f"complete: {body.decode()}"
        case Aborted():
            return "discarded"
        case ChunkRefused(status=status) | MsrpParseError(status=status):
            return f"error {status}"
    return ""


def test_a_message_of_one_chunk_is_complete() -> None:
    piece = _piece("hello", "1-5/5", _LAST)
    assert _added([piece]) == [Complete("m1", "text/plain", b"hello", 5, piece.head)]


def test_an_empty_message_is_complete() -> None:
    assert _bodies(_added([_piece("", "1-0/0", _LAST)])) == [b""]


def test_two_messages_may_be_under_way() -> None:
    reassembler = Reassembler(1000)
    pieces = [_piece("ab", "1-2/4"), _piece("12", "1-2/4", _MORE, "m2"), _piece("34", "3-4/4", _LAST, "m2")]
    assert _bodies(_added(pieces, reassembler)) == [b"1234"]
    assert reassembler.under_way == ("m1",)
    assert reassembler.held_octets == 2
    assert _bodies(_added([_piece("cd", "3-4/4", _LAST)], reassembler)) == [b"abcd"]
    assert reassembler.held_octets == 0


def test_the_later_octets_win() -> None:
    assert _bodies(_added([_piece("abcd", "1-4/6"), _piece("XY", "3-4/6"), _piece("ef", "5-6/6", _LAST)])) == [
        b"abXYef"
    ]


def test_nothing_is_complete_before_the_last_chunk_or_within_one() -> None:
    assert _added([_piece("abcd", "1-4/4")]) == []
    assert _added(_parts("abcd", "1-4/4", _LAST)[:-1]) == []
    assert _bodies(_added([_piece("abcd", "1-4/4"), _piece("", "5-*/4", _LAST)])) == [b"abcd"]


def test_the_last_chunk_may_come_first() -> None:
    assert _bodies(_added([_piece("cd", "3-4/4", _LAST), _piece("ab", "1-2/4")])) == [b"abcd"]
    assert _bodies(_added([_piece("cd", "3-4/*", _LAST), _piece("ab", "1-2/*")])) == [b"abcd"]


@pytest.mark.parametrize(
    "chunks",
    [
        [("abcde", "1-4/5", _LAST)],
        [("abc", "1-4/4", _LAST)],
        [("abc", "1-4/8", _MORE)],
        [("abcd", "1-4/8", _MORE), ("efgh", "5-8/9", _MORE)],
        [("abcd", "1-4/8", _LAST)],
        [("abcdefgh", "1-*/6", _MORE)],
        [("abcdefgh", "1-8/*", _MORE), ("abcd", "1-4/4", _LAST)],
        [("abcd", "1-4/*", _LAST), ("efgh", "5-8/*", _LAST)][::-1],
        [("ef", "5-*/*", _LAST), ("gh", "7-8/*", _MORE)],
    ],
)
def test_a_chunk_that_disagrees_is_refused_and_its_message_dropped(chunks: list[tuple[str, str, Continuation]]) -> None:
    for pieces in (
        [_piece(*chunk) for chunk in chunks],
        [piece for chunk in chunks for piece in _parts(*chunk)],
    ):
        reassembler = Reassembler(1000)
        (refused,) = _added(pieces, reassembler)
        assert isinstance(refused, ChunkRefused)
        assert refused.status == 400
        assert reassembler.under_way == ()
        assert reassembler.held_octets == 0


def test_a_message_that_is_too_large_is_stopped_at_once() -> None:
    reassembler = Reassembler(4)
    (refused,) = _added([_piece("a", "1-1/5")], reassembler)
    assert isinstance(refused, ChunkRefused)
    assert refused.status == 413
    (unsaid,) = _added(_parts("abcde", "1-*/*", _MORE, "m2"), reassembler)
    assert isinstance(unsaid, ChunkRefused)
    assert unsaid.status == 413
    (far,) = _added([_piece("a", "999999999999-*/*", _MORE, "m3")], reassembler)
    assert isinstance(far, ChunkRefused)
    assert far.status == 413
    assert reassembler.held_octets == 0


def test_further_chunks_of_a_refused_message_are_refused_until_it_ends() -> None:
    reassembler = Reassembler(4)
    chunks = [*_parts("abc", "1-3/9"), *_parts("def", "4-6/9"), *_parts("ghi", "7-9/9", _LAST)]
    assert [type(result) for result in _added(chunks, reassembler)] == [ChunkRefused] * 3
    assert _bodies(_added([_piece("abcd", "1-4/4", _LAST)], reassembler)) == [b"abcd"]
    aborted = [_piece("abc", "1-3/9"), _piece("", "4-*/9", _ABORT), _piece("ok", "1-2/2", _LAST)]
    assert [type(result) for result in _added(aborted, reassembler)] == [ChunkRefused, Aborted, Complete]


def test_a_refused_chunk_may_be_aborted_under_way() -> None:
    reassembler = Reassembler(4)
    results = _added([*_parts("abc", "1-*/9", _ABORT), _piece("ok", "1-2/2", _LAST)], reassembler)
    assert [type(result) for result in results] == [ChunkRefused, Aborted, Complete]


def test_an_aborted_message_is_thrown_away() -> None:
    reassembler = Reassembler(1000)
    assert _added([_piece("ab", "1-2/4"), _piece("c", "3-4/4", _ABORT)], reassembler) == [Aborted("m1")]
    assert reassembler.under_way == ()
    assert _added([_piece("cd", "3-4/4", _LAST)], reassembler) == []


def test_what_is_under_way_is_bounded() -> None:
    reassembler = Reassembler(100, max_messages=3)
    results = _added([_piece("a", "1-1/2", _MORE, f"m{number}") for number in range(5)], reassembler)
    assert [result.status for result in results if isinstance(result, ChunkRefused)] == [413, 413]
    reassembler.forget("m0")
    assert _added([_piece("a", "1-1/2", _MORE, "m9")], reassembler) == []
    large = Reassembler(100)
    results = _added([_piece("a", "100-*/*", _MORE, f"m{number}") for number in range(5)], large)
    assert [result.status for result in results if isinstance(result, ChunkRefused)] == [413, 413, 413]
    assert large.held_octets == 200
    for message_id in large.under_way:
        large.forget(message_id)
    assert large.held_octets == 0


def test_refusals_are_forgotten_in_the_end() -> None:
    reassembler = Reassembler(4)
    for number in range(500):
        assert len(_added([_piece("a", "1-1/5", _MORE, f"m{number}")], reassembler)) == 1
    assert len(reassembler._refused) <= 64


@given(st.binary(min_size=1, max_size=400), st.integers(1, 40), st.integers(1, 60), st.randoms(use_true_random=False))
def test_chunks_in_any_order_and_number_give_the_message(body: bytes, size: int, read: int, random: Any) -> None:
    writer = ChunkWriter("m1", "a/b", _TO, _FROM, body, chunk_octets=size)
    frames: list[bytes] = []
    while not writer.is_done:
        frames.append(writer.next_chunk(f"id{len(frames):06d}").encode())
    frames += random.sample(frames, len(frames) // 2)
    random.shuffle(frames)
    octets = b"".join(frames)
    decoder, reassembler = FrameDecoder(), Reassembler(400)
    found: list[Reassembled] = []
    for place in range(0, len(octets), read):
        pieces = decoder.feed(octets[place : place + read])
        found += _added([piece for piece in pieces if isinstance(piece, Piece)], reassembler)
    assert found
    assert set(_bodies(found)) == {body}


@given(st.binary(min_size=1, max_size=100), st.lists(st.tuples(st.integers(0, 99), st.integers(1, 99)), max_size=30))
def test_stretches_that_overlap_give_the_message(body: bytes, stretches: list[tuple[int, int]]) -> None:
    total = len(body)
    whole = [(start, min(start + size, total)) for start, size in stretches if start < total]
    reassembler = Reassembler(100)
    here: set[int] = set()
    is_ended = False
    for start, end in [*whole, (0, total)]:
        result = reassembler.add(_binary(body, start, end))
        here |= set(range(start, end))
        is_ended = is_ended or end == total
        if is_ended and len(here) == total:
            assert isinstance(result, Complete)
            assert result.body == body
            here, is_ended = set(), False
        else:
            assert result is None


def _binary(body: bytes, start: int, end: int) -> Piece:
    flag = _LAST if end == len(body) else _MORE
    headers = (("Message-ID", "m1"), ("Byte-Range", f"{start + 1}-{end}/{len(body)}"))
    head = MsrpRequest("txAA0001", "SEND", _TO, _FROM, headers, None, None)
    return Piece(head, start + 1, body[start:end], flag)


_RANGES = st.tuples(st.integers(1, 30), st.none() | st.integers(0, 30), st.none() | st.integers(0, 30))


@given(st.lists(st.tuples(_RANGES, st.binary(max_size=20), st.sampled_from([None, *Continuation])), max_size=20))
def test_any_pieces_are_taken_or_refused_and_the_count_is_kept(
    chunks: list[tuple[tuple[int, int | None, int | None], bytes, Continuation | None]],
) -> None:
    reassembler = Reassembler(25, max_messages=2)
    for number, ((start, end, total), octets, flag) in enumerate(chunks):
        text = f"{start}-{'*' if end is None else end}/{'*' if total is None else total}"
        headers = (("Message-ID", f"m{number % 3}"), ("Byte-Range", text))
        head = MsrpRequest("txAA0001", "SEND", _TO, _FROM, headers, None, None)
        try:
            _ = head.byte_range
        except MsrpParseError:
            continue
        reassembler.add(Piece(head, start, octets, flag))
        assert 0 <= reassembler.held_octets <= 50
        assert reassembler.held_octets == sum(len(each.octets) for each in reassembler._messages.values())
