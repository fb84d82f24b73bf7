"""Fields for somebody's words, beside a content, are read as what they say."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.message import Request
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.scenario.oracle_remarks import remarks_in_receipt, remarks_of_cpim, remarks_of_request
from rcs_sim.wire.cpim import CpimMessage

_RECEIPT = (
    b'<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>Mx1</message-id><datetime>2026-03-02T10:15:03Z</datetime>'
    b"<recipient-uri>tel:+12025550152</recipient-uri><subject> at &lt;eight&gt; </subject>"
    b"<delivery-notification><status><delivered/></status></delivery-notification></imdn>"
)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"Subject: at eight", "at eight"),
        (b"s: at eight", "at eight"),
        (b"Subject: =?UTF-8?B?YXQgZWlnaHQ=?=", "at eight"),
        (b"Subject: =?UTF-8?Q?at_eight?=", "at eight"),
        (b"Subject: =?no-such?B?YXQ?=", "=?no-such?B?YXQ?="),
    ],
)
def test_the_subject_of_a_request_is_a_remark(written: bytes, said: str) -> None:
    octets = (
        b"MESSAGE tel:+12025550152 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK1\r\n" + written + b"\r\n"
        b"From: <tel:+1>;tag=1\r\nTo: <tel:+2>\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
    )
    request = parse_datagram(octets)
    assert isinstance(request, Request)
    assert remarks_of_request(request) == (said,)


def test_both_heads_of_a_cpim_message_have_them() -> None:
    octets = (
        b"From: <tel:+1>\r\nTo: <tel:+2>\r\nSubject: one\r\nSubject:;lang=fr two\r\n\r\n"
        b"Content-Type: message/mls\r\nContent-Description: three\r\n\r\nx"
    )
    assert remarks_of_cpim(CpimMessage.parse(octets)) == ("one", "two", "three")


def test_what_a_receipt_has_to_say_is_none() -> None:
    assert remarks_in_receipt(_RECEIPT) == ("at <eight>",)
    assert remarks_in_receipt(b"\xff<a>\xff</a>") == ("\ufffd",)
    assert remarks_in_receipt(b"<" * 5000) == ()
