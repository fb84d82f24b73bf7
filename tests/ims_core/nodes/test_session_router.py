"""Table 15.3 of the digest but for REGISTER, and the criteria of §16 at work."""

from __future__ import annotations

import pytest

from ims_core.nodes.decision import Answer, Decision, Reject
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import FailureReason, TransactionFailure
from ims_core.wire.sip.message import Request, Response
from tests.support.core_cases import NOW, StillFlow, forward_of, make_request, only_target, status_of
from tests.support.scscf_bench import CAROL, INSTANCE, MESSAGING, PCSCF, ScscfBench

SIP, TEL, BOB = "sip:+12025550101@home.test", "tel:+12025550101", "tel:+12025550152"
SERVICE = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg"
CPM = ("Accept-Contact", '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"')
ALICES, CAROLS = ("P-Asserted-Identity", f"<{SIP}>"), ("P-Asserted-Identity", "<sip:carol@home.test>")
SMS = "application/vnd.3gpp.sms"
GATEWAY, STRANGER, ICSCF = StillFlow("127.0.1.30"), StillFlow("192.0.2.66"), StillFlow("127.0.1.11")


def make_bench(*, carol: bool = True) -> ScscfBench:
    bench = ScscfBench()
    bench.register()
    if carol:
        bench.register(CAROL, contact="<sip:carol@192.0.2.30:5060>")
    return bench


def odi_of(request: Request) -> str:
    return request.texts("Route")[1]


def failed(decision: Decision, outcome: Response | TransactionFailure) -> Decision | None:
    forward = forward_of(decision)
    assert forward.hook is not None
    return forward.hook.replace(outcome, forward.targets[0], NOW)


# --- originating -----------------------------------------------------------------------------------------------------


def test_the_second_identity_is_added() -> None:
    bench = make_bench()
    for asserted, both in ((SIP, (SIP, TEL)), (TEL, (TEL, SIP))):
        request = make_request("MESSAGE", BOB, ("P-Asserted-Identity", f"<{asserted}>"))
        sent = only_target(bench.originate(request)).request
        assert sent.texts("P-Asserted-Identity") == tuple(f"<{each}>" for each in both)


def test_a_subscribed_service_is_asserted_and_another_is_403() -> None:
    bench = make_bench()
    request = make_request("MESSAGE", BOB, ALICES, ("P-Preferred-Service", SERVICE))
    sent = only_target(bench.originate(request)).request
    assert sent.text("P-Asserted-Service") == SERVICE
    assert not sent.has("P-Preferred-Service")
    shouted = make_request("MESSAGE", BOB, ALICES, ("P-Preferred-Service", SERVICE.upper()))
    assert only_target(bench.originate(shouted)).request.text("P-Asserted-Service") == SERVICE
    assert not only_target(bench.originate(make_request("MESSAGE", BOB, ALICES))).request.has("P-Asserted-Service")
    for asserted, service in ((ALICES, "urn:urn-7:3gpp-service.ims.icsi.mmtel"), (CAROLS, SERVICE)):
        refused = make_request("MESSAGE", BOB, asserted, ("P-Preferred-Service", service))
        assert status_of(bench.originate(refused)) == 403


def test_who_is_not_registered_or_barred_or_nobody_is_403() -> None:
    bench = make_bench(carol=False)
    assert status_of(bench.originate(make_request("MESSAGE", BOB, CAROLS))) == 403
    assert status_of(bench.originate(make_request("MESSAGE", BOB))) == 403
    assert status_of(bench.originate(make_request("MESSAGE", BOB, ("P-Asserted-Identity", "<sip:x@home.test>")))) == 403
    user = bench.registrar.users.get(TEL)
    assert user is not None
    user.is_barred = True
    assert status_of(bench.originate(make_request("MESSAGE", BOB, ALICES))) == 403


def test_outside_the_core_nobody_originates() -> None:
    assert status_of(make_bench().originate(make_request("MESSAGE", BOB, ALICES), STRANGER)) == 403


def test_a_number_of_another_carrier_goes_to_the_border() -> None:
    target = only_target(make_bench().originate(make_request("MESSAGE", BOB, ALICES)))
    assert target.hop.address == Address(Transport.TCP, "127.0.1.13", 5060)
    assert target.request.request_uri_text == "sip:+12025550152@blue.test;user=phone"
    assert target.request.texts("Route") == ("<sip:ibcf.home.test;lr>",)
    assert target.request.text("To") == f"<{BOB}>"


def test_a_number_that_nobody_has_is_404() -> None:
    bench = make_bench()
    for uri in ("tel:+14155550100", "tel:911", "sip:nobody@home.test", "tel:+12025550107"):
        assert status_of(bench.originate(make_request("MESSAGE", uri, ALICES))) == 404, uri


