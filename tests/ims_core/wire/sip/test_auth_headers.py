"""Challenges and credentials."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.auth_headers import AuthenticationInfo, Authorization, ProxyAuthorization, WwwAuthenticate
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.parser import parse_datagram

_ANSWER = (
    'Digest username="001010000000101@ims.example", realm="ims.example", uri="sip:ims.example", nonce="8f3c",'
    ' response="09b0374b3986f6ada1beee629d1538f9", algorithm=MD5, qop=auth, nc=00000001, cnonce="3b1f"'
)


def test_credentials_are_written_as_they_were_read() -> None:
    value = Authorization.parse(_ANSWER)
    assert str(value) == _ANSWER
    assert value.is_digest
    assert (value.get("NONCE"), value.get("qop"), value.get("none"), value.get("none", "x")) == (
        "8f3c",
        "auth",
        None,
        "x",
    )
    assert value.quoted("nonce")
    assert not value.quoted("qop")
    assert value.has("cnonce")
    assert not value.has("opaque")


def test_empty_values_of_the_first_register_are_there() -> None:
    value = Authorization.parse('Digest username="a",realm="b",nonce="",uri="sip:b",response=""')
    assert (value.get("nonce"), value.get("response")) == ("", "")


def test_an_answer_is_quoted_as_the_rfc_says() -> None:
    value = Authorization.digest({"username": "a", "uri": "sip:b", "algorithm": "MD5", "qop": "auth", "nc": "00000001"})
    assert str(value) == 'Digest username="a", uri="sip:b", algorithm=MD5, qop=auth, nc=00000001'


def test_a_challenge_is_quoted_as_the_rfc_says() -> None:
    value = WwwAuthenticate.digest(
        {"realm": 'a "b"', "nonce": "x", "algorithm": "AKAv1-MD5", "qop": "auth", "stale": "true"}
    )
    assert str(value) == 'Digest realm="a \\"b\\"", nonce="x", algorithm=AKAv1-MD5, qop="auth", stale=true'
    assert value.get("realm") == 'a "b"'


def test_authentication_info() -> None:
    text = 'qop=auth, rspauth="e55a8003", cnonce="3b1f", nc=00000001'
    assert str(AuthenticationInfo.parse(text)) == text
    assert (
        str(AuthenticationInfo.digest({"qop": "auth", "rspauth": "e5", "nc": "00000001"}))
        == 'qop=auth, rspauth="e5", nc=00000001'
    )


def test_a_proxy_takes_away_and_adds_parameters() -> None:
    value = WwwAuthenticate.parse('Digest realm="a", ck="00", ik="11", nonce="n"').without("CK", "ik")
    assert str(value) == 'Digest realm="a", nonce="n"'
    protected = Authorization.parse(_ANSWER).with_("integrity-protected", "tls-connected")
    assert str(protected) == f'{_ANSWER}, integrity-protected="tls-connected"'
    assert protected.with_("integrity-protected", "yes").get("integrity-protected") == "yes"


def test_another_scheme_keeps_what_follows_it() -> None:
    assert Authorization.parse("Basic QWxhZGRpbjpvcGVu==").rest == "QWxhZGRpbjpvcGVu=="
    assert str(Authorization.parse("Basic QWxhZGRpbjpvcGVu==")) == "Basic QWxhZGRpbjpvcGVu=="
    assert (
        str(ProxyAuthorization.parse("NoOneKnowsThisScheme opaque-data=here"))
        == "NoOneKnowsThisScheme opaque-data=here"
    )


@pytest.mark.parametrize(
    "text", ["", "Digest", "Digest a", "Digest a=b,", "Digest a=b c=d", 'Digest a="b', ", Digest", "Digest ,a=b"]
)
def test_malformed_digest_credentials_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        Authorization.parse(text)


def test_a_refusal_and_a_repr_show_no_secret() -> None:
    assert "09b0374b" not in repr(Authorization.parse(_ANSWER))
    with pytest.raises(SipParseError) as caught:
        Authorization.parse(_ANSWER + '"')
    assert "09b0374b" not in str(caught.value)
    assert caught.value.raw == b""


def test_credentials_are_remembered_by_their_message_only() -> None:
    octets = f"REGISTER sip:a SIP/2.0\r\nAuthorization: {_ANSWER}\r\n\r\n".encode()
    message = parse_datagram(octets)
    assert message.get(Authorization) is message.get(Authorization)
    assert parse_datagram(octets).get(Authorization) is not message.get(Authorization)
    assert not Authorization.VALUES


def test_a_parameter_cannot_end_the_line() -> None:
    with pytest.raises(LocalProtocolError):
        Authorization.digest({"username": "a\r\nVia: x"})
