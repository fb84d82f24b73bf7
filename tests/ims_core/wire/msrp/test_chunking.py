"""One outgoing message as chunks."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.chunking import ChunkWriter, can_use, new_transaction_id
from ims_core.wire.msrp.message import Continuation, FailureReport, MsrpRequest
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from ims_core.wire.msrp.uri import parse_path
from tests.support.vectors import load_vectors

_FILE = "rcs/msrp_chunking.json"
_TO = "msrps://203.0.113.5:2855/relayLegA77;tcp"
_FROM = "msrps://192.0.2.11:51001/a1Sess0001;tcp"


def _writer(body: bytes, chunk_octets: int = 8) -> ChunkWriter:
    return ChunkWriter("m1", "text/plain", _TO, _FROM, body, chunk_octets=chunk_octets)


def _cases() -> list[Any]:
    vectors = load_vectors(_FILE)
    return [pytest.param(vectors, case, id=case["name"]) for case in vectors["sender"]]


@pytest.mark.parametrize(("vectors", "case"), _cases())
def test_the_frames_of_a_message_are_those_of_the_vector(vectors: dict[str, Any], case: dict[str, Any]) -> None:
    body = base64.b64decode(case["message_b64"])
    expected = [base64.b64decode(frame) for frame in case["frames_b64"]]
    (first,) = FrameDecoder().feed(expected[0])
    head = first.head if isinstance(first, Piece) else first
    assert isinstance(head, MsrpRequest)
    sizes = [180, None] if isinstance(case["chunk_size"], str) else [case["chunk_size"]] * len(expected)
    writer = ChunkWriter(
        head.message_id,
        case["content_type"],
        parse_path(vectors["to_path"]),
        parse_path(vectors["from_path"]),
        body,
        success_report=bool(body),
    )
    drawn = iter([*(["txAA0001"] if "txBB7777" in case["transaction_ids"] else []), *case["transaction_ids"]])
    frames = [writer.next_chunk(writer.new_transaction_id(lambda: next(drawn), size), size).encode() for size in sizes]
    assert frames == expected
    assert writer.is_done
    assert next(drawn, None) is None


def test_paths_reports_and_further_headers_are_written() -> None:
    writer = ChunkWriter(
        "m1",
        "image/png",
        parse_path(f"{_TO} {_FROM}"),
        _FROM,
        b"x",
        failure_report=FailureReport.PARTIAL,
        headers=(("Content-Disposition", "render"),),
    )
    assert writer.next_chunk("txAA0001").headers == (
        ("Message-ID", "m1"),
        ("Byte-Range", "1-1/1"),
        ("Success-Report", "no"),
        ("Failure-Report", "partial"),
        ("Content-Disposition", "render"),
        ("Content-Type", "image/png"),
    )


def test_the_last_octet_makes_it_done() -> None:
    writer = _writer(b"123456789")
    assert (writer.sent_octets, writer.left_octets, writer.total_octets) == (0, 9, 9)
    assert writer.next_chunk("txAA0001").continuation is Continuation.MORE
    assert (writer.sent_octets, writer.is_done) == (8, False)
    assert writer.next_chunk("txAA0002").continuation is Continuation.COMPLETE
    assert writer.is_done
    with pytest.raises(LocalProtocolError):
        writer.next_chunk("txAA0003")


def test_an_open_chunk_is_interrupted_and_the_message_goes_on() -> None:
    writer = _writer(b"abcdefghij")
    octets = writer.begin("txAA0001") + writer.piece(3)
    assert writer.open_chunk is not None
    assert writer.room == 7
    octets += writer.piece(1) + writer.end()
    assert writer.open_chunk is None
    octets += writer.begin("txAA0002", 4) + writer.piece(100) + writer.piece(100) + writer.end()
    octets += writer.next_chunk("txAA0003").encode()
    pieces = FrameDecoder().feed(octets)
    assert [(p.head.text("Byte-Range"), p.octets, p.continuation) for p in pieces if isinstance(p, Piece)] == [
        ("1-*/10", b"abcd", Continuation.MORE),
        ("5-*/10", b"efgh", Continuation.MORE),
        ("9-10/10", b"ij", Continuation.COMPLETE),
    ]
    assert writer.is_done


def test_an_open_chunk_that_takes_all_ends_the_message() -> None:
    writer = _writer(b"abc")
    writer.begin("txAA0001")
    assert writer.piece(10) == b"abc"
    assert writer.piece(10) == b""
    assert writer.end(Continuation.COMPLETE) == b"\r\n-------txAA0001$\r\n"
    assert writer.is_done


def test_a_message_is_aborted_between_and_within_chunks() -> None:
    between, within = _writer(b"123456789"), _writer(b"123456789")
    between.next_chunk("txAA0001")
    frame = between.abort("txAA0002")
    assert frame.encode().endswith(b"Content-Type: text/plain\r\n\r\n\r\n-------txAA0002#\r\n")
    assert frame.text("Byte-Range") == "9-*/9"
    within.begin("txAA0001")
    within.piece(2)
    assert within.end(Continuation.ABORTED) == b"\r\n-------txAA0001#\r\n"
    assert between.is_aborted
    assert between.is_done
    assert within.is_aborted
    assert within.is_done


def test_a_wrong_order_is_our_own_fault() -> None:
    writer = _writer(b"123456789")
    for call in (lambda: writer.piece(1), writer.end, lambda: writer.next_chunk("txAA0001", 0)):
        with pytest.raises(LocalProtocolError):
            call()
    writer.begin("txAA0001")
    for call in (
        lambda: writer.begin("txAA0002"),
        lambda: writer.next_chunk("txAA0002"),
        lambda: writer.abort("txAA0002"),
        lambda: writer.end(Continuation.COMPLETE),
    ):
        with pytest.raises(LocalProtocolError):
            call()
    with pytest.raises(LocalProtocolError):
        _writer(b"x", 0).next_chunk("txAA0001")


def test_a_chunk_never_contains_its_own_end_line() -> None:
    body = b"12345678\r\n-------txAA0001$\r\n"
    assert _writer(body).can_use("txAA0001")
    assert not _writer(body).can_use("txAA0001", len(body))
    with pytest.raises(LocalProtocolError):
        _writer(body).next_chunk("txAA0001", 100)
    with pytest.raises(LocalProtocolError):
        _writer(body).begin("txAA0001")
    ids = iter(["txAA0001", "txAA0001", "txAA0002"])
    assert new_transaction_id(lambda: next(ids), body) == "txAA0002"
    assert can_use("txAA0002", body)


def test_a_source_of_ids_that_repeats_itself_is_found_out() -> None:
    with pytest.raises(LocalProtocolError):
        new_transaction_id(lambda: "txAA0001", b"-------txAA0001")
    with pytest.raises(LocalProtocolError):
        new_transaction_id(lambda: "no id", b"")


@given(st.binary(min_size=1, max_size=300), st.integers(1, 50))
def test_chunks_cover_the_body_in_order(body: bytes, size: int) -> None:
    writer = _writer(body, size)
    decoder = FrameDecoder()
    position = 0
    while not writer.is_done:
        chunk = writer.next_chunk(f"id{position:06d}")
        (piece,) = decoder.feed(chunk.encode())
        assert isinstance(piece, Piece)
        assert (piece.start, piece.octets) == (position + 1, body[position : position + size])
        assert str(piece.head.byte_range) == f"{piece.start}-{piece.end}/{len(body)}"
        position = piece.end
    assert position == len(body)
