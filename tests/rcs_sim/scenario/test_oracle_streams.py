"""Messages of MSRP and HTTP are whole again, however they were cut into chunks and records."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle_streams import HttpStreams, MsrpContent, MsrpStreams, decompressed

_BODY = b"Content-Type: text/plain\r\n\r\n" + b"0123456789" * 30


def _record(number: int, octets: bytes, protocol: str) -> TraceRecord:
    return TraceRecord(
        number,
        float(number),
        RecordKind.MESSAGE,
        "alice",
        "red.msrp_relay",
        protocol=protocol,
        raw=octets,
        source_address="a:1",
        target_address="b:2",
    )


def _send(octets: bytes, start: int, total: int, flag: str, transaction: str, message_id: str = "m") -> bytes:
    end = start + len(octets) - 1
    head = (
        f"MSRP {transaction} SEND\r\nTo-Path: msrp://127.0.0.2:2855/b;tcp\r\nFrom-Path: msrp://127.0.0.1:2855/a;tcp\r\n"
        f"Message-ID: {message_id}\r\nByte-Range: {start}-{end}/{total}\r\nContent-Type: message/cpim\r\n\r\n"
    )
    return head.encode() + octets + f"\r\n-------{transaction}{flag}\r\n".encode()


def _read(frames: list[bytes]) -> tuple[list[MsrpContent], list[MsrpContent]]:
    streams = MsrpStreams()
    found = [each for number, raw in enumerate(frames, 1) for each in streams.read(_record(number, raw, "MSRP"))]
    return found, list(streams.rest())


def test_chunks_become_one_message_of_their_first_hop() -> None:
    frames = [
        _send(_BODY[:100], 1, len(_BODY), "+", "t1aa"),
        _send(b"another", 1, 7, "$", "t2aa", "other"),
        _send(_BODY[100:], 101, len(_BODY), "$", "t3aa"),
    ]
    found, rest = _read(frames)
    assert [(each.octets, each.is_whole, each.hop.number) for each in found] == [
        (b"another", True, 2),
        (_BODY, True, 1),
    ]
    assert found[1].content_type == "message/cpim"
    assert rest == []


def test_what_never_became_whole_is_given_at_the_end() -> None:
    found, rest = _read([_send(_BODY[:100], 1, len(_BODY), "+", "t1aa")])
    assert found == []
    assert [(each.octets, each.is_whole) for each in rest] == [(_BODY[:100], False)]


def test_a_message_that_is_given_up_is_not_whole() -> None:
    found, _ = _read([_send(_BODY[:100], 1, len(_BODY), "#", "t1aa")])
    assert [(each.octets, each.is_whole) for each in found] == [(_BODY[:100], False)]


def test_a_frame_in_several_records_is_read_and_a_lost_rest_harms_nobody_else() -> None:
    frame = _send(_BODY, 1, len(_BODY), "$", "t1aa")
    found, _ = _read([frame[:150], frame[150:]])
    assert [each.octets for each in found] == [_BODY]
    found, rest = _read([frame[:250], _send(b"next one", 1, 8, "$", "t4aa", "n")])
    assert [each.octets for each in found] == [b"next one"]
    assert rest == [] or not rest[0].is_whole


def _bodies(octets: list[bytes]) -> list[bytes]:
    streams = HttpStreams()
    return [each.octets for number, raw in enumerate(octets, 1) for each in streams.read(_record(number, raw, "HTTP"))]


@pytest.mark.parametrize(
    ("coding", "octets"),
    [
        ("gzip", gzip.compress(_BODY, mtime=0)),
        ("x-gzip", gzip.compress(_BODY, mtime=0)),
        ("deflate", zlib.compress(_BODY)),
        ("deflate", zlib.compressobj(wbits=-15).compress(_BODY) + b""),
        ("identity", _BODY),
        ("br", _BODY),
        ("gzip", _BODY),
    ],
)
def test_a_compressed_body_is_what_was_compressed(coding: str, octets: bytes) -> None:
    if coding == "deflate" and not octets.startswith(b"\x78"):
        packer = zlib.compressobj(wbits=-15)
        octets = packer.compress(_BODY) + packer.flush()
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(octets)}\r\n\r\n".encode()
    assert _bodies([head + octets]) == [_BODY]


def test_a_bomb_is_cut_off() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    assert len(decompressed(b"\r\nContent-Encoding: gzip\r\n", bomb)) <= 16 * 1024 * 1024


@given(st.lists(st.integers(0, 500), max_size=6))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n there\r\n0\r\n\r\n"
    plain = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd"
    octets = chunked + b"GET / HTTP/1.1\r\n\r\n" + plain
    places = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    pieces = [octets[start:end] for start, end in pairwise(places)]
    assert _bodies(pieces) == [b"hello there", b"abcd"]


@given(st.binary(max_size=300))
def test_any_octets_are_read_without_an_error(octets: bytes) -> None:
    _bodies([octets, b"GET / HTTP/1.1\r\n\r\n" + octets])
    _read([octets, b"MSRP abcd SEND\r\n" + octets])
