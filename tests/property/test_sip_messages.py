"""SIP messages under fire: mutated, random and built ones; and the strict parser `sipmessage` as a second opinion."""

from __future__ import annotations

import contextlib
import random
import string
from pathlib import Path

import pytest
import sipmessage
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.nodes.request_check import check_request
from ims_core.wire.sip import headers
from ims_core.wire.sip.feature_tags import FeatureSet, select_contacts
from ims_core.wire.sip.header import Header
from ims_core.wire.sip.headers import (
    AcceptContact,
    CallId,
    Contact,
    CSeq,
    From,
    MaxForwards,
    RecordRoute,
    Route,
    Supported,
    To,
    Via,
)
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import SipParseError, StreamDecoder, check, parse_datagram
from ims_core.wire.sip.uas import uas_check
from ims_core.wire.sip.uri import SipUri, Uri, identity_key, parse_uri
from tests.support.vectors import vectors

_HOME = "ims.mnc001.mcc001.3gppnetwork.org"
_TAGS = (
    '+sip.instance="<urn:gsma:imei:00499901-000101-0>";'
    '+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session,'
    'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";+g.gsma.rcs.botversion="#=1,#=2";+g.gsma.rcs.msgrevoke'
)
_EXAMPLES = [
    "\r\n".join((*lines, "", ""))
    for lines in (
        (
            f"REGISTER sip:{_HOME} SIP/2.0",
            "Via: SIP/2.0/TCP 192.0.2.11:5060;branch=z9hG4bK-reg-1;rport;keep",
            "Max-Forwards: 70",
            f"From: <sip:+12025550101@{_HOME}>;tag=a1",
            f"To: <sip:+12025550101@{_HOME}>",
            "Call-ID: reg-0101@192.0.2.11",
            "CSeq: 1 REGISTER",
            f"Contact: <sip:001010000000101@192.0.2.11:5060;transport=tcp>;{_TAGS};reg-id=1;expires=600000",
            f"Route: <sip:pcscf.{_HOME};lr>",
            "Supported: path, gruu, outbound",
            "Allow: INVITE, ACK, CANCEL, BYE, MESSAGE, OPTIONS, NOTIFY, UPDATE, REFER",
            "User-Agent: IM-client/OMA1.0 SimVendor/SimPhoneA-14 RcsSim/0.1",
            "P-Access-Network-Info: 3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=0010100010000101",
            f'Authorization: Digest username="001010000000101@{_HOME}", realm="{_HOME}", uri="sip:{_HOME}", nonce="", '
            'response=""',
            "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c=1001;spi-s=1002",
            "Expires: 600000",
            "Content-Length: 0",
        ),
        (
            "SIP/2.0 401 Unauthorized",
            "Via: SIP/2.0/TCP 192.0.2.11:5060;branch=z9hG4bK-reg-1;rport=5060;received=192.0.2.11;keep",
            f"From: <sip:+12025550101@{_HOME}>;tag=a1",
            f"To: <sip:+12025550101@{_HOME}>;tag=s1",
            "Call-ID: reg-0101@192.0.2.11",
            "CSeq: 1 REGISTER",
            f'WWW-Authenticate: Digest realm="{_HOME}", nonce="8f3c1a5e", algorithm=MD5, qop="auth"',
            "Content-Length: 0",
        ),
        (
            "MESSAGE tel:+12025550102 SIP/2.0",
            "Via: SIP/2.0/UDP pcscf.example;branch=z9hG4bK-2, SIP/2.0/TCP [2001:db8::9]:5060;branch=z9hG4bK-1;rport",
            "Max-Forwards: 70",
            f"Route: <sip:pcscf.{_HOME};lr>, <sip:orig@scscf.{_HOME};lr>",
            f'From: "Alice, \\"A\\"" <sip:+12025550101@{_HOME};user=phone>;tag=a21',
            "To: <tel:+12025550102>",
            "Call-ID: msg-21@192.0.2.11",
            "CSeq: 1 MESSAGE",
            "P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg",
            'Accept-Contact: *;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";require;explicit',
            "Conversation-ID: 2f6b0a52-7d1c-4c2f-8f4e-5a9f3d7e1001",
            "Subject: folded",
            "\tand more",
            'Content-Type: multipart/mixed;boundary="3pb"',
            "Content-Length: 0",
        ),
        (
            "NOTIFY sip:a@192.0.2.11 SIP/2.0",
            "v: SIP/2.0/TLS as.example;branch=z9hG4bK-n",
            "f: sip:b@x;tag=1",
            "t: sip:a@x;tag=2",
            "i: n1",
            "CSeq: 2 NOTIFY",
            "o: reg;id=1",
            "Subscription-State: active;expires=600",
            "Require: eventlist",
            'Reason: SIP;cause=480;text="gone, away"',
            'Warning: 307 isi.edu "why, not"',
            "Retry-After: 120 (soon);duration=9",
            "P-Charging-Vector: icid-value=icid-1;orig-ioi=a",
            "Session-Expires: 1800;refresher=uac",
            "m: *",
            "l: 0",
        ),
    )
]
_KINDS: list[type[Header]] = [
    kind
    for kind in (getattr(headers, name) for name in headers.__all__)
    if isinstance(kind, type) and issubclass(kind, Header) and "KEY" in vars(kind)
]
_SPICE = [
    *'\r\n\t ;,:<>"\\@%=/?*[]\x00\x7f',
    "\r\n",
    "\r\n ",
    "\r\n\r\n",
    "é",
    "\udcff",
    "0",
    "9" * 30,
    "::",
    "Via:",
    ";tag=",
]


