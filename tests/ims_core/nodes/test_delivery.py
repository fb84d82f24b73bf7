"""Delivery to contacts (table 15.3 of the digest; RFC 3841, RFC 5626, RFC 5627)."""

from __future__ import annotations

from ims_core.nodes.decision import Decision, Forward, Reject
from ims_core.transport.link import Address, Transport
from ims_core.wire.sip.message import Response
from tests.support.core_cases import NOW, forward_of, make_request, only_target, status_of
from tests.support.scscf_bench import CAROL, MESSAGING, TAGS, ScscfBench

SIP, TEL = "sip:+12025550101@home.test", "tel:+12025550101"
TERM = "<sip:term@127.0.1.12;lr>"


def device(number: int, tags: str = TAGS, more: str = "") -> str:
    return f'<sip:a@192.0.2.{number}>;+sip.instance="<urn:uuid:{number}>"{tags}{more}'


def deliver(bench: ScscfBench, *headers: tuple[str, str], uri: str = TEL) -> Decision:
    return bench.from_server(make_request("MESSAGE", uri, *headers), TERM, MESSAGING)


def hosts(decision: Decision) -> list[str]:
    return [target.request.request_uri_text.rpartition("@")[2] for target in forward_of(decision).targets]


def test_a_contact_gets_its_path_as_route_and_the_called_identity() -> None:
    bench = ScscfBench()
    bench.register(CAROL, contact="<sip:carol@192.0.2.30:5060;transport=tcp>")
    request = make_request("MESSAGE", "sip:carol@home.test", ("P-Asserted-Service", "urn:x:y"))
    target = only_target(bench.from_server(request, TERM))
    assert target.request.request_uri_text == "sip:carol@192.0.2.30:5060;transport=tcp"
    assert target.request.texts("Route") == ("<sip:token@127.0.1.10:5060;lr;ob>",)
    assert target.request.text("P-Called-Party-ID") == "<sip:carol@home.test>"
    assert target.request.text("P-Asserted-Service") == "urn:x:y"
    assert target.hop.address == Address(Transport.TCP, "127.0.1.10", 5060)


def test_a_contact_without_path_is_reached_directly() -> None:
    bench = ScscfBench()
    bench.register(CAROL, contact="<sip:carol@192.0.2.30:5080;transport=udp>")
    bench.registrar.users.get("sip:carol@home.test").bindings[0].path = ()
    target = only_target(deliver(bench, uri="sip:carol@home.test"))
    assert target.hop.address == Address(Transport.UDP, "192.0.2.30", 5080)
    assert not target.request.has("Route")


def test_all_devices_get_it_at_once_in_the_order_of_q() -> None:
    bench = ScscfBench()
    for number, q in ((1, "0.3"), (2, "1.0"), (3, "0.7")):
        bench.register(contact=device(number, more=f";q={q}"))
    decision = forward_of(deliver(bench))
    assert hosts(decision) == ["192.0.2.2", "192.0.2.3", "192.0.2.1"]
    assert not decision.is_sequential


def test_require_explicit_is_honoured() -> None:
    bench = ScscfBench()
    bench.register(contact=device(1))
    bench.register(contact=device(2, ";+g.oma.sip-im"))
    sms = ("Accept-Contact", "*;+g.3gpp.smsip;require;explicit")
    assert hosts(deliver(bench, sms)) == ["192.0.2.1"]
    one = ("Accept-Contact", '*;+sip.instance="<urn:uuid:2>";require;explicit')
    assert hosts(deliver(bench, one)) == ["192.0.2.2"]
    both = ("Accept-Contact", '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"')
    assert hosts(deliver(bench, both))[0] == "192.0.2.1"  # the better fit first, the other not ruled out
    assert status_of(deliver(bench, ("Accept-Contact", "*;+g.other;require;explicit"))) == 480
    assert hosts(deliver(bench, ("Reject-Contact", "*;+g.oma.sip-im"))) == ["192.0.2.1"]


