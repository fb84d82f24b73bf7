from __future__ import annotations

from ims_core.nodes.own_address import OwnAddress, top_route
from ims_core.transport.link import Address, Transport
from ims_core.wire.sip.uri import parse_uri
from tests.support.core_cases import make_request

OWN = OwnAddress(
    (Address(Transport.UDP, "127.0.1.12", 5070), Address(Transport.TCP, "127.0.1.12", 5060)), ("scscf.Home.test",)
)


def test_a_node_knows_its_addresses_and_names() -> None:
    for text in ("sip:127.0.1.12", "sip:x@127.0.1.12:5060;lr", "sip:127.0.1.12:5070", "sip:SCSCF.home.test;lr"):
        assert OWN.is_own(parse_uri(text)), text
    for text in ("sip:127.0.1.12:5061", "sip:127.0.1.13", "sip:scscf.home.test:9", "tel:+1", "sip:home.test"):
        assert not OWN.is_own(parse_uri(text)), text


def test_uris_carry_the_address_for_the_transport() -> None:
    assert OWN.uri("orig") == "sip:orig@127.0.1.12:5060;transport=tcp;lr"
    assert OWN.uri(params="", transport=Transport.UDP) == "sip:127.0.1.12:5070;transport=udp"
    six = OwnAddress((Address(Transport.UDP, "2001:db8::1", 5060),))
    assert six.uri() == "sip:[2001:db8::1]:5060;transport=udp;lr"
    assert six.is_own(parse_uri("sip:[2001:db8::1]"))


def test_own_routes_on_top_are_counted() -> None:
    routes = [("Route", "<sip:127.0.1.12;lr>, <sip:x@scscf.home.test;lr>"), ("Route", "<sip:other;lr>")]
    request = make_request("BYE", "sip:b@c", *routes)
    assert OWN.routes_on_top(request) == 2
    assert top_route(request) == parse_uri("sip:127.0.1.12;lr")
    assert top_route(make_request("BYE", "sip:b@c")) is None


def test_strict_routing_is_undone() -> None:
    routes = [("Route", "<sip:next;lr>"), ("Route", "<sip:b@192.0.2.9>")]
    strict = make_request("BYE", "sip:dlg@127.0.1.12;lr", *routes)
    loose = OWN.undo_strict_routing(strict)
    assert loose.request_uri_text == "sip:b@192.0.2.9"
    assert loose.texts("Route") == ("<sip:dlg@127.0.1.12;lr>", "<sip:next;lr>")
    assert OWN.undo_strict_routing(loose) is loose
