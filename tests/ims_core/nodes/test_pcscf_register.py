"""REGISTER in table 15.1 of the digest, statement by statement."""

from __future__ import annotations

from dataclasses import replace

from ims_core.nodes.decision import Delete, Put
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import FailureReason, TransactionFailure
from ims_core.wire.sip.auth_headers import Authorization, WwwAuthenticate
from ims_core.wire.sip.message import Request, Response
from tests.support.core_cases import NOW, StillFlow, forward_of, make_request, only_target, status_of
from tests.support.pcscf_bench import CONFIG, SCSCF, SIP, message
from tests.support.pcscf_bench import PcscfBench as Bench

UE = StillFlow("192.0.2.30")
CAROL = "sip:carol@home.test"
DIGEST = ("Authorization", 'Digest username="carol@home.test", realm="home.test", uri="sip:home.test", nonce=""')
CONTACT = ("Contact", "<sip:carol@192.0.2.30:5060>;expires=600")
SECURITY = (
    (
        "Security-Client",
        "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c=1;spi-s=2;port-c=3;port-s=4",
    ),
    ("Require", "sec-agree"),
    ("Proxy-Require", "sec-agree"),
)


def register(*headers: tuple[str, str], uri: str = "sip:home.test", via: str = "") -> Request:
    given = {"via": via} if via else {}
    return make_request("REGISTER", uri, *headers, sender=CAROL, to=CAROL, **given)


def granted(request: Request, seconds: int = 600) -> Response:
    return Response.to(
        request,
        200,
        to_tag="s",
        headers=[
            ("Contact", f"<sip:carol@192.0.2.30:5060>;expires={seconds}"),
            ("Service-Route", "<sip:orig@127.0.1.12:5060;lr>"),
            ("P-Associated-URI", f"<{CAROL}>"),
            ("P-Charging-Vector", "icid-value=1"),
        ],
    )


def registered(bench: Bench) -> bool:
    return bench.core.accesses.is_registered_flow(bench.core.flows.key_of(UE))


def test_it_goes_to_the_icscf_with_path_visited_network_and_icid() -> None:
    bench = Bench()
    target = only_target(bench.core.route(register(DIGEST, CONTACT, ("Route", "<sip:pcscf.home.test;lr>")), UE, NOW))
    token = bench.core.flows.token_of(bench.core.flows.key_of(UE))
    assert target.hop.address == CONFIG.icscf
    assert target.request.texts("Path") == (f"<sip:{token}@127.0.1.10:5060;transport=tcp;lr;ob>",)
    assert target.request.text("Require") == "path"
    assert target.request.text("P-Visited-Network-ID") == '"home.test"'
    assert (target.request.text("P-Charging-Vector") or "").startswith("icid-value=")
    assert not target.request.has("Route")


def test_the_protection_of_the_leg_is_told() -> None:
    bench = Bench()
    aka = ("Authorization", f"{DIGEST[1]}, algorithm=AKAv1-MD5")
    tls = StillFlow("192.0.2.30", transport=Transport.TLS)
    for header, flow, value in (
        (DIGEST, UE, "ip-assoc-pending"),
        (DIGEST, bench.flow, "ip-assoc-yes"),
        (aka, UE, "no"),
        (DIGEST, tls, "tls-connected"),
        (("Authorization", f'{DIGEST[1]}, integrity-protected="yes"'), UE, "ip-assoc-pending"),  # a UE cannot claim it
    ):
        request = only_target(bench.core.route(register(header), flow, NOW)).request
        assert request.require(Authorization).get("integrity-protected") == value


def test_what_a_ue_may_not_say_is_removed() -> None:
    forged = ("P-Charging-Vector", "icid-value=forged"), ("Path", "<sip:x@y>"), ("P-Visited-Network-ID", "other.test")
    request = only_target(Bench().core.route(register(*forged), UE, NOW)).request
    assert len(request.texts("Path")) == 1
    assert request.text("P-Visited-Network-ID") == '"home.test"'
    assert "forged" not in (request.text("P-Charging-Vector") or "")


def test_another_home_network_is_504_and_the_own_address_will_do() -> None:
    bench = Bench()
    assert status_of(bench.core.route(register(uri="sip:elsewhere.test"), UE, NOW)) == 504
    for uri in ("sip:HOME.test", "sip:127.0.1.10", "sip:pcscf.home.test:5060"):
        assert only_target(bench.core.route(register(uri=uri), UE, NOW))


def test_home_out_of_reach_is_504() -> None:
    forward = forward_of(Bench().core.route(register(), UE, NOW))
    assert forward.hook is not None
    for reason in FailureReason:
        decision = forward.hook.replace(TransactionFailure(reason), forward.targets[0], NOW)
        assert decision is not None
        assert status_of(decision) == 504