def _read_everything(message: Request | Response) -> None:
    """What any node might do with a message: nothing but SipParseError may come of it."""
    for kind in _KINDS:
        try:
            values = message.get_all(kind)
        except SipParseError:
            continue
        for value in values:
            assert type(value) is kind
            str(value)
    with contextlib.suppress(SipParseError):
        check(message)
    with contextlib.suppress(SipParseError):
        select_contacts(message.get_all(Contact), message.get_all(AcceptContact))


def _act_on(message: Request | Response) -> None:
    encoded = message.encode()
    assert parse_datagram(encoded).encode() == encoded
    edited = (
        message.edit()
        .push("Via", "SIP/2.0/UDP me;branch=z9hG4bK0")
        .pop(Route)
        .pop("Contact")
        .set(MaxForwards(1))
        .done()
    )
    parse_datagram(edited.encode())
    if isinstance(message, Request):
        uas_check(message, supported=frozenset(), methods=frozenset(), content_types=frozenset())
        with contextlib.suppress(SipParseError):
            check_request(message, ("me",), frozenset(), {"z9hG4bK0": message})
        answer = Response.to(message, 400, to_tag="x")
        assert parse_datagram(answer.encode()).encode() == answer.encode()


def _try(octets: bytes) -> None:
    try:
        message = parse_datagram(octets)
    except SipParseError as fault:
        if fault.request is not None:
            parse_datagram(Response.to(fault.request, fault.status, to_tag="x").encode())
        return
    _read_everything(message)
    _act_on(message)


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(_EXAMPLES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 1, 2, 5, 30])))
        put = draw(st.sampled_from(_SPICE) | st.text(max_size=3) | st.just(text[start : end + 3]))
        text = text[:start] + put + text[end:]
    return text


@settings(max_examples=400)
@given(_mutated())
def test_mutated_messages_are_read_or_refused(text: str) -> None:
    octets = text.encode("utf-8", "surrogatepass")
    _try(octets)
    for event in StreamDecoder().feed(octets):
        if isinstance(event, Request | Response):
            _read_everything(event)


@given(st.binary(max_size=300))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    _try(octets)
    _try(b"INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n" + octets + b"\r\n\r\n")


@given(st.sampled_from(_KINDS), st.text(max_size=30) | st.text("a1;,=\"<>@:/ \t\\*%.[]-'()", max_size=40))
def test_any_text_is_a_value_or_refused(kind: type[Header], text: str) -> None:
    try:
        value = kind.parse(text)
    except SipParseError:
        return
    assert kind.parse(str(value)) == value


def test_torture_messages_with_octets_changed_are_read_or_refused() -> None:
    chance = random.Random(4475)
    files = sorted(path for path in Path(vectors("sip")).glob("*/*.dat"))
    for path in files:
        octets = path.read_bytes()
        for _ in range(25):
            changed = bytearray(octets)
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(len(changed))] = chance.choice(b'\r\n \t;,:<>"\\@%=\x00\xff0aZ')
            _try(bytes(changed))


# --- a second opinion ------------------------------------------------------------------------------------------------

