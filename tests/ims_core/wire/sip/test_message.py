"""Requests and responses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.headers import (
    CallId,
    Contact,
    ContentType,
    CSeq,
    From,
    MaxForwards,
    PAssertedIdentity,
    Route,
    Supported,
    To,
    Via,
)
from ims_core.wire.sip.message import REASONS, HeaderInput, Request, Response
from ims_core.wire.sip.parser import SipParseError, check, parse_datagram
from ims_core.wire.sip.uri import parse_uri

_HEADERS: list[HeaderInput] = [
    Via.parse("SIP/2.0/TCP 192.0.2.11:5060;branch=z9hG4bK-msg-1;rport"),
    Via.parse("SIP/2.0/TCP 192.0.2.12;branch=z9hG4bK-msg-0"),
    MaxForwards(70),
    From.parse("<sip:+12025550101@ims.example>;tag=a21"),
    To.parse("<tel:+12025550102>"),
    CallId("msg-21@192.0.2.11"),
    CSeq(1, "MESSAGE"),
    ("Conversation-ID", "2f6b0a52"),
]


def _request() -> Request:
    return Request.new("MESSAGE", parse_uri("tel:+12025550102"), _HEADERS, b"hi", "text/plain")


def test_a_request_that_was_built_parses_to_itself() -> None:
    request = _request()
    again = parse_datagram(request.encode())
    check(again)
    assert again == request
    assert hash(again) == hash(request)
    assert isinstance(again, Request)
    assert (again.method, again.request_uri_text, again.body) == ("MESSAGE", "tel:+12025550102", b"hi")
    assert again.request_uri is again.request_uri
    assert again.content_type == ContentType("text/plain")
    assert again.encode() == (
        b"MESSAGE tel:+12025550102 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.11:5060;branch=z9hG4bK-msg-1;rport\r\n"
        b"Via: SIP/2.0/TCP 192.0.2.12;branch=z9hG4bK-msg-0\r\nMax-Forwards: 70\r\n"
        b"From: <sip:+12025550101@ims.example>;tag=a21\r\nTo: <tel:+12025550102>\r\nCall-ID: msg-21@192.0.2.11\r\n"
        b"CSeq: 1 MESSAGE\r\nConversation-ID: 2f6b0a52\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    )


def test_values_are_read_by_type_or_by_name() -> None:
    request = _request()
    assert request.call_id == "msg-21@192.0.2.11"
    assert request.cseq == CSeq(1, "MESSAGE")
    assert request.top_via.branch == "z9hG4bK-msg-1"
    assert request.require(From).tag == "a21"
    assert request.get(PAssertedIdentity) is None
    assert request.get_all(PAssertedIdentity) == ()
    assert (request.text("i"), request.text("CALL-ID"), request.text("conversation-id")) == (
        "msg-21@192.0.2.11",
    ) * 2 + ("2f6b0a52",)
    assert request.text("None") is None
    assert len(request.texts("via")) == 2
    assert request.has("v")
    assert not request.has("Route")
    assert request.names()[:3] == ("via", "via", "max-forwards")


def test_a_value_is_parsed_once() -> None:
    request = _request()
    assert request.get(From) is request.get(From)
    assert request.get_all(Via) is request.get_all(Via)


def test_lists_and_repeated_fields_give_all_values_in_order() -> None:
    request = Request.new(
        "INVITE",
        "sip:b",
        [
            ("Route", "<sip:p1;lr>, <sip:u,v@p2;lr>"),
            ("route", '"a,b" <sip:p3>'),
            ("k", "a, b"),
            ("Supported", "c"),
            ("k", ""),
        ],
    )
    assert [str(route.uri) for route in request.get_all(Route)] == ["sip:p1;lr", "sip:u,v@p2;lr", "sip:p3"]
    assert str(request.require(Route).uri) == "sip:p1;lr"
    assert request.require(Supported).tokens == ("a", "b", "c")
    assert request.get_all(Supported) == (Supported(("a", "b", "c")),)


def test_a_bad_value_in_a_list_is_refused_when_it_is_read() -> None:
    request = Request.new("INVITE", "sip:b", [("m", "<sip:p1>, <sip:p2"), ("Route", "<sip:p1>,")])
    assert str(request.require(Contact).uri) == "sip:p1"
    for header in (Contact, Route):
        with pytest.raises(SipParseError):
            request.get_all(header)


def test_an_absent_header_that_is_required_is_an_error() -> None:
    request = Request.new("INVITE", "sip:b")
    for read in (lambda: request.require(To), lambda: request.call_id, lambda: request.cseq, lambda: request.top_via):
        with pytest.raises(SipParseError):
            read()


def test_octets_that_are_not_utf8_survive() -> None:
    octets = b"MESSAGE sip:b@x SIP/2.0\r\nSubject: \xff\xfe\xc3\r\nContent-Length: 1\r\n\r\n\xff"
    message = parse_datagram(octets)
    assert message.edit().set("X", message.text("Subject") or "").remove("X").done().encode() == octets


def test_a_response_copies_what_the_rfc_says() -> None:
    response = Response.to(_request(), 202, to_tag="b7", headers=[Contact.of("sip:c@d"), ("X-Any", "1")])
    assert (response.status, response.reason) == (202, "Accepted")
    assert response.names() == ("via", "via", "from", "to", "call-id", "cseq", "contact", "x-any", "content-length")
    assert response.require(To).tag == "b7"
    assert response.top_via == _request().top_via
    again = parse_datagram(response.encode())
    check(again)
    assert again == response


def test_a_tag_that_is_there_stays() -> None:
    request = _request().edit().set("To", "<tel:+1;tag=x>; TAG = old").done()
    assert Response.to(request, 200, to_tag="new").require(To).tag == "old"
    bare = _request().edit().set("To", "sip:a@b;tag=old").done()
    assert Response.to(bare, 200, to_tag="new").text("To") == "sip:a@b;tag=old"
    in_uri = _request().edit().set("To", "<sip:a@b;tag=uri>").done()
    assert Response.to(in_uri, 200, to_tag="new").require(To).tag == "new"


def test_a_100_has_no_tag_and_repeats_the_timestamp() -> None:
    request = _request().edit().set("Timestamp", "54.2").done()
    trying = Response.to(request, 100, to_tag="x")
    assert trying.require(To).tag is None
    assert trying.text("Timestamp") == "54.2"
    assert not Response.to(request, 200).has("Timestamp")


def test_summaries() -> None:
    assert _request().summary() == "MESSAGE tel:+12025550102"
    assert Response.to(_request(), 200).summary() == "200 OK (MESSAGE)"
    assert Response.new(200).summary() == "200 OK"
    assert repr(_request()) == "<Request MESSAGE tel:+12025550102>"


def test_content_length_is_counted_not_taken() -> None:
    assert Request.new("INVITE", "sip:b", [("Content-Length", "99")], b"abc").texts("l") == ("3",)


@pytest.mark.parametrize(
    ("method", "uri", "headers"),
    [
        ("IN VITE", "sip:b", []),
        ("", "sip:b", []),
        ("INVITE\r\nX:", "sip:b", []),
        ("INVITE", "sip:b SIP/2.0\r\nX: 1\r\n", []),
        ("INVITE", "", []),
        ("INVITE", "sip:a b", []),
        ("INVITE", "sip:b", [("X", "1\r\nVia: 2")]),
        ("INVITE", "sip:b", [("X\n", "1")]),
        ("INVITE", "sip:b", [("X", "\0")]),
    ],
)
def test_nothing_is_injected_into_what_is_built(method: str, uri: str, headers: list[tuple[str, str]]) -> None:
    with pytest.raises(LocalProtocolError):
        Request.new(method, uri, headers)


@pytest.mark.parametrize("status", [0, 99, 700])
def test_a_status_is_three_digits(status: int) -> None:
    with pytest.raises(LocalProtocolError):
        Response.new(status)


def test_nothing_is_injected_into_a_response() -> None:
    with pytest.raises(LocalProtocolError):
        Response.new(200, "OK\r\nX: 1")
    with pytest.raises(LocalProtocolError):
        Response.to(_request(), 200, to_tag="a;b")
    with pytest.raises(LocalProtocolError):
        Response.to(_request(), 200, headers=[("X-Any", "\n")])


def test_unknown_codes_have_a_phrase() -> None:
    assert Response.new(499).reason == "Unknown"
    assert Response.new(200, "Fine").reason == "Fine"
    assert REASONS[200] == "OK"


def test_another_top_via_leaves_what_was_parsed() -> None:
    request = _request()
    sender = request.require(From)
    marked = request.with_top_via(request.top_via.with_received("192.0.2.99", 5062))
    assert marked.top_via.received == "192.0.2.99"
    assert marked.require(From) is sender
    again = parse_datagram(marked.encode())
    assert again == marked
    assert again.top_via == marked.top_via
    assert len(again.get_all(Via)) == 2


def test_a_hop_puts_its_via_on_top_and_takes_it_away_again() -> None:
    request = _request()
    sent = request.below_via("SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK-own")
    assert sent == request.edit().push("Via", "SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK-own").done()
    assert sent.top_via.host == "192.0.2.9"
    assert sent.without_top_via() == request
    assert request.top_via.host == "192.0.2.11"


def test_a_via_is_put_and_taken_also_where_there_is_none_or_a_list_of_them() -> None:
    bare = parse_datagram(b"OPTIONS sip:a SIP/2.0\r\nTo: <sip:a>\r\n\r\n")
    sent = bare.below_via("SIP/2.0/UDP a;branch=z9hG4bK1")
    assert sent.encode().startswith(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo:")
    assert sent.encode().endswith(b"Content-Length: 0\r\n\r\n")
    listed = parse_datagram(b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nTo: <sip:a>\r\n\r\n")
    assert [via.host for via in listed.without_top_via().get_all(Via)] == ["b"]


def test_a_via_that_would_end_its_line_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        _request().below_via("SIP/2.0/TCP a;branch=z9hG4bK1\r\nEvil: yes")


def test_a_response_echoes_the_fields_of_its_request_but_for_the_tag() -> None:
    request = _request()
    answer = Response.to(request, 200, to_tag="b7")
    assert answer.not_echoed(request, (Via, From, To, CallId, CSeq, Contact)) == [Contact]
    assert request.not_echoed(answer, (Via, To)) == [To]  # a tag is missing
    assert answer.echoes(request)
    assert not request.echoes(answer)
    assert not answer.edit().pop(Via).done().echoes(request)
    assert not answer.edit().set("Call-ID", "other").done().echoes(request)
    assert not answer.edit().set("From", "<sip:other@a>;tag=1").done().echoes(request)
    assert not Response.new(200).echoes(Request.new("MESSAGE", "sip:a"))
    for text in (
        "<tel:+12025550102>;tag=b 7",
        "<tel:+12025550102>;tag=",
        "<tel:+12025550102>;TAG=b7",
        "<tel:+1>;tag=b",
    ):
        assert answer.edit().set("To", text).done().not_echoed(request, (From, To)) == [To]
        assert not answer.edit().set("To", text).done().echoes(request)


def test_a_repeated_field_is_told_among_those_asked_for() -> None:
    request = _request()
    assert request.repeated(frozenset(("to", "from"))) is None
    assert request.repeated(frozenset(("via", "to"))) == "via"
    twice = request.edit().append("To", "<sip:a>").append("From", "<sip:b>").done()
    assert twice.repeated(frozenset(("to", "from"))) == "from"
    assert twice.repeated(frozenset(("call-id",))) is None


def test_fields_keep_the_spelling_of_their_names() -> None:
    message = parse_datagram(b"OPTIONS sip:a SIP/2.0\r\nx-Odd : 1\r\n 2\r\nV: x\r\nL: 0\r\n\r\n")
    assert message.fields() == (("x-Odd", "1 2"), ("V", "x"), ("L", "0"))


_COPIED = (
    "Via: SIP/2.0/UDP a;branch=z9hG4bK1",
    "From: <sip:a@b>;tag=1",
    "To: <sip:c@d>",
    "Call-ID: x",
    "CSeq: 1 OPTIONS",
)
_REPEATED = (
    "Via: SIP/2.0/UDP b;branch=z9hG4bK2",
    "From: <sip:again@b>",
    "CSeq: 2 OPTIONS",
    "Subject: s",
    "Timestamp: 3",
)


@given(st.permutations(_COPIED), st.lists(st.sampled_from(_REPEATED), max_size=4), st.integers(0, 5))
def test_a_response_copies_the_first_of_each_and_every_via_in_their_order(
    first: list[str], more: list[str], place: int
) -> None:
    lines = [*first[:place], *more, *first[place:]]
    request = parse_datagram("\r\n".join(["OPTIONS sip:c@d SIP/2.0", *lines, "", ""]).encode())
    assert isinstance(request, Request)
    seen: set[str] = set()
    expected = []
    for line in lines:
        name = line.partition(":")[0]
        if name in ("Via", "From", "To", "Call-ID", "CSeq") and (name == "Via" or name not in seen):
            seen.add(name)
            expected.append(line)
    response = Response.to(request, 200).encode().decode()
    assert response.split("\r\n")[1 : len(expected) + 1] == expected


def test_a_header_that_would_inject_another_is_named() -> None:
    with pytest.raises(LocalProtocolError, match="Subject"):
        Response.new(200, headers=(("Server", "s"), ("Subject", "a\r\nX: y")))


def test_an_outline_has_no_body_and_no_other_fields_than_those_named() -> None:
    fields = (("From", "<sip:a@h>;tag=1"), ("CSeq", "7 INVITE"), ("Contact", "<sip:a@h>"))
    invite = Request.new("INVITE", "sip:b@h", fields, b"v=0", "application/sdp")
    outline = invite.outline(frozenset(("from", "cseq")))
    assert (outline.summary(), outline.names(), outline.body) == ("INVITE sip:b@h", ("from", "cseq"), b"")
    assert outline.cseq == invite.cseq
