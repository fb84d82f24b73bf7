"""Headers of the IMS."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.header import Header
from ims_core.wire.sip.headers import SecurityServer
from ims_core.wire.sip.ims_headers import (
    PAccessNetworkInfo,
    PAssertedService,
    PChargingVector,
    PPreferredService,
    SecurityClient,
    SecurityVerify,
)
from ims_core.wire.sip.message import Request


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (PAccessNetworkInfo, "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010000101"),
        (PAccessNetworkInfo, 'IEEE-802.11;i-wlan-node-id="00 00";country=US'),
        (PChargingVector, "icid-value=icid-0101;orig-ioi=ims.mnc001.mcc001.3gppnetwork.org"),
        (PAssertedService, "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg"),
        (SecurityServer, "ipsec-3gpp;q=0.5;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c=2001;spi-s=2002"),
    ],
)
def test_a_value_is_written_as_it_was_read(header: type[Header], text: str) -> None:
    assert str(header.parse(text)) == text


@pytest.mark.parametrize(
    ("header", "text"),
    [(PChargingVector, "orig-ioi=a"), (PChargingVector, ""), (PAssertedService, "sip:a"), (SecurityClient, ";a=b")],
)
def test_what_breaks_the_grammar_is_refused(header: type[Header], text: str) -> None:
    with pytest.raises(SipParseError):
        header.parse(text)


def test_properties() -> None:
    assert PAccessNetworkInfo.parse("IEEE-802.11 ; i-wlan-node-id=0").access_type == "IEEE-802.11"
    assert PChargingVector.parse('icid-value="a b";x=1').icid == "a b"
    assert PPreferredService.parse("urn:urn-7:x").urn == "urn:urn-7:x"


def test_mechanisms_in_one_field_or_several() -> None:
    request = Request.new(
        "REGISTER", "sip:a", [("Security-Verify", "ipsec-3gpp;q=0.1, tls;q=0.2"), ("Security-Verify", "Digest")]
    )
    assert [value.mechanism for value in request.get_all(SecurityVerify)] == ["ipsec-3gpp", "tls", "digest"]
