"""Messages out of a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import KeepAlive, Limits, SipParseError, StreamDecoder

_REQUEST = (
    b"MESSAGE sip:b@x SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhi\r\n\r"
)
_RESPONSE = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nl: 0\r\n\r\n"
_BAD_START = b"MESSAGE  sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nl: 3\r\n\r\nabc"
_BAD_LINE = b"MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nno colon\r\nl: 3\r\n\r\nabc"
_BAD_VERSION = b"MESSAGE sip:b SIP/7.0\r\nVia: SIP/2.0/TCP a\r\nl: 0\r\n\r\n"


def _shown(event: object) -> object:
    """What two events are compared by."""
    if isinstance(event, SipParseError):
        return str(event), event.status, event.is_fatal, event.request
    return event


def _one_by_one(decoder: StreamDecoder, octets: bytes) -> list[object]:
    return [_shown(event) for place in range(len(octets)) for event in decoder.feed(octets[place : place + 1])]


def test_messages_that_follow_each_other() -> None:
    events = StreamDecoder().feed(_REQUEST + _RESPONSE + _REQUEST)
    assert [event.encode() for event in events if isinstance(event, Request | Response)] == [
        _REQUEST,
        _RESPONSE,
        _REQUEST,
    ]


def test_a_message_comes_with_its_last_octet() -> None:
    decoder = StreamDecoder()
    assert decoder.feed(_REQUEST[:-1]) == []
    (event,) = decoder.feed(_REQUEST[-1:])
    assert isinstance(event, Request)
    assert event.body == b"hi\r\n\r"


def test_keep_alives() -> None:
    decoder = StreamDecoder()
    assert decoder.feed(b"\r\n\r\n") == [KeepAlive.PING]
    assert decoder.feed(b"\r\n") == [KeepAlive.PONG]
    assert decoder.feed(_REQUEST)[0] != KeepAlive.PING
    assert decoder.feed(b"\r\n\r\n\r\n\r\n") == [KeepAlive.PING, KeepAlive.PING]
    assert decoder.feed(b"\r\n" + _RESPONSE)[0] is KeepAlive.PONG


def test_a_ping_that_was_cut_is_answered_all_the_same() -> None:
    for first, second in ((b"\r", b"\n\r\n"), (b"\r\n\r", b"\n")):
        decoder = StreamDecoder()
        assert decoder.feed(first) + decoder.feed(second) == [KeepAlive.PING]
    decoder = StreamDecoder()
    assert decoder.feed(b"\r\n") + decoder.feed(b"\r\n") + decoder.feed(b"\r\n") == [
        KeepAlive.PONG,
        KeepAlive.PING,
        KeepAlive.PONG,
    ]


def test_after_a_ping_of_ours_a_crlf_is_its_pong_whatever_came_before() -> None:
    decoder = StreamDecoder()
    for _ in range(3):
        decoder.ping_sent()
        assert decoder.feed(b"\r\n") == [KeepAlive.PONG]


def test_a_flood_of_blanks_is_one_ping_and_the_next_message_is_found() -> None:
    decoder = StreamDecoder()
    assert decoder.feed(b"\r\n" * 30_001 + b"\r") == [KeepAlive.PING]
    assert decoder.feed(b"\n") == [KeepAlive.PONG]
    events = decoder.feed(b"\r\n" * 30_000 + _REQUEST)
    assert [type(event) for event in events] == [KeepAlive, Request]


@pytest.mark.parametrize("octets", [_BAD_START, _BAD_LINE, _BAD_VERSION])
def test_a_malformed_message_of_known_length_loses_no_other(octets: bytes) -> None:
    fault, after = StreamDecoder().feed(octets + _REQUEST)
    assert isinstance(fault, SipParseError)
    assert fault.status == (505 if octets is _BAD_VERSION else 400)
    assert not fault.is_fatal
    assert fault.request is not None
    assert isinstance(after, Request)
    assert after.encode() == _REQUEST


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n", 400),
        (b"MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nl: -1\r\n\r\n", 400),
        (b"MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nl: 1\r\nl: 2\r\n\r\n", 400),
        (b"MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nX: a\nb\r\nl: 0\r\n\r\n", 400),
        (b"MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nl: 99999\r\n\r\n", 413),
        (b"MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nX: " + b"x" * 5000, 513),
    ],
)
def test_framing_that_is_lost_ends_the_stream(octets: bytes, status: int) -> None:
    for events in (_whole(octets + _REQUEST), _cut(octets + _REQUEST)):
        fault = events[-1]
        assert isinstance(fault, SipParseError)
        assert (fault.status, fault.is_fatal) == (status, True)
        assert fault.request is not None
        assert len(events) == 1


def test_too_many_fields_cost_the_message_and_no_other() -> None:
    many = b"MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n" + b"X: y\r\n" * 60 + b"l: 3\r\n\r\nabc"
    for events in (StreamDecoder(_SMALL).feed(many + _REQUEST), _cut(many + _REQUEST)):
        fault, after = events
        assert isinstance(fault, SipParseError)
        assert (fault.status, fault.is_fatal) == (513, False)
        assert isinstance(after, Request)


_SMALL = Limits(max_message_octets=4000, max_header_octets=1000, max_headers=50)


def _whole(octets: bytes) -> list[object]:
    decoder = StreamDecoder(_SMALL)
    events: list[object] = [*decoder.feed(octets)]
    assert decoder.feed(_REQUEST) == []
    return events


def _cut(octets: bytes) -> list[object]:
    decoder = StreamDecoder(_SMALL)
    return [event for place in range(len(octets)) for event in decoder.feed(octets[place : place + 1])]


def test_noise_between_messages_ends_the_stream() -> None:
    (fault,) = StreamDecoder().feed(b"\rX")
    assert isinstance(fault, SipParseError)
    assert fault.is_fatal


@pytest.mark.parametrize("octets", [_REQUEST, _RESPONSE, _BAD_START, _BAD_LINE, _BAD_VERSION, b"junk\r\n\r\n", b"\rX"])
def test_one_octet_at_a_time_gives_the_same_events(octets: bytes) -> None:
    stream = octets + _REQUEST + _RESPONSE
    assert _one_by_one(StreamDecoder(), stream) == [_shown(event) for event in StreamDecoder().feed(stream)]


@given(
    st.lists(
        st.sampled_from([_REQUEST, _RESPONSE, _BAD_START, _BAD_LINE, b"\r\n\r\n", b"junk", b"l: 0\r\n"]), max_size=6
    ),
    st.lists(st.integers(1, 40), max_size=60),
)
def test_any_cut_gives_the_same_messages(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    decoder, events, rest = StreamDecoder(), [], stream
    for size in cuts:
        events += decoder.feed(rest[:size])
        rest = rest[size:]
    events += decoder.feed(rest)
    whole = StreamDecoder().feed(stream)
    assert [_shown(event) for event in events if event is not KeepAlive.PONG] == [
        _shown(event) for event in whole if event is not KeepAlive.PONG
    ]


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"A", b":", b" ", b"l: 1", b"SIP/2.0", _REQUEST[:60]])).map(
        b"".join
    )
)
def test_any_octets_give_messages_or_errors(octets: bytes) -> None:
    for event in StreamDecoder().feed(octets):
        assert isinstance(event, Request | Response | KeepAlive | SipParseError)


def test_a_long_stream_in_small_pieces_is_read_in_linear_time() -> None:
    decoder = StreamDecoder(Limits(max_message_octets=2_000_000, max_header_octets=1_000_000))
    for _ in range(50_000):
        assert decoder.feed(b"X-Long: head") == []
    body = StreamDecoder(Limits(max_message_octets=2_000_000))
    body.feed(b"MESSAGE sip:b SIP/2.0\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(50_000):
        assert body.feed(b"\r\n\r\n") == []
    assert len(StreamDecoder().feed(_RESPONSE * 10_000)) == 10_000