_WORD = st.text(string.ascii_letters + string.digits, min_size=1, max_size=10)
_HOST = st.sampled_from(["example.com", "192.0.2.7", "[2001:db8::1]", "a-b.c1.example", _HOME])
_PORT = st.none() | st.integers(1, 65535)
_URI = st.builds(
    lambda user, host, port, params: f"sip:{user}@{host}{'' if port is None else f':{port}'}{params}",
    _WORD | st.sampled_from(["+12025550101", "a.b_c", "%61b"]),
    _HOST,
    _PORT,
    st.sampled_from(["", ";lr", ";transport=tcp", ";user=phone;lr"]),
)
_NAME = st.sampled_from(["", "Alice ", '"Bob, Jr." ', '"" ', "Two Words "])


def _request_text(name: str, uri: str, other: str, tag: str, host: str, port: int | None, number: int) -> bytes:
    sent_by = host if port is None else f"{host}:{port}"
    lines = (
        f"OPTIONS {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {sent_by};branch=z9hG4bK{tag};rport",
        f"From: {name}<{other}>;tag={tag}",
        f"To: <{uri}>",
        f"Call-ID: {tag}@{host}",
        f"CSeq: {number} OPTIONS",
        f"Contact: {name}<{other}>;q=0.5;expires=60",
        f"Record-Route: <{uri}>, <{other}>",
        "Max-Forwards: 70",
        "Supported: path, gruu",
        "Content-Length: 0",
    )
    return "\r\n".join((*lines, "", "")).encode()


def _same_uri(ours: Uri, theirs: sipmessage.URI) -> bool:
    assert isinstance(ours, SipUri)
    user = None if ours.user is None else ours.user.replace("%61", "a")
    return (ours.scheme, user, ours.host, ours.port) == (theirs.scheme, theirs.user, theirs.host, theirs.port)


@given(_NAME, _URI, _URI, _WORD, _HOST, _PORT, st.integers(0, 2**31 - 1))
def test_another_parser_reads_the_same(
    name: str, uri: str, other: str, tag: str, host: str, port: int | None, number: int
) -> None:
    octets = _request_text(name, uri, other, tag, host, port, number)
    ours, theirs = parse_datagram(octets), sipmessage.Request.parse(octets)
    check(ours)
    assert isinstance(ours, Request)
    assert isinstance(theirs, sipmessage.Request)
    assert ours.encode() == octets
    assert bytes(theirs) == octets.replace(b" sip:%61b", b" sip:ab", 1)  # it unescapes the Request-URI
    assert (ours.method, ours.call_id) == (theirs.method, theirs.call_id)
    assert _same_uri(ours.request_uri, theirs.uri)
    assert (ours.cseq.number, ours.cseq.method) == (theirs.cseq.sequence, theirs.cseq.method)
    via = theirs.via[0]
    assert (ours.top_via.transport, ours.top_via.host, ours.top_via.port) == (via.transport, via.host, via.port)
    assert ours.top_via.branch == via.parameters["branch"]
    for kind, address in ((From, theirs.from_address), (To, theirs.to_address), (Contact, theirs.contact[0])):
        value = ours.require(kind)
        assert isinstance(value, From | To | Contact)
        assert (value.display_name or "") == address.name
        assert _same_uri(value.uri, address.uri)
        assert (value.params.get("tag")) == address.parameters.get("tag")
    assert ours.require(Supported).tokens == tuple(theirs.supported)
    for route, address in zip(ours.get_all(RecordRoute), theirs.record_route, strict=True):
        assert _same_uri(route.uri, address.uri)


@pytest.mark.parametrize("text", _EXAMPLES)
def test_the_examples_are_sound(text: str) -> None:
    message = parse_datagram(text.encode())
    check(message)
    assert message.encode() == text.encode()
    for kind in _KINDS:
        for value in message.get_all(kind):
            assert kind.parse(str(value)) == value


def test_what_is_read_of_the_examples() -> None:
    message = parse_datagram(_EXAMPLES[2].encode())
    assert isinstance(message, Request)
    assert identity_key(message.require(From).uri) == "tel:+12025550101"
    assert identity_key(message.request_uri) == "tel:+12025550102"
    assert [via.host for via in message.get_all(Via)] == ["pcscf.example", "[2001:db8::9]"]
    assert message.text("subject") == "folded and more"
    phone = parse_datagram(_EXAMPLES[0].encode()).require(Contact)
    assert message.require(AcceptContact).matches(FeatureSet.of_contact(phone))
    assert message.require(CSeq) == CSeq(1, "MESSAGE")
    assert message.require(CallId).value == message.call_id
    assert str(parse_uri(str(message.require(Route).uri))) == f"sip:pcscf.{_HOME};lr"