def test_directives_of_the_caller() -> None:
    bench = ScscfBench()
    for number in (1, 2):
        bench.register(contact=device(number))
    assert len(hosts(deliver(bench, ("Request-Disposition", "no-fork")))) == 1
    assert forward_of(deliver(bench, ("Request-Disposition", "sequential"))).is_sequential


def test_a_gruu_reaches_its_device_only() -> None:
    bench = ScscfBench()
    for number in (1, 2):
        bench.register(contact=device(number))
    assert hosts(deliver(bench, uri=f"{SIP};gr=urn:uuid:2")) == ["192.0.2.2"]
    assert status_of(deliver(bench, uri=f"{SIP};gr=urn:uuid:9")) == 480


def test_of_two_flows_of_a_device_the_latest_is_used_and_the_other_after_430() -> None:
    bench = ScscfBench()
    path = "<sip:{}@127.0.1.10;lr;ob>"
    for reg_id in (1, 2):
        contact = device(1, more=f";reg-id={reg_id}").replace("192.0.2.1", f"192.0.2.{reg_id}")
        bench.register(contact=contact)
        user = bench.registrar.users.get(TEL)
        assert user is not None
        user.bindings[-1].path = (path.format(f"flow{reg_id}"),)
    forward = forward_of(deliver(bench))
    assert hosts(forward) == ["192.0.2.2"]
    assert forward.hook is not None
    again = forward.hook.replace(Response.new(430), forward.targets[0], NOW)
    assert isinstance(again, Forward)
    assert hosts(again) == ["192.0.2.1"]
    assert [binding.reg_id for binding in user.bindings] == [1]
    assert again.hook is not None
    assert again.hook.replace(Response.new(430), again.targets[0], NOW) == Reject(480)
    assert not user.is_registered
    assert len(bench.later) == 2  # the servers are told


def test_a_430_about_a_flow_that_has_been_replaced_does_not_end_the_registration() -> None:
    """The phone registered again while the request was on its way over the old flow."""
    bench = ScscfBench()
    bench.register(contact=device(1))
    user = bench.registrar.users.get(TEL)
    assert user is not None
    (binding,) = user.bindings
    binding.path = ("<sip:old@127.0.1.10;lr;ob>",)
    forward = forward_of(deliver(bench))
    binding.path = ("<sip:new@127.0.1.10;lr;ob>",)
    assert forward.hook is not None
    again = forward.hook.replace(Response.new(430), forward.targets[0], NOW)
    assert isinstance(again, Forward)
    assert again.targets[0].request.texts("Route") == binding.path
    assert user.is_registered
    assert again.hook is not None
    assert again.hook.replace(Response.new(430), again.targets[0], NOW) == Reject(480)
    assert not user.is_registered


def test_other_failures_leave_the_binding_alone() -> None:
    bench = ScscfBench()
    bench.register()
    forward = forward_of(deliver(bench))
    assert forward.hook is not None
    assert forward.hook.replace(Response.new(486), forward.targets[0], NOW) is None
    user = bench.registrar.users.get(TEL)
    assert user is not None
    assert user.is_registered


def test_a_contact_that_leads_nowhere_is_480() -> None:
    bench = ScscfBench()
    bench.register(CAROL, contact="<sip:carol@gone.invalid>")
    bench.registrar.users.get("sip:carol@home.test").bindings[0].path = ()
    assert status_of(deliver(bench, uri="sip:carol@home.test")) == 480


def test_one_users_contact_is_not_anothers_way() -> None:
    bench = ScscfBench()
    bench.register(CAROL, contact="<sip:a@192.0.2.1:5060;x=%40>")
    bench.register(contact="<sip:a@192.0.2.2:5060;x=%40>")
    for key in ("sip:carol@home.test", TEL):
        bench.registrar.users.get(key).bindings[0].path = ()
    one, other = (only_target(deliver(bench, uri=uri)).hop.address for uri in ("sip:carol@home.test", TEL))
    assert one != other
