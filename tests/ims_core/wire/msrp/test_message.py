"""MSRP requests and responses as values."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.message import (
    ByteRange,
    Continuation,
    FailureReport,
    MsrpMessage,
    MsrpParseError,
    MsrpRequest,
    MsrpResponse,
    report_of,
)
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from ims_core.wire.msrp.uri import MsrpUri, parse_path

_RELAY = "msrps://203.0.113.5:2855/relayLegA77;tcp"
_ALICE = "msrps://192.0.2.11:51001/a1Sess0001;tcp"
_BOB = "msrp://bob.example:2855/b0b;tcp"
_HEADERS = (("Message-ID", "m1"), ("Byte-Range", "1-9/9"), ("Content-Type", "text/plain"))


def _send(*headers: tuple[str, str], to: str = _RELAY, path: str = _ALICE) -> MsrpRequest:
    return MsrpRequest("txAA0001", "SEND", to, path, headers or _HEADERS, b"Hello Bob")


def test_a_send_is_written_as_rfc_4975_has_it() -> None:
    assert _send().encode() == (
        b"MSRP txAA0001 SEND\r\nTo-Path: " + _RELAY.encode() + b"\r\nFrom-Path: " + _ALICE.encode() + b"\r\n"
        b"Message-ID: m1\r\nByte-Range: 1-9/9\r\nContent-Type: text/plain\r\n\r\nHello Bob\r\n-------txAA0001$\r\n"
    )


def test_a_request_without_body_has_no_empty_line() -> None:
    request = MsrpRequest("b1nd0001", "SEND", _RELAY, _ALICE, (("Message-ID", "bind-1"),))
    assert request.encode().endswith(b"Message-ID: bind-1\r\n-------b1nd0001$\r\n")
    assert not request.has_body


def test_an_empty_body_has_one() -> None:
    request = MsrpRequest("b1nd0001", "SEND", _RELAY, _ALICE, (("Message-ID", "e"),), b"", Continuation.MORE)
    assert request.encode().endswith(b"Message-ID: e\r\n\r\n\r\n-------b1nd0001+\r\n")


def test_the_head_of_an_open_chunk_ends_after_the_empty_line() -> None:
    head = MsrpRequest("txAA0001", "SEND", _RELAY, _ALICE, _HEADERS, None, None)
    assert head.encode().endswith(b"Content-Type: text/plain\r\n\r\n")
    assert head.with_body(b"Hello Bob", Continuation.COMPLETE) == _send()
    assert head.end_line(Continuation.ABORTED) == b"\r\n-------txAA0001#\r\n"


def test_paths_are_given_as_text_or_as_uris() -> None:
    path = parse_path(f"{_RELAY} {_BOB}")
    request = MsrpRequest("txAA0001", "SEND", path, _ALICE)
    assert request.to_path == path
    assert request.text("to-path") == f"{_RELAY} {_BOB}"
    assert request.from_path == (MsrpUri("msrps", None, "192.0.2.11", 51001, "a1Sess0001"),)


def test_fields_are_read_in_any_case() -> None:
    request = _send(
        ("message-id", "m"), ("SUCCESS-REPORT", "Yes"), ("X-New", "1"), ("x-new", "2"), ("fAILURE-rEPORT", "partial")
    )
    assert request.message_id == "m"
    assert request.success_report
    assert request.failure_report is FailureReport.PARTIAL
    assert request.texts("X-NEW") == ("1", "2")
    assert request.headers[0] == ("message-id", "m")


def test_what_is_absent_has_the_value_of_the_rfc() -> None:
    request = _send(("X", "1"))
    assert request.message_id == ""
    assert request.byte_range == ByteRange(1, None, None)
    assert not request.success_report
    assert request.failure_report is FailureReport.YES
    assert request.content_type is None
    assert request.status is None


def test_an_unknown_failure_report_means_yes() -> None:
    assert _send(("Failure-Report", "perhaps")).failure_report is FailureReport.YES
    assert _send(("Failure-Report", "no")).failure_report is FailureReport.NO


def test_a_malformed_byte_range_is_told_when_it_is_read() -> None:
    with pytest.raises(MsrpParseError):
        _ = _send(("Byte-Range", "0-1/1")).byte_range


def test_the_answer_to_a_send_goes_to_the_last_hop_only() -> None:
    request = _send(to=f"{_RELAY} {_BOB}", path=f"{_RELAY} {_ALICE}")
    response = MsrpResponse.to(request, 200)
    assert response.encode() == (
        f"MSRP txAA0001 200 OK\r\nTo-Path: {_RELAY}\r\nFrom-Path: {_RELAY}\r\n-------txAA0001$\r\n".encode()
    )
    assert response.is_success
    assert response.summary() == "200 OK"


def test_the_answer_to_other_requests_goes_back_to_the_origin() -> None:
    request = MsrpRequest("auth0001", "AUTH", f"{_RELAY} {_BOB}", f"{_RELAY} {_ALICE}")
    response = MsrpResponse.to(request, 401, headers=[("WWW-Authenticate", 'Digest realm="r"')])
    assert response.text("To-Path") == f"{_RELAY} {_ALICE}"
    assert response.text("From-Path") == _RELAY
    assert response.text("www-authenticate") == 'Digest realm="r"'
    assert not response.is_success


def test_a_status_without_a_text_of_ours_has_none() -> None:
    assert MsrpResponse.to(_send(), 299).encode().startswith(b"MSRP txAA0001 299\r\n")
    assert MsrpResponse.to(_send(), 299, "so").encode().startswith(b"MSRP txAA0001 299 so\r\n")


def test_a_report_goes_back_over_the_whole_path() -> None:
    report = report_of(_send(path=f"{_RELAY} {_ALICE}", to=_BOB), "f0a1b2c3", 200, ByteRange(1, 353, 353))
    assert (
        report.encode()
        == (
            f"MSRP f0a1b2c3 REPORT\r\nTo-Path: {_RELAY} {_ALICE}\r\nFrom-Path: {_BOB}\r\nMessage-ID: m1\r\n"
            "Byte-Range: 1-353/353\r\nStatus: 000 200 OK\r\n-------f0a1b2c3$\r\n"
        ).encode()
    )
    assert report.status == ("000", 200, "OK")
    assert report.summary() == "REPORT 1-353/353 000 200 OK"


def test_a_request_for_the_next_leg_keeps_all_but_id_and_paths() -> None:
    request = _send(*_HEADERS[:2], ("X-New", "ä"), _HEADERS[2])
    moved = request.readdressed("txBB0002", _BOB, _RELAY)
    assert moved.encode() == request.encode().replace(b"txAA0001", b"txBB0002").replace(_ALICE.encode(), b"@").replace(
        _RELAY.encode(), _BOB.encode()
    ).replace(b"@", _RELAY.encode())
    parts = moved.readdressed(
        "txCC0003", _BOB, _RELAY, byte_range=ByteRange(1, 4, 9), body=b"Hell", continuation=Continuation.MORE
    )
    assert parts.byte_range == ByteRange(1, 4, 9)
    assert parts.encode().endswith(b"\r\n\r\nHell\r\n-------txCC0003+\r\n")


def test_a_missing_byte_range_is_written_after_the_message_id() -> None:
    request = _send(("Message-ID", "m"), ("Content-Type", "a/b"))
    moved = request.readdressed("txBB0002", _BOB, _RELAY, byte_range=ByteRange(1, 9, None))
    assert [name for name, _ in moved.headers] == ["Message-ID", "Byte-Range", "Content-Type"]


@pytest.mark.parametrize(
    "headers",
    [
        (("X-New", "ä"), ("message-id", "m"), ("BYTE-RANGE", "1-*/9"), ("X-New", ""), ("Content-Type", "a/b")),
        (("Message-ID", "m"), ("Success-Report", "yes"), ("Content-Type", "a/b")),
    ],
)
def test_what_a_relay_writes_at_once_is_what_it_would_write_in_two_steps(headers: tuple[tuple[str, str], ...]) -> None:
    octets = _send(*headers).encode()
    (piece,) = FrameDecoder().feed(octets.replace(b"To-Path", b"TO-path"))
    assert isinstance(piece, Piece)
    lines = f"To-Path: {_BOB}\r\nFrom-Path: {_RELAY} {_ALICE}\r\n"
    written = piece.head.relayed_octets("txBB0002", lines, ByteRange(1, 4, 9), b"Hell", Continuation.MORE)
    moved = piece.head.readdressed(
        "txBB0002",
        _BOB,
        f"{_RELAY} {_ALICE}",
        byte_range=ByteRange(1, 4, 9),
        body=b"Hell",
        continuation=Continuation.MORE,
    )
    assert written == moved.encode()


def test_what_would_break_the_frame_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        MsrpRequest("txAA0001", "SEND", _RELAY, _ALICE, (), b"\r\n-------txAA0001$\r\n")
    with pytest.raises(LocalProtocolError):
        _send().readdressed("txBB0002", _BOB, _RELAY, body=b"-------txBB0002")
    with pytest.raises(LocalProtocolError):
        MsrpRequest("tx 1", "SEND", _RELAY, _ALICE)
    with pytest.raises(LocalProtocolError):
        MsrpRequest("txAA0001", "send", _RELAY, _ALICE)
    with pytest.raises(LocalProtocolError):
        _send(("X", "a\r\nb: c"))
    with pytest.raises(LocalProtocolError):
        _send(("X Y", "a"))
    with pytest.raises(LocalProtocolError):
        MsrpResponse("txAA0001", 200, "a\nb", _RELAY, _ALICE)
    with pytest.raises(LocalProtocolError):
        MsrpResponse("txAA0001", 20, None, _RELAY, _ALICE)
    with pytest.raises(LocalProtocolError):
        MsrpResponse("tx\r\n", 200, None, _RELAY, _ALICE)


def test_messages_are_equal_by_their_octets() -> None:
    both: set[MsrpMessage] = {_send(), _send(), MsrpResponse.to(_send(), 200)}
    assert len(both) == 2
    assert _send() != b""
    assert repr(_send()) == "<MsrpRequest txAA0001 SEND 1-9/9 $>"
    assert MsrpRequest("auth0001", "AUTH", _RELAY, _ALICE).summary() == "AUTH"