def test_a_user_of_the_own_carrier_is_served_at_once() -> None:
    bench = make_bench()
    target = only_target(bench.originate(make_request("MESSAGE", "sip:carol@home.test", ALICES)))
    assert target.request.request_uri_text == "sip:carol@192.0.2.30:5060"
    bench = make_bench(carol=False)
    assert status_of(bench.originate(make_request("MESSAGE", "sip:carol@home.test", ALICES))) == 480


def test_a_service_of_the_own_carrier_is_routed_to_its_server() -> None:
    target = only_target(make_bench().originate(make_request("INVITE", "sip:g1@focus.home.test", ALICES)))
    assert target.request.texts("Route") == ("<sip:focus.home.test;lr>",)


def test_a_silent_hss_is_504() -> None:
    bench = make_bench()
    bench.hss.is_up = False
    assert status_of(bench.originate(make_request("MESSAGE", "sip:carol@home.test", ALICES))) == 504


def test_requests_that_make_dialogs_are_record_routed_always() -> None:
    bench = make_bench()
    for method, is_recorded in (("INVITE", True), ("SUBSCRIBE", True), ("REFER", True), ("MESSAGE", False)):
        sent = only_target(bench.originate(make_request(method, BOB, ALICES, ("Event", "conference")))).request
        expected = ("<sip:dlg@127.0.1.12:5060;transport=tcp;lr>",) if is_recorded else ()
        assert sent.texts("Record-Route") == expected, method


# --- application servers ---------------------------------------------------------------------------------------------


def test_a_criterion_sends_the_request_to_its_server_with_the_way_back() -> None:
    bench = make_bench()
    sent = only_target(bench.originate(make_request("MESSAGE", BOB, ALICES, CPM))).request
    first, back = sent.texts("Route")
    assert first == "<sip:rcsas.home.test;lr>"
    assert back.startswith("<sip:odi-")
    assert sent.text("P-Served-User") == f"<{SIP}>;sescase=orig;regstate=reg"
    assert sent.request_uri_text == BOB


def test_what_comes_back_goes_on_with_the_next_criterion() -> None:
    bench = make_bench()
    sent = only_target(bench.originate(make_request("MESSAGE", BOB, ALICES, CPM))).request
    onward = make_request("MESSAGE", BOB, ALICES, CPM, call_id="of the server")
    target = only_target(bench.from_server(onward, odi_of(sent)))
    assert target.request.request_uri_text == "sip:+12025550152@blue.test;user=phone"
    assert not target.request.has("P-Served-User")


def test_the_terminating_server_gets_it_and_then_the_contacts() -> None:
    bench = make_bench()
    sent = only_target(bench.terminate(make_request("MESSAGE", f"{SIP};user=phone", CPM))).request
    assert sent.text("P-Served-User") == f"<{SIP}>;sescase=term;regstate=reg"
    onward = make_request("MESSAGE", f"{SIP};gr={INSTANCE}", CPM)
    target = only_target(bench.from_server(onward, odi_of(sent)))
    assert target.request.request_uri_text == "sip:alice@192.0.2.11:5060"
    assert target.request.text("P-Called-Party-ID") == f"<{TEL}>"


def test_a_server_may_send_a_terminating_request_on_to_somebody_else() -> None:
    bench = make_bench()
    sent = only_target(bench.terminate(make_request("MESSAGE", SIP, CPM))).request
    target = only_target(bench.from_server(make_request("MESSAGE", BOB), odi_of(sent)))
    assert target.request.request_uri_text == "sip:+12025550152@blue.test;user=phone"


def test_a_forged_way_back_leads_nowhere() -> None:
    bench = make_bench()
    assert status_of(bench.from_server(make_request("MESSAGE", BOB), "<sip:odi-o0-1-00@127.0.1.12;lr>")) == 404
    sent = only_target(bench.originate(make_request("MESSAGE", BOB, ALICES, CPM))).request
    assert status_of(bench.from_server(make_request("MESSAGE", BOB), odi_of(sent), STRANGER)) == 403


def test_a_server_speaks_for_its_user_with_p_served_user() -> None:
    bench = make_bench(carol=False)
    served = ("P-Served-User", f"<{SIP}>;sescase=orig;regstate=reg")
    sent = only_target(bench.originate(make_request("MESSAGE", BOB, served), MESSAGING)).request
    assert not sent.has("P-Served-User")
    offline = ("P-Served-User", "<sip:carol@home.test>;sescase=orig;regstate=reg")
    assert status_of(bench.originate(make_request("MESSAGE", BOB, offline), MESSAGING)) == 403
    unregistered = ("P-Served-User", "<sip:carol@home.test>;sescase=orig;regstate=unreg")
    assert only_target(bench.originate(make_request("MESSAGE", BOB, unregistered), MESSAGING))
    assert status_of(bench.originate(make_request("MESSAGE", BOB, served), PCSCF)) == 403  # not from a UE


