"""The header table of digest §17.1."""

from __future__ import annotations

import pytest

from ims_core.nodes.border_policy import (
    NniPeer,
    clean_request,
    clean_response,
    hide_user_agent,
    identity_fault,
    is_forbidden,
)
from ims_core.nodes.number_table import NumberTable
from ims_core.wire.sip.message import Request, Response
from tests.support.core_cases import make_request

RED, BLUE = "red.test", "blue.test"
PEER = NniPeer(domain=BLUE, hosts=frozenset(("127.0.2.13",)))
STRANGER = NniPeer(domain=BLUE, hosts=frozenset(), is_trusted=False, border="edge.blue.test")
NUMBERS = NumberTable({"+1202555010": RED, "+1202555015": BLUE})
KEPT = (
    ("Subject", "s"), ("Session-Expires", "1800"), ("Reason", "SIP;cause=200"), ("Conversation-ID", "c"),
    ("Contribution-ID", "k"), ("In-Reply-To", "x@y"), ("Referred-By", "<sip:a@b>"), ("Event", "conference"),
    ("Accept-Contact", "*;+x"), ("Contact", "<sip:a@b>;+g.3gpp.icsi-ref=\"x\""), ("P-Asserted-Service", "urn:x:y"),
    ("User-Agent", "phone"), ("X-Unknown", "kept"), ("Privacy", "id"),
)  # fmt: skip
GONE = (
    "P-Preferred-Identity", "P-Preferred-Service", "P-Charging-Function-Addresses", "P-Access-Network-Info",
    "P-Visited-Network-ID", "P-Served-User", "P-Called-Party-ID", "Path", "Service-Route", "P-Associated-URI",
    "Security-Client", "Security-Server", "Security-Verify", "Authorization", "Proxy-Authorization",
)  # fmt: skip


def cleaned(request: Request, peer: NniPeer | None) -> Request:
    editor = request.edit()
    clean_request(editor, request, own_domain=RED, peer=peer)
    return editor.done()


def test_what_may_cross_is_left_as_it_is_and_the_rest_removed() -> None:
    request = make_request("MESSAGE", "sip:b@blue.test", *KEPT, *((name, "<sip:x@y>") for name in GONE))
    for peer in (PEER, None):
        after = cleaned(request, peer)
        assert [name for name, text in KEPT if after.text(name) != text] == []
        assert [name for name in GONE if after.has(name)] == []


def test_the_charging_vector_keeps_its_icid_and_names_the_own_network() -> None:
    vector = ("P-Charging-Vector", "icid-value=1;icid-generated-at=127.0.1.10;orig-ioi=other")
    after = cleaned(make_request("MESSAGE", "sip:b@x", vector), PEER)
    assert after.text("P-Charging-Vector") == "icid-value=1;orig-ioi=red.test"
    assert cleaned(make_request("MESSAGE", "sip:b@x", vector), None).text("P-Charging-Vector") == (
        "icid-value=1;orig-ioi=other"
    )


def test_a_peer_outside_the_trust_domain_learns_no_private_identity() -> None:
    asserted, private = ("P-Asserted-Identity", "<sip:a@red.test>"), ("Privacy", "user;id")
    assert cleaned(make_request("MESSAGE", "sip:b@x", asserted, private), PEER).has("P-Asserted-Identity")
    assert not cleaned(make_request("MESSAGE", "sip:b@x", asserted, private), STRANGER).has("P-Asserted-Identity")
    assert cleaned(make_request("MESSAGE", "sip:b@x", asserted), STRANGER).has("P-Asserted-Identity")
    assert STRANGER.border_uri == "sip:edge.blue.test"
    assert PEER.border_uri == "sip:ibcf.blue.test"


@pytest.mark.parametrize(
    ("identities", "is_fault"),
    [
        ("<sip:bob@blue.test>", False),
        ("<sip:focus@focus.blue.test>", False),
        ("<tel:+12025550152>", False),
        ("<sip:+12025550152@blue.test>, <tel:+12025550152>", False),
        ("<sip:alice@red.test>", True),
        ("<sip:alice@notblue.test>", True),
        ("<tel:+12025550101>", True),
        ("<tel:+442071838750>", True),
        ("<sip:+12025550101@blue.test>", True),  # his domain, our number
        ("<sip:bob@blue.test>, <tel:+12025550101>", True),
    ],
)
def test_an_asserted_identity_has_to_be_the_peers(identities: str, is_fault: bool) -> None:
    request = make_request("MESSAGE", "sip:a@red.test", ("P-Asserted-Identity", identities))
    assert identity_fault(request, PEER, NUMBERS) is is_fault


def test_no_identity_is_no_fault() -> None:
    assert not identity_fault(make_request("BYE", "sip:a@red.test"), PEER, NUMBERS)


@pytest.mark.parametrize(
    ("request_", "is_refused"),
    [
        (make_request("REGISTER", "sip:red.test"), True),
        (make_request("PUBLISH", "sip:a@red.test", ("Event", "presence")), True),
        (make_request("SUBSCRIBE", "sip:a@red.test", ("Event", "Presence")), True),
        (make_request("NOTIFY", "sip:a@red.test", ("Event", "reg")), True),
        (make_request("SUBSCRIBE", "sip:a@red.test", ("Event", "conference")), False),
        (make_request("REFER", "sip:a@red.test"), False),
        (make_request("MESSAGE", "sip:a@red.test", body=b"x", content_type="application/vnd.3gpp.sms"), True),
        (make_request("MESSAGE", "sip:a@red.test", body=b"x", content_type="message/cpim"), False),
    ],
)
def test_what_crosses_at_all(request_: Request, is_refused: bool) -> None:
    assert is_forbidden(request_) is is_refused


def test_a_response_to_the_peer_says_whose_network_answered() -> None:
    response = Response.new(200, headers=[("P-Charging-Function-Addresses", "ccf=1")])
    editor = response.edit()
    clean_response(editor, response, own_domain=BLUE, to_peer=True, icid="icid-value=1")
    after = editor.done()
    assert after.text("P-Charging-Vector") == "icid-value=1;term-ioi=blue.test"
    assert not after.has("P-Charging-Function-Addresses")
    response = Response.new(200, headers=[("P-Charging-Vector", "icid-value=2;icid-generated-at=x")])
    editor = response.edit()
    clean_response(editor, response, own_domain=BLUE, to_peer=True, icid=None)
    assert editor.done().text("P-Charging-Vector") == "icid-value=2;term-ioi=blue.test"
    editor = response.edit()
    clean_response(editor, response, own_domain=BLUE, to_peer=False, icid=None)
    assert editor.done().text("P-Charging-Vector") == "icid-value=2;icid-generated-at=x"


def test_product_names_can_be_hidden() -> None:
    request = make_request("MESSAGE", "sip:b@x", ("User-Agent", "u"), ("Server", "s"))
    editor = request.edit()
    hide_user_agent(editor, request)
    assert not editor.done().has("User-Agent")
