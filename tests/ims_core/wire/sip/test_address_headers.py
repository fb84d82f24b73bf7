"""Headers that hold a name-addr, and Via."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.sip.address_headers import Contact, From, NameAddr, PAssertedIdentity, RecordRoute, Route, To, Via
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.params import Params
from ims_core.wire.sip.uri import SipUri, TelUri, parse_uri


@pytest.mark.parametrize(
    ("text", "name", "uri", "params"),
    [
        ("<sip:a@b>", None, "sip:a@b", ""),
        ('"A. G. Bell" <sip:agb@bell.example>;tag=a48s', "A. G. Bell", "sip:agb@bell.example", ";tag=a48s"),
        ("Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8", "Anonymous", "sip:c8oqz84zk7z@privacy.org", ";tag=hyh8"),
        ("sip:+12125551212@server.phone2net.com;tag=887s", None, "sip:+12125551212@server.phone2net.com", ";tag=887s"),
        ("<tel:+12025550101;ext=3>;tag=1", None, "tel:+12025550101;ext=3", ";tag=1"),
        ('"" <sip:a@b>', "", "sip:a@b", ""),
        ('"Quoted \\"x\\", <y>"<sip:a@b>', 'Quoted "x", <y>', "sip:a@b", ""),
        ("Two  Words\t<sip:a@b> ; x = y", "Two  Words", "sip:a@b", ";x=y"),
        ("Zoë <sip:a@b>", "Zoë", "sip:a@b", ""),
        ("  <sip:a@b;lr>  ", None, "sip:a@b;lr", ""),
    ],
)
def test_name_addr(text: str, name: str | None, uri: str, params: str) -> None:
    value = From.parse(text)
    assert (value.display_name, str(value.uri), str(value.params)) == (name, uri, params)
    assert From.parse(str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "<>",
            "<sip:a@b",
            "sip:a@b>",
            '"a <sip:a@b>',
            "a, b <sip:a@b>",
            "< sip:a@b>",
            "<sip:a@b >",
            "<<sip:a@b>>",
        ),
        *(
            "<sip:a@b>x",
            "<sip:a@b>;",
            "<sip:a@b>;tag=",
            "sip:a@b?x=y",
            "sip:a@b,sip:c@d",
            "<sip:a@b>,<sip:c@d>",
            "a@b",
            "*",
        ),
        *('"a" "b" <sip:a@b>', "<sip:a@b> <sip:c@d>", '"\x01" <sip:a@b>', "a\x00 <sip:a@b>"),
    ],
)
def test_what_is_no_name_addr_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        To.parse(text)


def test_a_display_name_is_quoted_unless_it_is_words() -> None:
    uri = parse_uri("sip:a@b")
    assert str(NameAddr("Alice Bell", uri)) == "Alice Bell <sip:a@b>"
    assert str(NameAddr('Al "x" \\', uri)) == '"Al \\"x\\" \\\\" <sip:a@b>'
    assert str(NameAddr("", uri)) == '"" <sip:a@b>'
    assert str(NameAddr("Zoë", uri)) == '"Zoë" <sip:a@b>'


def test_tags() -> None:
    value = From.of("sip:a@b")
    assert value.tag is None
    assert value.with_tag("x1").tag == "x1"
    assert isinstance(value.with_tag("x1"), From)


def test_parameters_after_a_bare_uri_are_the_headers() -> None:
    contact = Contact.parse("sip:a@b;transport=tcp;expires=60")
    assert isinstance(contact.uri, SipUri)
    assert len(contact.uri.params) == 0
    assert contact.expires == 60


def test_contact_parameters() -> None:
    contact = Contact.parse(
        '<sip:001010000000101@192.0.2.11:5060;transport=tcp>;+sip.instance="<urn:gsma:imei:00499901-000101-0>";reg-id=1;q=0.7'
    )
    assert (contact.instance, contact.reg_id, contact.q) == ("urn:gsma:imei:00499901-000101-0", 1, 0.7)
    assert contact.expires is None
    assert not contact.is_wildcard
    assert Contact.parse("<sip:a@b>").q == 1.0
    assert Contact.parse("<sip:a@b>").instance is None


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("soon", 3600), ("-1", 3600), ("9" * 40, 2**32 - 1)])
def test_malformed_contact_expires_counts_as_an_hour(text: str, seconds: int) -> None:
    assert Contact.parse(f"<sip:a@b>;expires={text}").expires == seconds


@pytest.mark.parametrize("text", ["2", "0.1234", "x", "1.1", "-0"])
def test_a_malformed_q_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        _ = Contact.parse(f"<sip:a@b>;q={text}").q


@pytest.mark.parametrize("text", ["0", "x", "9" * 30])
def test_a_malformed_reg_id_is_none(text: str) -> None:
    assert Contact.parse(f"<sip:a@b>;reg-id={text}").reg_id is None


def test_the_wildcard() -> None:
    assert Contact.parse(" * ").is_wildcard
    assert str(Contact.parse("*")) == "*"
    with pytest.raises(SipParseError):
        Contact.parse("*;expires=0")


def test_kinds_are_not_equal_to_each_other() -> None:
    values: set[NameAddr] = {Route.parse("<sip:a;lr>"), RecordRoute.parse("<sip:a;lr>")}
    assert len(values) == 2
    assert Route.parse("<sip:a;lr>") == Route.parse("<sip:a;lr>")
    assert {Route.parse("<sip:a;lr>"), Route.parse("<sip:a;lr>")} == {Route.parse("<sip:a;lr>")}


def test_values_are_frozen() -> None:
    with pytest.raises(AttributeError):
        From.of("sip:a@b").uri = parse_uri("sip:c@d")  # type: ignore[misc]  # that it fails is the point
    with pytest.raises(AttributeError):
        Via("UDP", "a").port = 1  # type: ignore[misc]  # as above


def test_an_identity_is_a_tel_uri() -> None:
    assert isinstance(PAssertedIdentity.parse("<tel:+12025550101>").uri, TelUri)


# --- Via -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "transport", "host", "port", "branch"),
    [
        (
            "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7",
            "UDP",
            "erlang.bell-telephone.com",
            5060,
            "z9hG4bK87asdks7",
        ),
        (
            "SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
            "UDP",
            "first.example.com",
            4000,
            "z9hG4bKa7c6a8dlze.1",
        ),
        (
            "sip/2.0/tls [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3",
            "TLS",
            "[2001:db8::9:1]",
            None,
            "z9hG4bKas3",
        ),
        ("SIP/2.0/UDP 192.0.2.1", "UDP", "192.0.2.1", None, None),
        ("SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en", "UNKNOWN", "t4.example.com", None, "z9hG4bKasd0f3en"),
    ],
)
def test_via(text: str, transport: str, host: str, port: int | None, branch: str | None) -> None:
    via = Via.parse(text)
    assert (via.transport, via.host, via.port, via.branch) == (transport, host, port, branch)
    assert Via.parse(str(via)) == via


@pytest.mark.parametrize(
    "text",
    [
        *("", "SIP/2.0/UDP", "SIP/2.0 UDP a", "SIP/7.0/UDP a", "SIP/2.0/UDP a;;", "SIP/2.0/UDP a b", "SIP/2.0/UDP a:x"),
        *(
            "SIP/2.0/UDP a:65536",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP [:::1]",
            "SIP/2.0/UDP 1.2.3.256",
        ),
        *("SIP/2.0/UDP a;branch=", "SIP/2.0/UDPa", "SIP/2.0/UDP ;branch=1", "SIP/2.0/UDP a,SIP/2.0/UDP b"),
    ],
)
def test_what_is_no_via_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        Via.parse(text)


def test_received_is_added_if_the_source_differs() -> None:
    via = Via.parse("SIP/2.0/UDP host.example:5060;branch=z9hG4bK1")
    assert str(via.with_received("192.0.2.1", 4711)) == f"{via};received=192.0.2.1"
    same = Via.parse("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1")
    assert same.with_received("192.0.2.1", 4711) is same


def test_rport_is_filled_in_if_it_is_asked_for() -> None:
    via = Via.parse("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK1")
    assert via.has_rport
    assert via.rport is None
    filled = via.with_received("192.0.2.1", 4711)
    assert (filled.rport, filled.received) == (4711, "192.0.2.1")
    assert filled.params.names == ("rport", "branch", "received")


def test_ipv6_sources_are_written_without_brackets_and_compared_without() -> None:
    via = Via.parse("SIP/2.0/TCP [2001:DB8::1]:5060;branch=z9hG4bK1")
    assert via.with_received("2001:db8::1", 1) is via
    assert via.with_received("2001:db8::2", 1).received == "2001:db8::2"
    assert Via.parse("SIP/2.0/TCP a;received=[2001:db8::2]").received == "2001:db8::2"


def test_sent_by_is_what_a_client_compares() -> None:
    assert Via("UDP", "Host.Example", 5060).sent_by == "host.example:5060"
    assert Via("UDP", "Host.Example", None, Params((("branch", "z9hG4bK1"),))).sent_by == "host.example"


_NAME_ADDR_PIECES = st.sampled_from(
    ['"', "\\", "<sip:a@b", "sip:a", ">", ">;", ";", "tag", "=", "x", '"y"', " ", "Al", '"Al" ', ",", "%4", "\x80"]
)


@given(st.lists(_NAME_ADDR_PIECES, max_size=12).map("".join))
def test_a_name_addr_is_read_the_same_in_two_pieces_as_in_one(text: str) -> None:
    assert _outcome(From.parse, text) == _outcome(From._parse_whole, text)


_VIA_PIECES = st.sampled_from(
    [
        *("SIP/2.0/UDP ", "sip/2.0/tcp ", "a.b", "256.1.1.1", "1.2.3.4", ":5060", ":70000", ";branch=z9hG4bKx"),
        *(";rport", ";rport=1", ";branch", ";BRANCH=y", "a-", "[::1]", " ", ";received=1.2.3.4", "_", ";branch=a/b"),
    ]
)


@given(st.lists(_VIA_PIECES, max_size=6).map("".join) | st.lists(_VIA_PIECES, max_size=4).map("SIP/2.0/UDP a.b".join))
def test_the_usual_via_is_read_as_any_other(text: str) -> None:
    assert _outcome(Via.parse, text) == _outcome(Via._parse_unusual, text)


def _outcome(parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except SipParseError as fault:
        return str(fault)