def test_a_server_that_speaks_for_an_absent_user_is_told_that_he_is_absent() -> None:
    bench = ScscfBench()  # nobody is registered
    served = ("P-Served-User", f"<{SIP}>;sescase=orig;regstate=unreg")
    sent = only_target(bench.originate(make_request("MESSAGE", BOB, served, CPM), MESSAGING)).request
    assert sent.text("P-Served-User") == f"<{SIP}>;sescase=orig;regstate=unreg"


def test_a_service_of_the_carrier_originates_without_criteria() -> None:
    own = ("P-Asserted-Identity", "<sip:ipsmgw.home.test>")
    target = only_target(make_bench().originate(make_request("MESSAGE", BOB, own), GATEWAY))
    assert target.request.text("P-Asserted-Identity") == "<sip:ipsmgw.home.test>"


def test_default_handling_ends_a_message_and_lets_options_go_on() -> None:
    bench = make_bench()
    silent, broken = TransactionFailure(FailureReason.TIMEOUT), TransactionFailure(FailureReason.TRANSPORT)
    message = make_request("MESSAGE", BOB, ALICES, CPM)
    assert failed(bench.originate(message), silent) == Reject(504)
    assert failed(bench.originate(message), broken) == Reject(503)
    assert failed(bench.originate(make_request("INVITE", BOB, ALICES, CPM)), silent) == Reject(408)
    assert failed(bench.originate(message), Response.new(503)) is None  # its own 5xx stands
    options = make_request("OPTIONS", BOB, ALICES, CPM)
    for outcome in (silent, broken, Response.new(408), Response.new(500)):
        decision = failed(bench.originate(options), outcome)
        assert decision is not None
        assert only_target(decision).request.request_uri_text == "sip:+12025550152@blue.test;user=phone"


@pytest.mark.parametrize("status", [200, 302, 403, 404, 480, 486, 600])
def test_default_handling_is_not_for_what_a_server_answers(status: int) -> None:
    options = make_bench().originate(make_request("OPTIONS", BOB, ALICES, CPM))
    assert failed(options, Response.new(status)) is None


def test_default_handling_is_not_for_a_server_that_has_begun_to_work() -> None:
    forward = forward_of(make_bench().originate(make_request("INVITE", BOB, ALICES, CPM)))
    assert forward.hook is not None
    ringing = Response.new(183)
    forward.hook.edit(ringing.edit(), ringing, forward.targets[0])
    assert forward.hook.replace(TransactionFailure(FailureReason.TIMEOUT), forward.targets[0], NOW) is None


# --- terminating -----------------------------------------------------------------------------------------------------


def test_an_unknown_user_is_404_and_an_offline_one_without_services_480() -> None:
    bench = make_bench(carol=False)
    assert status_of(bench.terminate(make_request("MESSAGE", "sip:nobody@home.test"))) == 404
    assert status_of(bench.terminate(make_request("MESSAGE", BOB))) == 404
    assert status_of(bench.terminate(make_request("MESSAGE", "sip:carol@home.test"))) == 480


def test_an_offline_user_with_services_goes_to_the_server_and_then_is_480() -> None:
    bench = ScscfBench()
    sent = only_target(bench.terminate(make_request("MESSAGE", SIP, CPM))).request
    assert sent.text("P-Served-User") == f"<{SIP}>;sescase=term;regstate=unreg"
    assert status_of(bench.from_server(make_request("MESSAGE", SIP, CPM), odi_of(sent))) == 480
    assert status_of(bench.terminate(make_request("MESSAGE", SIP))) == 480


def test_claims_from_outside_the_core_are_removed() -> None:
    forged = (ALICES, ("P-Asserted-Service", SERVICE), ("P-Served-User", f"<{SIP}>"))
    for flow in (STRANGER, ICSCF):
        request = only_target(make_bench().terminate(make_request("MESSAGE", "sip:carol@home.test", *forged), flow))
        assert request.request.has("P-Asserted-Identity") is (flow is ICSCF)
    plain = make_bench().sessions.route(make_request("MESSAGE", "sip:carol@home.test", *forged), STRANGER, NOW)
    assert not only_target(plain).request.has("P-Asserted-Identity")


def test_sms_terminates_from_the_gateway_only() -> None:
    bench = make_bench()
    sms = make_request("MESSAGE", TEL, body=b"\x01", content_type=SMS)
    assert status_of(bench.terminate(sms)) == 403
    assert status_of(bench.originate(sms.edit().append(*CAROLS).done())) == 403
    assert only_target(bench.terminate(sms, GATEWAY)).request.request_uri_text == "sip:alice@192.0.2.11:5060"
    own = make_request("MESSAGE", TEL, ("P-Asserted-Identity", "<sip:127.0.1.30>"), body=b"\x01", content_type=SMS)
    assert status_of(bench.terminate(own)) == 403  # no name of ours
    foreign = make_request(
        "MESSAGE", TEL, ("P-Asserted-Identity", "<sip:ipsmgw.blue.test>"), body=b"\x01", content_type=SMS
    )
    assert status_of(bench.terminate(foreign)) == 403


