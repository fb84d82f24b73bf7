"""Table 15.1 of the digest but for REGISTER, statement by statement."""

from __future__ import annotations

from ims_core.nodes.decision import Reject
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import FailureReason, TransactionFailure
from tests.support.core_cases import NOW, StillFlow, forward_of, make_request, only_target, status_of
from tests.support.pcscf_bench import (
    CONTACT,
    SERVICE_ROUTE,
    SIP,
    TEL,
    invite_answer,
    message,
    terminating,
)
from tests.support.pcscf_bench import (
    PcscfBench as Bench,
)

# --- originating -----------------------------------------------------------------------------------------------------


def test_without_a_binding_on_this_flow_it_is_403() -> None:
    bench = Bench()
    assert status_of(bench.from_ue(message(), StillFlow("192.0.2.66"))) == 403
    assert status_of(bench.from_ue(message(), StillFlow("192.0.2.11", 40_001))) == 403


def test_the_route_list_is_replaced_by_the_stored_service_route() -> None:
    bench = Bench()
    for routes in ((), (("Route", "<sip:127.0.1.10;lr>"), ("Route", "<sip:192.0.2.66;lr>"))):
        target = only_target(bench.from_ue(message(*routes)))
        assert target.request.texts("Route") == (SERVICE_ROUTE,)
        assert target.hop.address == Address(Transport.TCP, "127.0.1.12", 5060)


def test_a_preferred_identity_of_the_registered_set_is_asserted_and_any_other_replaced_by_the_default() -> None:
    bench = Bench()
    for preferred, asserted in ((TEL, TEL), (SIP, SIP), ("sip:boss@home.test", SIP)):
        request = only_target(bench.from_ue(message(("P-Preferred-Identity", f"<{preferred}>")))).request
        assert request.texts("P-Asserted-Identity") == (f"<{asserted}>",)
        assert not request.has("P-Preferred-Identity")
    assert only_target(bench.from_ue(message(sender="sip:boss@home.test"))).request.text("P-Asserted-Identity") == (
        f"<{SIP}>"
    )


def test_claims_that_only_the_network_makes_are_removed() -> None:
    forged = (
        ("P-Asserted-Identity", "<sip:boss@home.test>"),
        ("P-Asserted-Service", "urn:urn-7:x"),
        ("P-Served-User", "<sip:boss@home.test>"),
        ("P-Charging-Vector", "icid-value=forged"),
        ("P-Charging-Function-Addresses", "ccf=1"),
        ("P-Visited-Network-ID", "x"),
        ("P-Called-Party-ID", "<sip:x@y>"),
        ("Path", "<sip:x@y>"),
    )
    request = only_target(Bench().from_ue(message(*forged))).request
    assert request.texts("P-Asserted-Identity") == (f"<{SIP}>",)
    assert (request.text("P-Charging-Vector") or "").startswith("icid-value=icid1.")
    assert [name for name, _ in forged[1:] if request.has(name) and name != "P-Charging-Vector"] == []


def test_access_info_preferred_service_and_privacy_stay() -> None:
    kept = (("P-Access-Network-Info", "3GPP-NR"), ("P-Preferred-Service", "urn:urn-7:x"), ("Privacy", "id"))
    request = only_target(Bench().from_ue(message(*kept))).request
    assert [name for name, text in kept if request.text(name) != text] == []


def test_each_request_has_an_icid_of_its_own() -> None:
    bench = Bench()
    one, two = (only_target(bench.from_ue(message())).request.text("P-Charging-Vector") for _ in range(2))
    assert one != two


def test_requests_that_make_dialogs_are_record_routed_with_the_flow_token() -> None:
    bench = Bench()
    for method, is_recorded in (("INVITE", True), ("SUBSCRIBE", True), ("REFER", True), ("MESSAGE", False)):
        request = only_target(bench.from_ue(make_request(method, "tel:+1", sender=SIP))).request
        expected = (f"<sip:{bench.token}@127.0.1.10:5060;transport=tcp;lr>",) if is_recorded else ()
        assert request.texts("Record-Route") == expected, method


def test_of_several_users_on_one_flow_the_sender_is_told_by_preferred_identity_or_from() -> None:
    bench = Bench()
    bench.register(bench.flow, ("sip:carol@home.test",), "sip:carol@192.0.2.11")
    carol = only_target(bench.from_ue(message(sender="sip:carol@home.test"))).request
    assert carol.text("P-Asserted-Identity") == "<sip:carol@home.test>"
    preferred = message(("P-Preferred-Identity", f"<{TEL}>"), sender="sip:anonymous@anonymous.invalid")
    assert only_target(bench.from_ue(preferred)).request.text("P-Asserted-Identity") == f"<{TEL}>"
    assert status_of(bench.from_ue(message(sender="sip:anonymous@anonymous.invalid"))) == 403


