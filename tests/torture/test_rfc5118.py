"""What RFC 5118 and RFC 5954 say of IPv6 addresses in SIP messages."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.headers import Via
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sip.uri import SipUri
from tests.support.vectors import vectors


def _request(name: str) -> Request:
    message = parse_datagram(vectors(f"sip/rfc5118/{name}.dat").read_bytes())
    assert isinstance(message, Request)
    return message


def _request_uri(name: str) -> SipUri:
    uri = _request(name).request_uri
    assert isinstance(uri, SipUri)
    return uri


def test_a_port_within_the_brackets_belongs_to_the_address() -> None:
    assert (_request_uri("port-ambiguous").host, _request_uri("port-ambiguous").port) == ("[2001:db8::10:5070]", None)


def test_a_port_after_the_brackets_is_the_port() -> None:
    assert (_request_uri("port-unambiguous").address, _request_uri("port-unambiguous").port) == ("2001:db8::10", 5070)


@pytest.mark.parametrize("name", ["via-received-param-no-delim", "via-received-param-with-delim"])
def test_received_is_the_address_with_or_without_brackets(name: str) -> None:
    received = [via.received for via in _request(name).get_all(Via) if via.received]
    assert received == ["2001:db8::9:255"]


def test_addresses_of_both_kinds_mix_in_one_via_list() -> None:
    hosts = [via.host for via in _request("mult-ip-in-header").get_all(Via)]
    assert any(host.startswith("[") for host in hosts)
    assert any(not host.startswith("[") for host in hosts)
