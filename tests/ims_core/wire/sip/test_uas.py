"""What a server looks at before it acts on a request."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.headers import Accept, AcceptEncoding, Allow, AllowEvents, Unsupported
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uas import Rejection, has_own_via, uas_check

_FIELDS = [
    ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"),
    ("Max-Forwards", "70"),
    ("From", "<sip:a@x>;tag=1"),
    ("To", "<sip:b@x>"),
    ("Call-ID", "c@x"),
]
_METHODS = frozenset(("MESSAGE", "INVITE", "ACK", "OPTIONS", "CANCEL", "SUBSCRIBE"))


def _request(*fields: tuple[str, str], method: str = "MESSAGE", uri: str = "sip:b@x", body: bytes = b"") -> Request:
    return Request.new(method, uri, [*_FIELDS, ("CSeq", f"1 {method}"), *fields], body)


def _uas(
    request: Request, answers_with: str | None = None, encodings: frozenset[str] = frozenset()
) -> Rejection | None:
    return uas_check(
        request,
        supported=frozenset(("path",)),
        methods=_METHODS,
        content_types=frozenset(("text/plain", "message/*")),
        content_encodings=encodings,
        events=frozenset(("reg",)),
        answers_with=answers_with,
    )


def _status(rejection: Rejection | None) -> int | None:
    return None if rejection is None else rejection.status


def test_what_can_be_served_goes_on() -> None:
    assert _uas(_request(("Content-Type", "Message/CPIM"), ("Require", "path"), body=b"x")) is None
    assert _uas(_request(uri="tel:+12025550102")) is None


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (_request(method="PUBLISH"), 405),
        (_request(method="message"), 501),
        (_request(uri="urn:service:sos"), 416),
        (_request(("Require", "path, x-one"), ("Require", "x-two")), 420),
        (_request(("Event", "presence"), method="SUBSCRIBE"), 489),
        (_request(method="SUBSCRIBE"), 489),
        (_request(("Content-Type", "image/png"), body=b"x"), 415),
        (_request(("Content-Encoding", "gzip"), ("Content-Type", "text/plain"), body=b"x"), 415),
        (_request(body=b"x"), 400),
        (_request(("CSeq", "2 MESSAGE")), 400),
        (_request(("Require", "a b")), 400),
        (_request(("Content-Type", "nonsense"), body=b"x"), 400),
    ],
)
def test_what_cannot_be_served_is_refused(request_: Request, status: int) -> None:
    assert _status(_uas(request_)) == status


def test_the_order_is_that_of_the_rfc() -> None:
    everything = _request(("Require", "x"), ("Content-Type", "image/png"), method="PUBLISH", uri="urn:a", body=b"x")
    assert _status(_uas(everything)) == 405
    assert _status(_uas(_request(("Require", "x"), ("Content-Type", "image/png"), uri="urn:a", body=b"x"))) == 416
    assert _status(_uas(_request(("Require", "x"), ("Content-Type", "image/png"), body=b"x"))) == 420


def test_each_refusal_says_what_would_do() -> None:
    def headers(request: Request) -> object:
        rejection = _uas(request)
        assert rejection is not None
        return rejection.headers

    assert headers(_request(method="PUBLISH")) == (Allow(tuple(sorted(_METHODS))),)
    assert headers(_request(("Require", "path, x-one, x-two"))) == (Unsupported(("x-one", "x-two")),)
    assert headers(_request(method="SUBSCRIBE")) == (AllowEvents(("reg",)),)
    assert headers(_request(("Content-Type", "image/png"), body=b"x")) == (("Accept", "message/*, text/plain"),)
    assert headers(_request(("Content-Encoding", "gzip"), body=b"x")) == (AcceptEncoding(("identity",)),)


def test_a_refusal_becomes_a_response() -> None:
    request = _request(("Content-Type", "image/png"), body=b"x")
    rejection = _uas(request)
    assert rejection is not None
    response = rejection.to(request, to_tag="t")
    assert (response.status, response.call_id) == (415, "c@x")
    assert [accepted.type for accepted in response.get_all(Accept)] == ["message/*", "text/plain"]


def test_no_extension_is_asked_of_an_ack_or_cancel() -> None:
    assert _uas(_request(("Require", "x"), method="CANCEL")) is None
    assert _uas(_request(("Require", "x"), method="ACK")) is None


def test_an_optional_body_and_an_absent_one_are_passed_over() -> None:
    optional = ("Content-Disposition", "render; handling=Optional")
    assert _uas(_request(("Content-Type", "image/png"), optional, body=b"x")) is None
    assert _uas(_request(("Content-Type", "image/png"))) is None


def test_codings_that_are_read() -> None:
    request = _request(("Content-Encoding", "GZIP"), ("Content-Type", "text/plain"), body=b"x")
    assert _uas(request, encodings=frozenset(("gzip",))) is None
    assert _uas(_request(("e", "identity"), ("c", "text/plain"), body=b"x")) is None


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/sdp", None),
        ("text/plain, application/*;q=0.1", None),
        ("*/*", None),
        ("text/plain", 406),
        ("", 406),
    ],
)
def test_an_answer_that_is_not_accepted_is_not_made(accept: str, status: int | None) -> None:
    assert _status(_uas(_request(("Accept", accept), method="INVITE"), "application/sdp")) == status
    assert _uas(_request(method="INVITE"), "application/sdp") is None
    assert _uas(_request(("Accept", accept), method="INVITE")) is None


def test_a_response_is_ours_by_its_top_via() -> None:
    response = Response.to(_request(), 200)
    assert has_own_via(response, ("a",))
    assert not has_own_via(response, ("b",))