def test_unknown_methods_pass_as_others_do() -> None:
    assert only_target(Bench().from_ue(make_request("FOO", "tel:+1", sender=SIP))).request.method == "FOO"


def test_options_to_the_pcscf_itself_is_answered() -> None:
    assert status_of(Bench().from_ue(make_request("OPTIONS", "sip:pcscf.home.test"), StillFlow("192.0.2.66"))) == 200


def test_options_that_require_what_is_not_known_here_are_420() -> None:
    options = make_request("OPTIONS", "sip:pcscf.home.test", ("Require", "path, foo"))
    decision = Bench().from_ue(options, StillFlow("192.0.2.66"))
    assert status_of(decision) == 420
    assert isinstance(decision, Reject)
    assert decision.headers == (("Unsupported", "foo"),)


def test_what_is_only_sent_within_a_dialog_is_481_outside_one_whoever_sends_it() -> None:
    for method in ("BYE", "INFO", "PRACK", "UPDATE"):
        request = make_request(method, "sip:bob@blue.test", sender=SIP)
        assert status_of(Bench().from_ue(request)) == 481, method
        assert status_of(Bench().from_ue(request, StillFlow("192.0.2.66"))) == 481, method


def test_an_scscf_that_cannot_be_reached_is_504() -> None:
    forward = forward_of(Bench().from_ue(message()))
    assert forward.hook is not None
    target = forward.targets[0]
    broken = forward.hook.replace(TransactionFailure(FailureReason.TRANSPORT), target, NOW)
    assert broken is not None
    assert status_of(broken) == 504
    assert forward.hook.replace(TransactionFailure(FailureReason.TIMEOUT), target, NOW) is None


# --- terminating -----------------------------------------------------------------------------------------------------


def test_a_terminating_request_goes_over_the_registered_flow() -> None:
    bench = Bench()
    headers = (
        ("P-Charging-Vector", "icid-value=1"),
        ("P-Served-User", "<sip:x@y>"),
        ("P-Asserted-Identity", "<tel:+1>"),
    )
    target = only_target(bench.to_ue(terminating("MESSAGE", *headers)))
    assert target.hop.flow is bench.flow
    assert target.request.request_uri_text == CONTACT
    assert not target.request.has("Route")
    assert not target.request.has("P-Charging-Vector")
    assert not target.request.has("P-Served-User")
    assert target.request.text("P-Asserted-Identity") == "<tel:+1>"
    assert target.request.text("P-Called-Party-ID") == f"<{TEL}>"


def test_a_large_request_goes_over_a_udp_flow_all_the_same() -> None:
    bench = Bench(transport=Transport.UDP)
    request = terminating().edit().body(b"x" * 5000, "text/plain").done()
    hop = only_target(bench.to_ue(request)).hop
    assert hop.flow is not None
    assert hop.flow.remote == bench.flow.remote


def test_a_flow_that_is_gone_is_430() -> None:
    bench = Bench()
    bench.flow.is_open = False
    assert status_of(bench.to_ue(terminating())) == 430
    bench.core.flows.close(bench.flow)
    assert status_of(bench.to_ue(terminating())) == 430
    assert status_of(bench.to_ue(terminating(), token="forged")) == 430


def test_a_ue_without_outbound_is_tried_where_it_listens_but_only_at_its_own_host() -> None:
    bench = Bench(has_outbound=False)
    bench.flow.is_open = False
    assert only_target(bench.to_ue(terminating())).hop.address == Address(Transport.TCP, "192.0.2.11", 5060)
    elsewhere = Bench(has_outbound=False)
    flow = StillFlow("192.0.2.12")
    token = elsewhere.register(flow, ("sip:x@home.test",), "sip:x@192.0.2.99", has_outbound=False)
    flow.is_open = False
    assert status_of(elsewhere.to_ue(terminating(), token)) == 430


def test_a_ue_cannot_send_to_another_ue_by_its_token() -> None:
    bench = Bench()
    mallory = StillFlow("192.0.2.66")
    assert status_of(bench.to_ue(terminating(), flow=mallory)) == 403
    bench.register(mallory, ("sip:mallory@home.test",), "sip:mallory@192.0.2.66")
    request = make_request("MESSAGE", CONTACT, sender="sip:mallory@home.test")
    assert only_target(bench.to_ue(request, flow=mallory)).request.texts("Route") == (SERVICE_ROUTE,)


def test_privacy_hides_the_caller_from_the_ue() -> None:
    for privacy in ("id", "ID", "header;id"):
        private = (("Privacy", privacy), ("P-Asserted-Identity", "<tel:+1>"))
        assert not only_target(Bench().to_ue(terminating("MESSAGE", *private))).request.has("P-Asserted-Identity")


def test_record_route_toward_the_ue() -> None:
    bench = Bench()
    request = only_target(bench.to_ue(terminating("INVITE"))).request
    assert request.texts("Record-Route") == (f"<sip:{bench.token}@127.0.1.10:5060;transport=tcp;lr>",)
    assert not only_target(bench.to_ue(terminating("MESSAGE"))).request.has("Record-Route")


