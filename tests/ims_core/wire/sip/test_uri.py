"""SIP, SIPS and tel URIs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.uri import (
    OtherUri,
    Params,
    SipUri,
    TelUri,
    escape,
    identity_key,
    parse_uri,
    sip_uri_of_tel,
    tel_of_sip,
    unescape,
)


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@atlanta.com",
        "sips:alice:secretword@atlanta.com;transport=tcp",
        "sip:alice@192.0.2.4:5060?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:[2001:db8::10]:5070;lr",
        "SIP:a@b",
        "sip:a:@b",
        "sip:host.",
        "sip:9f3c2a11d0",
        "tel:+1-201-555-0123",
        "tel:7042;phone-context=example.com",
        "tel:*#06#",
        "urn:service:sos",
        "soap.beep://192.0.2.103:3002",
        "isbn:2983792873",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_uri(text)) == text.replace("TEL", "tel")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "sip:",
            "sip:@host",
            "sip:a@",
            "sip:a b@c",
            "sip:a@b c",
            "sip:a@b@c",
            "sip:a@b:",
            "sip:a@b:65536",
            "sip:a@b:x",
        ),
        *(
            "sip:a@-b",
            "sip:a@b-",
            "sip:a@b..c",
            "sip:a@.b",
            "sip:a@256.1.1.1",
            "sip:a@1.2.3",
            "sip:a@01.2.3.4",
            "sip:1",
        ),
        *("sip:a@[::1", "sip:a@::1", "sip:a@[1.2.3.4]", "sip:a@[2001:db8:::1]", "sip:a@[fe80::1%25eth0]", "sip:a@[]"),
        *(
            "sip:a%4@b",
            "sip:a%zz@b",
            "sip:a@b;c=%",
            "sip:a@b;",
            "sip:a@b?",
            "sip:a@b?%",
            "sip:é@b",
            "sip:a@é",
            "sip:a\r\n@b",
        ),
        *(
            "tel:",
            "tel:+",
            "tel:+-",
            "tel:+1a",
            "tel:abcg",
            "tel:+1;",
            "<sip:a@b>",
            "*",
            "a",
            ":",
            "http:",
            "sip:a@b;c\x00",
        ),
        "sip:a@" + "b." * 200 + "c",
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_uri(text)


def test_the_parts_of_a_sip_uri() -> None:
    uri = parse_uri("sips:al%69ce:pw@[2001:DB8::1]:5061;transport=TCP;lr?Subject=x")
    assert uri == SipUri(
        "sips", "al%69ce", "pw", "[2001:DB8::1]", 5061, uri.params if isinstance(uri, SipUri) else Params(), "Subject=x"
    )
    assert isinstance(uri, SipUri)
    assert uri.address == "2001:DB8::1"
    assert uri.params.get("Transport") == "TCP"
    assert uri.is_loose_router
    assert str(uri.without_params()) == "sips:al%69ce:pw@[2001:DB8::1]:5061?Subject=x"
    assert str(uri.without_params("lr").with_param("x", "a b")).endswith(";transport=TCP;x=a%20b?Subject=x")


def test_values_are_shared_and_frozen() -> None:
    uri = parse_uri("sip:alice@atlanta.com")
    assert parse_uri("sip:alice@atlanta.com") is uri
    with pytest.raises(AttributeError):
        uri.host = "x"  # type: ignore[misc, union-attr]  # that it fails is the point


def test_ipv6_hosts_are_compared_by_value() -> None:
    assert parse_uri("sip:a@[2001:db8:0::1]").same_as(parse_uri("sip:a@[2001:DB8::0:1]"))
    assert not parse_uri("sip:a@[::ffff:192.0.2.1]").same_as(parse_uri("sip:a@192.0.2.1"))


def test_reserved_characters_are_not_their_escapes() -> None:
    assert not parse_uri("sip:a%3Bb@c").same_as(parse_uri("sip:a;b@c"))
    assert parse_uri("sip:a%3bb@c").same_as(parse_uri("sip:a%3Bb@c"))


@pytest.mark.parametrize(
    ("sip", "tel"),
    [
        ("sip:+12025550101@ims.example.org;user=phone", "tel:+12025550101"),
        ("sip:+12025550101@ims.example.org", "tel:+12025550101"),
        ("sip:%2B12025550101@ims.example.org", "tel:+12025550101"),
        ("sip:+1-202-555-0101;npdi@ims.example.org;user=phone", "tel:+1-202-555-0101;npdi"),
        ("sip:7042;phone-context=example.com@ims.example.org;user=Phone", "tel:7042;phone-context=example.com"),
        ("tel:+12025550101", "tel:+12025550101"),
    ],
)
def test_a_number_in_a_sip_uri_is_a_tel_uri(sip: str, tel: str) -> None:
    assert str(tel_of_sip(parse_uri(sip))) == tel


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@a.b",
        "sip:7042@a.b",
        "sip:a.b",
        "sip:xyz@a.b;user=phone",
        "urn:service:sos",
        "sip:001010123456789@a.b",
    ],
)
def test_a_name_in_a_sip_uri_is_none(text: str) -> None:
    assert tel_of_sip(parse_uri(text)) is None


def test_a_tel_uri_becomes_a_sip_uri_of_a_domain() -> None:
    tel = parse_uri("tel:+1-202-555-0101")
    assert isinstance(tel, TelUri)
    assert str(sip_uri_of_tel(tel, "ims.example.org")) == "sip:+12025550101@ims.example.org;user=phone"
    short = parse_uri("tel:*#06#;phone-context=example.com")
    assert isinstance(short, TelUri)
    assert str(parse_uri(str(sip_uri_of_tel(short, "a.b")))) == "sip:*%2306%23;phone-context=example.com@a.b;user=phone"


def test_identity_keys_of_other_kinds() -> None:
    assert identity_key(parse_uri("sip:%61lice@A.b:5060;transport=tcp")) == "sip:alice@a.b"
    assert identity_key(parse_uri("sips:A.b")) == "sip:a.b"
    assert identity_key(OtherUri("URN", "service:sos")) == "urn:service:sos"
    assert identity_key(parse_uri("sip:+12025550101@elsewhere.example")) == "sip:+12025550101@elsewhere.example"
    assert identity_key(parse_uri("sip:+12025550101@home.example"), {"home.example"}) == "tel:+12025550101"


@given(st.text())
def test_escaping_is_undone(text: str) -> None:
    if text.isprintable():
        assert unescape(escape(text)) == text


@given(st.text(alphabet='sipteSIP:@;=?&[].%+-_0159aF"<> \té\x00\r\n', max_size=40) | st.text(max_size=30))
def test_any_text_is_a_uri_or_refused(text: str) -> None:
    for candidate in (text, f"sip:{text}", f"tel:{text}"):
        try:
            uri = parse_uri(candidate)
        except SipParseError:
            continue
        assert str(uri).lower() == candidate.lower()
        assert uri.same_as(parse_uri(str(uri)))
        identity_key(uri)
        tel_of_sip(uri)
