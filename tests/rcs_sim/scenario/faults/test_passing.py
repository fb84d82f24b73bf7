"""One message on its way: read, rewritten, repeated."""

from __future__ import annotations

from ims_core.transport.link import AddressBook
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sms.sm_link import Detach, encode_frame
from rcs_sim.scenario.faults.link_tap import LinkTap
from rcs_sim.scenario.faults.passing import Line, Passing, with_cpim_body
from rcs_sim.wire.cpim import CpimMessage, compose_cpim
from tests.rcs_sim.scenario.faults.test_link_tap import Wire

CPIM = compose_cpim(
    sender="sip:anonymous@anonymous.invalid",
    recipient="sip:anonymous@anonymous.invalid",
    message_id="m1",
    date_time="2026-03-02T10:15:00Z",
    body=b"hello",
)


def passing(octets: bytes, line: Line = Line.SIP) -> Passing:
    wire = Wire(AddressBook())
    return Passing(LinkTap(wire.book), wire, octets, line)


def message(body: bytes = CPIM) -> bytes:
    headers = (
        ("Via", "SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKone"),
        ("Via", "SIP/2.0/TCP 10.0.0.2;branch=z9hG4bKtwo"),
        ("From", "<sip:a@h>;tag=1"),
        ("To", "<sip:b@h>"),
        ("Call-ID", "call"),
        ("CSeq", "1 MESSAGE"),
    )
    return Request.new("MESSAGE", "sip:b@h", headers, body, "message/cpim").encode()


def test_the_content_of_a_message_is_read_and_replaced() -> None:
    one = passing(message())
    assert one.cpim is not None
    assert one.cpim.body == b"hello"
    other = passing(one.with_cpim(with_cpim_body(one.cpim, b"something longer")))
    assert other.cpim is not None
    assert other.cpim.body == b"something longer"
    assert other.cpim.message_id == "m1"


def test_another_body_has_its_own_length() -> None:
    changed = CpimMessage.parse(with_cpim_body(CpimMessage.parse(CPIM), b"abc"))
    assert changed.body == b"abc"
    assert b"Content-Length: 3\r\n" in changed.raw


def test_what_is_sent_again_as_a_request_of_its_own_is_no_retransmission() -> None:
    again = parse_datagram(passing(message()).as_new_request(number="again1"))
    assert again.call_id == "again1-call"
    assert again.texts("Via") == (
        "SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKagain1one",
        "SIP/2.0/TCP 10.0.0.2;branch=z9hG4bKtwo",
    )
    assert again.body == CPIM


def test_octets_of_another_kind_are_none_of_these() -> None:
    odd = passing(b"\x00\x01\x02")
    assert (odd.sip, odd.request, odd.response, odd.cpim) == (None, None, None, None)
    assert passing(b"odd", Line.MSRP).frame is None
    assert passing(b"odd", Line.SM).short_message is None
    assert passing(encode_frame(Detach(7)), Line.SM).short_message == Detach(7)


def test_the_protocol_is_what_the_trace_calls_it() -> None:
    assert [passing(b"", line).protocol for line in Line] == ["", "SIP", "MSRP", "HTTP", "SM", "SIP"]
