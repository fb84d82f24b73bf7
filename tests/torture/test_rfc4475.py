"""What RFC 4475 says that an element finds in its messages, and does with them."""

from __future__ import annotations

import pytest

from ims_core.nodes.request_check import check_request
from ims_core.wire.sip.headers import (
    Accept,
    AcceptEncoding,
    Allow,
    Authorization,
    CallId,
    Contact,
    ContentType,
    CSeq,
    From,
    Header,
    MaxForwards,
    Route,
    To,
    Unsupported,
    Via,
)
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import KeepAlive, SipParseError, StreamDecoder, check, parse_datagram
from ims_core.wire.sip.uas import Rejection, has_own_via, uas_check
from ims_core.wire.sip.uri import OtherUri, SipUri
from tests.support.vectors import vectors

_METHODS = frozenset(("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "MESSAGE"))
_CONTENT_TYPES = frozenset(("application/sdp", "multipart/*", "text/plain"))


def _octets(name: str) -> bytes:
    return vectors(f"sip/rfc4475/{name}.dat").read_bytes()


def _message(name: str) -> Request | Response:
    return parse_datagram(_octets(name))


def _request(name: str) -> Request:
    message = _message(name)
    assert isinstance(message, Request)
    return message


def _uas(name: str, answers_with: str | None = None) -> Rejection | None:
    return uas_check(
        _request(name),
        supported=frozenset(("path", "100rel")),
        methods=_METHODS,
        content_types=_CONTENT_TYPES,
        answers_with=answers_with,
    )


def _proxy(name: str) -> Rejection | None:
    """What our proxies do: the check of their stack, then their own."""
    request = _request(name)
    try:
        check(request)
        refusal = check_request(request, ("proxy.example.com",), frozenset(), {})
    except SipParseError as fault:
        return Rejection(fault.status, str(fault))
    if refusal is None:
        return None
    return Rejection(refusal.status, "", tuple(Unsupported.parse(text) for _, text in refusal.headers))


# --- §3.1.1 valid messages -------------------------------------------------------------------------------------------


def test_wsinv_folds_and_spaces_are_no_part_of_the_values() -> None:
    message = _request("wsinv")
    assert [via.host for via in message.get_all(Via)] == ["192.0.2.2", "spindle.example.com", "192.168.255.111"]
    assert [via.transport for via in message.get_all(Via)] == ["UDP", "TCP", "UDP"]
    assert [via.branch for via in message.get_all(Via)] == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    assert message.cseq == CSeq(9, "INVITE")
    assert message.require(MaxForwards).value == 68
    assert message.require(To).tag == "1918181833n"
    assert message.require(From).tag == "98asjd8"
    assert message.require(From).display_name == 'J Rosenberg \\"'
    assert message.require(Contact).display_name == 'Quoted string ""'
    assert message.require(Contact).q == 0.33
    assert message.require(Contact).params.has("secondparam")
    assert message.text("Subject") == ""
    assert message.text("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.text("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    route = message.require(Route).uri
    assert isinstance(route, SipUri)
    assert route.is_loose_router
    assert route.params.get("unknownwith") == "value"


def test_intmeth_takes_every_character_that_the_grammar_allows() -> None:
    message = _request("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    uri = message.request_uri
    assert isinstance(uri, SipUri)
    assert uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert uri.host == "example.com"
    assert message.require(To).display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.require(From).params.get("fromParam''~+*_!.-%") == "работающий"
    assert message.require(From).tag == "_token~1'+`*%!-."
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.text("extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    rejection = _uas("intmeth")
    assert rejection is not None
    assert rejection.status == 501
    assert _proxy("intmeth") is None


def test_esc01_an_escaped_at_sign_belongs_to_the_user() -> None:
    message = _request("esc01")
    assert str(message.request_uri) == "sip:sips%3Auser%40example.com@example.net"
    assert isinstance(message.request_uri, SipUri)
    assert (message.request_uri.user, message.request_uri.host) == ("sips%3Auser%40example.com", "example.net")


def test_esc02_a_percent_sign_outside_a_uri_is_no_escape() -> None:
    message = _request("esc02")
    assert message.method == "RE%47IST%45R"
    assert message.require(To).display_name == "%Z%45"
    assert [str(contact.uri) for contact in message.get_all(Contact)] == [
        "sip:alias1@host1.example.com",
        "sip:alias3@host3.example.com",
    ]
    rejection = _uas("esc02")
    assert rejection is not None
    assert rejection.status == 501


def test_escnull_users_that_differ_after_a_nul_differ() -> None:
    first, second = _request("escnull").get_all(Contact)
    assert not first.uri.same_as(second.uri)


def test_lwsdisp_a_display_name_may_touch_its_bracket() -> None:
    assert _request("lwsdisp").require(From).display_name == "caller"


def test_longreq_all_values_of_a_long_message_are_read() -> None:
    message = _request("longreq")
    check(message)
    assert len(message.get_all(Via)) == 34
    assert len(message.require(From).tag or "") > 100


def test_dblreq_in_a_stream_is_two_messages_and_in_a_datagram_one() -> None:
    first, between, second, *_ = StreamDecoder().feed(_octets("dblreq"))
    assert between is KeepAlive.PONG
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert (first.method, second.method) == ("REGISTER", "INVITE")
    assert _message("dblreq").encode() == first.encode()


def test_semiuri_a_semicolon_in_the_user_part_starts_no_parameter() -> None:
    uri = _request("semiuri").request_uri
    assert isinstance(uri, SipUri)
    assert uri.user == "user;par=u%40example.net"
    assert len(uri.params) == 0


def test_transports_only_the_topmost_via_matters() -> None:
    message = _request("transports")
    assert [via.transport for via in message.get_all(Via)] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_mpart01_a_binary_body_survives() -> None:
    message = _request("mpart01")
    assert message.require(ContentType).type == "multipart/mixed"
    assert message.require(ContentType).params.get("boundary") == "7a9cbec02ceef655"
    assert b"\x30\x82" in message.body


def test_unreason_and_noreason_keep_the_reason_phrase() -> None:
    unreason, noreason = _message("unreason"), _message("noreason")
    assert isinstance(unreason, Response)
    assert isinstance(noreason, Response)
    assert (unreason.status, unreason.reason) == (200, "= 2**3 * 5**2 но сто девяносто девять - простое")
    assert (noreason.status, noreason.reason) == (100, "")


# --- §3.1.2 invalid messages: which part is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("badinv01", Contact),
        ("badinv01", Via),
        ("badaspec", To),
        ("quotbal", To),
        ("regbadct", Contact),
        ("scalar02", CSeq),
        ("scalar02", MaxForwards),
        ("scalarlg", CSeq),
    ],
)
def test_the_malformed_header_is_the_one_refused(name: str, header: type[Header]) -> None:
    with pytest.raises(SipParseError):
        _message(name).get(header)


def test_scalar02_an_overlong_expiry_is_capped() -> None:
    assert _request("scalar02").require(Contact).expires == 2**32 - 1


def test_clerr_and_ncl_end_a_stream_only_when_the_length_is_nonsense() -> None:
    decoder = StreamDecoder()
    assert decoder.feed(_octets("clerr")) == []
    (fault,) = StreamDecoder().feed(_octets("ncl"))
    assert isinstance(fault, SipParseError)
    assert fault.is_fatal


def test_mcl01_ends_a_stream() -> None:
    (fault,) = StreamDecoder().feed(_octets("mcl01"))
    assert isinstance(fault, SipParseError)
    assert fault.is_fatal
    assert fault.status == 400


# --- §3.2 transaction layer ------------------------------------------------------------------------------------------


def test_badbranch_the_bare_cookie_is_told_as_it_is() -> None:
    assert _request("badbranch").top_via.branch == "z9hG4bK"


# --- §3.3 application layer ------------------------------------------------------------------------------------------


def test_insuf_is_answered_400_with_what_there_is() -> None:
    rejection = _uas("insuf")
    assert rejection is not None
    assert rejection.status == 400
    answer = rejection.to(_request("insuf"), to_tag="x")
    assert answer.top_via.branch == "z9hG4bKkdj.insuf"
    assert not answer.has("Call-ID")


@pytest.mark.parametrize("name", ["unkscm", "novelsc"])
def test_an_unknown_scheme_in_the_request_uri_gets_416(name: str) -> None:
    for rejection in (_uas(name), _proxy(name)):
        assert rejection is not None
        assert rejection.status == 416


def test_unksm2_unknown_schemes_elsewhere_are_left_to_the_registrar() -> None:
    message = _request("unksm2")
    assert message.require(To).uri == OtherUri("isbn", "2983792873")
    assert message.require(Contact).uri == OtherUri("name", "John_Smith")
    assert _uas("unksm2") is None
    assert _proxy("unksm2") is None


def test_bext01_unknown_extensions_get_420_and_are_listed() -> None:
    required = ("nothingSupportsThis", "nothingSupportsThisEither")
    required_of_proxies = ("noProxiesSupportThis", "norDoAnyProxiesSupportThis")
    for rejection, listed in ((_uas("bext01"), required), (_proxy("bext01"), required_of_proxies)):
        assert rejection is not None
        assert rejection.status == 420
        assert rejection.headers == (Unsupported(listed),)


def test_invut_an_unknown_content_type_gets_415_and_accept() -> None:
    rejection = _uas("invut")
    assert rejection is not None
    assert rejection.status == 415
    answer = rejection.to(_request("invut"), to_tag="x")
    assert [media_range.type for media_range in answer.get_all(Accept)] == sorted(_CONTENT_TYPES)


def test_regaut01_credentials_of_an_unknown_scheme_are_read_as_such() -> None:
    credentials = _request("regaut01").require(Authorization)
    assert not credentials.is_digest
    assert credentials.scheme == "NoOneKnowsThisScheme"


@pytest.mark.parametrize("name", ["multi01", "mcl01"])
def test_a_single_header_that_comes_twice_gets_400(name: str) -> None:
    for rejection in (_uas(name), _proxy(name)):
        assert rejection is not None
        assert rejection.status == 400


def test_bcast_a_response_for_another_element_is_known_by_its_via() -> None:
    response = _message("bcast")
    assert isinstance(response, Response)
    assert response.top_via.host == "192.0.2.198"
    assert [via.host for via in response.get_all(Via)][-1] == "255.255.255.255"
    assert not has_own_via(response, ("client.example.com",))


def test_zeromf_a_proxy_answers_483_and_a_uas_goes_on() -> None:
    rejection = _proxy("zeromf")
    assert rejection is not None
    assert rejection.status == 483
    assert _uas("zeromf") is None


def test_cparam01_and_cparam02_the_brackets_decide_whose_the_parameter_is() -> None:
    without, with_ = _request("cparam01").require(Contact), _request("cparam02").require(Contact)
    assert without.params.has("unknownparam")
    assert not with_.params.has("unknownparam")
    assert isinstance(with_.uri, SipUri)
    assert with_.uri.params.has("unknownparam")
    assert str(without.uri) == "sip:+19725552222@gw1.example.net"


def test_regescrt_an_escaped_route_stays_in_the_contact() -> None:
    uri = _request("regescrt").require(Contact).uri
    assert isinstance(uri, SipUri)
    assert uri.headers == "Route=%3Csip:sip.example.com%3E"


def test_sdp01_an_offer_that_cannot_be_answered_gets_406() -> None:
    rejection = _uas("sdp01", answers_with="application/sdp")
    assert rejection is not None
    assert rejection.status == 406


def test_inv2543_has_no_branch_and_is_forwarded_with_a_content_length() -> None:
    message = _request("inv2543")
    assert message.top_via.branch is None
    assert not message.has("Max-Forwards")
    assert message.edit().done().text("Content-Length") == str(len(message.body))


def test_mismatches_between_request_line_and_cseq_get_400() -> None:
    for name in ("mismatch01", "mismatch02"):
        with pytest.raises(SipParseError) as caught:
            check(_message(name))
        assert caught.value.status == 400


def test_unserved_methods_are_told_from_unknown_ones() -> None:
    fields = [(name, _request("zeromf").text(name) or "") for name in ("Via", "From", "To", "Call-ID")]
    publish = Request.new("PUBLISH", "sip:user@example.com", [*fields, ("CSeq", "1 PUBLISH")])
    rejection = uas_check(publish, supported=frozenset(), methods=_METHODS, content_types=_CONTENT_TYPES)
    assert rejection is not None
    assert rejection.status == 405
    assert rejection.headers == (Allow(tuple(sorted(_METHODS))),)


def test_unread_content_codings_get_415_and_accept_encoding() -> None:
    request = _request("invut").edit().set("Content-Type", "text/plain").set("Content-Encoding", "zip").done()
    rejection = uas_check(request, supported=frozenset(), methods=_METHODS, content_types=_CONTENT_TYPES)
    assert rejection is not None
    assert rejection.status == 415
    assert rejection.headers == (AcceptEncoding(("identity",)),)


def test_call_ids_are_compared_octet_by_octet() -> None:
    assert CallId.parse("A@b") != CallId.parse("a@b")
