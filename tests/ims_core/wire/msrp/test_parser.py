"""MSRP frames out of a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ims_core.wire.msrp.message import Continuation, MsrpRequest, MsrpResponse, can_use
from ims_core.wire.msrp.parser import FrameDecoder, Limits, MsrpEvent, MsrpParseError, Piece

_TO = "msrps://203.0.113.5:2855/relayLegA77;tcp"
_FROM = "msrps://192.0.2.11:51001/a1Sess0001;tcp"
_PATHS = f"To-Path: {_TO}\r\nFrom-Path: {_FROM}\r\n".encode()
_BIND = b"MSRP b1nd0001 SEND\r\n" + _PATHS + b"Message-ID: bind-1\r\nByte-Range: 1-0/0\r\n-------b1nd0001$\r\n"
_SEND = (
    b"MSRP txAA0001 SEND\r\n" + _PATHS + b"Message-ID: m1\r\nByte-Range: 5-9/9\r\nContent-Type: text/plain\r\n\r\n"
    b"o Bob\r\n-------txAA0001$\r\n"
)
_OK = b"MSRP txAA0001 200 OK\r\n" + _PATHS + b"-------txAA0001$\r\n"
_REPORT = (
    b"MSRP f0a1b2c3 REPORT\r\n"
    + _PATHS
    + b"Message-ID: m1\r\nByte-Range: 1-9/9\r\nStatus: 000 200 OK\r\n-------f0a1b2c3$\r\n"
)
_AUTH = (
    b"MSRP auth0001 AUTH\r\n"
    + _PATHS
    + b"Content-Type: text/plain\r\nExpires: 600\r\n\r\nx\r\ny\r\n-------auth0001$\r\n"
)
_UNREADABLE = b"MSRP bad00001 SEND\r\n" + _PATHS + b"no colon\r\n\r\nbody\r\n-------bad00001$\r\n"


def _send(body: bytes, transaction_id: str = "txAA0001", flag: Continuation = Continuation.COMPLETE) -> MsrpRequest:
    headers = (("Message-ID", "m1"), ("Byte-Range", f"1-*/{len(body)}"), ("Content-Type", "a/b"))
    return MsrpRequest(transaction_id, "SEND", _TO, _FROM, headers, body, flag)


def _octets(event: MsrpEvent) -> bytes:
    """The frame of an event; a piece has to be the only one of its chunk."""
    if isinstance(event, Piece):
        assert event.continuation is not None
        return event.head.with_body(event.octets, event.continuation).encode()
    assert not isinstance(event, MsrpParseError)
    return event.encode()


def _joined(events: list[MsrpEvent]) -> list[object]:
    """What two lists of events are compared by: the pieces of a chunk are one."""
    shown: list[object] = []
    open_piece: Piece | None = None
    for event in events:
        if isinstance(event, Piece):
            if open_piece is not None:
                assert event.head is open_piece.head
                assert event.start == open_piece.end + 1
                event = Piece(event.head, open_piece.start, open_piece.octets + event.octets, event.continuation)
            open_piece = event if event.continuation is None else None
            if open_piece is None:
                shown.append((event.head.encode(), event.start, event.octets, event.continuation))
        elif isinstance(event, MsrpParseError):
            shown.append((str(event), event.status, event.is_fatal, event.head and event.head.encode()))
        else:
            shown.append(event)
    if open_piece is not None:
        shown.append((open_piece.head.encode(), open_piece.start))
    return shown


def _fed(octets: bytes, cuts: list[int] | None = None, limits: Limits | None = None) -> list[MsrpEvent]:
    decoder = FrameDecoder() if limits is None else FrameDecoder(limits)
    places = [0, *sorted(cuts or []), len(octets)]
    return [e for a, b in pairwise(places) for e in decoder.feed(octets[a:b])]


def _one_by_one(octets: bytes, limits: Limits | None = None) -> list[MsrpEvent]:
    return _fed(octets, list(range(len(octets))), limits)


def test_frames_that_follow_each_other() -> None:
    frames = [_BIND, _SEND, _OK, _REPORT, _AUTH, _OK]
    events = FrameDecoder().feed(b"".join(frames))
    assert [_octets(event) for event in events] == frames
    assert [type(event) for event in events] == [
        MsrpRequest,
        Piece,
        MsrpResponse,
        MsrpRequest,
        MsrpRequest,
        MsrpResponse,
    ]


def test_a_send_is_one_piece_where_it_fits_a_read() -> None:
    (piece,) = FrameDecoder().feed(_SEND)
    assert isinstance(piece, Piece)
    assert (piece.start, piece.end, piece.octets) == (5, 9, b"o Bob")
    assert piece.continuation is Continuation.COMPLETE
    assert piece.head.body is None
    assert piece.head.message_id == "m1"
    assert piece.summary() == "SEND 5-9/9 $"


def test_a_long_send_comes_as_it_arrives() -> None:
    body = bytes(range(256)) * 40
    frame = _send(body).encode()
    decoder = FrameDecoder()
    pieces = [e for at in range(0, len(frame), 1000) for e in decoder.feed(frame[at : at + 1000])]
    assert all(isinstance(piece, Piece) for piece in pieces)
    assert len(pieces) >= 10
    assert _joined(pieces) == [(_send(body).head_octets(), 1, body, Continuation.COMPLETE)]
    assert decoder.is_between_frames


def test_a_frame_comes_with_its_last_octet() -> None:
    for frame in (_BIND, _OK, _REPORT, _AUTH):
        decoder = FrameDecoder()
        assert decoder.feed(frame[:-1]) == []
        assert not decoder.is_between_frames
        assert [_octets(event) for event in decoder.feed(frame[-1:])] == [frame]


def test_a_connection_that_closes_in_a_body_leaves_an_open_chunk() -> None:
    decoder = FrameDecoder()
    (piece,) = decoder.feed(_send(b"x" * 100).encode()[:-30])
    assert isinstance(piece, Piece)
    assert piece.continuation is None
    assert not decoder.is_between_frames


@pytest.mark.parametrize("flag", list(Continuation))
def test_each_flag_is_read(flag: Continuation) -> None:
    (piece,) = FrameDecoder().feed(_send(b"abc", flag=flag).encode())
    assert isinstance(piece, Piece)
    assert piece.continuation is flag


def test_a_response_has_its_status_and_comment() -> None:
    (first, second) = FrameDecoder().feed(_OK + _OK.replace(b"200 OK", b"413"))
    assert isinstance(first, MsrpResponse)
    assert (first.status, first.comment, first.transaction_id) == (200, "OK", "txAA0001")
    assert isinstance(second, MsrpResponse)
    assert (second.status, second.comment) == (413, None)


def test_an_unknown_method_is_kept_for_a_501() -> None:
    (request,) = FrameDecoder().feed(_AUTH.replace(b" AUTH", b" NICKNAME"))
    assert isinstance(request, MsrpRequest)
    assert request.method == "NICKNAME"
    assert request.body == b"x\r\ny"
    assert request.text("Expires") == "600"


def test_headers_come_in_any_order_and_case_and_a_missing_range_is_read() -> None:
    frame = (
        b"MSRP hnds0001 SEND\r\nContent-Type: text/plain\r\nsuccess-report:yes\r\nX-Unknown:  \xff \r\n"
        b"FROM-PATH: " + _FROM.encode() + b"\r\nMessage-ID: m1\r\nto-path: " + _TO.encode() + b"\r\n\r\nhi"
        b"\r\n-------hnds0001$\r\n"
    )
    (piece,) = FrameDecoder().feed(frame)
    assert isinstance(piece, Piece)
    assert piece.head.success_report
    assert piece.start == 1
    assert piece.head.text("x-unknown") == b"\xff".decode("utf-8", "surrogateescape")
    assert _octets(piece) == frame


def test_a_bind_without_byte_range_and_message_id_is_taken() -> None:
    (request,) = FrameDecoder().feed(b"MSRP b1nd0001 SEND\r\n" + _PATHS + b"-------b1nd0001$\r\n")
    assert isinstance(request, MsrpRequest)
    assert str(request.byte_range) == "1-*/*"


def test_an_empty_body_with_and_without_its_crlf() -> None:
    frames = _send(b"").encode() + _send(b"").encode().replace(b"\r\n\r\n\r\n", b"\r\n\r\n")
    for events in (_fed(frames), _one_by_one(frames)):
        first, second = events
        assert isinstance(first, Piece)
        assert isinstance(second, Piece)
        assert first.octets == second.octets == b""
        assert _octets(first) + _octets(second) == frames


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n-------other001$\r\ny",
        b"\r\n-------txAA000\r\n",
        b"\r\n\r\n",
        b"line\r\n",
        b"\r\n-------",
        b"-------\r\n-------\r\n",
        b"\r\n------------------\r\n",
        b"\r",
        b"MSRP txAA0001 200 OK\r\n\r\n",
    ],
)
def test_a_body_that_looks_like_framing_survives(body: bytes) -> None:
    frame = _send(body).encode() + _OK
    whole = _joined(_fed(frame))
    assert whole[0] == (_send(body).head_octets(), 1, body, Continuation.COMPLETE)
    assert len(whole) == 2
    assert _joined(_one_by_one(frame)) == whole


def test_an_id_that_is_the_beginning_of_another_does_not_end_its_body() -> None:
    body = b"\r\n-------abcd+$\r\n-------abcd$x\r\n-------abcd+\r"
    frame = b"MSRP abcd SEND\r\n" + _PATHS + b"Message-ID: m\r\n\r\n" + body + b"\r\n-------abcd#\r\n"
    for events in (_fed(frame), _one_by_one(frame)):
        head = frame[: frame.index(body)]
        assert _joined(events) == [(head, 1, body, Continuation.ABORTED)]


def test_a_malformed_request_is_answered_and_its_body_skipped() -> None:
    for events in (_fed(_UNREADABLE + _OK), _one_by_one(_UNREADABLE + _OK)):
        fault, response = events
        assert isinstance(fault, MsrpParseError)
        assert (fault.status, fault.is_fatal) == (400, False)
        assert fault.head is not None
        assert MsrpResponse.to(fault.head, fault.status).text("To-Path") == _FROM
        assert response == FrameDecoder().feed(_OK)[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Byte-Range: 5-9/9", b"Byte-Range: 0-9/9"),
        (b"Byte-Range: 5-9/9", b"Byte-Range: 5-9/6"),
        (b"Message-ID: m1\r\n", b""),
        (b"Message-ID: m1", b"Message-ID: a\r\nMessage-ID: a"),
        (b"Message-ID: m1", b"Message ID: m1"),
        (b"Message-ID: m1", b"Message-ID: m\x001"),
        (b"Message-ID: m1", b"Message-ID: m1\nX: y"),
        (b"Message-ID: m1", b"Message-ID: m1\r\n folded"),
        (b"txAA0001 SEND", b"txAA0001 Send"),
        (b"txAA0001", b"tx1"),
        (b"txAA0001", b"t" * 40),
    ],
)
def test_a_request_that_breaks_a_rule_is_400(old: bytes, new: bytes) -> None:
    (fault, _) = FrameDecoder().feed(_SEND.replace(old, new) + _OK)
    assert isinstance(fault, MsrpParseError)
    assert fault.status == 400
    assert fault.head is not None
    assert not fault.is_fatal
    assert MsrpResponse.to(fault.head, 400).encode()


@pytest.mark.parametrize("path", [b"To-Path: sip:a@b\r\n", b"", b"To-Path:\r\n"])
def test_a_request_without_paths_cannot_be_answered(path: bytes) -> None:
    (fault, _) = FrameDecoder().feed(_SEND.replace(f"To-Path: {_TO}\r\n".encode(), path) + _OK)
    assert isinstance(fault, MsrpParseError)
    assert fault.head is None
    assert not fault.is_fatal


@pytest.mark.parametrize(
    "frame",
    [
        _REPORT.replace(b"Message-ID: m1\r\n", b""),
        _OK.replace(b"200", b"2000"),
        _OK.replace(b"200", b"20"),
        _OK.replace(b"To-Path", b"Too-Path"),
    ],
)
def test_nobody_answers_a_report_or_a_response(frame: bytes) -> None:
    (fault, _) = FrameDecoder().feed(frame + _OK)
    assert isinstance(fault, MsrpParseError)
    assert fault.head is None
    assert not fault.is_fatal


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"x",
        b"MSRPS",
        b"MSRP \r\n",
        b"MSRP abcd\r\n",
        b"MSRP ab$d SEND\r\n",
        b"MSRP " + b"a" * 65 + b" SEND\r\n",
        b"MSRP abcd " + b"9" * 2000,
        b"\rx",
        b"MSRP abcd SEND\r\n" + b"X: y\r\n" * 5000,
        b"MSRP abcd SEND\r\nX: " + b"y" * 20000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_framed_is_the_end(octets: bytes) -> None:
    decoder = FrameDecoder()
    (fault,) = decoder.feed(octets)
    assert isinstance(fault, MsrpParseError)
    assert fault.is_fatal
    assert decoder.feed(_OK) == []
    last = _one_by_one(octets)[-1]
    assert isinstance(last, MsrpParseError)
    assert last.is_fatal


def test_an_empty_line_between_frames_is_skipped() -> None:
    assert [_octets(event) for event in _one_by_one(b"\r\n" + _OK + b"\r\n\r\n" + _BIND)] == [_OK, _BIND]


def test_a_body_outside_of_send_has_a_limit() -> None:
    limits = Limits(max_body_octets=100)
    small, large = (_AUTH.replace(b"x\r\ny", b"z" * length) for length in (100, 101))
    for events in (_fed(small + large + _OK, limits=limits), _one_by_one(small + large + _OK, limits)):
        first, fault, last = events
        assert _octets(first) == small
        assert isinstance(fault, MsrpParseError)
        assert fault.status == 413
        assert fault.head is not None
        assert fault.head.method == "AUTH"
        assert _octets(last) == _OK


def test_the_head_limit_is_the_same_however_it_arrives() -> None:
    for length in range(1480, 1530):
        frame = _BIND.replace(b"bind-1", b"b" * (length - 100))
        limits = Limits(max_head_octets=1500)
        assert _joined(_one_by_one(frame, limits)) == _joined(_fed(frame, limits=limits))


@given(
    st.lists(st.sampled_from([_BIND, _SEND, _OK, _REPORT, _AUTH, _UNREADABLE, b"\r\n"]), max_size=5),
    st.lists(st.integers(0, 2000), max_size=8),
)
def test_any_cut_gives_the_same_frames(frames: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(frames)
    cut = _fed(octets, [place for place in cuts if place <= len(octets)])
    assert _joined(cut) == _joined(_fed(octets)) == _joined(_one_by_one(octets))


_PARTS = st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"-------", b"txAA0001", b"txAA000", b"$", b"+\r\n", b"x"])


@given(st.lists(_PARTS, max_size=30).map(b"".join), st.lists(st.integers(0, 400), max_size=6))
@example(b"\r\n-------txAA000", [])
def test_any_body_survives_any_cut(body: bytes, cuts: list[int]) -> None:
    if not can_use("txAA0001", body):
        return
    frame = _send(body).encode() + _OK
    expected = [(_send(body).head_octets(), 1, body, Continuation.COMPLETE), *_joined(_fed(_OK))]
    assert _joined(_fed(frame, [place for place in cuts if place <= len(frame)])) == expected
    assert _joined(_one_by_one(frame)) == expected


@given(
    st.binary(max_size=300)
    | st.lists(_PARTS | st.sampled_from([b"MSRP txAA0001 SEND\r\n", _PATHS, b"X: y\r\n"]), max_size=25).map(b"".join)
)
def test_any_octets_are_events_or_one_fatal_error(octets: bytes) -> None:
    whole, cut = _fed(octets), _one_by_one(octets)
    fatal = [event for event in cut if isinstance(event, MsrpParseError) and event.is_fatal]
    assert len(fatal) <= 1
    # A fatal error quotes what was there when it was sure.
    assert [each for each in _joined(cut) if not _is_fatal(each)] == [
        each for each in _joined(whole) if not _is_fatal(each)
    ]
    assert bool(fatal) == any(isinstance(event, MsrpParseError) and event.is_fatal for event in whole)
    for event in whole:
        if isinstance(event, MsrpRequest | MsrpResponse):
            assert event.encode() in octets


def _is_fatal(shown: object) -> bool:
    return isinstance(shown, tuple) and len(shown) == 4 and shown[2] is True


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_damaged_frame_never_raises(noise: bytes, place: int) -> None:
    octets = (_SEND + _AUTH + _OK)[:place] + noise + (_SEND + _AUTH + _OK)[place:]
    assert _joined(_one_by_one(octets))[:-1] == _joined(_fed(octets))[:-1]


def test_what_is_held_is_bounded() -> None:
    for stream in (
        b"MSRP abcd SEND\r\n" + b"X: y\r\n" * 9000,
        _send(b"").head_octets() + b"\r\n-------txAA0001" * 9000,
    ):
        decoder = FrameDecoder()
        for at in range(0, len(stream), 100):
            decoder.feed(stream[at : at + 100])
            assert len(decoder._rest) <= 16384 + 100
