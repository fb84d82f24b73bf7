from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.transport.link import Address, Transport
from ims_core.transport.name_table import Hop, NameTable, is_ip_literal
from ims_core.wire.sip.headers import Route
from ims_core.wire.sip.uri import parse_uri

_TCP = Address(Transport.TCP, "127.0.1.12", 5060)
_UDP = Address(Transport.UDP, "127.0.1.12", 5060)
_TLS = Address(Transport.TLS, "127.0.1.12", 5061)
_V6 = Address(Transport.UDP, "2001:db8::1", 5070)


@pytest.fixture
def names() -> NameTable:
    table = NameTable()
    table.add("scscf.red.example", _TCP, _UDP, _TLS)
    table.add("v6.red.example", _V6)
    return table


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:scscf.red.example", _TCP),
        ("sip:orig@SCSCF.red.example.;lr", _TCP),
        ("sip:scscf.red.example;transport=udp", _UDP),
        ("sip:scscf.red.example;transport=TLS", _TLS),
        ("sips:scscf.red.example", _TLS),
        ("sips:scscf.red.example;transport=tcp", _TLS),
        ("sip:scscf.red.example:5061", _TLS),
        ("sip:scscf.red.example:7000", Address(Transport.TCP, "127.0.1.12", 7000)),
        ("sip:scscf.red.example:7000;transport=udp", Address(Transport.UDP, "127.0.1.12", 7000)),
        ("sip:v6.red.example", _V6),
        ("sip:v6.red.example;transport=tls", Address(Transport.TLS, "2001:db8::1", 5061)),
        ("sip:127.0.1.12", _TCP),
        ("sip:127.0.1.12:5060;transport=udp", _UDP),
        ("sip:192.0.2.1", Address(Transport.UDP, "192.0.2.1", 5060)),
        ("sip:192.0.2.1:5080;transport=tcp", Address(Transport.TCP, "192.0.2.1", 5080)),
        ("sips:192.0.2.1", Address(Transport.TLS, "192.0.2.1", 5061)),
        ("sip:[2001:db8::2]:5081", Address(Transport.UDP, "2001:db8::2", 5081)),
        ("sip:bob@nowhere.example;maddr=192.0.2.9", Address(Transport.UDP, "192.0.2.9", 5060)),
        ("sip:bob@nowhere.example", None),
        ("sip:scscf.red.example;transport=sctp", None),
        ("sips:scscf.red.example;transport=udp", None),
        ("tel:+12025550101", None),
        ("urn:service:sos", None),
    ],
)
def test_a_uri_leads_to_its_hop(names: NameTable, uri: str, address: Address | None) -> None:
    assert names.hop(parse_uri(uri)) == (None if address is None else Hop(address))


def test_a_route_value_leads_to_the_hop_of_its_uri(names: NameTable) -> None:
    assert names.hop(Route.parse("<sip:scscf.red.example;lr>;x=y")) == Hop(_TCP)


def test_a_removed_name_leads_nowhere(names: NameTable) -> None:
    names.remove("scscf.red.example")
    assert names.hop(parse_uri("sip:scscf.red.example")) is None
    assert names.hop(parse_uri("sip:127.0.1.12")) == Hop(_UDP)
    assert names.addresses("scscf.red.example") == ()


def test_added_addresses_come_after_those_known(names: NameTable) -> None:
    other = Address(Transport.TCP, "127.0.1.99", 5060)
    names.add("scscf.red.example", other, _TCP)
    assert names.addresses("scscf.red.example") == (_TCP, _UDP, _TLS, other)


def test_a_hop_is_one_thing_or_the_other() -> None:
    with pytest.raises(LocalProtocolError):
        Hop()


def test_ip_literals_are_told_from_names() -> None:
    assert [is_ip_literal(text) for text in ("127.0.0.1", "::1", "a.example", "1.2.3", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]