def test_keys_stay_here_and_the_security_server_goes_to_the_ue() -> None:
    bench = Bench()
    decision = bench.core.route(register(DIGEST, *SECURITY), UE, NOW)
    onward = only_target(decision).request
    assert not onward.has("Security-Client")
    assert not onward.has("Proxy-Require")
    assert onward.text("Require") == "path"
    assert onward.require(Authorization).get("integrity-protected") == "no"  # AKA, which its credentials need not say
    challenge = Response.to(
        onward, 401, headers=[("WWW-Authenticate", 'Digest realm="home.test", nonce="n", ck="00", ik="11"')]
    )
    back = bench.back(decision, challenge)
    value = back.require(WwwAuthenticate)
    assert value.get("nonce") == "n"
    assert not value.has("ck")
    assert not value.has("ik")
    server = back.text("Security-Server") or ""
    assert server.startswith("ipsec-3gpp;q=0.5;")
    second = only_target(bench.core.route(register(DIGEST, *SECURITY, ("Security-Verify", server)), UE, NOW)).request
    assert second.require(Authorization).get("integrity-protected") == "yes"
    wrong = register(DIGEST, *SECURITY, ("Security-Verify", server.replace("spi-c", "spi-x")))
    assert status_of(bench.core.route(wrong, UE, NOW)) == 494


def test_security_agreement_that_policy_demands_is_421() -> None:
    bench = Bench()
    bench.core.config = replace(CONFIG, requires_agreement=True)
    assert status_of(bench.core.route(register(DIGEST), UE, NOW)) == 421
    assert only_target(bench.core.route(register(DIGEST, *SECURITY), UE, NOW))


def test_the_200_registers_the_ue_on_its_flow_and_loses_what_is_not_for_it() -> None:
    bench = Bench()
    bench.writes.clear()
    decision = bench.core.route(register(DIGEST, CONTACT), UE, NOW)
    back = bench.back(decision, granted(only_target(decision).request))
    assert not back.has("P-Charging-Vector")
    assert back.has("Service-Route")
    request = only_target(bench.from_ue(message(sender=CAROL), UE)).request
    assert request.text("P-Asserted-Identity") == f"<{CAROL}>"
    assert request.text("Route") == "<sip:orig@127.0.1.12:5060;lr>"
    (put,) = bench.writes
    assert isinstance(put, Put)
    assert bench.core.next_deadline() == NOW + 600


def test_keep_gets_its_value_in_the_200_if_the_ue_offered_it() -> None:
    bench = Bench()
    offered = "SIP/2.0/TCP 192.0.2.30:5060;branch=z9hG4bK-1;keep;rport"
    for via, is_promised in ((offered, True), (offered.replace(";keep", ""), False)):
        decision = bench.core.route(register(CONTACT, via=via), UE, NOW)
        back = bench.back(decision, granted(only_target(decision).request))
        assert (back.top_via.params.get("keep") == "120") is is_promised


def test_deregistration_forgets_the_ue_by_contact_instance_or_star() -> None:
    for headers in (
        (("Contact", "<sip:carol@192.0.2.30:5060>;expires=0"),),
        (("Contact", "<sip:carol@192.0.2.30:5060>"), ("Expires", "0")),
        (("Contact", "*"), ("Expires", "0")),
    ):
        bench = Bench()
        decision = bench.core.route(register(CONTACT), UE, NOW)
        bench.back(decision, granted(only_target(decision).request))
        assert registered(bench)
        decision = bench.core.route(register(*headers), UE, NOW)
        answer = Response.to(only_target(decision).request, 200, headers=[("P-Associated-URI", f"<{CAROL}>")])
        bench.back(decision, answer)
        assert not registered(bench)
        assert isinstance(bench.writes[-1], Delete)


def test_two_users_on_one_flow_leave_one_by_one() -> None:
    bench = Bench()
    decision = bench.core.route(register(CONTACT), bench.flow, NOW)
    bench.back(decision, granted(only_target(decision).request))
    decision = bench.core.route(register(("Contact", "*"), ("Expires", "0")), bench.flow, NOW)
    answer = Response.to(only_target(decision).request, 200, headers=[("P-Associated-URI", f"<{CAROL}>")])
    bench.back(decision, answer)
    assert only_target(bench.from_ue(message(sender=SIP))).hop.address == Address(Transport.TCP, "127.0.1.12", 5060)


def test_nothing_registers_from_the_core() -> None:
    bench = Bench()
    request = register(CONTACT, ("Route", f"<sip:{bench.token}@127.0.1.10;lr>"))
    assert status_of(bench.core.route(request, SCSCF, NOW)) == 403


def test_a_registration_over_udp_is_stored_before_the_200_goes_on() -> None:
    """One over a connection does not outlive the process, so nobody waits for it."""
    bench, udp = Bench(), StillFlow("192.0.2.30", 5060, Transport.UDP)
    for flow, waits in ((udp, True), (UE, False)):
        bench.writes.clear()
        decision = bench.core.route(register(CONTACT), flow, NOW)
        bench.back(decision, granted(only_target(decision).request))
        hook = forward_of(decision).hook
        assert hook is not None
        waited_for = hook.take_writes()
        assert [type(each) for each in waited_for] == ([Put] if waits else [])
        assert bool(bench.writes) is not waits
        assert hook.take_writes() == ()
