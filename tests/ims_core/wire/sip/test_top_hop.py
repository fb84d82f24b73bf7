"""The top Via and CSeq read without values of them: what the typed values say, or nothing."""

from __future__ import annotations

import contextlib

import pytest

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sip.top_hop import top_hop
from ims_core.wire.sip.transaction_key import transaction_key

_SOURCE = ("192.0.2.9", 5060)


def _request(via: str, cseq: str = "7 MESSAGE", method: str = "MESSAGE") -> Request:
    head = f"{method} sip:b@b.example SIP/2.0\r\n{via}\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\n"
    request = parse_datagram(f"{head}CSeq: {cseq}\r\n\r\n".encode())
    assert isinstance(request, Request)
    return request


@pytest.mark.parametrize("host", ["client.example", "CLIENT.Example", "192.0.2.1"])
@pytest.mark.parametrize("port", ["", ":5060", ":4711"])
@pytest.mark.parametrize("end", ["", ";rport", ";keep", ";rport;keep"])
@pytest.mark.parametrize("source", [("192.0.2.1", 4711), ("client.example", 5060), ("2001:db8::1", 1)])
@pytest.mark.parametrize(("cseq", "method"), [("7 MESSAGE", "MESSAGE"), ("007 ACK", "ACK")])
def test_it_says_what_the_values_say(
    host: str, port: str, end: str, source: tuple[str, int], cseq: str, method: str
) -> None:
    request = _request(f"Via: SIP/2.0/UDP {host}{port};branch=z9hG4bKa1{end}", cseq, method)
    hop, via = top_hop(request, *source), request.top_via
    assert hop is not None
    key, text, is_answered_to_source = hop
    assert key == transaction_key(request)
    assert is_answered_to_source is (via.has_rport or via.port == source[1])
    marked = via.with_received(*source)
    assert (text or f"Via: {via}") == f"Via: {marked}"
    if text:
        request.mark_top_via(text)
        assert str(request.top_via) == str(marked)
        again = parse_datagram(request.encode())
        assert again.top_via == marked


@pytest.mark.parametrize(
    "via",
    [
        "v: SIP/2.0/UDP a;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP a;branch=z9hG4bK",
        "Via: SIP/2.0/UDP a;branch=old",
        "Via: SIP/2.0/UDP a;rport;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b",
        "Via: SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.1",
        "Via: SIP/2.0/UDP [2001:db8::1];branch=z9hG4bK1",
        "Via: nonsense",
        "X: y",
    ],
)
def test_what_is_written_otherwise_is_left_to_the_values(via: str) -> None:
    assert top_hop(_request(via), *_SOURCE) is None


@pytest.mark.parametrize("cseq", ["7  MESSAGE", "7 OPTIONS", "1234567890 MESSAGE", "x MESSAGE", "7", "\u0667 MESSAGE"])
def test_a_cseq_that_needs_a_closer_look_is_left_to_its_value(cseq: str) -> None:
    assert top_hop(_request("Via: SIP/2.0/UDP a;branch=z9hG4bK1", cseq), *_SOURCE) is None


@pytest.mark.parametrize("sent_by", ["999.0.2.1", "a..b", "-a", "a:65536", f"{'a' * 300}"])
def test_a_sent_by_that_cannot_be_is_refused(sent_by: str) -> None:
    request = _request(f"Via: SIP/2.0/UDP {sent_by};branch=z9hG4bK1")
    with contextlib.suppress(SipParseError):
        assert top_hop(request, *_SOURCE) is None
    with pytest.raises(SipParseError):
        _ = request.top_via
