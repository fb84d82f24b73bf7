"""Table 15.4 of the digest, statement by statement."""

from __future__ import annotations

import itertools
from dataclasses import replace

from ims_core.nodes.ibcf import IbcfConfig, IbcfCore, NniPeer
from ims_core.nodes.number_table import NumberTable
from ims_core.nodes.own_address import OwnAddress
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import FailureReason, TransactionFailure
from ims_core.wire.sip.message import Request, Response
from tests.support.core_cases import (
    NOW,
    StillFlow,
    forward_of,
    hop_to,
    make_request,
    only_target,
    status_of,
)

OWN = Address(Transport.TCP, "127.0.1.13", 5060)
ICSCF = Address(Transport.TCP, "127.0.1.11", 5060)
CORE, PEER, STRANGER = StillFlow("127.0.1.12"), StillFlow("127.0.2.13"), StillFlow("192.0.2.66")
HERE = ("Route", "<sip:ibcf.red.test;lr>")
BOB, ALICE = "sip:+12025550152@blue.test;user=phone", "sip:+12025550101@red.test;user=phone"
RECORDED = (("Record-Route", "<sip:s1;lr>"), ("Record-Route", "<sip:p1;lr>"))
BOBS = ("P-Asserted-Identity", "<sip:+12025550152@blue.test>")
CONFIG = IbcfConfig(
    name="red.ibcf",
    home_domain="red.test",
    listen=(OWN,),
    icscf=ICSCF,
    peers=(NniPeer(domain="blue.test", hosts=frozenset(("127.0.2.13",)), border="127.0.2.13"),),
    core_hosts=frozenset(("127.0.1.11", "127.0.1.12")),
)


def make_core(config: IbcfConfig = CONFIG) -> IbcfCore:
    numbers = itertools.count(1)
    return IbcfCore(
        config,
        OwnAddress((OWN,), ("ibcf.red.test",)),
        NumberTable({"+1202555010": "red.test", "+1202555015": "blue.test"}),
        hop_of=hop_to,
        new_token=lambda: f"token{next(numbers):027d}",
        now=lambda: NOW,
    )


def answered(core: IbcfCore, request: Request, flow: StillFlow, response: Response) -> Response:
    """What comes of a response to *request* on its way back, the own Via being gone."""
    forward = forward_of(core.route(request, flow, NOW))
    assert forward.hook is not None
    editor = response.edit()
    forward.hook.edit(editor, response, forward.targets[0])
    return editor.done()


# --- leaving ---------------------------------------------------------------------------------------------------------


def test_a_message_leaves_to_the_border_of_the_domain_without_any_own_via() -> None:
    target = only_target(make_core().route(make_request("MESSAGE", BOB, HERE), CORE, NOW))
    assert target.hop.address == Address(Transport.TCP, "127.0.2.13", 5060)
    assert not target.request.has("Via")
    assert not target.request.has("Route")
    assert not target.request.has("Record-Route")
    assert target.request.text("Max-Forwards") == "69"


def test_the_hidden_vias_come_back_with_the_response() -> None:
    request = make_request("MESSAGE", BOB, HERE).edit().push("Via", "SIP/2.0/TCP s1:5060;branch=z9hG4bK2").done()
    back = answered(make_core(), request, CORE, Response.new(200))
    assert back.texts("Via") == request.texts("Via")


def test_record_routes_of_an_invite_hide_behind_one_token_and_come_back() -> None:
    core = make_core()
    request = make_request("INVITE", BOB, HERE, *RECORDED)
    (token_route,) = only_target(core.route(request, CORE, NOW)).request.texts("Record-Route")
    assert "s1" not in token_route
    assert "127.0.1.13" in token_route
    core = make_core()
    answer = Response.new(200, headers=[("Record-Route", "<sip:x2;lr>"), ("Record-Route", token_route)])
    back = answered(core, request, CORE, answer)
    assert back.texts("Record-Route") == ("<sip:x2;lr>", token_route, "<sip:s1;lr>", "<sip:p1;lr>")


def test_a_request_within_the_dialog_from_outside_finds_the_hidden_routes() -> None:
    core = make_core()
    invite = make_request("INVITE", BOB, HERE, *RECORDED)
    (token_route,) = only_target(core.route(invite, CORE, NOW)).request.texts("Record-Route")
    bye = make_request("BYE", "sip:alice@192.0.2.1", ("Route", token_route), to_tag="t")
    target = only_target(core.route(bye, PEER, NOW))
    assert target.request.texts("Route") == ("<sip:s1;lr>", "<sip:p1;lr>")


def test_an_unknown_token_is_481() -> None:
    core = make_core()
    for route in ("<sip:forged@127.0.1.13:5060;lr>", "<sip:127.0.1.13:5060;lr>"):
        for flow in (CORE, PEER):
            assert status_of(core.route(make_request("BYE", BOB, ("Route", route), to_tag="t"), flow, NOW)) == 481
    assert status_of(core.route(make_request("BYE", BOB, to_tag="t"), CORE, NOW)) == 481


def test_a_dialog_that_ended_is_forgotten() -> None:
    core = make_core()
    (route,) = only_target(core.route(make_request("INVITE", BOB, HERE, *RECORDED), CORE, NOW)).request.texts(
        "Record-Route"
    )
    bye = make_request("BYE", "sip:alice@192.0.2.1", ("Route", route), to_tag="t")
    answered(core, bye, PEER, Response.new(200))
    assert status_of(core.route(bye, PEER, NOW)) == 481


def test_a_domain_beyond_no_border_is_404() -> None:
    for uri in ("sip:x@elsewhere.test", "tel:+1"):
        assert status_of(make_core().route(make_request("MESSAGE", uri, HERE), CORE, NOW)) == 404


