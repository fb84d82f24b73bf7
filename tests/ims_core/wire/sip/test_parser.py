"""Datagrams, and the check of what every message needs."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.headers import From, Via
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import Limits, SipParseError, check, parse_datagram

_LINES = (
    "Via: SIP/2.0/UDP a;branch=z9hG4bK1",
    "Max-Forwards: 70",
    "From: <sip:a@x>;tag=1",
    "To: <sip:b@x>",
    "Call-ID: c@x",
    "CSeq: 1 INVITE",
    "Contact: <sip:a@192.0.2.1>",
)


def _octets(*lines: str, start: str = "INVITE sip:b@x SIP/2.0", body: str = "") -> bytes:
    return ("\r\n".join([start, *lines]) + "\r\n\r\n" + body).encode()


def _fault(octets: bytes, limits: Limits | None = None) -> SipParseError:
    with pytest.raises(SipParseError) as caught:
        check(parse_datagram(octets, limits or Limits()))
    return caught.value


def test_a_sound_message_passes() -> None:
    check(parse_datagram(_octets(*_LINES)))
    check(parse_datagram(_octets(*_LINES, start="SIP/2.0 200 OK")))


def test_octets_after_the_body_are_dropped() -> None:
    octets = _octets(*_LINES, "Content-Length: 2")
    message = parse_datagram(octets + b"hi" + b"garbage\r\n")
    assert (message.body, message.encode()) == (b"hi", octets + b"hi")


def test_without_a_length_the_body_is_the_rest() -> None:
    message = parse_datagram(_octets(*_LINES, body="rest"))
    assert message.body == b"rest"


def test_line_breaks_before_the_message_are_passed_over() -> None:
    octets = _octets(*_LINES)
    assert parse_datagram(b"\r\n\r\n" + octets).encode() == octets


@pytest.mark.parametrize(
    "octets", [b"", b"\r\n", b"\r\n\r\n", b"\0", b"jaK\0\0\0", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b":\r\n\r\n"]
)
def test_noise_is_refused_without_an_answer(octets: bytes) -> None:
    assert _fault(octets).request is None


@pytest.mark.parametrize("line", range(6))
def test_each_mandatory_header_is_missed(line: int) -> None:
    if _LINES[line].startswith("Max-Forwards"):
        return  # RFC 2543 had none
    fault = _fault(_octets(*(text for number, text in enumerate(_LINES) if number != line)))
    assert fault.status == 400
    assert (fault.request is None) == _LINES[line].startswith("Via")


@pytest.mark.parametrize("line", range(1, 6))
def test_a_single_header_that_comes_twice_is_refused(line: int) -> None:
    assert _fault(_octets(*_LINES, _LINES[line])).status == 400


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CSeq: 1 INVITE", "CSeq: 1 ACK"),
        ("CSeq: 1 INVITE", "CSeq: INVITE"),
        ("Max-Forwards: 70", "Max-Forwards: many"),
        ("From: <sip:a@x>;tag=1", "From: <sip:a@x"),
        ("Via: SIP/2.0/UDP a;branch=z9hG4bK1", "Via: UDP a"),
        ("Call-ID: c@x", "Call-ID: c d"),
        ("Contact: <sip:a@192.0.2.1>", "Contact: <sip:a@192.0.2.999>"),
    ],
)
def test_a_malformed_header_is_refused_and_can_be_answered(old: str, new: str) -> None:
    fault = _fault(_octets(*(new if line == old else line for line in _LINES)))
    assert fault.status == 400
    assert fault.request is not None
    assert Response.to(fault.request, 400, to_tag="x").encode()


def test_an_ack_is_never_answered() -> None:
    lines = [line.replace("INVITE", "ACK") for line in _LINES if not line.startswith("To")]
    assert _fault(_octets(*lines, start="ACK sip:b@x SIP/2.0")).request is None
    assert _fault(_octets(*lines, start="ACK  sip:b@x SIP/2.0")).request is None


def test_a_response_is_never_answered() -> None:
    assert _fault(_octets(*_LINES[1:], start="SIP/2.0 200 OK")).request is None


@pytest.mark.parametrize(
    "changed", ["From: <sip:a@x", "To: <sip:b@x>;tag=a b", "Call-ID: c d", "Via: UDP a", "CSeq: x"]
)
def test_what_a_response_echoes_is_sound_and_everything_else_is_looked_at(changed: str) -> None:
    request = parse_datagram(_octets(*_LINES))
    assert isinstance(request, Request)
    check(Response.to(request, 200, to_tag="t"), request)
    check(parse_datagram(_octets(*_LINES, start="SIP/2.0 200 OK").replace(b"<sip:b@x>", b"B <sip:b@x>;tag=1")), request)
    lines = [changed if line.startswith(changed.partition(":")[0]) else line for line in _LINES]
    with pytest.raises(SipParseError):
        check(parse_datagram(_octets(*lines, start="SIP/2.0 200 OK")), request)
    with pytest.raises(SipParseError):
        check(parse_datagram(_octets(*_LINES[:-3], start="SIP/2.0 200 OK")), request)


def test_a_contact_means_nothing_in_a_pager_message() -> None:
    lines = [line.replace("1 INVITE", "1 MESSAGE").replace("<sip:a@192.0.2.1>", "?") for line in _LINES]
    check(parse_datagram(_octets(*lines, start="MESSAGE sip:b@x SIP/2.0")))


def test_a_bad_header_that_nobody_reads_does_no_harm() -> None:
    octets = _octets(*_LINES, "Date: yesterday", "P-Asserted-Identity: <<", "Warning: x")
    message = parse_datagram(octets)
    check(message)
    assert message.encode() == octets


def test_limits() -> None:
    limits = Limits(max_message_octets=2000, max_header_octets=500, max_headers=10)
    for octets in (
        _octets(*_LINES, body="x" * 2000),
        _octets(*_LINES, "X-Any: " + "x" * 500),
        _octets(*_LINES, *["X-Any: y"] * 9),
    ):
        fault = _fault(octets, limits)
        assert fault.status == 513
        assert fault.request is not None
        assert fault.request.require(Via).branch == "z9hG4bK1"
    check(parse_datagram(_octets(*_LINES, "X-Any: y", "X-Any: y", body="x" * 1000), limits))


def test_a_header_section_that_does_not_end_is_refused() -> None:
    fault = _fault(_octets(*_LINES)[:-4])
    assert fault.status == 400
    assert fault.request is not None
    assert fault.request.require(From).tag == "1"
    assert _fault(b"INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n" + b"x" * 60000).status == 513


def test_different_lengths_leave_the_whole_datagram_and_are_refused() -> None:
    octets = _octets(*_LINES, "Content-Length: 2", "l: 3", body="body")
    message = parse_datagram(octets)
    assert message.body == b"body"
    assert _fault(octets).status == 400


def test_a_request_uri_with_headers_is_refused() -> None:
    assert _fault(_octets(*_LINES, start="INVITE sip:b@x?Route=%3Csip:c%3E SIP/2.0")).status == 400


def test_the_request_line_is_kept_as_text_until_it_is_read() -> None:
    message = parse_datagram(_octets(*_LINES, start="INVITE <sip:b@x> SIP/2.0"))
    assert isinstance(message, Request)
    assert message.request_uri_text == "<sip:b@x>"
    with pytest.raises(SipParseError):
        _ = message.request_uri