# --- within a dialog -------------------------------------------------------------------------------------------------


def test_bye_info_update_and_invite_of_an_unknown_dialog_are_481() -> None:
    bench = Bench()
    for method in ("BYE", "INFO", "UPDATE", "INVITE"):
        assert status_of(bench.from_ue(make_request(method, "sip:bob@x", sender=SIP, to_tag="t"))) == 481


def test_a_request_within_a_dialog_follows_its_route_set_whatever_the_ue_wrote() -> None:
    bench = Bench()
    invite = make_request("INVITE", "tel:+12025550152", ("Contact", f"<{CONTACT}>"), sender=SIP)
    decision = bench.from_ue(invite)
    sent = only_target(decision).request
    above = sent.edit().push("Record-Route", "<sip:dlg@127.0.1.12:5060;lr>").done()
    bench.back(decision, invite_answer(above))
    own = f"<sip:{bench.token}@127.0.1.10:5060;lr>"
    for wrong in (("Route", f"{own}, <sip:192.0.2.66;lr>"), ("Route", own), ("X", "no route at all")):
        bye = make_request("BYE", "sip:bob@192.0.2.22", wrong, sender=SIP, to_tag="t1", cseq=2)
        target = only_target(bench.from_ue(bye))
        assert target.request.texts("Route") == ("<sip:dlg@127.0.1.12:5060;lr>",)
        assert target.hop.address == Address(Transport.TCP, "127.0.1.12", 5060)


def test_the_dialog_of_another_user_is_not_there_whoever_knows_its_tags_and_its_token() -> None:
    bench = Bench()
    decision = bench.from_ue(make_request("INVITE", "tel:+12025550152", ("Contact", f"<{CONTACT}>"), sender=SIP))
    bench.back(decision, invite_answer(only_target(decision).request))
    mallory = StillFlow("192.0.2.66", 40_066)
    bench.register(mallory, ("sip:mallory@home.test",), "sip:mallory@192.0.2.66:5060")
    route = ("Route", f"<sip:{bench.token}@127.0.1.10:5060;lr>")
    bye = make_request("BYE", "sip:bob@192.0.2.22", route, sender=SIP, to_tag="t1", cseq=2)
    assert status_of(bench.from_ue(bye, mallory)) == 481
    assert only_target(bench.from_ue(bye))


def test_ack_and_a_request_of_another_dialog_follow_their_routes() -> None:
    bench = Bench()
    routes = ("Route", f"<sip:{bench.token}@127.0.1.10:5060;lr>, <sip:dlg@127.0.1.12:5060;lr>")
    for method in ("ACK", "NOTIFY", "MESSAGE"):
        target = only_target(bench.from_ue(make_request(method, "sip:b@x", routes, sender=SIP, to_tag="t")))
        assert target.request.texts("Route") == ("<sip:dlg@127.0.1.12:5060;lr>",)


def test_a_ue_that_came_back_over_another_flow_is_found_within_its_dialogs() -> None:
    bench = Bench()
    decision = bench.to_ue(terminating("INVITE", ("Contact", "<sip:bob@x>")))
    bench.back(decision, invite_answer(only_target(decision).request))
    bench.flow.is_open = False
    again = StillFlow("192.0.2.11", 40_002)
    bench.register(again)
    bye = make_request("BYE", CONTACT, sender="sip:bob@blue.test", to=CONTACT, to_tag="t1")
    assert only_target(bench.to_ue(bye)).hop.flow is again


def test_dialogs_are_released_when_the_registration_ends_or_nobody_refreshes_them() -> None:
    bench = Bench()
    decision = bench.from_ue(make_request("INVITE", "tel:+1", ("Contact", f"<{CONTACT}>"), sender=SIP))
    bench.back(decision, invite_answer(only_target(decision).request))
    bench.core.handle_deadline(NOW + 3600)
    assert len(bench.released) == 1
    assert bench.core.next_deadline() is None
    bench = Bench()
    decision = bench.from_ue(make_request("INVITE", "tel:+1", ("Contact", f"<{CONTACT}>"), sender=SIP))
    bench.back(decision, invite_answer(only_target(decision).request))
    bench.core.handle_deadline(NOW + 1840)
    assert len(bench.released) == 1


# --- restart ---------------------------------------------------------------------------------------------------------


def test_a_udp_registration_is_taken_in_again_and_one_over_a_connection_is_not() -> None:
    for transport, is_kept in ((Transport.UDP, True), (Transport.TCP, False)):
        bench = Bench(transport=transport)
        key = bench.core.flows.key_of(bench.flow)
        (access,) = bench.core.accesses.of_flow(key)
        record = access.to_record()
        bench.core.accesses.remove(access.contact_id)
        bench.core.flows._run = b"run2"
        assert bench.core.restore(record) is is_kept
    assert not Bench().core.restore(record)