def test_a_host_within_the_peers_domain_is_the_peers() -> None:
    target = only_target(make_core().route(make_request("INVITE", "sip:g@focus.blue.test", HERE), CORE, NOW))
    assert target.hop.address == Address(Transport.TCP, "127.0.2.13", 5060)


def test_a_link_out_of_service_is_503_with_retry_after_in_both_directions() -> None:
    core = make_core()
    core.nni_up = False
    for request, flow in ((make_request("MESSAGE", BOB, HERE), CORE), (make_request("MESSAGE", ALICE, BOBS), PEER)):
        decision = core.route(request, flow, NOW)
        assert status_of(decision) == 503
        assert decision == core.unavailable()
    assert core.unavailable().headers == (("Retry-After", "30"),)


def test_a_border_that_cannot_be_reached_is_503_with_retry_after() -> None:
    core = make_core()
    forward = forward_of(core.route(make_request("MESSAGE", BOB, HERE), CORE, NOW))
    assert forward.hook is not None
    failure = TransactionFailure(FailureReason.TRANSPORT)
    assert forward.hook.replace(failure, forward.targets[0], NOW) == core.unavailable()
    assert forward.hook.replace(TransactionFailure(FailureReason.TIMEOUT), forward.targets[0], NOW) is None
    unknown = make_core(replace(CONFIG, peers=(NniPeer(domain="x.test", hosts=frozenset(), border="x.invalid"),)))
    assert status_of(unknown.route(make_request("MESSAGE", "sip:a@x.test", HERE), CORE, NOW)) == 503


def test_an_identity_that_is_not_the_peers_is_removed_from_his_answers() -> None:
    request = make_request("OPTIONS", BOB, HERE)
    false = Response.new(200, headers=[("P-Asserted-Identity", "<sip:a@red.test>")])
    assert not answered(make_core(), request, CORE, false).has("P-Asserted-Identity")
    assert answered(make_core(), request, CORE, Response.new(200, headers=[BOBS])).has("P-Asserted-Identity")


# --- arriving --------------------------------------------------------------------------------------------------------


def test_a_request_of_the_peer_goes_to_the_icscf() -> None:
    target = only_target(make_core().route(make_request("MESSAGE", ALICE, BOBS), PEER, NOW))
    assert target.hop.address == ICSCF
    assert target.request.request_uri_text == ALICE
    assert target.request.has("Via")


def test_nobody_but_a_configured_peer_may_send() -> None:
    assert status_of(make_core().route(make_request("MESSAGE", ALICE, BOBS), STRANGER, NOW)) == 403


def test_an_identity_that_is_not_the_peers_is_403() -> None:
    forged = ("P-Asserted-Identity", "<sip:+12025550101@red.test>")
    assert status_of(make_core().route(make_request("MESSAGE", ALICE, forged), PEER, NOW)) == 403


def test_a_route_that_the_peer_chose_is_not_followed() -> None:
    request = make_request("MESSAGE", ALICE, BOBS, ("Route", "<sip:127.0.1.12;lr>, <sip:192.0.2.66;lr>"))
    target = only_target(make_core().route(request, PEER, NOW))
    assert target.hop.address == ICSCF
    assert not target.request.has("Route")


def test_own_record_routes_hide_in_the_answer_and_are_found_again() -> None:
    core = make_core()
    invite = make_request("INVITE", ALICE, BOBS, ("Record-Route", "<sip:x2;lr>"))
    forward = forward_of(core.route(invite, PEER, NOW))
    own, x2 = forward.targets[0].request.texts("Record-Route")
    assert x2 == "<sip:x2;lr>"
    answer = Response.new(200, headers=[("Record-Route", route) for route in ("<sip:p1;lr>", "<sip:s1;lr>", own, x2)])
    assert forward.hook is not None
    editor = answer.edit()
    forward.hook.edit(editor, answer, forward.targets[0])
    assert editor.done().texts("Record-Route") == (own, x2)
    assert "term-ioi" not in (editor.done().text("P-Charging-Vector") or "")
    ack = make_request("ACK", "sip:alice@192.0.2.1", ("Route", own), to_tag="t")
    assert only_target(core.route(ack, PEER, NOW)).request.texts("Route") == ("<sip:s1;lr>", "<sip:p1;lr>")


def test_registration_presence_and_sms_are_403_in_both_directions() -> None:
    for flow, uri in ((CORE, BOB), (PEER, ALICE)):
        for request in (
            make_request("REGISTER", uri),
            make_request("SUBSCRIBE", uri, ("Event", "presence")),
            make_request("NOTIFY", uri, ("Event", "reg")),
            make_request("MESSAGE", uri, body=b"x", content_type="application/vnd.3gpp.sms"),
        ):
            assert status_of(make_core().route(request, flow, NOW)) == 403
        conference = make_request("SUBSCRIBE", uri, ("Event", "conference"))
        assert only_target(make_core().route(conference, flow, NOW)).request.has("Record-Route")


def test_bodies_cross_byte_by_byte() -> None:
    body = bytes(range(256))
    for flow, request in (
        (CORE, make_request("MESSAGE", BOB, HERE, body=body, content_type="message/cpim")),
        (PEER, make_request("MESSAGE", ALICE, BOBS, body=body, content_type="message/cpim")),
    ):
        assert only_target(make_core().route(request, flow, NOW)).request.body == body


def test_product_names_are_hidden_where_the_carrier_wants_that() -> None:
    request = make_request("MESSAGE", BOB, HERE, ("User-Agent", "phone"))
    assert only_target(make_core().route(request, CORE, NOW)).request.has("User-Agent")
    hiding = make_core(replace(CONFIG, hides_user_agent=True))
    assert not only_target(hiding.route(request, CORE, NOW)).request.has("User-Agent")
