from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.message import Response
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.server.messaging_config import CpimFrom
from rcs_sim.server.relayed_request import (
    accept_contact_of,
    conversation_id,
    copied_headers,
    cpim_for_client,
    max_forwards_of,
    relay,
    rfc3339,
    route_of_dialog,
)
from rcs_sim.wire.cpim import CORE, CpimMessage
from tests.rcs_sim.server.messaging_lab import ALICE, BLUE, T0, cpim, message

SENDER = parse_uri(f"tel:{ALICE};phone-context=x")


def test_the_dialog_identifier_is_the_route_below_our_own() -> None:
    assert route_of_dialog(message()) == f"<sip:odi-7@scscf.{BLUE};lr>"
    assert route_of_dialog(message().edit().set("Route", f"<sip:rcsas.{BLUE};lr>").done()) is None
    assert route_of_dialog(message().edit().set("Route", "rubbish <").done()) is None


def test_max_forwards_is_70_where_it_cannot_be_read() -> None:
    assert max_forwards_of(message()) == 66
    assert max_forwards_of(message().edit().remove("Max-Forwards").done()) == 70
    assert max_forwards_of(message().edit().set("Max-Forwards", "x").done()) == 70


def test_each_copy_has_a_call_id_of_its_own() -> None:
    tokens = Tokens("t")
    copies = [relay(message(), tokens, BLUE).done() for _ in range(3)]
    assert len({copy.call_id for copy in copies}) == 3


def test_a_pair_has_one_conversation_whoever_begins() -> None:
    assert conversation_id(("a", "b")) == conversation_id(("b", "a")) != conversation_id(("a", "c"))


def test_an_answer_passes_on_what_is_not_of_its_hop() -> None:
    response = Response.to(message(), 403, headers=(("Warning", '399 a "b"'), ("Contact", "<sip:x@y>"), ("X-A", "1")))
    assert copied_headers(response) == (("Warning", '399 a "b"'), ("X-A", "1"))
    assert copied_headers(Response.to(message(), 200)) == ()


def test_the_bare_asserted_identity_stands_in_cpim_from() -> None:
    octets = cpim_for_client(cpim(sender="sip:anonymous@anonymous.invalid"), CpimFrom.ASSERTED, SENDER)
    assert octets is not None
    assert CpimMessage.parse(octets).raw_value(CORE, "From") == f"<tel:{ALICE}>"


def test_it_stays_as_it_is_where_nothing_is_asserted_or_wanted() -> None:
    assert cpim_for_client(cpim(), CpimFrom.KEEP, SENDER) is None
    assert cpim_for_client(cpim(), CpimFrom.ASSERTED, None) is None


@given(st.binary(max_size=200))
def test_no_octets_make_it_raise(octets: bytes) -> None:
    cpim_for_client(octets, CpimFrom.ASSERTED, SENDER)
    other_prefix = b"NS: i <urn:ietf:params:imdn>\r\ni.Message-ID: x\r\n"
    cpim_for_client(other_prefix + octets + b"\r\n\r\n\r\n", CpimFrom.ASSERTED, SENDER)


def test_other_namespaces_keep_their_meaning_when_prefixes_are_rewritten() -> None:
    body = (
        b"From: <sip:a@b>\r\nTo: <sip:c@d>\r\nNS: x <urn:ietf:params:imdn>\r\nNS: imdn <http://www.gsma.com>\r\n"
        b"NS: y <http://other.example>\r\nx.Message-ID: m1\r\nimdn.Reference-ID: r1\r\ny.Thing: 7\r\n"
        b"\r\nContent-Type: text/plain\r\n\r\nhi"
    )
    octets = cpim_for_client(body, CpimFrom.ASSERTED, SENDER)
    assert octets is not None
    read = CpimMessage.parse(octets)
    assert b"\r\nimdn.Message-ID: m1\r\n" in octets
    assert read.message_id == "m1"
    assert read.get("http://www.gsma.com", "Reference-ID") == "r1"
    assert read.get("http://other.example", "Thing") == "7"
    assert read.text == "hi"


def test_small_forms() -> None:
    assert rfc3339(T0 + 0.12) == "2026-03-02T10:15:30.120Z"
    assert accept_contact_of("urn:a:b") == '*;+g.3gpp.icsi-ref="urn%3Aa%3Ab"'