def test_an_own_server_delivers_through_term_and_nobody_else() -> None:
    bench = make_bench()
    request = make_request("MESSAGE", f"{SIP};gr={INSTANCE}", CPM)
    route = "<sip:term@scscf.home.test;lr>"
    target = only_target(bench.from_server(request, route))
    assert target.request.request_uri_text == "sip:alice@192.0.2.11:5060"
    for flow in (PCSCF, ICSCF, STRANGER):
        assert status_of(bench.from_server(request, route, flow)) == 403
    assert status_of(bench.from_server(make_request("MESSAGE", "sip:nobody@home.test"), route)) == 404
    assert status_of(bench.from_server(make_request("MESSAGE", BOB), route)) == 404


# --- within a dialog, and for the node itself ------------------------------------------------------------------------


def test_a_request_within_a_dialog_follows_its_routes_without_criteria() -> None:
    own = "<sip:dlg@127.0.1.12:5060;transport=tcp;lr>"
    for routes, uri, host in (
        (f"{own}, <sip:token@127.0.1.10:5060;lr>", "sip:alice@192.0.2.11", "127.0.1.10"),
        (f"{own}, {own}, <sip:ibcf@127.0.1.13:5060;lr>", "sip:bob@x", "127.0.1.13"),
        (own, "sip:alice@192.0.2.11", "192.0.2.11"),
    ):
        for method in ("BYE", "ACK", "UPDATE", "NOTIFY", "REFER", "MESSAGE"):
            request = make_request(method, uri, ("Route", routes), CPM, to_tag="t")
            target = only_target(make_bench().sessions.route(request, PCSCF, NOW))
            assert target.hop.address is not None
            assert target.hop.address.host == host
            assert target.request.request_uri_text == uri


def test_a_dialog_of_strangers_is_not_relayed() -> None:
    own = ("Route", "<sip:dlg@127.0.1.12:5060;lr>")
    bench = make_bench()
    assert status_of(bench.sessions.route(make_request("BYE", "sip:b@x", own, to_tag="t"), STRANGER, NOW)) == 403
    assert status_of(bench.sessions.route(make_request("MESSAGE", "sip:b@x", own), PCSCF, NOW)) == 403
    away = ("Route", "<sip:192.0.2.99;lr>")
    assert status_of(bench.sessions.route(make_request("MESSAGE", "sip:b@x", away), PCSCF, NOW)) == 403


def test_a_subscription_to_the_own_reg_event_is_answered_here() -> None:
    bench = make_bench()
    headers = (("Event", "reg"), ("Contact", "<sip:alice@192.0.2.11>"), ALICES)
    assert isinstance(bench.originate(make_request("SUBSCRIBE", SIP, *headers)), Answer)
    assert status_of(bench.originate(make_request("SUBSCRIBE", TEL, *headers))) == 200
    assert status_of(bench.originate(make_request("SUBSCRIBE", "sip:carol@home.test", *headers))) == 403
    served = ("P-Served-User", f"<{SIP}>;sescase=orig;regstate=reg")
    for_server = make_request("SUBSCRIBE", "sip:carol@home.test", *headers[:2], served)
    assert status_of(bench.originate(for_server, MESSAGING)) == 200


def test_what_is_sent_to_the_node_itself() -> None:
    bench = make_bench()
    for method, to_tag, status in (
        ("OPTIONS", "", 200),
        ("MESSAGE", "", 405),
        ("BYE", "t", 481),
        ("SUBSCRIBE", "t", 481),
    ):
        request = make_request(method, "sip:127.0.1.12:5060", to_tag=to_tag)
        assert status_of(bench.sessions.route(request, PCSCF, NOW)) == status, method
    assert status_of(bench.sessions.route(make_request("BYE", "sip:b@x", to_tag="t"), PCSCF, NOW)) == 481
    wishes = make_request("OPTIONS", "sip:127.0.1.12:5060", ("Require", "path, foo"))
    assert bench.sessions.route(wishes, PCSCF, NOW) == Reject(420, headers=(("Unsupported", "foo"),))


def test_a_request_within_a_dialog_that_leads_nowhere_is_481() -> None:
    own = ("Route", "<sip:dlg@127.0.1.12:5060;transport=tcp;lr>")
    request = make_request("NOTIFY", "tel:+12025550199", own, to_tag="t")
    assert status_of(make_bench().sessions.route(request, PCSCF, NOW)) == 481
