"""Heads of messages."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.head import (
    DEFAULT_LIMITS,
    Limits,
    build_message,
    content_length,
    join_folds,
    refusal,
    split_head,
)
from ims_core.wire.sip.message import Request, Response


def test_folds_stay_with_their_line() -> None:
    start, lines, keys = split_head("INVITE sip:a SIP/2.0\r\nTo: a\r\n b\r\n\tc: d\r\nv: x", DEFAULT_LIMITS)
    assert start == "INVITE sip:a SIP/2.0"
    assert lines == ["To: a\r\n b\r\n\tc: d", "v: x"]
    assert keys == ["to", "via"]


@pytest.mark.parametrize(
    "head",
    ["A sip:a SIP/2.0\r\nX: a\nY: b", "A sip:a SIP/2.0\r\nX: a\rY: b", "A\n", "A sip:a SIP/2.0\r\nX: \r\r\nY: b"],
)
def test_a_lone_cr_or_lf_is_refused(head: str) -> None:
    with pytest.raises(SipParseError):
        split_head(head, DEFAULT_LIMITS)


@pytest.mark.parametrize("line", ["no colon", "Via", ": x", "a b: c", " leading", "é: x", ""])
def test_what_is_no_header_line_is_refused(line: str) -> None:
    with pytest.raises(SipParseError):
        split_head(f"A sip:a SIP/2.0\r\n{line}\r\nX: y", DEFAULT_LIMITS)


def test_header_fields_are_counted_and_folds_are_not() -> None:
    limits = Limits(max_headers=3)
    head = "A sip:a SIP/2.0\r\nA: 1\r\n x\r\n y\r\n z\r\nB: 2\r\nC: 3"
    assert split_head(head, limits)[2] == ["accept-contact", "referred-by", "content-type"]
    with pytest.raises(SipParseError) as caught:
        split_head(head + "\r\nD: 4", limits)
    assert caught.value.status == 513


def test_folds_at_the_very_top_have_nothing_to_join() -> None:
    assert join_folds([" a", "b", " c"]) == [" a", "b\r\n c"]


@pytest.mark.parametrize(
    ("lines", "length"),
    [(["l: 5"], 5), (["Content-Length : 005 "], 5), (["l: 5", "l: 5"], 5), (["l: 5", "l: 6"], None), ([], None)],
)
def test_the_length_of_the_body(lines: list[str], length: int | None) -> None:
    assert content_length(lines, ["content-length"] * len(lines)) == length


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "\u0665", "9" * 11, "1 2"])
def test_a_length_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        content_length([f"l: {text}"], ["content-length"])


@pytest.mark.parametrize(
    ("start", "status"),
    [
        *(
            ("", 400),
            ("INVITE", 400),
            ("INVITE sip:a", 400),
            ("INVITE  sip:a SIP/2.0", 400),
            ("INVITE sip:a  SIP/2.0", 400),
        ),
        *(
            ("INVITE sip:a SIP/2.0 ", 400),
            (" INVITE sip:a SIP/2.0", 400),
            ("GET / HTTP/1.1", 400),
            ("IN(V sip:a SIP/2.0", 400),
        ),
        *(("INVITE sip:a SIP/3.0", 505), ("INVITE sip:a SIP/2.00", 505), ("SIP/2.0", 400), ("SIP/2.0 20 OK", 400)),
        *(
            ("SIP/2.0 700 X", 400),
            ("SIP/2.0 099 X", 400),
            ("SIP/2.0 2000 X", 400),
            ("SIP/3.0 200 OK", 400),
            ("SIP/2.0  200 OK", 400),
        ),
    ],
)
def test_start_lines_that_are_refused(start: str, status: int) -> None:
    with pytest.raises(SipParseError) as caught:
        build_message(start, [], [], b"", b"")
    assert caught.value.status == status


def test_start_lines_that_are_read() -> None:
    request = build_message("x-ping urn:a sip/2.0", [], [], b"", b"")
    assert isinstance(request, Request)
    assert (request.method, request.request_uri_text) == ("x-ping", "urn:a")
    for start, reason in (("SIP/2.0 200 OK then", "OK then"), ("sip/2.0 200 ", ""), ("SIP/2.0 200", "")):
        response = build_message(start, [], [], b"", b"")
        assert isinstance(response, Response)
        assert (response.status, response.reason) == (200, reason)


def test_a_refusal_keeps_what_an_answer_needs() -> None:
    head = "INVITE  sip:a b SIP/9.0\r\nVia: SIP/2.0/UDP a\r\n;branch=z\r\nbad line\r\nX: \0\r\ni: 1\r\nCSeq: 1 INVITE"
    request = refusal(head, SipParseError("x")).request
    assert request is not None
    assert request.method == "INVITE"
    assert request.names() == ("via", "call-id", "cseq")


@pytest.mark.parametrize(
    "head",
    [
        "",
        "ACK sip:a SIP/2.0\r\nVia: x",
        "INVITE sip:a SIP/2.0\r\nX: y",
        "SIP/2.0 200 OK\r\nVia: x",
        "GET / HTTP/1.1\r\nVia: x",
    ],
)
def test_what_cannot_be_answered_is_not(head: str) -> None:
    assert refusal(head, SipParseError("x")).request is None


def test_a_method_that_is_no_token_is_answered_all_the_same() -> None:
    request = refusal("OPT(IONS) sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a", SipParseError("x")).request
    assert request is not None
    assert request.method == "OPT(IONS)"
