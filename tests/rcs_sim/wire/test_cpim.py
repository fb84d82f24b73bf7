"""CPIM: the outside cases, exact emission, lenient reception, rewriting without touching the rest."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.wire.cpim import (
    CORE,
    GSMA,
    IMDN,
    CpimAddress,
    CpimAnomaly,
    CpimHeader,
    CpimMessage,
    CpimParseError,
    compose_cpim,
)
from rcs_sim.wire.imdn import parse_imdn
from tests.support.vectors import load_vectors

_CASES: list[dict[str, Any]] = load_vectors("rcs/cpim.json")["cases"]

_PAGER = (
    b"From: <sip:+12025550101@ims.mnc001.mcc001.3gppnetwork.org>\r\n"
    b"To: <tel:+12025550102>\r\n"
    b"NS: imdn <urn:ietf:params:imdn>\r\n"
    b"imdn.Message-ID: 7b0c2f1e-3c55-4c7b-9a55-0f4c6d1a0001\r\n"
    b"DateTime: 2026-03-02T10:15:30.120Z\r\n"
    b"imdn.Disposition-Notification: positive-delivery, display\r\n"
    b"\r\n"
    b"Content-Type: text/plain;charset=UTF-8\r\n"
    b"Content-Length: 9\r\n"
    b"\r\n"
    b"Hello Bob"
)


def _message(*lines: str, body: bytes = b"\r\nHi") -> CpimMessage:
    return CpimMessage.parse("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body)


def _triples(message: CpimMessage) -> list[list[str]]:
    return [[header.namespace, header.name, header.value] for header in message.headers]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case["name"])
def test_outside_case(case: dict[str, Any]) -> None:
    octets = base64.b64decode(case["message_b64"])
    if not case["accept"]:
        with pytest.raises(CpimParseError):
            CpimMessage.parse(octets)
        return
    message = CpimMessage.parse(octets)
    assert message.raw == octets
    if "headers" in case:
        assert _triples(message) == case["headers"]
    for triple in case.get("headers_subset", []):
        assert triple in _triples(message)
    for name in case.get("absent", []):
        assert name not in [header.name for header in message.headers]
    if "mime" in case:
        assert [list(pair) for pair in message.mime_headers] == case["mime"]
    if "body" in case:
        assert message.text == case["body"]
    if "imdn" in case:
        (receipt,) = parse_imdn(message.content_type, message.body)
        expected = case["imdn"]
        assert (receipt.message_id, receipt.kind, receipt.status) == (
            expected["message_id"],
            expected["kind"],
            expected["status"],
        )


def test_the_usual_message_is_composed_octet_for_octet() -> None:
    composed = compose_cpim(
        sender="sip:+12025550101@ims.mnc001.mcc001.3gppnetwork.org",
        recipient="tel:+12025550102",
        message_id="7b0c2f1e-3c55-4c7b-9a55-0f4c6d1a0001",
        date_time="2026-03-02T10:15:30.120Z",
        disposition_notification=("positive-delivery", "display"),
        body=b"Hello Bob",
    )
    assert composed == _PAGER


def test_typed_views_of_the_usual_message() -> None:
    message = CpimMessage.parse(_PAGER)
    assert message.sender == CpimAddress("sip:+12025550101@ims.mnc001.mcc001.3gppnetwork.org")
    assert message.recipients == (CpimAddress("tel:+12025550102"),)
    assert message.message_id == "7b0c2f1e-3c55-4c7b-9a55-0f4c6d1a0001"
    assert message.date_time == "2026-03-02T10:15:30.120Z"
    assert message.disposition_notification == ("positive-delivery", "display")
    assert (message.content_type.essence, message.content_type.parameter("Charset")) == ("text/plain", "UTF-8")
    assert message.anomalies is CpimAnomaly.NONE


def test_asserting_the_sender_touches_no_other_octet() -> None:
    rewritten = CpimMessage.parse(_PAGER).with_from("tel:+12025550101")
    assert rewritten.raw == _PAGER.replace(b"sip:+12025550101@ims.mnc001.mcc001.3gppnetwork.org", b"tel:+12025550101")


def test_asserting_the_sender_keeps_foreign_line_ends_prefixes_and_binary_content() -> None:
    octets = (
        b"NS: z <urn:q>\nfrom:<sip:liar@x>\r\nFrom: <sip:liar2@x>\nz.A: 1\n\r\nContent-Type: a/b\n\n\x00\xff\r\n\r\n"
    )
    rewritten = CpimMessage.parse(octets).with_from("tel:+1")
    assert rewritten.raw == b"NS: z <urn:q>\nFrom: <tel:+1>\r\nz.A: 1\n\r\nContent-Type: a/b\n\n\x00\xff\r\n\r\n"
    assert [address.raw for address in rewritten.get_all(CORE, "From")] == ["<tel:+1>"]


def test_asserting_a_sender_that_was_missing_puts_it_first_where_the_cpim_namespace_is_in_force() -> None:
    rewritten = _message("NS: <urn:other>", "From: <sip:liar@x>").with_from("tel:+1")
    assert rewritten.raw.startswith(b"From: <tel:+1>\r\nNS: <urn:other>\r\nFrom: <sip:liar@x>\r\n")
    assert rewritten.sender == CpimAddress("tel:+1")


def test_a_header_is_replaced_under_the_prefix_of_the_sender() -> None:
    message = _message("NS: q <urn:ietf:params:imdn>", "q.Message-ID: a", "q.Message-ID: b")
    rewritten = message.with_header(CpimHeader.of(IMDN, "Message-ID", "c"))
    assert rewritten.raw == b"NS: q <urn:ietf:params:imdn>\r\nq.Message-ID: c\r\n\r\n\r\nHi"


def test_a_header_is_added_with_its_declaration_only_if_none_is_in_force() -> None:
    record_route = CpimHeader.of(IMDN, "IMDN-Record-Route", "<sip:as>")
    declared = _message("NS: imdn <urn:ietf:params:imdn>", "imdn.Message-ID: a").with_header(record_route)
    assert declared.raw.count(b"NS:") == 1
    assert declared.get(IMDN, "IMDN-Record-Route") == "<sip:as>"
    clash = _message("NS: imdn <urn:x>", "imdn.A: 1").with_header(record_route)
    assert clash.get(IMDN, "IMDN-Record-Route") == "<sip:as>"
    assert clash.get("urn:x", "A") == "1"


def test_headers_are_put_under_the_prefix_that_a_reader_knows() -> None:
    message = _message(
        "NS: q <urn:ietf:params:imdn>",
        "imdn.Message-ID: spoof",
        "q.Message-ID: m",
        "NS: <urn:ietf:params:imdn>",
        "X: 1",
    ).with_prefix(IMDN, "imdn")
    assert message.raw == (
        b"NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m\r\n"
        b"NS: imdn <urn:ietf:params:imdn>\r\nimdn.X: 1\r\n\r\n\r\nHi"
    )
    assert message.with_prefix(IMDN, "imdn") is message
    clash = _message("NS: imdn <urn:x>", "imdn.A: 1", "NS: q <urn:ietf:params:imdn>", "q.Message-ID: m")
    assert clash.with_prefix(IMDN, "imdn") is clash


def test_a_header_is_removed_with_all_its_repeats() -> None:
    message = _message("From: <tel:+1>", "Subject: a", "Subject:;lang=fr b").without_header(CORE, "subject")
    assert message.raw == b"From: <tel:+1>\r\n\r\n\r\nHi"


def test_the_first_of_repeated_headers_counts_and_all_can_be_read() -> None:
    message = _message("Subject: hi", 'Subject:;lang=fr;x="a\\"b;c" salut', "NS: imdn <urn:ietf:params:imdn>")
    assert message.get(CORE, "Subject") == "hi"
    second = message.get_all(CORE, "Subject")[1]
    assert (second.value, second.parameters) == ("salut", (("lang", "fr"), ("x", 'a"b;c')))


def test_an_exact_name_wins_over_one_that_differs_in_case() -> None:
    assert _message("datetime: wrong", "DateTime: right").date_time == "right"


@given(st.lists(st.sampled_from(["i.A: 1", "i.A: 2", "i.a: 3", "i.B: \\t", "i.C: 5", "A: 6", "j.B: 7"]), max_size=6))
def test_values_that_are_looked_up_together_are_those_that_are_looked_up_alone(headers: list[str]) -> None:
    message = _message("NS: i <urn:i>", "NS: j <urn:j>", *headers)
    assert message.get_each("urn:i", ("B", "A")) == [message.get("urn:i", "B"), message.get("urn:i", "A")]


def test_the_cpim_namespace_may_be_named_by_its_uri() -> None:
    message = _message(
        "NS: c <urn:ietf:params:cpim-headers:>", "NS: <urn:x>", "c.From: <tel:+1>", "c.NS: i <urn:y>", "i.A: b"
    )
    assert message.sender == CpimAddress("tel:+1")
    assert message.get("urn:y", "A") == "b"


@pytest.mark.parametrize(
    ("raw", "uri", "name"),
    [
        ("<tel:+1>", "tel:+1", ""),
        ("Alice A <tel:+1>", "tel:+1", "Alice A"),
        ('"Bob \\"B\\" <x>" <tel:+1>', "tel:+1", 'Bob "B" <x>'),
        ("tel:+1", "tel:+1", ""),
        (" <tel:+1> ", "tel:+1", ""),
    ],
)
def test_addresses_are_read_in_every_form(raw: str, uri: str, name: str) -> None:
    assert CpimAddress.parse(raw) == CpimAddress(uri, name)


@pytest.mark.parametrize("raw", ["", "<>", "<tel:+1", "a b", "<tel:+1> x", '"a <tel:+1>x', "<a b>", "<a>b>"])
def test_malformed_addresses_are_refused(raw: str) -> None:
    with pytest.raises(CpimParseError):
        CpimAddress.parse(raw)


@given(st.text(max_size=40), st.from_regex(r"[a-z]+:[a-z0-9@.+]{1,30}", fullmatch=True))
def test_addresses_survive_a_round_trip(name: str, uri: str) -> None:
    address = CpimAddress(uri, name)
    expected = name.encode("utf-8", "replace") == name.encode("utf-8", "surrogatepass")
    assert CpimAddress.parse(address.encode()).uri == uri
    assert not expected or CpimAddress.parse(address.encode()).display_name == name


@given(st.text(max_size=60))
def test_header_values_survive_a_round_trip(value: str) -> None:
    octets = compose_cpim(
        sender="tel:+1",
        recipient="tel:+2",
        message_id=value,
        date_time="t",
        body=b"",
        extra=[CpimHeader.of(GSMA, "X", value)],
    )
    message = CpimMessage.parse(octets)
    assert message.get(GSMA, "X") == message.get(IMDN, "Message-ID") == value


@given(st.binary(max_size=300))
def test_content_of_any_octets_is_untouched(body: bytes) -> None:
    octets = compose_cpim(
        sender="tel:+1", recipient="tel:+2", message_id="m", date_time="t", body=body, content_type="a/b"
    )
    assert CpimMessage.parse(octets).body == body
    assert CpimMessage.parse(octets).with_from("tel:+3").body == body


_PIECES = st.sampled_from(
    [
        *(
            b"From: <a:b>",
            b"NS: imdn <urn:ietf:params:imdn>",
            b"imdn.Message-ID: x\\u00e9",
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b":",
        ),
        *(
            b";",
            b"a=b",
            b"Content-Length: 3",
            b"Content-Transfer-Encoding: base64",
            b"Content-Type: text/plain;charset=x",
        ),
        *(b"\\", b'"', b"\xff", b"\x00", b"<", b">", b".", b"NS", b"abc", b"\xf0\x9f\x91\x8d"),
    ]
)


@given(st.one_of(st.binary(max_size=200), st.lists(_PIECES, max_size=25).map(b"".join)))
def test_any_octets_give_a_message_or_the_modules_own_error(octets: bytes) -> None:
    with contextlib.suppress(CpimParseError):
        message = CpimMessage.parse(octets)
        assert message.raw == octets
        assert message.headers is not None
        assert (repr(message), message.text, message.date_time, message.disposition_notification) is not None
        with contextlib.suppress(CpimParseError):
            assert (message.sender, message.recipients) is not None
        rewritten = message.with_from("tel:+1")
        assert rewritten.sender == CpimAddress("tel:+1")
        assert rewritten.body == message.body


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"From: <a:b>\r\n\r\n",
        b"From: <a:b>\r\n\r\nHello",
        b"From <a:b>\r\n\r\n\r\n",
        b"From: <a:b>\x00\r\n\r\n\r\n",
        b"From: <a:b>\rX: 1\r\n\r\n\r\n",
        b"From: \xff\r\n\r\n\r\n",
        b" From: <a:b>\r\n\r\n\r\n",
        b"Fr om: <a:b>\r\n\r\n\r\n",
        b"NS: imdn urn:x\r\n\r\n\r\n",
        b"A: 1\r\n\r\nContent-Length: x\r\n\r\n",
        b"A: 1\r\n\r\nContent-Length: -1\r\n\r\n",
        b"A: 1\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\n*",
        b"A: " + b"1" * 20_000 + b"\r\n\r\n\r\n",
        b"A: 1\r\n" * 101 + b"\r\n\r\n",
        b"A: 1\r\n\r\n" + b"B: 1\r\n" * 101 + b"\r\n",
    ],
)
def test_malformed_messages_are_refused(octets: bytes) -> None:
    with pytest.raises(CpimParseError):
        CpimMessage.parse(octets)


def test_accepted_deviations_are_noted() -> None:
    message = CpimMessage.parse(b"From:<a:b>\nq.X: 1\n\nContent-Length: 1\nContent-Transfer-Encoding: x-own\n\nHello")
    assert message.anomalies == (
        CpimAnomaly.BARE_LF
        | CpimAnomaly.NO_SPACE_AFTER_COLON
        | CpimAnomaly.UNDECLARED_PREFIX
        | CpimAnomaly.CONTENT_LENGTH_SHORT
        | CpimAnomaly.UNKNOWN_TRANSFER_ENCODING
    )
    assert message.body == b"H"


def test_what_no_header_can_carry_is_a_fault_of_the_caller() -> None:
    for header in (CpimHeader(CORE, "A B", "x"), CpimHeader(CORE, "A", "x\r\nB: y"), CpimHeader("urn x", "A", "x")):
        with pytest.raises(LocalProtocolError):
            CpimMessage.parse(_PAGER).with_header(header)
    with pytest.raises(LocalProtocolError):
        compose_cpim(sender="a>b", recipient="tel:+1", message_id="m", date_time="t", body=b"")
    with pytest.raises(LocalProtocolError):
        compose_cpim(
            sender="a:b", recipient="tel:+1", message_id="m", date_time="t", body=b"", content_type="a/b\r\nX: y"
        )


def test_namespaces_are_declared_before_the_first_header_with_a_prefix() -> None:
    octets = compose_cpim(
        sender="tel:+1",
        recipient="tel:+2",
        message_id="m",
        date_time="t",
        body=b"",
        extra=(CpimHeader("http://www.gsma.com/rcs/mls", "Era-ID", "1"), CpimHeader("urn:rcs-sim:mls", "Detail", "d")),
    )
    mls, sim = b"NS: mls <http://www.gsma.com/rcs/mls>\r\n", b"NS: sim <urn:rcs-sim:mls>\r\n"
    assert mls + sim + b"imdn.Message-ID" in octets
    assert octets.count(b"NS: ") == 3
    assert b"mls.Era-ID: 1\r\nsim.Detail: d\r\n" in octets
    with pytest.raises(LocalProtocolError):
        compose_cpim(
            sender="tel:+1",
            recipient="tel:+2",
            message_id="m",
            date_time="t",
            body=b"",
            extra=(CpimHeader("no uri", "a", "b"),),
        )
